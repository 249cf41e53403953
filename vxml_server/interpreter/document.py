"""A VoiceXML document as an immutable tree, shared by every call that runs it.

It is made by `compiler`, once. What must hold: nothing in the tree changes afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

FORM_ITEMS = frozenset({"field", "record", "transfer", "subdialog", "object", "initial", "block"})
CONTROL_ITEMS = frozenset({"initial", "block"})
HANDLERS = frozenset({"catch", "error", "help", "noinput", "nomatch"})
DIALOGS = frozenset({"form", "menu"})


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """An element without its namespace; text between elements stands as `str` among `children`.

    `lang` is the xml:lang that holds here ("" where none does), `base` the absolute base URI,
    `line` counts from 1. `source` is the element as XML, kept for `<grammar>` only.
    """

    name: str
    attributes: Mapping[str, str]
    children: tuple[Node, ...]
    line: int
    lang: str
    base: str
    source: bytes = field(default=b"", repr=False)

    def get(self, attribute: str, default: str = "") -> str:
        return self.attributes.get(attribute, default)

    @property
    def elements(self) -> Iterator[Element]:
        return (child for child in self.children if isinstance(child, Element))

    def named(self, *names: str) -> Iterator[Element]:
        """The child elements with one of these names."""
        return (child for child in self.elements if child.name in names)

    @property
    def text(self) -> str:
        """The element's own text, without that of its children."""
        return "".join(child for child in self.children if isinstance(child, str))


Node: TypeAlias = Element | str


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
