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
    MIDDLE,
    SCREENED,
    TONES,
    Flags,
    Floats,
    Indices,
    screen_basis,
)

SCREEN_SHARE = 0.22  # of a frame's energy in the strongest low and high tone
SCREEN_TWIST = 20.0  # the weaker of the two is at least the stronger over this, in power
HELD_POWER = 0.3  # of its strongest frame: a digit that goes on, not its echo
# A held frame has the key in its first blocks at least; it may end after them.
HELD_UNTIL = 4  # blocks before the end of the frame

PORTION = 250  # channels

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
        self._frames = np.zeros((FRAMES, n, FRAME), np.int16)  # a ring
        self._lost = np.zeros((FRAMES, n), np.bool_)
        self._loss_tick = -FRAMES  # when the network last lost anything
        self._tick = 0
        self._pending = _NOBODY  # passed the screen in the frame before and are not held
        self._reported = np.full(n, -1, np.intp)  # key last reported
        self._until = np.full(n, _NEVER, np.intp)  # block count in which it was last present
        self._power = np.zeros(n, np.float32)  # of its strongest frame
        self._held = np.full(n, _NEVER, np.intp)  # tick in which it was last held
        self._portion = np.empty((min(n, PORTION), SCREENED), np.float32)
        self._product = np.empty((n, 2 * TONES), np.float32)

    def feed(self, pcm: npt.NDArray[np.int16], lost: Flags | None = None) -> list[str]:
        """The keys that were recognised with this frame, '' for channels without.

        `pcm` is int16 [n, 160] at 8 kHz; `lost` is bool [n], true where the network lost the frame
        and `pcm` is what was put in its place: it is then not listened to.
        """
        slot = self._tick % FRAMES
        self._tick += 1
        self._take(slot, pcm, lost)
        passed = _screen(self._frames[slot], self._product)
        digits = [""] * self._n
        if len(self._pending[0]):
            for channel, key in self._decide(*self._pending):
                digits[channel] = KEYS[key]
            self._pending = _NOBODY
        if len(passed[0]):
            self._hold(*passed)
        return digits

    @property
    def sounding(self) -> Flags:
        """bool [n]: where a key that was reported sounds in the latest frame or did just before."""
        return self._held >= self._tick - 1

    def reset(self, i: int) -> None:
        """Forgets all of channel `i`: another call begins on it."""
        self._frames[:, i] = 0
        self._lost[:, i] = False
        others = self._pending[0] != i
        channels, keys, power = self._pending
        self._pending = channels[others], keys[others], power[others]
        self._reported[i] = -1
        self._held[i] = _NEVER

    def _take(self, slot: int, pcm: npt.NDArray[np.int16], lost: Flags | None) -> None:
        """Puts a frame into the ring and projects it onto the tones."""
        frame = self._frames[slot]
        # In portions, which the product finds in the cache.
        frame[:] = pcm
        for start in range(0, self._n, PORTION):
            some = pcm[start : start + PORTION, MIDDLE]
            portion = self._portion[: len(some)]
            portion[:] = some
            np.matmul(portion, _SCREEN, out=self._product[start : start + PORTION])
        if lost is not None and lost.any():
            self._loss_tick = self._tick
            self._lost[slot] = lost
            frame[lost] = 0
            self._product[lost] = 0
            self._bridge(lost)
        elif self._tick - self._loss_tick <= FRAMES:
            self._lost[slot] = False

    def _bridge(self, lost: Flags) -> None:
        """A key that was there when frames began to be lost may go on after them, if not for long.

        Presence need not be seen in the look-back any more for that: it is as if the key lasted.
        """
        goes_on = self._until >= (self._tick - 1) * BLOCKS_PER_FRAME - HELD_UNTIL
        goes_on &= lost & ~self._lost.all(axis=0)
        self._until[goes_on] += BLOCKS_PER_FRAME

    def _decide(self, channels: Indices, keys: Indices, power: Floats) -> list[tuple[int, int]]:
        """(channel, key) of the digits that begin."""
        look = LookBack(self._look_back(channels), keys, self._known(channels))
        first = self._tick * BLOCKS_PER_FRAME - BLOCKS  # block count at which the look-back begins
        same = self._reported[channels] == keys
        same &= look.start <= self._until[channels] + (MAX_GAP + 1 - first)
        # A run that goes on from the digit before need not be one by itself any more.
        lasting = same & (look.length > 0)
        begun = look.length >= MIN_BLOCKS
        begun &= ~same
        if begun.any():
            begun &= look.are_digits()
            lasting |= begun
        who = channels[lasting]
        self._until[who] = look.end[lasting] + first
        self._held[who] = self._tick - 1  # this frame is judged by `_hold`
        who = channels[begun]
        if not len(who):
            return []
        keys = keys[begun]
        self._reported[who] = keys
        self._power[who] = power[begun]
        return list(zip(who.tolist(), keys.tolist(), strict=True))

    def _look_back(self, channels: Indices) -> Floats:
        """float32 [c, LOOK_BACK]: the last 100 ms of these channels, oldest first."""
        order = _ORDERS[self._tick % FRAMES]
        frames = self._frames[order, channels[:, np.newaxis]]
        samples: Floats = frames.reshape(len(channels), LOOK_BACK).astype(np.float32)
        return samples

    def _known(self, channels: Indices) -> Flags | None:
        if self._tick - self._loss_tick >= FRAMES:
            return None
        order = _ORDERS[self._tick % FRAMES]
        lost = self._lost[order, channels[:, np.newaxis]]
        return np.repeat(~lost, BLOCKS_PER_FRAME, axis=1) if lost.any() else None

    def _hold(self, channels: Indices, keys: Indices, power: Floats) -> None:
        """Of what passed the screen, what was held goes on to be; the rest is pending."""
        loudest = self._power[channels]
        held = self._held[channels] >= self._tick - 1
        held &= self._reported[channels] == keys
        held &= power >= HELD_POWER * loudest
        who = channels[held]
        if len(who):
            self._held[who] = self._tick
            self._until[who] = self._tick * BLOCKS_PER_FRAME - HELD_UNTIL
            self._power[who] = np.maximum(power, loudest)[held]
        if len(who) < len(channels):
            rest = ~held
            self._pending = channels[rest], keys[rest], power[rest]


