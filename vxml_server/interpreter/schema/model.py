"""The schema `vxml.rng` as tables: what an element may hold and which attributes it takes.

libxml2 decides whether a document is valid, fast; why it is not, it says badly. These tables are
read from the same file, so that what is said in words cannot differ from what was decided. Only the
forms that the head of the schema promises are understood, and anything else fails when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files

from lxml import etree

RNG = "{http://relaxng.org/ns/structure/1.0}"
DOCUMENTATION = "{http://relaxng.org/ns/compatibility/annotations/1.0}documentation"
TEXT = "#text"
# An element whose content is nobody's business.
ANYTHING = "#anything"


@dataclass(frozen=True, slots=True)
class Type:
    """What an attribute holds: one of `values`, what `pattern` matches, or (neither) any text."""

    name: str
    expected: str
    values: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None
    excluded: frozenset[str] = frozenset()

    def allows(self, text: str) -> bool:
        if self.values:
            return text in self.values
        if self.pattern is None:
            return True
        return text not in self.excluded and self.pattern.fullmatch(text) is not None


@dataclass(slots=True)
class ElementModel:
    """One element: its attributes, those that must be there, those that exclude each other (with
    whether one of them must be there), and its possible children, `TEXT` among them."""

    name: str
    attributes: dict[str, Type] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    groups: list[tuple[tuple[str, ...], bool]] = field(default_factory=list)
    children: set[str] = field(default_factory=set)
    in_grammar: bool = False
    """Whether it may stand in the namespace of SRGS."""


def source() -> bytes:
    """The schema as it is written."""
    return files(__package__).joinpath("vxml.rng").read_bytes()


@lru_cache(maxsize=1)
def model() -> Model:
    return Model(etree.fromstring(source()))


class Model:
    """All elements of the schema, by name."""

    def __init__(self, grammar: etree._Element) -> None:
        self._defines: dict[str, etree._Element] = {
            define.get("name", ""): define for define in grammar.iter(f"{RNG}define")
        }
        self._types: dict[str, Type] = {}
        self.elements: Mapping[str, ElementModel] = {
            name: self._element(name, element)
            for name, define in self._defines.items()
            if (element := define.find(f"{RNG}element")) is not None
        }

    @cached_property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        """In which elements an element may stand."""
        return {
            name: tuple(parent.name for parent in self.elements.values() if name in parent.children)
            for name in self.elements
        }

    def _element(self, name: str, element: etree._Element) -> ElementModel:
        made = ElementModel(name)
        made.in_grammar = element.get("name") is None
        for pattern in element:
            if pattern.tag not in {f"{RNG}choice", f"{RNG}ref"} or not self._is_naming(pattern):
                self._read(pattern, made, must=True)
        return made

    @staticmethod
    def _is_naming(pattern: etree._Element) -> bool:
        return len(pattern) > 0 and pattern[0].tag == f"{RNG}name"

    def _read(self, pattern: etree._Element, made: ElementModel, *, must: bool) -> None:
        """Adds to an element what a pattern in it allows; `must`: it is not optional."""
        kind = str(pattern.tag).removeprefix(RNG)
        if kind == "text":
            made.children.add(TEXT)
        elif kind == "attribute":
            if (name := pattern.get("name")) is not None:
                made.attributes[name] = self._type(pattern[0].get("name", ""))
                if must:
                    made.required.append(name)
        elif kind == "choice" and all(part.tag == f"{RNG}attribute" for part in pattern):
            made.groups.append((tuple(part.get("name", "") for part in pattern), must))
            for part in pattern:
                self._read(part, made, must=False)
        elif kind == "ref":
            self._refer(pattern.get("name", ""), made, must=must)
        elif kind in {"choice", "oneOrMore", "optional", "zeroOrMore"}:
            for part in pattern:
                self._read(part, made, must=False)
        else:
            raise ValueError(f"line {pattern.sourceline}: <{kind}> is a form not understood here")

    def _refer(self, name: str, made: ElementModel, *, must: bool) -> None:
        if name == "anything":
            made.children.add(ANYTHING)
            return
        define = self._defines[name]
        if define.find(f"{RNG}element") is not None:
            made.children.add(name)
            return
        for part in define:
            self._read(part, made, must=must)

    def _type(self, name: str) -> Type:
        if name not in self._types:
            self._types[name] = _type(name, self._defines[name])
        return self._types[name]


def _type(name: str, define: etree._Element) -> Type:
    expected = define.findtext(DOCUMENTATION, "")
    data = define.find(f"{RNG}data")
    if data is not None:
        return Type(
            name,
            expected,
            pattern=re.compile(data.findtext(f"{RNG}param", ""), re.ASCII),
            excluded=frozenset(_values(data)),
        )
    return Type(name, expected, values=frozenset(_values(define)))


def _values(pattern: etree._Element) -> Iterator[str]:
    for value in pattern.iter(f"{RNG}value"):
        yield value.text or ""
