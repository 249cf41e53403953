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
matrix product (`projection` tells why that is Goertzel's filter) and lets those through whose
strongest low and high tone make up a fair share of the energy. Few do, and these are *analysed*
(`analysis`) one frame later, when what follows the tone's first appearance is known as well. A
digit is analysed until it is accepted, once as a rule; while the screen goes on to see its key at
its level it is *held*, and nothing is analysed. When it comes back after an absence, the analysis
tells whether it is the same digit, interrupted, or another.

The rule that must hold: a decision depends on the last 100 ms of one channel and on what that
channel reported before. No channel sees another, so a bank of one decides as a bank of thousands.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vxml_server.dtmf.analysis import MAX_GAP, MIN_AMPLITUDE, MIN_BLOCKS, LookBack
from vxml_server.dtmf.keys import COLUMNS, KEYS, ROWS
from vxml_server.dtmf.projection import (
    BLOCKS,
    BLOCKS_PER_FRAME,
    FRAME,
    FRAMES,
    LOOK_BACK,
    TONES,
    Flags,
    Floats,
    Indices,
    screen_basis,
)

SCREEN_SHARE = 0.22  # of a frame's energy in the strongest low and high tone
SCREEN_TWIST = 20.0  # the weaker of the two is at least the stronger over this, in power
HELD_POWER = 0.3  # of the power it was accepted with: a held digit, not its echo
# A held frame has the key in its first blocks at least; it may end after them.
HELD_UNTIL = 4  # blocks before the end of the frame

_SCREEN = screen_basis()
_MIN_FRAME_POWER = np.float32(FRAME * float(MIN_AMPLITUDE) ** 2 / 2 / 16)
_ORDERS = np.stack([(first + np.arange(FRAMES)) % FRAMES for first in range(FRAMES)])
_NEVER = -(10**9)
_NONE = np.zeros(0, np.intp)
_NO_POWER = np.zeros(0, np.float32)

Candidates = tuple[Indices, Indices, Floats]
"""(channels, their keys, the power of the two tones), in ascending order of channels."""
_NOBODY: Candidates = (_NONE, _NONE, _NO_POWER)


class DtmfBank:
    """Detectors of `n` channels that are fed together, 20 ms at a time."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._frames = np.zeros((FRAMES, n, FRAME), np.float32)  # a ring
        self._lost = np.zeros((FRAMES, n), np.bool_)
        self._loss_tick = -FRAMES  # when the network last lost anything
        self._tick = 0
        self._pending = _NOBODY  # passed the screen in the frame before and are not held
        self._reported = np.full(n, -1, np.intp)  # key last reported
        self._until = np.full(n, _NEVER, np.intp)  # block count in which it was last present
        self._power = np.zeros(n, np.float32)  # it was accepted with
        self._held = np.zeros(n, np.bool_)  # whether it was present in the frame before
        self._anyone_held = False

    def feed(self, pcm: npt.NDArray[np.int16], lost: Flags | None = None) -> list[str]:
        """The keys that were recognised with this frame, '' for channels without.

        `pcm` is int16 [n, 160] at 8 kHz; `lost` is bool [n], true where the network lost the frame
        and `pcm` is what was put in its place: it is then not listened to.
        """
        slot = self._tick % FRAMES
        self._tick += 1
        frame = self._frames[slot]
        frame[:] = pcm
        self._note_loss(slot, lost)
        passed = _screen(frame)
        digits = [""] * self._n
        if len(self._pending[0]):
            for channel, key in self._decide(*self._with_stronger(passed)):
                digits[channel] = KEYS[key]
        if len(passed[0]) or len(self._pending[0]) or self._anyone_held:
            self._hold(*passed)
        return digits

    def reset(self, i: int) -> None:
        """Forgets all of channel `i`: another call begins on it."""
        self._frames[:, i] = 0
        self._lost[:, i] = False
        others = self._pending[0] != i
        channels, keys, power = self._pending
        self._pending = channels[others], keys[others], power[others]
        self._reported[i] = -1
        self._held[i] = False

    def _note_loss(self, slot: int, lost: Flags | None) -> None:
        if lost is not None and lost.any():
            self._loss_tick = self._tick
            self._lost[slot] = lost
            self._frames[slot, lost] = 0
        elif self._tick - self._loss_tick <= FRAMES:
            self._lost[slot] = False

    def _with_stronger(self, passed: Candidates) -> Candidates:
        """What is pending, with the key and power of this frame where that is the stronger."""
        channels, keys, power = self._pending
        now, keys_now, power_now = passed
        if not len(now):
            return self._pending
        place = np.searchsorted(now, channels)
        place[place == len(now)] = 0
        better = (now[place] == channels) & (power_now[place] >= power)
        place = place[better]
        keys[better], power[better] = keys_now[place], power_now[place]
        return channels, keys, power

    def _decide(self, channels: Indices, keys: Indices, power: Floats) -> list[tuple[int, int]]:
        """(channel, key) of the digits that begin."""
        look = LookBack(self._look_back(channels), keys, self._known(channels))
        first = self._tick * BLOCKS_PER_FRAME - BLOCKS  # block count at which the look-back begins
        same = self._reported[channels] == keys
        same &= first + look.start <= self._until[channels] + MAX_GAP + 1
        # A run that goes on from the digit before need not be one by itself any more.
        lasting = np.flatnonzero(same & (look.end >= 0))
        begun = np.flatnonzero(~same & (look.end - look.start >= MIN_BLOCKS - 1))
        if len(begun):
            begun = begun[look.are_digits(begun)]
        for which in (lasting, begun):
            if len(which):
                who = channels[which]
                self._until[who] = first + look.end[which]
                self._held[who] = True
        who = channels[begun]
        self._reported[who] = keys[begun]
        self._power[who] = power[begun]
        return list(zip(who.tolist(), keys[begun].tolist(), strict=True))

    def _look_back(self, channels: Indices) -> Floats:
        """float32 [c, LOOK_BACK]: the last 100 ms of these channels, oldest first."""
        order = _ORDERS[self._tick % FRAMES]
        return self._frames[order, channels[:, np.newaxis]].reshape(len(channels), LOOK_BACK)

    def _known(self, channels: Indices) -> Flags | None:
        if self._tick - self._loss_tick >= FRAMES:
            return None
        order = _ORDERS[self._tick % FRAMES]
        lost = self._lost[order, channels[:, np.newaxis]]
        return np.repeat(~lost, BLOCKS_PER_FRAME, axis=1) if lost.any() else None

    def _hold(self, channels: Indices, keys: Indices, power: Floats) -> None:
        """Of what passed the screen, what was held goes on to be; the rest is pending."""
        held = self._held[channels]
        held &= self._reported[channels] == keys
        held &= power >= HELD_POWER * self._power[channels]
        who = channels[held]
        self._held[:] = False
        self._held[who] = True
        self._anyone_held = len(who) > 0
        self._until[who] = self._tick * BLOCKS_PER_FRAME - HELD_UNTIL
        rest = ~held
        self._pending = channels[rest], keys[rest], power[rest]


class DtmfDetector:
    """The detector of one channel: a bank of one."""

    def __init__(self) -> None:
        self._bank = DtmfBank(1)

    def feed(self, pcm: npt.NDArray[np.int16]) -> str:
        """The keys newly recognised with these 160 samples, '' if none."""
        return self._bank.feed(pcm.reshape(1, FRAME))[0]


def _screen(samples: Floats) -> Candidates:
    """The channels whose strongest pair of tones stands out in this frame."""
    # Turned over so that each step below runs along the channels, ten times faster with many.
    parts = np.ascontiguousarray((samples @ _SCREEN).T)
    parts *= parts
    power = parts[:TONES]
    power += parts[TONES:]
    rows, columns = power[: len(ROWS)], power[len(ROWS) :]
    low, high = np.maximum.reduce(rows), np.maximum.reduce(columns)
    both = low + high
    threshold = np.vecdot(samples, samples)
    threshold *= SCREEN_SHARE
    np.maximum(threshold, _MIN_FRAME_POWER, out=threshold)
    passed = both > threshold
    who = passed.nonzero()[0]
    if not len(who):
        return _NOBODY
    low, high = low[who], high[who]
    balanced = np.maximum(low, high) < SCREEN_TWIST * np.minimum(low, high)
    who = who[balanced]
    keys = rows[:, who].argmax(axis=0)
    keys *= len(COLUMNS)
    keys += columns[:, who].argmax(axis=0)
    return who, keys, both[who]
