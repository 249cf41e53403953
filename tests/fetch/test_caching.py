"""The fetcher with its cache: what is fetched again, and what is shared."""

from __future__ import annotations

import asyncio
from email.utils import format_datetime

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.fetch.world import World, event
from vxml_server.fetch import Fetcher, FetchRequest
from vxml_server.settings import FetchSettings


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
