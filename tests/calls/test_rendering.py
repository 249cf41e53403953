from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest
import structlog

from tests.calls.fake_speech import FakeSynthesizer
from tests.calls.world import FakeFetcher
from vxml_server.audio import encode_wav
from vxml_server.calls import PromptRenderer, SoundCache
from vxml_server.calls.rendering import Piece
from vxml_server.calls.ringback import ringback
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest
from vxml_server.interpreter import AudioSegment, Prompt, Segment, SpeechSegment
from vxml_server.media import Sound
from vxml_server.tts import Chunk, Mark, SpeechRequest, load_lexicon


def wav(seconds: float = 0.5) -> bytes:
    return encode_wav(np.ones(round(8000 * seconds), np.int16))


def silence(samples: int) -> Sound:
    return Sound(np.zeros(samples, np.int16))


def speech(text: str) -> SpeechSegment:
    return SpeechSegment(f"<speak>{text}</speak>", text, "en")


def audio(name: str, *fallback: Segment) -> AudioSegment:
    return AudioSegment(FetchRequest(f"http://apps.test/{name}"), fallback=fallback)


class Rendered:
    """All pieces of a prompt."""

    def __init__(self, pieces: list[Piece]) -> None:
        self.sounds = [piece.sound for piece in pieces]
        self.text = [piece.text for piece in pieces if piece.text]
        self.audio = [piece.audio for piece in pieces if piece.audio]
        self.marks = [piece.marks for piece in pieces]
        self.seconds = sum(sound.seconds for sound in self.sounds)


async def rendered(renderer: PromptRenderer, prompt: Prompt) -> Rendered:
    return Rendered([piece async for piece in renderer.render(prompt)])


class Studio:
    def __init__(self, capacity: int = 1_000_000) -> None:
        self.clock = VirtualClock()
        self.fetcher = FakeFetcher(self.clock)
        self.synthesizer = FakeSynthesizer(self.clock)
        self.sounds = SoundCache(capacity)
        self.renderer = PromptRenderer(self.fetcher, self.synthesizer, self.sounds)

    def file(self, name: str, body: bytes, media_type: str = "audio/x-wav") -> None:
        self.fetcher.files[f"http://apps.test/{name}"] = body
        self.fetcher.media_types[f"http://apps.test/{name}"] = media_type

    async def render(self, *segments: Segment) -> Rendered:
        return await rendered(self.renderer, Prompt(segments, "en"))


async def test_speech_and_audio_are_sounds_in_their_order() -> None:
    studio = Studio()
    studio.file("a.wav", wav(0.5))
    studio.synthesizer.marks["two"] = (Mark("m", 0.25),)
    made = await studio.render(speech("one"), audio("a.wav"), speech("two"))
    assert [sound.seconds for sound in made.sounds] == [1.0, 0.5, 1.0]
    assert made.text == ["one", "two"]
    assert made.audio == ["http://apps.test/a.wav"]
    assert made.marks == [[], [], [("m", 0.25)]]
    assert made.seconds == 2.5


async def test_a_file_that_is_missing_is_replaced_by_its_fallback() -> None:
    studio = Studio()
    made = await studio.render(audio("missing.wav", speech("sorry")))
    assert made.text == ["sorry"]
    assert made.audio == []


async def test_a_file_that_is_no_audio_is_replaced_by_its_fallback() -> None:
    studio = Studio()
    studio.file("a.wav", b"<html>not found</html>", "text/html")
    assert (await studio.render(audio("a.wav", speech("sorry")))).text == ["sorry"]


async def test_fallbacks_nest() -> None:
    studio = Studio()
    studio.file("b.wav", b"", "audio/x-wav")
    studio.file("c.wav", wav(0.25))
    made = await studio.render(
        audio("a.wav", audio("b.wav", speech("first"), audio("c.wav", speech("never"))))
    )
    assert made.text == ["first"]
    assert made.audio == ["http://apps.test/c.wav"]


async def test_a_fallback_is_not_rendered_when_it_is_not_needed() -> None:
    studio = Studio()
    studio.file("a.wav", wav())
    await studio.render(audio("a.wav", speech("sorry")))
    assert studio.synthesizer.said == []


async def test_audio_without_anything_to_play_is_silent() -> None:
    made = await Studio().render(AudioSegment())
    assert made.sounds == []


async def test_speech_that_cannot_be_synthesised_is_an_event() -> None:
    studio = Studio()
    studio.synthesizer.failing.add("one")
    with pytest.raises(VoiceXmlEvent):
        await studio.render(speech("one"))


async def test_the_same_prompt_is_the_same_sound_in_all_calls() -> None:
    studio = Studio()
    studio.file("a.wav", wav())
    other = PromptRenderer(studio.fetcher, studio.synthesizer, studio.sounds)
    prompt = Prompt((speech("one"), audio("a.wav")), "en")
    first, second = await rendered(studio.renderer, prompt), await rendered(other, prompt)
    assert [id(sound) for sound in first.sounds] == [id(sound) for sound in second.sounds]


async def test_calls_that_want_a_file_at_once_share_its_decoding() -> None:
    studio = Studio()
    studio.file("a.wav", wav())
    renders = [studio.render(audio("a.wav")) for _ in range(5)]
    made = await asyncio.gather(*renders)
    assert len({id(one.sounds[0]) for one in made}) == 1


