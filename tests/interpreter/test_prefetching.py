"""`fetchhint` (VoiceXML 2.0 section 6.1.1): what is fetched when a document is loaded."""

from __future__ import annotations

from collections.abc import Iterable

from tests.interpreter.harness import HOME, MAIN, Web, vxml
from vxml_server.fetch import FetchRequest
from vxml_server.interpreter import Session
from vxml_server.interpreter.cues import Cues
from vxml_server.interpreter.scripted import ScriptedPlatform
from vxml_server.interpreter.trace import ignore


async def ahead(content: str, attributes: str = "", **pages: str) -> list[str]:
    web = Web({"main.vxml": vxml(content, attributes), **pages})
    asked: list[FetchRequest] = []

    def prefetch(requests: Iterable[FetchRequest]) -> None:
        asked.extend(requests)

    await Session(ScriptedPlatform(Cues((), ignore), web), web, prefetch=prefetch).run(MAIN)
    return [request.uri.removeprefix(HOME) for request in asked]


def form(content: str) -> str:
    return f"<form><block><exit/></block></form><form id='f'>{content}</form>"


async def test_audio_grammars_and_scripts_are_fetched_ahead_unless_told_otherwise() -> None:
    content = form(
        '<script src="a.js"/><script src="b.js" fetchhint="safe"/>'
        '<field name="x"><grammar src="g.grxml#r"/><grammar src="builtin:digits"/>'
        '<grammar srcexpr="computed"/><prompt><audio src="a.wav"><audio src="b.wav"/></audio>'
        '<audio src="c.wav" fetchhint="safe"/><audio expr="computed"/></prompt></field>'
    )
    assert await ahead(content) == ["a.js", "g.grxml#r", "a.wav", "b.wav"]


async def test_documents_are_fetched_when_they_are_needed_unless_told_otherwise() -> None:
    content = form(
        '<block><goto next="a.vxml"/><goto next="b.vxml" fetchhint="prefetch"/>'
        '<goto next="#f" fetchhint="prefetch"/><submit next="s" fetchhint="prefetch"/></block>'
        '<subdialog src="c.vxml" fetchhint="prefetch"/>'
        '<subdialog src="d.vxml" fetchhint="prefetch" namelist="x"/>'
    )
    assert await ahead(content) == ["b.vxml", "c.vxml"]


async def test_data_is_fetched_ahead_where_it_says_so_and_nothing_is_sent() -> None:
    data = (
        '<data src="a"/><data src="b" fetchhint="prefetch"/>'
        '<data src="c" fetchhint="prefetch" method="post"/>'
        '<data src="d" fetchhint="prefetch" namelist="x"/>'
    )
    assert await ahead(form(f"<block>{data}</block>")) == ["b"]


async def test_properties_are_the_default_where_they_stand() -> None:
    content = (
        '<property name="audiofetchhint" value="safe"/>'
        "<form><block><exit/></block></form>"
        '<form><property name="audiofetchhint" value="prefetch"/>'
        '<block><audio src="a.wav"/></block></form><form><block><audio src="b.wav"/></block></form>'
    )
    assert await ahead(content) == ["a.wav"]


async def test_a_root_document_has_its_own() -> None:
    root = vxml('<link next="x" fetchhint="prefetch"><grammar src="root.grxml"/></link>')
    found = await ahead(
        form('<block><audio src="a.wav"/></block>'), 'application="root"', root=root
    )
    assert found == ["x", "root.grxml", "a.wav"]
