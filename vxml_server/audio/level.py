"""How loud: RMS and active speech level, in dBFS.

0 dBFS is an RMS of 32,768, that is a square wave at full scale; a sine at full scale reads -3.01.
(In G.711 a sine at full scale is +3.17 dBm0 by mu-law and +3.14 dBm0 by A-law, so 0 dBm0 reads
about -6.2 dBFS.)

`active_level_dbfs` follows the definition of ITU-T P.56 method B at a resolution of 20 ms: the
level over the time during which speech is active, where active means less than 15.9 dB below that
same level, or within 200 ms after it. Pauses between words do not lower it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SILENCE_DBFS = -120.0  # what no signal reads, instead of minus infinity
FRAME_SECONDS = 0.02
MARGIN_DB = 15.9  # P.56
HANGOVER_FRAMES = 10  # P.56: 200 ms


def rms_dbfs(samples: npt.NDArray[np.int16]) -> float:
    """RMS level of all of `samples`."""
    if not samples.size:
        return SILENCE_DBFS
    return _dbfs(float(np.mean(np.square(samples, dtype=np.float64))))


def active_level_dbfs(samples: npt.NDArray[np.int16], rate: int = 8000) -> float:
    """Level of mono `samples` while speech is active."""
    size = max(1, round(rate * FRAME_SECONDS))
    count = len(samples) // size
    if not count:
        return rms_dbfs(samples)
    frames = samples[: count * size].reshape(count, size)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    # A lower threshold lets more of the quiet frames in and so lowers the level: going down from
    # the loudest frame, the first threshold that lies a margin below its own level is the answer.
    level = _dbfs(float(power.max()))
    while level > SILENCE_DBFS:
        threshold = level - MARGIN_DB
        active = _with_hangover(power >= 32768.0**2 * 10 ** (threshold / 10))
        measured = _dbfs(float(power[active].mean()))
        if level - measured < 0.01:
            return measured
        level = measured
    return SILENCE_DBFS


def _with_hangover(active: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """`active` drawn out by the hangover after each active frame."""
    index = np.arange(len(active))
    latest = np.maximum.accumulate(np.where(active, index, -HANGOVER_FRAMES - 1))
    extended: npt.NDArray[np.bool_] = index - latest <= HANGOVER_FRAMES
    return extended


def _dbfs(power: float) -> float:
    if power <= 0:
        return SILENCE_DBFS
    return max(SILENCE_DBFS, 10 * float(np.log10(power / 32768.0**2)))
