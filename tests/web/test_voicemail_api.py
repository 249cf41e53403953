"""Voicemail over HTTP: boxes, messages, audio and PINs, by those who may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.recording.world import recorded, world_of
from tests.voicemail.boxes import NOW, Boxes
from tests.web.described import DOCUMENT, check_answer
from tests.web.world import Client
from vxml_server.queues import Box
from vxml_server.settings import WebSettings
from vxml_server.store import StoreError
from vxml_server.web.access import guard
from vxml_server.web.problems import as_problems
from vxml_server.web.voicemail_api import VoicemailApi

BASE = "/api/v1/voicemail"
PATHS = {
    path: methods for path, methods in DOCUMENT["paths"].items() if path.startswith(f"{BASE}/")
}
TOKEN = "t" * 32


class Site:
    """An API with three boxes; in `sales` are a message that was heard, and two new ones."""

    def __init__(self, client: Client, boxes: Boxes) -> None:
        self.client = client
        self.boxes = boxes

    async def ask(self, method: str, path: str, described: str = "", **more: Any) -> Any:
        """The status and the body, which is as described if it is what was asked for."""
        async with self.client.request(method, BASE + path, **more) as response:
            body = None if response.status == 204 else await response.json()
            if response.status == 200:
                check_answer(
                    BASE + (described or path.partition("?")[0]), method.lower(), 200, body
                )
            return response.status, body


def boxes() -> Boxes:
    made = Boxes(
        (
            Box("sales", number="70", description="Sales", queue="sales", owners=("ann",)),
            Box("ann", agent="ann"),
            Box("empty"),
        )
    )
    heard = made.put("sales", "0145678910", 7200.0)
    made._change(replace(heard, heard_at=NOW))
    made.put("sales", "0612345678", 3600.0, 4.5)
    made.put("sales", "", 60.0)
    made.put("ann")
    return made


def app_of(given: Boxes, settings: WebSettings | None = None) -> web.Application:
    app = web.Application(middlewares=[as_problems, guard(settings or WebSettings())])
    app.add_routes(VoicemailApi(given).routes())
    return app


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    given = boxes()
    async with TestClient(TestServer(app_of(given))) as client:
        yield Site(client, given)


async def test_boxes_come_by_name_with_what_is_in_them(site: Site) -> None:
    status, page = await site.ask("GET", "/boxes?limit=2")
    assert status == 200
    assert [(one["name"], one["new"], one["heard"]) for one in page["boxes"]] == [
        ("ann", 1, 0),
        ("empty", 0, 0),
    ]
    assert site.boxes.counted == [("ann", "empty")], "asked for together"
    status, rest = await site.ask("GET", f"/boxes?limit=2&cursor={page['cursor']}")
    assert rest == {
        "boxes": [
            {
                "name": "sales",
                "number": "70",
                "description": "Sales",
                "queue": "sales",
                "agent": "",
                "owners": ["ann"],
                "max_messages": 100,
                "new": 2,
                "heard": 1,
            }
        ],
        "cursor": None,
    }
    assert await site.ask("GET", "/boxes/sales", "/boxes/{name}") == (200, rest["boxes"][0])


async def test_messages_come_newest_first_a_page_at_a_time(site: Site) -> None:
    described = "/boxes/{name}/messages"
    _, first = await site.ask("GET", "/boxes/sales/messages?limit=2", described)
    assert [one["id"] for one in first["messages"]] == ["m3", "m2"]
    more = f"/boxes/sales/messages?cursor={first['cursor']}"
    _, rest = await site.ask("GET", more, described)
    assert ([one["id"] for one in rest["messages"]], rest["cursor"]) == (["m1"], None)
    _, new = await site.ask("GET", "/boxes/sales/messages?new=true", described)
    assert [one["id"] for one in new["messages"]] == ["m3", "m2"]
    assert await site.ask("GET", "/boxes/empty/messages", described) == (
        200,
        {"messages": [], "cursor": None},
    )


async def test_a_message_is_shown_with_who_left_it_and_when(site: Site) -> None:
    assert await site.ask("GET", "/messages/m2", "/messages/{id}") == (
        200,
        {
            "id": "m2",
            "box": "sales",
            "call": "call",
            "caller": "0612345678",
            "left_at": "2026-03-12T14:30:00.000Z",
            "duration_s": 4.5,
            "heard_at": None,
            "notified": "none",
        },
    )


async def test_a_message_is_marked_as_heard_and_as_new_again(site: Site) -> None:
    for heard, at in ((True, "2026-03-12T15:30:00.000Z"), (False, None)):
        status, message = await site.ask(
            "PUT", "/messages/m2/heard", "/messages/{id}/heard", json={"heard": heard}
        )
        assert (status, message["heard_at"]) == (200, at)


async def test_a_message_that_is_deleted_is_not_found_any_more(site: Site) -> None:
    assert await site.ask("DELETE", "/messages/m2") == (204, None)
    for method, path, more in (
        ("GET", "/messages/m2", {}),
        ("GET", "/messages/m2/audio", {}),
        ("PUT", "/messages/m2/heard", {"json": {"heard": True}}),
        ("DELETE", "/messages/m2", {}),
        ("GET", "/messages/nobody", {}),
    ):
        status, problem = await site.ask(method, path, **more)
        assert (status, problem["detail"]) == (404, "There is no message of this id.")


async def test_audio_comes_whole_or_in_part_and_the_log_says_to_whom(tmp_path: Path) -> None:
    async with world_of(tmp_path, format="wav") as world:
        recording = await recorded(world, seconds=2)
        given = boxes()
        given.recordings = world.recordings.library
        given.kept.append(replace(given.kept[0], id=recording.id))
        async with TestClient(TestServer(app_of(given))) as client:
            path = f"{BASE}/messages/{recording.id}/audio"
            whole = await (await client.get(path)).read()
            assert whole[:4] == b"RIFF"
            async with client.get(path, headers={"Range": "bytes=4-9"}) as response:
                assert (response.status, await response.read()) == (206, whole[4:10])
        accessed = [one for one in await world.facts() if one.name == "recording.accessed"]
        assert [one.data["by"] for one in accessed] == ["local", "local"]


async def test_a_pin_is_set_and_removed(site: Site) -> None:
    path = "/boxes/sales/pin"
    assert await site.ask("PUT", path, json={"pin": "4711"}) == (204, None)
    assert site.boxes.pins == {"sales": "4711"}
    assert await site.ask("DELETE", path) == (204, None)
    assert (await site.ask("DELETE", path))[0] == 404
    for body in ({"pin": "word"}, {"pin": 4711}, {}, {"pin": "4711", "more": 1}):
        assert (await site.ask("PUT", path, json=body))[0] == 400


@pytest.mark.parametrize("path", ["", "/messages", "/pin"])
async def test_a_box_that_is_not_there_is_not_found(site: Site, path: str) -> None:
    method, more = ("PUT", {"json": {"pin": "4711"}}) if path == "/pin" else ("GET", {})
    status, problem = await site.ask(method, f"/boxes/nobody{path}", **more)
    assert (status, problem["detail"]) == (404, "There is no box 'nobody'.")
    assert (await site.ask("DELETE", "/boxes/nobody/pin"))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/boxes?limit=0", None),
        ("GET", "/boxes?state=new", None),
        ("GET", "/boxes/sales?x=1", None),
        ("GET", "/boxes/sales/messages?new=yes", None),
        ("GET", "/boxes/sales/messages?cursor=x", None),
        ("GET", "/messages/m2?x=1", None),
        ("PUT", "/messages/m2/heard", {"heard": "yes"}),
        ("PUT", "/messages/m2/heard", {"heard": True, "by": "me"}),
        ("PUT", "/messages/m2/heard", []),
    ],
)
async def test_what_is_not_as_described_is_refused(
    site: Site, method: str, path: str, body: object
) -> None:
    assert (await site.ask(method, path, json=body))[0] == 400


async def test_without_a_database_every_answer_is_503(site: Site) -> None:
    site.boxes.trouble = StoreError("away")
    for method, path, more in (
        ("GET", "/boxes", {}),
        ("GET", "/boxes/sales", {}),
        ("GET", "/boxes/sales/messages", {}),
        ("GET", "/messages/m2", {}),
        ("GET", "/messages/m2/audio", {}),
        ("PUT", "/messages/m2/heard", {"json": {"heard": True}}),
        ("DELETE", "/messages/m2", {}),
        ("PUT", "/boxes/sales/pin", {"json": {"pin": "4711"}}),
    ):
        assert (await site.ask(method, path, **more))[0] == 503, path


@pytest.mark.parametrize(
    ("rights", "allowed"),
    [
        (["voicemail.read"], {"listBoxes", "getBoxCounts", "listMessages", "getMessage"}),
        (["voicemail.listen"], {"getMessageAudio"}),
        (["voicemail.write"], {"markMessage", "deleteMessage"}),
        (["recordings.read", "recordings.listen"], set()),
    ],
)
async def test_a_token_opens_what_its_rights_say(rights: list[str], allowed: set[str]) -> None:
    settings = WebSettings.model_validate(
        {"tokens": [{"name": "some", "token": TOKEN, "rights": rights}]}
    )
    async with TestClient(TestServer(app_of(boxes(), settings))) as client:
        opened = set()
        for path, methods in PATHS.items():
            for method in methods.keys() & {"get", "put", "delete"}:
                async with client.request(
                    method,
                    path.format(name="nobody", id="nobody"),
                    headers={"Authorization": f"Bearer {TOKEN}"},
                ) as response:
                    if response.status != 403:
                        opened.add(methods[method]["operationId"])
    assert opened == allowed
