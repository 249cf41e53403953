from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from tests.tts.engines import ToneEngine
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.tts import (
    CachingSynthesizer,
    Chunk,
    Speech,
    SpeechRequest,
    Voice,
    Voices,
    speech_of,
)
from vxml_server.tts.cache import MAX_SECONDS
from vxml_server.tts.speech import RATE


class Engine:
    """Speaks a thousand samples when it is let; counts what it was asked."""

    def __init__(self) -> None:
        self.identity = "test 1"
        self.asked: list[str] = []
        self.cancelled = 0
        self.allowed = asyncio.Event()
        self.allowed.set()
        self.error: VoiceXmlEvent | None = None
        self.error_later: VoiceXmlEvent | None = None
        self.pause = asyncio.Event()
        self.pause.set()

    async def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
        self.asked.append(request.ssml)
        try:
            await self.allowed.wait()
            if self.error is not None:
                raise self.error
            yield Chunk(np.zeros(600, np.int16))
            await self.pause.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error_later is not None:
            raise self.error_later
        yield Chunk(np.zeros(400, np.int16))


def request(text: str, lang: str = "fr") -> SpeechRequest:
    return SpeechRequest(text, lang)


async def say(cache: CachingSynthesizer, request: SpeechRequest) -> Speech:
    return await speech_of(cache.stream(request))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_prompt_said_before_is_not_said_again() -> None:
    engine = Engine()
    cache = CachingSynthesizer(engine)
    first = await say(cache, request("a"))
    assert np.array_equal((await say(cache, request("a"))).pcm, first.pcm)
    assert engine.asked == ["a"]
    assert (cache.hits, cache.misses) == (1, 1)


async def test_what_is_kept_comes_in_one_chunk_which_is_always_the_same_object() -> None:
    cache = CachingSynthesizer(Engine())
    await say(cache, request("a"))
    (first,) = [chunk async for chunk in cache.stream(request("a"))]
    (second,) = [chunk async for chunk in cache.stream(request("a"))]
    assert first is second
    assert first.is_last
    assert len(first.pcm) == 1000


async def test_documents_that_differ_in_layout_alone_are_one_prompt() -> None:
    engine = Engine()
    cache = CachingSynthesizer(engine)
    await say(cache, request('<speak><s a="1" b="2">Bonjour  à\n tous</s></speak>'))
    await say(cache, request("<speak><s b='2'  a='1'>Bonjour à tous</s ><!-- x --></speak>"))
    assert cache.misses == 1
    await say(cache, request('<speak><s a="1" b="2">Bonjourà tous</s></speak>'))
    assert cache.misses == 2


async def test_who_joins_a_synthesis_under_way_hears_it_from_its_beginning() -> None:
    engine = Engine()
    engine.pause.clear()
    cache = CachingSynthesizer(engine)
    early, late = cache.stream(request("a")), cache.stream(request("a"))
    assert [len((await anext(stream)).pcm) for stream in (early, late)] == [600, 600]
    engine.pause.set()
    assert [len((await anext(stream)).pcm) for stream in (early, late)] == [400, 400]
    assert [[chunk async for chunk in stream] for stream in (early, late)] == [[], []]
    assert engine.asked == ["a"]


async def test_a_stream_that_is_left_half_way_is_stopped_and_not_kept() -> None:
    engine = Engine()
    engine.pause.clear()
    cache = CachingSynthesizer(engine)
    stream = cache.stream(request("a"))
    await anext(stream)
    await stream.aclose()
    await settle()
    assert engine.cancelled == 1
    assert cache.bytes == 0
    engine.pause.set()
    assert (await say(cache, request("a"))).duration == 0.125


async def test_a_failure_in_the_middle_comes_after_what_was_made_and_nothing_is_kept() -> None:
    engine = Engine()
    engine.error_later = VoiceXmlEvent("error.noresource", "gone")
    cache = CachingSynthesizer(engine)
    stream = cache.stream(request("a"))
    assert len((await anext(stream)).pcm) == 600
    with pytest.raises(VoiceXmlEvent):
        await anext(stream)
    assert cache.bytes == 0


class EndlessEngine:
    """Speaks minute after minute; nobody has to listen for that."""

    identity = "endless"

    def __init__(self) -> None:
        self.minutes = 0
        self.is_closed = False

    async def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
        try:
            while True:
                self.minutes += 1
                yield Chunk(np.zeros(60 * RATE, np.int16))
                await asyncio.sleep(0)
        finally:
            self.is_closed = True


async def test_a_prompt_is_given_up_where_it_becomes_too_long_and_what_came_before_is_heard() -> (
    None
):
    engine = EndlessEngine()
    cache = CachingSynthesizer(engine)
    heard = 0
    with pytest.raises(VoiceXmlEvent, match="longer than 1800 s") as caught:
        async for chunk in cache.stream(request("a")):
            heard += len(chunk.pcm)
    assert caught.value.name == "error.semantic"
    assert heard == MAX_SECONDS * RATE
    assert (engine.minutes, engine.is_closed) == (MAX_SECONDS / 60 + 1, True)
    assert cache.bytes == 0


async def test_whoever_listens_hears_of_the_end_when_others_cancel_the_work() -> None:
    class ClosedEngine:
        identity = "closed"

        async def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
            yield Chunk(np.zeros(600, np.int16))
            work = asyncio.get_running_loop().create_future()
            work.cancel()  # by whoever closes the engine
            await work

    cache = CachingSynthesizer(ClosedEngine())
    stream = cache.stream(request("a"))
    assert len((await anext(stream)).pcm) == 600
    with pytest.raises(VoiceXmlEvent, match="given up") as caught:
        await asyncio.wait_for(anext(stream), 20)
    assert caught.value.name == "error.noresource"


