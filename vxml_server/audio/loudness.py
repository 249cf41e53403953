"""Loudness as people hear it, and one loudness for all: ITU-R BS.1770-4 as EBU R 128 uses it.

The recommendation's K-weighting is two filters given by their coefficients at 48 kHz. At the rates
of telephony filters of the same kind, made by the bilinear transform, would bend below half the
rate; so the response of the originals is taken at the frequencies there are, and applied as one
filter of linear phase. Loudness is the mean power of blocks of 400 ms, each 100 ms after the one
before, without those below -70 LUFS and those 10 LU below the mean of the rest.

For one channel, 0 dB are full scale; a sine of 997 Hz at full scale reads -3.01 LUFS.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

SILENCE_LUFS = -70.0  # the absolute gate: what nothing louder reads
RELATIVE_GATE = 10.0  # LU
OFFSET = -0.691  # makes a sine of 997 Hz read its level
STEP_SECONDS, STEPS_OF_BLOCK = 0.1, 4

# BS.1770-4 tables 1 and 2: (b0, b1, b2), (1, a1, a2) at 48 kHz.
SHELF = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
HIGH_PASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
GIVEN_AT = 48_000
FILTER_SECONDS = 0.256  # 4 Hz of resolution: the high-pass is at 38 Hz
SEGMENT = 16_384  # samples filtered at once

PEAK_CEILING_DBFS = -1.0
MAX_GAIN_DB = 12.0  # more would make the noise of a recording heard
MAX_CUT_DB = 24.0


def loudness_lufs(pcm: Samples, rate: int = 8000) -> float:
    """The integrated loudness of mono samples; `SILENCE_LUFS` for what is no louder.

    What is shorter than a block is measured as one.
    """
    powers = _step_powers(pcm, rate)
    if len(powers) >= STEPS_OF_BLOCK:
        blocks = np.convolve(powers, np.ones(STEPS_OF_BLOCK) / STEPS_OF_BLOCK, "valid")
    else:
        blocks = np.array([_mean_power(pcm, rate)])
    heard = blocks[blocks > _power(SILENCE_LUFS)]
    if not len(heard):
        return SILENCE_LUFS
    gate = _lufs(float(heard.mean())) - RELATIVE_GATE
    return _lufs(float(heard[heard > _power(gate)].mean()))


def levelled(pcm: Samples, lufs: float, rate: int = 8000) -> Samples:
    """Mono samples with a constant gain that brings them to `lufs`.

    The gain is at most `MAX_GAIN_DB` up and `MAX_CUT_DB` down, and leaves no peak above
    `PEAK_CEILING_DBFS` but those of samples that had been above it before. Silence stays silence.
    """
    loudness = loudness_lufs(pcm, rate)
    if loudness <= SILENCE_LUFS:
        return pcm
    gain = min(max(lufs - loudness, -MAX_CUT_DB), MAX_GAIN_DB)
    peak = float(np.abs(pcm.astype(np.int32)).max()) / 32768
    room = PEAK_CEILING_DBFS - 20 * float(np.log10(peak))
    gain = min(gain, max(room, 0.0))
    factor = np.float32(10 ** (gain / 20))
    scaled: npt.NDArray[np.float32] = np.rint(pcm.astype(np.float32) * factor)
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def _lufs(power: float) -> float:
    return OFFSET + 10 * float(np.log10(power))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - OFFSET) / 10))


def _mean_power(pcm: Samples, rate: int) -> float:
    """The weighted power of all of a short sound."""
    if not len(pcm):
        return 0.0
    return float(sum(np.square(part).sum() for part in _weighted(pcm, rate))) / len(pcm)


def _step_powers(pcm: Samples, rate: int) -> npt.NDArray[np.float64]:
    """The weighted power of each whole step of 100 ms."""
    step = round(rate * STEP_SECONDS)
    powers: list[npt.NDArray[np.float64]] = []
    rest = np.zeros(0)
    for part in _weighted(pcm, rate):
        rest = np.concatenate((rest, part))
        whole = len(rest) // step * step
        powers.append(np.square(rest[:whole].reshape(-1, step)).mean(axis=1))
        rest = rest[whole:]
    return np.concatenate([np.zeros(0), *powers])


def _weighted(pcm: Samples, rate: int) -> Iterator[npt.NDArray[np.float64]]:
    """K-weighted samples, of full scale 1.0, in segments: as many as there are in `pcm`."""
    kernel = _kernel(rate)
    delay = len(kernel) // 2
    response = np.fft.rfft(kernel, SEGMENT)
    hop = SEGMENT - len(kernel) + 1
    for start in range(0, len(pcm), hop):
        # Overlap and save: the first outputs of a segment lack what was before it.
        begin = start - delay
        part = pcm[max(0, begin) : begin + SEGMENT].astype(np.float64) / 32768
        padded = np.zeros(SEGMENT)
        padded[max(0, -begin) : max(0, -begin) + len(part)] = part
        filtered = np.fft.irfft(np.fft.rfft(padded) * response, SEGMENT)
        yield filtered[len(kernel) - 1 :][: len(pcm) - start]


@cache
def _kernel(rate: int) -> npt.NDArray[np.float64]:
    """An odd number of taps of linear phase whose response is that of the two filters."""
    half = round(rate * FILTER_SECONDS / 2)
    size = 8 * half
    frequencies = np.minimum(np.fft.rfftfreq(size, 1 / rate), GIVEN_AT / 2)
    z = np.exp(-2j * np.pi * frequencies / GIVEN_AT)
    gain = np.ones(len(frequencies))
    for numerator, denominator in (SHELF, HIGH_PASS):
        gain *= np.abs(np.polyval(numerator[::-1], z) / np.polyval(denominator[::-1], z))
    impulse = np.roll(np.fft.irfft(gain, size), half)[: 2 * half + 1]
    taps: npt.NDArray[np.float64] = impulse * np.hanning(2 * half + 3)[1:-1]
    return taps
