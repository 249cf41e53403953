from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_mock_engine, text
from sqlalchemy.schema import ExecutableDDLElement

from tests.store.records import START, after, call
from vxml_server.clock import VirtualClock
from vxml_server.store import CallEnd, Cursor, LegRecord, NewEvent, Store, StoreError
from vxml_server.store.engine import make_engine, upgrade
from vxml_server.store.tables import metadata

END = CallEnd(
    ended_at=after(9),
    duration_s=7.25,
    end_reason="exit",
    hung_up_by="application",
    packets_lost=3,
    jitter_ms=1.5,
)
LEG = LegRecord(
    destination="sip:operator@10.0.0.3",
    type="bridge",
    outcome="far_end_disconnect",
    started_at=after(3),
    answered_at=after(4),
    ended_at=after(8),
    duration_s=4.0,
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/made/on/the/way/calls.db"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
async def store(url: str, clock: VirtualClock) -> AsyncIterator[Store]:
    store = await Store.open(url, clock)
    yield store
    await store.close()


async def test_a_call_is_kept_as_it_was_told(store: Store) -> None:
    store.call_started(call())
    store.call_answered("one", after(2), "PCMA")
    store.leg_ended("one", LEG)
    store.leg_ended("one", replace(LEG, outcome="busy", answered_at=None, duration_s=0.0))
    assert store.call_ended("one", END)
    assert await store.call("one") == replace(
        call(),
        answered_at=after(2),
        codec="PCMA",
        ended_at=after(9),
        duration_s=7.25,
        end_reason="exit",
        hung_up_by="application",
        packets_lost=3,
        jitter_ms=1.5,
        legs=(LEG, replace(LEG, outcome="busy", answered_at=None, duration_s=0.0)),
    )


async def test_an_active_call_has_no_end_yet(store: Store) -> None:
    store.call_started(call())
    assert await store.call("one") == call()
    assert await store.call("two") is None


async def test_a_call_ends_exactly_once(store: Store) -> None:
    store.call_started(call())
    assert store.call_ended("one", END)
    assert not store.call_ended("one", replace(END, end_reason="error", ended_at=after(99)))
    store.call_answered("one", after(100))
    store.leg_ended("one", LEG)
    kept = await store.call("one")
    assert kept is not None
    assert (kept.end_reason, kept.ended_at, kept.answered_at) == ("exit", after(9), None)
    assert kept.legs == ()
    names = [event.name for event in await store.events(call_id="one")]
    assert names == ["call.started", "call.ended"]


async def test_a_call_that_never_started_does_not_end(store: Store) -> None:
    assert not store.call_ended("nobody", END)
    assert await store.events() == ()


async def test_a_call_cannot_start_twice(store: Store) -> None:
    store.call_started(call())
    with pytest.raises(ValueError, match="started already"):
        store.call_started(call())


async def test_every_change_is_a_numbered_fact(store: Store) -> None:
    store.call_started(call())
    store.append([NewEvent("one", after(1), "dialogue.enter", {"form": "main", "line": 3})])
    store.call_answered("one", after(2), "PCMU")
    store.leg_ended("one", LEG)
    store.call_ended("one", END)
    events = await store.events()
    assert [(event.name, event.at) for event in events] == [
        ("call.started", START),
        ("dialogue.enter", after(1)),
        ("call.answered", after(2)),
        ("call.transferred", after(8)),
        ("call.ended", after(9)),
    ]
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert events[1].data == {"form": "main", "line": 3}
    assert await store.events(after=3, limit=1) == events[3:4]


async def test_numbers_of_facts_are_not_used_twice(url: str, clock: VirtualClock) -> None:
    for expected in (1, 2):
        store = await Store.open(url, clock)
        store.append([NewEvent("one", START, "x")])
        assert [event.seq for event in await store.events()] == [expected]
        async with store._engine.begin() as connection:
            await connection.execute(text("DELETE FROM events"))
        await store.close()


async def test_pages_are_newest_first_and_stable_while_calls_come_in(store: Store) -> None:
    for number in range(7):
        # Three share each second, so that the time alone does not order them.
        store.call_started(call(f"call-{number}", number // 3))
    seen: list[str] = []
    page = await store.calls(limit=3)
    while True:
        seen += [record.id for record in page.calls]
        store.call_started(call(f"new-{len(seen)}", 50))
        if page.cursor is None:
            break
        page = await store.calls(limit=3, cursor=Cursor.decode(page.cursor))
    assert seen == [f"call-{number}" for number in (6, 5, 4, 3, 2, 1, 0)]


async def test_calls_are_chosen_by_state(store: Store) -> None:
    for id_ in ("one", "two", "three"):
        store.call_started(call(id_))
    store.call_ended("two", END)
    assert {record.id for record in (await store.calls("active")).calls} == {"one", "three"}
    assert [record.id for record in (await store.calls("ended")).calls] == ["two"]
    assert len((await store.calls()).calls) == 3
    assert (await store.calls("ended", limit=1)).cursor is None


async def test_what_callers_send_does_not_lose_the_record(store: Store) -> None:
    store.call_started(replace(call(), from_uri="sip:\0\ud800" + "x" * 5000))
    store.call_ended("one", replace(END, packets_lost=3))
    kept = await store.call("one")
    assert kept is not None
    assert len(kept.from_uri) == 1024
    assert kept.end_reason == "exit"


async def test_one_bad_row_does_not_lose_the_others(store: Store) -> None:
    store.call_started(call("one"))
    store.call_started(replace(call("two"), started_at=datetime(2026, 1, 1)))  # noqa: DTZ001  # bad
    store.call_started(call("three"))
    await store.flush()
    assert {record.id for record in (await store.calls()).calls} == {"one", "three"}
    assert store.pending == 0


async def test_two_hundred_calls_ending_at_once_return_at_once(store: Store) -> None:
    for number in range(200):
        store.call_started(call(str(number)))
        store.leg_ended(str(number), LEG)
        store.call_ended(str(number), END)
    assert store.pending == 200 * 6
    await store.flush()
    assert store.pending == 0
    assert len((await store.calls("ended", limit=500)).calls) == 200
    assert len(await store.events(limit=5000)) == 600


async def test_close_writes_what_is_left(url: str, clock: VirtualClock) -> None:
    store = await Store.open(url, clock)
    store.call_started(call())
    store.call_ended("one", END)
    await store.close()
    again = await Store.open(url, clock)
    kept = await again.call("one")
    assert kept is not None
    assert kept.end_reason == "exit"
    await again.close()


async def test_rows_wait_for_a_database_that_is_away(
    url: str, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await Store.open(url, clock)
    engine = store._engine
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE calls RENAME TO away"))
    store.call_started(call())
    await store._writer.settle()
    assert store.pending == 2
    with pytest.raises(StoreError):
        await store.calls()
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO calls"))
    flushed = asyncio.create_task(store.flush())
    clock.advance(0.1)
    await flushed
    assert await store.call("one") == call()
    await store.close()


async def test_close_does_not_wait_for_ever(url: str, clock: VirtualClock) -> None:
    store = await Store.open(url, clock)
    async with store._engine.begin() as connection:
        await connection.execute(text("DROP TABLE events"))
    store.call_started(call())
    await store._writer.settle()
    closing = asyncio.create_task(store.close(5))
    await clock.settle()
    for _ in range(100):
        clock.advance(0.1)
    await closing
    assert store.pending == 2


KILLED = """
import asyncio, os, signal, sys
from tests.store.test_store import LEG, NewEvent, VirtualClock, Store, after, call
async def main():
    store = await Store.open(sys.argv[1], VirtualClock())
    for id_ in ("ended", "talking", "ringing"):
        store.call_started(call(id_))
    store.call_answered("talking", after(2))
    store.append([NewEvent("talking", after(6), "dialogue.enter")])
    await store.flush()
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


async def test_calls_of_a_killed_process_are_closed_at_the_next_start(
    url: str, clock: VirtualClock
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, url], check=False)  # noqa: ASYNC221
    assert killed.returncode == -9
    store = await Store.open(url, clock)
    talking, ringing = await store.call("talking"), await store.call("ringing")
    assert talking is not None
    assert ringing is not None
    assert (talking.end_reason, talking.hung_up_by) == ("error", "platform")
    assert (talking.ended_at, talking.duration_s) == (after(6), 4.0)
    assert (ringing.ended_at, ringing.duration_s) == (after(0), 0.0)
    last = (await store.events(call_id="talking"))[-1]
    assert (last.name, last.data["repaired"]) == ("call.ended", True)
    assert (await store.calls("active")).calls == ()
    await store.close()
    again = await Store.open(url, clock)
    assert len(await again.events(call_id="talking")) == 4
    await again.close()


async def test_calls_of_another_worker_are_left_alone(url: str, clock: VirtualClock) -> None:
    other = await Store.open(url, clock, worker="other")
    other.call_started(call())
    await other.flush()
    store = await Store.open(url, clock)
    assert [record.id for record in (await store.calls("active")).calls] == ["one"]
    await store.close()
    await other.close()


async def test_a_second_server_on_the_same_file_is_refused(
    store: Store, url: str, clock: VirtualClock
) -> None:
    store.call_started(call())
    await store.flush()
    with pytest.raises(StoreError, match="another server named 'main' is using"):
        await Store.open(url, clock)
    assert [record.id for record in (await store.calls("active")).calls] == ["one"]


async def test_a_database_in_memory_works_too(clock: VirtualClock) -> None:
    store = await Store.open("sqlite+aiosqlite://", clock)
    store.call_started(call())
    pages = await asyncio.gather(*(store.calls() for _ in range(5)))
    assert all(page.calls == (call(),) for page in pages)
    await store.close()


async def test_a_database_that_cannot_be_used_is_an_error_at_open(
    tmp_path: Path, clock: VirtualClock
) -> None:
    (tmp_path / "file").write_text("not a database" * 100)
    for name in ("file", "file/below"):
        with pytest.raises(StoreError):
            await Store.open(f"sqlite+aiosqlite:///{tmp_path}/{name}", clock)


async def test_the_migrations_make_the_tables_that_the_code_uses(url: str) -> None:
    engine = make_engine(url)
    await upgrade(engine)
    await upgrade(engine)

    def differences(connection: Connection) -> list[object]:
        return cast(
            list[object], compare_metadata(MigrationContext.configure(connection), metadata)
        )

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        mode = await connection.execute(text("PRAGMA journal_mode"))
        assert mode.scalar() == "wal"
        keys = await connection.execute(text("PRAGMA foreign_keys"))
        assert keys.scalar() == 1
    await engine.dispose()


def test_the_tables_exist_in_postgresql_too() -> None:
    made: list[str] = []

    def take(statement: ExecutableDDLElement, *_: object, **__: object) -> None:
        made.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine("postgresql+psycopg2://", take)
    metadata.create_all(engine, checkfirst=False)
    everything = "".join(made)
    assert "seq BIGSERIAL" in everything
    assert '"from" VARCHAR(1024) NOT NULL' in everything
    assert "started_at TIMESTAMP WITH TIME ZONE NOT NULL" in everything