async def test_what_sounds_different_is_another_prompt() -> None:
    engine = Engine()
    cache = CachingSynthesizer(engine)
    await say(cache, request("a"))
    await say(cache, request("a", "en"))
    await say(cache, SpeechRequest("a", "fr", voice="f3"))
    await say(cache, SpeechRequest("a", "fr", gender="female"))
    engine.identity = "test 2"
    await say(cache, request("a"))
    assert cache.misses == 5
    assert cache.identity == "test 2"


async def test_two_hundred_calls_asking_at_once_share_one_synthesis() -> None:
    engine = Engine()
    engine.allowed.clear()
    cache = CachingSynthesizer(engine)
    tasks = [asyncio.create_task(say(cache, request("a"))) for _ in range(200)]
    await settle()
    engine.allowed.set()
    speeches = await asyncio.gather(*tasks)
    assert engine.asked == ["a"]
    assert {len(speech.pcm) for speech in speeches} == {1000}
    assert (cache.hits, cache.misses) == (199, 1)


async def test_one_that_gives_up_does_not_take_the_prompt_from_the_others() -> None:
    engine = Engine()
    engine.allowed.clear()
    cache = CachingSynthesizer(engine)
    one, other = (asyncio.create_task(say(cache, request("a"))) for _ in range(2))
    await settle()
    one.cancel()
    await settle()
    assert one.cancelled()
    engine.allowed.set()
    assert (await other).duration == 0.125
    assert engine.cancelled == 0


async def test_a_synthesis_that_nobody_waits_for_is_cancelled_and_can_be_asked_for_again() -> None:
    engine = Engine()
    engine.allowed.clear()
    cache = CachingSynthesizer(engine)
    task = asyncio.create_task(say(cache, request("a")))
    await settle()
    task.cancel()
    # before the cancellation has reached the engine
    again = asyncio.create_task(say(cache, request("a")))
    await settle()
    assert task.cancelled()
    engine.allowed.set()
    assert (await again).duration == 0.125
    assert (engine.cancelled, len(engine.asked)) in {(1, 2), (0, 1)}
    lone = asyncio.create_task(say(cache, request("b")))
    engine.allowed.clear()
    await settle()
    lone.cancel()
    await settle()
    assert engine.cancelled >= 1
    assert (await say(cache, request("a"))).duration == 0.125


async def test_failures_reach_everyone_and_are_not_kept() -> None:
    engine = Engine()
    engine.error = VoiceXmlEvent("error.unsupported.language", "no voice")
    cache = CachingSynthesizer(engine)
    tasks = [asyncio.create_task(say(cache, request("a"))) for _ in range(2)]
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, VoiceXmlEvent)
    engine.error = None
    assert (await say(cache, request("a"))).duration == 0.125


async def test_what_was_not_asked_for_the_longest_goes_first() -> None:
    engine = Engine()
    cache = CachingSynthesizer(engine, max_bytes=3 * 2600)
    for text in ("a", "b", "c"):
        await say(cache, request(text))
    assert cache.bytes <= 3 * 2600
    await say(cache, request("a"))
    await say(cache, request("d"))
    engine.asked.clear()
    for text in ("a", "c", "d", "b"):
        await say(cache, request(text))
    assert engine.asked == ["b"]
    assert cache.bytes <= 3 * 2600


@pytest.mark.parametrize("max_bytes", [0, 1000])
async def test_a_prompt_larger_than_the_cache_is_said_but_not_kept(max_bytes: int) -> None:
    cache = CachingSynthesizer(Engine(), max_bytes=max_bytes)
    await say(cache, request("a"))
    assert cache.bytes == 0
    await say(cache, request("a"))
    assert cache.misses == 2


@pytest.mark.parametrize(
    ("content", "lang", "heard"),
    [
        ("un", "fr", ["f1"]),
        ("un", "fr-FR", ["f1"]),
        ("un", "fr-ca", ["f2"]),
        ("eins", "de", ["d0"]),
        ("one <s xml:lang='fr'>deux</s><s xml:lang='fr-CA'>trois</s>", "en", ["e0", "f1", "f2"]),
        ("<voice name='f3'>un <s xml:lang='de'>zwei</s></voice> trois", "fr", ["f3", "d0", "f1"]),
        ("<voice gender='male'>un</voice><voice variant='2'>deux</voice>", "fr", ["f0", "f0"]),
    ],
)
async def test_the_operator_s_voices_are_for_their_languages_wherever_no_other_is_asked_for(
    content: str, lang: str, heard: list[str]
) -> None:
    named = [Voice(f"f{number}", "fr") for number in range(4)]
    engine = ToneEngine("tone", *named, Voice("e0", "en"), Voice("d0", "de"))
    voices = Voices([engine], VirtualClock())
    cache = CachingSynthesizer(voices, voices={"fr": "f1", "fr-CA": "f2"})
    await say(cache, request(f"<speak>{content}</speak>", lang))
    assert [voice for _, voice in engine.asked] == heard


async def test_a_voice_of_the_request_goes_before_the_operator_s() -> None:
    engine = ToneEngine("tone", Voice("f0", "fr"), Voice("f1", "fr"), Voice("f2", "fr"))
    cache = CachingSynthesizer(Voices([engine], VirtualClock()), voices={"fr": "f1"})
    await say(cache, SpeechRequest("<speak>un</speak>", "fr", voice="f2"))
    assert [voice for _, voice in engine.asked] == ["f2"]
