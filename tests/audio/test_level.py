from __future__ import annotations

import numpy as np
import pytest

from vxml_server.audio import active_level_dbfs, rms_dbfs


def noise(seconds: float, rms: float, seed: int = 1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(0, rms, round(8000 * seconds)).astype(np.int16)


def test_a_full_scale_sine_reads_three_decibels_below_full_scale() -> None:
    sine = (32767 * np.sin(2 * np.pi * 1000 / 8000 * np.arange(8000))).astype(np.int16)
    assert rms_dbfs(sine) == pytest.approx(-3.01, abs=0.01)


def test_a_full_scale_square_wave_reads_zero_and_does_not_overflow() -> None:
    assert rms_dbfs(np.full(8000, -32768, np.int16)) == 0.0


def test_silence_and_nothing_read_the_floor() -> None:
    for samples in (np.zeros(8000, np.int16), np.zeros(0, np.int16), np.zeros(3, np.int16)):
        assert rms_dbfs(samples) == -120.0
        assert active_level_dbfs(samples) == -120.0


def test_pauses_lower_the_rms_level_but_not_the_active_speech_level() -> None:
    speech = noise(2.0, 3000)
    with_pauses = np.concatenate((speech, np.zeros(32000, np.int16), speech))
    expected = rms_dbfs(speech)
    assert rms_dbfs(with_pauses) < expected - 2.5
    # the hangover counts 200 ms of each pause in
    assert active_level_dbfs(with_pauses) == pytest.approx(expected, abs=0.5)


def test_faint_noise_between_words_is_not_speech() -> None:
    speech, hiss = noise(1.0, 3000), noise(3.0, 30, seed=2)
    level = active_level_dbfs(np.concatenate((hiss, speech, hiss)))
    assert level == pytest.approx(rms_dbfs(speech), abs=1.0)


def test_the_level_does_not_depend_on_the_rate() -> None:
    speech = noise(1.0, 3000)
    assert active_level_dbfs(speech, 16000) == pytest.approx(active_level_dbfs(speech), abs=0.1)
