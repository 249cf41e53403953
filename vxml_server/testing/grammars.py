"""Grammars that test themselves, as those of the W3C's SRGS implementation report.

A `<meta name="in.N">` holds an input, `<meta name="out.N">` the logical parse structure that it has
to give, or REJECT; in ABNF `meta "in.N" is "…";`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import load
from vxml_server.markup import xml_parser

SUFFIXES = frozenset({".grxml", ".gram"})
REJECT = "REJECT"

_META = re.compile(r"""meta\s+["']((?:in|out)\.\w+)["']\s+is\s+(?:'([^']*)'|"([^"]*)")""")
_ABNF = re.compile(rb"#ABNF\s+\S+\s+([\w-]+);")
_ROOT = re.compile(r"\$([^\s\[]+)\[")


@dataclass(frozen=True, slots=True)
class Sample:
    """An input, and what a grammar makes of it."""

    number: str
    said: str
    expected: str


def samples(path: Path) -> Iterator[Sample]:
    """The inputs that a grammar file holds; none when it has no such `meta`, or is no grammar."""
    source = path.read_bytes()
    metas = _xml_metas(source) if path.suffix == ".grxml" else _abnf_metas(source)
    for name, said in metas.items():
        number = name.removeprefix("in.")
        if number != name and f"out.{number}" in metas:
            yield Sample(number, said, metas[f"out.{number}"])


def parsed(path: Path, sample: Sample) -> str:
    """The logical parse structure of the sample's input, or REJECT."""
    found = _parsed(path, sample.said, "")
    if found != sample.expected and (root := _ROOT.match(sample.expected)):
        # What is expected may come from another rule than the root.
        found = _parsed(path, sample.said, root[1])
    return found


def _parsed(path: Path, said: str, rule: str) -> str:
    try:
        match = load(str(path), rule=rule).match(said)
    except VoiceXmlEvent:
        return REJECT
    return REJECT if match is None else match.tree


def _xml_metas(source: bytes) -> dict[str, str]:
    parser = xml_parser()
    try:
        root = etree.fromstring(source, parser)
    except etree.XMLSyntaxError:
        return {}
    return {meta.get("name", ""): meta.get("content", "") for meta in root.iter("{*}meta")}


def _abnf_metas(source: bytes) -> dict[str, str]:
    encoding = "utf-8"
    if source.startswith((b"\xfe\xff", b"\xff\xfe")):
        encoding = "utf-16"
    elif declared := _ABNF.match(source):
        encoding = declared[1].decode("ascii", "replace")
    try:
        text = source.decode(encoding, "replace")
    except LookupError:
        return {}
    return {name: one or other for name, one, other in _META.findall(text)}
