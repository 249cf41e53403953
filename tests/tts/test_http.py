"""A service that speaks, over HTTP on this machine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs
from xml.etree import ElementTree

import numpy as np
import pytest
import structlog
from aiohttp import web
from pydantic import SecretStr

from vxml_server.audio import encode_wav
from vxml_server.clock import SystemClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import ServiceSettings, ServiceVoice
from vxml_server.tts import SpeechRequest, Voices, speech_of
from vxml_server.tts.http import HttpEngine

WAV = encode_wav((8000 * np.sin(np.arange(22050) / 9)).astype(np.int16), 22050)
HOSTILE = "a\"b\\ {lang} <x/> &amp; é'%s\n&c=d#"


class Service:
    """Remembers what it was asked and gives a set answer."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.bodies: list[str] = []
        self.answer: Callable[[], web.Response] = lambda: web.Response(
            body=WAV, content_type="audio/wav"
        )
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.text())
        return self.answer()


@pytest.fixture
async def service(
    aiohttp_server: Callable[[web.Application], Awaitable[object]],
) -> Service:
    made = Service()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    server = await aiohttp_server(app)
    made.url = f"http://127.0.0.1:{server.port}"  # type: ignore[attr-defined]
    return made


@asynccontextmanager
async def speaking(url: str, **settings: object) -> AsyncIterator[Voices]:
    """Voices by a service with these settings."""
    voices = (
        ServiceVoice(name="Denise", lang="fr-FR", gender="female"),
        ServiceVoice(name="Amy", lang="en-GB", gender="female"),
    )
    made = ServiceSettings.model_validate({"url": url, "voices": voices, **settings})
    engines = Voices([HttpEngine("acme", made)], SystemClock())
    await engines.start()
    try:
        yield engines
    finally:
        await engines.close()


async def say(voices: Voices, content: str = "Bonjour", lang: str = "fr-CA") -> float:
    """Seconds of what is said."""
    speech = await speech_of(voices.stream(SpeechRequest(f"<speak>{content}</speak>", lang)))
    return speech.duration


async def test_words_voice_and_style_are_in_the_url(service: Service) -> None:
    url = f"{service.url}/say?t={{text}}&l={{lang}}&v={{voice}}&r={{rate_percent}}&p={{pitch}}"
    async with speaking(url) as voices:
        duration = await say(voices, "<prosody rate='1.5'>Bonjour à tous</prosody>")
    assert duration == pytest.approx(1.0, abs=0.03)
    assert dict(service.asked[0].query) == {
        "t": "Bonjour à tous",
        "l": "fr-FR",
        "v": "Denise",
        "r": "150",
        "p": "1.00",
    }
    assert service.asked[0].headers["User-Agent"].startswith("vxml-server/")


async def test_rate_and_pitch_that_the_service_is_not_told_are_done_here(service: Service) -> None:
    async with speaking(f"{service.url}/{{text}}") as voices:
        assert await say(voices, "<prosody rate='2.0'>oui</prosody>") == pytest.approx(
            0.5, abs=0.02
        )
        assert await say(voices, "<prosody pitch='high'>oui</prosody>") == pytest.approx(
            1.0, abs=0.02
        )


@pytest.mark.parametrize(
    ("body_type", "body", "read"),
    [
        (
            "application/json",
            '{"input": {"text": "{text}"}}',
            lambda b: json.loads(b)["input"]["text"],
        ),
        (
            "application/ssml+xml",
            "<s a='{voice}'>{text}</s>",
            lambda b: ElementTree.fromstring(b).text,
        ),
        ("application/x-www-form-urlencoded", "v={voice}&t={text}", lambda b: parse_qs(b)["t"][0]),
        ("text/plain; charset=utf-8", "{text}", lambda b: b),
    ],
)
async def test_whatever_the_words_are_they_stay_a_value_of_the_body(
    service: Service, body_type: str, body: str, read: Callable[[str], str]
) -> None:
    content = HOSTILE.replace("&", "&amp;").replace("<", "&lt;")
    settings = {"method": "POST", "body": body, "body_type": body_type}
    async with speaking(f"{service.url}/say", **settings) as voices:
        await say(voices, content)
    assert read(service.bodies[0]) == " ".join(HOSTILE.split())
    assert service.asked[0].headers["Content-Type"] == body_type


async def test_a_service_can_be_given_ssml(service: Service) -> None:
    settings = {"method": "POST", "body": "{ssml}", "body_type": "text/xml"}
    async with speaking(f"{service.url}/say", **{**settings, "body_type": "text/plain"}) as voices:
        await say(voices, "<prosody rate='0.8' pitch='+15%'>a &lt;b></prosody><mark name='m'/>")
    root = ElementTree.fromstring(service.bodies[0])
    spoken = root[0][0]
    assert root.attrib["{http://www.w3.org/XML/1998/namespace}lang"] == "fr-FR"
    assert root[0].attrib == {"name": "Denise"}
    assert spoken.attrib == {"rate": "80%", "pitch": "+15%"}
    assert spoken.text == "a <b>"


