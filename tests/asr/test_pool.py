"""Places, the queue before them, and steps that are done one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue

import numpy as np
import pytest

from tests.asr.scripted import ScriptedEngine, VirtualWorkers
from vxml_server.asr import (
    RecognitionPool,
    RecognitionProperties,
    Samples,
    SpeechEngine,
    ThreadWorkers,
    VoiceBusy,
)
from vxml_server.asr.pool import Heard, Recognition
from vxml_server.asr.workers import Workers
from vxml_server.clock import SystemClock, VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, Hypothesis

ENGLISH = RecognitionProperties("en")
FRAME = np.ones(160, np.int16)


class World:
    """A pool of few places on virtual time."""

    def __init__(self, *, recognitions: int = 1, waiting: int = 1, spare: int = 2) -> None:
        self.clock = VirtualClock()
        self.engine = ScriptedEngine()
        self.workers = VirtualWorkers(self.clock, spare=spare)
        self.failures: list[VoiceXmlEvent] = []
        self.heard: list[Heard] = []
        self.pool = RecognitionPool(
            recognitions=recognitions,
            waiting=waiting,
            deadline=2.0,
            clock=self.clock,
            workers=self.workers,
            post=lambda callback: callback(),
        )

    def begin(self) -> Recognition:
        return self.pool.begin("scripted", self.engine, (), ENGLISH, self.failures.append)


@pytest.fixture
def world() -> World:
    return World()


def test_who_waits_comes_next(world: World) -> None:
    first, second = world.begin(), world.begin()
    assert (world.pool.active, world.pool.waiting) == (1, 1)
    with pytest.raises(VoiceBusy):
        world.begin()
    first.close()
    assert (world.pool.active, world.pool.waiting) == (1, 0)
    world.engine.hear("left")
    second.feed((FRAME,))
    second.ask(world.heard.append)
    world.clock.advance(0)
    world.clock.advance(0)
    assert world.heard == [(Hypothesis("left", 0.9),)]


def test_who_gives_up_waiting_leaves_the_queue(world: World) -> None:
    first, second = world.begin(), world.begin()
    second.close()
    assert world.pool.waiting == 0
    third = world.begin()
    for recognition in (first, third, second):
        recognition.close()
    assert (world.pool.active, world.pool.waiting) == (0, 0)


def test_a_question_that_is_withdrawn_is_not_answered(world: World) -> None:
    recognition = world.begin()
    recognition.feed((FRAME,))
    recognition.ask(world.heard.append)
    recognition.withdraw()
    world.clock.advance(1)
    assert world.heard == []
    assert world.engine.utterances[0].asked == []


def test_the_later_question_counts(world: World) -> None:
    world.engine.hear("left", "left again")
    recognition = world.begin()
    told: list[str] = []
    recognition.ask(lambda heard: told.append("first " + heard[0].text))
    recognition.ask(lambda heard: told.append("second " + heard[0].text))
    world.clock.advance(1)
    assert told == ["second left again"]


def test_an_engine_that_cannot_begin_fails(world: World) -> None:
    recognition = world.pool.begin(
        "scripted", world.engine, (), RecognitionProperties("fr"), world.failures.append
    )
    recognition.feed((FRAME,))
    world.clock.advance(1)
    assert [event.name for event in world.failures] == ["error.unsupported.language"]
    assert world.pool.active == 0
    recognition.close()
    assert len(world.failures) == 1


def test_an_end_that_hangs_costs_a_thread_and_no_place(world: World) -> None:
    recognition = world.begin()
    recognition.feed((FRAME,))
    world.clock.advance(0)
    world.workers.is_hanging = True
    recognition.close()
    assert world.pool.active == 1
    world.clock.advance(3)
    assert world.pool.active == 0
    assert world.failures == []
    assert world.pool.counters.of("scripted").hung == 1


def test_a_place_that_a_hanging_thread_took_is_given_back_when_it_returns() -> None:
    world = World(waiting=0, spare=0)
    for late in (1, 2, 3):
        world.workers.is_hanging = True
        world.begin().feed((FRAME,))
        world.clock.advance(3)
        assert len(world.failures) == late
        assert world.pool.places == 0
        with pytest.raises(VoiceBusy):
            world.begin()
        world.workers.come_back()
        assert world.pool.places == 1
    world.engine.hear("left")
    recognition = world.begin()
    recognition.ask(world.heard.append)
    world.clock.advance(1)
    assert world.heard == [(Hypothesis("left", 0.9),)]


def test_who_waits_is_heard_when_a_thread_returns() -> None:
    world = World(waiting=1, spare=0)
    world.workers.is_hanging = True
    world.begin().feed((FRAME,))
    world.begin().ask(world.heard.append)
    world.clock.advance(3)
    assert (world.pool.active, world.pool.waiting) == (0, 1)
    world.workers.come_back()
    world.clock.advance(1)
    assert len(world.heard) == 1


def test_an_utterance_that_was_given_up_is_closed_when_it_comes_back() -> None:
    world = World(spare=1)
    world.workers.is_hanging = True
    world.begin().feed((FRAME,))
    world.clock.advance(3)
    world.workers.come_back()
    world.clock.advance(1)
    assert [utterance.is_closed for utterance in world.engine.utterances] == [True]
    assert (world.pool.active, world.pool.places) == (0, 1)


def test_latencies_are_counted_by_their_bounds(world: World) -> None:
    counters = world.pool.counters.of("scripted")
    for seconds in (0.01, 0.05, 0.051, 5.0, 5.1):
        counters.took(seconds)
    assert counters.latencies[:2] == [2, 1]
    assert counters.latencies[-2:] == [1, 1]
    assert counters.results == 5


class Jealous:
    """An utterance that notices when two threads use it, or one uses it after its end."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.fed: list[int] = []
        self.is_closed = False

    def feed(self, pcm: Samples) -> None:
        assert self.lock.acquire(blocking=False)
        assert not self.is_closed
        self.fed.append(int(pcm[0]))
        self.lock.release()

    def result(self) -> tuple[Hypothesis, ...]:
        assert self.lock.acquire(blocking=False)
        assert not self.is_closed
        self.lock.release()
        return (Hypothesis(str(len(self.fed))),)

    def close(self) -> None:
        assert self.lock.acquire(blocking=False)
        assert not self.is_closed
        self.is_closed = True
        self.lock.release()


