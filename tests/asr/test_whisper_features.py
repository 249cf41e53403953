"""What a Whisper model is shown."""

from __future__ import annotations

import numpy as np
import pytest

from vxml_server.asr.whisper_features import BANDS, HOP, RATE, WINDOW, log_mel, mel_filters


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    times = np.arange(round(RATE * seconds)) / RATE
    return np.rint(8000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


def test_the_filters_are_those_the_models_were_trained_with() -> None:
    filters = mel_filters()
    assert filters.shape == (80, 201)
    # The first weights of the published filter bank (80 bands at 16 kHz).
    assert filters[0, 1] == pytest.approx(0.02486259, abs=1e-7)
    assert filters[1, 1] == pytest.approx(0.00199082, abs=1e-7)
    assert filters[1, 2] == pytest.approx(0.02287177, abs=1e-7)


def test_each_filter_is_one_triangle_of_unit_area_in_hertz() -> None:
    filters = mel_filters()
    for row in filters:
        lines = np.flatnonzero(row)
        assert np.all(np.diff(lines) == 1)
    # Wide triangles are sampled finely enough for their area to show.
    assert filters[-20:].sum(axis=1) * RATE / WINDOW == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("hertz", [300, 1000, 2500, 3400])
def test_a_tone_is_loudest_in_the_band_around_it(hertz: float) -> None:
    shown = log_mel(tone(hertz), 100)
    strongest = mel_filters()[:, round(hertz * WINDOW / RATE)].argmax()
    # Below 1 kHz a band is narrower than the window's lobe: its neighbour may be as loud.
    assert np.all(np.abs(shown[:, 10:90].argmax(axis=0) - strongest) <= 1)


def test_what_comes_after_the_end_is_silence() -> None:
    shown = log_mel(tone(500, 0.5), 100)
    assert shown.shape == (BANDS, 100)
    assert np.all(shown[:, 60:] == shown.min())
    assert shown.max() - shown.min() == pytest.approx(8 / 4)


def test_samples_beyond_the_window_change_nothing() -> None:
    samples = tone(700, 2.0)
    assert np.array_equal(log_mel(samples, 100), log_mel(samples[: 100 * HOP + WINDOW // 2], 100))


@pytest.mark.parametrize("count", [0, 1, 150, 399])
def test_hardly_any_samples_are_shown_too(count: int) -> None:
    shown = log_mel(tone(500)[:count], 20)
    assert shown.shape == (BANDS, 20)
    assert np.isfinite(shown).all()


def test_a_louder_signal_is_shown_brighter_by_its_decades() -> None:
    quiet = tone(900)
    louder = log_mel((quiet.astype(np.int32) * 3).astype(np.int16), 100).max()
    assert louder - log_mel(quiet, 100).max() == pytest.approx(2 * np.log10(3) / 4, abs=1e-3)
