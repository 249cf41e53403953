"""Changing the sampling rate, by libsoxr.

libsoxr works in floating point here even for int16 samples: its own int16 output adds dither from
a seed it takes from the time, and the same prompt must give the same bytes every time. Overshoot of
the filter at full scale saturates, it never wraps.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

FULL_SCALE = 32768.0


def to_int16(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Samples of full scale +-1.0 rounded to int16; beyond it they saturate, NaN becomes 0."""
    bounded = np.clip(np.nan_to_num(samples, nan=0.0), -1.0, 1.0)
    scaled: npt.NDArray[np.float32] = np.rint(bounded * np.float32(FULL_SCALE))
    return np.minimum(scaled, 32767).astype(np.int16)


def to_float(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Samples as float32 of full scale +-1.0."""
    return samples.astype(np.float32) / np.float32(FULL_SCALE)


def resample(samples: npt.NDArray[np.int16], rate: float, new_rate: float) -> npt.NDArray[np.int16]:
    """Mono int16 `samples` at `rate` Hz as int16 at `new_rate` Hz, delay compensated."""
    resampler = Resampler(rate, new_rate)
    return np.concatenate((resampler.feed(to_float(samples)), resampler.finish()))


class Resampler:
    """The same in pieces: `feed()` blocks, then `finish()` once."""

    def __init__(self, rate: float, new_rate: float) -> None:
        self._stream = (
            None if rate == new_rate else soxr.ResampleStream(rate, new_rate, 1, dtype="float32")
        )

    def feed(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
        """What is ready at the new rate; float32 of full scale +-1.0 in, int16 out."""
        if self._stream is None:
            return to_int16(samples)
        return to_int16(self._stream.resample_chunk(samples))

    def finish(self) -> npt.NDArray[np.int16]:
        """The rest, which the filter still holds."""
        if self._stream is None:
            return np.zeros(0, np.int16)
        return to_int16(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
