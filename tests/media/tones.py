"""Keys as tones in audio, and how much of them is left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vxml_server.dtmf import COLUMNS, KEYS, ROWS, dial
from vxml_server.media.stream import FRAME


def tone_milliseconds(audio: NDArray[np.int16], key: str) -> int:
    """For how long the two tones of a key are in the audio, looked at in pieces of 5 ms."""
    place = KEYS.index(key)
    pieces = audio[: len(audio) // 40 * 40].reshape(-1, 40).astype(float)
    time = np.arange(40) / 8000
    amplitude = [
        np.abs(pieces @ np.exp(-2j * np.pi * hertz * time)) / 20
        for hertz in (ROWS[place // len(COLUMNS)], COLUMNS[place % len(COLUMNS)])
    ]
    return 5 * int((np.minimum(*amplitude) > 300).sum())


def dialled(keys: str, *, offset: int = 0) -> NDArray[np.int16]:
    """Silence, keys of 100 ms at 200 ms intervals from a fifth of a second on, silence."""
    quiet = np.zeros(1600 + offset, np.int16)
    sounds = np.concatenate([quiet, dial(keys, tone_ms=100, pause_ms=100), np.zeros(4000)])
    return sounds[: len(sounds) // FRAME * FRAME].astype(np.int16)
