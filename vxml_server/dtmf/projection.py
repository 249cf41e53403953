"""The bases that the detector projects samples onto, and why they are enough.

Goertzel's filter for a frequency f over N samples runs, with w = 2 pi f / 8000 and one coefficient,

    s[n] = x[n] + 2 cos(w) s[n-1] - s[n-2]

and yields, after the last sample, s[N-1] - e^{-jw} s[N-2] = e^{jw(N-1)} sum x[n] e^{-jwn}: the
projection of x onto a cosine and a sine of f, but for a turn of its phase. (The coefficients of the
eight tones are 1.7077, 1.6453, 1.5687, 1.4782, 1.1641, 0.9964, 0.7986 and 0.5685.) The recursion
saves a table of sines. With many channels the table is free, and the projections of all channels
onto all tones are one matrix product, which the machine does at its full speed, several samples at
once, where a recursion waits for each sample before it takes the next. So nothing here recurs:
every basis below is a constant matrix. Being one, it may have a window, or be a pseudo-inverse.

Frame:  160 samples, what comes in at once (20 ms).
Block:  32 samples (4 ms), the grain of timing: five to a frame.
Look-back: five frames (100 ms, 25 blocks), what a decision is made from.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vxml_server.dtmf.keys import COLUMNS, KEYS, RATE, ROWS, frequencies

FRAME = 160
BLOCK = 32
SCREENED = 128
MIDDLE = slice((FRAME - SCREENED) // 2, (FRAME + SCREENED) // 2)
FRAMES = 5
TONES = len(ROWS) + len(COLUMNS)
BLOCKS_PER_FRAME = FRAME // BLOCK
BLOCKS = FRAMES * BLOCKS_PER_FRAME
LOOK_BACK = FRAMES * FRAME
BLOCK_SECONDS = BLOCK / RATE

# What a line carries under a digit: offset, mains, and the dial tones of Europe and America.
HUM = (50.0, 350.0, 400.0, 425.0, 440.0, 450.0)

Floats = npt.NDArray[np.float32]
Complex = npt.NDArray[np.complex64]
Indices = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


def _waves(frequency: float, count: int) -> npt.NDArray[np.float64]:
    """[count, 2]: cosine and minus sine, so that a projection is the real and imaginary part."""
    angle = 2 * np.pi * frequency / RATE * np.arange(count)
    return np.stack((np.cos(angle), -np.sin(angle)), axis=1)


def screen_basis() -> Floats:
    """[SCREENED, 2 * TONES]: the eight tones, Hann-windowed: real parts first, then imaginary ones.

    Scaled so that the squared magnitude for a steady tone is its mean power, times FRAME: the share
    of the frame's energy sum x^2 that the tone makes up. The window is the middle of a frame's: its
    ends weigh next to nothing and are left out.
    """
    window = np.hanning(FRAME + 1)[MIDDLE]
    window *= np.sqrt(2 * FRAME) / window.sum()
    waves = np.stack([_waves(tone, SCREENED) for tone in (*ROWS, *COLUMNS)], axis=2)
    return (waves * window[:, np.newaxis, np.newaxis]).reshape(SCREENED, -1).astype(np.float32)


def hum_basis() -> Floats:
    """[LOOK_BACK, k]: orthonormal columns that span offset, mains and dial tones."""
    waves = [np.ones((LOOK_BACK, 1)), *(_waves(tone, LOOK_BACK) for tone in HUM)]
    columns, triangle = np.linalg.qr(np.concatenate(waves, axis=1))
    # 440 and 450 Hz are nearly the same over 100 ms: columns of next to nothing are left out.
    kept = np.abs(np.diag(triangle)) > 1e-2 * np.sqrt(LOOK_BACK)
    return columns[:, kept].astype(np.float32)


def pair_basis() -> Floats:
    """[16, BLOCK, 4]: for each key, (re, im) of the low and of the high tone's complex amplitude.

    Over four milliseconds two tones are not orthogonal, so plain projections would mix them; this
    is the pseudo-inverse, the least-squares fit of both tones at once.
    """
    bases = []
    for key in KEYS:
        waves = np.concatenate([_waves(tone, BLOCK) for tone in frequencies(key)], axis=1)
        bases.append(np.linalg.pinv(waves).T)
    return np.stack(bases).astype(np.float32)


def rotations() -> Complex:
    """[16, 2, BLOCKS]: what turns each block's phases back to those of the first block.

    After it a tone at its nominal frequency has the same complex amplitude in every block, so that
    blocks may be added, and a deviation shows as a steady advance of phase.
    """
    time = np.arange(BLOCKS) * BLOCK / RATE
    tones = np.array([frequencies(key) for key in KEYS])
    turns: Complex = np.exp(-2j * np.pi * time * tones[..., np.newaxis]).astype(np.complex64)
    return turns
