"""Following the event log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vxml_server.clock import VirtualClock
from vxml_server.store import EventRecord, NewEvent, Store, append_facts


@pytest.fixture
async def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite+aiosqlite:///{tmp_path}/log.db", clock)
    yield opened
    await opened.close()


async def tell(store: Store, clock: VirtualClock, *names: str) -> None:
    async with store.transaction() as connection:
        await append_facts(
            connection,
            [NewEvent("", clock.utc_now(), name, queue="sales", agent="ann") for name in names],
        )


async def take(feed: AsyncIterator[EventRecord], count: int) -> list[tuple[int, str]]:
    return [(one.seq, one.name) for one in [await anext(feed) for _ in range(count)]]


async def test_who_follows_gets_what_was_and_what_comes_each_once(
    store: Store, clock: VirtualClock
) -> None:
    await tell(store, clock, "a", "b")
    feed = store.feed.follow(0)
    assert await take(feed, 2) == [(1, "a"), (2, "b")]
    waiting = asyncio.ensure_future(take(feed, 2))
    await tell(store, clock, "c", "d")
    assert await waiting == [(3, "c"), (4, "d")]


async def test_following_from_a_number_replays_from_there(
    store: Store, clock: VirtualClock
) -> None:
    await tell(store, clock, *"abcde")
    assert await take(store.feed.follow(3), 2) == [(4, "d"), (5, "e")]
    assert await take(store.feed.follow(1), 2) == [(2, "b"), (3, "c")]


async def test_facts_of_calls_and_of_queues_are_numbered_in_one_row(
    store: Store, clock: VirtualClock
) -> None:
    store.append([NewEvent("call", clock.utc_now(), "first")])
    await store.flush()
    await tell(store, clock, "second")
    store.append([NewEvent("call", clock.utc_now(), "third")])
    found = await store.events()
    assert [(one.seq, one.name) for one in found] == [(1, "first"), (2, "second"), (3, "third")]
    assert (found[1].queue, found[1].agent) == ("sales", "ann")


async def test_a_transaction_that_fails_leaves_no_fact_and_no_gap(
    store: Store, clock: VirtualClock
) -> None:
    with pytest.raises(RuntimeError):
        async with store.transaction() as connection:
            await append_facts(connection, [NewEvent("", clock.utc_now(), "lost")])
            raise RuntimeError
    await tell(store, clock, "kept")
    assert [(one.seq, one.name) for one in await store.events()] == [(1, "kept")]


async def test_another_process_on_the_same_file_is_noticed_in_a_moment(
    store: Store, clock: VirtualClock, tmp_path: Path
) -> None:
    other = await Store.open(f"sqlite+aiosqlite:///{tmp_path}/log.db", clock, worker="other")
    try:
        waiting = asyncio.ensure_future(take(store.feed.follow(0), 1))
        await tell(other, clock, "theirs")
        while not waiting.done():
            await clock.elapse(0.1)
            await store.events()  # takes its time, in which the feed's own reading is done
        assert await waiting == [(1, "theirs")]
    finally:
        await other.close()


async def test_how_old_news_may_be_is_how_long_ago_there_was_none(
    store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, read = asyncio.Event(), store.feed._read
    gate.set()

    async def late(*, after: int, limit: int) -> tuple[EventRecord, ...]:
        await gate.wait()
        return await read(after=after, limit=limit)

    monkeypatch.setattr(store.feed, "_read", late)
    await tell(store, clock, "a")
    feed = store.feed.follow(0)
    assert await take(feed, 1) == [(1, "a")]
    waiting = asyncio.ensure_future(take(feed, 1))
    gate.clear()
    await tell(store, clock, "b")
    clock.advance(30.0)
    gate.set()
    assert await waiting == [(2, "b")]
    assert store.feed.age == 30.0, "it may have been told at once"
