from __future__ import annotations

import asyncio

import numpy as np
import pytest

from vxml_server.events import VoiceXmlEvent
from vxml_server.tts import CachingSynthesizer, Speech, SpeechRequest


class Engine:
    """Speaks a thousand samples when it is let; counts what it was asked."""

    def __init__(self) -> None:
        self.identity = "test 1"
        self.asked: list[str] = []
        self.cancelled = 0
        self.allowed = asyncio.Event()
        self.allowed.set()
        self.error: VoiceXmlEvent | None = None

    async def synthesize(self, request: SpeechRequest) -> Speech:
        self.asked.append(request.ssml)
        try:
            await self.allowed.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return Speech(np.zeros(1000, np.int16))


def request(text: str, lang: str = "fr") -> SpeechRequest:
    return SpeechRequest(text, lang)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_prompt_said_before_is_not_said_again() -> None:
    engine = Engine()
    cache = CachingSynthesizer(engine)
    first = await cache.synthesize(request("a"))
    assert await cache.synthesize(request("a")) is first
    assert engine.asked == ["a"]
    assert (cache.hits, cache.misses) == (1, 1)


async def test_what_sounds_different_is_another_prompt() -> None:
    engine = Engine()
    cache = CachingSynthesizer(engine)
    await cache.synthesize(request("a"))
    await cache.synthesize(request("a", "en"))
    await cache.synthesize(SpeechRequest("a", "fr", voice="f3"))
    await cache.synthesize(SpeechRequest("a", "fr", gender="female"))
    engine.identity = "test 2"
    await cache.synthesize(request("a"))
    assert cache.misses == 5
    assert cache.identity == "test 2"


async def test_two_hundred_calls_asking_at_once_share_one_synthesis() -> None:
    engine = Engine()
    engine.allowed.clear()
    cache = CachingSynthesizer(engine)
    tasks = [asyncio.create_task(cache.synthesize(request("a"))) for _ in range(200)]
    await settle()
    engine.allowed.set()
    speeches = await asyncio.gather(*tasks)
    assert engine.asked == ["a"]
    assert len({id(speech) for speech in speeches}) == 1
    assert (cache.hits, cache.misses) == (199, 1)


async def test_one_that_gives_up_does_not_take_the_prompt_from_the_others() -> None:
    engine = Engine()
    engine.allowed.clear()
    cache = CachingSynthesizer(engine)
    one, other = (asyncio.create_task(cache.synthesize(request("a"))) for _ in range(2))
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
    task = asyncio.create_task(cache.synthesize(request("a")))
    await settle()
    task.cancel()
    # before the cancellation has reached the engine
    again = asyncio.create_task(cache.synthesize(request("a")))
    await settle()
    assert task.cancelled()
    engine.allowed.set()
    assert (await again).duration == 0.125
    assert (engine.cancelled, len(engine.asked)) in {(1, 2), (0, 1)}
    lone = asyncio.create_task(cache.synthesize(request("b")))
    engine.allowed.clear()
    await settle()
    lone.cancel()
    await settle()
    assert engine.cancelled >= 1
    assert (await cache.synthesize(request("a"))).duration == 0.125


async def test_failures_reach_everyone_and_are_not_kept() -> None:
    engine = Engine()
    engine.error = VoiceXmlEvent("error.unsupported.language", "no voice")
    cache = CachingSynthesizer(engine)
    tasks = [asyncio.create_task(cache.synthesize(request("a"))) for _ in range(2)]
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, VoiceXmlEvent)
    engine.error = None
    assert (await cache.synthesize(request("a"))).duration == 0.125


async def test_what_was_not_asked_for_the_longest_goes_first() -> None:
    engine = Engine()
    cache = CachingSynthesizer(engine, max_bytes=3 * 2600)
    for text in ("a", "b", "c"):
        await cache.synthesize(request(text))
    assert cache.bytes <= 3 * 2600
    await cache.synthesize(request("a"))
    await cache.synthesize(request("d"))
    engine.asked.clear()
    for text in ("a", "c", "d", "b"):
        await cache.synthesize(request(text))
    assert engine.asked == ["b"]
    assert cache.bytes <= 3 * 2600


@pytest.mark.parametrize("max_bytes", [0, 1000])
async def test_a_prompt_larger_than_the_cache_is_said_but_not_kept(max_bytes: int) -> None:
    cache = CachingSynthesizer(Engine(), max_bytes=max_bytes)
    await cache.synthesize(request("a"))
    assert cache.bytes == 0
    await cache.synthesize(request("a"))
    assert cache.misses == 2


async def test_the_operator_s_voice_is_for_its_language_and_its_regions() -> None:
    engine = Engine()
    heard: list[str | None] = []
    speak = engine.synthesize

    async def note(request: SpeechRequest) -> Speech:
        heard.append(request.voice)
        return await speak(request)

    engine.synthesize = note  # type: ignore[method-assign]
    cache = CachingSynthesizer(engine, voices={"fr": "f1", "fr-CA": "f2"})
    for lang in ("fr", "fr-FR", "fr-ca", "en"):
        await cache.synthesize(request("a", lang))
    await cache.synthesize(SpeechRequest("a", "fr", voice="asked"))
    assert heard == ["f1", "f1", "f2", None, "asked"]
