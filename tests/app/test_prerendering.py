"""`vxml-server prompts render`, with the engine that is always there, in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from vxml_server.app import render_prompts
from vxml_server.app.prerendering import ALL_RENDERED, BAD_USAGE, SOME_NOT
from vxml_server.clock import SystemClock, VirtualClock
from vxml_server.interpreter import SpeechSegment, compile_document, static_prompts
from vxml_server.settings import load
from vxml_server.tts import SpeechRequest, speech_of, synthesizer, voices

ROOT = '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml" xml:lang="en">{}</vxml>'
START = ROOT.format(
    '<form><block>Welcome. <goto next="next.vxml"/></block>'
    '<block>You owe <value expr="1"/> euros.</block></form>'
)
NEXT = ROOT.format('<form><block><prompt xml:lang="fr">Au revoir.</prompt></block></form>')


@pytest.fixture
def application(tmp_path: Path) -> Path:
    (tmp_path / "start.vxml").write_text(START)
    (tmp_path / "next.vxml").write_text(NEXT)
    return tmp_path / "start.vxml"


async def render(*uris: str | Path, out: Path | None, config: Path | None = None):
    lines: list[str] = []
    status = await render_prompts(
        [str(uri) for uri in uris],
        lines.append,
        lines.append,
        clock=SystemClock(),
        config=config,
        out=out,
        environ={"VXML_SERVER_TTS__ISOLATED": ""},
    )
    return status, lines


def states(lines: list[str], state: str) -> list[str]:
    return [line for line in lines if state in line.split()[:2]]


async def test_all_that_is_the_same_for_every_caller_is_rendered(application: Path) -> None:
    status, lines = await render(application, out=application.parent / "out")
    assert status == ALL_RENDERED
    rendered = "\n".join(states(lines, "rendered"))
    assert "Welcome." in rendered
    assert "Au revoir." in rendered  # of a document that is only led to
    assert "Sorry, I did not understand." in rendered
    assert "Désolé, je n'ai pas compris." in rendered
    assert [line.split()[1:] for line in states(lines, "skipped")] == [["skipped", "<value>"]]
    assert "1 skipped, 0 failed" in lines[-1]


async def test_what_is_there_is_not_rendered_again(application: Path) -> None:
    out = application.parent / "out"
    await render(application, out=out)
    before = {path: path.read_bytes() for path in out.rglob("*.speech")}
    status, lines = await render(application, application.parent / "next.vxml", out=out)
    assert status == ALL_RENDERED
    assert not states(lines, "rendered")
    assert {path: path.read_bytes() for path in out.rglob("*.speech")} == before
    assert lines[-1].startswith("0 rendered, 12 there before")


async def test_a_call_finds_what_was_rendered(application: Path) -> None:
    out = application.parent / "out"
    await render(application, out=out)
    settings = load(None, {}).tts.model_copy(update={"cache_folder": out})
    engines = voices(settings, VirtualClock())
    await engines.start()
    cache = synthesizer(engines, settings, SystemClock())
    document = compile_document(START.encode(), application.as_uri())
    for static in static_prompts(document, "en"):
        for segment in static.prompt.segments if static.prompt else ():
            assert isinstance(segment, SpeechSegment)
            request = SpeechRequest(segment.ssml, segment.lang, is_fixed=True)
            assert (await speech_of(cache.stream(request))).duration > 0.3
    await engines.close()
    assert (cache.disk_hits, cache.misses) == (1, 0)


async def test_the_folder_of_the_settings_is_used(application: Path) -> None:
    config = application.parent / "server.toml"
    folder = application.parent / "kept"
    config.write_text(f'[tts]\ncache_folder = "{folder.as_posix()}"\ncache_calls = false\n')
    status, lines = await render(application, out=None, config=config)
    assert status == ALL_RENDERED
    assert lines[-1].endswith(str(folder))
    assert list(folder.rglob("*.speech"))


async def test_a_document_that_is_missing_fails_if_it_was_named(application: Path) -> None:
    (application.parent / "next.vxml").unlink()
    out = application.parent / "out"
    assert (await render(application, out=out))[0] == ALL_RENDERED
    status, lines = await render(application.parent / "next.vxml", application, out=out)
    assert status == SOME_NOT
    assert len(states(lines, "failed")) == 1


@pytest.fixture
def exotic(application: Path) -> Path:
    document = START.replace("Welcome.", '<prompt xml:lang="x-none">a</prompt> Welcome.')
    application.write_text(document)
    return application


async def test_a_language_that_nobody_speaks_is_a_failure_and_the_rest_is_rendered(
    exotic: Path,
) -> None:
    status, lines = await render(exotic, out=exotic.parent / "out")
    assert status == SOME_NOT
    assert any("error.unsupported.language" in line for line in states(lines, "failed"))
    assert any("Welcome." in line for line in states(lines, "rendered"))


async def test_a_folder_that_takes_nothing_is_a_failure(application: Path) -> None:
    out = application.parent / "file"
    out.write_bytes(b"")
    status, lines = await render(application, out=out)
    assert status == SOME_NOT
    assert not states(lines, "rendered")


@pytest.mark.parametrize("text", ["[tts]\nengine = 1\n", "[tts]\nengines = ['nobody']\n", ""])
async def test_settings_that_cannot_be_used_are_bad_usage(application: Path, text: str) -> None:
    config = application.parent / "server.toml"
    config.write_text(text)
    status, lines = await render(application, out=None, config=config)
    assert status == BAD_USAGE
    assert lines
