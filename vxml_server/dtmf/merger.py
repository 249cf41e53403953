"""One press told in several ways is one press.

A gateway may send the same key as RFC 4733 events, in SIP INFO and as tones in the audio, each with
its own delay. The rule: a source tells of each press at most once, so what it tells is an earlier
press of the same key exactly if that was told by others only. Presses are claimed in order, so that
`1 2 1` told twice stays three presses, however the two tellings interleave, and the same key
pressed twice in a row by one source stays two.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW = 0.4  # seconds between the first telling of a press and the last
MAX_DURATION = 10.0  # seconds that a source may be late because it tells of a key at its end
KEPT = 64  # presses


@dataclass(slots=True)
class _Press:
    key: str
    at: float
    sources: set[str] = field(default_factory=set)


class KeyMerger:
    """The presses of one caller, whatever tells of them."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._presses: deque[_Press] = deque(maxlen=KEPT)

    def press(self, key: str, source: str, at: float, duration: float = 0.0) -> bool:
        """Whether this is a press that nobody told of before.

        `at` is in seconds on any steady clock. A source that tells of a key when it is released,
        as SIP INFO may, gives the `duration` for which it was held.
        """
        earliest = at - self._window - min(max(duration, 0.0), MAX_DURATION)
        for press in self._presses:
            near = earliest <= press.at <= at + self._window
            if near and press.key == key and source not in press.sources:
                press.sources.add(source)
                return False
        self._presses.append(_Press(key, at, {source}))
        return True
