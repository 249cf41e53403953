"""The event log as it grows: for workers that follow one another, and for people who watch.

The newest facts are kept in memory, so that a hundred who follow cost the database what one costs.
The rule that must hold: who follows from a number on gets every fact after it, once, in order,
whatever he missed, and however slowly he reads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from itertools import takewhile
from math import inf
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from vxml_server.clock import Clock
from vxml_server.store.records import EventRecord

# How often (seconds) the log is looked at when nobody says that it has grown: other processes on
# one SQLite file cannot.
POLL = 0.2
_KEPT = 10_000
_CHUNK = 1000
# How long (seconds) after a failure the database is asked again to tell of new facts.
_AGAIN = 1.0
_CHANNEL = "vxml_events"
_log = structlog.get_logger(__name__)


class ReadEvents(Protocol):
    async def __call__(self, *, after: int, limit: int) -> tuple[EventRecord, ...]: ...


class Feed:
    """Follows the log of a database once, for all who want it on one loop."""

    def __init__(self, engine: AsyncEngine, read: ReadEvents, clock: Clock) -> None:
        self._engine = engine
        self._read = read
        self._clock = clock
        self._kept: deque[EventRecord] = deque(maxlen=_KEPT)
        self._last = 0
        self._looks = (-inf, -inf)
        """When the newest look at the whole log began, and when the one before that did."""
        self._grown = asyncio.Event()
        self._news = asyncio.Condition()
        self._following: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """The log has grown, or may have."""
        self._grown.set()

    @property
    def last(self) -> int:
        """The number of the newest fact that is known here; 0 before anybody follows."""
        return self._last

    @property
    def age(self) -> float:
        """Seconds, by nobody's clock but ours: what was seen last is no older."""
        return self._clock.monotonic() - self._looks[1]

    async def follow(self, after: int) -> AsyncIterator[EventRecord]:
        """Every fact with a number over `after`, those to come included; never ends by itself."""
        async for some in self.batches(after):
            for event in some:
                yield event

    async def batches(self, after: int) -> AsyncGenerator[Sequence[EventRecord], None]:
        """As `follow`, as many at a time as there are."""
        self._start(after)
        while True:
            await self._reaches_beyond(after)
            reached = self._last
            some = await self._after(after)
            if some:
                after = some[-1].seq
                yield some
            else:
                # What there was is not kept any more.
                after = max(after, reached)

    async def _reaches_beyond(self, number: int) -> None:
        async with self._news:
            await self._news.wait_for(lambda: self._last > number)

    async def close(self) -> None:
        """Nobody is told anything any more."""
        for task in (self._following, self._telling):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])

    async def _after(self, after: int) -> list[EventRecord]:
        """What is known after a number, from memory if it reaches back so far."""
        if self._kept and self._kept[0].seq <= after + 1:
            news = list(takewhile(lambda event: event.seq > after, reversed(self._kept)))
            return news[::-1]
        return list(await self._read(after=after, limit=_CHUNK))

    def _start(self, after: int) -> None:
        if self._following is None:
            self._last = after
            self._following = asyncio.create_task(self._follow(), name="event feed")
            if self._engine.dialect.name == "postgresql":
                self._telling = asyncio.create_task(self._listen(), name="event listener")

    async def _follow(self) -> None:
        while True:
            began = self._clock.monotonic()
            try:
                news = await self._read(after=self._last, limit=_CHUNK)
                if len(news) < _CHUNK:
                    self._looks = (began, self._looks[0])
            except Exception as error:
                # Whatever it is: who follows must not be left behind for ever.
                _log.warning("the log cannot be read", error=str(error))
                news = ()
            if news:
                self._kept.extend(news)
                async with self._news:
                    self._last = news[-1].seq
                    self._news.notify_all()
            if len(news) == _CHUNK:
                continue
            timer = self._clock.call_later(POLL, self._grown.set)
            await self._grown.wait()
            timer.cancel()
            self._grown.clear()

    async def _listen(self) -> None:
        """PostgreSQL tells its listeners, at once; while it does not the log is polled."""
        while True:
            try:
                async with self._engine.connect() as connection:
                    await self._hear(connection)
            except Exception as error:
                _log.warning("the database does not tell of new facts", error=str(error))
            await self._clock.sleep(_AGAIN)

    async def _hear(self, connection: AsyncConnection) -> None:
        """Returns when the connection is lost."""
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        lost = asyncio.Event()
        driver.add_termination_listener(lambda _: lost.set())
        await driver.add_listener(_CHANNEL, lambda *_: self.wake())
        self.wake()
        try:
            await lost.wait()
            _log.warning("the database has stopped telling of new facts")
        finally:
            # Never back to the others: it listens.
            raw.invalidate()
