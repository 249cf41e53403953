"""Writes apps/bank/audio/jingle.wav: three rising notes, 8 kHz, 16 bits, one channel.

Usage: python scripts/make_jingle.py [FILE]
"""

from __future__ import annotations

import math
import struct
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

RATE = 8000
NOTES = (523.25, 659.26, 783.99)
NOTE_SECONDS = 0.25
PEAK = 0.18


def samples() -> Iterator[int]:
    """The jingle's samples: each note fades in over 10 ms, against clicks, and dies away."""
    length = int(RATE * NOTE_SECONDS)
    for frequency in NOTES:
        for index in range(length):
            time = index / RATE
            envelope = min(1.0, time / 0.010) * math.exp(-6 * time) * (1 - index / length)
            yield round(32767 * PEAK * envelope * math.sin(2 * math.pi * frequency * time))


def jingle() -> bytes:
    """The samples as 16-bit little-endian PCM."""
    values = list(samples())
    return struct.pack(f"<{len(values)}h", *values)


def main() -> None:
    """Writes the file."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "apps/bank/audio/jingle.wav")
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(jingle())


if __name__ == "__main__":
    main()