class DtmfDetector:
    """The detector of one channel: a bank of one."""

    def __init__(self) -> None:
        self._bank = DtmfBank(1)

    def feed(self, pcm: npt.NDArray[np.int16]) -> str:
        """The keys newly recognised with these 160 samples, '' if none."""
        return self._bank.feed(pcm.reshape(1, FRAME))[0]


def _screen(samples: Floats, product: Floats) -> Candidates:
    """The channels whose strongest pair of tones stands out in this frame.

    `product` is `samples` projected onto `screen_basis`.
    """
    # Turned over so that each step below runs along the channels, ten times faster with many.
    parts = product.T.copy()
    parts *= parts
    power = parts[:TONES]
    power += parts[TONES:]
    low = np.maximum.reduce(power[: len(ROWS)])
    high = np.maximum.reduce(power[len(ROWS) :])
    both = low + high
    loud = (both > _MIN_FRAME_POWER).nonzero()[0]
    if not len(loud):
        return _NOBODY
    low, high, both = low[loud], high[loud], both[loud]
    heard = samples[loud].astype(np.float32)
    passed = both > SCREEN_SHARE * np.vecdot(heard, heard)
    passed &= np.maximum(low, high) < SCREEN_TWIST * np.minimum(low, high)
    who = loud[passed]
    if not len(who):
        return _NOBODY
    strongest = power[:, who]
    keys = strongest[: len(ROWS)].argmax(axis=0)
    keys *= len(COLUMNS)
    keys += strongest[len(ROWS) :].argmax(axis=0)
    return who, keys, both[passed]
