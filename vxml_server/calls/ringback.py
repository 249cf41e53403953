"""The ringing that a caller hears while another telephone rings (ITU-T E.180, supplement 2)."""

from __future__ import annotations

from functools import cache

import numpy as np

from vxml_server.media import Sound

RATE = 8000
LEVEL = 0.1  # of full scale for each tone, about -20 dBFS

# Frequencies (Hz), seconds of tone, seconds of silence, by language.
_CADENCES: dict[str, tuple[tuple[int, ...], float, float]] = {
    "en": ((440, 480), 2.0, 4.0),
    "fr": ((440,), 1.5, 3.5),
}


def ringback(lang: str) -> Sound:
    """One period of the tone, to be repeated; for all languages that are not here, English's."""
    primary = lang.split("-", maxsplit=1)[0].lower()
    return _sound(primary if primary in _CADENCES else "en")


@cache
def _sound(primary: str) -> Sound:
    frequencies, on, off = _CADENCES[primary]
    time = np.arange(int(on * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * frequency * time) for frequency in frequencies)
    samples = np.concatenate([tone * LEVEL * 32767, np.zeros(int(off * RATE))])
    return Sound(samples.astype(np.int16))