async def test_secrets_are_sent_and_never_told(service: Service) -> None:
    service.answer = lambda: web.Response(status=401, text="bad key k3y")
    url = f"{service.url}/say?key=ur1k3y&t={{text}}"
    headers = {"Authorization": SecretStr("Bearer k3y")}
    with structlog.testing.capture_logs() as logs:
        async with speaking(url, headers=headers) as voices:
            with pytest.raises(VoiceXmlEvent) as caught:
                await say(voices)
            told = f"{logs} {caught.value} {voices.identity} {voices.engines[0].__dict__}"
    assert service.asked[0].headers["Authorization"] == "Bearer k3y"
    assert "answered 401" in caught.value.message
    assert "k3y" not in f"{logs} {caught.value} {voices.identity}"
    assert "k3y" not in told


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=500),
        lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"}),
        lambda: web.Response(body=b"", content_type="audio/wav"),
        lambda: web.Response(text="<html>no</html>", content_type="text/html"),
        lambda: web.Response(body=b"RIFF\x00\x00\x00\x00WAVEfmt ", content_type="audio/wav"),
        lambda: web.Response(body=b"\0" * 200_001, content_type="audio/basic"),
    ],
    ids=["500", "redirect", "empty", "html", "damaged", "too large"],
)
async def test_an_answer_that_is_no_audio_is_a_failure(
    service: Service, answer: Callable[[], web.Response]
) -> None:
    service.answer = answer
    async with speaking(f"{service.url}/say", max_bytes=200_000) as voices:
        with pytest.raises(VoiceXmlEvent) as caught:
            await say(voices)
    assert caught.value.name == "error.noresource"
    assert len(service.asked) == 1
    assert voices.failed == {"acme": 1}


async def test_a_service_that_is_not_there_is_a_failure() -> None:
    async with speaking("http://127.0.0.1:9/say?key=secret") as voices:
        with pytest.raises(VoiceXmlEvent) as caught:
            await say(voices)
    assert caught.value.name == "error.noresource"
    assert "127.0.0.1" in caught.value.message
    assert "secret" not in caught.value.message


async def test_samples_without_a_header_are_read_by_the_settings(service: Service) -> None:
    samples = (8000 * np.sin(np.arange(16000) / 9)).astype(">i2").tobytes()
    service.answer = lambda: web.Response(body=samples, content_type="application/octet-stream")
    async with speaking(f"{service.url}/say", audio_type="audio/L16;rate=16000") as voices:
        assert await say(voices) == pytest.approx(1.0, abs=0.03)


async def test_no_cookie_of_one_prompt_is_in_the_next(service: Service) -> None:
    def with_cookie() -> web.Response:
        response = web.Response(body=WAV, content_type="audio/wav")
        response.set_cookie("session", "1")
        return response

    service.answer = with_cookie
    async with speaking(f"{service.url}/say") as voices:
        await say(voices, "un")
        await say(voices, "deux")
    assert all("Cookie" not in request.headers for request in service.asked)


async def test_a_language_without_a_voice_is_not_asked_for(service: Service) -> None:
    async with speaking(f"{service.url}/say") as voices:
        with pytest.raises(VoiceXmlEvent) as caught:
            await say(voices, lang="de")
    assert caught.value.name == "error.unsupported.language"
    assert not service.asked


@pytest.mark.parametrize(
    ("asked", "told"),
    [("fr-CA", "fr_CA"), ("fr-BE", "fr-FR"), ("en-GB", "en-US"), ("en_us", "en-US"), ("de", "de")],
)
async def test_a_voice_of_several_languages_is_told_the_one_that_is_spoken(
    service: Service, asked: str, told: str
) -> None:
    known = [ServiceVoice(name="alloy", lang=lang) for lang in ("fr-FR", "fr_CA", "en-US", "*")]
    async with speaking(f"{service.url}/?l={{lang}}&t={{text}}", voices=known) as voices:
        await say(voices, "oui", asked)
    assert service.asked[0].query["l"] == told


@pytest.mark.parametrize("media_type", ["audio/basic; a*=x; a*1=y", "audio/basic; a*" + "1" * 5000])
async def test_a_media_type_that_is_none_does_not_keep_a_service_from_being_heard(
    service: Service, media_type: str
) -> None:
    service.answer = lambda: web.Response(body=b"\x10" * 800, headers={"Content-Type": media_type})
    async with speaking(f"{service.url}/{{text}}") as voices:
        assert await say(voices) == pytest.approx(0.1, abs=0.02)
