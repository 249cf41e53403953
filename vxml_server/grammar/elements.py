"""XML elements that know the line and the column of their tags.

The tree is made of what a grammar needs and nothing else: no comments, no processing instructions,
no entities. Untrusted: what a document declares or refers to is neither expanded nor fetched, and
its depth is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from vxml_server.grammar.rules import bad_grammar
from vxml_server.grammar.source import Place, decode

XML = "http://www.w3.org/XML/1998/namespace"
LANG = f"{XML} lang"
BASE = f"{XML} base"

MAX_DEPTH = 400

_DECLARED = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([\w.:-]+)")


@dataclass(slots=True, eq=False)
class Element:
    """An element. The keys of `attributes` are names, with "namespace " before where there is one;
    `tail` is the text between the element and the next."""

    namespace: str
    name: str
    attributes: dict[str, str]
    place: Place
    text: str = ""
    tail: str = ""
    children: list[Element] = field(default_factory=list)

    def __iter__(self) -> Iterator[Element]:
        return iter(self.children)

    def __len__(self) -> int:
        return len(self.children)

    def get(self, name: str, default: str = "") -> str:
        return self.attributes.get(name, default)


class _Tree:
    """Receives what the parser finds."""

    def __init__(self, uri: str, line_offset: int) -> None:
        self.uri = uri
        self.offset = line_offset
        self.root: Element | None = None
        self.open: list[Element] = []
        self.parser = expat.ParserCreate("utf-8", " ")
        self.parser.buffer_text = True
        self.parser.buffer_size = 65536
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.EntityDeclHandler = self.entity
        self.parser.SkippedEntityHandler = self.skipped

    @property
    def place(self) -> Place:
        return Place(
            self.parser.CurrentLineNumber + self.offset, self.parser.CurrentColumnNumber + 1
        )

    def start(self, qualified: str, attributes: dict[str, str]) -> None:
        namespace, _, name = qualified.rpartition(" ")
        element = Element(namespace, name, attributes, self.place)
        if len(self.open) >= MAX_DEPTH:
            raise bad_grammar("the elements are nested too deeply", self.uri, *element.place)
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)

    def end(self, qualified: str) -> None:
        del qualified
        self.open.pop()

    def text(self, data: str) -> None:
        parent = self.open[-1]
        if parent.children:
            parent.children[-1].tail += data
        else:
            parent.text += data

    def entity(self, *declared: object) -> None:
        del declared
        raise bad_grammar("a grammar may not declare entities", self.uri, *self.place)

    def skipped(self, name: str, is_parameter: bool) -> None:
        if not is_parameter:
            raise bad_grammar(f"the entity {name!r} is not defined", self.uri, *self.place)


def parse_elements(source: bytes, uri: str, line_offset: int) -> tuple[Element, str]:
    """The root element of a document, and the document's text.

    Raises `error.badfetch` when it is not well-formed or not safe.
    """
    text = decode(source, _DECLARED, uri, line_offset)
    tree = _Tree(uri, line_offset)
    try:
        tree.parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        message = f"not well-formed XML: {expat.ErrorString(error.code)}"
        raise bad_grammar(message, uri, error.lineno + line_offset, error.offset + 1) from None
    assert tree.root is not None  # a document without an element is not well-formed
    return tree.root, text
