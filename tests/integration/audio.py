"""Sound for the tests, made and read without the product's code: G.711, sines, tone pairs.

The rule that must hold: nothing here imports `vxml_server`. A fault in the product's own tables
must not be able to hide itself in the check.
"""

from __future__ import annotations

import math
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 8000

Samples = NDArray[np.int16]

PCMU, PCMA = 0, 8
"""The static RTP payload types of the two laws (RFC 3551 section 6)."""

ROWS = (697.0, 770.0, 852.0, 941.0)
COLUMNS = (1209.0, 1336.0, 1477.0, 1633.0)
KEYPAD = ("123A", "456B", "789C", "*0#D")


def _mu_law(code: int) -> int:
    code = ~code & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << (code >> 4 & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _a_law(code: int) -> int:
    code ^= 0x55
    exponent, mantissa = code >> 4 & 7, code & 0x0F
    magnitude = (mantissa << 4) + 8 if not exponent else ((mantissa << 4) + 0x108) << exponent - 1
    return magnitude if code & 0x80 else -magnitude


_TABLES = {
    PCMU: np.array([_mu_law(code) for code in range(256)], np.int16),
    PCMA: np.array([_a_law(code) for code in range(256)], np.int16),
}


def decode(payload: bytes, payload_type: int) -> Samples:
    """G.711 octets as linear samples."""
    return _TABLES[payload_type][np.frombuffer(payload, np.uint8)]


def encode(samples: Samples, payload_type: int) -> bytes:
    """Linear samples as the nearest G.711 octets."""
    table = _TABLES[payload_type].astype(np.int32)
    order = np.argsort(table, kind="stable")
    ladder = table[order]
    right = np.clip(np.searchsorted(ladder, samples), 1, 255)
    left_is_nearer = samples - ladder[right - 1] < ladder[right] - samples
    return order[right - left_is_nearer].astype(np.uint8).tobytes()


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.int16)


def sines(frequencies: tuple[float, ...], seconds: float, dbfs: float) -> Samples:
    """The sum of sines, each with its RMS at `dbfs` (0 dBFS is an RMS of 32768)."""
    time = np.arange(round(seconds * RATE)) / RATE
    amplitude = 32768 * 10 ** (dbfs / 20) * np.sqrt(2)
    total = sum(np.sin(2 * np.pi * frequency * time) for frequency in frequencies)
    return np.asarray(amplitude * total).round().astype(np.int16)


def key_tones(key: str, seconds: float = 0.1, dbfs: float = -16.0) -> Samples:
    """A key as its pair of pure sines (ITU-T Q.23)."""
    row = next(i for i, keys in enumerate(KEYPAD) if key in keys)
    return sines((ROWS[row], COLUMNS[KEYPAD[row].index(key)]), seconds, dbfs)


def dbfs(samples: Samples) -> float:
    """RMS level; 0 is an RMS of 32768, silence is -200."""
    if not len(samples):
        return -200.0
    mean_square = float(np.mean(samples.astype(np.float64) ** 2))
    return 10 * math.log10(max(mean_square, 1e-11) / 32768**2)


def dominant_frequency(samples: Samples) -> float:
    """The frequency in hertz with the most power."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum[1:]) + 1) * RATE / len(samples)


def tone_levels(samples: Samples, frequency: float, seconds: float = 0.05) -> NDArray[np.float64]:
    """The level of a frequency in each piece of so many seconds, in dBFS as `sines` has it."""
    size = round(seconds * RATE)
    pieces = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    window = np.hanning(size)
    wave = window * np.exp(-2j * np.pi * frequency * np.arange(size) / RATE)
    amplitudes = 2 * np.abs(pieces @ wave) / window.sum()
    return np.asarray(20 * np.log10(np.maximum(amplitudes / np.sqrt(2), 1e-3) / 32768))


def write_wav(path: Path, samples: Samples) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def read_wav(path: Path) -> Samples:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
