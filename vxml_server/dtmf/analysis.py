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
MAX_GAP = 5  # blocks of absence that do not end a digit
MAX_GAP_AROUND_LOSS = 2  # ... beside lost frames
MAX_LOST = 2 * BLOCKS_PER_FRAME  # blocks lost in a row that a digit may bridge

MIN_AMPLITUDE = np.float32(amplitude(MIN_LEVEL_DBM0))
_HUM = hum_basis()
_HUM_TURNED = np.ascontiguousarray(_HUM.T)
_PAIRS = pair_basis()
_ROTATIONS = rotations()
_PER_TURN = np.float32(1 / (2 * np.pi * BLOCK_SECONDS)) / np.array(
    [frequencies(key) for key in KEYS], np.float32
)
_INDEX = np.arange(BLOCKS)
_TIMES = 1j * _INDEX[:, np.newaxis].astype(np.complex64)
_NEIGHBOURS = np.full((BLOCKS, 1), 3, np.float32)
_NEIGHBOURS[[0, -1]] = 2
_BITS = 2.0**_INDEX

Value = TypeVar("Value", np.float32, np.complex64)


@dataclass(frozen=True, slots=True)
class Grade:
    """What a digit must be: at least so many blocks, so much share of the energy, ..."""

    blocks: int
    share: float
    deviation: float  # of either frequency, at most
    high_above_low: tuple[float, float]  # dB


GRADES = (
    Grade(8, 0.85, 0.026, (-12.0, 12.0)),
    Grade(10, 0.70, 0.018, (-10.5, 8.5)),
    Grade(11, 0.60, 0.010, (-6.0, 5.0)),
)
MIN_BLOCKS = min(grade.blocks for grade in GRADES)
_BLOCKS = np.array([[grade.blocks] for grade in GRADES])
_SHARE = np.array([[grade.share] for grade in GRADES], np.float32)
_DEVIATION = np.array([[grade.deviation] for grade in GRADES], np.float32)
# The twist as the ratio of the amplitudes.
_TWIST = 10 ** (np.array([[grade.high_above_low] for grade in GRADES], np.float32) / 20)


class LookBack:
    """What the last 100 ms of some channels say about one key each.

    `samples` is float32 [c, LOOK_BACK] and is used up; `keys` are indices [c] into `KEYS`; `known`
    is bool [c, BLOCKS], false in blocks of lost frames, or None where nothing was lost.
    """

    __slots__ = ("_blocks", "_keys", "_present", "_tones", "end", "start")

    start: Indices
    """First block of the last run of presence, by channel."""
    end: Indices
    """Last block of it; -1 where there is none."""

    def __init__(self, samples: Floats, keys: Indices, known: Flags | None = None) -> None:
        samples -= (samples @ _HUM) @ _HUM_TURNED
        self._keys = keys
        self._blocks = samples.reshape(-1, BLOCKS, BLOCK)
        tones: Complex = (self._blocks @ _PAIRS[keys]).view(np.complex64)
        tones *= _ROTATIONS[keys]
        if known is not None:
            tones *= known[..., np.newaxis]
        self._tones = tones
        self._present = _presence(tones, known)
        present = _as_integers(self._present)
        lost = [0] * len(present) if known is None else _as_integers(~known)
        runs = np.array([last_run(*both) for both in zip(present, lost, strict=True)], np.intp)
        self.start, self.end = runs[:, 0], runs[:, 1]

    def are_digits(self, which: Indices) -> Flags:
        """Whether the runs of these rows are digits, by any of `GRADES`."""
        start, end = self.start[which], self.end[which]
        # The outermost blocks of a run are partly filled.
        body = self._present[which]
        body &= start[:, np.newaxis] < _INDEX
        body &= end[:, np.newaxis] > _INDEX
        weight = body.astype(np.float32)
        tones = self._tones[which]
        tones *= weight[..., np.newaxis]
        blocks = self._blocks[which]
        # vecdot conjugates its first operand.
        advance = np.vecdot(tones[:, :-2], tones[:, 2:], axis=1)
        turn = np.arctan2(advance.imag, advance.real)[:, np.newaxis]  # radians in two blocks
        turn *= 0.5
        sums = np.abs(np.vecdot(np.exp(turn * _TIMES), tones, axis=1))
        turn = turn[:, 0]
        # A tone off its nominal frequency loses a little within each block: x / sin x, nearly.
        sums *= 1 + turn * turn / 24
        count = np.maximum(weight.sum(axis=1), 1)
        energy = np.maximum(np.vecdot(np.vecdot(blocks, blocks), weight), 1)
        share = np.vecdot(sums, sums) * (BLOCK / 2) / (count * energy)
        deviation = np.abs(turn * _PER_TURN[self._keys[which]]).max(axis=1)
        low, high = sums[:, 0], sums[:, 1]
        good = end - start + 1 >= _BLOCKS
        good &= share >= _SHARE
        good &= deviation <= _DEVIATION
        good &= (high >= low * _TWIST[..., 0]) & (high <= low * _TWIST[..., 1])
        accepted: Flags = good.any(axis=0)
        accepted &= np.minimum(low, high) >= MIN_AMPLITUDE * count
        return accepted


def _presence(tones: Complex, known: Flags | None) -> Flags:
    """[c, BLOCKS]: whether both tones of the key are there, judged over three blocks."""
    amplitudes = np.abs(_over_three(tones))
    if known is None:
        amplitudes /= _NEIGHBOURS
    else:
        amplitudes /= np.maximum(_over_three(known[..., np.newaxis].astype(np.float32)), 1)
    reference = np.sort(amplitudes, axis=1)[:, BLOCKS - REFERENCE_RANK]
    threshold = np.maximum(PRESENT * reference, MIN_AMPLITUDE / 2)
    there = amplitudes >= threshold[:, np.newaxis]
    present: Flags = there[..., 0] & there[..., 1]
    if known is not None:
        present &= known
    return present


def _over_three(values: npt.NDArray[Value]) -> npt.NDArray[Value]:
    """Sums of each block with its neighbours, along axis 1; the outermost have one."""
    sums = values.copy()
    sums[:, 1:] += values[:, :-1]
    sums[:, :-1] += values[:, 1:]
    return sums


def _as_integers(flags: Flags) -> list[int]:
    """Each row of flags as the bits of an integer, the first flag lowest."""
    return [int(number) for number in (flags @ _BITS).tolist()]


def last_run(present: int, lost: int) -> tuple[int, int]:
    """(first, last block) of the last run of presence, short gaps closed; (0, -1) without one.

    Bit n of `present` and of `lost` stands for block n. On integers this is quicker than on arrays:
    runs are few.
    """
    end = present.bit_length() - 1
    start = end + 1
    while earlier := present & ((1 << start) - 1):
        last = earlier.bit_length()
        gap = ((1 << start) - 1) >> last << last
        missing = (gap & lost).bit_count()
        absent = start - last - missing
        if missing > MAX_LOST or absent > (MAX_GAP_AROUND_LOSS if missing else MAX_GAP):
            break
        # On to the first block of the presence that ends there.
        start = (~present & ((1 << last) - 1)).bit_length()
    return start, end
