"""What is heard where the network lost audio: the last frame again, fading away.

The rule: a channel's first frame without audio repeats the one before it, each further one is
quieter, and after `FADE` frames there is silence. For all channels at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vxml_server.media.jitter import UNIT, WHOLE
from vxml_server.media.stream import FRAME

FADE = 4
"""Frames (80 ms) after which a gap is silent."""
FLAGGED = 5
"""Frames (100 ms) for which a gap counts as loss; a longer one is a pause of the sender."""

# The gain falls in one line over the frames of a gap, `[frame of the gap, sample]`.
_GAIN = np.zeros((FLAGGED + 1, FRAME), np.float32)
_GAIN[:FADE] = np.linspace(1.0, 0.0, FADE * FRAME, dtype=np.float32).reshape(FADE, FRAME)


class Concealment:
    """The last whole frame and the length of the running gap, a row for each channel."""

    def __init__(self, channels: int) -> None:
        self._before: NDArray[np.int16] = np.zeros((channels, FRAME), np.int16)
        self._gap: NDArray[np.int32] = np.full(channels, FLAGGED + 1, np.int32)

    def grow(self, channels: int) -> None:
        more = channels - len(self._gap)
        self._before = np.vstack([self._before, np.zeros((more, FRAME), np.int16)])
        self._gap = np.append(self._gap, np.full(more, FLAGGED + 1, np.int32))

    def reset(self, channel: int) -> None:
        """A new stream: silence lies before it, and it has not begun."""
        self._before[channel] = 0
        self._gap[channel] = FLAGGED + 1

    def fill(
        self, pcm: NDArray[np.int16], present: NDArray[np.uint16]
    ) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Makes `pcm` `[n, FRAME]` whole where `present` `[n]` says that samples did not come.

        Returns it with the flags `[n]` of the rows that the network damaged; `pcm` is changed.
        """
        count = len(pcm)
        gap = self._gap[:count]
        holes = present != WHOLE
        gap += 1
        gap[present != 0] = 0
        rows = np.flatnonzero(holes)
        if rows.size:
            pcm[rows] = self._repaired(pcm, present, rows)
            whole = np.flatnonzero(~holes)
            self._before[whole] = pcm[whole]
        else:
            self._before[:count] = pcm
        lost = holes & (gap <= FLAGGED)
        np.minimum(gap, FLAGGED + 1, out=gap)
        return pcm, lost

    def _repaired(
        self, pcm: NDArray[np.int16], present: NDArray[np.uint16], rows: NDArray[np.intp]
    ) -> NDArray[np.int16]:
        gain = _GAIN[np.clip(self._gap[rows] - 1, 0, FLAGGED)]
        bits = np.unpackbits(present[rows].astype("<u2").view(np.uint8), bitorder="little")
        came = np.repeat(bits.reshape(-1, FRAME // UNIT).view(np.bool_), UNIT, axis=1)
        again = self._before[rows] * gain
        return np.where(came, pcm[rows], again).astype(np.int16)
