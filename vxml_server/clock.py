"""Time, injected.

Nothing in this project reads the time or starts a timer but through a `Clock`. The server runs on
`SystemClock`; tests run on `VirtualClock`, where thirty seconds cost nothing. Durations come from
`monotonic()`, stored times from `utc_now()`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Timer(Protocol):
    """A callback to come; `cancel()` may be called more than once, and after it fired."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; never goes back."""

    def utc_now(self) -> datetime:
        """The time to store: aware, UTC."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Calls `callback` once, `delay` seconds from now, on the loop's thread."""

    async def sleep(self, delay: float) -> None:
        """Waits `delay` seconds."""


class SystemClock:
    """The clock of the running asyncio loop."""

    def monotonic(self) -> float:
        return time.monotonic()

    def utc_now(self) -> datetime:
        return datetime.now(UTC)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(max(0.0, delay), callback)

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(delay)


class VirtualTimer:
    """A timer of `VirtualClock`."""

    def __init__(self, due: float, callback: Callable[[], object]) -> None:
        self.due = due
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualClock:
    """A clock that moves only when told: `advance()` for plain code, `elapse()` for coroutines."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._now = 0.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, VirtualTimer]] = []

    def monotonic(self) -> float:
        return self._now

    def utc_now(self) -> datetime:
        return self._start + timedelta(seconds=self._now)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        timer = VirtualTimer(self._now + max(0.0, delay), callback)
        heapq.heappush(self._timers, (timer.due, next(self._order), timer))
        return timer

    async def sleep(self, delay: float) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not done.done():
                done.set_result(None)

        timer = self.call_later(delay, wake)
        try:
            await done
        finally:
            timer.cancel()

    def next_due(self) -> float | None:
        """When the next timer fires, in seconds from now; None when there is none."""
        at = self._next_at()
        return None if at is None else at - self._now

    def advance(self, seconds: float) -> None:
        """Moves time on, firing what falls due in order, timers started on the way included."""
        self._advance_to(self._now + seconds)

    def _next_at(self) -> float | None:
        """The time at which the next timer fires."""
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _advance_to(self, end: float) -> None:
        while (at := self._next_at()) is not None and at <= end:
            _, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, at)
            timer.callback()
        self._now = max(self._now, end)

    async def settle(self, rounds: int = 50) -> None:
        """Lets the tasks of the loop run until they wait for time or for the network."""
        for _ in range(rounds):
            await asyncio.sleep(0)

    async def elapse(self, seconds: float) -> None:
        """`advance()` for coroutines: every timer's consequences happen before the next fires."""
        end = self._now + seconds
        await self.settle()
        while (at := self._next_at()) is not None and at <= end:
            self._advance_to(at)
            await self.settle()
        self._advance_to(end)
        await self.settle()


@asynccontextmanager
async def deadline(clock: Clock, seconds: float) -> AsyncIterator[Timer]:
    """`TimeoutError` for the body when it takes longer than `seconds` of `clock`; cancelling the
    timer lifts the limit."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        timer = clock.call_later(seconds, lambda: limit.reschedule(loop.time()))
        try:
            yield timer
        finally:
            timer.cancel()
