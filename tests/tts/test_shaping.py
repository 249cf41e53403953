from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from vxml_server.tts.shaping import CEILING, bend, shaped, spoken_part, stretched


def tone(hertz: float, seconds: float, rate: int = 8000) -> npt.NDArray[np.int16]:
    time = np.arange(round(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)


def hertz_of(pcm: npt.NDArray[np.int16]) -> float:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)), 65536))
    return float(np.argmax(spectrum)) * 8000 / 65536


@pytest.mark.parametrize("factor", [0.4, 0.7, 0.9, 1.0, 1.2, 1.8, 3.0])
@pytest.mark.parametrize("hertz", [100.0, 220.0])
def test_stretching_changes_the_length_and_neither_pitch_nor_level(
    factor: float, hertz: float
) -> None:
    before = tone(hertz, 1.0)
    after = stretched(before, factor)
    assert len(after) == pytest.approx(factor * len(before), abs=1)
    assert hertz_of(after) == pytest.approx(hertz, rel=0.02)
    middle = after[len(after) // 4 : -len(after) // 4].astype(float)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(8000 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("length", [0, 1, 199, 400, 401, 999])
def test_short_speech_is_stretched_or_left_alone(length: int) -> None:
    pcm = tone(300, 1.0)[:length]
    assert len(stretched(pcm, 1.5)) in {length, round(1.5 * length)}


@pytest.mark.parametrize("higher", [0.75, 1.0, 1.35])
def test_a_pitch_is_changed_without_the_length(higher: float) -> None:
    after = shaped(tone(300, 1.0, 22050), 22050, gain_db=0.0, higher=higher, longer=higher)
    assert len(after) == pytest.approx(8000, rel=0.01)
    assert hertz_of(after) == pytest.approx(300 * higher, rel=0.02)


def test_a_gain_is_in_decibels_and_never_clips() -> None:
    quiet = shaped(tone(300, 0.5), 8000, gain_db=-6.0, higher=1.0, longer=1.0)
    assert np.abs(quiet).max() == pytest.approx(8000 * 10 ** (-6 / 20), rel=0.01)
    loud = shaped(tone(300, 0.5), 8000, gain_db=30.0, higher=1.0, longer=1.0)
    assert np.abs(loud.astype(int)).max() < 32767
    assert float(np.abs(bend(np.array([0.5, 5.0, -50.0], np.float32))).max()) <= CEILING


def test_silence_at_the_ends_is_found() -> None:
    silence = np.zeros(4000, np.int16)
    pcm = np.concatenate((silence, tone(300, 0.5), silence))
    start, end = spoken_part(pcm, 8000)
    assert start == pytest.approx(4000 - 80, abs=2)
    assert end == pytest.approx(8000 + 80, abs=2)
    assert spoken_part(silence, 8000) == (0, 4000)
