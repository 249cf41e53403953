"""Loudness against the numbers of BS.1770 and EBU R 128, and against another implementation."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.audio import SILENCE_LUFS, levelled, loudness_lufs
from vxml_server.audio.loudness import MAX_GAIN_DB, PEAK_CEILING_DBFS

RATE = 8000


def tone(frequency: float, dbfs: float, seconds: float = 5.0, rate: int = RATE) -> np.ndarray:
    """A sine whose peak is `dbfs`."""
    time = np.arange(round(seconds * rate)) / rate
    return np.rint(np.sin(2 * np.pi * frequency * time) * 10 ** (dbfs / 20) * 32767).astype(
        np.int16
    )


def talk(seconds: float = 20.0, level: float = 2000.0) -> np.ndarray:
    """Noise with the spectrum and the pauses of speech, more or less."""
    noise = np.random.default_rng(4).normal(size=round(seconds * RATE))
    spectrum = np.fft.rfft(noise)
    frequency = np.fft.rfftfreq(len(noise), 1 / RATE)
    spectrum *= (frequency > 150) * (frequency < 3400) / (1 + (frequency / 500) ** 2)
    shaped = np.fft.irfft(spectrum, len(noise))
    syllables = np.interp(
        np.arange(len(noise)),
        np.arange(0, len(noise) + 800, 800),
        np.random.default_rng(5).choice([0.0, 0.2, 1.0, 1.5], len(noise) // 800 + 1),
    )
    voice = shaped / shaped.std() * syllables * level
    return np.clip(voice, -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
@pytest.mark.parametrize("dbfs", [-3.0, -20.0, -33.0])
def test_a_sine_of_997_hz_reads_its_level(rate: int, dbfs: float) -> None:
    assert loudness_lufs(tone(997, dbfs, rate=rate), rate) == pytest.approx(dbfs - 3.01, abs=0.05)


def test_weighting_hears_highs_more_and_rumble_less() -> None:
    middle = loudness_lufs(tone(500, -20))
    assert loudness_lufs(tone(3000, -20)) - middle == pytest.approx(3.6, abs=0.3)
    assert loudness_lufs(tone(30, -20)) < middle - 5


def test_pauses_do_not_count() -> None:
    """As in case 3 of EBU Tech 3341: what is 10 LU below the rest is not in the mean."""
    loud = tone(997, -23, 60)
    whole = np.concatenate([tone(997, -36, 10), loud, np.zeros(20 * RATE, np.int16)])
    assert loudness_lufs(whole) == pytest.approx(loudness_lufs(loud), abs=0.1)


@pytest.mark.parametrize("level", [300.0, 2000.0, 6000.0])
def test_speech_reads_as_another_implementation_reads_it_at_48_khz(level: float) -> None:
    import pyloudnorm  # brings scipy, which takes longer than all these tests

    pcm = talk(level=level)
    raised = soxr.resample(pcm.astype(np.float64) / 32768, RATE, 48_000, quality="VHQ")
    expected = pyloudnorm.Meter(48_000).integrated_loudness(raised)
    assert loudness_lufs(pcm) == pytest.approx(expected, abs=0.15)


def test_long_sounds_are_measured_as_short_ones() -> None:
    pcm = talk(20.0)
    assert loudness_lufs(np.tile(pcm, 6)) == pytest.approx(loudness_lufs(pcm), abs=0.1)


@pytest.mark.parametrize("samples", [0, 1, 160, 5000])
def test_silence_and_short_sounds_are_measured_too(samples: int) -> None:
    assert loudness_lufs(np.zeros(samples, np.int16)) == SILENCE_LUFS
    assert loudness_lufs(tone(997, -10, 0.2)) == pytest.approx(-13.0, abs=1.0)


@pytest.mark.parametrize("level", [1200.0, 2000.0, 6000.0])
def test_what_is_levelled_has_the_loudness_asked_for(level: float) -> None:
    assert loudness_lufs(levelled(talk(level=level), -20.0)) == pytest.approx(-20.0, abs=0.1)


def test_a_whisper_is_not_raised_to_its_noise() -> None:
    quiet = talk(level=30.0)
    gained = loudness_lufs(levelled(quiet, -20.0)) - loudness_lufs(quiet)
    assert gained == pytest.approx(MAX_GAIN_DB, abs=0.3)


def test_peaks_stay_below_the_ceiling() -> None:
    spiky = talk(level=500.0)
    spiky[5000] = 20_000
    peak = np.abs(levelled(spiky, -10.0).astype(int)).max()
    assert 20 * np.log10(peak / 32768) == pytest.approx(PEAK_CEILING_DBFS, abs=0.01)


def test_what_is_at_full_scale_is_only_turned_down() -> None:
    square = np.where(np.arange(RATE) % 20 < 10, 32767, -32768).astype(np.int16)
    assert loudness_lufs(levelled(square, -20.0)) == pytest.approx(-20.0, abs=0.1)
    clipped = talk(level=300.0)
    clipped[::3000] = -32768
    assert np.array_equal(levelled(clipped, -20.0), clipped)


@given(st.lists(st.integers(-32768, 32767), max_size=300), st.floats(-40, -10))
def test_no_sound_is_too_strange(samples: list[int], lufs: float) -> None:
    pcm = np.array(samples, np.int16)
    out = levelled(pcm, lufs)
    assert out.dtype == np.int16
    assert len(out) == len(pcm)
    if not pcm.any():
        assert not out.any()
