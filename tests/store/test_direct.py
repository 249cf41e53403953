"""Whole transactions in one go: together or not at all, on a file and in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from vxml_server.clock import VirtualClock
from vxml_server.store import NewEvent, Store, StoreError, Unstorable, append_rows, event_row

FACT = event_row(NewEvent("call", datetime(2026, 1, 1, tzinfo=UTC), "something", {}))


@pytest.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    place = f"/{tmp_path}/calls.db" if request.param == "file" else ""
    opened = await Store.open(f"sqlite+aiosqlite://{place}", VirtualClock())
    yield opened
    await opened.close()


async def test_what_is_written_in_one_go_is_there_and_numbered(store: Store) -> None:
    assert await store.write(lambda connection: append_rows(connection, [FACT, FACT])) == 2
    assert [event.seq for event in await store.events()] == [1, 2]


async def test_what_raises_has_changed_nothing(store: Store) -> None:
    def work(connection: Connection) -> None:
        append_rows(connection, [FACT])
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(work)
    assert await store.events() == ()
    assert await store.write(lambda connection: append_rows(connection, [FACT])) == 1


async def test_an_error_of_the_database_is_the_store_s(store: Store) -> None:
    with pytest.raises(Unstorable):
        await store.write(lambda one: one.execute(text("INSERT INTO events (seq) VALUES (1)")))
    with pytest.raises(StoreError):
        await store.write(lambda one: one.execute(text("SELECT * FROM nowhere")))


async def test_both_ways_of_writing_take_turns(store: Store) -> None:
    async def in_steps() -> None:
        async with store.transaction() as connection:
            await connection.run_sync(append_rows, [FACT])

    await asyncio.gather(
        *(
            in_steps() if number % 2 else store.write(lambda one: append_rows(one, [FACT]))
            for number in range(20)
        )
    )
    assert [event.seq for event in await store.events()] == [*range(1, 21)]


async def test_who_is_cancelled_meanwhile_is_so_when_it_is_stored(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite+aiosqlite:///{tmp_path}/calls.db", VirtualClock())
    begun, goes_on = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        begun.set()
        goes_on.wait()
        append_rows(connection, [FACT])

    task = asyncio.create_task(store.write(work))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await store.events()) == 1
    await store.close()
