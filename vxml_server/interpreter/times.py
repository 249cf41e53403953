"""Time designations: section 6.5 of VoiceXML 2.0, the one way in which documents write a time."""

from __future__ import annotations

import re
from functools import lru_cache

# Longer than any call: what is above it is no time but a mistake, or an attack.
LONGEST = 1e9
_TIME = re.compile(r"\s*\+?(\d+\.?\d*|\.\d+)\s*(ms|s|)\s*", re.ASCII)


def seconds(text: str) -> float:
    """A time designation in seconds; raises ValueError.

    A number without a unit is not in the recommendation but in many documents: it is read as
    milliseconds from 100 on, and as seconds below.
    """
    # What is kept is short, so that nobody's document fills the memory.
    return _known(text) if len(text) <= _SHORT else _read(text)


def _read(text: str) -> float:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time such as 5s or 250ms")
    number, unit = float(found[1]), found[2]
    if number > LONGEST:
        raise ValueError(f"{text[:20]}... is too long a time")
    if unit == "ms" or (not unit and number >= 100):
        return number / 1000
    return number


_SHORT = 20
_known = lru_cache(maxsize=1000)(_read)
