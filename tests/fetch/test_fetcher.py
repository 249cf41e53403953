"""The fetcher against a real HTTP server on this machine, on virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from tests.fetch.world import World, event
from vxml_server import __version__
from vxml_server.fetch import Fetcher, FetchRequest, FilePart
from vxml_server.settings import FetchSettings

# --- requests and resources


async def test_a_document_comes_with_its_type_and_where_it_came_from(world: World) -> None:
    world.page("/a", b"<vxml/>", Content_Type='Application/VoiceXML+xml; Charset="UTF-8"')
    resource = await world.get("/a?x=1#dialog")
    assert resource.uri == world.uri("/a?x=1")
    assert (resource.status, resource.body) == (200, b"<vxml/>")
    assert (resource.media_type, resource.charset) == ("application/voicexml+xml", "utf-8")
    assert resource.content_type == 'Application/VoiceXML+xml; Charset="UTF-8"'
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
