from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.store.records import START, call
from tests.web.problems import problem
from tests.web.world import ENDED, Client, World
from vxml_server.clock import VirtualClock
from vxml_server.queues.transitions import OfferEvent
from vxml_server.store import EventRecord, Store


async def listed(client: Client, query: str = "") -> list[str]:
    response = await client.get(f"/api/v1/calls{query}")
    assert response.status == 200
    return [found["id"] for found in (await response.json())["calls"]]


async def test_a_call_has_the_fields_of_the_contract(world: World, client: Client) -> None:
    world.kept["ended"] = ENDED
    response = await client.get("/api/v1/calls/ended")
    assert await response.json() == {
        "id": "ended",
        "state": "ended",
        "sip_call_id": "ended@10.0.0.1",
        "direction": "inbound",
        "from": "sip:+33612345678@10.0.0.1",
        "to": "sip:1000@10.0.0.2",
        "application": "http://h/index.vxml",
        "started_at": "2026-01-01T11:59:00.000Z",
        "answered_at": "2026-01-01T12:00:00.000Z",
        "ended_at": "2026-01-01T12:00:09.500Z",
        "duration_s": 9.5,
        "end_reason": "exit",
        "hung_up_by": "application",
        "codec": "PCMA",
        "packets_lost": 2,
        "jitter_ms": 1.25,
        "legs": [
            {
                "destination": "sip:op@10.0.0.3",
                "type": "bridge",
                "outcome": "busy",
                "started_at": "2026-01-01T12:00:00.000Z",
                "answered_at": None,
                "ended_at": "2026-01-01T12:00:01.000Z",
                "duration_s": 0.0,
            }
        ],
        "queue": None,
    }


async def test_the_call_of_a_caller_shows_how_he_stands_in_the_queue(
    world: World, client: Client
) -> None:
    centre = world.centre.world
    world.running["call1"] = world.kept["call1"] = call("call1")
    entry = centre.call("sales")
    waiting = {
        "name": "sales",
        "entry": entry,
        "state": "waiting",
        "entered_at": "1970-01-01T00:16:40.000Z",
        "connected_at": None,
        "agent": None,
    }
    body = await (await client.get("/api/v1/calls/call1")).json()
    assert body["queue"] == waiting
    centre.sign_in("ann")
    centre.make_offers()
    centre.now += 1
    centre.happen(centre.offer("ann"), OfferEvent.ANSWER, OfferEvent.BRIDGE)
    body = await (await client.get("/api/v1/calls")).json()
    talking = {"state": "connected", "connected_at": "1970-01-01T00:16:41.000Z", "agent": "ann"}
    assert body["calls"][0]["queue"] == waiting | talking


async def test_running_calls_are_shown_as_they_are_now(world: World, client: Client) -> None:
    world.kept["one"] = call("one")
    world.running["one"] = call("one", codec="PCMU", packets_lost=1)
    for path in ("/api/v1/calls/one", "/api/v1/calls", "/api/v1/calls?state=active"):
        body = await (await client.get(path)).json()
        shown = body["calls"][0] if "calls" in body else body
        assert (shown["state"], shown["codec"], shown["packets_lost"]) == ("active", "PCMU", 1)
        assert shown["ended_at"] is None


async def test_calls_are_listed_by_state(world: World, client: Client) -> None:
    world.running["one"] = world.kept["one"] = call("one")
    world.kept["ended"] = ENDED
    assert await listed(client, "?state=active") == ["one"]
    assert await listed(client, "?state=ended") == ["ended"]
    assert set(await listed(client)) == {"one", "ended"}


async def test_running_calls_come_in_pages_newest_first(world: World, client: Client) -> None:
    for number in range(7):
        world.running[str(number)] = call(str(number), number // 3)
    seen: list[str] = []
    query = "?state=active&limit=3"
    while True:
        body: dict[str, Any] = await (await client.get(f"/api/v1/calls{query}")).json()
        seen += [found["id"] for found in body["calls"]]
        world.running[f"new{len(seen)}"] = call(f"new{len(seen)}", 100)
        if body["cursor"] is None:
            break
        query = f"?state=active&limit=3&cursor={body['cursor']}"
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]


async def test_the_real_store_gives_pages_too(world: World, tmp_path: Path) -> None:
    store = await Store.open(f"sqlite+aiosqlite:///{tmp_path}/calls.db", VirtualClock())
    for number in range(5):
        store.call_started(call(str(number), number))
    async with TestClient(TestServer(world.app(history=store))) as client:
        first = await (await client.get("/api/v1/calls?limit=3")).json()
        assert [found["id"] for found in first["calls"]] == ["4", "3", "2"]
        assert await listed(client, f"?limit=3&cursor={first['cursor']}") == ["1", "0"]
        await problem(client, "GET", "/api/v1/calls/none", 404)
    await store.close()


