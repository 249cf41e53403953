from __future__ import annotations

from typing import Any

from tests.web.described import check_answer
from tests.web.problems import problem
from tests.web.world import Client, World
from vxml_server.queues.transitions import OfferEvent


async def queues(client: Client) -> dict[str, Any]:
    response = await client.get("/api/v1/queues")
    assert response.status == 200
    check_answer("/api/v1/queues", "get", 200, await response.json())
    return {one["name"]: one for one in (await response.json())["queues"]}


async def test_a_queue_shows_its_callers_and_what_its_agents_are_doing(
    world: World, client: Client
) -> None:
    centre = world.centre.world
    centre.sign_in("ann")
    centre.call("sales")
    centre.make_offers()
    centre.now += 12.5
    centre.call("sales")
    world.statistics.levels["sales"] = 0.8
    world.centre.declared.add(("queue", "sales"))
    assert await queues(client) == {
        "sales": {
            "name": "sales",
            "description": "",
            "strategy": "longest_idle",
            "declared": True,
            "waiting": 2,
            "longest_wait_s": 12.5,
            "agents": {"reserved": 1, "signed_out": 1},
            "service_level_target_s": 20.0,
            "service_level": 0.8,
        },
        "empty": {
            "name": "empty",
            "description": "",
            "strategy": "longest_idle",
            "declared": False,
            "waiting": 0,
            "longest_wait_s": 0.0,
            "agents": {},
            "service_level_target_s": 20.0,
            "service_level": None,
        },
    }


async def test_the_queue_of_an_agent_is_shown_while_somebody_waits_for_him(
    world: World, client: Client
) -> None:
    entry = world.centre.world.call("agent.ann")
    assert (await queues(client))["agent.ann"]["waiting"] == 1
    response = await client.get("/api/v1/queues/agent.ann/waiting")
    assert [one["entry"] for one in (await response.json())["waiting"]] == [entry]
    world.centre.world.leave(entry)
    assert "agent.ann" not in await queues(client)


async def test_callers_wait_in_their_order_with_what_they_bring(
    world: World, client: Client
) -> None:
    centre = world.centre.world
    first = centre.call("sales", data={"aai": "ticket=42"}, skills={"loans": 30})
    centre.now += 5
    second = centre.call("sales", language="fr", priority=0.01)
    centre.sign_in("ann")
    centre.make_offers()
    centre.now += 2
    response = await client.get("/api/v1/queues/sales/waiting")
    body = await response.json()
    check_answer("/api/v1/queues/{name}/waiting", "get", 200, body)
    assert (body["queue"], body["total"]) == ("sales", 2)
    assert body["waiting"][0] == {
        "entry": first,
        "call": "call1",
        "position": 1,
        "entered_at": "1970-01-01T00:16:40.000Z",
        "waited_s": 7.0,
        "estimated_wait_s": 30.0,
        "medium": "voice",
        "priority": 0.0,
        "skills": {"loans": 30},
        "language": "",
        "data": {"aai": "ticket=42"},
        "offered": ["ann"],
        "attempts": 1,
        "worker": "main",
    }
    assert [one["entry"] for one in body["waiting"]] == [first, second]
    response = await client.get("/api/v1/queues/sales/waiting?limit=1")
    assert len((await response.json())["waiting"]) == 1


async def test_there_is_no_estimate_while_nobody_works(world: World, client: Client) -> None:
    world.centre.world.call("sales")
    response = await client.get("/api/v1/queues/sales/waiting")
    assert (await response.json())["waiting"][0]["estimated_wait_s"] is None


async def test_what_is_not_there_is_not_found(client: Client) -> None:
    await problem(client, "GET", "/api/v1/queues/none/waiting", 404)
    await problem(client, "GET", "/api/v1/queues/sales/waiting?limit=0", 400)
    await problem(client, "GET", "/api/v1/queues?limit=1", 400)


async def test_open_offers_are_shown_with_their_times(world: World, client: Client) -> None:
    centre = world.centre.world
    centre.sign_in("ann", "bob")
    centre.call("sales")
    centre.call("sales")
    centre.make_offers()
    centre.now += 1
    offer = centre.offer("ann")
    centre.happen(offer, OfferEvent.RING)
    body = await (await client.get("/api/v1/offers?agent=ann")).json()
    check_answer("/api/v1/offers", "get", 200, body)
    assert body == {
        "offers": [
            {
                "offer": offer.id,
                "queue": "sales",
                "agent": "ann",
                "entry": "e1",
                "call": "call1",
                "medium": "voice",
                "state": "ringing",
                "outcome": None,
                "reserved_at": "1970-01-01T00:16:40.000Z",
                "ringing_at": "1970-01-01T00:16:41.000Z",
                "answered_at": None,
                "bridged_at": None,
                "ended_at": None,
                "release_at": None,
                "worker": "main",
            }
        ]
    }
    both = await (await client.get("/api/v1/offers?queue=sales")).json()
    assert [one["agent"] for one in both["offers"]] == ["ann", "bob"]
    assert (await (await client.get("/api/v1/offers?queue=empty")).json()) == {"offers": []}
