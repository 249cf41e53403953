"""The self-testing grammars of the W3C's SRGS implementation report, where they are at hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import load
from vxml_server.grammar.loader import read_local_file

FOLDER = Path(__file__).parents[3] / "shared" / "w3c" / "srgs"

_META = re.compile(r"""meta\s+["']((?:in|out)\.\d+)["']\s+is\s+(?:'([^']*)'|"([^"]*)")""")

# What these expect has a bracket that opens nowhere, and no grammar has a tree like that.
SURPLUS_BRACKET = {"lang-ruleref.grxml", "lang-ruleref.gram"}
# And this takes a <token> of four words apart, which is one (section 2.1, token-element.grxml).
TAKEN_APART = {
    "lang-ruleref.grxml": {
        '"in","the","US","and"': '"in the US and"',
        '"in","Mexico"': '"in Mexico"',
    }
}


def _cases() -> Iterator[tuple[Path, str, str]]:
    for path in sorted([*FOLDER.glob("*.grxml"), *FOLDER.glob("*.gram")]):
        source = path.read_bytes()
        if path.suffix == ".grxml":
            root = etree.fromstring(source)
            found = {e.get("name", ""): e.get("content", "") for e in root.iter("{*}meta")}
        else:
            encoding = "utf-16" if source.startswith(b"\xfe\xff") else "utf-8"
            if re.match(rb"#ABNF 1.0 ISO-8859-1", source):
                encoding = "latin-1"
            text = source.decode(encoding, "replace")
            found = {name: a or b for name, a, b in _META.findall(text)}
        for name, said in found.items():
            if name.startswith("in."):
                yield path, said, found["out" + name[2:]]


def _read(uri: str) -> bytes:
    """Local files, and for the report's proprietary grammars one that accepts what they should."""
    if uri.startswith("http://www.example.com/multilingual"):
        return b"#ABNF 1.0;\nlanguage es-MX; root $name;\n$name = Jose;"
    return read_local_file(uri)


def _outcome(path: Path, said: str, rule: str) -> str:
    try:
        match = load(str(path), read=_read, rule=rule).match(said)
    except VoiceXmlEvent:
        return "REJECT"
    return "REJECT" if match is None else match.tree


CASES = list(_cases())


@pytest.mark.skipif(not CASES, reason=f"no W3C grammars in {FOLDER}")
def test_there_are_grammars_of_both_forms() -> None:
    assert {path.suffix for path, _, _ in CASES} == {".grxml", ".gram"}


@pytest.mark.parametrize(
    ("path", "said", "expected"), CASES, ids=[f"{path.name}: {said}" for path, said, _ in CASES]
)
def test_the_grammars_of_the_implementation_report(path: Path, said: str, expected: str) -> None:
    if path.name in SURPLUS_BRACKET:
        expected = expected.removesuffix("]")
        for written, meant in TAKEN_APART.get(path.name, {}).items():
            expected = expected.replace(written, meant)
    assert _outcome(path, said, "parallel" if expected.startswith("$parallel") else "") == expected
