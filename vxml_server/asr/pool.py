"""How many recognitions there are at a time, and who waits for a place.

A recognition takes a place when somebody begins to speak; who finds none free waits, with the audio
kept, and catches up. When the queue is full as well there is no voice to be had (`VoiceBusy`), and
callers are told so before they try. An engine that does not come back in time costs the utterance
it works on and a thread, which is replaced while there are spare ones; when none is left, a place
is missing until a thread comes back.

Everything here runs on the event loop but the work itself. The rules that must hold: an utterance
is used by one thread at a time, and closed in the end; a recognition that was closed is not heard
of again; a place is given back exactly once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog

from vxml_server.asr.recognition import (
    RecognitionProperties,
    Samples,
    SpeechEngine,
    Utterance,
)
from vxml_server.asr.voice import VoiceBusy
from vxml_server.asr.workers import Job, Workers
from vxml_server.clock import Clock, Timer
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, Hypothesis

_log = structlog.get_logger(__name__)

Heard: TypeAlias = tuple[Hypothesis, ...]
LATENCIES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
"""Upper bounds of the latency histogram, in seconds."""


@dataclass(slots=True)
class EngineCounters:
    """Numbers of one engine since the start.

    `latencies` counts results by the time from the last sound of speech to the result, by
    `LATENCIES` with one more for all above; the noticing of the pause is in it.
    """

    results: int = 0
    failures: int = 0
    hung: int = 0
    latency_seconds: float = 0.0
    latencies: list[int] = field(default_factory=lambda: [0] * (len(LATENCIES) + 1))

    def took(self, seconds: float) -> None:
        self.results += 1
        self.latency_seconds += seconds
        self.latencies[sum(seconds > bound for bound in LATENCIES)] += 1


@dataclass(slots=True)
class PoolCounters:
    """Numbers of the pool since the start."""

    refused: int = 0
    engines: dict[str, EngineCounters] = field(default_factory=dict)

    def of(self, engine: str) -> EngineCounters:
        return self.engines.setdefault(engine, EngineCounters())


class RecognitionPool:
    """The places of a server.

    `post` has something done on the loop and may be called by any thread. `deadline` is how long
    an engine may take for one step (seconds).
    """

    def __init__(
        self,
        *,
        recognitions: int,
        waiting: int,
        deadline: float,
        clock: Clock,
        workers: Workers,
        post: Callable[[Callable[[], None]], object],
    ) -> None:
        self.counters = PoolCounters()
        self._places = recognitions
        self._may_wait = waiting
        self._deadline = deadline
        self._clock = clock
        self._workers = workers
        self._post = post
        self._active: set[Recognition] = set()
        self._queue: deque[Recognition] = deque()
        self._missed: set[Job] = set()
        """Those whose threads hang and could not be replaced."""

    @property
    def active(self) -> int:
        """Recognitions that have a place."""
        return len(self._active)

    @property
    def waiting(self) -> int:
        """Recognitions that wait for one."""
        return len(self._queue)

    @property
    def places(self) -> int:
        """How many there may be at a time; fewer while threads hang that cannot be replaced."""
        return self._places - len(self._missed)

    def check(self) -> None:
        """Raises `VoiceBusy` when one more could not even wait."""
        if len(self._active) >= self.places and len(self._queue) >= self._may_wait:
            self.counters.refused += 1
            raise VoiceBusy

    def begin(
        self,
        name: str,
        engine: SpeechEngine,
        grammars: tuple[Grammar, ...],
        properties: RecognitionProperties,
        failed: Callable[[VoiceXmlEvent], None],
    ) -> Recognition:
        """A recognition by `engine`; `failed` is told, on the loop, when there is none any more.

        Raises `VoiceBusy`.
        """
        self.check()

        def start() -> Utterance:
            return engine.start(grammars, properties)

        recognition = Recognition(self, name, start, failed)
        self._queue.append(recognition)
        self._fill()
        return recognition

    def close(self) -> None:
        """Ends the threads."""
        self._workers.close()

    # For recognitions --------------------------------------------------------------------------

    def _has_place(self, recognition: Recognition) -> bool:
        return recognition in self._active

    def _leave(self, recognition: Recognition) -> None:
        """Gives back the place, or what was waited for."""
        self._active.discard(recognition)
        if recognition in self._queue:
            self._queue.remove(recognition)
        self._fill()

    def _fill(self) -> None:
        while self._queue and len(self._active) < self.places:
            recognition = self._queue.popleft()
            self._active.add(recognition)
            recognition._go_on()

    def _run(self, work: Callable[[], None], late: Callable[[Job], None]) -> tuple[Job, Timer]:
        """Has a step done by a thread; `late` is told when it takes too long."""
        job = self._workers.submit(work)
        return job, self._clock.call_later(self._deadline, lambda: late(job))

    def _abandon(self, job: Job) -> None:
        if not self._workers.abandon(job):
            self._missed.add(job)
            _log.error("a thread of recognition hangs, and there is no other", left=self.places)

    def _came_back(self, job: Job, utterance: Utterance | None) -> None:
        """A step that had been given up is done, and has left an utterance that nobody knows."""
        if job in self._missed:
            self._missed.discard(job)
            _log.warning("a thread of recognition came back", left=self.places)
        if utterance is not None:
            self._dispose(utterance)
        self._fill()

    def _dispose(self, utterance: Utterance) -> None:
        def work() -> None:
            with suppress(Exception):  # an engine's own, of which nobody is to hear any more
                utterance.close()
            self._post(done)

        def done() -> None:
            timer.cancel()
            self._came_back(job, None)

        job, timer = self._run(work, self._abandon)


class Recognition:
    """One utterance on its way through an engine, as the event loop sees it.

    Audio that is fed waits here while a thread works on what came before.
    """

    def __init__(
        self,
        pool: RecognitionPool,
        engine: str,
        start: Callable[[], Utterance],
        failed: Callable[[VoiceXmlEvent], None],
    ) -> None:
        self._pool = pool
        self._engine = engine
        self._start = start
        self._failed = failed
        self._utterance: Utterance | None = None
        self._untaken: list[Samples] = []
        self._told: Callable[[Heard], None] | None = None
        self._running: Job | None = None
        self._is_closed = False

    @property
    def counters(self) -> EngineCounters:
        return self._pool.counters.of(self._engine)

    def feed(self, frames: tuple[Samples, ...]) -> None:
        """Takes the next frames."""
        self._untaken += frames
        self._go_on()

    def ask(self, told: Callable[[Heard], None]) -> None:
        """Wants to be told what was said up to here; what was asked for before is forgotten."""
        self._told = told
        self._go_on()

    def withdraw(self) -> None:
        """What was asked for is of no interest any more: there is more to come."""
        self._told = None

    def close(self) -> None:
        """Ends it; neither `told` nor `failed` is called any more."""
        if not self._is_closed:
            self._is_closed = True
            self._told = None
            self._untaken.clear()
            self._go_on()

    # Steps, one at a time ----------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._running is not None:
            return
        if self._is_closed and (self._utterance is None or not self._pool._has_place(self)):
            self._pool._leave(self)
        elif self._pool._has_place(self) and (self._is_closed or self._untaken or self._told):
            self._step()

    def _step(self) -> None:
        frames, self._untaken = self._untaken, []
        told, closing = self._told, self._is_closed
        utterance, start, post = self._utterance, self._start, self._pool._post

        def work() -> None:
            # In a thread of the pool: nothing of this object is touched but by `done`.
            using, heard, trouble = utterance, None, None
            try:
                if closing and using is not None:
                    using.close()
                elif not closing:
                    using = using or start()
                    for frame in frames:
                        using.feed(frame)
                    heard = using.result() if told is not None else None
            except Exception as error:
                trouble = error
            post(lambda: done(using, heard, trouble))

        def done(using: Utterance | None, heard: Heard | None, trouble: Exception | None) -> None:
            if self._running is not job:  # It had been given up.
                self._pool._came_back(job, None if closing else using)
                return
            self._running = None
            timer.cancel()
            self._utterance = None if closing else using
            if trouble is not None:
                self._fail(trouble)
            elif heard is not None and told is not None and self._told is told:
                self._told = None
                told(heard)
            self._go_on()

        job, timer = self._pool._run(work, self._late)
        self._running = job

    def _late(self, job: Job) -> None:
        if self._running is not job:
            return
        self._pool._abandon(job)
        self._running = None
        self._utterance = None
        self.counters.hung += 1
        self._fail(TimeoutError(f"the recogniser {self._engine!r} does not answer"))
        self._go_on()

    def _fail(self, trouble: Exception) -> None:
        if self._is_closed:
            return
        self.counters.failures += 1
        if isinstance(trouble, VoiceXmlEvent):
            event = trouble
            _log.warning("recognition failed", engine=self._engine, error=str(event))
        else:
            event = VoiceXmlEvent("error.noresource", str(trouble) or type(trouble).__name__)
            _log.error("recognition failed", engine=self._engine, exc_info=trouble)
        self._is_closed = True
        self._told = None
        self._untaken.clear()
        self._failed(event)
