"""DTMF as samples (ITU-T Q.23): what this server dials, and what its detector is tested with.

What a sender must keep to is narrower than what a receiver must bear:

    ===================  =====================  =========================
    .                    ITU-T Q.23             ETSI ES 201 235-2
    ===================  =====================  =========================
    frequency            1.8 %                  1.5 %
    high above low tone  .                      1 to 4 dB, 2 dB nominal
    tone, pause          .                      65 ms each, at least
    ===================  =====================  =========================

The defaults are within both: exact frequencies, the high tone 2 dB above the low one, 100 ms of
tone and 100 ms of pause. Every limit may be exceeded on purpose, for tests.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vxml_server.dtmf.keys import KEYS, RATE, amplitude, frequencies

DEFAULT_MS = 100.0  # of tone, and of pause
DEFAULT_LEVEL_DBM0 = -9.0  # of the low tone: -7 dBm0 for the high one, -4.9 for both
DEFAULT_TWIST_DB = 2.0


def tone(
    key: str,
    duration_ms: float = DEFAULT_MS,
    level_dbm0: float = DEFAULT_LEVEL_DBM0,
    twist_db: float = DEFAULT_TWIST_DB,
    *,
    deviation: float | tuple[float, float] = 0.0,
    offset_hz: float | tuple[float, float] = 0.0,
    ramp_ms: float = 0.0,
    phases: tuple[float, float] = (0.0, 0.0),
) -> npt.NDArray[np.int16]:
    """int16 samples [n] at 8 kHz of `key`; a sum beyond full scale saturates.

    `level_dbm0` is the level of the low tone and `twist_db` how much the high tone is above it: 2
    dB makes up for what a line takes from it. `deviation` is a share of the frequency (0.015 is
    +1.5 %) and `offset_hz` is added to it, for both tones or (low, high). `ramp_ms` rounds both
    ends so that they do not click; `phases` are in radians. Raises ValueError for what is no key.
    """
    if len(key) != 1 or key not in KEYS:
        raise ValueError(f"{key!r} is no DTMF key")
    time = np.arange(round(duration_ms * RATE / 1000)) / RATE
    samples = np.zeros(len(time))
    for frequency, share, offset, level, phase in zip(
        frequencies(key),
        _both(deviation),
        _both(offset_hz),
        (level_dbm0, level_dbm0 + twist_db),
        phases,
        strict=True,
    ):
        angle = 2 * np.pi * (frequency * (1 + share) + offset) * time + phase
        samples += amplitude(level) * np.sin(angle)
    if ramp := min(round(ramp_ms * RATE / 1000), len(time) // 2):
        rise = np.sin(np.pi / 2 * (np.arange(ramp) + 0.5) / ramp) ** 2
        samples[:ramp] *= rise
        samples[-ramp:] *= rise[::-1]
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def silence(duration_ms: float) -> npt.NDArray[np.int16]:
    """int16 zeros [n] at 8 kHz."""
    return np.zeros(round(duration_ms * RATE / 1000), np.int16)


def dial(
    keys: str,
    tone_ms: float = DEFAULT_MS,
    pause_ms: float = DEFAULT_MS,
    level_dbm0: float = DEFAULT_LEVEL_DBM0,
    twist_db: float = DEFAULT_TWIST_DB,
) -> npt.NDArray[np.int16]:
    """int16 samples [n] of `keys` one after the other, with a pause after each of them.

    Raises ValueError for what is no key.
    """
    parts = [
        part
        for key in keys
        for part in (tone(key, tone_ms, level_dbm0, twist_db, ramp_ms=2.0), silence(pause_ms))
    ]
    return np.concatenate(parts) if parts else silence(0)


def _both(value: float | tuple[float, float]) -> tuple[float, float]:
    return value if isinstance(value, tuple) else (value, value)
