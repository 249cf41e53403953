"""In-band DTMF: keys heard in the samples, for many channels at once.

What a receiver must accept and refuse (per tone, levels in dBm0):

    =====================  ==================  ==================  ====================
    .                      ITU-T Q.24          ETSI ES 201 235-3   Bellcore TR-TSY-181
    =====================  ==================  ==================  ====================
    frequency, accept      1.5 % to 1.8 %      1.5 % + 2 Hz        1.5 %
    frequency, refuse      3.0 % to 3.5 %      .                   3.5 %
    tone, accept           40 ms               40 ms               40 ms
    tone, refuse           20 ms to 24 ms      20 ms               23 ms
    pause, new digit       30 ms to 40 ms      40 ms               40 ms
    interruption, same     10 ms to 20 ms      20 ms               10 ms
    level, accept          -25 to -29          -30                 -25
    level, refuse          -29 to -50          .                   -55
    high above low (dB)    -10 to +5           -6 to +6            -8 to +4
    signal to noise        15 dB               15 dB               15 dB
    =====================  ==================  ==================  ====================

Every frame passes two stages. The *screen* projects all channels onto the eight tones in one
matrix product and lets those through whose strongest low and high tone make up a fair share of the
energy. Few do, and only these are *analysed*, over the last 100 ms: hum and dial tones are
removed; in blocks of 4 ms the two tones of the key are fitted; where both stand near the key's own
level it is present; short gaps are closed; the last run of presence is the digit's time; and over
that time phase advance gives the frequencies and a coherent sum the share of energy.

The rule that must hold: a decision depends on the last 100 ms of one channel and on what that
channel reported before. No channel sees another, so a bank of one decides as a bank of thousands.

Clean tones may be short and far off in twist; less clean ones must last longer and be closer to
nominal (`GRADES`). Speech and music, which have the frequencies for a moment but never alone, fail
on this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from vxml_server.dtmf.keys import COLUMNS, KEYS, ROWS, amplitude, frequencies
from vxml_server.dtmf.projection import (
    BLOCK,
    BLOCK_SECONDS,
    BLOCKS,
    BLOCKS_PER_FRAME,
    FRAME,
    FRAMES,
    LOOK_BACK,
    TONES,
    Floats,
    hum_basis,
    pair_basis,
    rotations,
    screen_basis,
)

SCREEN_SHARE = 0.22  # of a frame's energy in the strongest low and high tone
SCREEN_TWIST = 20.0  # the weaker of the two is at least the stronger over this, in power
MIN_LEVEL_DBM0 = -40.0

PRESENT = 0.4  # of the key's own amplitude, over three blocks
REFERENCE_RANK = 3  # ... which is the third largest, so that a click is not taken for it
MAX_GAP = 5  # blocks of absence that do not end a digit
MAX_GAP_AROUND_LOSS = 2  # ... beside lost frames
MAX_LOST = 2 * BLOCKS_PER_FRAME  # blocks lost in a row that a digit may bridge

_SCREEN = screen_basis()
_HUM = hum_basis()
_PAIRS = pair_basis()
_ROTATIONS = rotations()
_NOMINAL = np.array([frequencies(key) for key in KEYS], np.float32)
_MIN_AMPLITUDE = np.float32(amplitude(MIN_LEVEL_DBM0))
_MIN_FRAME_POWER = np.float32(FRAME * float(_MIN_AMPLITUDE) ** 2 / 2 / 16)
_INDEX = np.arange(BLOCKS)

Indices = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
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


@dataclass(slots=True)
class _Run:
    """The last run of presence of each candidate; arrays [c] or [c, 2] (low, high tone)."""

    start: Indices  # block in the look-back
    end: Indices  # -1 where there is none
    share: Floats
    deviation: Floats  # [c, 2], share of nominal, signed
    amplitude: Floats  # [c, 2]

    @property
    def blocks(self) -> Indices:
        return self.end - self.start + 1


class DtmfBank:
    """Detectors of `n` channels that are fed together, 20 ms at a time."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._frames = np.zeros((FRAMES, n, FRAME), np.int16)  # a ring
        self._lost = np.zeros((FRAMES, n), np.bool_)
        self._tick = 0
        self._key = np.zeros(n, np.intp)  # strongest pair of the frame before
        self._power = np.zeros(n, np.float32)  # its power there, 0 where it did not pass the screen
        self._reported = np.full(n, -1, np.intp)  # key last reported
        self._until = np.full(n, -(10**9), np.intp)  # block count in which it was last present

    def feed(self, pcm: npt.NDArray[np.int16], lost: Flags | None = None) -> list[str]:
        """The keys that were recognised with this frame, '' for channels without.

        `pcm` is int16 [n, 160] at 8 kHz; `lost` is bool [n], true where the network lost the frame
        and `pcm` is what was put in its place: it is then not listened to.
        """
        slot = self._tick % FRAMES
        self._tick += 1
        self._frames[slot] = pcm
        self._lost[slot] = False if lost is None else lost
        if lost is not None:
            self._frames[slot, lost] = 0
        key, power = _screen(self._frames[slot].astype(np.float32))
        digits = [""] * self._n
        # A digit may end early in this frame: what passed in the frame before is looked at again.
        candidates = np.flatnonzero((power > 0) | (self._power > 0))
        if len(candidates):
            before = self._power[candidates] > power[candidates]
            keys = np.where(before, self._key[candidates], key[candidates])
            for channel, index in self._decide(candidates, keys):
                digits[channel] = KEYS[index]
        self._key, self._power = key, power
        return digits

    def reset(self, i: int) -> None:
        """Forgets all of channel `i`: another call begins on it."""
        self._frames[:, i] = 0
        self._lost[:, i] = False
        self._power[i] = 0
        self._reported[i] = -1

    def _decide(self, channels: Indices, keys: Indices) -> list[tuple[int, int]]:
        """(channel, key) of the digits that begin."""
        run = self._analyse(channels, keys)
        first = self._tick * BLOCKS_PER_FRAME - BLOCKS  # block count at which the look-back begins
        held = self._reported[channels] == keys
        held &= first + run.start - self._until[channels] <= MAX_GAP + 1
        # The end moves on while a key is held, and the start of the run need not be seen any more.
        lasting = held & (run.end >= 0)
        self._until[channels[lasting]] = first + run.end[lasting]
        begun = ~held & _accepted(run)
        self._reported[channels[begun]] = keys[begun]
        self._until[channels[begun]] = first + run.end[begun]
        return list(zip(channels[begun].tolist(), keys[begun].tolist(), strict=True))

    def _analyse(self, channels: Indices, keys: Indices) -> _Run:
        order = (self._tick + np.arange(FRAMES)) % FRAMES  # oldest first
        who = channels[:, np.newaxis]
        samples = self._frames[order, who].reshape(len(channels), LOOK_BACK).astype(np.float32)
        known = np.repeat(~self._lost[order, who], BLOCKS_PER_FRAME, axis=1)
        samples -= (samples @ _HUM) @ _HUM.T
        blocks = samples.reshape(len(channels), BLOCKS, BLOCK)
        tones = (blocks @ _PAIRS[keys]).view(np.complex64) * _ROTATIONS[keys]
        tones[~known] = 0
        start, end, body = _last_run(_presence(tones, known), known)
        return _measure(start, end, body, tones, np.einsum("cbs,cbs->cb", blocks, blocks), keys)


