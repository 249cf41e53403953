"""In-band keys: all channels' audio through the DTMF detector in one call for each bank.

Banks have a fixed number of channels and a memory, so growing adds banks. They are large, for the
call of a bank costs much and a channel in it little. The rule: a bank is fed in every tick in which
any of its channels is listened to, and a channel starts with a clean memory (`reset`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vxml_server.dtmf import DtmfBank
from vxml_server.media.stream import FRAME

LARGEST_BANK = 1024
"""Channels. The server calculates in one thread (`OPENBLAS_NUM_THREADS=1`): where BLAS may spread
the matrix product of so many over threads, these wait for one another on a busy machine far longer
than they calculate."""


class KeyDetector:
    """Detects keys on the rows of the audio matrix whose `listening` flag is set.

    `always` feeds the rows in use though nobody listens, so that `sounding` is true of them too.
    """

    def __init__(self, channels: int, *, always: bool = False) -> None:
        self.always = always
        self.listening: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._banks: list[tuple[int, int, DtmfBank]] = []  # first channel, the one after the last
        self.grow(channels)

    def grow(self, channels: int) -> None:
        before = len(self.listening)
        self.listening = np.append(self.listening, np.zeros(channels - before, np.bool_))
        for start in range(before, channels, LARGEST_BANK):
            end = min(channels, start + LARGEST_BANK)
            self._banks.append((start, end, DtmfBank(end - start)))

    def reset(self, channel: int, *, listening: bool) -> None:
        self.listening[channel] = listening
        for start, end, bank in self._banks:
            if start <= channel < end:
                bank.reset(channel - start)

    @property
    def sounding(self) -> NDArray[np.bool_]:
        """bool `[n]`: rows on which a key sounds in the frame last fed, or did just before."""
        return np.concatenate([bank.sounding for _, _, bank in self._banks])

    def feed(self, pcm: NDArray[np.int16], lost: NDArray[np.bool_]) -> list[tuple[int, str]]:
        """(channel, keys) wherever keys began in this frame; `pcm` is `[n, FRAME]`, n channels."""
        found = []
        for start, end, bank in self._banks:
            if start >= len(pcm):
                break
            if not (self.always or self.listening[start:end].any()):
                continue
            frame, flags = pcm[start:end], lost[start:end]
            if len(frame) < end - start:
                # Rows beyond the highest in use: silence.
                frame = np.zeros((end - start, FRAME), np.int16)
                flags = np.zeros(end - start, np.bool_)
                frame[: len(pcm) - start] = pcm[start:end]
                flags[: len(pcm) - start] = lost[start:end]
            for row, keys in enumerate(bank.feed(frame, flags), start):
                if keys and self.listening[row]:
                    found.append((row, keys))
        return found
