from __future__ import annotations

import numpy as np
import pytest

from vxml_server.dtmf import COLUMNS, KEYS, ROWS, dial, silence, tone


def level_dbm0(samples: np.ndarray, frequency: float) -> float:
    """Level of one frequency in `samples`; a full-scale sine is +3.17 dBm0."""
    wave = np.exp(-2j * np.pi * frequency / 8000 * np.arange(len(samples)))
    amplitude = 2 * abs(samples @ wave) / len(samples)
    return float(20 * np.log10(amplitude / 32768) + 3.17)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_its_row_and_its_column_at_the_levels_asked_for(key: str) -> None:
    samples = tone(key, 1000, level_dbm0=-12, twist_db=3)
    row, column = divmod(KEYS.index(key), 4)
    assert len(samples) == 8000
    assert level_dbm0(samples, ROWS[row]) == pytest.approx(-12, abs=0.02)
    assert level_dbm0(samples, COLUMNS[column]) == pytest.approx(-9, abs=0.02)


def test_deviation_moves_both_tones_or_each() -> None:
    both = tone("1", 1000, -10, 0, deviation=0.015)
    assert level_dbm0(both, 697 * 1.015) == pytest.approx(-10, abs=0.02)
    assert level_dbm0(both, 1209 * 1.015) == pytest.approx(-10, abs=0.02)
    one = tone("1", 1000, -10, 0, deviation=(0.0, -0.03))
    assert level_dbm0(one, 697) == pytest.approx(-10, abs=0.02)
    assert level_dbm0(one, 1209 * 0.97) == pytest.approx(-10, abs=0.02)


def test_a_ramp_rounds_both_ends_and_leaves_the_middle() -> None:
    plain, ramped = tone("5", 50), tone("5", 50, ramp_ms=5)
    assert np.abs(ramped[:8]).max() < 0.2 * np.abs(plain).max()
    assert np.abs(ramped[-8:]).max() < 0.2 * np.abs(plain).max()
    assert np.array_equal(ramped[40:360], plain[40:360])


def test_a_tone_too_loud_for_the_code_saturates() -> None:
    assert np.abs(tone("0", 50, level_dbm0=3, twist_db=0).astype(int)).max() == 32768


def test_silence_lasts_as_long_as_asked() -> None:
    assert not silence(30).any()
    assert len(silence(30)) == 240


@pytest.mark.parametrize("key", ["", "E", "12", "a"])
def test_what_is_no_key_has_no_tone(key: str) -> None:
    with pytest.raises(ValueError, match="no DTMF key"):
        tone(key)


def test_an_offset_in_hertz_adds_to_the_deviation() -> None:
    samples = tone("1", 1000, -10, 0, deviation=0.015, offset_hz=(2, -2))
    assert level_dbm0(samples, 697 * 1.015 + 2) == pytest.approx(-10, abs=0.02)
    assert level_dbm0(samples, 1209 * 1.015 - 2) == pytest.approx(-10, abs=0.02)


def test_keys_are_dialled_with_pauses_between_them() -> None:
    samples = dial("19", tone_ms=65, pause_ms=70)
    assert len(samples) == 8 * 2 * (65 + 70)
    assert samples[: 8 * 65].any()
    assert not samples[8 * 65 : 8 * 135].any()
    assert samples[8 * 135 : 8 * 200].any()
    assert len(dial("")) == 0
