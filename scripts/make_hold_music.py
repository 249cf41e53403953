"""Writes vxml_server/queues/documents/hold.wav: what waiting callers hear, 8 kHz, 16 bits, mono.

A slow round of four chords, each broken into soft plucked notes over a low one that swells; it ends
as it begins, so that it can be heard again and again. Made of sines below 1.2 kHz, which every
telephone carries.

Usage: python scripts/make_hold_music.py [FILE]
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 8000
STEP = 0.375
"""Seconds between two notes."""
PEAK = 0.22
"""Of full scale: about as loud as speech beside it."""
FILE = "vxml_server/queues/documents/hold.wav"

# Semitones above A3 (220 Hz): the low note, and the others in the order in which they are plucked.
CHORDS: tuple[tuple[int, tuple[int, ...]], ...] = (
    (-9, (3, 7, 10, 15, 10, 7, 14, 10)),
    (-12, (0, 3, 7, 12, 7, 3, 10, 7)),
    (-16, (-4, 3, 8, 12, 8, 3, 7, 3)),
    (-14, (-2, 5, 10, 14, 10, 5, 12, 5)),
)
ROUNDS = 2


def frequency(semitones: int) -> float:
    """Hertz of a note."""
    return float(220.0 * 2 ** (semitones / 12))


def pluck(hertz: float, seconds: float) -> NDArray[np.float64]:
    """A note that fades in over 15 ms and dies away, with a little of its octave."""
    time = np.arange(int(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * hertz * time) + 0.25 * np.sin(4 * np.pi * hertz * time)
    fade: NDArray[np.float64] = np.minimum(1.0, time / 0.015) * np.exp(-2.2 * time) * tone
    return fade * (1 - time / seconds)


def swell(hertz: float, seconds: float) -> NDArray[np.float64]:
    """A low note that comes and goes."""
    time = np.arange(int(seconds * RATE)) / RATE
    tone: NDArray[np.float64] = np.sin(np.pi * time / seconds) ** 2 * np.sin(
        2 * np.pi * hertz * time
    )
    return tone


def music() -> NDArray[np.int16]:
    """The samples; notes that ring on at the end are heard at the beginning."""
    bar = len(CHORDS[0][1]) * STEP
    length = int(ROUNDS * len(CHORDS) * bar * RATE)
    mixed = np.zeros(length)

    def add(samples: NDArray[np.float64], at: float) -> None:
        places = (int(at * RATE) + np.arange(len(samples))) % length
        mixed[places] += samples

    for number in range(ROUNDS * len(CHORDS)):
        low, notes = CHORDS[number % len(CHORDS)]
        began = number * bar
        add(0.7 * swell(frequency(low), bar), began)
        for place, note in enumerate(notes):
            add(pluck(frequency(note), 1.6), began + place * STEP)
    scaled: NDArray[np.int16] = np.round(mixed / np.abs(mixed).max() * PEAK * 32767).astype(
        np.int16
    )
    return scaled


def main() -> None:
    """Writes the file."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else FILE)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(music().astype("<i2").tobytes())


if __name__ == "__main__":
    main()
