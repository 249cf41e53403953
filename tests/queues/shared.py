"""What the workers of a history share: a database, and what may go wrong on the way to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Protocol, TypeVar

from sqlalchemy import select

from tests.databases import Traffic, WatchedStore
from vxml_server.clock import Clock
from vxml_server.queues.centre import ContactCentre
from vxml_server.queues.definitions import Definition, kind_of, written
from vxml_server.store import EventRecord, Store, StoreError, queue_tables

_TABLES = ("agents", "entries", "offers", "cursors", "definitions", "workers")
_COUNTERS = queue_tables.workers.metadata.tables["counters"]
_LAST = select(_COUNTERS.c.value).where(_COUNTERS.c.name == "event")
_ROWS = {name: select(getattr(queue_tables, name)) for name in ("agents", "entries", "offers")}
Result = TypeVar("Result")


class Faults:
    """What may go wrong between one worker and the database."""

    failures_before = 0
    failures_after = 0
    gate: asyncio.Event | None = None
    traffic: Traffic
    """Of all workers."""

    @asynccontextmanager
    async def storing(self) -> AsyncIterator[None]:
        """Something is stored."""
        if self.failures_before > 0:
            self.failures_before -= 1
            raise StoreError("failed before it was stored")
        async with self.passing():
            yield
        if self.failures_after > 0:
            self.failures_after -= 1
            raise StoreError("failed after it was stored")

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """The database is asked."""
        if self.gate is not None:
            await self.gate.wait()
        with self.traffic.passing():
            yield


class FaultyStore(Faults, WatchedStore):
    """A store that stands still or fails when it is told to."""


class Shared(Protocol):
    """A database that workers share, past all that may go wrong between them and it."""

    traffic: Traffic

    async def clear(self, definitions: Sequence[Definition]) -> None:
        """Nothing is stored but these definitions and the log."""

    async def rows(self) -> Mapping[str, Sequence[Any]]:
        """All agents, entries and offers, as they are at one moment."""

    async def last(self) -> int:
        """The number of the last fact in the log."""

    async def facts(self, after: int) -> list[EventRecord]:
        """The log from a number on."""

    def centre(self, store: Any, clock: Clock, random: Random, name: str) -> ContactCentre:
        """A contact centre of a worker that shares it."""

    async def close(self) -> None:
        """Nobody uses it any more."""


class Database:
    """SQLite or PostgreSQL."""

    def __init__(self, reader: Store) -> None:
        self.traffic = Traffic()
        self._reader = reader

    async def clear(self, definitions: Sequence[Definition]) -> None:
        async with self._reader.transaction() as connection:
            for name in _TABLES:
                await connection.execute(getattr(queue_tables, name).delete())
            rows = [
                {"kind": kind_of(one), "name": one.name, "body": written(one), "declared": False}
                for one in definitions
            ]
            await connection.execute(queue_tables.definitions.insert(), rows)

    async def rows(self) -> Mapping[str, Sequence[Any]]:
        async with self._reader.reading() as connection:
            return {name: list(await connection.execute(one)) for name, one in _ROWS.items()}

    async def last(self) -> int:
        return await last_of(self._reader)

    async def facts(self, after: int) -> list[EventRecord]:
        found: list[EventRecord] = []
        while some := await self._reader.events(after=after, limit=1000):
            found += some
            after = some[-1].seq
        return found

    def centre(self, store: FaultyStore, clock: Clock, random: Random, name: str) -> ContactCentre:
        return ContactCentre(store, clock, random, worker=name)

    async def close(self) -> None:
        await self._reader.close()


async def quiet(
    traffic: Traffic,
    stores: Sequence[Any],
    centres: Sequence[ContactCentre],
    last: Callable[[], Coroutine[Any, Any, int]],
) -> None:
    """Until nobody waits for the database, and all centres have read the log to its `last` fact,
    unless one of them cannot."""
    while True:
        await traffic.settle()
        if (begun := traffic.begun) == traffic.was_quiet_at:
            return
        number = await last()
        is_away = any(store.gate is not None for store in stores)
        if not is_away and any(centre._replica._seq < number for centre in centres):
            for store in stores:
                store.feed.wake()
        elif begun == traffic.begun:
            traffic.was_quiet_at = begun
            return


async def last_of(store: Store) -> int:
    """The number of the last fact in the log, past all failures of the store."""
    async with Store.looking(store) as connection:
        return int((await connection.execute(_LAST)).scalar_one())
