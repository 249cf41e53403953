"""`<audio>` the whole way: from a web server to the octets that are sent."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import numpy as np
import pytest
import soundfile
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.calls.fake_speech import FakeSynthesizer
from vxml_server.audio import decode_alaw, encode_alaw, encode_ulaw, loudness_lufs, rms_dbfs
from vxml_server.calls import PromptRenderer, SoundCache, rendering
from vxml_server.calls.rendering import Piece
from vxml_server.clock import VirtualClock
from vxml_server.fetch import Fetcher, FetchRequest
from vxml_server.interpreter import AudioSegment, Prompt, Segment, SpeechSegment
from vxml_server.media import Codec
from vxml_server.settings import FetchSettings


def tone(rate: int = 8000) -> np.ndarray:
    """A second of 440 Hz at -15 dBFS."""
    return 0.25 * np.sin(2 * np.pi * 440 / rate * np.arange(rate))


def file(form: str, subtype: str, rate: int = 8000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(rate), rate, format=form, subtype=subtype)
    return buffer.getvalue()


PCM = (tone() * 32767).astype(np.int16)
FILES = {
    "pcm8.wav": (file("WAV", "PCM_U8"), "audio/x-wav"),
    "pcm16.wav": (file("WAV", "PCM_16", 44_100), "audio/wav"),
    "pcm24.wav": (file("WAV", "PCM_24", 48_000), "audio/wav"),
    "float.wav": (file("WAV", "FLOAT", 22_050), "audio/wav"),
    "alaw.wav": (file("WAV", "ALAW"), "audio/x-wav"),
    "ulaw.wav": (file("WAV", "ULAW", 11_025), "audio/x-wav"),
    "raw.ulaw": (encode_ulaw(PCM).tobytes(), "audio/basic"),
    "raw.alaw": (encode_alaw(PCM).tobytes(), "audio/x-alaw-basic"),
    "raw.l16": ((tone(16_000) * 32767).astype(">i2").tobytes(), "audio/L16; rate=16000"),
    "a.flac": (file("FLAC", "PCM_16", 16_000), "audio/flac"),
    "a.ogg": (file("OGG", "VORBIS", 48_000), "audio/ogg"),
    "a.mp3": (file("MP3", "MPEG_LAYER_III", 16_000), "audio/mpeg"),
}


class Site:
    """A web server with the files, and calls that play them."""

    def __init__(self, server: TestServer) -> None:
        self.server = server
        self.requests: list[str] = []
        clock = VirtualClock()
        self.fetcher = Fetcher(FetchSettings(allow=("*",)), clock)
        self.synthesizer = FakeSynthesizer(clock)
        self.sounds = SoundCache(10_000_000, lufs=-20.0)

    async def answer(self, request: web.Request) -> web.Response:
        name = request.path.removeprefix("/")
        self.requests.append(name)
        if name not in FILES:
            raise web.HTTPNotFound
        body, media_type = FILES[name]
        headers = {"Content-Type": media_type, "Cache-Control": "max-age=600"}
        return web.Response(body=body, headers=headers)

    async def play(self, *segments: Segment, sounds: SoundCache | None = None) -> list[Piece]:
        """What a call of its own would play."""
        renderer = PromptRenderer(
            self.fetcher.session(), self.synthesizer, self.sounds if sounds is None else sounds
        )
        return [piece async for piece in renderer.render(Prompt(segments, "en"))]

    def audio(self, name: str, *fallback: Segment) -> AudioSegment:
        return AudioSegment(FetchRequest(str(self.server.make_url(f"/{name}"))), fallback=fallback)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    app = web.Application()
    made = Site(TestServer(app))
    app.router.add_get("/{name}", made.answer)
    await made.server.start_server()
    yield made
    await made.fetcher.close()
    await made.server.close()


SORRY = SpeechSegment("<speak>sorry</speak>", "sorry", "en")


@pytest.mark.parametrize("name", FILES)
async def test_every_format_is_heard_at_the_loudness_of_speech(site: Site, name: str) -> None:
    (piece,) = await site.play(site.audio(name, SORRY))
    assert piece.audio.endswith(name)
    codes = np.frombuffer(piece.sound.octets(Codec.PCMA, 0, len(piece.sound)), np.uint8)
    heard = decode_alaw(codes)
    assert len(heard) == pytest.approx(8000, abs=700)
    spectrum = np.abs(np.fft.rfft(heard[500:7500] * np.hanning(7000)))
    assert np.argmax(spectrum) * 8000 / 7000 == pytest.approx(440, abs=2)
    assert loudness_lufs(heard) == pytest.approx(-20.0, abs=0.5)


async def test_a_file_is_fetched_and_decoded_once_for_all_calls(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    decode = rendering.decode

    def counting(body: bytes, media_type: str):
        decoded.append(media_type)
        return decode(body, media_type)

    monkeypatch.setattr(rendering, "decode", counting)
    played = [await site.play(site.audio("a.mp3")) for _ in range(5)]
    assert len({id(pieces[0].sound) for pieces in played}) == 1
    assert site.requests == ["a.mp3"]
    assert decoded == ["audio/mpeg"]


async def test_files_are_played_as_they_are_where_that_is_wanted(site: Site) -> None:
    (piece,) = await site.play(site.audio("pcm16.wav"), sounds=SoundCache(1_000_000))
    heard = piece.sound.samples(0, len(piece.sound))
    assert rms_dbfs(heard) == pytest.approx(-15.05, abs=0.2)


async def test_a_stream_by_rtsp_is_refused_with_its_reason_and_the_fallback_is_heard(
    site: Site,
) -> None:
    stream = AudioSegment(FetchRequest("rtsp://media.test/live"), fallback=(SORRY,))
    with structlog.testing.capture_logs() as logs:
        (piece,) = await site.play(stream)
    assert piece.text == "sorry"
    (told,) = [entry for entry in logs if entry["event"] == "audio not played"]
    assert "rtsp:" in told["error"]


async def test_fallbacks_follow_each_other_until_one_is_heard(site: Site) -> None:
    inner = site.audio("missing.ogg", SORRY, site.audio("raw.ulaw"))
    pieces = await site.play(site.audio("missing.wav", inner))
    assert [piece.text or piece.audio.rpartition("/")[2] for piece in pieces] == [
        "sorry",
        "raw.ulaw",
    ]
