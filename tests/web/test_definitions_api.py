from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from tests.web.described import check_answer
from tests.web.problems import problem
from tests.web.world import Client, World

DAN = {"name": "dan", "line": "sip:dan@10.0.0.9", "skills": {"loans": 80}, "languages": ["fr"]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("agents/dan", {"line": "dan", "wrap_up_time": 5, "capacity": {"voice": 1, "chat": 4}}),
        ("groups/night", {"agents": ["ann", "bob"]}),
        ("boxes/night", {"number": "70", "owners": ["ann"], "email": ["ann@example.org"]}),
        (
            "queues/loans",
            {
                "members": [{"group": "night"}, {"agent": "cyd", "tier": 2, "after": 30}],
                "strategy": "best_skilled",
                "relaxations": [{"after": 30, "by": 50}],
                "tier_rules": {"wait": 10},
                "overflow": "tel:+33123456789",
            },
        ),
    ],
)
async def test_a_definition_is_put_read_put_again_and_removed(
    client: Client, path: str, body: dict[str, Any]
) -> None:
    url = f"/api/v1/{path}"
    await problem(client, "GET", url, 404)
    made = await client.put(url, json=body)
    assert made.status == 201
    whole = await made.json()
    check_answer(f"/api/v1/{path.partition('/')[0]}/{{name}}", "put", 201, whole)
    assert whole["name"] == path.partition("/")[2]
    response = await client.get(url)
    assert await response.json() == whole
    again = await client.put(url, json=whole)
    assert (again.status, await again.json()) == (200, whole)
    assert (await client.delete(url)).status == 204
    await problem(client, "GET", url, 404)
    await problem(client, "DELETE", url, 404)


async def test_what_is_put_replaces_the_whole(client: Client) -> None:
    await client.put("/api/v1/agents/dan", json=DAN)
    response = await client.put("/api/v1/agents/dan", json={"line": "dan"})
    assert response.status == 200
    body = await response.json()
    assert (body["line"], body["skills"], body["languages"]) == ("dan", {}, [])


async def test_without_a_database_nothing_is_defined(world: World, client: Client) -> None:
    await client.put("/api/v1/agents/dan", json=DAN)
    world.centre.database_answers = False
    assert "database" in await problem(client, "PUT", "/api/v1/agents/dan", 503, DAN)
    assert "database" in await problem(client, "DELETE", "/api/v1/agents/dan", 503)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_what_the_settings_declare_is_theirs(
    world: World, client: Client, method: str
) -> None:
    world.centre.declared.add(("agent", "ann"))
    detail = await problem(client, method, "/api/v1/agents/ann", 409, {"line": "other"})
    assert "declared in the settings" in detail
    shown = (await (await client.get("/api/v1/agents/ann")).json())["line"]
    assert shown == "ann"


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("agents/dan", {}, "line"),
        ("agents/dan", {"line": ""}, "line: expected a user name or a URI"),
        ("agents/dan", {"line": "d", "ring_time": 0}, "ring_time: expected seconds over 0"),
        ("agents/dan", {"line": "d", "ringtime": 9}, "ringtime"),
        ("agents/dan", {"line": "d", "name": "ann"}, "name: expected 'dan'"),
        ("agents/dan", {"line": "d", "capacity": {"voice": 9}}, "capacity.voice: expected 1 to 8"),
        ("agents/" + 59 * "d", {"line": "d"}, "name: expected up to 58 letters"),
        ("queues/" + 65 * "d", {}, "name: expected up to 64 letters"),
        ("groups/two", {"agents": ["ann", "ann"]}, "agents: expected each once"),
        ("queues/q", {"strategy": "guess"}, "strategy"),
        ("queues/q", {"members": [{"agent": "ann", "tier": 0}]}, "tier: expected 1 or more"),
        ("queues/q", {"members": [{}]}, "an agent or a group"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_its_field(
    client: Client, path: str, body: dict[str, Any], detail: str
) -> None:
    assert detail in await problem(client, "PUT", f"/api/v1/{path}", 400, body)


@pytest.mark.parametrize(
    ("octets", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff\xfe\x00", "application/json", 400),
        (b'{"line": "x", "ring_time": NaN}', "application/json", 400),
        (b'{"line": "x", "ring_time": 1e999}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b" " * (1024 * 1024 + 1), "application/json", 413),
        (b'{"line": "x"}', "text/plain", 415),
    ],
)
async def test_a_body_that_is_not_json_is_refused(
    client: Client, octets: bytes, kind: str, status: int
) -> None:
    headers = {"Content-Type": kind}
    url = "/api/v1/agents/dan"
    assert await problem(client, "PUT", url, status, data=BytesIO(octets), headers=headers)


async def test_groups_are_listed_with_whose_they_are(world: World, client: Client) -> None:
    world.centre.declared.add(("group", "team"))
    await client.put("/api/v1/groups/a", json={})
    response = await client.get("/api/v1/groups")
    assert await response.json() == {
        "groups": [
            {"name": "a", "agents": [], "declared": False},
            {"name": "team", "agents": ["ann", "cyd"], "declared": True},
        ]
    }
    assert "no parameter 'x'" in await problem(client, "GET", "/api/v1/groups?x=1", 400)
