from __future__ import annotations

from typing import Any

import pytest

from tests.web.described import check_answer
from tests.web.problems import problem
from tests.web.world import Client, World
from vxml_server.queues.transitions import OfferEvent

ANN = "/api/v1/agents/ann"


async def listed(client: Client, query: str = "") -> list[str]:
    response = await client.get(f"/api/v1/agents{query}")
    assert response.status == 200
    return [one["name"] for one in (await response.json())["agents"]]


async def presence(client: Client, **body: Any) -> dict[str, Any]:
    response = await client.post(f"{ANN}/presence", json=body)
    assert response.status == 200
    found: dict[str, Any] = await response.json()
    check_answer("/api/v1/agents/{name}/presence", "post", 200, found)
    return found


async def test_an_agent_signs_in_takes_a_break_and_signs_out(world: World, client: Client) -> None:
    world.centre.world.now = 2000.0
    assert (await presence(client, presence="available"))["state"] == "available"
    on_break = await presence(client, presence="on_break", reason="déjeuner")
    assert (on_break["state"], on_break["reason"]) == ("on_break", "déjeuner")
    assert on_break["since"] == "1970-01-01T00:33:20.000Z"
    assert (await presence(client, presence="signed_out"))["state"] == "signed_out"
    shown = await (await client.get(f"{ANN}/presence")).json()
    assert shown["presence"] == "signed_out"


async def test_an_agent_shows_what_he_is_doing_and_for_whom(world: World, client: Client) -> None:
    centre = world.centre.world
    centre.sign_in("ann")
    centre.call("sales")
    centre.make_offers()
    offer = centre.offer("ann")
    centre.happen(offer, OfferEvent.ANSWER, OfferEvent.BRIDGE)
    centre.now += 60
    shown = await (await client.get(f"{ANN}/presence")).json()
    check_answer("/api/v1/agents/{name}/presence", "get", 200, shown)
    assert shown == {
        "name": "ann",
        "description": "",
        "line": "ann",
        "declared": False,
        "state": "talking",
        "presence": "available",
        "reason": "",
        "since": "1970-01-01T00:16:40.000Z",
        "idle_since": "1970-01-01T00:16:40.000Z",
        "not_before": None,
        "missed": 0,
        "calls": 1,
        "talk_time_s": 0.0,
        "queues": ["sales"],
        "current": [
            {
                "offer": offer.id,
                "queue": "sales",
                "entry": "e1",
                "call": "call1",
                "state": "bridged",
                "since": "1970-01-01T00:16:40.000Z",
            }
        ],
    }
    centre.happen(offer, OfferEvent.HANG_UP)
    shown = await (await client.get(f"{ANN}/presence")).json()
    assert (shown["state"], shown["talk_time_s"]) == ("wrapping_up", 60.0)
    response = await client.post(f"{ANN}/release")
    assert (response.status, (await response.json())["state"]) == (200, "available")
    assert "not wrapping up" in await problem(client, "POST", f"{ANN}/release", 409)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ((), "reserved"),
        ((OfferEvent.RING,), "ringing"),
        ((OfferEvent.ANSWER,), "answered"),
        ((OfferEvent.ANSWER, OfferEvent.BRIDGE), "bridged"),
        ((OfferEvent.ANSWER, OfferEvent.BRIDGE, OfferEvent.HANG_UP), "wrapping_up"),
    ],
)
async def test_the_time_of_an_agent_s_state_is_when_it_began(
    world: World, client: Client, events: tuple[OfferEvent, ...], state: str
) -> None:
    centre = world.centre.world
    centre.sign_in("ann")
    centre.call("sales")
    centre.make_offers()
    offer = centre.offer("ann")
    for event in events:
        centre.now += 10
        centre.happen(offer, event)
    began = f"1970-01-01T00:{16 + (40 + 10 * len(events)) // 60}:"
    (current,) = (await (await client.get(f"{ANN}/presence")).json())["current"]
    assert (current["state"], current["since"][:17]) == (state, began)
    assert current["since"][17:19] == f"{(40 + 10 * len(events)) % 60:02}"


