"""A program is told of a message: what it gets, how it knows us, and what it may answer."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.voicemail.notices import MESSAGE, no_audio
from tests.waiting import until
from vxml_server.clock import VirtualClock
from vxml_server.fetch import HttpClient
from vxml_server.queues import Box
from vxml_server.voicemail.notices import News, Notice, NotSent
from vxml_server.voicemail.webhook import TIMEOUT, Webhooks, key_of, signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2026, 3, 12, 14, 30, 5, tzinfo=UTC)


@dataclass
class Receiver:
    """A program that answers as the test says."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    got: list[tuple[web.Request, bytes]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.got.append((request, await request.read()))
        if self.gate is not None:
            await self.gate.wait()
        return web.Response(status=self.status, headers=self.headers)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.answer)
    async with TestServer(application) as server:
        made.url = f"http://127.0.0.1:{server.port}/hook?key=k%20k"
        yield made


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def way(receiver: Receiver, clock: VirtualClock) -> AsyncIterator[Webhooks]:
    allow = frozenset({receiver.url.partition("/hook")[0]})
    made = Webhooks(HttpClient(max_bytes=1000, max_connections=2, allow=allow), clock, SECRET)
    yield made
    await made.close()


def news(url: str) -> News:
    message = replace(MESSAGE, caller='"Ann"\r\n', queue="sales")
    box = Box("sales", queue="sales", webhook=url)
    return News(Notice("m1", 1, "webhook", url, NOW), message, box, new=3, at=NOW, audio=no_audio)


async def test_a_receiver_gets_what_is_to_be_known_and_where_the_audio_is(
    way: Webhooks, receiver: Receiver
) -> None:
    await way.send(news(receiver.url))
    [(request, body)] = receiver.got
    assert (request.method, request.path_qs) == ("POST", "/hook?key=k%20k")
    assert request.content_type == "application/json"
    assert json.loads(body) == {
        "type": "voicemail.left",
        "timestamp": "2026-03-12T14:30:00+00:00",
        "data": {
            "message": "m1",
            "box": "sales",
            "queue": "sales",
            "agent": "",
            "call": "call-1",
            "caller": '"Ann"\r\n',
            "left_at": "2026-03-12T14:30:00+00:00",
            "duration_s": 75.2,
            "new": 3,
            "audio": "/api/v1/voicemail/messages/m1/audio",
        },
    }


async def test_a_receiver_can_tell_that_it_is_from_us(way: Webhooks, receiver: Receiver) -> None:
    await way.send(news(receiver.url))
    [(request, body)] = receiver.got
    assert request.headers["Webhook-Id"] == "m1.1"
    assert request.headers["Webhook-Timestamp"] == str(int(NOW.timestamp()))
    expected = signature(key_of(SECRET), "m1.1", int(NOW.timestamp()), body)
    assert request.headers["Webhook-Signature"] == expected


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of https://github.com/standard-webhooks/standard-webhooks."""
    made = signature(
        key_of(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_is_base64_behind_its_prefix_or_text() -> None:
    assert key_of("whsec_" + base64.b64encode(b"key").decode()) == b"key"
    assert key_of("whsec_not base64 at all") == b"whsec_not base64 at all"
    assert key_of("a sentence as a secret") == b"a sentence as a secret"


async def test_without_a_secret_nothing_is_signed(receiver: Receiver, clock: VirtualClock) -> None:
    way = Webhooks(HttpClient(max_bytes=1000, max_connections=2, allow=frozenset({"*"})), clock)
    await way.send(news(receiver.url))
    await way.close()
    assert "Webhook-Signature" not in receiver.got[0][0].headers


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_success_takes_it(way: Webhooks, receiver: Receiver, status: int) -> None:
    receiver.status = status
    await way.send(news(receiver.url))


@pytest.mark.parametrize(
    ("status", "is_final"), [(302, False), (400, False), (404, False), (410, True), (503, False)]
)
async def test_what_is_no_success_is_tried_again_unless_it_is_gone(
    way: Webhooks, receiver: Receiver, status: int, is_final: bool
) -> None:
    receiver.status = status
    with pytest.raises(NotSent, match=f"HTTP {status}") as error:
        await way.send(news(receiver.url))
    assert error.value.is_final is is_final


async def test_a_redirection_is_not_followed(way: Webhooks, receiver: Receiver) -> None:
    receiver.status, receiver.headers = 307, {"Location": "/elsewhere"}
    with pytest.raises(NotSent):
        await way.send(news(receiver.url))
    assert len(receiver.got) == 1


async def test_a_receiver_that_does_not_answer_is_left(
    way: Webhooks, receiver: Receiver, clock: VirtualClock
) -> None:
    receiver.gate = asyncio.Event()
    sending = asyncio.create_task(way.send(news(receiver.url)))
    await until(lambda: receiver.got)
    clock.advance(TIMEOUT)
    with pytest.raises(NotSent, match="no answer"):
        await sending
    receiver.gate.set()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:1/", "http://10.0.0.1/"]
)
async def test_no_private_address_is_reached_that_the_operator_does_not_allow(
    clock: VirtualClock, url: str
) -> None:
    way = Webhooks(HttpClient(max_bytes=1000, max_connections=2, allow=frozenset()), clock)
    with pytest.raises(NotSent, match="not public") as error:
        await way.send(news(url))
    assert not error.value.is_final, "the operator may allow it"
    await way.close()


@pytest.mark.parametrize("body", [b"x" * 100_000, b"\xff" * 10], ids=["large", "no text"])
async def test_what_a_receiver_says_is_of_no_importance_but_for_its_size(
    way: Webhooks, receiver: Receiver, body: bytes
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body)

    application = web.Application()
    application.router.add_post("/", answer)
    async with TestServer(application) as server:
        url = f"http://127.0.0.1:{server.port}/"
        allowed = HttpClient(max_bytes=1000, max_connections=2, allow=frozenset({"*"}))
        free = Webhooks(allowed, VirtualClock())
        if len(body) > 1000:
            with pytest.raises(NotSent, match="larger"):
                await free.send(news(url))
        else:
            await free.send(news(url))
        await free.close()


async def test_a_url_that_is_none_is_given_up(way: Webhooks) -> None:
    given: Any = news("http://h.example/")
    given = replace(given, notice=replace(given.notice, address="http://[/"))
    with pytest.raises(NotSent) as error:
        await way.send(given)
    assert error.value.is_final