async def test_one_who_gives_up_does_not_spoil_the_decoding_for_others() -> None:
    studio = Studio()
    studio.file("a.wav", wav())
    first = asyncio.create_task(studio.render(audio("a.wav")))
    await asyncio.sleep(0)
    second = asyncio.create_task(studio.render(audio("a.wav")))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).audio == ["http://apps.test/a.wav"]
    assert first.cancelled()


async def test_a_changed_file_is_another_sound() -> None:
    studio = Studio()
    studio.file("a.wav", wav(0.5))
    await studio.render(audio("a.wav"))
    studio.file("a.wav", wav(0.25))
    assert (await studio.render(audio("a.wav"))).seconds == 0.25


async def test_a_recording_in_memory_is_played_and_not_kept() -> None:
    studio = Studio()
    for seconds in (0.5, 0.25):
        made = await studio.render(AudioSegment(data=wav(seconds), media_type="audio/x-wav"))
        assert made.seconds == seconds
        assert made.audio == []
    assert studio.sounds.bytes == 0


# The cache ---------------------------------------------------------------------------------------


def test_a_sound_that_is_put_again_counts_once() -> None:
    cache = SoundCache(1000)
    for _ in range(10):
        cache.put("a", silence(100))
    assert cache.bytes == 400


def test_the_least_recently_used_sounds_go_first() -> None:
    cache = SoundCache(1000)
    for key in "ab":
        cache.put(key, silence(100))
    cache.get("a")
    cache.put("c", silence(100))
    assert [cache.get(key) is not None for key in "abc"] == [True, False, True]
    assert cache.bytes == 800


def test_a_sound_larger_than_the_cache_is_played_and_not_kept() -> None:
    cache = SoundCache(1000)
    cache.put("a", silence(100))
    assert len(cache.put("b", silence(1000))) == 1000
    assert cache.bytes == 0


async def test_what_cannot_be_made_is_tried_again() -> None:
    cache = SoundCache(1000)

    def fail() -> Sound:
        raise VoiceXmlEvent("error.badfetch")

    with pytest.raises(VoiceXmlEvent):
        await cache.make("a", fail)
    assert len(await cache.make("a", lambda: silence(10))) == 10
    assert await cache.make("a", fail) is cache.get("a")


# Ringing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "seconds", "tones"), [("en-US", 6.0, (440, 480)), ("fr-FR", 5.0, (440,))]
)
def test_ringing_sounds_as_in_the_country(
    lang: str, seconds: float, tones: tuple[int, ...]
) -> None:
    sound = ringback(lang)
    assert sound.seconds == seconds
    spectrum = np.abs(np.fft.rfft(sound.pcm[:8000].astype(float)))
    assert set(np.argsort(spectrum)[-len(tones) :]) == set(tones)
    assert ringback(lang) is sound
    assert not sound.pcm[-8000:].any()


def test_a_language_without_a_cadence_rings_as_in_english() -> None:
    assert len(ringback("xx")) == len(ringback("en"))


async def test_what_of_a_prompt_is_not_understood_is_logged_once() -> None:
    class Puzzled(FakeSynthesizer):
        whole = Chunk(np.zeros(800, np.int16), (), ("line 1: <x> is not known",), is_last=True)

        async def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
            if "whole" not in request.ssml:
                yield Chunk(np.zeros(0, np.int16), (), ("line 1: <y> is not known",))
            yield self.whole

    studio = Studio()
    renderer = PromptRenderer(studio.fetcher, Puzzled(studio.clock), studio.sounds)
    with structlog.testing.capture_logs() as logs:
        for text in ("whole", "whole", "in parts"):
            await rendered(renderer, Prompt((speech(text),), "en"))
    assert [(log["text"], log["errors"]) for log in logs if "errors" in log] == [
        ("whole", ("line 1: <x> is not known",)),
        ("in parts", ("line 1: <y> is not known",)),
        ("in parts", ("line 1: <x> is not known",)),
    ]


PLS = b"""<lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon"
  xml:lang="en"><lexeme><grapheme>W3C</grapheme><alias>the consortium</alias></lexeme></lexicon>"""


def with_lexicons(*names: str) -> SpeechSegment:
    requests = tuple(FetchRequest(f"http://apps.test/{name}") for name in names)
    return SpeechSegment("<speak>W3C</speak>", "W3C", "en", lexicons=requests)


async def test_speech_is_asked_for_with_the_lexicons_that_can_be_had() -> None:
    class Listener(FakeSynthesizer):
        def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
            requests.append(request)
            return super().stream(request)

    requests: list[SpeechRequest] = []
    studio = Studio()
    studio.file("good.pls", PLS, "application/pls+xml")
    studio.file("bad.pls", b"<html/>", "text/html")
    renderer = PromptRenderer(studio.fetcher, Listener(studio.clock), studio.sounds)
    segment = with_lexicons("missing.pls", "bad.pls", "good.pls")
    await rendered(renderer, Prompt((segment,), "en"))
    assert [request.lexicons for request in requests] == [(load_lexicon(PLS),)]