class JealousEngine(ScriptedEngine):
    def __init__(self) -> None:
        super().__init__()
        self.made: list[Jealous] = []

    def start(self, grammars: Sequence[Grammar], properties: RecognitionProperties) -> Jealous:
        self.made.append(Jealous())
        return self.made[-1]


async def test_real_threads_take_turns_with_an_utterance() -> None:
    engine, loop = JealousEngine(), SimpleQueue[Callable[[], None]]()
    failures: list[VoiceXmlEvent] = []
    workers: Workers = ThreadWorkers(3)
    speech: SpeechEngine = engine
    pool = RecognitionPool(
        recognitions=3,
        waiting=20,
        deadline=60.0,
        clock=SystemClock(),
        workers=workers,
        post=loop.put,
    )
    recognitions = [pool.begin("jealous", speech, (), ENGLISH, failures.append) for _ in range(12)]
    answers: list[str] = []
    for number in range(30):
        for recognition in recognitions:
            recognition.feed((np.full(160, number, np.int16),))

    def answered(recognition: Recognition, heard: Heard) -> None:
        answers.append(heard[0].text)
        recognition.close()

    for recognition in recognitions:
        recognition.ask(partial(answered, recognition))
    while pool.active or pool.waiting:
        loop.get(timeout=10)()
    assert answers == ["30"] * 12
    assert failures == []
    assert all(utterance.fed == list(range(30)) for utterance in engine.made)
    assert all(utterance.is_closed for utterance in engine.made)
    workers.close()
