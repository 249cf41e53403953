"""The default engine: libespeak-ng.

Its SSML is not to be relied on: `<break>` is scaled by the rate and knows no fractions of a second;
nesting, `<voice>`, `<say-as>` and `<desc>` go wrong in various ways; an unclosed element is heard
in later prompts. So a plan is spoken *breath* by breath: what stands between pauses and has one
voice. Pauses are made here, as samples; the only markup that reaches the library is flat
`<prosody>` within a breath, and `<mark>` with numbers for names.

Level: the voices speak at much the same level, so one fixed gain puts them all at about -20 dBFS
active level, and what then comes near full scale (a prompt with `volume="x-loud"`) is bent and not
cut. A gain adapted to each prompt would make neighbouring prompts pump.

The rule: the loop never waits. One worker thread for the process does all of the work.
"""

from __future__ import annotations

import math
import threading
import unicodedata
from collections.abc import AsyncGenerator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from vxml_server.audio import Resampler
from vxml_server.tts.libespeak import (
    MAX_VOLUME,
    NORMAL_PITCH,
    NORMAL_RANGE,
    NORMAL_RATE,
    NORMAL_VOLUME,
    Parameters,
    library,
)
from vxml_server.tts.plan import Item, MarkPoint, Pause, Plan, Style, Text
from vxml_server.tts.speech import RATE, Chunk, Mark, SpeechRequest
from vxml_server.tts.ssml import parse
from vxml_server.tts.streaming import Emit, from_thread
from vxml_server.tts.words import normalise

# One step of the library's pitch parameter, measured: 25 steps up are a factor of 1.32.
PITCH_STEP = 0.0112
GAIN_DB = 7.2
KNEE = 0.7  # of full scale: above it loudness is bent towards the ceiling
CEILING = 0.9  # ... which leaves room for the overshoot of the resampling filter
SILENCE = 30  # int16: below it is silence that may be trimmed
EDGE_SECONDS = 0.01  # ... but for this much
VOICE_CHANGE_PAUSE = 0.06

Samples = npt.NDArray[np.int16]


@cache
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="espeak")


class EspeakSynthesizer:
    """`Synthesizer` by libespeak-ng."""

    def __init__(self, *, gain_db: float = GAIN_DB) -> None:
        self._library = library()
        self._gain = 10 ** (gain_db / 20)
        self.identity = f"espeak-ng {self._library.version} {gain_db:+g} dB"

    def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
        """As the protocol says; a chunk is a breath, and work that is given up stops within one
        buffer of speech."""
        return from_thread(_worker(), partial(self._produce, request))

    def _produce(self, request: SpeechRequest, emit: Emit, cancelled: threading.Event) -> None:
        """All of it, on the worker's thread."""
        plan = parse(request)
        recording = _Recording(emit, plan.warnings)
        for breath in _breaths(plan):
            if isinstance(breath, Pause):
                recording.pause(breath.seconds)
            else:
                self._speak(breath, recording, cancelled)
        recording.send()

    def _speak(
        self, breath: Sequence[Text | MarkPoint], recording: _Recording, cancelled: threading.Event
    ) -> None:
        texts = [item for item in breath if isinstance(item, Text)]
        names = [item.name for item in breath if isinstance(item, MarkPoint)]
        spoken = [item.style for item in texts if _is_spoken(item.text)]
        if not spoken:
            recording.mark(names)
            return
        style = next((style for style in spoken if not style.silent), spoken[0])
        voice = self._library.voice(*style.voice)
        said = self._library.speak(_markup(breath, style), voice, _parameters(style), cancelled)
        start, end = 0, len(said.pcm)
        if not any(style.silent for style in spoken):  # what is silent is meant to take its time
            start, end = _spoken_part(said.pcm, self._library.rate)
        gain = 0.0 if style.silent else self._gain * 10 ** (style.gain_db / 20)
        floats = said.pcm[start:end].astype(np.float32) * np.float32(gain / 32768)
        resampler = Resampler(self._library.rate, RATE)
        pcm = np.concatenate((resampler.feed(_bend(floats)), resampler.finish()))
        places = dict(said.marks)
        ratio = RATE / self._library.rate
        # A mark that the library drops is at the end of what it was to follow.
        at = [
            min(max(0.0, (places.get(number, end) - start) * ratio), float(len(pcm)))
            for number in range(len(names))
        ]
        recording.speech(pcm, voice, list(zip(names, at, strict=True)))


