from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from tests.store.records import call
from tests.web.world import Client, World
from vxml_server.settings import Listen, WebSettings

TOKEN = "a-token-that-is-long-enough"
PUBLIC = Listen("http", "0.0.0.0", 8080)


@asynccontextmanager
async def serving(
    world: World, listen: Listen | None = None, token: str | None = None
) -> AsyncIterator[Client]:
    settings = WebSettings(
        apps=None,
        listen=listen or Listen("http", "127.0.0.1", 8080),
        token=SecretStr(token) if token else None,
    )
    world.running["one"] = call("one")
    async with TestClient(TestServer(world.app(settings))) as client:
        yield client


@pytest.mark.parametrize("path", ["/api/v1/calls", "/api/v1/calls/one", "/api/none"])
async def test_without_a_token_the_api_is_closed_to_the_network(world: World, path: str) -> None:
    async with serving(world, PUBLIC) as client:
        for method in ("GET", "DELETE"):
            response = await client.request(method, path)
            assert response.status == 403
            assert response.content_type == "application/problem+json"
        assert (await client.get("/healthz")).status == 200
        assert (await client.get("/metrics")).status == 200
    assert world.hung_up == []


@pytest.mark.parametrize("listen", [PUBLIC, None])
async def test_with_a_token_the_api_wants_it(world: World, listen: Listen | None) -> None:
    async with serving(world, listen, TOKEN) as client:
        for header in ("", TOKEN, f"Bearer {TOKEN}x", "Bearer", f"Basic {TOKEN}", "Bearer é"):
            response = await client.delete(
                "/api/v1/calls/one", headers={"Authorization": header} if header else {}
            )
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert world.hung_up == []
        for header in (f"Bearer {TOKEN}", f"bearer  {TOKEN} "):
            response = await client.get("/api/v1/calls", headers={"Authorization": header})
            assert response.status == 200


@pytest.mark.parametrize("host", ["evil.example", "10.0.0.1:8080", "localhost.evil", "[x", ""])
async def test_a_name_that_is_not_this_machine_reaches_no_api(world: World, host: str) -> None:
    async with serving(world) as client:
        response = await client.get("/api/v1/calls", headers={"Host": host})
        assert response.status == 403


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080"])
async def test_the_names_of_this_machine_reach_it(world: World, host: str) -> None:
    async with serving(world) as client:
        assert (await client.get("/api/v1/calls", headers={"Host": host})).status == 200


@pytest.mark.parametrize("path", ["/api/v1/calls", "/healthz", "/nothing", "/api/v1/calls/none"])
async def test_every_answer_carries_the_security_headers(client: Client, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "vxml-server"


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost", "null", ""])
async def test_a_page_of_another_origin_reaches_no_api_without_a_token(
    world: World, origin: str
) -> None:
    async with serving(world) as client:
        response = await client.delete("/api/v1/calls/one", headers={"Origin": origin})
        assert response.status == 403
        own = f"http://{client.host}:{client.port}"
        response = await client.get("/api/v1/calls/one", headers={"Origin": own})
        assert response.status == 200
    assert world.hung_up == []
