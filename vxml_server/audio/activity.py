"""Whether somebody speaks: by energy, 20 ms at a time.

Speech is what is clearly louder than the noise of the line, whose level is followed downwards at
once and upwards slowly: the pauses of a talker keep it down, a ventilator that starts does not keep
a recording open for ever. Clicks are shorter than `ONSET_FRAMES` and are no speech.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vxml_server.audio.level import rms_dbfs

FRAME = 160
FRAME_SECONDS = 0.02
ONSET_FRAMES = 3
# Below this nobody speaks into a telephone; the noise of quiet lines is 10 dB further down.
QUIETEST_SPEECH_DBFS = -48.0
ABOVE_NOISE_DB = 9.0
NOISE_RISE_DB = 0.02  # a frame, that is 1 dB a second
INITIAL_NOISE_DBFS = -70.0


class SpeechActivity:
    """Follows one voice."""

    def __init__(self) -> None:
        self._noise = INITIAL_NOISE_DBFS
        self._loud = 0

    def feed(self, frame: npt.NDArray[np.int16]) -> bool:
        """Whether there is speech in these 160 samples, the frames before taken into account."""
        level = rms_dbfs(frame)
        is_loud = level >= max(QUIETEST_SPEECH_DBFS, self._noise + ABOVE_NOISE_DB)
        self._noise = min(level, self._noise + NOISE_RISE_DB)
        self._loud = self._loud + 1 if is_loud else 0
        return self._loud >= ONSET_FRAMES
