from __future__ import annotations

import numpy as np
import pytest

from vxml_server.audio import Resampler, resample, to_int16


def sine(rate: int, frequency: float, seconds: float = 1.0, peak: float = 10000) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    return np.rint(peak * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_a_tone_keeps_its_pitch_level_and_place_at_another_rate(rate: int) -> None:
    pcm = resample(sine(rate, 440), rate, 8000)
    assert pcm.dtype == np.int16
    assert len(pcm) == pytest.approx(8000, abs=1)
    expected = sine(8000, 440)
    assert np.abs(pcm[400:7600].astype(int) - expected[400:7600]).max() <= 4


def test_what_is_above_half_the_new_rate_vanishes() -> None:
    pcm = resample(sine(22050, 6000), 22050, 8000)
    assert np.abs(pcm[400:7600]).max() <= 2


def test_overshoot_at_full_scale_saturates_and_does_not_wrap() -> None:
    square = np.where(sine(22050, 100) >= 0, 32767, -32768).astype(np.int16)
    pcm = resample(square, 22050, 8000)
    settled = resample((square // 2).astype(np.int16), 22050, 8000)
    assert np.abs(pcm).max() >= 32767
    wrapped = np.sign(pcm.astype(int)) * np.sign(settled.astype(int)) < 0
    assert not wrapped[np.abs(settled) > 8000].any()


def test_resampling_gives_the_same_bytes_every_time() -> None:
    """libsoxr's own int16 output dithers from the time of day."""
    quiet = sine(22050, 440, peak=3)
    assert resample(quiet, 22050, 8000).tobytes() == resample(quiet, 22050, 8000).tobytes()
    assert not resample(np.zeros(22050, np.int16), 22050, 8000).any()


def test_pieces_give_what_the_whole_gives() -> None:
    samples = sine(22050, 300).astype(np.float32) / 32768
    resampler = Resampler(22050, 8000)
    parts = [resampler.feed(samples[start : start + 999]) for start in range(0, 22050, 999)]
    parts.append(resampler.finish())
    assert np.array_equal(np.concatenate(parts), resample(sine(22050, 300), 22050, 8000))


def test_floats_are_rounded_and_saturated_and_no_number_is_silence() -> None:
    floats = np.array([0.0, 1.0, -1.0, 2.0, -2.0, np.inf, -np.inf, np.nan, 1.6 / 32768], np.float32)
    assert to_int16(floats).tolist() == [*(0, 32767, -32768, 32767, -32768, 32767, -32768, 0, 2)]