async def test_hanging_up_is_asked_for_and_accepted(world: World, client: Client) -> None:
    world.running["one"] = call("one")
    response = await client.delete("/api/v1/calls/one")
    assert response.status == 202
    assert (await response.json())["id"] == "one"
    assert world.hung_up == ["one"]


async def test_a_call_that_has_ended_cannot_be_hung_up(world: World, client: Client) -> None:
    world.kept["ended"] = ENDED
    assert await problem(client, "DELETE", "/api/v1/calls/ended", 409) == "The call has ended."


async def test_a_call_of_another_process_cannot_be_hung_up_here(
    world: World, client: Client
) -> None:
    world.kept["one"] = call("one")
    assert "not in this process" in await problem(client, "DELETE", "/api/v1/calls/one", 409)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_call_that_never_was_is_not_found(client: Client, method: str) -> None:
    assert "no call of this id" in await problem(client, method, "/api/v1/calls/none", 404)


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("state=gone", "state: expected active or ended"),
        ("state=", "state: expected active or ended"),
        ("limit=0", "limit: expected a number from 1 to 500"),
        ("limit=501", "limit: expected"),
        ("limit=-1", "limit: expected"),
        ("limit=ten", "limit: expected"),
        ("limit=%C2%B2", "limit: expected"),
        ("limit=00000000050000", "limit: expected"),
        ("cursor=x", "cursor: expected the cursor of an earlier answer"),
        ("cursor=", "cursor: expected"),
        ("stat=active", "no parameter 'stat'"),
        ("state=active&state=ended", "more than once"),
    ],
)
async def test_a_parameter_that_is_not_as_described_is_a_problem(
    client: Client, query: str, detail: str
) -> None:
    assert detail in await problem(client, "GET", f"/api/v1/calls?{query}", 400)


async def test_a_database_that_does_not_answer_leaves_the_running_calls(
    world: World, client: Client
) -> None:
    world.database_answers = False
    world.running["one"] = call("one")
    assert await listed(client, "?state=active") == ["one"]
    for path in ("/api/v1/calls", "/api/v1/calls/two"):
        assert "database" in await problem(client, "GET", path, 503)
    assert (await client.delete("/api/v1/calls/one")).status == 202


# The trace ---------------------------------------------------------------------------------------


def event(seq: int, name: str, call_id: str = "ended", **data: str) -> EventRecord:
    return EventRecord(seq, call_id, START, name, data)


async def test_a_trace_is_what_the_interpreter_did_in_the_call(
    world: World, client: Client
) -> None:
    world.kept["ended"] = ENDED
    world.events = [
        event(1, "call.started"),
        event(2, "vxml.step", phase="select"),
        event(3, "vxml.log", "another"),
        event(4, "vxml.end", reason="exit"),
    ]
    response = await client.get("/api/v1/calls/ended/trace")
    at = "2026-01-01T12:00:00.000Z"
    assert await response.json() == {
        "trace": [
            {"at": at, "event": "step", "phase": "select"},
            {"at": at, "event": "end", "reason": "exit"},
        ],
        "after": None,
    }


async def test_a_long_trace_comes_in_parts(world: World, client: Client) -> None:
    world.kept["ended"] = ENDED
    world.events = [event(n, "vxml.step", n=str(n)) for n in range(1, 6)]
    found, after = [], 0
    while after is not None:
        response = await client.get(f"/api/v1/calls/ended/trace?limit=2&after={after}")
        part = await response.json()
        found += [step["n"] for step in part["trace"]]
        after = part["after"]
    assert found == ["1", "2", "3", "4", "5"]


async def test_the_trace_of_no_call_is_not_found(client: Client) -> None:
    assert await problem(client, "GET", "/api/v1/calls/none/trace", 404)


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=10001", "after=-1", "from=1"])
async def test_what_a_trace_is_not_asked_for_is_refused(
    world: World, client: Client, query: str
) -> None:
    world.kept["ended"] = ENDED
    assert await problem(client, "GET", f"/api/v1/calls/ended/trace?{query}", 400)


async def test_without_a_database_there_is_no_trace(world: World, client: Client) -> None:
    world.running["running"] = call("running")
    world.database_answers = False
    assert await problem(client, "GET", "/api/v1/calls/running/trace", 503)
