"""Recorded voices for tests: synthetic speech, mu-law, 8 kHz, -26 dBFS while active."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vxml_server.audio import decode

HERE = Path(__file__).parent


@cache
def voice(name: str) -> NDArray[np.int16]:
    """`seven`, `four-two`, `oui-merci` or `sentence` (3.6 s), as samples."""
    samples = decode((HERE / f"{name}.wav").read_bytes(), "audio/x-wav").pcm
    samples.setflags(write=False)
    return samples


def frames(samples: NDArray[np.int16]) -> list[NDArray[np.int16]]:
    """20 ms each; what is left over is filled up with silence."""
    whole = np.zeros(-(-len(samples) // 160) * 160, np.int16)
    whole[: len(samples)] = samples
    return list(whole.reshape(-1, 160))
