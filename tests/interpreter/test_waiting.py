"""`fetchaudio` (VoiceXML 2.0 sections 4.1.8 and 6.1.5): what is asked of the platform."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.interpreter.harness import MAIN, Web, vxml
from vxml_server.fetch import Resource
from vxml_server.interpreter import Prompt, Session, Waiting
from vxml_server.interpreter.cues import Cues
from vxml_server.interpreter.scripted import ScriptedPlatform
from vxml_server.interpreter.trace import ignore

EMPTY = vxml("<form><block><exit/></block></form>")


class Patient(ScriptedPlatform):
    """A platform that writes down what is heard while something is fetched."""

    def __init__(self, web: Web) -> None:
        super().__init__(Cues((), ignore), web)
        self.heard: list[Waiting | str] = []

    async def play(self, prompts: Sequence[Prompt]) -> None:
        self.heard += [segment.text for prompt in prompts for segment in prompt.segments]  # type: ignore[union-attr]

    async def play_while(self, waiting: Waiting, work: asyncio.Future[Resource]) -> None:
        self.heard.append(waiting)
        await super().play_while(waiting, work)


async def run(content: str, properties: str = "") -> list[Waiting | str]:
    pages = {"main.vxml": vxml(f"{properties}<form>{content}</form>"), "next": EMPTY, "d": "<a/>"}
    web = Web(pages)
    platform = Patient(web)
    await Session(platform, web).run(MAIN)
    return platform.heard


@pytest.mark.parametrize(
    "content",
    [
        '<block><goto next="next" fetchaudio="wait.wav"/></block>',
        '<block><submit next="next" fetchaudio="wait.wav"/></block>',
        '<block><data src="d" fetchaudio="wait.wav"/></block>',
        '<subdialog src="next" fetchaudio="wait.wav"/>',
    ],
)
async def test_elements_that_fetch_documents_have_it(content: str) -> None:
    [waiting] = await run(content)
    assert isinstance(waiting, Waiting)
    assert waiting.audio.uri == "http://test/wait.wav"
    assert (waiting.delay, waiting.minimum) == (2.0, 5.0)


async def test_the_property_is_the_default_and_has_its_times() -> None:
    properties = (
        '<property name="fetchaudio" value="music.wav"/>'
        '<property name="fetchaudiodelay" value="500ms"/>'
        '<property name="fetchaudiominimum" value="1s"/>'
    )
    [waiting] = await run('<block><goto next="next"/></block>', properties)
    assert isinstance(waiting, Waiting)
    assert (waiting.audio.uri, waiting.delay, waiting.minimum) == (
        "http://test/music.wav",
        0.5,
        1.0,
    )


async def test_what_is_queued_is_heard_before_it() -> None:
    content = '<block>One moment.<goto next="next" fetchaudio="wait.wav"/></block>'
    queued, waiting = await run(content)
    assert queued == "One moment."
    assert isinstance(waiting, Waiting)


async def test_without_it_what_is_queued_stays_queued() -> None:
    assert await run('<block>One moment.<goto next="next"/></block>') == ["One moment."]


async def test_a_dialog_of_the_same_document_is_not_fetched() -> None:
    content = '<block><goto next="#two" fetchaudio="wait.wav"/></block>'
    other = '</form><form id="two"><block><exit/></block>'
    assert await run(content + other) == []


async def test_what_cannot_be_fetched_is_an_error_after_the_audio() -> None:
    content = '<catch event="error.badfetch"><exit/></catch>'
    heard = await run(f'{content}<block><goto next="none" fetchaudio="wait.wav"/></block>')
    assert len(heard) == 1
