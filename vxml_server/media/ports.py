"""Pairs of ports: an even one for RTP, the next for RTCP (RFC 3550 section 11).

The rule: a pair is free, taken or resting, and never two of them. A released pair rests, so that
the last packets of one call are not heard by the next; pairs are given out in turn, so that a
rested one is also the longest unused. The order is shuffled: a port that can be guessed is
a port that can be shot at.
"""

from __future__ import annotations

import random
from collections import deque

REST = 3.0
"""Seconds between two uses of a pair."""


class NoPortsLeft(Exception):
    """Every pair of ports of the configured range is in use, resting, or somebody else's."""


class PortPairs:
    """The pairs of a range. `take` and `release` may be called from two threads."""

    def __init__(self, ports: range, random: random.Random, rest: float = REST) -> None:
        """Raises ValueError for a range without a pair, or beyond what ports are."""
        if ports.step != 1 or not ports or ports[0] < 1 or ports[-1] > 65535:
            raise ValueError(f"{ports} is no range of ports")
        even = list(range(ports[0] + ports[0] % 2, ports[-1], 2))
        if not even:
            raise ValueError(f"{ports} holds no even port with the one after it")
        random.shuffle(even)
        self._rest = rest
        self._free: deque[tuple[float, int]] = deque((float("-inf"), port) for port in even)

    def __len__(self) -> int:
        """Pairs that are not taken, resting ones included."""
        return len(self._free)

    def take(self, now: float) -> int:
        """The even port of a pair. Raises NoPortsLeft."""
        try:
            rested, port = self._free.popleft()
        except IndexError:
            raise NoPortsLeft("every pair of media ports is taken") from None
        if rested > now:
            self._free.appendleft((rested, port))
            raise NoPortsLeft("the media ports that are not taken were used a moment ago")
        return port

    def release(self, port: int, now: float) -> None:
        """Gives a pair back, at the end of the row."""
        self._free.append((now + self._rest, port))
