"""From an engine's score to a confidence: how often a result with that score is right.

Engines score by likelihoods of their own, which say little to an author who writes
`confidencelevel`. What a score is worth is measured with speech whose words are known
(`fit_logistic`, `fit_isotonic`), kept by engine identity and language in `calibrations.json` beside
this module, and applied here, so that 0.5 means about even odds whatever the engine.

The file is `{"format": 1, "calibrations": [entry, ...]}`. An entry has `engine` (an identity),
`language` (a primary language subtag, or `*`), `samples` (how many results it was fitted to), and a
curve: `"kind": "logistic"` with `slope` and `offset`, or `"kind": "isotonic"` with `scores` and
`confidences`, two lists of equal length that do not fall.

The rule that must hold: a confidence is between 0 and 1 and never falls while the score rises.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

FILE = Path(__file__).with_name("calibrations.json")
_STEPS = 100
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Logistic:
    """1 / (1 + exp(-(slope * score + offset))), after Platt."""

    slope: float
    offset: float
    samples: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slope) and math.isfinite(self.offset) and self.slope >= 0):
            raise ValueError(f"not a rising curve: slope {self.slope}, offset {self.offset}")

    def confidence(self, score: float) -> float:
        """Between 0 and 1; 0 for a score that is no number."""
        if math.isnan(score):
            return 0.0
        power = self.slope * score + self.offset if self.slope else self.offset
        return 0.5 * (1 + math.tanh(power / 2))


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Straight lines between points; constant before the first and after the last."""

    scores: tuple[float, ...]
    confidences: tuple[float, ...]
    samples: int = 0

    def __post_init__(self) -> None:
        if not self.scores or len(self.scores) != len(self.confidences):
            raise ValueError("expected as many confidences as scores, and at least one")
        if not all(map(math.isfinite, self.scores)):
            raise ValueError("expected finite scores")
        if list(self.scores) != sorted(set(self.scores)):
            raise ValueError("expected scores that rise")
        if list(self.confidences) != sorted(self.confidences):
            raise ValueError("expected confidences that do not fall")
        if not 0 <= self.confidences[0] <= self.confidences[-1] <= 1:
            raise ValueError("expected confidences between 0 and 1")

    def confidence(self, score: float) -> float:
        """Between 0 and 1; 0 for a score that is no number."""
        if math.isnan(score):
            return 0.0
        after = bisect_right(self.scores, score)
        if after == 0:
            return self.confidences[0]
        if after == len(self.scores):
            return self.confidences[-1]
        low, high = self.scores[after - 1 : after + 1]
        below, above = self.confidences[after - 1 : after + 1]
        return min(above, below + (above - below) * ((score - low) / (high - low)))


@dataclass(frozen=True, slots=True)
class Uncalibrated:
    """For an engine that nobody has measured: its score is taken for a probability."""

    samples: int = 0

    def confidence(self, score: float) -> float:
        """The score itself, kept between 0 and 1; 0 for a score that is no number."""
        return 0.0 if math.isnan(score) else min(1.0, max(0.0, score))


Calibration: TypeAlias = Logistic | Isotonic | Uncalibrated
_Kind: TypeAlias = Literal["logistic", "isotonic"]


def calibration_of(identity: str, lang: str, file: Path = FILE) -> Calibration:
    """What is known of an engine in a language; `Uncalibrated` when nothing is."""
    known = _read(file)
    primary = lang.partition("-")[0].lower()
    return known.get((identity, primary)) or known.get((identity, "*")) or Uncalibrated()


def save(identity: str, lang: str, curve: Logistic | Isotonic, file: Path = FILE) -> None:
    """Puts a curve into the file, in the place of one for the same engine and language.

    What other processes have put there stays, and nobody reads a file that is half written.
    """
    primary = lang.partition("-")[0].lower() or "*"
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        _read.cache_clear()  # what is known from before may be old
        known = dict(_read(file)) | {(identity, primary): curve}
        entries = [
            {"engine": engine, "language": language, "kind": _kind_of(one), **asdict(one)}
            for (engine, language), one in sorted(known.items())
        ]
        text = json.dumps({"format": 1, "calibrations": entries}, indent=1, ensure_ascii=False)
        written = file.with_name(f".{file.name}.new")
        written.write_text(text + "\n", "utf-8")
        written.replace(file)
    finally:
        os.close(folder)
        _read.cache_clear()


