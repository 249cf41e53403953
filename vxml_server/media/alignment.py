"""Two parties side by side as they spoke, though one waits longer in its jitter buffer.

The delay of a jitter buffer follows its network: up to 240 ms, and it changes in a conversation.
What is heard in the same tick was therefore not said at the same time. Here each party passes a
line of whole frames that makes its wait as long as the longest that either had so far. Where a
buffer had to fill a frame because a packet was late, that frame is taken out again; where it gave
one up, silence takes its place: so what is recorded has the sender's own timing.

The rules that hold: after a change of either wait both are within `TOLERANCE` of the same total
again, at once; who comes first waits, nobody is hurried; a line is never longer than `LONGEST`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vxml_server.media.jitter import MAX_AHEAD
from vxml_server.media.stream import FRAME

Frame = NDArray[np.int16]

TOLERANCE = FRAME * 5 // 8
"""Samples off the total (12.5 ms) that are let be: more than the half frame that rounding leaves,
so that a wait between two numbers of frames does not go to and fro."""
LONGEST = MAX_AHEAD + 2
"""Frames in a line. No two waits differ by more, unless a clock was set."""

_SILENT = np.zeros(FRAME, np.int16)
_SILENT.flags.writeable = False


class Alignment:
    """The lines of one pair."""

    def __init__(self) -> None:
        self._total: int | None = None
        """Samples that both are to wait in all."""
        self._left: deque[Frame] = deque()
        self._right: deque[Frame] = deque()

    def turn(
        self, left: Frame, right: Frame, left_waits: int | None, right_waits: int | None
    ) -> tuple[Frame, Frame]:
        """One tick: the frames that come, and how long they have waited (`Receiver.waits`); the
        frames to be put side by side."""
        for _ in range(2):  # each again, because the other may have changed the total
            if left_waits is not None:
                self._fit(self._left, left_waits)
            if right_waits is not None:
                self._fit(self._right, right_waits)
        return _passed(self._left, left), _passed(self._right, right)

    def rest(self) -> Iterator[tuple[Frame, Frame]]:
        """What is still in the lines, when nothing more comes."""
        for _ in range(max(len(self._left), len(self._right))):
            yield _passed(self._left, _SILENT), _passed(self._right, _SILENT)

    def _fit(self, line: deque[Frame], waits: int) -> None:
        """Makes a line as long as it must be. Its newest frames go and come: beside them is the
        gap, or the frame too many, that the jitter buffer has just made."""
        if self._total is None:
            self._total = waits
        if abs(self._total - waits - len(line) * FRAME) <= TOLERANCE:
            return
        wanted = round((self._total - waits) / FRAME)
        if not 0 <= wanted <= LONGEST:
            self._total, wanted = waits, 0
        while len(line) > wanted:
            line.pop()
        while len(line) < wanted:
            line.append(_SILENT)


def _passed(line: deque[Frame], frame: Frame) -> Frame:
    line.append(frame)
    return line.popleft()
