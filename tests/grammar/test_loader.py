from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.grammar.conftest import SRGS, document, refused
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, load, load_async, loader
from vxml_server.grammar.loader import parse
from vxml_server.grammar.rules import Document


def web(files: Mapping[str, str], start: str = "http://h/a/main.grxml", **options: str) -> Grammar:
    """The grammar `start` of a web where `files` are, each the inside of a grammar document."""

    def read(uri: str) -> bytes:
        if uri not in files:
            raise VoiceXmlEvent("error.badfetch.http.404", "not found", uri=uri)
        inside = files[uri]
        return inside.encode() if inside.startswith("#") else document(inside)

    return load(start, read=read, **options)


def test_references_are_relative_to_the_document_and_shown_as_written() -> None:
    grammar = web(
        {
            "http://h/a/main.grxml": '<rule id="r"><ruleref uri="../b/x.grxml#one"/> and '
            '<ruleref uri="http://h/b/y.gram" type="application/srgs"/></rule>',
            "http://h/b/x.grxml": '<rule id="r"/><rule id="one" scope="public">one '
            '<ruleref uri="y.gram"/></rule>',
            "http://h/b/y.gram": "#ABNF 1.0;\nlanguage en; root $y;\n$y = why;",
        }
    )
    match = grammar.match("one why and why")
    assert match is not None
    assert match.tree == (
        '$r[$<../b/x.grxml#one>["one",$<y.gram>["why"]],"and",$<http://h/b/y.gram>["why"]]'
    )


def test_xml_base_moves_references_and_their_names() -> None:
    files = {"http://h/a/sub/x": document('<rule id="r">yes</rule>')}
    source = document(
        '<rule id="r"><ruleref uri="x"/></rule>', 'xml:base="./sub/" xml:lang="en" root="r"'
    )
    match = load(source, base_uri="http://h/a/doc.vxml", read=files.__getitem__).match("yes")
    assert match is not None
    assert match.tree == '$r[$<./sub/x>["yes"]]'


def test_documents_may_refer_to_each_other_in_circles() -> None:
    grammar = web(
        {
            "http://h/a/main.grxml": '<rule id="r">a <ruleref uri="other"/></rule>',
            "http://h/a/other": '<rule id="r">b <item repeat="0-1">'
            '<ruleref uri="main.grxml"/></item><ruleref uri="other#p"/></rule><rule id="p"/>',
        }
    )
    assert grammar.match("a b a b") is not None


@pytest.mark.parametrize("uri", ["http://h/a/main.grxml#q", "http://h/a/main.grxml"])
def test_a_fragment_or_the_caller_chooses_the_rule(uri: str) -> None:
    files = {"http://h/a/main.grxml": '<rule id="r">a</rule><rule id="q" scope="public">b</rule>'}
    assert web(files, uri, rule="q" if "#" not in uri else "").match("b") is not None


WRONG = {
    "undefined rule": ('<ruleref uri="x#nowhere"/>', '<rule id="r"/>'),
    "private rule": ('<ruleref uri="x#p"/>', '<rule id="r"/><rule id="p"/>'),
    "missing document": ('<ruleref uri="y"/>', '<rule id="r"/>'),
}


@pytest.mark.parametrize(("body", "other"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_reference_is_a_bad_fetch(body: str, other: str) -> None:
    files = {"http://h/a/main.grxml": f'<rule id="r">{body}</rule>', "http://h/a/x": other}
    assert refused(lambda: web(files)).name.startswith("error.badfetch")


def test_a_reference_to_a_grammar_without_root_or_of_the_other_mode_is_a_bad_fetch() -> None:
    source = document('<rule id="r"><ruleref uri="x"/></rule>')
    for attributes in ('xml:lang="en"', 'mode="dtmf" root="r"'):
        other = document('<rule id="r">1</rule>', attributes)
        event = refused(lambda o=other: load(source, base_uri="http://h/a", read=lambda _: o))
        assert (event.name, event.uri, event.line) == ("error.badfetch", "http://h/a", 1)


@pytest.mark.parametrize("rule", ["nowhere", "private"])
def test_a_rule_that_cannot_be_chosen_is_a_bad_fetch(rule: str) -> None:
    source = document('<rule id="r">a</rule><rule id="private">b</rule>')
    assert refused(lambda: load(source, rule=rule)).name == "error.badfetch"


def test_the_private_root_may_be_referred_to_and_chosen() -> None:
    files = {
        "http://h/a/main.grxml": '<rule id="r"><ruleref uri="x"/><ruleref uri="x#r"/></rule>',
        "http://h/a/x": '<rule id="r">b</rule>',
    }
    assert web(files, rule="r").match("b b") is not None


def test_a_voicexml_host_gives_its_language_to_all_documents() -> None:
    files = {"http://h/x": b'<grammar root="x"><rule id="x">oui</rule></grammar>'}
    source = b'<grammar root="r"><rule id="r"><ruleref uri="http://h/x"/></rule></grammar>'
    assert load(source, lang="fr", read=files.__getitem__).match("oui") is not None


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"no grammar at all", ""),
        (b"BNF: <a> ::= b", "text/plain"),
        (b"<grammar><rule id='r'>x</rule></grammar>", "application/x-abc"),
        (b"<grammar type='application/x-abc'>x</grammar>", ""),
        (b"<grammar>[(hear one)]</grammar>", "application/srgs+xml"),
        (b"<grammar type='text/abc'><rule id='r'>x</rule></grammar>", ""),
        (b"<grammar>a = b</grammar>", ""),
    ],
)
def test_other_formats_are_unsupported(content: bytes, media_type: str) -> None:
    event = refused(lambda: load(content, media_type=media_type, lang="en"))
    assert event.name == "error.unsupported.format"


