from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from tests.store.records import START
from tests.waiting import until
from tests.web.problems import problem
from tests.web.world import Client, World
from vxml_server.clock import VirtualClock
from vxml_server.store import EventRecord, NewEvent, Store
from vxml_server.web.events_api import HEARTBEAT, STALL

URL = "/api/v1/events"


def fact(seq: int, name: str = "queue.entered", **about: Any) -> EventRecord:
    fields = {"call_id": "", "data": {}, "queue": "", "agent": "", **about}
    return EventRecord(seq=seq, at=START, name=name, **fields)


class Reader:
    """What arrives of a stream."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response

    async def block(self) -> str:
        """Up to the next empty line."""
        return (await self.response.content.readuntil(b"\n\n")).decode().removesuffix("\n\n")

    async def event(self) -> dict[str, Any]:
        """The next event, comments left out."""
        while True:
            lines = (await self.block()).splitlines()
            fields = dict(line.split(": ", 1) for line in lines if ": " in line)
            if "data" in fields:
                found: dict[str, Any] = json.loads(fields["data"])
                assert fields["id"] == str(found["seq"])
                return found

    async def numbers(self, count: int) -> list[int]:
        return [(await self.event())["seq"] for _ in range(count)]


@asynccontextmanager
async def reading(client: Client, query: str = "", **headers: str) -> AsyncIterator[Reader]:
    async with client.get(URL + query, headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        reader = Reader(response)
        assert await reader.block() == "retry: 2000"
        yield reader


async def test_what_has_happened_is_replayed_and_what_happens_follows(
    world: World, client: Client
) -> None:
    await world.feed.add(fact(1), fact(2, queue="sales", agent="ann", data={"entry": "é"}))
    async with reading(client, "?after=1") as reader:
        assert await reader.event() == {
            "seq": 2,
            "at": "2026-01-01T12:00:00.000Z",
            "name": "queue.entered",
            "call": "",
            "queue": "sales",
            "agent": "ann",
            "data": {"entry": "é"},
        }
        await world.feed.add(fact(3))
        assert await reader.numbers(1) == [3]


async def test_a_reader_who_comes_again_goes_on_where_he_was(world: World, client: Client) -> None:
    await world.feed.add(*[fact(seq) for seq in range(1, 6)])
    async with reading(client, "?after=0", **{"Last-Event-ID": "3"}) as reader:
        assert await reader.numbers(2) == [4, 5]


async def test_without_a_number_a_stream_begins_now(world: World, client: Client) -> None:
    await world.feed.add(fact(1))
    async with reading(client) as reader:
        await world.feed.add(fact(2))
        assert await reader.numbers(1) == [2]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("queue=sales", [1, 4]),
        ("agent=ann", [2, 4]),
        ("call=c", [3, 4]),
        ("queue=sales&agent=ann&call=c", [4]),
    ],
)
async def test_only_what_was_asked_for_is_told(
    world: World, client: Client, query: str, expected: list[int]
) -> None:
    world.events = [
        fact(1, queue="sales"),
        fact(2, agent="ann"),
        fact(3, call_id="c"),
        fact(4, queue="sales", agent="ann", call_id="c"),
    ]
    await world.feed.add(*world.events)
    async with reading(client, f"?after=0&{query}") as reader:
        assert await reader.numbers(len(expected)) == expected
    response = await client.get(f"{URL}?{query}", headers={"Accept": "application/json"})
    assert [one["seq"] for one in (await response.json())["events"]] == expected


async def test_silence_is_broken_by_heartbeats_that_tell_how_far_one_is(
    world: World, client: Client
) -> None:
    async with reading(client, "?after=0&queue=sales") as reader:
        await world.feed.add(fact(7, queue="other"))
        await world.clock.elapse(HEARTBEAT)
        assert await reader.block() == ":\nid: 7"
        # Longer than any answer may take to be made.
        for _ in range(10):
            await world.clock.elapse(HEARTBEAT)
            assert await reader.block() == ":\nid: 7"
        await world.feed.add(fact(8, queue="sales"))
        assert await reader.numbers(1) == [8]


async def test_a_reader_who_has_gone_is_forgotten(world: World, client: Client) -> None:
    async with reading(client):
        await world.clock.settle()
        assert world.feed.followers == 1
    for _ in range(20):
        await world.feed.add(fact(world.feed.last + 1))
        await world.clock.settle()
    await until(lambda: world.feed.followers == 0)
    await until(lambda: world.clock.next_due() is None)


async def test_a_slow_reader_is_not_read_ahead_for_and_is_let_go_in_the_end(
    world: World, client: Client
) -> None:
    large = {"text": "x" * 10_000}
    await world.feed.add(*[fact(seq, data=large) for seq in range(1, 10_001)])
    reader, writer = await asyncio.open_connection(client.host, client.port, limit=1000)
    writer.write(f"GET {URL}?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    read = -1
    while read != world.feed.read:
        read = world.feed.read
        await world.clock.settle(1000)
    assert 0 < read < 5000, "two batches more than the system's buffers hold"
    await world.clock.elapse(STALL)
    await world.clock.settle(1000)
    assert world.feed.followers == 0
    writer.close()
    assert reader is not None


async def test_streams_end_when_the_server_drains_and_none_begins(
    world: World, client: Client
) -> None:
    async with reading(client) as reader:
        assert client.app is not None
        await client.app.shutdown()
        assert await reader.response.content.read() == b""
    assert "draining" in await problem(client, "GET", URL, 503)
    response = await client.get(URL, headers={"Accept": "application/json"})
    assert response.status == 200


async def test_a_database_that_fails_ends_the_stream_and_nothing_else(
    world: World, client: Client
) -> None:
    async with reading(client) as reader:
        world.feed.database_answers = False
        await world.feed.add(fact(1))
        assert await reader.response.content.read() == b""
    world.database_answers = False
    headers = {"Accept": "application/json"}
    assert "database" in await problem(client, "GET", URL, 503, headers=headers)


async def test_pages_follow_one_another(world: World, client: Client) -> None:
    world.events = [fact(seq) for seq in (1, 2, 5)]
    seen, after = [], 0
    while True:
        query = f"?after={after}&limit=2"
        response = await client.get(URL + query, headers={"Accept": "application/json"})
        assert response.content_type == "application/json"
        page = await response.json()
        if not page["events"]:
            break
        seen += [one["seq"] for one in page["events"]]
        after = page["after"]
    assert (seen, after) == ([1, 2, 5], 5)


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?after=x", {}),
        ("?after=-1", {}),
        ("?limit=5", {}),
        ("?name=x", {}),
        ("", {"Last-Event-ID": "x"}),
        ("?limit=1001", {"Accept": "application/json"}),
    ],
)
async def test_what_is_not_as_described_is_refused(
    client: Client, query: str, headers: dict[str, str]
) -> None:
    assert await problem(client, "GET", URL + query, 400, headers=headers)


async def test_the_real_log_is_followed(tmp_path: Path) -> None:
    clock = VirtualClock()
    world = World(clock=clock)
    store = await Store.open(f"sqlite+aiosqlite:///{tmp_path}/events.db", clock)
    store.append([NewEvent("", START, "agent.presence", {}, agent="ann")])
    await store.flush()
    app = world.app(history=store, feed=store.feed)
    async with TestClient(TestServer(app)) as client:
        async with reading(client, "?after=0&agent=ann") as reader:
            assert (await reader.event())["name"] == "agent.presence"
            store.append([NewEvent("", START, "other", {}, agent="bob")])
            store.append([NewEvent("", START, "agent.defined", {}, agent="ann")])
            assert await reader.numbers(1) == [3]
        response = await client.get(f"{URL}?agent=bob", headers={"Accept": "application/json"})
        assert [one["name"] for one in (await response.json())["events"]] == ["other"]
    await store.close()
