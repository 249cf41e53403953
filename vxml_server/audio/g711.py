"""ITU-T G.711: the two logarithmic codes of the telephone network, by table.

G.711 defines a law by its decision values (where one interval ends and the next begins) and its
output values (what an interval decodes to). Tables 1 and 2 of the recommendation (A-law, mu-law)
give the positive half; the negative half mirrors it. The tables below are computed from those two
lists once, at import: 256 entries to decode, 65,536 to encode, so that coding is one look-up a
sample for an array of any shape.

The law's values are 13 (A) and 14 (mu) bits wide. They are aligned to the top of 16 bits, which is
what every telephone interface does: A-law values times 8, mu-law values times 4.

The rule that must hold: `encode(decode(code)) == code` for every code, but for mu-law's negative
zero (0x7F), which decodes to 0 and so comes back as positive zero (0xFF).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.int16]
Values = npt.NDArray[np.int64]

SEGMENTS = 8
STEPS = 16  # intervals in a segment

ALAW_EVEN_BITS = 0x55  # G.711 section 2.2: the even bits are inverted on the line
ULAW_ALL_BITS = 0xFF  # ... and for mu-law all of them
POSITIVE = 0x80


def _alaw_decisions() -> Values:
    """Lower ends of the 128 positive intervals, table 1a column 'decision value', times 8."""
    step = [2, 2, 4, 8, 16, 32, 64, 128]
    widths = np.repeat(step, STEPS)
    return 8 * _starts(widths)


def _ulaw_decisions() -> Values:
    """Lower ends of the 128 positive intervals, table 2a, times 4. The first is half as wide."""
    widths = np.repeat(2 << np.arange(SEGMENTS), STEPS)
    widths[0] = 1
    return 4 * _starts(widths)


def _starts(widths: Values) -> Values:
    """Where intervals of these widths begin, one after the other from 0."""
    starts = np.zeros_like(widths)
    starts[1:] = np.cumsum(widths)[:-1]
    return starts


def _alaw_outputs(decisions: Values) -> Values:
    """The middles of the intervals; the last ends at 4096."""
    ends = np.append(decisions[1:], 4096 * 8)
    middles: Values = (decisions + ends) // 2
    return middles


def _ulaw_outputs(decisions: Values) -> Values:
    """The middles of the intervals but for the first, whose output is 0; the last ends at 8159."""
    ends = np.append(decisions[1:], 8159 * 4)
    outputs: Values = (decisions + ends) // 2
    outputs[0] = 0
    return outputs


def _tables(decisions: Values, outputs: Values, inverted: int) -> tuple[Samples, Codes]:
    """(decode table by code, encode table by the sample's bits read as unsigned)."""
    characters = np.arange(256) ^ inverted
    magnitude = outputs[characters & 0x7F]
    decode = np.where(characters & POSITIVE, magnitude, -magnitude).astype(np.int16)

    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int64)
    # A sample on a decision value belongs to the interval above it; a negative one is measured by
    # its one's complement, so that both halves have intervals of the same width.
    magnitudes = np.where(samples < 0, ~samples, samples)
    interval = np.searchsorted(decisions, magnitudes, side="right") - 1
    encode = (np.where(samples < 0, 0, POSITIVE) | interval) ^ inverted
    return decode, encode.astype(np.uint8)


_alaw = _alaw_decisions()
_ulaw = _ulaw_decisions()
_ALAW_DECODE, _ALAW_ENCODE = _tables(_alaw, _alaw_outputs(_alaw), ALAW_EVEN_BITS)
# mu-law inverts every bit; the sign bit is 1 for positive values before and after (table 2a).
_ULAW_DECODE, _ULAW_ENCODE = _tables(_ulaw, _ulaw_outputs(_ulaw), ULAW_ALL_BITS ^ POSITIVE)


def decode_alaw(codes: Codes) -> Samples:
    """Samples of A-law `codes`, in an array of the same shape."""
    return _ALAW_DECODE.take(codes)


def encode_alaw(samples: Samples) -> Codes:
    """A-law codes of `samples`, in an array of the same shape."""
    return _ALAW_ENCODE.take(samples.view(np.uint16))


def decode_ulaw(codes: Codes) -> Samples:
    """Samples of mu-law `codes`, in an array of the same shape."""
    return _ULAW_DECODE.take(codes)


def encode_ulaw(samples: Samples) -> Codes:
    """mu-law codes of `samples`, in an array of the same shape."""
    return _ULAW_ENCODE.take(samples.view(np.uint16))
