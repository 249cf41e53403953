"""A VoiceXML document as an immutable tree, shared by every call that runs it.

It is made by `compiler`, once. What must hold: nothing in the tree changes afterwards. So whatever
follows from an element alone (its handlers, its prompts, ...) needs to be worked out once, for all
calls: see `once`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, TypeAlias, TypeVar

FORM_ITEMS = frozenset({"field", "record", "transfer", "subdialog", "object", "initial", "block"})
CONTROL_ITEMS = frozenset({"initial", "block"})
HANDLERS = frozenset({"catch", "error", "help", "noinput", "nomatch"})
DIALOGS = frozenset({"form", "menu"})
_MOST_KNOWN = 16
_UNKNOWN: Any = object()


class Element:
    """An element without its namespace; text between elements stands as `str` among `children`.

    `elements` are the children without the text, `lang` is the xml:lang that holds here ("" where
    none does), `base` the absolute base URI, `line` counts from 1. `source` is the element as XML,
    kept for `<grammar>` only. `known` is what was worked out of the element, of whatever type (see
    `once`).
    """

    # No frozen dataclass: a document has hundreds of elements, and those take thrice as long.
    __slots__ = (
        "attributes",
        "base",
        "children",
        "elements",
        "known",
        "lang",
        "line",
        "name",
        "source",
    )

    def __init__(
        self,
        name: str,
        attributes: Mapping[str, str],
        children: tuple[Node, ...],
        line: int,
        lang: str,
        base: str,
        source: bytes = b"",
    ) -> None:
        self.name: Final = name
        self.attributes: Final = attributes
        self.children: Final = children
        self.elements: Final = tuple([node for node in children if isinstance(node, Element)])
        self.line: Final = line
        self.lang: Final = lang
        self.base: Final = base
        self.source: Final = source
        self.known: Final[dict[Hashable, Any]] = {}

    def __repr__(self) -> str:
        return f"<{self.name}> in line {self.line}"

    def table(self, purpose: Hashable) -> dict[Hashable, Any]:
        """What was worked out for a purpose of this element and of something else, by that.

        It begins anew when it has grown: the something else, such as the root document, can change
        while this element stays.
        """
        table: dict[Hashable, Any] = self.known.setdefault(purpose, {})
        if len(table) > _MOST_KNOWN:
            table.clear()
        return table

    def get(self, attribute: str, default: str = "") -> str:
        return self.attributes.get(attribute, default)

    def named(self, *names: str) -> tuple[Element, ...]:
        """The child elements with one of these names."""
        found: tuple[Element, ...] | None = self.known.get(names)
        if found is None:
            found = tuple([child for child in self.elements if child.name in names])
            self.known[names] = found
        return found

    @property
    def text(self) -> str:
        """The element's own text, without that of its children."""
        return "".join(child for child in self.children if isinstance(child, str))


Node: TypeAlias = Element | str
_T = TypeVar("_T")


def once(work_out: Callable[[Element], _T]) -> Callable[[Element], _T]:
    """Makes a function of an element, and of nothing else, be called once for each element.

    What it gives is shared by all calls, so it must not be changed.
    """

    @wraps(work_out)
    def known(element: Element) -> _T:
        found: _T = element.known.get(work_out, _UNKNOWN)
        if found is _UNKNOWN:
            found = element.known[work_out] = work_out(element)
        return found

    return known


@dataclass(frozen=True, slots=True)
class Tolerated:
    """What was passed over or repaired in a document; `code` is a word for it."""

    code: str
    message: str
    line: int


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A compiled document. `application` is the root document's absolute URI, or ""; `tolerated`
    is what a strict reader would have refused."""

    uri: str
    root: Element
    application: str
    dialogs: tuple[Element, ...]
    by_id: Mapping[str, Element]
    tolerated: tuple[Tolerated, ...] = ()

    @property
    def lang(self) -> str:
        return self.root.lang

    def dialog(self, identifier: str) -> Element | None:
        """The dialog a URI fragment names; the first one for no fragment."""
        if identifier:
            return self.by_id.get(identifier)
        return self.dialogs[0] if self.dialogs else None
