"""Recordings over HTTP: found, heard in part, held, deleted, by those who may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from tests.media.world import ramp
from tests.recording.world import KEY, SECOND, World, accepted, recorded, target_is_away, world_of
from tests.web.world import Client
from vxml_server.recording import Recording
from vxml_server.settings import WebSettings
from vxml_server.web.access import guard
from vxml_server.web.problems import Problem, as_problems
from vxml_server.web.recordings_api import RecordingsApi, _range

LIST = "/api/v1/recordings"
RIGHTS = ("recordings.read", "recordings.listen", "recordings.delete", "recordings.control")


@dataclass(frozen=True, slots=True)
class Site:
    world: World
    client: Client

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        async with self.client.request(method, path, **more) as response:
            return response.status, await response.json()

    async def audio(self, recording: Recording, **headers: str) -> tuple[ClientResponse, bytes]:
        path = f"{LIST}/{recording.id}/audio"
        async with self.client.get(path, headers=headers) as response:
            return response, await response.read()


@asynccontextmanager
async def site_of(
    folder: Path, web_settings: WebSettings | None = None, *, worker: str = "main", **settings: Any
) -> AsyncIterator[Site]:
    async with world_of(folder, worker=worker, **settings) as world:
        app = web.Application(middlewares=[as_problems, guard(web_settings or WebSettings())])
        recordings = world.recordings
        api = RecordingsApi(recordings.library, recordings.recorder.command)
        app.add_routes(api.routes())
        async with TestClient(TestServer(app)) as client:
            yield Site(world, client)


@pytest.mark.parametrize("keys", [[], [KEY]], ids=["plain", "encrypted"])
async def test_a_range_is_that_part_of_the_file(tmp_path: Path, keys: list[Any]) -> None:
    async with site_of(tmp_path, keys=keys, format="wav") as site:
        recording = await recorded(site.world, seconds=5)
        response, whole = await site.audio(recording)
        assert (response.status, response.content_type) == (200, "audio/wav")
        assert len(whole) == recording.octets == response.content_length
        assert whole[:4] == b"RIFF"
        last = len(whole) - 1
        for text, start, end in (
            ("bytes=0-0", 0, 0),
            ("bytes=65530-65545", 65530, 65545),
            ("bytes=100000-", 100_000, last),
            (f"bytes=5-{10**17}", 5, last),
            ("bytes=-9", last - 8, last),
        ):
            response, part = await site.audio(recording, Range=text)
            assert response.status == 206
            assert part == whole[start : end + 1]
            assert response.headers["Content-Range"] == f"bytes {start}-{end}/{len(whole)}"
        for text in ("bytes=0-1,3-4", "lines=1-2", "bytes=5-4", "bytes=-", "nonsense"):
            response, part = await site.audio(recording, Range=text)
            assert (response.status, part) == (200, whole)
        for text in (f"bytes={len(whole)}-", "bytes=-0"):
            response, _ = await site.audio(recording, Range=text)
            assert response.status == 416
        async with site.client.head(f"{LIST}/{recording.id}/audio") as response:
            assert response.headers["Content-Length"] == str(len(whole))
            assert response.headers["ETag"] == f'"{recording.checksum}"'


async def test_of_what_is_not_at_the_target_there_is_no_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target_is_away(monkeypatch)
    async with site_of(tmp_path) as site:
        one = await accepted(site.world)
        a, b, far_a, far_b = site.world.parties()
        one.start(a, b)
        site.world.talk(far_a, far_b, ramp(SECOND), ramp(SECOND))
        one.close()
        stopped = await site.world.settled("stopped")
        for headers in ({}, {"Range": "bytes=0-"}, {"Range": "bytes=-1"}):
            response, _ = await site.audio(stopped, **headers)
            assert response.status == 409
            path = f"{LIST}/{stopped.id}/audio"
            assert (await site.client.head(path, headers=headers)).status == 409


async def test_recordings_are_found_by_what_is_known_of_them(tmp_path: Path) -> None:
    async with site_of(tmp_path) as site:
        for number, queue in enumerate(("sales", "sales", "help")):
            data = {"ticket": f"Straße 50% {number}"}
            await recorded(site.world, call_id=f"call-{number}", queue=queue, data=data)
            site.world.clock.advance(60)

        async def calls(query: str) -> list[str]:
            status, page = await site.ask("GET", f"{LIST}?{query}")
            assert status == 200, page
            return [one["call"] for one in page["recordings"]]

        assert await calls("") == ["call-2", "call-1", "call-0"]
        assert await calls("queue=help") == ["call-2"]
        assert await calls("call=call-1") == ["call-1"]
        assert await calls("number=336123&state=stored&queue=sales") == ["call-1", "call-0"]
        assert await calls("number=9999") == []
        assert await calls("text=STRASSE%201") == []
        assert await calls("text=50%25%201") == ["call-1"]
        assert await calls("text=5_%25") == []
        assert await calls("agent=alice") == []
        assert await calls("since=2026-01-01T00:01:00Z") == ["call-2", "call-1"]
        assert await calls("until=2026-01-01T01:01:00%2B01:00") == ["call-0"]
        status, first = await site.ask("GET", f"{LIST}?limit=2")
        status, rest = await site.ask("GET", f"{LIST}?limit=2&cursor={first['cursor']}")
        assert [one["call"] for one in rest["recordings"]] == ["call-0"]
        assert (status, rest["cursor"]) == (200, None)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=x", "cursor=x", "state=gone", "since=yesterday", "since=2026-01-01", "a=b"],
)
async def test_a_search_that_makes_no_sense_is_refused(tmp_path: Path, query: str) -> None:
    async with site_of(tmp_path) as site:
        status, problem = await site.ask("GET", f"{LIST}?{query}")
        assert (status, problem["status"]) == (400, 400)


async def test_a_hold_keeps_a_recording_from_being_deleted(tmp_path: Path) -> None:
    async with site_of(tmp_path) as site:
        recording = await recorded(site.world)
        path = f"{LIST}/{recording.id}"
        hold = {"held": True, "reason": "case 12"}
        status, held = await site.ask("PUT", f"{path}/hold", json=hold)
        assert (status, held["held"]) == (200, True)
        assert (await site.ask("DELETE", path))[0] == 409
        await site.ask("PUT", f"{path}/hold", json={"held": False})
        status, deleted = await site.ask("DELETE", f"{path}?reason=asked%20for")
        assert (status, deleted["state"]) == (200, "deleted")
        assert (await site.ask("GET", f"{path}/audio"))[0] == 410
        assert (await site.ask("DELETE", path))[0] == 410
        assert (await site.ask("GET", path))[1]["state"] == "deleted"
        [fact] = [f for f in await site.world.facts() if f.name == "recording.deleted"]
        assert (fact.data["by"], fact.data["reason"]) == ("local", "asked for")


@pytest.mark.parametrize("body", ["", "[]", "{", '{"held": 1}', '{"held": true, "x": 1}'])
async def test_a_hold_that_makes_no_sense_is_refused(tmp_path: Path, body: str) -> None:
    async with site_of(tmp_path) as site:
        path, headers = f"{LIST}/x/hold", {"Content-Type": "application/json"}
        assert (await site.ask("PUT", path, data=body, headers=headers))[0] == 400
        assert (await site.ask("PUT", path, data=body))[0] == 415


async def test_a_body_may_come_in_pieces(tmp_path: Path) -> None:
    async def pieces(*octets: bytes) -> AsyncIterator[bytes]:
        for piece in octets:
            yield piece
            # As a network does: the server reads, and there is no more of it.
            for _ in range(50):
                await asyncio.sleep(0)

    headers = {"Content-Type": "application/json"}
    async with site_of(tmp_path) as site:
        one = await accepted(site.world)
        a, b, _, _ = site.world.parties()
        one.start(a, b)
        site.world.media.run(5)
        path, body = "/api/v1/calls/call-1/recording", pieces(b'{"action":', b' "pause"}')
        status, paused = await site.ask("POST", path, data=body, headers=headers)
        assert (status, paused["state"]) == (202, "paused")
        await site.world.settled("paused")
        path, body = f"{LIST}/{paused['id']}/hold", pieces(b'{"held"', b": true}")
        status, held = await site.ask("PUT", path, data=body, headers=headers)
        assert (status, held["held"]) == (200, True)


async def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with site_of(tmp_path) as site:
        hold = {"json": {"held": True}}
        for method, path, more in (
            ("GET", "", {}),
            ("GET", "/audio", {}),
            ("DELETE", "", {}),
            ("PUT", "/hold", hold),
        ):
            assert (await site.ask(method, f"{LIST}/none{path}", **more))[0] == 404


async def test_who_asks_a_worker_that_has_not_the_call_is_told_which_one_has_it(
    tmp_path: Path,
) -> None:
    async with site_of(tmp_path) as site, site_of(tmp_path, worker="two") as other:
        one = await accepted(site.world)
        await site.world.settled("announced")
        path, body = "/api/v1/calls/call-1/recording", {"json": {"action": "pause"}}
        status, answer = await other.ask("POST", path, **body)
        assert (status, "'main'" in answer["detail"]) == (421, True)
        assert (await site.ask("POST", path, **body))[0] == 409
        one.close()


async def test_a_running_call_is_paused_over_http(tmp_path: Path) -> None:
    path = "/api/v1/calls/call-1/recording"
    async with site_of(tmp_path) as site:

        async def command(action: object) -> tuple[int, Any]:
            return await site.ask("POST", path, json={"action": action})

        assert (await command("pause"))[0] == 409
        one = await accepted(site.world)
        assert (await command("start"))[0] == 409  # nobody is bridged
        a, b, _, _ = site.world.parties()
        one.start(a, b)
        site.world.media.run(5)
        status, paused = await command("pause")
        assert (status, paused["state"]) == (202, "paused")
        assert (await command("pause"))[0] == 409
        assert (await command("resume"))[1]["state"] == "recording"
        assert (await command("stop"))[0] == 202
        for nonsense in ("explode", 1, None):
            assert (await command(nonsense))[0] == 400


async def test_a_token_may_do_what_it_has_the_right_to_and_the_log_has_its_name(
    tmp_path: Path,
) -> None:
    tokens = [
        {"name": right, "token": f"{right} belongs to somebody", "rights": [right]}
        for right in (*RIGHTS, "all")
    ]
    settings = WebSettings.model_validate({"tokens": tokens, "token": "the token of the operator"})
    async with site_of(tmp_path, settings) as site:
        recording = await recorded(site.world)
        path = f"{LIST}/{recording.id}"
        command = "/api/v1/calls/x/recording"
        needed = (
            ("recordings.read", "GET", LIST),
            ("recordings.read", "GET", path),
            ("recordings.listen", "GET", f"{path}/audio"),
            ("recordings.listen", "HEAD", f"{path}/audio"),
            ("recordings.delete", "PUT", f"{path}/hold"),
            ("recordings.control", "POST", command),
            ("recordings.delete", "DELETE", path),
        )
        for needs, method, uri in needed:
            for has in RIGHTS:
                headers = {"Authorization": f"Bearer {has} belongs to somebody"}
                async with site.client.request(method, uri, headers=headers) as response:
                    assert (response.status == 403) == (has != needs), (method, uri, has)
            async with site.client.request(method, uri) as response:
                assert response.status == 401
        for token in ("the token of the operator", "all belongs to somebody"):
            headers = {"Authorization": f"Bearer {token}"}
            assert (await site.ask("GET", LIST, headers=headers))[0] == 200
        by = {fact.data["by"] for fact in await site.world.facts() if "by" in fact.data}
        assert by == {"recordings.listen", "recordings.delete"}


async def test_a_scoped_token_opens_nothing_else(tmp_path: Path) -> None:
    token = {"name": "bob", "token": "the token of bob", "rights": list(RIGHTS)}
    async with site_of(tmp_path, WebSettings.model_validate({"tokens": [token]})) as site:
        headers = {"Authorization": "Bearer the token of bob"}
        for method, path in (
            ("GET", "/api/v1/calls"),
            ("DELETE", "/api/v1/calls/x"),
            ("POST", LIST),
            ("GET", f"{LIST}/a/b/c"),
        ):
            assert (await site.ask(method, path, headers=headers))[0] == 403


async def test_audio_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    async with site_of(tmp_path, keys=[KEY]) as site:
        recording = await recorded(site.world)
        [kept] = site.world.kept()
        octets = kept.read_bytes()
        kept.write_bytes(octets[:-1] + bytes([octets[-1] ^ 1]))
        response, body = await site.audio(recording)
        assert response.status == 500
        assert "not what was written" in json.loads(body)["detail"]


async def test_a_target_that_is_away_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site_of(tmp_path) as site:
        recording = await recorded(site.world)
        target_is_away(monkeypatch, "open")
        assert (await site.ask("GET", f"{LIST}/{recording.id}/audio"))[0] == 503


async def test_a_recording_and_all_that_can_be_asked_are_described(tmp_path: Path) -> None:
    text = (resources.files("vxml_server.web") / "openapi.json").read_text("utf-8")
    document = json.loads(text)
    async with site_of(tmp_path) as site:
        recording = await recorded(site.world)
        _, shown = await site.ask("GET", f"{LIST}/{recording.id}")
        assert shown.keys() == document["components"]["schemas"]["Recording"]["properties"].keys()
        routes = {
            (route.method.lower(), route.resource.canonical)
            for route in site.client.app.router.routes()
            if route.resource is not None
        }
        described = {
            (method, path)
            for path, item in document["paths"].items()
            for method in (*item, *(["head"] if "get" in item else []))
            if "recording" in path
        }
        assert routes == described


@given(st.text(alphabet="bytes=-0123456789, ", max_size=20))
def test_any_range_header_is_answered(text: str) -> None:
    request = make_mocked_request("GET", "/", headers={"Range": text})
    try:
        start, end, _ = _range(request, 1000)
        assert 0 <= start < end <= 1000
    except Problem as problem:
        assert problem.status == 416
