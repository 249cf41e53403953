"""A form item while its form is run (VoiceXML 2.0 section 2.3): its variable and its counters."""

from __future__ import annotations

from dataclasses import dataclass, field

from vxml_server.interpreter.document import Element, once
from vxml_server.interpreter.events import EventCounters
from vxml_server.interpreter.platform import Json
from vxml_server.interpreter.prompts import TEXT_RUN, with_text_runs

# Whose grammars alone are active while they are visited (section 3.1.4), unless they say otherwise.
_MODAL_BY_DEFAULT = {"field": "false", "record": "true", "transfer": "true"}


@dataclass(slots=True, eq=False)
class FormItem:
    """A form item being run: its variable, its prompt counter, its event counters.

    `variable` is the property of the dialog scope that guards it; for an item without a name it is
    one that no expression can spell.
    """

    element: Element
    variable: str
    prompt_counter: int = 1
    event_counters: EventCounters = field(default_factory=EventCounters)
    kind: str = field(init=False)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.kind = self.element.name
        self.name = self.element.get("name")

    @property
    def slot(self) -> str:
        return self.element.get("slot") or self.name

    @property
    def is_modal(self) -> bool:
        default = _MODAL_BY_DEFAULT.get(self.kind)
        return default is not None and self.element.get("modal", default) == "true"


@once
def prompts_of(element: Element) -> tuple[Element, ...]:
    """An item's prompts; a run of text or audio between its elements is one, without a count."""
    return tuple(part for part in with_text_runs(element) if part.name in {"prompt", TEXT_RUN})


def slot_value(interpretation: Json, item: FormItem) -> Json:
    """The part of an interpretation that an item's slot names, `a.b` for a part of a part; or None.

    Section 3.1.6: a form's grammar fills the items whose slots it has; a field's own gives its slot
    if there is one, or else all of it.
    """
    value = interpretation
    for part in item.slot.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value
