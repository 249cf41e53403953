"""Prompts that are heard while they are made, and the marks in them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from tests.calls.line import Line, prompt
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import (
    InputKind,
    InputResult,
    Prompt,
    SpeechSegment,
)
from vxml_server.tts import Chunk, Mark, SpeechRequest


class Slow:
    """Says what it is told, piece by piece: seconds to wait, seconds of speech, marks, failures."""

    identity = "slow"

    def __init__(self, line: Line, *steps: float | Chunk | VoiceXmlEvent) -> None:
        self._clock = line.clock
        self._steps = steps
        self.was_closed = False
        line.synthesizer.stream = self.stream

    async def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
        try:
            for step in self._steps:
                if isinstance(step, VoiceXmlEvent):
                    raise step
                if isinstance(step, Chunk):
                    yield step
                else:
                    await self._clock.sleep(step)
        finally:
            self.was_closed = True


def spoken(seconds: float, *marks: tuple[str, float]) -> Chunk:
    pcm = np.ones(round(seconds * 8000), np.int16)
    return Chunk(pcm, tuple(Mark(name, at) for name, at in marks))


@pytest.fixture
async def line() -> Line:
    return Line().up()


async def test_a_prompt_begins_with_its_first_words(line: Line) -> None:
    Slow(line, 0.5, spoken(2.0), 1.0, spoken(3.0))
    wait = line.listen(prompt("long"))
    await line.at(0.6)
    assert [at for _, at in line.channel.played] == [0.5]
    await line.at(5.4)
    assert line.channel.is_playing
    await line.at(5.6)
    assert not line.channel.is_playing
    await line.at(10.4)
    assert not wait.done()
    await line.at(10.6)
    assert (await wait).kind is InputKind.NOINPUT


async def test_a_failure_in_the_middle_of_a_prompt_comes_after_what_was_made(line: Line) -> None:
    Slow(line, spoken(2.0), 0.5, VoiceXmlEvent("error.noresource", "gone"))
    wait = line.listen(prompt("long"), prompt("next"))
    await line.at(1.9)
    assert line.channel.is_playing
    assert not wait.done()
    await line.at(2.1)
    with pytest.raises(VoiceXmlEvent):
        await wait
    assert len(line.channel.played) == 1
    assert line.said() == ["long"]


async def test_a_key_stops_the_making_of_a_prompt(line: Line) -> None:
    slow = Slow(line, spoken(2.0), 100.0, spoken(2.0))
    wait = line.listen(prompt("long"))
    await line.at(1.0, "12")
    assert (await wait).kind is InputKind.MATCH
    assert slow.was_closed
    assert not line.channel.is_playing
    assert line.said() == ["long"]


async def test_a_prompt_that_is_stopped_is_told_of_before_the_input(line: Line) -> None:
    Slow(line, spoken(2.0), 100.0, spoken(2.0))
    wait = line.listen(prompt("long"))
    await line.at(1.0, "12")
    await wait
    assert [kind for kind, _ in line.trace] == ["prompt", "input"]


async def test_the_next_prompt_is_made_while_the_first_is_heard(line: Line) -> None:
    Slow(line, 1.0, spoken(3.0))
    line.listen(prompt("one"), prompt("two"))
    await line.at(4.1)
    assert [at for _, at in line.channel.played] == [1.0, 4.0]


# Marks -------------------------------------------------------------------------------------------


async def marked(wait: asyncio.Task[InputResult]) -> tuple[str | None, float | None]:
    result = await wait
    return result.mark_name, result.mark_time


async def test_a_mark_of_a_chunk_that_came_later_is_found(line: Line) -> None:
    Slow(line, spoken(1.0, ("a", 0.5)), 0.5, spoken(2.0, ("b", 1.25), ("c", 2.5)))
    wait = line.listen(prompt("long"))
    await line.at(2.0, "12")
    assert await marked(wait) == ("b", 0.75)


async def test_marks_count_from_the_piece_they_are_in(line: Line) -> None:
    Slow(line, spoken(1.0, ("a", 0.25)))
    wait = line.listen(prompt("one"), prompt("two"), prompt("three"))
    await line.at(1.5, "12")
    assert await marked(wait) == ("a", 0.25)


async def test_the_time_of_a_mark_goes_on_through_the_next_sounds(line: Line) -> None:
    line.synthesizer.marks["one"] = (Mark("a", 0.25),)
    segments = tuple(SpeechSegment(f"<speak>{t}</speak>", t, "en") for t in ("one", "two"))
    wait = line.listen(Prompt(segments, "en"), prompt("three"))
    await line.at(2.25, "12")
    assert await marked(wait) == ("a", 2.0)


async def test_silence_for_want_of_speech_is_no_time_of_the_prompt(line: Line) -> None:
    """The caller heard half a second after the mark, however long that took."""
    Slow(line, spoken(1.0, ("a", 0.5)), 3.0, spoken(5.0, ("b", 5.5)))
    wait = line.listen(prompt("long"))
    await line.at(2.0, "12")
    name, seconds = await marked(wait)
    assert name == "a"
    assert seconds == pytest.approx(0.5, abs=0.02)


async def test_a_mark_at_the_beginning_of_what_was_not_heard_is_not_reached(line: Line) -> None:
    Slow(line, spoken(1.0, ("a", 0.0)))
    wait = line.listen(prompt("one"), prompt("two"))
    await line.at(0.5, "12")
    assert await marked(wait) == ("a", 0.5)


async def test_marks_alone_are_reached_in_their_turn(line: Line) -> None:
    Slow(line, Chunk(np.zeros(0, np.int16), (Mark("only", 0.0),)))
    wait = line.listen(prompt("one"))
    await line.at(1.0, "12")
    assert (await marked(wait))[0] == "only"
