"""Malformed grammars of every kind, each with the event that VoiceXML names for it and its place.

`malformed.txt` holds them: after a line with the name comes one with the event, and then the
grammar, in which a broken bar stands where the mistake is.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.grammar.conftest import refused
from vxml_server.grammar import builtin, load

URI = "http://h/g"
FILES = {
    "http://h/voice": b"#ABNF 1.0;\nlanguage en; root $a;\n$a = x; public $b = y; $c = z;",
    "http://h/rootless": b"#ABNF 1.0;\nlanguage en;\npublic $a = x;",
    "http://h/keys": b"#ABNF 1.0;\nmode dtmf; root $a;\n$a = 1;",
}
CORPUS = (Path(__file__).parent / "malformed.txt").read_text("utf-8")
CASES = [part.split("\n", 2) for part in CORPUS.removeprefix("==== ").split("\n==== ")]


@pytest.mark.parametrize(
    ("event", "marked"), [(event, source) for _, event, source in CASES], ids=[c[0] for c in CASES]
)
def test_a_malformed_grammar_is_refused_at_its_place(event: str, marked: str) -> None:
    before, _, after = marked.removesuffix("\n").partition("¦")
    line = before.count("\n") + 1
    column = len(before) - before.rfind("\n")
    source = (before + after).encode()

    def use() -> object:
        match = load(source, base_uri=URI, read=FILES.__getitem__).match("x")
        return match and match.interpretation

    found = refused(use)
    assert (found.name, found.uri, found.line, found.column) == (event, URI, line, column)
    assert found.message
    assert str(found).startswith(f"{URI}:{line}:{column}: {event}: ")


def test_there_are_two_hundred_kinds() -> None:
    assert len({name for name, _, _ in CASES}) == len(CASES) > 200


@pytest.mark.parametrize(
    ("uri", "event"),
    [
        ("builtin:dtmf/digits?length=four", "error.badfetch"),
        ("builtin:dtmf/digits?length=-1", "error.badfetch"),
        ("builtin:grammar/date?format=us", "error.badfetch"),
        ("builtin:grammar/colour", "error.unsupported.builtin"),
        ("builtin:smell/digits", "error.unsupported.builtin"),
    ],
)
def test_a_built_in_type_has_no_place_but_its_uri(uri: str, event: str) -> None:
    found = refused(lambda: builtin(uri, "en"))
    assert (found.name, found.uri, found.line, found.column) == (event, uri, 0, 0)


def test_an_inline_grammar_counts_the_lines_of_its_document() -> None:
    source = b"<grammar root='r'>\n <rule id='r'><item repeat='x'/></rule></grammar>"
    found = refused(lambda: load(source, base_uri=URI, lang="en", line_offset=40))
    assert (found.line, found.column) == (42, 15)
    inside = b"<grammar type='application/srgs'>\n  #ABNF 1.0;\n  $r = a $b;</grammar>"
    found = refused(lambda: load(inside, base_uri=URI, lang="en", line_offset=40))
    assert (found.line, found.column) == (43, 10)


def test_what_is_nested_beyond_reason_is_refused_before_it_is_read() -> None:
    deep = b"<grammar>" + b"<x>" * 500 + b"</x>" * 500 + b"</grammar>"
    found = refused(lambda: load(deep, base_uri=URI, lang="en"))
    assert (found.name, found.line, found.column) == ("error.badfetch", 1, 9 + 3 * 399 + 1)


def test_a_column_counts_characters_in_any_encoding() -> None:
    text = "#ABNF 1.0{};\nlanguage fr;\n$r = été $x;"
    for encoding in ("utf-8", "latin-1", "utf-16"):
        name = "" if encoding == "utf-16" else f" {encoding}"
        source = text.format(name).encode(encoding)
        found = refused(lambda s=source: load(s))
        assert (found.line, found.column) == (3, 10)
