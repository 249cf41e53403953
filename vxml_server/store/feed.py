"""The event log as it grows: for workers that follow one another, and for people who watch.

The newest facts are kept in memory, so that a hundred who follow cost the database what one costs.
The rule that must hold: who follows from a number on gets every fact after it, once, in order,
whatever he missed, and however slowly he reads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from vxml_server.clock import Clock
from vxml_server.store.records import EventRecord

# How often (seconds) the log is looked at when nobody says that it has grown: other processes on
# one SQLite file cannot.
POLL = 0.2
_KEPT = 10_000
_CHUNK = 1000
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
        self._grown = asyncio.Event()
        self._news = asyncio.Condition()
        self._following: asyncio.Task[None] | None = None
        self._listening: AsyncConnection | None = None

    def wake(self) -> None:
        """The log has grown, or may have."""
        self._grown.set()

    @property
    def last(self) -> int:
        """The number of the newest fact that is known here; 0 before anybody follows."""
        return self._last

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
            if some := await self._after(after):
                after = some[-1].seq
                yield some

    async def _reaches_beyond(self, number: int) -> None:
        async with self._news:
            await self._news.wait_for(lambda: self._last > number)

    async def close(self) -> None:
        """Nobody is told anything any more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        if self._listening is not None:
            await self._listening.close()

    async def _after(self, after: int) -> list[EventRecord]:
        """What is known after a number, from memory if it reaches back so far."""
        if self._kept and self._kept[0].seq <= after + 1:
            return [event for event in self._kept if event.seq > after]
        return list(await self._read(after=after, limit=_CHUNK))

    def _start(self, after: int) -> None:
        if self._following is None:
            self._last = after
            self._following = asyncio.create_task(self._follow(), name="event feed")

    async def _follow(self) -> None:
        await self._listen()
        while True:
            try:
                news = await self._read(after=self._last, limit=_CHUNK)
            except OSError as error:
                _log.warning("the log cannot be read", error=str(error))
                news = ()
            if news:
                self._kept.extend(news)
                async with self._news:
                    self._last = news[-1].seq
                    self._news.notify_all()
                continue
            timer = self._clock.call_later(POLL, self._grown.set)
            await self._grown.wait()
            timer.cancel()
            self._grown.clear()

    async def _listen(self) -> None:
        """PostgreSQL tells its listeners; without that the log is polled."""
        if self._engine.dialect.name != "postgresql":
            return
        try:
            self._listening = await self._engine.connect()
            raw = await self._listening.get_raw_connection()
            driver = raw.driver_connection
            assert driver is not None
            await driver.add_listener(_CHANNEL, lambda *_: self.wake())
        except (SQLAlchemyError, OSError) as error:
            _log.warning("the database does not tell of new facts", error=str(error))