@pytest.mark.parametrize(
    "media_type",
    ["application/srgs+xml", "Application/SRGS+XML; charset=utf-8", "text/xml", "text/plain", ""],
)
def test_the_type_may_be_vague_where_the_content_is_clear(media_type: str) -> None:
    assert load(document('<rule id="r">x</rule>'), media_type=media_type).match("x") is not None


def test_content_that_is_not_of_its_declared_type_is_a_bad_fetch() -> None:
    for content, kind in ((b"[x]", "application/srgs+xml"), (b"<grammar/>", "application/srgs")):
        event = refused(lambda c=content, k=kind: load(c, media_type=k, lang="en"))
        assert event.name == "error.badfetch"


def test_local_files_are_read_by_path_and_by_uri(tmp_path: Path) -> None:
    (tmp_path / "a b.grxml").write_bytes(document('<rule id="r"><ruleref uri="y.grxml"/></rule>'))
    (tmp_path / "y.grxml").write_bytes(document('<rule id="r">x</rule>'))
    path = tmp_path / "a b.grxml"
    for uri in (str(path), path.as_uri()):
        assert load(uri).match("x") is not None


@pytest.mark.parametrize("uri", ["/nowhere/at/all", "http://127.0.0.1:1/x", "file://h/x", "\0"])
def test_nothing_but_local_files_is_read_by_default(uri: str) -> None:
    assert refused(lambda: load(uri)).name == "error.badfetch"


def test_a_grammar_that_is_too_large_is_a_bad_fetch() -> None:
    source = document(f'<rule id="r">{"x " * 5_000_000}</rule>')
    assert refused(lambda: load(source)).message == "the grammar is too large"


def test_a_grammar_of_ever_more_documents_is_a_bad_fetch() -> None:
    def read(uri: str) -> bytes:
        return document(f'<rule id="r"><ruleref uri="{uri}x"/></rule>')

    assert refused(lambda: load("http://h/", read=read)).message == "too many grammar documents"


async def test_loading_on_the_event_loop_fetches_what_is_needed_once() -> None:
    wanted = []

    async def fetch(uri: str) -> bytes:
        wanted.append(uri)
        return document('<rule id="r">x</rule>')

    source = f"""<grammar xmlns="{SRGS}" root="r"><rule id="r"><ruleref uri="x.grxml"/>
        <ruleref uri="x.grxml#r"/></rule></grammar>""".encode()
    grammar = await load_async(source, fetch=fetch, base_uri="http://h/doc.vxml", lang="en")
    assert grammar.match("x x") is not None
    assert wanted == ["http://h/x.grxml"]
    assert (await load_async("http://h/x", fetch=fetch)).uri == "http://h/x"


async def test_what_the_fetch_raises_is_passed_on() -> None:
    async def fetch(uri: str) -> bytes:
        raise VoiceXmlEvent("error.badfetch.http.404", "not found", uri=uri)

    with pytest.raises(VoiceXmlEvent, match=r"error\.badfetch\.http\.404"):
        await load_async("http://h/x", fetch=fetch)


async def test_a_large_grammar_is_compiled_beside_the_event_loop() -> None:
    main = threading.current_thread()
    threads = []

    def note(*arguments: object) -> Document:
        threads.append(threading.current_thread())
        return parse(*arguments)

    async def fetch(uri: str) -> bytes:
        return document(f'<rule id="r">{"x " * 20_000}</rule>')

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "parse", note)
        small = document('<rule id="r">x <ruleref uri="large"/></rule>')
        grammar = await load_async(small, fetch=fetch, base_uri="http://h/")
    assert threads[0] is main
    assert threads[1] is not main
    assert grammar.match("x " * 20_001) is not None


@pytest.mark.parametrize("mode", ["keys", "Voice"])
def test_an_inline_grammar_of_another_form_has_a_mode_too(mode: str) -> None:
    source = f"<grammar mode='{mode}'>yes | no</grammar>".encode()
    event = refused(lambda: load(source, base_uri="http://h/", lang="en"))
    assert (event.name, event.line, event.column) == ("error.badfetch", 1, 1)
    keys = load(b"<grammar mode='dtmf'>1 2 | # 3</grammar>", lang="en")
    assert (keys.mode, keys.match("#3") is not None) == ("dtmf", True)
