"""Waits for voice when there is too much to understand, or an engine fails."""

from __future__ import annotations

import pytest

from tests.asr.scripted import (
    QUIET,
    SOUND,
)
from tests.asr.waits import PAUSE, World, result_of
from vxml_server.asr import (
    Attention,
    SpeechBegan,
    VoiceBusy,
    VoiceEnding,
    VoiceFailed,
    VoiceRefused,
)
from vxml_server.events import VoiceXmlEvent


def test_who_speaks_when_all_places_are_taken_is_understood_later() -> None:
    world = World(recognitions=1)
    world.engine.hear("left")
    world.engine.hear("left")
    first, second = world.wait(), world.wait()
    for _ in range(30):
        world.clock.advance(0.02)
        for wait in (first, second):
            wait.listening.frame(SOUND, QUIET)
    assert (world.recogniser.pool.active, world.recogniser.pool.waiting) == (1, 1)
    assert len(world.engine.utterances) == 1
    for _ in range(100):
        world.clock.advance(0.02)
        for wait in (first, second):
            wait.listening.frame(QUIET, QUIET)
    assert [result_of(wait)[1].ending for wait in (first, second)] == 2 * [VoiceEnding.MATCH]
    assert len(world.engine.utterances[1].fed) == round((0.6 + PAUSE) * 8000)


def test_who_comes_when_places_and_queue_are_full_is_told_before_it_begins() -> None:
    world = World(recognitions=1, waiting=0)
    wait = world.wait()
    wait.speak(0.5)
    with pytest.raises(VoiceBusy):
        world.wait()
    assert world.recogniser.pool.counters.refused == 1


def test_who_speaks_when_the_queue_has_filled_up_is_refused() -> None:
    world = World(recognitions=1, waiting=0)
    first, second, hotword = (
        world.wait(),
        world.wait(),
        world.wait(attention=Attention.HOTWORD),
    )
    first.speak(0.5)
    hotword.speak(0.5)
    second.speak(0.5)
    assert second.events == [VoiceRefused()]
    assert hotword.events == []


def test_an_engine_that_fails_costs_the_input(world: World) -> None:
    world.engine.hear(VoiceXmlEvent("error.noresource", "its process is gone"))
    wait = world.wait()
    wait.speak(0.6)
    wait.pause(2.0)
    assert isinstance(wait.events[-1], VoiceFailed)
    assert wait.events[-1].event.name == "error.noresource"
    assert not wait.listening.is_speaking
    assert world.recogniser.pool.counters.of("scripted").failures == 1


def test_a_defect_of_an_engine_is_an_event_as_well(world: World) -> None:
    world.engine.hear(IndexError("list index out of range"))
    wait = world.wait()
    wait.speak(0.6)
    wait.pause(2.0)
    assert isinstance(wait.events[-1], VoiceFailed)
    assert wait.events[-1].event.name == "error.noresource"
    assert [utterance.is_closed for utterance in world.engine.utterances] == [True]


def test_an_engine_that_hangs_is_given_up_after_the_deadline() -> None:
    world = World(deadline=3.0)
    world.engine.hear("left")
    wait = world.wait()
    wait.speak(0.6)
    world.workers.is_hanging = True
    wait.pause(5.0)
    at, event = wait.told[-1]
    assert isinstance(event, VoiceFailed)
    assert at == pytest.approx(0.6 + PAUSE + 3.0, abs=0.1)
    world.workers.is_hanging = False
    assert world.recogniser.pool.active == 0
    world.engine.hear("left")
    again = world.wait()
    again.speak(0.6)
    again.pause(2.0)
    assert result_of(again)[1].ending is VoiceEnding.MATCH


def test_threads_that_are_lost_for_good_leave_fewer_places() -> None:
    world = World(recognitions=2, deadline=1.0, spare=0)
    world.workers.is_hanging = True
    wait = world.wait()
    wait.speak(0.6)
    wait.pause(3.0)
    assert world.recogniser.pool.places == 1


def test_what_comes_back_after_it_was_given_up_changes_nothing() -> None:
    world = World(seconds=4.0, deadline=3.0)
    world.engine.hear("left")
    wait = world.wait()
    wait.speak(0.6)
    wait.pause(20.0)
    assert [type(event) for event in wait.events] == [SpeechBegan, VoiceFailed]
