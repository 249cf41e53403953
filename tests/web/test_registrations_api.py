"""Telephones and trunks by REST."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.web.world import Client
from vxml_server.sip import Binding, TrunkState, TrunkStatus
from vxml_server.sip.uri import Destination
from vxml_server.web.problems import as_problems
from vxml_server.web.registrations_api import RegistrationsApi


def binding(user: str) -> Binding:
    return Binding(
        id="0",
        user=user,
        contact=f"sip:{user}@192.168.1.2",
        source=Destination("udp", "203.0.113.5", 4711),
        expires_at=1_767_225_660.0,
        call_id="x",
        cseq=1,
        registered_at=1_767_225_600.0,
        worker="main",
        user_agent="a phone",
        reachable=False,
    )


class Telephones:
    def bindings(self, user: str) -> list[Binding]:
        return [one for one in self.all() if one.user == user]

    def all(self) -> list[Binding]:
        return [binding("ann"), binding("bob")]


class OneTrunk:
    def status(self) -> list[TrunkStatus]:
        return [TrunkStatus("t", "sip:t.test", "100", TrunkState.FAILED, failure="403 Forbidden")]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application(middlewares=[as_problems])
    app.add_routes(RegistrationsApi(Telephones(), OneTrunk()).routes())
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_every_telephone_is_listed_with_where_it_is(client: Client) -> None:
    body = await (await client.get("/api/v1/registrations")).json()
    assert [one["user"] for one in body["registrations"]] == ["ann", "bob"]
    assert body["more"] is False
    assert body["registrations"][0] == {
        "user": "ann",
        "contact": "sip:ann@192.168.1.2",
        "source": "udp:203.0.113.5:4711",
        "path": [],
        "q": 1.0,
        "reachable": False,
        "registered_at": "2026-01-01T00:00:00.000Z",
        "expires_at": "2026-01-01T00:01:00.000Z",
        "user_agent": "a phone",
        "worker": "main",
    }


async def test_telephones_of_a_user_and_as_many_as_are_asked_for(client: Client) -> None:
    body = await (await client.get("/api/v1/registrations?user=bob")).json()
    assert [one["user"] for one in body["registrations"]] == ["bob"]
    body = await (await client.get("/api/v1/registrations?limit=1")).json()
    assert (len(body["registrations"]), body["more"]) == (1, True)
    assert (await client.get("/api/v1/registrations?limit=0")).status == 400
    assert (await client.get("/api/v1/trunks?x=1")).status == 400


async def test_a_trunk_says_why_it_failed_and_not_its_password(client: Client) -> None:
    body = await (await client.get("/api/v1/trunks")).json()
    assert body == {
        "trunks": [
            {
                "name": "t",
                "registrar": "sip:t.test",
                "user": "100",
                "state": "failed",
                "address": "",
                "expires_at": None,
                "failure": "403 Forbidden",
            }
        ]
    }
