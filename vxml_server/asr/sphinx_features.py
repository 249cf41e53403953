"""Cepstra of a telephone line for PocketSphinx, and where in them somebody speaks.

PocketSphinx has a front end, but its cepstral mean is that of all that it was given: how much
silence there is around a word then decides what word it is. Here the mean is that of the speech and
a little around it, and a floor 50 dB below the speech keeps digital silence from looking like
anything. Both are the same whether the audio came in one piece or in many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vxml_server.asr.recognition import RATE, Samples
from vxml_server.asr.sphinx_model import LINE, band_edges, cosines, lifter

FRAME_RATE = 100
"""Frames a second."""
_SHIFT = RATE // FRAME_RATE
_WINDOW = 205  # 25.625 ms, as the model has it
_FFT = 256
_PRE_EMPHASIS = 0.97

SPEECH_DB = 30.0
"""Frames this far below the loudest are no speech."""
FLOOR_DB = 50.0
MARGIN = 20
"""The frames around the speech that belong to it: the model wants to see silence at its ends."""
_QUIETEST = 1e4
"""The band energy below which there is nothing but the noise of the arithmetic."""

Frames = npt.NDArray[np.float32]


def _filters() -> npt.NDArray[np.float64]:
    """Triangular mel filters of unit area [bands, bins]; corners are on bins, as in the model."""
    width = RATE / _FFT
    bins = np.arange(_FFT // 2 + 1) * width
    edges = np.round(band_edges() / width) * width
    rows = []
    for low, centre, high in zip(edges, edges[1:], edges[2 : LINE.bands + 2], strict=False):
        rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
        rows.append(np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low))
    return np.array(rows)


_FILTERS = _filters().T.astype(np.float32)
_HAMMING = np.hamming(_WINDOW).astype(np.float32)
_CEPSTRA = (lifter(LINE.cepstra)[:, None] * cosines(LINE.bands, LINE.cepstra)).T.astype(np.float32)


class Bands:
    """The mel energies of one utterance, as it comes in."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)
        self._last = 0.0
        self._blocks: list[Frames] = []
        self._joined = np.zeros((0, LINE.bands), np.float32)

    def feed(self, pcm: Samples) -> None:
        """Takes int16 [n], mono, 8 kHz."""
        if not len(pcm):
            return
        samples = pcm.astype(np.float32)
        before = np.concatenate((np.array([self._last], np.float32), samples[:-1]))
        self._last = float(samples[-1])
        pending = np.concatenate((self._rest, samples - np.float32(_PRE_EMPHASIS) * before))
        count = max(0, (len(pending) - _WINDOW) // _SHIFT + 1)
        self._rest = pending[count * _SHIFT :]
        if count:
            windows = np.lib.stride_tricks.sliding_window_view(pending, _WINDOW)
            spectrum = np.fft.rfft(windows[: count * _SHIFT : _SHIFT] * _HAMMING, _FFT)
            power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
            self._blocks.append(power @ _FILTERS)

    @property
    def frames(self) -> Frames:
        """Mel energies [n, bands] so far."""
        if self._blocks:
            self._joined = np.concatenate((self._joined, *self._blocks))
            self._blocks.clear()
        return self._joined


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """What makes cepstra of bands comparable with the model's: for one utterance."""

    start: int
    """The first frame that belongs to the speech."""
    peak: float
    floor: float
    mean: Frames

    def is_speech(self, frames: Frames) -> npt.NDArray[np.bool_]:
        loud: npt.NDArray[np.bool_] = frames.sum(axis=1) > self.peak * 10 ** (-SPEECH_DB / 10)
        return loud

    def cepstra(self, frames: Frames) -> Frames:
        """What the decoder takes, [n, cepstra]."""
        found: Frames = _raw(frames, self.floor) - self.mean
        return found


def norm_of(frames: Frames) -> Norm | None:
    """The norm by all that was heard so far; None when that is nothing."""
    energy = frames.sum(axis=1)
    peak = float(energy.max(initial=0.0))
    if peak < _QUIETEST:
        return None
    speech = np.flatnonzero(energy > peak * 10 ** (-SPEECH_DB / 10))
    start = max(0, int(speech[0]) - MARGIN)
    end = int(speech[-1]) + 1 + MARGIN
    floor = float(np.percentile(energy, 95)) / LINE.bands * 10 ** (-FLOOR_DB / 10)
    mean = _raw(frames[start:end], floor).mean(axis=0)
    return Norm(start, peak, max(floor, 1e-3), mean)


def _raw(frames: Frames, floor: float) -> Frames:
    found: Frames = np.log(frames + np.float32(max(floor, 1e-3))) @ _CEPSTRA
    return found
