"""DTMF tones as samples (ITU-T Q.23), for what this server dials and for tests of what it hears."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vxml_server.dtmf.keys import KEYS, RATE, amplitude, frequencies


def tone(
    key: str,
    duration_ms: float = 100.0,
    level_dbm0: float = -9.0,
    twist_db: float = 2.0,
    *,
    deviation: float | tuple[float, float] = 0.0,
    ramp_ms: float = 0.0,
    phases: tuple[float, float] = (0.0, 0.0),
) -> npt.NDArray[np.int16]:
    """int16 samples [n] at 8 kHz of `key`; a sum beyond full scale saturates.

    `level_dbm0` is the level of the low tone and `twist_db` how much the high tone is above it: 2
    dB makes up for what a line takes from it. `deviation` is a share of the frequency (0.015 is
    +1.5 %), for both tones or (low, high). `ramp_ms` rounds both ends so that they do not click;
    `phases` are in radians. Raises ValueError for what is no key.
    """
    if len(key) != 1 or key not in KEYS:
        raise ValueError(f"{key!r} is no DTMF key")
    low, high = deviation if isinstance(deviation, tuple) else (deviation, deviation)
    count = round(duration_ms * RATE / 1000)
    time = np.arange(count) / RATE
    samples = np.zeros(count)
    for frequency, share, level, phase in zip(
        frequencies(key), (low, high), (level_dbm0, level_dbm0 + twist_db), phases, strict=True
    ):
        angle = 2 * np.pi * frequency * (1 + share) * time + phase
        samples += amplitude(level) * np.sin(angle)
    if ramp := min(round(ramp_ms * RATE / 1000), count // 2):
        rise = np.sin(np.pi / 2 * (np.arange(ramp) + 0.5) / ramp) ** 2
        samples[:ramp] *= rise
        samples[-ramp:] *= rise[::-1]
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def silence(duration_ms: float) -> npt.NDArray[np.int16]:
    """int16 zeros [n] at 8 kHz."""
    return np.zeros(round(duration_ms * RATE / 1000), np.int16)
