from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.web.world import World


@pytest.mark.parametrize(("sent", "status"), [(b"all!", 408), (b"all! of it", 503)])
async def test_a_request_that_stalls_and_a_handler_that_hangs_are_ended(
    world: World, sent: bytes, status: int
) -> None:
    reached = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await request.content.read(4)
        reached.set()
        await request.read()
        await asyncio.Event().wait()
        raise AssertionError

    back_end = web.Application()
    back_end.router.add_post("/hang", hang)
    async with TestClient(TestServer(world.app(mounts={"/apps/x": back_end}))) as client:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        head = "POST /apps/x/hang HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"
        writer.write(head.encode() + sent)
        answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        await reached.wait()
        await world.clock.elapse(59)
        assert not answer.done()
        world.clock.advance(1)
        head = (await answer).decode()
        assert head.startswith(f"HTTP/1.1 {status} ")
        assert "application/problem+json" in head
        writer.close()


async def test_an_answer_in_time_leaves_no_timer(world: World) -> None:
    async with TestClient(TestServer(world.app())) as client:
        assert (await client.get("/healthz")).status == 200
    assert world.clock.next_due() is None