@lru_cache(maxsize=8)
def _read(file: Path) -> dict[tuple[str, str], Logistic | Isotonic]:
    if not file.exists():
        return {}
    content = json.loads(file.read_text("utf-8"))
    if content.get("format") != 1:
        raise ValueError(f"{file}: not a calibration file of format 1")
    return {
        (str(entry["engine"]), str(entry["language"])): _curve(entry)
        for entry in content["calibrations"]
    }


def _kind_of(curve: Logistic | Isotonic) -> _Kind:
    return "logistic" if isinstance(curve, Logistic) else "isotonic"


def _curve(entry: dict[str, object]) -> Logistic | Isotonic:
    kind, samples = entry["kind"], int(str(entry.get("samples", 0)))
    if kind == "logistic":
        return Logistic(float(str(entry["slope"])), float(str(entry["offset"])), samples)
    if kind == "isotonic":
        return Isotonic(_numbers(entry["scores"]), _numbers(entry["confidences"]), samples)
    raise ValueError(f"unknown kind of calibration: {kind!r}")


def _numbers(value: object) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list of numbers, got {value!r}")
    return tuple(float(str(number)) for number in value)


def fit_logistic(scores: Sequence[float], correct: Sequence[bool]) -> Logistic:
    """The curve under which `correct` is likeliest, by Newton's method.

    Targets are Platt's, a little inside 0 and 1, and a small ridge keeps classes that a threshold
    separates from making a step of it. Raises ValueError when there is nothing to fit.
    """
    x, y = _measured(scores, correct)
    hits = int(y.sum())
    target = np.where(y > 0, (hits + 1) / (hits + 2), 1 / (len(y) - hits + 2))
    spread = float(x.std()) or 1.0
    z = (x - x.mean()) / spread
    slope, offset = 0.0, math.log((hits + 1) / (len(y) - hits + 1))
    for _ in range(_STEPS):
        p = 0.5 * (1 + np.tanh((slope * z + offset) / 2))
        weight = np.maximum(p * (1 - p), 1e-9)
        gradient = np.array([np.dot(p - target, z) + _RIDGE * slope, np.sum(p - target)])
        cross = float(np.dot(weight, z))
        hessian = np.array(
            [[np.dot(weight, z * z) + _RIDGE, cross], [cross, weight.sum() + _RIDGE]]
        )
        step = np.linalg.solve(hessian, gradient)
        # A full step from a flat place can leap over the answer.
        step *= min(1.0, 4.0 / max(1e-12, float(np.abs(step).max())))
        slope, offset = slope - float(step[0]), offset - float(step[1])
        if float(np.abs(step).max()) < 1e-9:
            break
    slope = max(0.0, slope) / spread
    return Logistic(slope, offset - slope * float(x.mean()), len(y))


def fit_isotonic(scores: Sequence[float], correct: Sequence[bool]) -> Isotonic:
    """The non-falling curve nearest to `correct`: pool adjacent violators.

    Each pool is smoothed by one success and one failure, so that no score is ever certain. Raises
    ValueError when there is nothing to fit.
    """
    x, y = _measured(scores, correct)
    order = np.argsort(x, kind="stable")
    values, starts = np.unique(x[order], return_index=True)
    hits = np.add.reduceat(y[order], starts)
    counts = np.diff([*starts, len(x)])
    pools: list[tuple[float, float, float]] = []  # sum of score times count, hits, count
    for value, hit, count in zip(values, hits, counts, strict=True):
        pool = (float(value) * float(count), float(hit), float(count))
        while pools and pools[-1][1] * pool[2] >= pool[1] * pools[-1][2]:
            before = pools.pop()
            pool = (before[0] + pool[0], before[1] + pool[1], before[2] + pool[2])
        pools.append(pool)
    centres = [total / count for total, _, count in pools]
    smoothed = [(hit + 1) / (count + 2) for _, hit, count in pools]
    # Smoothing a small pool more than its neighbour may turn their order round.
    rising = np.maximum.accumulate(smoothed)
    return Isotonic(tuple(centres), tuple(map(float, rising)), len(x))


def _measured(
    scores: Sequence[float], correct: Sequence[bool]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    x, y = np.asarray(scores, np.float64), np.asarray(correct, np.float64)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ValueError("expected a score and a verdict of each result, and at least one result")
    if not np.isfinite(x).all():
        raise ValueError("expected finite scores")
    return x, y
