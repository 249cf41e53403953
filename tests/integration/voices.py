"""People's recorded voices, of Debian's asterisk-core-sounds, and noises to set them against.

The words are those of the file names: `en/digits/7` is an American woman who says "seven".
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from tests.integration import audio

SOUNDS = Path("/usr/share/asterisk/sounds")
PACKAGES = "asterisk-core-sounds-en-wav and asterisk-core-sounds-fr-wav"
VOICE_DBFS = -20.0


@cache
def voice(name: str) -> audio.Samples:
    """A recording at `VOICE_DBFS`, pauses left out of the measurement."""
    return at_level(audio.read_wav(SOUNDS / f"{name}.wav"), VOICE_DBFS)


def at_level(samples: audio.Samples, dbfs: float) -> audio.Samples:
    gain = 10 ** ((dbfs - active_dbfs(samples)) / 20)
    return np.clip(samples * gain, -32768, 32767).astype(np.int16)


def active_dbfs(samples: audio.Samples) -> float:
    """The level of the frames that are not much quieter than the loudest."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    levels = np.array([audio.dbfs(frame) for frame in frames])
    return audio.dbfs(frames[levels > levels.max() - 25].reshape(-1))


def white(seconds: float, dbfs: float) -> audio.Samples:
    noise = np.random.default_rng(5).standard_normal(round(seconds * audio.RATE))
    return at_level((noise * 2000).astype(np.int16), dbfs)


def babble(seconds: float, dbfs: float, talkers: int = 10) -> audio.Samples:
    """Many people who talk at once, none of them to us."""
    randomness = np.random.default_rng(6)
    talk = np.concatenate([voice("en/vm-intro"), voice("fr/vm-intro"), voice("en/dir-welcome")])
    length = round(seconds * audio.RATE)
    mixed = np.zeros(length)
    for _ in range(talkers):
        mixed += np.resize(np.roll(talk, randomness.integers(len(talk))), length)
    return at_level((mixed / talkers).astype(np.int16), dbfs)


def together(*sounds: audio.Samples) -> audio.Samples:
    """Sounds at the same time, as long as the longest."""
    mixed = np.zeros(max(map(len, sounds)), np.int32)
    for sound in sounds:
        mixed[: len(sound)] += sound
    return np.clip(mixed, -32768, 32767).astype(np.int16)
