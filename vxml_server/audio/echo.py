"""Our own voice on the way back: telephones and two-wire lines return a part of what is sent.

A line that is in order returns it at least `LOSS_DB` weaker (ITU-T G.131 and G.168 ask for more of
what goes far), some time later. What is received during a prompt and is weaker than that cannot be
told from echo, and must not count as the caller's voice. A caller who speaks at a usual level is
louder than the echo of a prompt at the same level by far.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from vxml_server.audio.level import SILENCE_DBFS, rms_dbfs

LOSS_DB = 14.0
LONGEST_FRAMES = 15
"""How late echo may come: 300 ms, of which buffers on both ways take the most."""


class EchoGuard:
    """Follows what is sent to one caller."""

    def __init__(self) -> None:
        self._sent: deque[float] = deque([SILENCE_DBFS], maxlen=LONGEST_FRAMES + 1)

    def floor(self, sent: npt.NDArray[np.int16]) -> float:
        """The level (dBFS) up to which what is received beside these 20 ms may be echo."""
        self._sent.append(rms_dbfs(sent))
        return max(self._sent) - LOSS_DB
