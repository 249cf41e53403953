"""What is done to the samples of speech: level, rate and pitch, and the ends that say nothing.

An engine that cannot change its rate or pitch has it done here, so that `<prosody>` means the same
with every engine. Rate is changed by WSOLA (Verhelst and Roelands 1993: pieces of the signal are
laid over each other where they resemble most, so that the pitch stays); pitch by resampling, which
also changes the rate, and then the rate back.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vxml_server.audio import RATE, Resampler

KNEE = 0.7  # of full scale: above it loudness is bent towards the ceiling
CEILING = 0.9  # ... which leaves room for the overshoot of the resampling filter
SILENCE = 30  # int16: below it is silence that may be trimmed
EDGE_SECONDS = 0.01  # ... but for this much

WINDOW = 200  # samples at 8 kHz: 25 ms, two periods of a low voice
HOP = WINDOW // 2
SEARCH = 80  # samples to either side: a whole period

Samples = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float32]

_FADE: Floats = np.hanning(WINDOW + 1)[:WINDOW].astype(np.float32)


def spoken_part(pcm: Samples, rate: int) -> tuple[int, int]:
    """(start, end) of what is not silence at the ends, and a little more."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > SILENCE)
    if not len(loud):
        return 0, len(pcm)
    edge = round(rate * EDGE_SECONDS)
    return max(0, int(loud[0]) - edge), min(len(pcm), int(loud[-1]) + 1 + edge)


def shaped(pcm: Samples, rate: int, *, gain_db: float, higher: float, longer: float) -> Samples:
    """Speech at `rate` Hz as int16 at 8 kHz, with a gain; what it brings near full scale is bent
    and not cut.

    `higher` is the factor by which the pitch rises, and by which all gets shorter; `longer` the
    factor by which it is drawn out after that.
    """
    floats = pcm.astype(np.float32) * np.float32(10 ** (gain_db / 20) / 32768)
    resampler = Resampler(rate * higher, RATE)
    spoken = np.concatenate((resampler.feed(bend(floats)), resampler.finish()))
    return stretched(spoken, longer)


def stretched(pcm: Samples, factor: float) -> Samples:
    """int16 samples at 8 kHz made `factor` times as long, at the same pitch."""
    if abs(factor - 1) < 0.005 or len(pcm) < 2 * WINDOW:
        return pcm
    before, after = np.zeros(SEARCH, np.float32), np.zeros(2 * WINDOW + SEARCH, np.float32)
    source = np.concatenate((before, pcm.astype(np.float32), after))
    length = round(len(pcm) * factor)
    count = -(-length // HOP) + 1
    result = np.zeros((count + 1) * HOP, np.float32)
    at = SEARCH
    for number in range(count):
        if number:
            # What would come next; the piece that resembles it most is laid there.
            following = source[at + HOP : at + HOP + WINDOW]
            wanted = SEARCH + min(round(number * HOP / factor), len(pcm))
            around = source[wanted - SEARCH : wanted + SEARCH + WINDOW]
            at = wanted - SEARCH + int(np.argmax(np.correlate(around, following, "valid")))
        result[number * HOP : number * HOP + WINDOW] += _FADE * source[at : at + WINDOW]
    # The first half piece fades in; it is as long as what is missing at the end.
    return np.clip(np.rint(result[:length]), -32768, 32767).astype(np.int16)


def bend(samples: Floats) -> Floats:
    """Saturation with a soft knee: unchanged below it, never beyond the ceiling."""
    size = np.abs(samples)
    if not len(size) or float(size.max()) <= KNEE:
        return samples
    room = np.float32(CEILING - KNEE)
    bent = KNEE + room * np.tanh((size - np.float32(KNEE)) / room)
    curved: Floats = np.where(size > KNEE, np.sign(samples) * bent, samples)
    return curved.astype(np.float32)
