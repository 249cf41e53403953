"""`Voices`: the engines of a server as one synthesiser.

A document is read into a plan, the plan cut into sentences, and each sentence given to the engine
that has the best voice for it: one of a name that was asked for, then one of the gender, then the
first in the order of the settings. An engine that fails is left alone for a while, and the next one
speaks; what was said before stays said.

The rule: an engine hears no more of a document than the words of one sentence.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import numpy as np
import structlog

from vxml_server.audio import loudness_lufs
from vxml_server.clock import Clock, deadline
from vxml_server.events import VoiceXmlEvent
from vxml_server.tts.engine import REFERENCE_LUFS, Engine, Offer, Samples, Spoken, Utterance
from vxml_server.tts.plan import Clip, MarkPoint, Pause, Plan, Style, Text
from vxml_server.tts.shaping import shaped, spoken_part
from vxml_server.tts.speech import RATE, Chunk, Mark, SpeechRequest
from vxml_server.tts.ssml import parse
from vxml_server.tts.utterances import Part, in_one_style, utterances

_log = structlog.get_logger(__name__)

MAX_GAIN_DB = 30.0
LEVEL_SECONDS = 1.0  # of speech that a level is measured on for good
VOICE_CHANGE_PAUSE = 0.06
PAUSE_CHUNK = 1.0  # seconds: a pause of two minutes is not made at once
TURNS = 2  # that an engine which queues may take for a sentence: one may hang before it
FIRST_RETRY, LAST_RETRY = 1.0, 60.0  # seconds that an engine is left alone after failures
SHORT = 1000  # characters of a document that is read in about the time a thread takes to begin
MAX_CHOICES = 1000  # remembered; a document may ask for voices without end

VoiceKey = tuple[str, tuple[str, ...], str]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A document cut into what is said in one go, pauses and marks."""

    items: tuple[Part, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """A sentence as it is heard: samples at 8 kHz, marks by sample, and which voice said it."""

    pcm: Samples
    marks: tuple[tuple[str, float], ...]
    voice: tuple[str, str]
    substitute: bool = False


@dataclass(slots=True)
class _Health:
    """How an engine has been doing."""

    failures: int = 0  # in a row
    retry_at: float = 0.0


class Voices:
    """`Synthesizer` by engines in order of preference. For one event loop.

    `timeout` is how many seconds an engine has for one sentence (`TURNS` times that with the wait
    for its turn, where it has such); `loudness` what all voices are
    brought to, in LUFS. `recorded` puts clips into a plan
    where there are recordings of its words, on any thread; `recordings` names them.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        clock: Clock,
        *,
        timeout: float = 10.0,
        loudness: float = REFERENCE_LUFS,
        recorded: Callable[[Plan], Plan] | None = None,
        recordings: str = "",
    ) -> None:
        self.spoken: Counter[str] = Counter()
        """Sentences by engine."""
        self.failed: Counter[str] = Counter()
        """Sentences that an engine was asked for in vain, by engine."""
        self._engines = tuple(engines)
        self._clock = clock
        self._timeout = timeout
        self._loudness = loudness
        self._recorded = recorded
        self._recordings = recordings
        self._health = {engine.name: _Health() for engine in engines}
        self._choices: OrderedDict[VoiceKey, tuple[tuple[Engine, Offer], ...]] = OrderedDict()
        """Who speaks a style and by which voice, best first, where all engines have said."""
        self._gains: dict[tuple[str, str], float] = {}

    async def start(self) -> None:
        """Starts every engine. Raises the `VoiceXmlEvent` of one that cannot speak here."""
        for engine in self._engines:
            try:
                await engine.start()
            except VoiceXmlEvent:
                raise
            except Exception as error:  # a plug-in's own
                raise _failure(error) from error

    async def close(self) -> None:
        for engine in self._engines:
            await engine.close()

    @property
    def engines(self) -> tuple[Engine, ...]:
        """In order of preference."""
        return self._engines

    @property
    def identity(self) -> str:
        names = [engine.identity for engine in self._engines]
        names.append(f"{self._loudness:g} LUFS")
        return " | ".join([*names, self._recordings] if self._recordings else names)

    async def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
        """As the protocol says; a chunk is a sentence or a second of a pause."""
        if self._recorded is None and len(request.ssml) <= SHORT:
            plan = self._prepared(request)
        else:
            plan = await asyncio.to_thread(self._prepared, request)
        if plan.warnings:
            yield Chunk(np.zeros(0, np.int16), (), plan.warnings)
        at = 0  # samples so far
        before: tuple[str, str] | None = None  # the voice that spoke directly before
        for item in plan.items:
            if isinstance(item, MarkPoint):
                yield Chunk(np.zeros(0, np.int16), (Mark(item.name, at / RATE),))
                continue
            if isinstance(item, Pause):
                for chunk in _silence(item.seconds):
                    at += len(chunk.pcm)
                    yield chunk
                before = None
                continue
            if isinstance(item, Clip):
                yield Chunk(_leveled(item))
                at += len(item.pcm)
                before = None
                continue
            async for said in self._utter(item):
                if before not in {None, said.voice}:
                    for chunk in _silence(VOICE_CHANGE_PAUSE):
                        at += len(chunk.pcm)
                        yield chunk
                marks = tuple(Mark(name, (at + place) / RATE) for name, place in said.marks)
                yield Chunk(said.pcm, marks, substitute=said.substitute)
                at += len(said.pcm)
                before = said.voice

    def _prepared(self, request: SpeechRequest) -> _Prepared:
        """Beside the loop, if the document is long or there are recordings to be read."""
        plan = parse(request)
        if self._recorded is not None:
            plan = self._recorded(plan)
        return _Prepared(tuple(utterances(plan)), plan.warnings)

    async def _utter(self, utterance: Utterance) -> AsyncGenerator[_Said]:
        """One sentence, by the first engine that manages."""
        rest = [utterance]
        troubles: list[str] = []
        for engines in self._by_health():
            for engine, offer, substitute in await self._offers(utterance.style, engines, troubles):
                if not engine.abilities.mixes:
                    rest = [part for whole in rest for part in in_one_style(whole)]
                try:
                    while rest:
                        said = await self._speak(engine, offer, rest[0])
                        yield replace(said, substitute=substitute)
                        del rest[0]
                except VoiceXmlEvent as event:
                    troubles.append(f"{engine.name}: {event.message}")
                else:
                    return
        if not troubles:
            raise VoiceXmlEvent(
                "error.unsupported.language", f"there is no voice for {utterance.style.lang!r}"
            )
        raise VoiceXmlEvent("error.noresource", f"no engine could speak: {'; '.join(troubles)}")

    def _by_health(self) -> list[list[Engine]]:
        """Those that are well, then those that are left alone: these are better than silence."""
        now = self._clock.monotonic()
        well = [engine for engine in self._engines if self._health[engine.name].retry_at <= now]
        others = [engine for engine in self._engines if engine not in well]
        return [engines for engines in (well, others) if engines]

    async def _offers(
        self, style: Style, engines: Sequence[Engine], troubles: list[str]
    ) -> list[tuple[Engine, Offer, bool]]:
        """Those of the engines that speak a style's language, best first, with their voices for it.

        The last is whether another one might be better. What goes wrong is added to `troubles`.
        """
        if (known := self._choices.get(style.voice)) is None:
            found: list[tuple[Engine, Offer]] = []
            for engine in engines:
                try:
                    async with self._limited(engine):
                        offer = await engine.voice(*style.voice)
                except VoiceXmlEvent as event:
                    troubles.append(f"{engine.name}: {event.message}")
                    continue
                if offer is not None:
                    found.append((engine, offer))
            last = len(style.names)
            found.sort(
                key=lambda f: (last if f[1].named is None else f[1].named, not f[1].is_gender)
            )
            if troubles or len(engines) < len(self._engines):
                return [(engine, offer, True) for engine, offer in found]
            known = self._choices[style.voice] = tuple(found)
            while len(self._choices) > MAX_CHOICES:
                self._choices.popitem(last=False)
        self._choices.move_to_end(style.voice)
        return [
            (engine, offer, engine is not known[0][0])
            for engine, offer in known
            if engine in engines
        ]

    async def _speak(self, engine: Engine, offer: Offer, utterance: Utterance) -> _Said:
        async with self._limited(engine):
            spoken = await engine.speak(_asked(engine, utterance), offer.voice)
            if not len(spoken.pcm):
                raise VoiceXmlEvent("error.noresource", "it said nothing")
            said = self._finished(engine, offer, utterance, spoken)
        self.spoken[engine.name] += 1
        self._health[engine.name] = _Health()
        return said

    @asynccontextmanager
    async def _limited(self, engine: Engine) -> AsyncIterator[None]:
        """An engine's work within its time; failures are noted and raised as `VoiceXmlEvent`."""
        seconds = self._timeout * (TURNS if engine.abilities.queues else 1)
        try:
            async with deadline(self._clock, seconds):
                yield
        except TimeoutError:
            message = f"it took longer than {seconds:g} s"
            self._note_failure(engine, message)
            raise VoiceXmlEvent("error.noresource", message) from None
        except VoiceXmlEvent as event:
            self._note_failure(engine, event.message)
            raise
        except Exception as error:  # a plug-in's own, or what comes of an answer that is none
            failure = _failure(error)
            self._note_failure(engine, failure.message)
            raise failure from error

    def _note_failure(self, engine: Engine, message: str) -> None:
        self.failed[engine.name] += 1
        health = self._health[engine.name]
        rest = min(FIRST_RETRY * 2**health.failures, LAST_RETRY)
        health.failures += 1
        health.retry_at = self._clock.monotonic() + rest
        _log.warning("speech engine failed", engine=engine.name, error=message, retry_seconds=rest)

    def _finished(
        self, engine: Engine, offer: Offer, utterance: Utterance, spoken: Spoken
    ) -> _Said:
        """What an engine said, in the form in which it is heard."""
        style = utterance.style
        can = engine.abilities
        start, end = 0, len(spoken.pcm)
        if not any(isinstance(item, Text) and item.style.silent for item in utterance.items):
            # What is silent is meant to take its time, at the ends too.
            start, end = spoken_part(spoken.pcm, spoken.rate)
        part = spoken.pcm[start:end]
        voice = engine.name, offer.voice
        higher = 1.0 if can.pitch else style.pitch
        pcm = shaped(
            part,
            spoken.rate,
            gain_db=self._gain_db(engine, offer, part, spoken.rate) + style.gain_db,
            higher=higher,
            # Resampled to be higher it is shorter by that factor; `_asked` has seen to it already.
            longer=1.0 if can.rate else higher / style.rate,
        )
        if style.silent:
            pcm = np.zeros_like(pcm)
        ratio = len(pcm) / max(1, end - start)
        known = spoken.marks or (None,) * len(utterance.marks)
        marks = tuple(
            (name, guess * len(pcm) if place is None else (place - start) * ratio)
            for name, place, guess in zip(
                utterance.marks, known, _fractions(utterance), strict=True
            )
        )
        return _Said(
            pcm, tuple((name, min(max(0.0, place), len(pcm))) for name, place in marks), voice
        )

    def _gain_db(self, engine: Engine, offer: Offer, pcm: Samples, rate: int) -> float:
        """What brings a voice to the loudness that all have.

        Measured once, for a gain of its own for each sentence would make them pump.
        """
        if offer.gain_db is not None:
            return offer.gain_db + self._loudness - REFERENCE_LUFS
        voice = engine.name, offer.voice
        if (known := self._gains.get(voice)) is not None:
            return known
        gain = min(self._loudness - loudness_lufs(pcm, rate), MAX_GAIN_DB)
        if len(pcm) >= LEVEL_SECONDS * rate:
            self._gains[voice] = gain
        return gain


def _failure(error: Exception) -> VoiceXmlEvent:
    """What an engine raised that it should not have."""
    return VoiceXmlEvent("error.noresource", f"{type(error).__name__}: {error}")


def _leveled(clip: Clip) -> Samples:
    """A recording as loud as its style says."""
    if clip.style.silent:
        return np.zeros_like(clip.pcm)
    if clip.style.gain_db == 0.0:
        return clip.pcm
    return shaped(clip.pcm, RATE, gain_db=clip.style.gain_db, higher=1.0, longer=1.0)


def _asked(engine: Engine, utterance: Utterance) -> Utterance:
    """The utterance as its engine has to say it.

    Where the pitch is raised afterwards, by resampling, which also makes speech faster, an engine
    that can choose its rate is asked for one that makes up for it.
    """
    can, style = engine.abilities, utterance.style
    if can.pitch or not can.rate or style.pitch == 1.0:
        return utterance
    return replace(utterance, style=replace(style, rate=style.rate / style.pitch))


def _fractions(utterance: Utterance) -> list[float]:
    """Where marks stand in an utterance, as shares of its letters: an estimate of their times."""
    before, places = 0, []
    for item in utterance.items:
        if isinstance(item, Text):
            before += sum(character.isalnum() for character in item.text)
        else:
            places.append(before)
    return [place / max(1, before) for place in places]


def _silence(seconds: float) -> Iterator[Chunk]:
    left = round(seconds * RATE)
    while left > 0:
        length = min(left, round(PAUSE_CHUNK * RATE))
        yield Chunk(np.zeros(length, np.int16))
        left -= length
