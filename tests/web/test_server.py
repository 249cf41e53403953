from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from prometheus_client import Counter

from tests.store.records import call
from tests.web.described import check
from tests.web.world import ENDED, Client, World
from vxml_server.settings import Listen
from vxml_server.store import CallRecord
from vxml_server.web import WebServer
from vxml_server.web.calls_api import MAX_LIMIT, to_json
from vxml_server.web.recordings_api import RecordingsApi
from vxml_server.web.registrations_api import RegistrationsApi
from vxml_server.web.voicemail_api import VoicemailApi

Json = Any  # a JSON document is what it is


async def description(client: Client) -> Json:
    response = await client.get("/openapi.json")
    assert response.status == 200
    assert response.content_type == "application/json"
    return await response.json()


async def test_health_says_whether_calls_are_taken(world: World, client: Client) -> None:
    response = await client.get("/healthz")
    assert (response.status, await response.json()) == (200, {"status": "ready"})
    world.draining = True
    response = await client.get("/healthz")
    assert (response.status, await response.json()) == (503, {"status": "draining"})


async def test_metrics_are_those_of_the_registry(world: World, client: Client) -> None:
    Counter("calls", "Calls.", registry=world.registry).inc(3)
    response = await client.get("/metrics")
    assert response.content_type == "text/plain"
    assert "calls_total 3.0" in await response.text()
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    response = await client.get("/metrics", headers=accept)
    assert response.content_type == "application/openmetrics-text"
    assert (await response.text()).endswith("# EOF\n")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/api/v2/calls", 404),
        ("POST", "/api/v1/calls", 405),
        ("PUT", "/api/v1/calls/one", 405),
        ("DELETE", "/healthz", 405),
        ("GET", "/api/v1/calls/%00", 400),
        ("GET", "/api/v1/calls?application=a%00b", 400),
    ],
)
async def test_what_is_not_there_is_a_problem(
    client: Client, method: str, path: str, status: int
) -> None:
    response = await client.request(method, path)
    assert response.status == status
    assert response.content_type == "application/problem+json"
    body = await response.json(content_type=None)
    assert body["status"] == status
    assert body["detail"]
    assert ("Allow" in response.headers) is (status == 405)


async def test_every_route_is_described_and_every_description_is_a_route(client: Client) -> None:
    described = {
        (method.upper(), path)
        for path, item in (await description(client))["paths"].items()
        for method in item
        if method in {"get", "post", "put", "delete", "patch"} and not path.startswith("/apps")
    }
    assert client.app is not None
    routes = {
        (route.method, route.resource.canonical)
        for route in client.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    nothing: Any = None  # they are asked for their paths alone
    for api in (
        RecordingsApi(nothing, nothing),
        RegistrationsApi(nothing, nothing),
        VoicemailApi(nothing),
    ):
        routes |= {(route.method, route.path) for route in api.routes()}
    assert described == routes


async def test_every_reference_of_the_description_leads_somewhere(client: Client) -> None:
    document = await description(client)
    references: list[str] = []

    def walk(value: Json) -> None:
        for below in value.values() if isinstance(value, dict) else value:
            if isinstance(below, dict | list):
                walk(below)
        if isinstance(value, dict) and "$ref" in value:
            references.append(value["$ref"])

    walk(document)
    assert references
    for reference in references:
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert target


@pytest.mark.parametrize("record", [ENDED, call("one")])
async def test_a_call_is_as_it_is_described(client: Client, record: CallRecord) -> None:
    entry = {
        "name": "sales",
        "entry": "e1",
        "state": "connected",
        "entered_at": "2026-01-01T12:00:00.000Z",
        "connected_at": "2026-01-01T12:00:01.000Z",
        "agent": "ann",
    }
    properties = (await description(client))["components"]["schemas"]["Call"]["properties"]
    for queue in (None, entry):
        shown: Json = to_json(record, queue)
        assert shown.keys() == properties.keys()
        check({"$ref": "#/components/schemas/Call"}, shown)


async def test_the_limit_of_the_description_is_the_one_that_is_kept(client: Client) -> None:
    parameters = (await description(client))["paths"]["/api/v1/calls"]["get"]["parameters"]
    limit = next(parameter for parameter in parameters if parameter["name"] == "limit")
    assert limit["schema"]["maximum"] == MAX_LIMIT


async def test_the_server_listens_where_it_says_and_stops(world: World) -> None:
    server = WebServer(world.app(), Listen("http", "127.0.0.1", 0))
    listen = await server.start()
    assert listen.port > 0
    async with aiohttp.ClientSession() as session, session.get(f"{listen}/healthz") as response:
        assert response.status == 200
    await server.stop()
    with pytest.raises(OSError, match=r"refused|failed"):
        await asyncio.open_connection(listen.host, listen.port)


async def test_an_address_in_use_is_an_error_at_start(world: World) -> None:
    first = WebServer(world.app(), Listen("http", "127.0.0.1", 0))
    listen = await first.start()
    second = WebServer(world.app(), listen)
    with pytest.raises(OSError, match="address"):
        await second.start()
    await second.stop()
    await first.stop()