class DtmfDetector:
    """The detector of one channel: a bank of one."""

    def __init__(self) -> None:
        self._bank = DtmfBank(1)

    def feed(self, pcm: npt.NDArray[np.int16]) -> str:
        """The keys newly recognised with these 160 samples, '' if none."""
        return self._bank.feed(pcm.reshape(1, FRAME))[0]


def _screen(samples: Floats) -> tuple[Indices, Floats]:
    """(key, power) of each channel's strongest pair of tones; power 0 where it is no candidate."""
    # Turned over so that each step below runs along the channels, ten times faster with many.
    parts = np.ascontiguousarray((samples @ _SCREEN).T)
    parts *= parts
    power = parts[:TONES] + parts[TONES:]
    rows, columns = power[: len(ROWS)], power[len(ROWS) :]
    low, high = rows.max(axis=0), columns.max(axis=0)
    both = low + high
    threshold = np.einsum("ns,ns->n", samples, samples)
    threshold *= SCREEN_SHARE
    passed = both > np.maximum(threshold, _MIN_FRAME_POWER)
    passed &= np.maximum(low, high) < SCREEN_TWIST * np.minimum(low, high)
    key = np.zeros(len(samples), np.intp)
    if who := np.flatnonzero(passed).tolist():
        key[who] = rows[:, who].argmax(axis=0) * len(COLUMNS) + columns[:, who].argmax(axis=0)
    return key, both * passed


