"""An engine for tests: speaks tones, as long as its words, and fails when it is told to."""

from __future__ import annotations

import asyncio

import numpy as np

from vxml_server.events import VoiceXmlEvent
from vxml_server.tts import Abilities, Offer, Spoken, Utterance, Voice, choose

RATE = 16_000
SECONDS_A_LETTER = 0.05


class ToneEngine:
    """Says each letter as 50 ms of a tone; remembers what it was asked."""

    def __init__(
        self,
        name: str = "tone",
        *voices: Voice,
        hertz: float = 400.0,
        abilities: Abilities = Abilities(),  # noqa: B008 - frozen
    ) -> None:
        self.name = name
        self.identity = f"{name} 1"
        self.abilities = abilities
        self.voices = voices or (Voice(f"{name}-fr", "fr-FR"),)
        self.asked: list[tuple[Utterance, str]] = []
        self.trouble: Exception | None = None
        self.trouble_at_start: Exception | None = None
        self.marks: tuple[int | None, ...] = ()
        self.hangs = self.hangs_at_voices = False
        self.cancelled = 0
        self.started = self.closed = 0
        self._hertz = hertz

    async def start(self) -> None:
        if self.trouble_at_start is not None:
            raise self.trouble_at_start
        self.started += 1

    async def close(self) -> None:
        self.closed += 1

    async def voice(self, lang: str, names: tuple[str, ...], gender: str) -> Offer | None:
        if self.hangs_at_voices:
            await asyncio.get_running_loop().create_future()
        return choose(self.voices, lang, names, gender)

    async def speak(self, utterance: Utterance, voice: str) -> Spoken:
        self.asked.append((utterance, voice))
        if self.hangs:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if self.trouble is not None:
            raise self.trouble
        style = utterance.style
        seconds = SECONDS_A_LETTER * len(utterance.text)
        if self.abilities.rate:
            seconds /= style.rate
        time = np.arange(round(seconds * RATE)) / RATE
        pcm = (8000 * np.sin(2 * np.pi * self._hertz * time)).astype(np.int16)
        return Spoken(pcm, RATE, self.marks)

    @property
    def texts(self) -> list[str]:
        return [utterance.text for utterance, _ in self.asked]


def failure(message: str = "broken") -> VoiceXmlEvent:
    return VoiceXmlEvent("error.noresource", message)
