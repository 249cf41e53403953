"""The beat of the media thread: a tick each 20 ms, by absolute deadlines, so that it never drifts.

The rule: a tick that comes late is made good at once, so that the stream stays whole, but never
more than `CATCH_UP` ticks; what is beyond is skipped, because a burst of old packets helps nobody.
"""

from __future__ import annotations

import bisect
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from vxml_server.media.stream import FRAME_MS

TICK = FRAME_MS / 1000
CATCH_UP = 4
LATE_MS = 10.0
"""A tick that begins later than this is counted as late: receivers begin to notice."""
BOUNDS_MS = (1.0, 2.0, 5.0, LATE_MS, 20.0, 50.0, 100.0, float("inf"))


class Pacer:
    """Waits for ticks, and counts how late they were."""

    def __init__(self, monotonic: Callable[[], float], sleep: Callable[[float], object]) -> None:
        """`sleep` takes seconds and may return late; the first `wait` returns at once."""
        self._monotonic = monotonic
        self._sleep = sleep
        self._deadline: float | None = None
        self._counts = [0] * len(BOUNDS_MS)
        self.late = 0
        self.skipped = 0

    def wait(self) -> tuple[float, int]:
        """Returns when a tick is due: (the time, how many ticks were skipped before it)."""
        now = self._monotonic()
        if self._deadline is None:
            self._deadline = now
        while now < self._deadline:
            self._sleep(self._deadline - now)
            now = self._monotonic()
        lateness = now - self._deadline
        self._count(lateness * 1000)
        behind = int(lateness / TICK)
        skipped = behind - CATCH_UP if behind > CATCH_UP else 0
        self.skipped += skipped
        self._deadline += (skipped + 1) * TICK
        return now, skipped

    def _count(self, late_ms: float) -> None:
        self._counts[bisect.bisect_left(BOUNDS_MS, late_ms)] += 1
        if late_ms > LATE_MS:
            self.late += 1

    @property
    def histogram(self) -> tuple[tuple[float, int], ...]:
        """(upper bound in ms, ticks that were no later than it and later than the one before)."""
        return tuple(zip(BOUNDS_MS, self._counts, strict=True))


def raise_priority() -> None:
    """Asks the system to run the calling thread before others, where it lets us."""
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_RR, os.sched_param(1))
        return
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -10)
