"""One wait for voice on virtual time: when it ends, how, and what is told on the way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.asr.scripted import (
    ScriptedEngine,
    Wait,
    recogniser_for,
)
from tests.asr.waits import DIGITS, LEFT, PAUSE, World, result_of
from tests.voices import frames, voice
from vxml_server.asr import (
    Attention,
    SpeechBegan,
    SpeechPassedOver,
    Understood,
    VoiceEnding,
    VoiceFailed,
    VoiceRequest,
)
from vxml_server.asr.endpointer import LEAD_FRAMES
from vxml_server.audio import SpeechActivity
from vxml_server.clock import VirtualClock
from vxml_server.grammar import Hypothesis, load

# How a wait ends -------------------------------------------------------------------------------


def test_silence_is_nothing_to_tell(world: World) -> None:
    wait = world.wait()
    wait.pause(30)
    assert wait.told == []
    assert world.engine.utterances == []


def test_a_complete_match_ends_after_the_complete_timeout(world: World) -> None:
    world.engine.hear("left")
    wait = world.wait()
    wait.pause(1.0)
    wait.speak(0.6)
    wait.pause(2.0)
    at, result = result_of(wait)
    assert at == pytest.approx(1.6 + 0.5)
    assert result.ending is VoiceEnding.MATCH
    assert result.nbest == (Understood("left", 0.9, "left", 0),)
    assert result.ended == pytest.approx(1.6)


def test_an_incomplete_match_ends_in_nomatch_after_the_incomplete_timeout(world: World) -> None:
    world.engine.hear("one two")
    wait = world.wait()
    wait.speak(0.6)
    wait.pause(3.0)
    at, result = result_of(wait)
    assert at == pytest.approx(0.6 + 1.0)
    assert result.ending is VoiceEnding.NOMATCH
    assert result.nbest == (Understood("one two", 0.9, None, None),)


def test_a_caller_who_breathes_between_digits_is_heard_to_the_end(world: World) -> None:
    world.engine.hear("one two", "one two three four")
    wait = world.wait()
    wait.speak(0.6)
    wait.pause(0.9)
    wait.speak(0.6)
    wait.pause(2.0)
    at, result = result_of(wait)
    assert at == pytest.approx(2.1 + 0.5)
    assert result.nbest[0].interpretation == "1234"
    [utterance] = world.engine.utterances
    # The pause between is fed as well, and what follows only once.
    assert len(utterance.fed) == round((2.1 + PAUSE) * 8000)


def test_the_engine_is_asked_when_the_pause_begins_not_when_it_ends(world: World) -> None:
    world.engine.hear("left")
    wait = world.wait()
    wait.speak(0.6)
    wait.pause(0.16)
    assert world.engine.utterances[0].asked == []
    wait.pause(0.02)
    world.clock.advance(0)
    assert world.engine.utterances[0].asked == [round((0.6 + PAUSE) * 8000)]


def test_work_is_hidden_in_the_timeout() -> None:
    world = World(seconds=0.15)
    world.engine.hear("left")
    wait = world.wait()
    wait.speak(0.6)
    wait.pause(2.0)
    assert result_of(wait)[0] == pytest.approx(0.6 + 0.5)


def test_a_slow_engine_delays_the_end_by_no_more_than_it_takes() -> None:
    world = World(seconds=1.3)
    world.engine.hear("left")
    wait = world.wait()
    wait.speak(0.1)
    wait.pause(6.0)
    # A first step with what was fed at once, a second with the rest and the question.
    assert result_of(wait)[0] == pytest.approx(0.02 + 1.3 + 1.3)


def test_what_is_said_after_the_longer_timeout_is_not_part_of_it() -> None:
    world = World(seconds=2.0)
    world.engine.hear("left")
    wait = world.wait()
    wait.speak(0.1)
    wait.pause(1.2)
    wait.speak(1.0)
    wait.pause(3.0)
    _, result = result_of(wait)
    assert result.ending is VoiceEnding.MATCH
    assert result.ended == pytest.approx(0.1)
    [utterance] = world.engine.utterances
    assert len(utterance.fed) == round((0.1 + PAUSE) * 8000)


def test_an_answer_that_comes_when_the_caller_goes_on_is_forgotten() -> None:
    world = World(seconds=0.3)
    world.engine.hear("left", "one two three four")
    wait = world.wait()
    wait.speak(0.4)
    wait.pause(0.3)
    wait.speak(1.0)
    wait.pause(2.0)
    _, result = result_of(wait)
    assert [one.utterance for one in result.nbest] == ["one two three four"]


def test_speech_that_is_not_understood_is_a_nomatch(world: World) -> None:
    wait = world.wait()
    wait.speak(0.6)
    wait.pause(2.0)
    _, result = result_of(wait)
    assert result.ending is VoiceEnding.NOMATCH
    assert result.nbest == (Understood("", 0.0, None, None),)


def test_speech_without_end_is_maxspeechtimeout(world: World) -> None:
    request = VoiceRequest((LEFT,), "en", max_speech_timeout=5.0)
    wait = world.wait(request=request)
    wait.pause(1.0)
    wait.speak(7.0)
    at, result = result_of(wait)
    assert at == pytest.approx(1.0 + 5.0, abs=0.08)
    assert (result.ending, result.nbest) == (VoiceEnding.MAX_SPEECH, ())
    assert world.recogniser.pool.active == 0


def test_who_pauses_when_the_time_is_up_has_spoken_in_time(world: World) -> None:
    world.engine.hear("left")
    request = VoiceRequest((LEFT,), "en", max_speech_timeout=2.0)
    wait = world.wait(request=request)
    wait.speak(1.8)
    wait.pause(2.0)
    assert result_of(wait)[1].ending is VoiceEnding.MATCH


def test_who_goes_on_after_the_time_is_up_has_not(world: World) -> None:
    world.engine.hear("one two", "one two three four")
    request = VoiceRequest((DIGITS,), "en", max_speech_timeout=2.0)
    wait = world.wait(request=request)
    wait.speak(1.7)
    wait.pause(0.6)
    wait.speak(0.5)
    at, result = result_of(wait)
    assert result.ending is VoiceEnding.MAX_SPEECH
    assert at == pytest.approx(2.32)


def test_a_timeout_shorter_than_a_pause_makes_the_pause_shorter(world: World) -> None:
    world.engine.hear("left")
    request = VoiceRequest((LEFT,), "en", complete_timeout=0.1)
    wait = world.wait(request=request)
    wait.speak(0.6)
    wait.pause(1.0)
    assert result_of(wait)[0] == pytest.approx(0.7)


def test_a_tag_that_fails_is_thrown(world: World) -> None:
    broken = load(
        b"#ABNF 1.0;\nlanguage en; mode voice; root $a; tag-format <semantics/1.0>;"
        b"$a = left {out = nothing.at.all};"
    )
    world.engine.hear("left")
    wait = world.wait(request=VoiceRequest((broken,), "en"))
    wait.speak(0.6)
    wait.pause(2.0)
    assert isinstance(wait.events[-1], VoiceFailed)
    assert wait.events[-1].event.name == "error.semantic"


# What is told at the beginning -----------------------------------------------------------------


def test_the_beginning_is_told_at_once_with_the_time_of_the_first_sound(world: World) -> None:
    wait = world.wait(activity=SpeechActivity())
    random = np.random.default_rng(1)
    quiet = [(random.standard_normal(160) * 15).astype(np.int16) for _ in range(50)]
    wait.hear(quiet)
    wait.hear(frames(voice("seven")))
    [(at, event)] = wait.told
    assert isinstance(event, SpeechBegan)
    assert 1.0 <= event.at < at <= 1.25
    assert at - event.at == pytest.approx(0.06)
    # Prompts are stopped in that very frame, in the media thread.
    assert wait.stops == [at]


def test_the_lead_of_the_speech_is_recognised_with_it(world: World) -> None:
    wait = world.wait()
    wait.pause(1.0)
    wait.speak(0.6)
    wait.pause(2.0)
    assert len(world.engine.utterances[0].fed) == round((0.6 + PAUSE) * 8000) + 160 * (
        LEAD_FRAMES - 1
    )


def test_the_audio_is_what_was_said_with_some_quiet_around_it(world: World) -> None:
    world.engine.hear("left")
    wait = world.wait()
    wait.pause(1.0)
    wait.speak(0.6)
    wait.pause(2.0)
    audio = result_of(wait)[1].audio
    assert audio.dtype == np.int16
    assert np.count_nonzero(audio) == 0.6 * 8000
    assert len(audio) / 8000 == pytest.approx(0.28 + 0.6 + 0.18)


# Attention -------------------------------------------------------------------------------------


def test_a_prompt_without_bargein_is_not_interrupted(world: World) -> None:
    wait = world.wait(attention=Attention.DEAF)
    wait.speak(2.0)
    wait.pause(2.0)
    assert wait.told == []
    assert wait.stops == []


def test_speech_that_goes_on_when_the_prompt_is_over_begins_then(world: World) -> None:
    world.engine.hear("left")
    wait = world.wait(attention=Attention.DEAF)
    wait.speak(1.0)
    wait.listening.attend(Attention.SPEECH)
    wait.speak(0.5)
    wait.pause(2.0)
    began = wait.events[0]
    assert isinstance(began, SpeechBegan)
    assert began.at == pytest.approx(1.0, abs=0.11)
    assert result_of(wait)[1].ending is VoiceEnding.MATCH
    assert len(wait.stops) == 1


def test_speech_into_a_prompt_without_bargein_is_dropped(world: World) -> None:
    wait = world.wait()
    wait.speak(0.5)
    wait.listening.attend(Attention.DEAF)
    assert not wait.listening.is_speaking
    wait.pause(3.0)
    assert [type(event) for event in wait.events] == [SpeechBegan]
    assert world.recogniser.pool.active == 0


def test_hotword_is_matched_and_stops_no_prompt_before(world: World) -> None:
    world.engine.hear("left")
    wait = world.wait(attention=Attention.HOTWORD)
    wait.speak(0.6)
    wait.pause(2.0)
    began = wait.events[0]
    assert isinstance(began, SpeechBegan)
    assert began.hotword
    assert wait.stops == []
    assert result_of(wait)[1].ending is VoiceEnding.MATCH


def test_with_hotword_other_speech_is_passed_over_and_listening_goes_on(world: World) -> None:
    world.engine.hear("good grief")
    world.engine.hear("left")
    wait = world.wait(attention=Attention.HOTWORD)
    wait.speak(0.6)
    wait.pause(2.0)
    at, passed = wait.told[-1]
    assert isinstance(passed, SpeechPassedOver)
    assert at == pytest.approx(1.6)
    assert (passed.utterance, passed.confidence) == ("good grief", 0.9)
    assert not wait.listening.is_speaking
    wait.speak(0.6)
    wait.pause(2.0)
    assert result_of(wait)[1].ending is VoiceEnding.MATCH


def test_with_hotword_endless_speech_is_passed_over(world: World) -> None:
    request = VoiceRequest((LEFT,), "en", max_speech_timeout=2.0)
    wait = world.wait(attention=Attention.HOTWORD, request=request)
    wait.speak(5.0)
    kinds = [type(event) for event in wait.events]
    assert kinds == [SpeechBegan, SpeechPassedOver, SpeechBegan, SpeechPassedOver, SpeechBegan]


def test_speech_keeps_the_attention_under_which_it_began(world: World) -> None:
    world.engine.hear("good grief")
    wait = world.wait(attention=Attention.HOTWORD)
    wait.speak(0.3)
    wait.listening.attend(Attention.SPEECH)
    wait.speak(0.3)
    wait.pause(2.0)
    assert [type(event) for event in wait.events] == [SpeechBegan, SpeechPassedOver]
    assert wait.stops == []


def test_a_wait_that_was_closed_tells_nothing(world: World) -> None:
    wait = world.wait()
    wait.speak(0.5)
    wait.listening.close()
    wait.listening.close()
    wait.speak(0.5)
    wait.pause(3.0)
    assert [type(event) for event in wait.events] == [SpeechBegan]
    assert [utterance.is_closed for utterance in world.engine.utterances] == [True]
    assert world.recogniser.pool.active == 0


@pytest.mark.parametrize("post_later", [False, True])
def test_it_does_not_matter_how_late_the_loop_is(post_later: bool) -> None:
    clock = VirtualClock()
    engine = ScriptedEngine()
    engine.hear([Hypothesis("left", 0.8)])

    def post(callback: Callable[[], None]) -> None:
        clock.call_later(0.05, callback) if post_later else callback()

    wait = Wait(recogniser_for(engine, clock, post=post), clock, VoiceRequest((LEFT,), "en"))
    wait.speak(0.6)
    wait.pause(2.0)
    at, result = result_of(wait)
    assert result.ended == pytest.approx(0.6)
    assert at == pytest.approx(1.1)
