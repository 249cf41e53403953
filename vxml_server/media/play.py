"""What a channel plays: sounds, playbacks in a queue, and how far each got."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxml_server.media.stream import SAMPLE_RATE, Codec


class Sound:
    """Linear audio, 8 kHz, and its G.711 forms, which are made once and kept.

    Shared freely between channels and threads: a prompt cache keeps `Sound`s.
    """

    def __init__(self, pcm: NDArray[np.int16]) -> None:
        self.pcm = pcm

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE

    def encoded(self, codec: Codec) -> bytes:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, eq=False)
class Playback:
    """One call of `Channel.play`: compared by identity; `id` is unique in the process."""

    id: int
    sound: Sound
    repeat: bool
    stop_on_key: bool
