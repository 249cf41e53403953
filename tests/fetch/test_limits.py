"""What a server may cost: time, octets, and whatever it answers."""

from __future__ import annotations

import asyncio
import gzip
import socket
from contextlib import suppress

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fetch.world import World, event
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import Fetcher, FetchRequest
from vxml_server.settings import FetchSettings


async def test_a_server_that_never_answers_ends_in_a_time_out(world: World) -> None:
    async def never(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    world.pages["/a"] = never
    fetching = asyncio.create_task(world.get("/a"))
    await world.reached.wait()
    world.clock.advance(14.9)
    assert not fetching.done()
    world.clock.advance(0.2)
    caught = await event(fetching)
    assert (caught.name, caught.message) == ("error.badfetch", "no complete answer in 15 s")


async def test_a_server_that_trickles_is_held_to_the_same_time(world: World) -> None:
    begun = asyncio.Event()

    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        begun.set()
        await asyncio.Event().wait()
        return response

    world.pages["/a"] = trickle
    request = FetchRequest(world.uri("/a"), timeout=2.5)
    fetching = asyncio.create_task(world.fetcher.fetch(request))
    await begun.wait()
    world.clock.advance(2.5)
    assert (await event(fetching)).message == "no complete answer in 2.5 s"


@pytest.mark.parametrize("announced", [True, False])
async def test_a_document_of_50_megabytes_is_refused_without_reading_it(
    world: World, announced: bool
) -> None:
    written = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        if announced:
            response.content_length = 50_000_000
        await response.prepare(request)
        for _ in range(50):
            await response.write(bytes(1_000_000))
            written += 1_000_000
        return response

    world.pages["/a"] = flood
    caught = await event(world.get("/a"))
    assert (caught.name, caught.message) == ("error.badfetch", "larger than 100000 bytes")
    assert written < 25_000_000


async def test_a_compressed_bomb_is_refused(world: World) -> None:
    world.page("/a", gzip.compress(bytes(50_000_000)), Content_Encoding="gzip")
    assert (await event(world.get("/a"))).message == "larger than 100000 bytes"


async def test_a_compressed_document_is_read(world: World) -> None:
    world.page("/a", gzip.compress(b"hello"), Content_Encoding="gzip")
    assert (await world.get("/a")).body == b"hello"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nxxxx",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_a_broken_answer_is_a_bad_fetch(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    fetcher = Fetcher(FetchSettings(allow=(origin,)), VirtualClock())
    caught = await event(fetcher.fetch(FetchRequest(f"http://127.0.0.1:{port}/")))
    assert caught.name == "error.badfetch"
    assert caught.message
    await fetcher.close()
    server.close()
    await server.wait_closed()


header_names = st.sampled_from(
    [
        b"Set-Cookie",
        b"ETag",
        b"Last-Modified",
        b"Cache-Control",
        b"Expires",
        b"Date",
        b"Age",
        b"Vary",
        b"Location",
        b"Content-Type",
        b"Content-Encoding",
        b"Content-Length",
        b"Content-Location",
    ]
)

header_values = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([b"a=b", b"max-age=60", b'"1"', b"/", b"\xff=\xff", b'id="\xc3\xa9"; Path=/']),
)

answers = st.builds(
    lambda status, headers: (
        b"HTTP/1.1 %d X\r\n" % status
        + b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        + b"Connection: close\r\n\r\nbody"
    ),
    st.sampled_from([200, 200, 204, 301, 302, 304, 307, 404, 500]),
    st.lists(st.tuples(header_names, header_values), max_size=5),
)


@settings(deadline=None)
@given(st.lists(answers, min_size=4, max_size=4))
async def test_whatever_a_server_answers_only_events_leave(scripted: list[bytes]) -> None:
    """Each answer in turn, so that what one leaves behind (cookies, validators) meets the next."""
    left = list(scripted)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(left.pop(0) if left else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    fetcher = Fetcher(FetchSettings(allow=(origin,), max_redirects=3), VirtualClock())
    session = fetcher.session()
    for method in ("GET", "GET", "POST", "GET"):
        with suppress(VoiceXmlEvent):
            await session.fetch(FetchRequest(f"{origin}/", "POST" if method == "POST" else "GET"))
    left.clear()
    # Nothing that was left behind keeps a good answer from being had.
    fresh = await session.fetch(FetchRequest(f"{origin}/fresh", maxage=float("inf")))
    assert fresh.status == 200
    await fetcher.close()
    server.close()
    await server.wait_closed()


async def test_no_one_listening_is_a_bad_fetch(world: World) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{unused.getsockname()[1]}"
        fetcher = Fetcher(FetchSettings(allow=(origin,)), world.clock)
        caught = await event(fetcher.fetch(FetchRequest(origin)))
        await fetcher.close()
    assert (caught.name, caught.message) == ("error.badfetch", "Connection refused")


async def test_after_close_nothing_is_fetched(world: World) -> None:
    await world.fetcher.close()
    assert (await event(world.get("/a"))).message == "the server is stopping"


async def test_a_fetch_may_be_cancelled(world: World) -> None:
    async def never(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    world.pages["/a"] = never
    fetching = asyncio.create_task(world.get("/a"))
    await world.reached.wait()
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert world.fetcher.flights == {}
    assert world.clock.next_due() is None
