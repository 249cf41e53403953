"""A file under check: its bytes, its text, and where in it each tag and attribute stands.

lxml knows the line of an element's tag only; expat gives line and column. Both see the same
elements in the same order, so the n-th is the n-th.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from lxml import etree

from vxml_server.checking.findings import CODES, Finding, Severity

_ATTRIBUTE = re.compile(r"\s*([^\s=/>\"'<]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_NAME = re.compile(r"<[^\s/>]+")
XML = "{http://www.w3.org/XML/1998/namespace}"


class Place(NamedTuple):
    line: int
    column: int


@dataclass(slots=True)
class Source:
    """One file, and the findings about it."""

    path: Path
    shown: str
    """How the file is called in findings."""
    findings: list[Finding] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)
    _places: dict[etree._Element, Place] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return self.path.absolute().as_uri()

    def note(self, root: etree._Element, body: bytes) -> None:
        """Remembers the places of a tree as it was parsed, before anything is changed in it."""
        encoding = root.getroottree().docinfo.encoding or "utf-8"
        if body[:2] in {codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE}:
            encoding = "utf-16"
        try:
            text = body.decode(encoding, "replace").removeprefix("\ufeff")
        except LookupError:
            return
        # A line of XML ends at a line feed or a carriage return, not at all that Python knows.
        self._lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text)
        places: list[Place] = []
        parser = expat.ParserCreate("utf-8")

        def start(name: str, attributes: dict[str, str]) -> None:
            del name, attributes
            places.append(Place(parser.CurrentLineNumber, parser.CurrentColumnNumber + 1))

        parser.StartElementHandler = start
        try:
            parser.Parse(text.encode("utf-8", "replace"), True)
        except expat.ExpatError:
            # What lxml read nevertheless has lines.
            places.clear()
        self._places.update(zip(root.iter("*"), places, strict=False))

    def place(self, node: etree._Element, attribute: str = "") -> Place:
        """Where an element's tag begins, or an attribute of it (`xml:lang` by that name)."""
        near: etree._Element | None = node
        while near is not None and near not in self._places:
            # What was put around an element stands where the element does.
            near = near[0] if len(near) else None
        if near is None:
            return Place(max(1, node.sourceline or 1), 1)
        found = self._places[near]
        return self._attribute(found, attribute) if attribute and near is node else found

    def _attribute(self, tag: Place, attribute: str) -> Place:
        line, at = tag.line, tag.column - 1
        text = "".join(self._lines[line - 1 : line + 60])[at:]
        name = _NAME.match(text)
        position = name.end() if name else 0
        while (found := _ATTRIBUTE.match(text, position)) is not None:
            if found[1] == attribute:
                before = text[: found.start(1)]
                newlines = len(re.findall(r"\r\n|\r|\n", before))
                column = len(re.split(r"\r\n|\r|\n", before)[-1]) + 1
                return Place(line + newlines, column if newlines else column + at)
            position = found.end()
        return tag

    def add(self, code: str, message: str, place: Place, severity: Severity | None = None) -> None:
        """Adds a finding, once."""
        severity = severity or CODES[code].severity
        found = Finding(self.shown, place.line, place.column, code, severity, message)
        if found not in self.findings:
            self.findings.append(found)
