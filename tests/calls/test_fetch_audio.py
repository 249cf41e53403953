"""What a caller hears while a document is fetched (VoiceXML 2.0 section 6.1.5)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.calls.line import Line
from vxml_server.audio import encode_wav
from vxml_server.calls.fetch_audio import AT_HAND
from vxml_server.fetch import Resource
from vxml_server.interpreter import AudioSegment, Waiting

SOUND = encode_wav(np.zeros(4000, np.int16))
PAGE = Resource("http://test/", 200, "", "", b"")


def waiting(delay: float = 2.0, minimum: float = 5.0, data: bytes = SOUND) -> Waiting:
    return Waiting(AudioSegment(data=data, media_type="audio/x-wav"), delay, minimum)


class Fetch:
    """A fetch that lasts as long as the test says, and the wait for it."""

    def __init__(self, line: Line, wanted: Waiting) -> None:
        self.line = line
        self.work: asyncio.Future[Resource] = asyncio.get_running_loop().create_future()
        self.wait = asyncio.create_task(line.platform.play_while(wanted, self.work))

    async def at(self, seconds: float, *, done: bool = False) -> None:
        await self.line.at(seconds)
        # The sound is decoded beside the loop, by the one thread that there is.
        await asyncio.to_thread(lambda: None)
        await self.line.clock.settle()
        if done:
            self.work.set_result(PAGE)
            await self.line.clock.settle()


@pytest.fixture
async def line() -> Line:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    return Line().up()


async def test_a_document_that_comes_soon_is_not_accompanied(line: Line) -> None:
    fetch = Fetch(line, waiting())
    await fetch.at(1.9, done=True)
    assert fetch.wait.done()
    assert line.channel.played == []


async def test_the_audio_begins_after_its_delay_and_lasts_for_its_minimum(line: Line) -> None:
    fetch = Fetch(line, waiting())
    await fetch.at(2.1)
    assert [began for _, began in line.channel.played] == [pytest.approx(2.1, abs=0.11)]
    await fetch.at(3.0, done=True)
    assert line.channel.is_playing
    assert not fetch.wait.done()
    await fetch.at(7.2)
    assert fetch.wait.done()
    assert not line.channel.is_playing


async def test_it_goes_on_until_the_document_is_there(line: Line) -> None:
    fetch = Fetch(line, waiting())
    await fetch.at(2.1)
    await fetch.at(20.0)
    assert line.channel.is_playing
    await fetch.at(21.0, done=True)
    assert fetch.wait.done()
    assert not line.channel.is_playing


async def test_without_a_delay_what_is_in_the_cache_is_not_accompanied(line: Line) -> None:
    fetch = Fetch(line, waiting(delay=0.0))
    await fetch.at(AT_HAND / 2, done=True)
    assert fetch.wait.done()
    assert line.channel.played == []


async def test_keys_pressed_over_the_audio_are_lost(line: Line) -> None:
    fetch = Fetch(line, waiting(delay=0.0, minimum=0.0))
    await fetch.at(1.0)
    line.channel.press("1")
    await fetch.at(2.0, done=True)
    assert fetch.wait.done()
    assert line.leg.events.take_keys() == []


@pytest.mark.parametrize("moment", [1.0, 4.0])
async def test_no_wait_outlasts_the_caller(line: Line, moment: float) -> None:
    fetch = Fetch(line, waiting())
    await fetch.at(moment)
    line.call.bye()
    await fetch.at(moment + 0.1)
    assert fetch.wait.done()
    assert not line.channel.is_playing


async def test_audio_that_cannot_be_had_leaves_silence(line: Line) -> None:
    fetch = Fetch(line, waiting(data=b"no sound"))
    await fetch.at(3.0)
    await fetch.at(4.0, done=True)
    assert fetch.wait.done()
    assert line.channel.played == []
