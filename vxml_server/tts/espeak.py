"""The default engine: libespeak-ng, which is in a wheel and speaks a hundred languages.

The only markup that reaches the library is flat `<prosody>` within a sentence, and `<mark>` with
numbers for names. Its own SSML is not to be relied on: `<break>` is scaled by the rate and knows no
fractions of a second; nesting, `<voice>`, `<say-as>` and `<desc>` go wrong in various ways; an
unclosed element is heard in later prompts.

Level: each voice has one gain, measured on the same words before its first sentence. A gain adapted
to each sentence would make neighbouring sentences pump.

C code that reads what callers and documents wrote is not to be trusted with the server: hostile
text at extreme prosody crashes the library about once in ten thousand sentences. So the settings
run this engine in a child process unless they are told otherwise.

The rule: the loop never waits. One worker thread for the process does all of the work.
"""

from __future__ import annotations

import asyncio
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from xml.sax.saxutils import escape

from vxml_server.audio import loudness_lufs
from vxml_server.tts.engine import REFERENCE_LUFS, Abilities, Offer, Spoken, Utterance
from vxml_server.tts.libespeak import (
    MAX_VOLUME,
    NORMAL,
    NORMAL_PITCH,
    NORMAL_RANGE,
    NORMAL_RATE,
    NORMAL_VOLUME,
    Library,
    Parameters,
    library,
)
from vxml_server.tts.phonemes import to_espeak
from vxml_server.tts.plan import MarkPoint, Style, Text

# One step of the library's pitch parameter, measured: 25 steps up are a factor of 1.32.
PITCH_STEP = 0.0112
MIN_RATE, MAX_RATE = 80, 450  # words a minute: the library's limits, which it does not check
MAX_RANGE = 80  # above it some voices are led beyond their tables, and the library crashes
MEASURED = "1 2 3 4 5 6 7 8 9"  # words in every language
MAX_GAIN_DB = 20.0


@cache
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="espeak")


class EspeakEngine:
    """`Engine` by libespeak-ng."""

    name = "espeak"
    abilities = Abilities(rate=True, pitch=True, mixes=True)

    def __init__(self) -> None:
        self._library: Library = library()
        self.identity = f"espeak-ng {self._library.version}"
        self._gains: dict[str, float] = {}

    async def start(self) -> None:
        """Nothing: the library is loaded as soon as there is an engine."""

    async def close(self) -> None:
        """Nothing: the library is the process's."""

    async def voice(self, lang: str, names: tuple[str, ...], gender: str) -> Offer | None:
        """A name is of a variant (`f3`) or of a language with one (`fr+f3`)."""
        offer = self._library.offer(lang, names, gender)
        if offer is None:
            return None
        if offer.voice not in self._gains:
            loop = asyncio.get_running_loop()
            gain = await loop.run_in_executor(_worker(), self._measure, offer.voice)
            self._gains[offer.voice] = gain
        return replace(offer, gain_db=self._gains[offer.voice])

    def _measure(self, voice: str) -> float:
        said = self._library.speak(MEASURED, voice, NORMAL, threading.Event())
        return min(REFERENCE_LUFS - loudness_lufs(said.pcm, self._library.rate), MAX_GAIN_DB)

    async def speak(self, utterance: Utterance, voice: str) -> Spoken:
        """As the protocol says; a cancelled call stops within one buffer of speech."""
        cancelled = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(_worker(), self.say, utterance, voice, cancelled)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def say(self, utterance: Utterance, voice: str, cancelled: threading.Event) -> Spoken:
        """The same on the caller's thread. Raises `Cancelled` once that is set."""
        style = utterance.style
        said = self._library.speak(markup(utterance), voice, parameters_of(style), cancelled)
        places = dict(said.marks)
        # A mark that the library drops is at the end of what it was to follow.
        marks = tuple(places.get(number, len(said.pcm)) for number in range(len(utterance.marks)))
        return Spoken(said.pcm, self._library.rate, marks)


def parameters_of(style: Style, gain_db: float = 0.0) -> Parameters:
    """Of a style whose level is to be `gain_db` above normal."""
    pitch = NORMAL_PITCH + math.log(style.pitch) / PITCH_STEP
    volume = 0 if style.silent else round(NORMAL_VOLUME * 10 ** (gain_db / 20))
    return Parameters(
        rate=min(max(MIN_RATE, round(NORMAL_RATE * style.rate)), MAX_RATE),
        volume=min(volume, MAX_VOLUME),
        pitch=min(max(0, round(pitch)), 99),
        pitch_range=min(max(0, round(NORMAL_RANGE * style.pitch_range)), MAX_RANGE),
    )


def markup(utterance: Utterance) -> str:
    """The library's SSML: flat prosody where a style is not the base, marks by number.

    The base style's volume is no matter of the library's; others are relative to it.
    """
    base = utterance.style
    parts: list[str] = []
    number = 0
    for item in utterance.items:
        if isinstance(item, MarkPoint):
            parts.append(f'<mark name="{number}"/>')
            number += 1
            continue
        text = _words(item)
        if item.style == base or not text.strip():
            parts.append(text)
        else:
            own = parameters_of(item.style, item.style.gain_db - base.gain_db)
            # A rate is a share of the current one; the others are values of the parameter.
            rate = round(100 * item.style.rate / base.rate)
            parts.append(
                f'<prosody rate="{rate}%" volume="{own.volume}"'
                f' pitch="{own.pitch}" range="{own.pitch_range}">{text}</prosody>'
            )
    return "".join(parts)


def _words(item: Text) -> str:
    """The words, or their pronunciation between `[[` and `]]`, which mean that nowhere else."""
    if item.phonemes is not None:
        mnemonics = to_espeak(item.phonemes, item.style.lang)
        if mnemonics is not None:
            safe = mnemonics.replace("[", "").replace("]", "")
            return f" [[{escape(safe)}]] "
    # A bracket that follows, in this text or the next, is kept apart: it sounds the same.
    return escape(item.text.replace("[", "[ "))
