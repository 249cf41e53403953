from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.web.world import Client, World
from vxml_server.settings import WebSettings


@pytest.fixture
async def client(world: World, tmp_path: Path) -> AsyncIterator[Client]:
    apps = tmp_path / "apps"
    (apps / "bank" / "fr").mkdir(parents=True)
    (apps / "bank" / "fr" / "index.vxml").write_text("<vxml/>")
    (apps / "bank" / "yes.grxml").write_text("<grammar/>")
    (apps / "bank" / "backend.py").write_text("secret")
    (apps / "bank" / ".hidden.xml").write_text("secret")
    (apps / ".git").mkdir()
    (apps / ".git" / "x.txt").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (tmp_path / "apps-too").mkdir()
    (tmp_path / "apps-too" / "x.txt").write_text("secret")
    (apps / "link.txt").symlink_to(tmp_path / "outside.txt")
    (apps / "folder.vxml").mkdir()

    async def balance(request: web.Request) -> web.Response:
        if "fail" in request.query:
            raise RuntimeError("the account number 1234")
        account = (await request.read()).decode().removeprefix("account=")
        return web.Response(text=f"balance of {account}")

    back_end = web.Application()
    back_end.router.add_post("/balance", balance)
    app = world.app(WebSettings(apps=apps), mounts={"/apps/bank/accounts": back_end})
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_a_document_has_its_media_type_and_validators(client: Client) -> None:
    response = await client.get("/apps/bank/fr/index.vxml")
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/voicexml+xml"
    assert await response.text() == "<vxml/>"
    assert response.headers["Cache-Control"] == "no-cache"
    for name, condition in (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")):
        again = await client.get(
            "/apps/bank/fr/index.vxml", headers={condition: response.headers[name]}
        )
        assert again.status == 304
    grammar = await client.get("/apps/bank/yes.grxml")
    assert grammar.headers["Content-Type"] == "application/srgs+xml"


@pytest.mark.parametrize(
    "path",
    [
        "/apps/none.vxml",
        "/apps/bank",
        "/apps/bank/",
        "/apps/",
        "/apps/folder.vxml",
        "/apps/bank/backend.py",
        "/apps/bank/.hidden.xml",
        "/apps/.git/x.txt",
        "/apps/link.txt",
        "/apps/%2e%2e/outside.txt",
        "/apps/..%2foutside.txt",
        "/apps/bank/..%2f..%2foutside.txt",
        "/apps/..%2fapps-too%2fx.txt",
        "/apps/%2fetc/passwd.txt",
        "/apps//etc/hosts.txt",
        "/apps/x%00.vxml",
        "/apps/" + "x" * 300 + ".vxml",
    ],
)
async def test_nothing_else_is_served(client: Client, path: str) -> None:
    # Sent as it is: a client library would tidy the path.
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"application/problem+json" in answer
    assert b"secret" not in answer


async def test_an_applications_own_code_answers_below_its_path(client: Client) -> None:
    response = await client.post("/apps/bank/accounts/balance", data={"account": "42"})
    assert await response.text() == "balance of 42"


async def test_a_fault_of_an_application_is_told_without_its_cause(client: Client) -> None:
    response = await client.post("/apps/bank/accounts/balance?fail")
    assert response.status == 500
    assert response.content_type == "application/problem+json"
    assert "1234" not in await response.text()


async def test_what_an_application_does_not_have_is_a_problem_too(client: Client) -> None:
    response = await client.get("/apps/bank/accounts/none")
    assert response.status == 404
    assert response.content_type == "application/problem+json"


async def test_a_body_that_is_too_large_is_refused(client: Client) -> None:
    body = io.BytesIO(bytes(16 * 1024 * 1024 + 1))
    response = await client.post("/apps/bank/accounts/balance", data=body)
    assert response.status == 413
    assert response.content_type == "application/problem+json"


async def test_without_a_folder_nothing_is_served(world: World) -> None:
    async with TestClient(TestServer(world.app())) as client:
        assert (await client.get("/apps/bank/fr/index.vxml")).status == 404
