"""The switchboard's back end by itself, and behind its application."""

from __future__ import annotations

import pytest
from aiohttp import FormData, web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from apps.support.backend import MAX_KEPT, application

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def support(aiohttp_client: AiohttpClient) -> Client:
    """A client of a back end of its own."""
    return await aiohttp_client(application())


async def leave(support: Client, said: bytes) -> str:
    form = FormData()
    form.add_field("said", said, filename="said.wav", content_type="audio/x-wav")
    return await (await support.post("/messages", data=form)).text()


async def test_a_message_is_kept_and_can_be_listened_to(support: Client) -> None:
    assert await leave(support, b"hello") == '<message number="1"/>'
    assert await (await support.get("/messages")).json() == [
        {"number": 1, "type": "audio/x-wav", "bytes": 5}
    ]
    audio = await support.get("/messages/1")
    assert (await audio.read(), audio.content_type) == (b"hello", "audio/x-wav")


async def test_the_oldest_messages_are_forgotten(support: Client) -> None:
    for number in range(MAX_KEPT + 1):
        await leave(support, b"%d" % number)
    assert (await support.get("/messages/1")).status == 404
    assert await (await support.get(f"/messages/{MAX_KEPT + 1}")).read() == b"100"


async def test_what_is_no_recording_is_refused(support: Client) -> None:
    assert (await support.post("/messages", data={"said": "hello"})).status == 400
