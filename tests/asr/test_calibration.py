"""From a score to a confidence: curves, how they are fitted, and the file they are kept in."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.asr.calibration import (
    FILE,
    Isotonic,
    Logistic,
    Uncalibrated,
    calibration_of,
    fit_isotonic,
    fit_logistic,
    save,
)

SCORES = st.floats(-1e6, 1e6, allow_nan=False)
MEASURED = st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=60)


def drawn(slope: float, offset: float, count: int = 4000) -> tuple[list[float], list[bool]]:
    """Results of an engine whose scores are right as often as this curve says."""
    random = np.random.default_rng(7)
    scores = random.uniform(-8, 2, count)
    correct = random.random(count) < 1 / (1 + np.exp(-(slope * scores + offset)))
    return list(scores), list(correct)


def test_a_logistic_fit_finds_the_curve_that_made_the_results() -> None:
    curve = fit_logistic(*drawn(1.5, 4.0))
    assert curve.slope == pytest.approx(1.5, rel=0.1)
    assert curve.offset == pytest.approx(4.0, rel=0.1)
    assert curve.samples == 4000
    assert curve.confidence(-4.0 / 1.5) == pytest.approx(0.5, abs=0.03)


def test_an_isotonic_fit_says_how_often_results_were_right() -> None:
    scores, correct = drawn(1.5, 4.0)
    curve = fit_isotonic(scores, correct)
    for score in (-5.0, -3.0, -2.0, 0.0):
        true = 1 / (1 + math.exp(-(1.5 * score + 4.0)))
        assert curve.confidence(score) == pytest.approx(true, abs=0.08)


def test_classes_that_a_threshold_separates_give_a_steep_curve_and_not_an_endless_one() -> None:
    curve = fit_logistic([-3, -2, -1, 1, 2, 3], [False, False, False, True, True, True])
    assert curve.confidence(0.0) == pytest.approx(0.5, abs=0.05)
    assert curve.confidence(3.0) > 0.75
    assert math.isfinite(curve.slope)


def test_scores_that_say_nothing_give_how_often_it_was_right() -> None:
    curve = fit_logistic([1.0] * 100, [True] * 80 + [False] * 20)
    assert curve.confidence(1.0) == pytest.approx(0.8, abs=0.02)


def test_a_score_that_is_better_when_wrong_is_not_believed() -> None:
    assert fit_logistic([1, 2, 3, 4], [True, True, False, False]).slope == 0.0


@given(MEASURED, SCORES, SCORES)
def test_confidence_never_falls_while_the_score_rises(
    measured: list[tuple[float, bool]], one: float, other: float
) -> None:
    scores, correct = [score for score, _ in measured], [right for _, right in measured]
    for curve in (fit_logistic(scores, correct), fit_isotonic(scores, correct), Uncalibrated()):
        low, high = (curve.confidence(score) for score in sorted((one, other)))
        assert 0 <= low <= high <= 1


def test_what_is_no_number_has_no_confidence() -> None:
    for curve in (Logistic(1.0, 9.0), Isotonic((0.0,), (0.9,)), Uncalibrated()):
        assert curve.confidence(math.nan) == 0.0
        assert curve.confidence(-math.inf) <= curve.confidence(math.inf)
    assert Logistic(0.0, 1.0).confidence(math.inf) == pytest.approx(0.731, abs=0.001)


@pytest.mark.parametrize(
    ("scores", "correct"),
    [([], []), ([1.0], [True, False]), ([math.nan], [True]), ([math.inf], [True])],
)
def test_what_cannot_be_fitted_is_refused(scores: list[float], correct: list[bool]) -> None:
    for fit in (fit_logistic, fit_isotonic):
        with pytest.raises(ValueError, match="expected"):
            fit(scores, correct)


@pytest.mark.parametrize(
    ("scores", "confidences"),
    [
        ((), ()),
        ((1.0, 2.0), (0.5,)),
        ((2.0, 1.0), (0.1, 0.2)),
        ((1.0, 2.0), (0.2, 0.1)),
        ((1.0, 2.0), (0.2, 1.1)),
        ((math.inf,), (0.5,)),
    ],
)
def test_a_curve_that_is_none_is_refused(
    scores: tuple[float, ...], confidences: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        Isotonic(scores, confidences)
    with pytest.raises(ValueError, match="rising"):
        Logistic(-1.0, 0.0)


def test_curves_are_kept_by_engine_and_language(tmp_path: Path) -> None:
    file = tmp_path / "calibrations.json"
    english, french, other = (
        Logistic(1.0, 2.0, 30),
        fit_isotonic([1, 2], [False, True]),
        Logistic(3, 4),
    )
    save("engine", "en-US", english, file)
    save("engine", "fr", french, file)
    save("engine", "*", other, file)
    assert calibration_of("engine", "en-GB", file) == english
    assert calibration_of("engine", "fr", file) == french
    assert calibration_of("engine", "ko", file) == other
    assert calibration_of("another", "en", file) == Uncalibrated()
    save("engine", "en", other, file)
    assert calibration_of("engine", "en", file) == other
    assert len(json.loads(file.read_text("utf-8"))["calibrations"]) == 3


def test_what_another_process_has_kept_meanwhile_is_not_lost(tmp_path: Path) -> None:
    file = tmp_path / "calibrations.json"
    save("engine", "en", Logistic(1.0, 0.0), file)
    calibration_of("engine", "en", file)  # known from now on
    elsewhere = json.loads(file.read_text("utf-8"))
    elsewhere["calibrations"].append(elsewhere["calibrations"][0] | {"engine": "another"})
    file.write_text(json.dumps(elsewhere), "utf-8")
    save("engine", "fr", Logistic(2.0, 0.0), file)
    assert calibration_of("another", "en", file) == Logistic(1.0, 0.0)
    assert calibration_of("engine", "en", file) == Logistic(1.0, 0.0)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 2, "calibrations": []}',
        '{"format": 1, "calibrations": [{"engine": "a", "language": "en", "kind": "magic"}]}',
        '{"format": 1, "calibrations": [{"engine": "a", "language": "en", "kind": "isotonic",'
        ' "scores": 1, "confidences": []}]}',
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "calibrations.json"
    file.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"format 1|unknown kind|expected a list"):
        calibration_of("a", "en", file)


def test_what_is_delivered_can_be_read() -> None:
    # An engine that is in nobody's file: reading it checks every entry.
    assert calibration_of("nobody's engine", "en", FILE) == Uncalibrated()