class _Recording:
    """Samples and marks as they come, and on to whoever wants them."""

    def __init__(self, emit: Emit, warnings: tuple[str, ...]) -> None:
        self._emit = emit
        self._warnings = warnings
        self._marks: list[Mark] = []
        self._parts: list[Samples] = []
        self._length = 0
        self._voice = ""  # of the speech directly before, '' after a pause

    def pause(self, seconds: float) -> None:
        self._append(np.zeros(round(seconds * RATE), np.int16))
        self._voice = ""

    def mark(self, names: Iterable[str]) -> None:
        self._marks += [Mark(name, self._length / RATE) for name in names]

    def speech(self, pcm: Samples, voice: str, marks: list[tuple[str, float]]) -> None:
        if self._voice and self._voice != voice:
            self.pause(VOICE_CHANGE_PAUSE)
        self._marks += [Mark(name, (self._length + place) / RATE) for name, place in marks]
        self._append(pcm)
        self._voice = voice
        self.send()

    def send(self) -> None:
        """What there is now, if there is anything."""
        if self._parts or self._marks or self._warnings:
            pcm = np.concatenate([np.zeros(0, np.int16), *self._parts])
            self._emit(Chunk(pcm, tuple(self._marks), self._warnings))
            self._parts, self._marks, self._warnings = [], [], ()

    def _append(self, pcm: Samples) -> None:
        self._parts.append(pcm)
        self._length += len(pcm)


Breath = list[Text | MarkPoint]


def _breaths(plan: Plan) -> Iterable[Breath | Pause]:
    """Runs of one voice between pauses: what is spoken in one go."""
    breath: Breath = []
    voice: tuple[str, tuple[str, ...], str] | None = None
    for item in plan.items:
        if breath and _parts(item, voice):
            yield breath
            breath, voice = [], None
        if isinstance(item, Pause):
            yield item
            continue
        breath.append(item)
        if isinstance(item, Text):
            voice = item.style.voice
    if breath:
        yield breath


def _parts(item: Item, voice: tuple[str, tuple[str, ...], str] | None) -> bool:
    """Whether `item` ends a breath of `voice`."""
    if isinstance(item, Pause):
        return True
    return isinstance(item, Text) and voice is not None and item.style.voice != voice


def _is_spoken(text: str) -> bool:
    """Punctuation alone is not: a full stop left over after a break would be read out."""
    return any(unicodedata.category(character)[0] not in "PZC" for character in text)


def _parameters(style: Style, gain_db: float = 0.0) -> Parameters:
    """Of a style whose level is to be `gain_db` above normal."""
    pitch = NORMAL_PITCH + math.log(style.pitch) / PITCH_STEP
    volume = 0 if style.silent else round(NORMAL_VOLUME * 10 ** (gain_db / 20))
    return Parameters(
        rate=round(NORMAL_RATE * style.rate),
        volume=min(volume, MAX_VOLUME),
        pitch=min(max(0, round(pitch)), 99),
        pitch_range=min(max(0, round(NORMAL_RANGE * style.pitch_range)), 99),
    )


def _markup(breath: Sequence[Text | MarkPoint], base: Style) -> str:
    """The library's SSML: flat prosody where a style is not the base, marks by number.

    The base style's volume is no matter of the library's; others are relative to it.
    """
    parts: list[str] = []
    number = 0
    for item in breath:
        if isinstance(item, MarkPoint):
            parts.append(f'<mark name="{number}"/>')
            number += 1
            continue
        text = escape(normalise(item.text, item.style.lang))
        if item.style == base or not text.strip():
            parts.append(text)
        else:
            own = _parameters(item.style, item.style.gain_db - base.gain_db)
            # A rate is a share of the current one; the others are values of the parameter.
            rate = round(100 * item.style.rate / base.rate)
            parts.append(
                f'<prosody rate="{rate}%" volume="{own.volume}"'
                f' pitch="{own.pitch}" range="{own.pitch_range}">{text}</prosody>'
            )
    return "".join(parts)


def _spoken_part(pcm: Samples, rate: int) -> tuple[int, int]:
    """(start, end) of what is not silence at the ends, and a little more."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > SILENCE)
    if not len(loud):
        return 0, len(pcm)
    edge = round(rate * EDGE_SECONDS)
    return max(0, int(loud[0]) - edge), min(len(pcm), int(loud[-1]) + 1 + edge)


def _bend(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Saturation with a soft knee: unchanged below it, never beyond the ceiling."""
    size = np.abs(samples)
    if not len(size) or float(size.max()) <= KNEE:
        return samples
    room = np.float32(CEILING - KNEE)
    bent = KNEE + room * np.tanh((size - np.float32(KNEE)) / room)
    curved: npt.NDArray[np.float32] = np.where(size > KNEE, np.sign(samples) * bent, samples)
    return curved.astype(np.float32)
