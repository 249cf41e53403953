"""Which servers may be asked at all."""

from __future__ import annotations

import socket

import aiohttp.connector
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from tests.fetch.world import World, event
from vxml_server.fetch import Fetcher, FetchRequest
from vxml_server.settings import FetchSettings


async def test_this_machine_is_refused_unless_the_origin_is_allowed(world: World) -> None:
    fetcher = Fetcher(FetchSettings(), world.clock)
    caught = await event(fetcher.fetch(FetchRequest(world.uri("/a"))))
    await fetcher.close()
    assert caught.name == "error.badfetch"
    assert "127.0.0.1 is not public" in caught.message
    assert world.requests == []


async def test_every_origin_may_be_allowed(world: World) -> None:
    world.page("/plain", b"here")
    fetcher = Fetcher(FetchSettings(allow=("*",)), world.clock)
    try:
        assert (await fetcher.fetch(FetchRequest(world.uri("/plain")))).status == 200
    finally:
        await fetcher.close()


async def test_another_port_of_an_allowed_host_is_another_origin(world: World) -> None:
    other = TestServer(web.Application())
    await other.start_server()
    caught = await event(world.fetcher.fetch(FetchRequest(str(other.make_url("/")))))
    await other.close()
    assert "is not public" in caught.message


async def test_a_redirect_is_held_to_the_same_policy(world: World) -> None:
    other = TestServer(web.Application())
    await other.start_server()
    world.page("/a", status=302, Location=str(other.make_url("/")))
    caught = await event(world.get("/a"))
    await other.close()
    assert "is not public" in caught.message


async def test_a_name_that_resolves_to_a_private_address_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Rebinding(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            return [
                ResolveResult(
                    hostname=host,
                    host="127.0.0.1",
                    port=port,
                    family=socket.AF_INET,
                    proto=0,
                    flags=socket.AI_NUMERICHOST,
                )
            ]

        async def close(self) -> None:
            pass

    monkeypatch.setattr(aiohttp.connector, "DefaultResolver", lambda *_, **__: Rebinding())
    uri = world.uri("/a").replace("127.0.0.1", "innocent.example")
    caught = await event(world.fetcher.fetch(FetchRequest(uri)))
    assert "127.0.0.1 is not public" in caught.message
    assert world.requests == []


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_other_spellings_of_this_machine_are_refused(world: World, host: str) -> None:
    uri = world.uri("/a").replace("127.0.0.1", host)
    assert (await event(world.fetcher.fetch(FetchRequest(uri)))).name == "error.badfetch"
    assert world.requests == []
