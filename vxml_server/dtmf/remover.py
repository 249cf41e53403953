"""Keys are taken out of audio that others will hear: recordings, and what an agent hears.

A card number that is keyed in must not be readable off its tones. A key is recognised when it has
lasted some 30 to 50 ms, so the audio is held back by `DELAY` frames of 20 ms: by the time of the
decision the beginning of the tone has not left. What is held back is then silenced, and all that
follows until one frame after the last in which the tone was heard.

The rule that must hold: of a key that the detector accepts by its first 60 ms, as it does on any
fair line, no sample leaves; of one that is buried in speech or noise, what came before the decision
and is older than the delay does.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from vxml_server.dtmf.detector import DtmfBank
from vxml_server.dtmf.projection import FRAME

DELAY = 2  # frames
RAMP = 24  # samples over which other sound rises after what was silenced

# There is no fall: what comes before may be the beginning of the tone.
_RISE = (np.sin(np.pi / 2 * (np.arange(RAMP) + 0.5) / RAMP) ** 2).astype(np.float32)


class ToneMute:
    """The delay line of one channel, told by the channel's detector what to silence."""

    def __init__(self, delay: int = DELAY) -> None:
        self._frames = deque([np.zeros(FRAME, np.int16)] * delay, delay + 1)
        self._muted = [False] * (delay + 2)  # of these, and before them the frame that left last

    def feed(self, pcm: npt.NDArray[np.int16], sounding: bool) -> npt.NDArray[np.int16]:
        """int16 [160] from `delay` frames ago, without keys, for int16 [160] of now.

        `sounding` is `DtmfBank.sounding` of the channel after `pcm` was fed to its bank.
        """
        self._frames.append(pcm.copy())
        self._muted = [*self._muted[1:], False]
        if sounding:
            self._muted[1:] = [True] * (len(self._muted) - 1)
        frame = self._frames[0]
        before, now = self._muted[:2]
        if now:
            return np.zeros(FRAME, np.int16)
        if before:
            frame[:RAMP] = frame[:RAMP] * _RISE
        return frame


class ToneRemover:
    """Takes the keys out of one channel, with a detector of its own."""

    def __init__(self, delay: int = DELAY) -> None:
        self._bank = DtmfBank(1)
        self._mute = ToneMute(delay)

    def feed(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """int16 [160] from `delay` frames ago, without keys, for int16 [160] of now."""
        self._bank.feed(pcm.reshape(1, FRAME))
        return self._mute.feed(pcm, bool(self._bank.sounding[0]))
