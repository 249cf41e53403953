"""The fetcher against a real HTTP server on this machine, on virtual time."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import format_datetime
from pathlib import Path

import aiohttp.connector
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from vxml_server import __version__
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import Fetcher, FetchRequest, FetchSession, FilePart, Resource
from vxml_server.settings import FetchSettings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class World:
    """A web server whose pages the test writes, and a fetcher that may reach it."""

    clock: VirtualClock
    server: TestServer
    fetcher: Fetcher
    pages: dict[str, Handler] = field(default_factory=dict)
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def uri(self, path: str = "/") -> str:
        return str(self.server.make_url("/")).rstrip("/") + path

    def page(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> None:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(
                body=body,
                status=status,
                headers={name.replace("_", "-"): value for name, value in headers.items()},
            )

        self.pages[path] = answer

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.reached.set()
        if not request.content_type.startswith("multipart/"):
            self.bodies.append(await request.read())
        return await self.pages[request.path](request)

    async def get(
        self, path: str, session: FetchSession | None = None, maxage: float | None = None
    ) -> Resource:
        request = FetchRequest(self.uri(path), maxage=maxage)
        return await (session or self.fetcher).fetch(request)


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


async def event(awaitable: Awaitable[Resource]) -> VoiceXmlEvent:
    with pytest.raises(VoiceXmlEvent) as caught:
        await awaitable
    return caught.value


# --- requests and resources


async def test_a_document_comes_with_its_type_and_where_it_came_from(world: World) -> None:
    world.page("/a", b"<vxml/>", Content_Type='Application/VoiceXML+xml; Charset="UTF-8"')
    resource = await world.get("/a?x=1#dialog")
    assert resource.uri == world.uri("/a?x=1")
    assert (resource.status, resource.body) == (200, b"<vxml/>")
    assert (resource.media_type, resource.charset) == ("application/voicexml+xml", "utf-8")
    assert not resource.cached
    sent = world.requests[0]
    assert sent.headers["User-Agent"] == f"vxml-server/{__version__}"
    assert sent.headers["Accept-Encoding"] == "gzip, deflate"


async def test_equal_bytes_have_equal_digests(world: World) -> None:
    world.page("/a", b"same")
    world.page("/b", b"same")
    world.page("/c", b"other")
    digests = [(await world.get(path)).digest for path in ("/a", "/b", "/c")]
    assert digests[0] == digests[1] != digests[2]


async def test_get_sends_the_fields_in_the_query(world: World) -> None:
    world.page("/a")
    await world.fetcher.fetch(
        FetchRequest(world.uri("/a?k=0#f"), fields=(("n", "1 é"), ("n", "2")))
    )
    assert world.requests[0].raw_path == "/a?k=0&n=1+%C3%A9&n=2"


async def test_post_sends_the_fields_in_the_body(world: World) -> None:
    world.page("/a")
    await world.fetcher.fetch(FetchRequest(world.uri("/a?k=0"), "POST", (("n", "1 é"),)))
    assert world.requests[0].raw_path == "/a?k=0"
    assert world.requests[0].content_type == "application/x-www-form-urlencoded"
    assert world.bodies == [b"n=1+%C3%A9"]


async def test_a_recording_is_posted_as_a_file(world: World) -> None:
    received: list[tuple[str, str | None, bytes]] = []

    async def take(request: web.Request) -> web.Response:
        form = await request.post()
        message = form["message"]
        assert isinstance(message, web.FileField)
        received.append((message.content_type, message.filename, message.file.read()))
        message.file.close()
        return web.Response(text=str(form["caller"]))

    world.pages["/a"] = take
    resource = await world.fetcher.fetch(
        FetchRequest(
            world.uri("/a"),
            "POST",
            (("caller", "é"), ("message", FilePart(b"\x00\r\n--", "audio/x-wav", "m.wav"))),
            enctype="multipart/form-data",
        )
    )
    assert resource.body.decode() == "é"
    assert received == [("audio/x-wav", "m.wav", b"\x00\r\n--")]


async def test_a_large_recording_arrives_whole(world: World) -> None:
    sizes: list[int | None] = []

    async def take(request: web.Request) -> web.Response:
        while await request.content.read(65536):
            pass
        sizes.append(request.content_length)
        return web.Response()

    world.pages["/a"] = take
    part = FilePart(bytes(3_000_000), "audio/x-wav", "m.wav")
    await world.fetcher.fetch(
        FetchRequest(world.uri("/a"), "POST", (("m", part),), enctype="multipart/form-data")
    )
    (size,) = sizes
    assert size is not None
    assert 3_000_000 < size < 3_000_500


async def test_what_was_written_with_spaces_and_accents_is_found(world: World) -> None:
    world.page("/à b")
    assert (await world.get("/à b")).status == 200


@pytest.mark.parametrize("status", [204, 205])
async def test_a_success_without_content_is_an_empty_resource(world: World, status: int) -> None:
    world.page("/a", status=status)
    resource = await world.get("/a")
    assert (resource.status, resource.body) == (status, b"")


@pytest.mark.parametrize("status", [304, 300, 400, 404, 410, 500, 503])
async def test_a_status_that_is_no_success_is_in_the_name_of_the_event(
    world: World, status: int
) -> None:
    world.page("/a", status=status)
    caught = await event(world.get("/a"))
    assert caught.name == f"error.badfetch.http.{status}"
    assert caught.uri == world.uri("/a")
    assert caught.message.startswith(str(status))


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://h/",
        "javascript:1",
        "http://",
        "http://a b/",
        "http://h:99999/",
        "http://[x/",
        "data:,x",
    ],
)
async def test_a_uri_that_cannot_be_fetched_is_a_bad_fetch(world: World, uri: str) -> None:
    assert (await event(world.fetcher.fetch(FetchRequest(uri)))).name == "error.badfetch"


async def test_a_header_with_a_line_break_is_a_bad_fetch(world: World) -> None:
    request = FetchRequest(world.uri("/a"), headers=(("x", "a\r\nEvil: 1"),))
    assert (await event(world.fetcher.fetch(request))).name == "error.badfetch"
    assert world.requests == []


# --- limits


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


# --- addresses


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


# --- redirects


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [
        (301, "GET", b""),
        (302, "GET", b""),
        (303, "GET", b""),
        (307, "POST", b"n=1"),
        (308, "POST", b"n=1"),
    ],
)
async def test_a_redirected_post_keeps_its_method_only_where_the_status_says(
    world: World, status: int, method: str, body: bytes
) -> None:
    world.page("/a", status=status, Location="b/c?x#f")
    world.page("/b/c", b"there")
    resource = await world.fetcher.fetch(FetchRequest(world.uri("/a"), "POST", (("n", "1"),)))
    assert resource.uri == world.uri("/b/c?x")
    assert resource.body == b"there"
    assert world.requests[1].method == method
    assert world.bodies[1] == body


async def test_redirects_are_limited(world: World) -> None:
    world.page("/a", status=302, Location="/a")
    assert (await event(world.get("/a"))).message == "more than 3 redirects"
    assert len(world.requests) == 4


# --- cookies


async def test_each_call_has_its_own_cookies(world: World) -> None:
    world.page("/login", Set_Cookie='id="one two"; Path=/')
    world.page("/a")
    one, two = world.fetcher.session(), world.fetcher.session()
    await world.get("/login", one)
    for session in (one, two, world.fetcher):
        await session.fetch(FetchRequest(world.uri("/a")))
    assert [r.headers.get("Cookie") for r in world.requests[1:]] == ['id="one two"', None, None]
    one.close()
    await world.get("/a", one)
    assert "Cookie" not in world.requests[-1].headers


async def test_a_cookie_set_by_a_redirect_is_sent_to_its_target(world: World) -> None:
    world.page("/a", status=302, Location="/b", Set_Cookie="id=1")
    world.page("/b")
    await world.get("/a", world.fetcher.session())
    assert world.requests[1].headers["Cookie"] == "id=1"


async def test_cookies_are_bounded(world: World) -> None:
    async def set_many(request: web.Request) -> web.Response:
        response = web.Response()
        for number in range(60):
            response.set_cookie(f"{request.query['n']}-{number}", "x")
        return response

    world.pages["/a"] = set_many
    session = world.fetcher.session()
    for number in range(20):
        await world.get(f"/a?n={number}", session)
    assert len(world.requests[-1].cookies) <= 360


# --- the cache


async def test_a_fresh_document_is_not_fetched_again(world: World) -> None:
    world.page("/a", b"x", Cache_Control="max-age=60")
    first, second = await world.get("/a"), await world.get("/a", world.fetcher.session())
    assert (first.cached, second.cached) == (False, True)
    assert second.body == b"x"
    assert second.digest == first.digest
    world.clock.advance(60)
    assert not (await world.get("/a")).cached
    assert len(world.requests) == 2


async def test_a_stale_document_is_validated(world: World) -> None:
    async def answer(request: web.Request) -> web.Response:
        headers = {"ETag": '"1"', "Cache-Control": "max-age=10"}
        if request.headers.get("If-None-Match") == '"1"':
            return web.Response(status=304, headers=headers)
        return web.Response(body=b"x", headers=headers)

    world.pages["/a"] = answer
    await world.get("/a")
    world.clock.advance(11)
    validated = await world.get("/a")
    assert (validated.cached, validated.status, validated.body) == (True, 200, b"x")
    assert len(world.requests) == 2
    assert (await world.get("/a")).cached
    assert len(world.requests) == 2


async def test_last_modified_validates_too(world: World) -> None:
    modified = format_datetime(world.clock.utc_now(), usegmt=True)

    async def answer(request: web.Request) -> web.Response:
        known = request.headers.get("If-Modified-Since") == modified
        headers = {"Last-Modified": modified, "Cache-Control": "no-cache"}
        return web.Response(status=304 if known else 200, headers=headers)

    world.pages["/a"] = answer
    assert [(await world.get("/a")).cached for _ in range(3)] == [False, True, True]
    assert len(world.requests) == 3


async def test_maxage_of_nothing_always_asks_and_tells_the_caches_on_the_way(world: World) -> None:
    world.page("/a", Cache_Control="max-age=60")
    await world.get("/a")
    await world.get("/a", maxage=0)
    assert world.requests[1].headers["Cache-Control"] == "max-age=0"


async def test_a_changed_document_replaces_the_old(world: World) -> None:
    world.page("/a", b"old", Cache_Control="max-age=10", ETag='"1"')
    await world.get("/a")
    world.clock.advance(11)
    world.page("/a", b"new", Cache_Control="max-age=10", ETag='"2"')
    assert (await world.get("/a")).body == b"new"
    assert (await world.get("/a")).body == b"new"
    assert len(world.requests) == 2


async def test_a_post_invalidates_what_it_may_have_changed(world: World) -> None:
    for path in ("/a", "/b"):
        world.page(path, Cache_Control="max-age=60")
        await world.get(path)

    async def change(request: web.Request) -> web.Response:
        return web.Response(headers={"Content-Location": "/b"})

    world.pages["/a"] = change
    await world.fetcher.fetch(FetchRequest(world.uri("/a"), "POST"))
    world.page("/a", b"new")
    assert (await world.get("/a")).body == b"new"
    assert not (await world.get("/b")).cached


async def test_a_post_cannot_invalidate_what_another_server_has(world: World) -> None:
    world.page("/b", Cache_Control="max-age=60")
    await world.get("/b")
    for elsewhere in ("http://elsewhere/b", "http://[x/b"):
        world.page("/a", Content_Location=elsewhere)
        await world.fetcher.fetch(FetchRequest(world.uri("/a"), "POST"))
    assert (await world.get("/b")).cached


async def test_variants_are_kept_beside_each_other(world: World) -> None:
    world.page("/a", Cache_Control="max-age=60", Vary="Accept")
    for accept in ("text/a", "text/b", "text/a", "text/b"):
        await world.fetcher.fetch(FetchRequest(world.uri("/a"), accept=accept))
    assert [r.headers["Accept"] for r in world.requests] == ["text/a", "text/b"]


async def test_an_answer_that_may_not_be_kept_replaces_what_was(world: World) -> None:
    world.page("/a", b"old", Cache_Control="max-age=10")
    await world.get("/a")
    world.clock.advance(11)
    world.page("/a", b"new", Cache_Control="no-store")
    await world.get("/a")
    stale = FetchRequest(world.uri("/a"), maxstale=1000)
    assert (await world.fetcher.fetch(stale)).body == b"new"


async def test_a_server_in_trouble_does_not_lose_the_copy(world: World) -> None:
    world.page("/a", b"old", Cache_Control="max-age=10")
    await world.get("/a")
    world.clock.advance(11)
    world.page("/a", status=500)
    assert (await event(world.get("/a"))).name == "error.badfetch.http.500"
    stale = FetchRequest(world.uri("/a"), maxstale=1000)
    assert (await world.fetcher.fetch(stale)).body == b"old"


async def test_what_was_added_to_a_request_is_not_sent_to_another_server(world: World) -> None:
    received: list[str | None] = []

    async def other(request: web.Request) -> web.Response:
        received.append(request.headers.get("X-Secret"))
        return web.Response()

    elsewhere = web.Application()
    elsewhere.router.add_get("/", other)
    server = TestServer(elsewhere)
    await server.start_server()
    there = str(server.make_url("/"))
    world.page("/a", status=302, Location="/b")
    world.page("/b", status=302, Location=there)
    fetcher = Fetcher(FetchSettings(allow=(world.uri(), there)), world.clock)
    await fetcher.fetch(FetchRequest(world.uri("/a"), headers=(("X-Secret", "s"),)))
    assert [r.headers.get("X-Secret") for r in world.requests] == ["s", "s"]
    assert received == [None]
    await fetcher.close()
    await server.close()


async def test_a_permanent_redirect_may_be_remembered(world: World) -> None:
    world.page("/a", status=301, Location="/b", Cache_Control="max-age=60")
    world.page("/b", b"there")
    await world.get("/a")
    await world.get("/a")
    assert [r.path for r in world.requests] == ["/a", "/b", "/b"]


async def test_what_was_made_for_one_caller_is_not_given_to_another(world: World) -> None:
    world.page("/a", b"one", Cache_Control="private, max-age=60")
    one, two = world.fetcher.session(), world.fetcher.session()
    assert not (await world.get("/a", one)).cached
    assert (await world.get("/a", one)).cached
    assert not (await world.get("/a", two)).cached


async def test_a_cookie_is_not_kept_with_a_cached_document(world: World) -> None:
    world.page("/a", Cache_Control="max-age=60", Set_Cookie="id=1")
    first = await world.get("/a", world.fetcher.session())
    assert "set-cookie" not in first.headers
    assert not (await world.get("/a", world.fetcher.session())).cached


async def test_identical_fetches_at_the_same_time_go_out_once(world: World) -> None:
    release = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await release.wait()
        return web.Response(body=b"x", headers={"Cache-Control": "max-age=60"})

    world.pages["/a"] = slow
    sessions = [world.fetcher.session() for _ in range(20)]
    fetching = [asyncio.create_task(world.get("/a", session)) for session in sessions]
    await world.reached.wait()
    release.set()
    bodies = [resource.body for resource in await asyncio.gather(*fetching)]
    assert bodies == [b"x"] * 20
    assert len(world.requests) == 1


async def test_an_answer_that_may_not_be_stored_is_not_shared(world: World) -> None:
    async def fresh(request: web.Request) -> web.Response:
        return web.Response(text=str(len(world.requests)), headers={"Cache-Control": "no-store"})

    world.pages["/a"] = fresh
    resources = await asyncio.gather(*(world.get("/a") for _ in range(5)))
    assert len({resource.body for resource in resources}) == len(world.requests) == 5


async def test_who_waited_for_a_fetch_that_was_cancelled_fetches_himself(world: World) -> None:
    release = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await release.wait()
        return web.Response(body=b"x")

    world.pages["/a"] = slow
    first, second = (asyncio.create_task(world.get("/a")) for _ in range(2))
    await world.reached.wait()
    first.cancel()
    release.set()
    assert (await second).body == b"x"


# --- files


async def test_files_are_read_below_the_allowed_folders(world: World, tmp_path: Path) -> None:
    (tmp_path / "a.vxml").write_bytes(b"<vxml/>")
    fetcher = Fetcher(FetchSettings(files=(tmp_path,)), world.clock)
    for uri in (f"{tmp_path}/a.vxml#form", f"file://{tmp_path}/a.vxml"):
        resource = await fetcher.fetch(FetchRequest(uri))
        assert resource.uri == f"file://{tmp_path}/a.vxml"
        assert resource.body == b"<vxml/>"
    refused = FetchRequest(f"{tmp_path}/a.vxml", base=world.uri("/x"))
    assert "may not read files" in (await event(fetcher.fetch(refused))).message
    posted = FetchRequest(f"{tmp_path}/a.vxml", "POST")
    assert (await event(fetcher.fetch(posted))).message == "cannot submit to a file"