def _presence(tones: npt.NDArray[np.complex64], known: Flags) -> Flags:
    """[c, BLOCKS]: whether both tones of the key are there, judged over three blocks."""
    amplitude_ = np.abs(_over_three(tones))
    amplitude_ /= np.maximum(_over_three(known[..., np.newaxis].astype(np.float32)), 1)
    reference = np.partition(amplitude_, BLOCKS - REFERENCE_RANK, axis=1)
    threshold = np.maximum(PRESENT * reference[:, [BLOCKS - REFERENCE_RANK]], _MIN_AMPLITUDE / 2)
    present: Flags = (amplitude_ >= threshold).all(axis=2) & known
    return present


def _over_three(values: npt.NDArray[Value]) -> npt.NDArray[Value]:
    """Sums of each block with its neighbours, along axis 1; the outermost have one."""
    sums = values.copy()
    np.add(sums[:, 1:], values[:, :-1], out=sums[:, 1:])
    np.add(sums[:, :-1], values[:, 1:], out=sums[:, :-1])
    return sums


def _last_run(present: Flags, known: Flags) -> tuple[Indices, Indices, Flags]:
    """(start, end, blocks to measure in) of the last run of presence, short gaps closed."""
    before = np.maximum.accumulate(np.where(present, _INDEX, -1), axis=1)
    after = np.minimum.accumulate(np.where(present, _INDEX, BLOCKS)[:, ::-1], axis=1)[:, ::-1]
    inside = (before >= 0) & (after < BLOCKS)
    ends = np.clip(after, 0, BLOCKS - 1), np.clip(before, 0, BLOCKS - 1)
    absent = _between(~present & known, *ends)
    lost = _between(~known, *ends)
    short = np.where(lost > 0, (absent <= MAX_GAP_AROUND_LOSS) & (lost <= MAX_LOST), False)
    filled = present | (inside & (short | ((lost == 0) & (absent <= MAX_GAP))))

    end = before[:, -1]
    outside = np.maximum.accumulate(np.where(filled, -1, _INDEX), axis=1)
    start = np.take_along_axis(outside, np.maximum(end, 0)[:, np.newaxis], axis=1)[:, 0] + 1
    # The outermost blocks of a run are partly filled.
    body = present & (start[:, np.newaxis] < _INDEX) & (end[:, np.newaxis] > _INDEX)
    return start, end, body


def _between(flags: Flags, after: Indices, before: Indices) -> Indices:
    """How many `flags` are set from block `before` to block `after`, by block [c, BLOCKS]."""
    counts = np.cumsum(flags, axis=1, dtype=np.intp)
    return np.take_along_axis(counts, after, axis=1) - np.take_along_axis(counts, before, axis=1)


def _measure(
    start: Indices,
    end: Indices,
    body: Flags,
    tones: npt.NDArray[np.complex64],
    energy: Floats,
    keys: Indices,
) -> _Run:
    """Frequencies by phase advance over two blocks, amplitudes by the coherent sum over the run."""
    apart = body[:, 2:] & body[:, :-2]
    advance = np.where(apart[..., np.newaxis], tones[:, 2:] * tones[:, :-2].conj(), 0).sum(axis=1)
    turn = np.angle(advance) / 2  # radians a block
    steady = tones * np.exp(-1j * turn[:, np.newaxis] * _INDEX[:, np.newaxis])
    count = np.maximum(body.sum(axis=1), 1)[:, np.newaxis]
    mean = np.abs(np.where(body[..., np.newaxis], steady, 0).sum(axis=1)) / count
    # A tone off its nominal frequency loses a little within each block.
    mean = mean / np.sinc(turn / (2 * np.pi))
    total = np.maximum(np.where(body, energy, 0).sum(axis=1), 1)
    share = (mean**2).sum(axis=1) / 2 * BLOCK * count[:, 0] / total
    deviation = turn / (2 * np.pi * BLOCK_SECONDS) / _NOMINAL[keys]
    return _Run(start, end, share, deviation, mean)


def _accepted(run: _Run) -> Flags:
    """Whether each run is a digit, by any of `GRADES`."""
    level = run.amplitude.min(axis=1)
    high_above_low = 20 * np.log10(
        np.maximum(run.amplitude[:, 1], 1e-3) / np.maximum(run.amplitude[:, 0], 1e-3)
    )
    deviation = np.abs(run.deviation).max(axis=1)
    accepted = np.zeros(len(level), np.bool_)
    for grade in GRADES:
        accepted |= (
            (run.blocks >= grade.blocks)
            & (run.share >= grade.share)
            & (deviation <= grade.deviation)
            & (high_above_low >= grade.high_above_low[0])
            & (high_above_low <= grade.high_above_low[1])
        )
    accepted &= level >= _MIN_AMPLITUDE
    return accepted
