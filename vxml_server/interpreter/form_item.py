"""A form item while its form is run (VoiceXML 2.0 section 2.3): its variable and its counters."""

from __future__ import annotations

from functools import cached_property

from vxml_server.interpreter.document import Element, once
from vxml_server.interpreter.events import EventCounters
from vxml_server.interpreter.platform import Json
from vxml_server.interpreter.prompts import TEXT_RUN, CountedPrompt, with_text_runs

# Whose grammars alone are active while they are visited (section 3.1.4), unless they say otherwise.
_MODAL_BY_DEFAULT = {"field": "false", "record": "true", "transfer": "true"}


class FormItem:
    """A form item being run: its variable, its prompt counter, its event counters.

    `variable` is the property of the dialog scope that guards it; for an item without a name it is
    one that no expression can spell.
    """

    def __init__(self, element: Element, variable: str) -> None:
        self.element = element
        self.variable = variable
        self.kind = element.name
        self.name = element.get("name")
        self.prompt_counter = 1

    @cached_property
    def event_counters(self) -> EventCounters:
        return EventCounters()

    @property
    def slot(self) -> str:
        return self.element.get("slot") or self.name

    @property
    def is_modal(self) -> bool:
        default = _MODAL_BY_DEFAULT.get(self.kind)
        return default is not None and self.element.get("modal", default) == "true"


@once
def filled_actions(dialog: Element) -> tuple[tuple[Element, tuple[Element, ...]], ...]:
    """The children of a dialog that may have something done when they are filled, in their order:
    its items, each with its `<filled>` elements, and its own `<filled>` elements, with themselves.
    """
    found = []
    for element in dialog.elements:
        actions = (element,) if element.name == "filled" else element.named("filled")
        if actions:
            found.append((element, actions))
    return tuple(found)


@once
def prompts_of(element: Element) -> tuple[CountedPrompt, ...]:
    """An item's prompts; a run of text or audio between its elements is one, without a count."""
    return tuple(
        CountedPrompt(part, int(part.get("count", "1")), part.get("cond"))
        for part in with_text_runs(element)
        if part.name in {"prompt", TEXT_RUN}
    )


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
