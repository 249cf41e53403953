"""A web server whose pages a test writes, and a fetcher that may reach it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import Fetcher, FetchRequest, FetchSession, Resource

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


async def event(awaitable: Awaitable[Resource]) -> VoiceXmlEvent:
    with pytest.raises(VoiceXmlEvent) as caught:
        await awaitable
    return caught.value
