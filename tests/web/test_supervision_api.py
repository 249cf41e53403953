"""What supervisors ask for over HTTP, and how it is refused."""

from __future__ import annotations

import pytest

from tests.web.problems import problem
from tests.web.world import Client, World
from vxml_server.queues import Action, Reason

OFFER = "/api/v1/offers/o1"
ASKED = [
    ("POST", "/supervise", {"line": "eve", "mode": "listen"}, Action.SUPERVISE),
    ("PUT", "/supervise", {"mode": "barge"}, Action.SWITCH),
    ("DELETE", "/supervise", None, Action.END_SUPERVISION),
    ("DELETE", "", None, Action.HANG_UP),
    ("POST", "/return", None, Action.GIVE_BACK),
    ("POST", "/transfer", {"dest": "queue:late"}, Action.SEND_ON),
    ("POST", "/take", {"agent": "cyd"}, Action.TAKE_OVER),
]


@pytest.mark.parametrize(("method", "path", "body", "action"), ASKED)
async def test_what_is_asked_of_a_conversation_is_ordered(
    world: World,
    client: Client,
    method: str,
    path: str,
    body: dict[str, str] | None,
    action: Action,
) -> None:
    response = await client.request(method, OFFER + path, json=body)
    assert response.status == 204
    (order,) = world.orders
    assert (order.action, order.target, order.by) == (action, "o1", "local")
    assert order.values == (body or {})


async def test_what_is_asked_of_a_waiting_caller_is_ordered(world: World, client: Client) -> None:
    entry = world.centre.world.call("sales")
    at = f"/api/v1/queues/sales/waiting/{entry}"
    for method, path, body in (
        ("POST", "take", {"agent": "ann"}),
        ("POST", "move", {"queue": "late"}),
        ("POST", "move", {"queue": "late", "keep_place": False}),
        ("PUT", "priority", {"priority": 2.5}),
    ):
        assert (await client.request(method, f"{at}/{path}", json=body)).status == 204
    assert (await client.delete(at)).status == 204
    wanted = ["take", "move", "move", "prioritise", "take_out"]
    assert [order.action for order in world.orders] == wanted
    assert {order.target for order in world.orders} == {entry}
    assert [order.values for order in world.orders] == [
        {"agent": "ann"},
        {"queue": "late", "keep_place": True},
        {"queue": "late", "keep_place": False},
        {"priority": 2.5},
        {},
    ]
    await problem(client, "DELETE", f"/api/v1/queues/empty/waiting/{entry}", 404)
    await problem(
        client, "POST", f"/api/v1/queues/empty/waiting/{entry}/take", 404, {"agent": "ann"}
    )


@pytest.mark.parametrize(
    ("reason", "status"),
    [(Reason.NOT_FOUND, 404), (Reason.CONFLICT, 409), (Reason.NO_ANSWER, 503)],
)
async def test_what_is_refused_says_why(
    world: World, client: Client, reason: Reason, status: int
) -> None:
    world.refuses = reason
    assert await problem(client, "DELETE", OFFER, status) == "It cannot be done."


async def test_what_is_not_as_described_is_refused(world: World, client: Client) -> None:
    entry = world.centre.world.call("sales")
    at = f"/api/v1/queues/sales/waiting/{entry}"
    for method, path, body, told in (
        ("POST", f"{OFFER}/supervise", {"line": "eve", "mode": "shout"}, "mode"),
        ("POST", f"{OFFER}/supervise", {"line": " ", "mode": "listen"}, "line"),
        ("POST", f"{OFFER}/supervise", {"mode": "listen"}, "line"),
        ("PUT", f"{OFFER}/supervise", {"mode": 1}, "mode"),
        ("PUT", f"{OFFER}/supervise", {"mode": "listen", "x": 1}, "x"),
        ("POST", f"{OFFER}/transfer", {}, "dest"),
        ("POST", f"{OFFER}/take", {"agent": ""}, "agent"),
        ("POST", f"{at}/move", {"queue": "late", "keep_place": "no"}, "keep_place"),
        ("PUT", f"{at}/priority", {"priority": True}, "priority"),
        ("PUT", f"{at}/priority", {"priority": 1e99}, "priority"),
        ("PUT", f"{at}/priority", {}, "priority"),
    ):
        assert told in await problem(client, method, path, 400, body)
    assert not world.orders


async def test_without_a_database_nothing_is_ordered(world: World, client: Client) -> None:
    world.database_answers = False
    await problem(client, "DELETE", OFFER, 503)
