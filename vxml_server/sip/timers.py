"""Timers that are counted, so that a user agent can say that nothing is left running."""

from __future__ import annotations

from collections.abc import Callable

from vxml_server.clock import Clock, Timer


class CountedTimer:
    """A timer of `Timers`."""

    __slots__ = ("_callback", "_timer", "_timers")

    def __init__(self, timers: Timers, delay: float, callback: Callable[[], object]) -> None:
        self._timers = timers
        self._callback = callback
        timers.running.add(self)
        self._timer = timers.clock.call_later(delay, self._fire)

    def _fire(self) -> None:
        self._timers.running.discard(self)
        self._callback()

    def cancel(self) -> None:
        self._timer.cancel()
        self._timers.running.discard(self)


class Timers:
    """Starts timers on a clock and knows which of them still run."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.running: set[CountedTimer] = set()

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        return CountedTimer(self, delay, callback)

    def soon(self, callback: Callable[[], object]) -> Timer:
        """Calls `callback` after what is running now has returned."""
        return CountedTimer(self, 0.0, callback)

    def cancel_all(self) -> None:
        for timer in list(self.running):
            timer.cancel()
