"""The jitter buffer: packets become 20 ms frames on a timeline that all channels share.

The timeline is a ring of frames, `[tick, channel, sample]`; tick number k of the engine consumes
`[k % RING]` of all channels at once, without copying anything. A channel's `JitterBuffer` decides
where on the timeline a timestamp lies. Because G.711 has one octet a sample and a timestamp counts
samples, a packet of any length at any place is simply copied there, and packets of 10 to 60 ms
become frames of 20 ms without further work.

Duplicates and overlaps do no harm: the same samples are written twice. What was never written is
known from `present`, one bit for each 1.25 ms of each frame.

The delay adapts in whole frames. A packet that comes after its turn pushes the channel's timeline
back by a frame; when for `WINDOW` ticks no packet had less than two frames in hand, it is pulled in
by one. That follows network jitter and makes good for a sender's clock that runs fast or slow.

The rules that hold: a position on the timeline before the current tick is never written, nor one
more than `MAX_AHEAD` frames after it; only a packet that is the newest of its source moves the
timeline.
"""

from __future__ import annotations

from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from vxml_server.media.rtp import timestamp_difference
from vxml_server.media.stream import FRAME

RING = 32
"""Frames on the timeline: 640 ms."""
MAX_AHEAD = 12
"""Frames that a packet may be ahead of its turn: the bound of the delay, 240 ms."""
MAX_PAYLOAD = 10 * FRAME
"""Samples in a packet, 200 ms; with `MAX_AHEAD` it stays within the ring."""
FIRST_DELAY = 2
"""Frames in hand after a start."""
SPARE = 2
"""Frames in hand, at the least, throughout a window: then one of them is given up."""
WINDOW = 250
"""Ticks (5 s) after which the delay may be reduced."""
PAUSE = 10
"""Ticks without a packet, after which the next may start anew like a talk spurt."""
LATE_RUN = 5
"""Ticks in a row with late packets only, after which the timeline starts anew."""

UNIT = FRAME // 16
WHOLE = 0xFFFF


class Timeline:
    """Frames to come of all channels.

    `octets` is uint8 `[RING, channels, FRAME]`, `present` uint16 `[RING, channels]`: bit n says
    that the samples from n * UNIT on have come.
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._allocate()

    def _allocate(self) -> None:
        self.octets: NDArray[np.uint8] = np.zeros((RING, self.channels, FRAME), np.uint8)
        self.present: NDArray[np.uint16] = np.zeros((RING, self.channels), np.uint16)
        # Flat views, because writing a slice of a memoryview is several times faster than of numpy.
        self.octets_flat = self.octets.reshape(-1).data
        self.present_flat = self.present.reshape(-1).data

    def grow(self, channels: int) -> None:
        """Makes room for more channels; what is on the timeline stays."""
        before, octets, present = self.channels, self.octets, self.present
        self.channels = channels
        self._allocate()
        self.octets[:, :before] = octets
        self.present[:, :before] = present

    def clear_tick(self, tick: int) -> None:
        """Forgets the frames of a tick, whose place in the ring is used again."""
        self.present[tick % RING] = 0

    def clear_channel(self, channel: int) -> None:
        self.present[:, channel] = 0


class Placement(Enum):
    """What became of a packet."""

    PLACED = auto()
    LATE = auto()
    """It came after its turn."""
    EARLY = auto()
    """Overtaken, and yet too far ahead: it belongs to a timeline that was given up."""


class JitterBuffer:
    """Places one channel's packets on the timeline."""

    __slots__ = (
        "_in_hand",
        "_late_since",
        "_position",
        "_running",
        "_tick",
        "_timestamp",
        "_window_end",
        "channel",
        "timeline",
    )

    def __init__(self, timeline: Timeline, channel: int) -> None:
        self.timeline = timeline
        self.channel = channel
        self.reset()

    def reset(self) -> None:
        """Starts anew with the next packet: another source, another codec."""
        self._running = False
        self._timestamp = 0  # of the newest packet, and ...
        self._position = 0  # ... where on the timeline it lies, in samples
        self._tick = 0  # when it came
        self._late_since: int | None = None
        self._in_hand = 0
        self._window_end = 0

    @property
    def position(self) -> int:
        """Where on the timeline the newest packet lies, in samples from the first tick on."""
        return self._position

    def put(
        self, timestamp: int, payload: memoryview, tick: int, *, newest: bool, marker: bool
    ) -> Placement:
        """Places `payload` (octets of audio, at most `MAX_PAYLOAD`), which came in `tick`.

        `newest` says that no later packet of the source came before, `marker` that a talk spurt
        begins.
        """
        turn = tick * FRAME
        position = self._position + timestamp_difference(timestamp, self._timestamp)
        in_hand = position - turn
        if newest:
            paused = tick - self._tick > PAUSE
            if (
                not self._running
                or in_hand > MAX_AHEAD * FRAME
                or ((marker or paused) and not 0 <= in_hand <= 2 * FIRST_DELAY * FRAME)
            ):
                position = self._start(tick)
            elif in_hand < 0:
                position = self._late(position, tick)
            else:
                position = self._in_time(position, in_hand, tick)
            self._timestamp = timestamp
            self._position = position
            self._tick = tick
        elif not self._running:
            return Placement.LATE
        elif in_hand > MAX_AHEAD * FRAME:
            return Placement.EARLY
        if position < turn:
            payload = payload[turn - position :]
            position = turn
        if not payload:
            return Placement.LATE
        self._write(position, payload)
        return Placement.PLACED

    def _start(self, tick: int) -> int:
        self._running = True
        self._late_since = None
        self._begin_window(tick)
        return (tick + FIRST_DELAY) * FRAME

    def _begin_window(self, tick: int) -> None:
        self._in_hand = RING * FRAME
        self._window_end = tick + WINDOW

    def _late(self, position: int, tick: int) -> int:
        """The place of a late packet: a frame later than its timestamp says, once a tick."""
        if self._late_since is None:
            self._late_since = tick
        elif tick - self._late_since >= LATE_RUN:
            return self._start(tick)
        self._begin_window(tick)
        return position if tick == self._tick else position + FRAME

    def _in_time(self, position: int, in_hand: int, tick: int) -> int:
        """The place of a packet in time: a frame earlier if there was time to spare for long."""
        self._late_since = None
        self._in_hand = min(self._in_hand, in_hand)
        if tick >= self._window_end:
            if self._in_hand >= SPARE * FRAME:
                position -= FRAME
            self._begin_window(tick)
        return position

    def _write(self, position: int, payload: memoryview) -> None:
        timeline = self.timeline
        frame, offset = divmod(position, FRAME)
        place = frame % RING * timeline.channels + self.channel
        if offset == 0 and len(payload) == FRAME:
            timeline.octets_flat[place * FRAME : place * FRAME + FRAME] = payload
            timeline.present_flat[place] = WHOLE
            return
        while payload:
            part = payload[: FRAME - offset]
            start = place * FRAME + offset
            end = offset + len(part)
            timeline.octets_flat[start : start + len(part)] = part
            timeline.present_flat[place] |= units(offset, end)
            payload = payload[len(part) :]
            frame, offset = frame + 1, 0
            place = frame % RING * timeline.channels + self.channel


def units(start: int, end: int) -> int:
    """The bits of `present` for samples `start` to `end` of a frame."""
    return (1 << (end + UNIT // 2) // UNIT) - (1 << (start + UNIT // 2) // UNIT)
