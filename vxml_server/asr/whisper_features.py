"""What Whisper sees of sound: log-mel spectrograms (Radford et al. 2022, section 2.2).

16 kHz, Hann windows of 25 ms every 10 ms, the power of 80 triangular bands that are even on the mel
scale, its logarithm kept within 8 decades of the loudest and moved to about -1..1. A model that was
trained on this hears nothing through anything else: the numbers here are the model's, not ours to
choose, and the tests hold them to published values.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

RATE = 16_000
WINDOW = 400
HOP = 160
BANDS = 80
FRAMES_PER_SECOND = RATE // HOP
MOST_FRAMES = 3000
"""A model's encoder knows places up to 30 s."""

Features = npt.NDArray[np.float32]

# The mel scale after Slaney: linear below 1 kHz, then logarithmic, 27 steps to a factor of 6.4.
_LINEAR_HZ = 200.0 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ
_LOG_STEP = np.log(6.4) / 27

_LEAST_POWER = 1e-10
_DECADES = 8.0


@lru_cache(maxsize=2)
def mel_filters(bands: int = BANDS) -> Features:
    """The weights [bands, WINDOW // 2 + 1] of the power spectrum's lines in each band.

    Triangles between neighbouring band centres, of equal area.
    """
    top = _BREAK_MEL + np.log(RATE / 2 / _BREAK_HZ) / _LOG_STEP
    mels = np.linspace(0.0, top, bands + 2)
    edges = np.where(
        mels < _BREAK_MEL,
        mels * _LINEAR_HZ,
        _BREAK_HZ * np.exp(_LOG_STEP * (mels - _BREAK_MEL)),
    )
    lines = np.fft.rfftfreq(WINDOW, 1 / RATE)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (lines - low) / (centre - low), (high - lines) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: Features = (triangles * 2 / (high - low)).astype(np.float32)
    return filters


@lru_cache(maxsize=1)
def _window() -> Features:
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


def log_mel(samples: npt.NDArray[np.int16], frames: int, bands: int = BANDS) -> Features:
    """The spectrogram [bands, frames] of int16 samples [n] at 16 kHz, silence after their end.

    Samples beyond `frames` are cut off.
    """
    length = frames * HOP
    padded = np.zeros(length + WINDOW, np.float32)
    used = samples[: length + WINDOW // 2].astype(np.float32) / np.float32(32768)
    padded[WINDOW // 2 : WINDOW // 2 + len(used)] = used
    # Before the first sample the signal is its own mirror image, as in the models' training.
    mirrored = used[1 : WINDOW // 2 + 1][::-1]
    padded[WINDOW // 2 - len(mirrored) : WINDOW // 2] = mirrored
    pieces = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:frames]
    power = np.square(np.abs(np.fft.rfft(pieces * _window(), axis=1))).astype(np.float32)
    log = np.log10(np.maximum(mel_filters(bands) @ power.T, _LEAST_POWER))
    floored = np.maximum(log, log.max(initial=-10.0) - _DECADES)
    return np.ascontiguousarray((floored + 4.0) / 4.0, dtype=np.float32)
