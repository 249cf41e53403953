"""Services that answer HTTP requests with audio: one request a sentence.

The URL and the body are the operator's, with names in braces where the words and the style go, each
written as its place needs it: so whatever a document says stays a value in the request. What the
service is not told of rate and pitch is done to the samples. Answers are untrusted: bounded in size
and decoded by the audio room. Redirects are not followed and no cookie is kept.

The rule: nothing of the headers or of the URL, where keys and tokens stand, is logged or heard of.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus, urlsplit
from xml.sax.saxutils import escape

import aiohttp
from yarl import URL

from vxml_server import __version__
from vxml_server.audio import RATE, decode
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import ServiceSettings
from vxml_server.tts.engine import Abilities, Offer, Spoken, Utterance, Voice, choose, tag

MAX_SECONDS = 180.0  # of one sentence
BLOCK = 65_536

_NAMES = re.compile(r"\{(text|ssml|lang|voice|gender|rate|rate_percent|pitch|pitch_percent)\}")


class HttpEngine:
    """`Engine` by a service of [tts.services]."""

    def __init__(self, name: str, settings: ServiceSettings) -> None:
        self.name = name
        self._settings = settings
        template = settings.url + settings.body
        self.abilities = Abilities(
            rate="{rate" in template or "{ssml}" in template,
            pitch="{pitch" in template or "{ssml}" in template,
        )
        self._voices = tuple(Voice(v.name, v.lang, v.gender) for v in settings.voices)
        said = json.dumps([settings.method, settings.url, settings.body, settings.body_type])
        self.identity = f"{name} {hashlib.sha256(said.encode()).hexdigest()[:16]}"
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Opens the connections' pool; whether the service is there, the first sentence shows."""
        settings = self._settings
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # the time is the selection's
            headers={"User-Agent": f"vxml-server/{__version__}"},
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def voice(self, lang: str, names: tuple[str, ...], gender: str) -> Offer | None:
        return choose(self._voices, lang, names, gender)

    async def speak(self, utterance: Utterance, voice: str) -> Spoken:
        media_type, body = await self._ask(self._values(utterance, voice))
        audio = await asyncio.to_thread(
            decode, body, self._settings.audio_type or media_type, max_duration=MAX_SECONDS
        )
        return Spoken(audio.pcm, RATE)

    async def _ask(self, values: Mapping[str, str]) -> tuple[str, bytes]:
        """(media type, body) of the answer."""
        settings = self._settings
        if self._session is None:
            raise VoiceXmlEvent("error.noresource", "it is not started")
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        data: bytes | None = None
        if settings.method == "POST":
            data = fill(settings.body, values, _escape_for(settings.body_type)).encode()
            headers.setdefault("Content-Type", settings.body_type)
        try:
            url = URL(fill(settings.url, values, lambda value: quote(value, safe="")), encoded=True)
            async with self._session.request(
                settings.method, url, data=data, headers=headers, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise VoiceXmlEvent(
                        "error.noresource", f"the service answered {response.status}"
                    )
                body = bytearray()
                async for block in response.content.iter_chunked(BLOCK):
                    body += block
                    if len(body) > settings.max_bytes:
                        raise VoiceXmlEvent(
                            "error.noresource", f"the answer is over {settings.max_bytes} bytes"
                        )
                return response.headers.get("Content-Type", ""), bytes(body)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Its text may hold the URL, and the URL a key.
            host = urlsplit(settings.url).hostname
            raise VoiceXmlEvent("error.noresource", f"{type(error).__name__} with {host}") from None

    def _values(self, utterance: Utterance, voice: str) -> dict[str, str]:
        style = utterance.style
        lang = self._language(voice, style.lang)
        return {
            "text": utterance.text,
            "ssml": ssml(utterance, voice, lang),
            "lang": lang,
            "voice": voice,
            "gender": style.gender,
            "rate": f"{style.rate:.2f}",
            "rate_percent": f"{100 * style.rate:.0f}",
            "pitch": f"{style.pitch:.2f}",
            "pitch_percent": f"{100 * style.pitch:.0f}",
        }

    def _language(self, voice: str, lang: str) -> str:
        """What the service calls a language that one of its voices speaks; a voice of one name may
        speak several."""
        wanted = tag(lang)
        own = [known.lang for known in self._voices if known.name == voice]
        same = [known for known in own if tag(known).partition("-")[0] == wanted.partition("-")[0]]
        return next((known for known in same if tag(known) == wanted), (*same, lang)[0])


def fill(template: str, values: Mapping[str, str], write: Callable[[str], str]) -> str:
    """The template with its names replaced by values as `write` makes them; other braces stay."""
    return _NAMES.sub(lambda match: write(values[match[1]]), template)


def ssml(utterance: Utterance, voice: str, lang: str) -> str:
    """A sentence as a document of its own, of the little that every service knows."""
    style = utterance.style
    rate, pitch = f"{100 * style.rate:.0f}%", f"{100 * (style.pitch - 1):+.0f}%"
    attribute = {'"': "&quot;"}
    return (
        '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis"'
        f' xml:lang="{escape(lang, attribute)}"><voice name="{escape(voice, attribute)}">'
        f'<prosody rate="{rate}" pitch="{pitch}">{escape(utterance.text)}</prosody>'
        "</voice></speak>"
    )


def _escape_for(media_type: str) -> Callable[[str], str]:
    """How a value is written in a body of this type."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind.endswith(("json",)):
        return lambda value: json.dumps(value)[1:-1]
    if kind.endswith(("xml",)):
        return lambda value: escape(value, {'"': "&quot;", "'": "&apos;"})
    if kind == "application/x-www-form-urlencoded":
        return quote_plus
    return lambda value: value
