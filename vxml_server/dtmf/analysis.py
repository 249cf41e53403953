"""The second look: 100 ms of one channel, and whether one key's tones are a digit in them.

Offset, mains and dial tones are removed; in blocks of 4 ms the two tones of the key are fitted;
where both stand near the key's own level it is *present*; short gaps are closed; the last *run* of
presence is the digit's time; and over that time phase advance gives the frequencies and a coherent
sum gives the share of energy.

Clean tones may be short and far off in twist; less clean ones must last longer and be closer to
nominal (`GRADES`). Speech and music, which have the frequencies for a moment but never alone, fail
on this.

The rule that must hold: all functions here are pure, and every row of their arrays is a channel of
its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from vxml_server.dtmf.keys import KEYS, amplitude, frequencies
from vxml_server.dtmf.projection import (
    BLOCK,
    BLOCK_SECONDS,
    BLOCKS,
    BLOCKS_PER_FRAME,
    Complex,
    Flags,
    Floats,
    Indices,
    hum_basis,
    pair_basis,
    rotations,
)

MIN_LEVEL_DBM0 = -40.0
PRESENT = 0.4  # of the key's own amplitude, over three blocks
REFERENCE_RANK = 3  # ... which is the third largest, so that a click is not taken for it
RECENT = 12  # ... of so many blocks: the digit before may have been much louder
MAX_GAP = 5  # blocks of absence that do not end a digit
MAX_GAP_AROUND_LOSS = 2  # ... beside lost frames
MAX_LOST = 2 * BLOCKS_PER_FRAME  # blocks lost in a row that a digit may bridge

MIN_AMPLITUDE = np.float32(amplitude(MIN_LEVEL_DBM0))
_HUM = hum_basis()
_HUM_TURNED = np.ascontiguousarray(_HUM.T)
_PAIRS = pair_basis()
_ROTATIONS = rotations()
# What a phase advance of one radian in two blocks is as a share of the nominal frequency.
_PER_RADIAN = np.float32(1 / (4 * np.pi * BLOCK_SECONDS)) / np.array(
    [frequencies(key) for key in KEYS], np.float32
)
_INDEX = np.arange(BLOCKS)
_HALF_STEPS = _INDEX.astype(np.float32) / 2
_BITS = 2.0**_INDEX
# [start, end]: 1 in the blocks of a run but for the outermost, which are partly filled.
_WITHIN = ((_INDEX[:, np.newaxis, np.newaxis] < _INDEX) & (_INDEX[:, np.newaxis] > _INDEX)).astype(
    np.float32
)

Value = TypeVar("Value", np.float32, np.complex64)


@dataclass(frozen=True, slots=True)
class Grade:
    """What a digit must be: at least so many blocks, so much share of the energy, ..."""

    blocks: int
    share: float
    deviation: float  # of either frequency, at most
    high_above_low: tuple[float, float]  # dB


GRADES = (
    Grade(8, 0.90, 0.0205, (-11.5, 11.5)),
    Grade(10, 0.84, 0.018, (-10.5, 8.5)),
    Grade(11, 0.74, 0.012, (-6.0, 6.0)),
    Grade(11, 0.60, 0.006, (-4.5, 4.5)),
    Grade(14, 0.54, 0.006, (-4.5, 4.5)),
    Grade(18, 0.45, 0.006, (-4.5, 4.5)),
)
MIN_BLOCKS = min(grade.blocks for grade in GRADES)


def _limits(grade: Grade) -> list[tuple[float, float]]:
    """The least and the most of each of `LookBack.measures`."""
    low, high = (10 ** (decibels / 20) for decibels in grade.high_above_low)
    least = float(MIN_AMPLITUDE)
    return [
        (grade.blocks, BLOCKS), (grade.share, 2), (0, grade.deviation), (low, high), (least, 1e9)
    ]  # fmt: skip


# [measures, grades, 1]
_LEAST, _MOST = np.array([_limits(grade) for grade in GRADES], np.float32).T[..., np.newaxis]


class LookBack:
    """What the last 100 ms of some channels say about one key each.

    `samples` is float32 [c, LOOK_BACK] and is used up; `keys` are indices [c] into `KEYS`; `known`
    is bool [c, BLOCKS], false in blocks of lost frames, or None where nothing was lost.
    """

    __slots__ = ("_blocks", "_keys", "_present", "_tones", "end", "length", "start")

    start: Indices
    """First block of the last run of presence, by channel."""
    end: Indices
    """Last block of it; -1 where there is none."""
    length: Indices
    """How many blocks that is."""

    def __init__(self, samples: Floats, keys: Indices, known: Flags | None = None) -> None:
        samples -= (samples @ _HUM) @ _HUM_TURNED
        self._keys = keys
        self._blocks = samples.reshape(-1, BLOCKS, BLOCK)
        fitted: Complex = (self._blocks @ _PAIRS[keys]).view(np.complex64)
        # Time comes last from here on, so that each step runs along it.
        tones = _ROTATIONS[keys]
        tones *= fitted.transpose(0, 2, 1)
        if known is not None:
            tones *= known[:, np.newaxis]
        self._tones = tones
        self._present = _presence(tones, known)
        lost = None if known is None else _as_integers(~known)
        self.start, self.end, self.length = _last_runs(_as_integers(self._present), lost)

    def are_digits(self) -> Flags:
        """bool [c]: whether each run is a digit, by any of `GRADES`."""
        measures = self.measures()[:, np.newaxis]
        good = measures >= _LEAST
        good &= measures <= _MOST
        accepted: Flags = np.logical_or.reduce(np.logical_and.reduce(good))
        return accepted

    def measures(self) -> Floats:
        """float32 [5, c] of each run: blocks, share of the energy, the larger deviation of the two
        tones from nominal, high tone over low one, amplitude of the weaker tone."""
        weight = _WITHIN[self.start, self.end] * self._present
        tones = self._tones * weight[:, np.newaxis]
        # vecdot conjugates its first operand.
        advance = np.vecdot(tones[..., :-2], tones[..., 2:])
        turn = np.arctan2(advance.imag, advance.real)  # radians in two blocks
        angle = turn[..., np.newaxis] * _HALF_STEPS
        steady = np.empty_like(tones)
        np.cos(angle, out=steady.real)
        np.sin(angle, out=steady.imag)
        count = np.maximum(np.add.reduce(weight, axis=1), 1)
        mean = np.abs(np.vecdot(steady, tones))
        mean /= count[:, np.newaxis]
        energy = np.vecdot(np.vecdot(self._blocks, self._blocks), weight)
        deviation = np.abs(turn * _PER_RADIAN[self._keys])
        low, high = np.maximum(mean.T, 1)
        measures = np.empty((5, len(count)), np.float32)
        length, share, off, twist, level = measures
        # Little can be said of a run that is mostly gaps.
        np.minimum(self.length, 2 * count, out=length)
        np.divide(np.vecdot(mean, mean) * count, np.maximum(energy, 1), out=share)
        share *= BLOCK / 2
        np.maximum(deviation[:, 0], deviation[:, 1], out=off)
        np.divide(high, low, out=twist)
        np.minimum(low, high, out=level)
        return measures


def _presence(tones: Complex, known: Flags | None) -> Flags:
    """[c, BLOCKS]: whether both tones of the key are there, judged over three blocks."""
    amplitudes = np.abs(_over_three(tones))
    if known is not None:
        amplitudes *= 3 / np.maximum(_over_three(known.astype(np.float32)), 1)[:, np.newaxis]
    threshold = np.sort(amplitudes[..., -RECENT:])[..., -REFERENCE_RANK, np.newaxis]
    threshold *= PRESENT
    np.maximum(threshold, MIN_AMPLITUDE * 3 / 2, out=threshold)
    there = amplitudes >= threshold
    present: Flags = there[:, 0] & there[:, 1]
    if known is not None:
        present &= known
    return present


def _over_three(values: npt.NDArray[Value]) -> npt.NDArray[Value]:
    """Sums of each block with its neighbours, along the last axis; the outermost have but one."""
    sums = values.copy()
    sums[..., 1:] += values[..., :-1]
    sums[..., :-1] += values[..., 1:]
    return sums


def _as_integers(flags: Flags) -> list[int]:
    """Each row of flags as the bits of an integer, the first flag lowest."""
    return [int(number) for number in (flags @ _BITS).tolist()]


def _last_runs(present: list[int], lost: list[int] | None) -> tuple[Indices, Indices, Indices]:
    """(first block, last block, number of blocks) of each row's last run."""
    if lost is None:
        lost = [0] * len(present)
    runs = np.array(list(map(last_run, present, lost)), np.intp)
    start, end = runs[:, 0], runs[:, 1]
    return start, end, end - start + 1


def last_run(present: int, lost: int) -> tuple[int, int]:
    """(first, last block) of the last run of presence, short gaps closed; (0, -1) without one.

    Bit n of `present` and of `lost` stands for block n. On integers this is quicker than on arrays:
    runs are few.
    """
    length = present.bit_length()
    start = (~present & ((1 << length) - 1)).bit_length()
    while earlier := present & ((1 << start) - 1):
        last = earlier.bit_length()
        gap = ((1 << start) - 1) >> last << last
        missing = (gap & lost).bit_count()
        absent = start - last - missing
        if missing > MAX_LOST or absent > (MAX_GAP_AROUND_LOSS if missing else MAX_GAP):
            break
        # On to the first block of the presence that ends there.
        start = (~present & ((1 << last) - 1)).bit_length()
    return start, length - 1
