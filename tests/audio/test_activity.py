"""A voice is told from silence, noise, clicks, other voices and the echo of our own."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.voices import frames, voice
from vxml_server.audio import SpeechActivity, rms_dbfs

Samples = NDArray[np.int16]
SECOND = 8000


def level(samples: NDArray[np.float64], dbfs: float) -> Samples:
    scaled = samples * 10 ** ((dbfs - rms_dbfs(samples.astype(np.int16))) / 20)
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def white(seconds: float, dbfs: float) -> Samples:
    return level(np.random.default_rng(3).standard_normal(int(seconds * SECOND)) * 3000, dbfs)


def hum(seconds: float, dbfs: float) -> Samples:
    at = np.arange(int(seconds * SECOND)) / SECOND
    waves = sum(np.sin(2 * np.pi * 50 * k * at + k) / k for k in (1, 2, 3, 4, 5, 7))
    return level(np.asarray(waves) * 3000, dbfs)


def babble(seconds: float, dbfs: float, talkers: int = 8) -> Samples:
    """Several people at once, each beginning somewhere else."""
    random = np.random.default_rng(5)
    mixed = np.zeros(int(seconds * SECOND))
    for _ in range(talkers):
        talk = np.tile(voice("sentence"), 1 + len(mixed) // len(voice("sentence")))
        mixed += np.roll(talk, random.integers(len(talk)))[: len(mixed)]
    return level(mixed, dbfs)


def quiet(seconds: float) -> Samples:
    """A line on which nobody speaks."""
    return white(seconds, -65)


def said(name: str, dbfs: float = -26.0) -> Samples:
    """Somebody speaks at this level while active."""
    return (voice(name) * 10 ** ((dbfs + 26) / 20)).astype(np.int16)


def over(noise: Samples, speech: Samples, at: float) -> Samples:
    mixed = noise.astype(np.int32)
    start = int(at * SECOND)
    mixed[start : start + len(speech)] += speech
    return np.clip(mixed, -32768, 32767).astype(np.int16)


def active(samples: Samples, sensitivity: float = 0.5) -> list[bool]:
    activity = SpeechActivity(sensitivity)
    return [activity.feed(frame) for frame in frames(samples)]


NOISES = pytest.mark.parametrize("noise", [white, hum, babble])


def test_a_voice_is_noticed_within_a_tenth_of_a_second() -> None:
    heard = active(over(quiet(3), said("four-two"), at=1.0))
    assert not any(heard[:50])
    assert 50 < heard.index(True) <= 55
    assert not any(heard[100:])


def test_a_quiet_voice_on_a_quiet_line_is_heard() -> None:
    assert any(active(over(quiet(3), said("seven", -42), at=1.0)))


@NOISES
def test_noise_alone_is_no_speech_from_the_first_frame_on(
    noise: Callable[[float, float], Samples],
) -> None:
    # 15 dB under usual speech, and under the loudest that telephones are.
    assert not any(active(noise(10, -41)))
    assert not any(active(noise(10, -35)))


@NOISES
def test_a_voice_15_db_over_the_noise_is_heard(noise: Callable[[float, float], Samples]) -> None:
    heard = active(over(noise(4, -41), said("four-two"), at=2.0))
    assert not any(heard[:100])
    assert any(heard[100:120])
    assert not any(heard[155:])


@pytest.mark.parametrize("noise", [white, hum])
def test_a_noise_that_starts_is_learnt_within_seconds(
    noise: Callable[[float, float], Samples],
) -> None:
    heard = active(np.concatenate([quiet(2), noise(20, -40)]))
    assert not any(heard[100 + 160 :])


@given(st.integers(1, 300), st.integers(1000, 32000))
def test_a_click_is_no_speech(length: int, height: int) -> None:
    clicks = quiet(2).copy()
    clicks[8000 : 8000 + length] = height
    assert not any(active(clicks))


def test_the_gaps_of_a_long_talk_are_short() -> None:
    talk = np.concatenate([quiet(1), np.tile(said("sentence"), 10)])
    heard = active(talk)[50:]
    longest = max(len(gap) for gap in "".join(".x"[on] for on in heard).split("x"))
    assert sum(heard) > 0.6 * len(heard)
    assert longest * 0.02 < 0.6


def test_sensitivity_decides_how_quiet_a_voice_may_be() -> None:
    faint = over(quiet(3), said("four-two", -50), at=1.0)
    assert any(active(faint, sensitivity=1.0))
    assert not any(active(faint, sensitivity=0.0))
    loud = over(quiet(3), said("four-two", -20), at=1.0)
    assert any(active(loud, sensitivity=0.0))


def test_what_is_quieter_than_the_floor_given_is_neither_voice_nor_noise() -> None:
    activity = SpeechActivity()
    for frame in frames(quiet(1)):
        activity.feed(frame)
    known = activity.noise_dbfs
    assert not any(activity.feed(frame, -20.0) for frame in frames(said("sentence", -35)))
    assert activity.noise_dbfs <= known + 0.1
    assert any(activity.feed(frame, -40.0) for frame in frames(said("seven")))


def test_digital_silence_and_full_scale_are_taken() -> None:
    assert not any(active(np.zeros(SECOND, np.int16)))
    active(np.full(SECOND, -32768, np.int16))


def test_a_frame_costs_microseconds() -> None:
    activity, fed = SpeechActivity(), frames(over(quiet(4), said("sentence"), at=0.2))
    began = time.process_time()
    for frame in fed:
        activity.feed(frame)
    assert (time.process_time() - began) / len(fed) < 100e-6
