"""A fetcher of each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.fetch.world import World
from vxml_server.clock import VirtualClock
from vxml_server.fetch import Fetcher
from vxml_server.settings import FetchSettings


@pytest.fixture
async def world() -> AsyncIterator[World]:
    app = web.Application()
    server = TestServer(app)
    clock = VirtualClock()

    async def route(request: web.Request) -> web.StreamResponse:
        return await made.answer(request)

    app.router.add_route("*", "/{path:.*}", route)
    await server.start_server()
    limits = FetchSettings(
        allow=(str(server.make_url("/")).rstrip("/"),), max_bytes=100_000, max_redirects=3
    )
    made = World(clock, server, Fetcher(limits, clock))
    yield made
    await made.fetcher.close()
    await server.close()
