"""Processes that are killed and databases that go away, under load and in real time."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.integration.postgresql import PostgreSql, postgresql
from tests.integration.waiting import until
from tests.queues.contact_centre import agent, queue
from vxml_server.clock import SystemClock
from vxml_server.queues.ledger import Ledger
from vxml_server.store import EventRecord, Store, queue_tables

__all__ = ["postgresql"]
pytestmark = pytest.mark.integration
REPOSITORY = Path(__file__).parents[2]


class Process:
    """A `queue_worker` that runs."""

    def __init__(
        self, url: str, name: str, seconds: float, *, callers: int = 8, state: str = ""
    ) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.integration.queue_worker"),
                *(url, name, str(seconds), str(callers), state),
            ],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._end = ""

    def is_ready(self) -> None:
        assert self._process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "ready\n":
            lines.append(self._process.stdout.readline())
            assert lines[-1], "".join(lines)

    def end(self) -> None:
        """Before its time."""
        self._process.terminate()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def result(self) -> dict[str, int]:
        """What became of its callers, by outcome."""
        output, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, output
        found: dict[str, int] = json.loads(output.splitlines()[-1])
        return found

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    made: list[Process] = []
    yield made
    for one in made:
        one.close()


async def rows(store: Store) -> tuple[list[object], list[object], dict[str, int]]:
    """Callers, open offers (wrap-up is none), and how busy the agents are."""
    async with store.reading() as connection:
        entries = list(await connection.execute(select(queue_tables.entries)))
        offers = list(await connection.execute(select(queue_tables.offers)))
        agents = await connection.execute(select(queue_tables.agents))
        busy = {row.name: row.busy.get("voice", 0) for row in agents}
    counted = Counter(row.agent for row in offers)
    assert all(counted[name] == count <= 1 for name, count in busy.items()), (counted, busy)
    return entries, [row for row in offers if row.state != "wrapping_up"], busy


def check_log(facts: list[EventRecord], *, is_over: bool) -> int:
    """The rules, as the log tells; the number of conversations."""
    busy: Counter[str] = Counter()
    made: Counter[object] = Counter()
    outcomes: dict[object, set[object]] = {}
    entered: Counter[object] = Counter()
    left: Counter[object] = Counter()
    for fact in facts:
        match fact.name:
            case "offer.reserved":
                busy[fact.agent] += 1
                made[fact.data["offer"]] += 1
                assert busy[fact.agent] == 1, f"offered twice: {fact}"
            case "offer.closed":
                busy[fact.agent] -= 1
            case "queue.entered":
                entered[fact.data["entry"]] += 1
            case "queue.left":
                left[fact.data["entry"]] += 1
        if "outcome" in fact.data:
            outcomes.setdefault(fact.data["offer"], set()).add(fact.data["outcome"])
    assert set(made.values()) <= {1} and set(entered.values()) <= {1} and set(left.values()) <= {1}
    assert all(len(some) == 1 for some in outcomes.values())
    if is_over:
        assert entered.keys() == left.keys()
        assert made.keys() == outcomes.keys()
    return sum("completed" in some for some in outcomes.values())


async def all_facts(store: Store) -> list[EventRecord]:
    found: list[EventRecord] = []
    while some := await store.events(after=found[-1].seq if found else 0):
        found += some
    return found


@pytest.mark.parametrize("state", ["ringing", "talking"])
async def test_what_a_killed_process_had_is_put_right_within_ten_seconds(
    postgresql: PostgreSql, processes: list[Process], state: str
) -> None:
    url = postgresql.url()
    # It has six agents busy and many who wait; the other one has nobody.
    dead = Process(url, "dead", 60, callers=200, state=state)
    processes.append(dead)
    dead.is_ready()
    other = Process(url, "other", 60, callers=0)
    processes.append(other)
    other.is_ready()
    store = await Store.open(url, SystemClock(), worker="observer")
    try:
        wanted = {"ringing": "ringing", "talking": "bridged"}[state]
        async with asyncio.timeout(50):
            while True:
                entries, offers, _ = await rows(store)
                if len(entries) == 200 and [row.state for row in offers] == [wanted] * 6:
                    break
                await asyncio.sleep(0.1)
        dead.kill()
        killed_at = time.monotonic()
        while True:
            entries, offers, busy = await rows(store)
            if not entries and not offers:
                break
            assert time.monotonic() - killed_at < 10.0, (len(entries), len(offers))
            await asyncio.sleep(0.1)
        while any(busy.values()):
            entries, offers, busy = await rows(store)
            assert time.monotonic() - killed_at < 15.0, busy
            await asyncio.sleep(0.1)
        other.end()
        other.result()
        check_log(await all_facts(store), is_over=True)
    finally:
        await store.close()


async def test_a_database_that_crashes_under_load_costs_no_caller_and_no_offer_is_made_twice(
    postgresql: PostgreSql, processes: list[Process]
) -> None:
    url = postgresql.url()
    processes += [Process(url, name, 12) for name in "abc"]
    for one in processes:
        one.is_ready()
    for _ in range(2):
        await asyncio.sleep(2.0)
        await asyncio.to_thread(postgresql.restart, "immediate")
    results = [await asyncio.to_thread(one.result) for one in processes]
    store = await Store.open(url, SystemClock(), worker="observer")
    try:
        served = check_log(await all_facts(store), is_over=True)
        entries, offers, _ = await rows(store)
        assert not entries and not offers
    finally:
        await store.close()
    assert [one["restarts"] for one in results] == [0, 0, 0]
    assert sum(one["served"] for one in results) == served > 30
    assert all(one.keys() <= {"served", "restarts"} for one in results), results


async def test_an_sqlite_file_that_is_locked_for_ten_seconds_costs_no_caller(
    tmp_path: Path, processes: list[Process]
) -> None:
    path = tmp_path / "queues.db"
    url = f"sqlite+aiosqlite:///{path}"
    processes += [Process(url, name, 14) for name in "abc"]
    for one in processes:
        one.is_ready()
    await asyncio.sleep(1.0)
    other = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    with closing(other):
        await asyncio.to_thread(other_begins, other)
        await asyncio.sleep(10.0)
        other.execute("ROLLBACK")
    results = [await asyncio.to_thread(one.result) for one in processes]
    store = await Store.open(url, SystemClock(), worker="observer")
    try:
        served = check_log(await all_facts(store), is_over=True)
    finally:
        await store.close()
    assert [one["restarts"] for one in results] == [0, 0, 0]
    # Who wanted to enter meanwhile was told that he cannot wait.
    assert sum(one["served"] for one in results) == served > 10


def other_begins(other: sqlite3.Connection) -> None:
    """Takes the lock for writing."""

    def begun() -> bool:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True

    until(begun, 10, "the file is locked by us")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_processes_that_start_at_once_make_the_tables_once(
    postgresql: PostgreSql, tmp_path: Path, database: str, processes: list[Process]
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/q.db" if database == "sqlite" else postgresql.url()
    processes += [Process(url, name, 0.1, callers=1) for name in "abcd"]
    assert all("restarts" in one.result() for one in processes)


async def test_news_come_at_once_again_after_the_database_was_restarted(
    postgresql: PostgreSql,
) -> None:
    url = postgresql.url()
    ours = await Store.open(url, SystemClock(), worker="ours")
    theirs = await Store.open(url, SystemClock(), worker="theirs")
    try:
        feed = ours.feed.follow(0)
        ledger = Ledger(theirs, "theirs.1")
        await ledger.define(agent("ann"), 1000.0)
        assert (await anext(feed)).agent == "ann"
        await asyncio.to_thread(postgresql.restart, "immediate")
        # Without being told the log is looked at every 0.2 s: not ten times in a row within half
        # of that. It may take a while until there are connections again.
        number = at_once = 0
        async with asyncio.timeout(30):
            while at_once < 10:
                await ledger.define(queue(f"queue{number}"), 1000.0)
                began = time.monotonic()
                assert (await anext(feed)).queue == f"queue{number}"
                at_once = at_once + 1 if time.monotonic() - began < 0.1 else 0
                number += 1
    finally:
        await ours.close()
        await theirs.close()