async def test_yesterday_s_counters_are_not_today_s(world: World, client: Client) -> None:
    centre = world.centre.world
    centre.sign_in("ann")
    centre.call("sales")
    centre.make_offers()
    centre.converse("ann", 30)
    shown = await (await client.get(f"{ANN}/presence")).json()
    assert (shown["calls"], shown["talk_time_s"]) == (1, 30.0)
    world.centre.day = "2026-01-02"
    shown = await (await client.get(f"{ANN}/presence")).json()
    assert (shown["calls"], shown["talk_time_s"]) == (0, 0.0)


async def test_agents_come_in_pages_and_by_queue_and_state(world: World, client: Client) -> None:
    world.centre.world.sign_in("bob")
    assert await listed(client) == ["ann", "bob", "cyd"]
    assert await listed(client, "?queue=sales") == ["ann", "bob"]
    assert await listed(client, "?state=available") == ["bob"]
    assert await listed(client, "?queue=sales&state=signed_out") == ["ann"]
    body = await (await client.get("/api/v1/agents?limit=2")).json()
    check_answer("/api/v1/agents", "get", 200, body)
    assert ([one["name"] for one in body["agents"]], body["cursor"]) == (["ann", "bob"], "bob")
    assert await listed(client, "?limit=2&cursor=bob") == ["cyd"]
    await problem(client, "GET", "/api/v1/agents?queue=none", 404)
    assert "state: expected one of" in await problem(client, "GET", "/api/v1/agents?state=x", 400)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "presence: expected signed_out, available, on_break, got None"),
        ({"presence": "asleep"}, "presence: expected"),
        ({"presence": ["available"]}, "presence: expected"),
        ({"presence": {}}, "presence: expected"),
        ({"presence": "on_break", "reason": "x" * 65}, "reason: expected a text of up to 64"),
        ({"presence": "on_break", "reason": "a\u0000b"}, "reason: expected a text"),
        ({"presence": "on_break", "reason": "\ud800"}, "reason: expected a text"),
        ({"presence": "on_break", "reason": 1}, "reason: expected a text"),
        ({"presence": "available", "reason": "x"}, "reason: who is available has none"),
        ({"presence": "available", "why": "x"}, "no field 'why'"),
    ],
)
async def test_a_presence_that_there_is_not_is_refused(
    client: Client, body: dict[str, Any], detail: str
) -> None:
    assert detail in await problem(client, "POST", f"{ANN}/presence", 400, body)


async def test_a_pin_is_set_and_removed_and_never_shown(world: World, client: Client) -> None:
    response = await client.put(f"{ANN}/pin", json={"pin": "4711"})
    assert (response.status, await response.read()) == (204, b"")
    assert world.centre.pins == {"ann": "4711"}
    assert "4711" not in await (await client.get(f"{ANN}/presence")).text()
    assert (await client.delete(f"{ANN}/pin")).status == 204
    assert "no PIN" in await problem(client, "DELETE", f"{ANN}/pin", 404)
    for body in ({}, {"pin": "four"}, {"pin": 4711}):
        assert "pin: expected" in await problem(client, "PUT", f"{ANN}/pin", 400, body)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "presence"),
        ("POST", "presence"),
        ("POST", "release"),
        ("PUT", "pin"),
        ("DELETE", "pin"),
    ],
)
async def test_nobody_is_not_found(client: Client, method: str, path: str) -> None:
    detail = await problem(client, method, f"/api/v1/agents/nobody/{path}", 404, {"pin": "1234"})
    assert "no agent 'nobody'" in detail


async def test_without_a_database_nothing_changes(world: World, client: Client) -> None:
    world.centre.database_answers = False
    body = {"presence": "available"}
    assert "database" in await problem(client, "POST", f"{ANN}/presence", 503, body)
    assert "database" in await problem(client, "POST", f"{ANN}/release", 503)
    assert "database" in await problem(client, "PUT", f"{ANN}/pin", 503, {"pin": "1234"})
    assert (await (await client.get(f"{ANN}/presence")).json())["state"] == "signed_out"
