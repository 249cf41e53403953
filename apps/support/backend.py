"""The switchboard's back end: keeps the messages that callers leave, in memory.

`POST messages` takes a recording as multipart form data and answers with its number in XML; `GET
messages` lists them, `GET messages/{number}` is the audio.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from aiohttp import web

MAX_KEPT = 100
"""Messages kept; older ones are forgotten, so that memory stays bounded."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one caller said."""

    media_type: str
    audio: bytes = field(repr=False)


@dataclass(slots=True)
class Messages:
    """The messages so far, by number, and the requests about them."""

    kept: OrderedDict[int, Message] = field(default_factory=OrderedDict)
    count: int = 0

    async def add(self, request: web.Request) -> web.Response:
        """`POST messages`. 400 without a recording in it."""
        said = (await request.post()).get("said")
        if not isinstance(said, web.FileField):
            raise web.HTTPBadRequest(text="expected a recording named said\n")
        self.count += 1
        self.kept[self.count] = Message(said.content_type, said.file.read())
        if len(self.kept) > MAX_KEPT:
            self.kept.popitem(last=False)
        return web.Response(
            text=f'<message number="{self.count}"/>',
            content_type="application/xml",
            headers={"Cache-Control": "no-store"},
        )

    async def list(self, request: web.Request) -> web.Response:
        """`GET messages`: an array of objects, the oldest first."""
        return web.json_response(
            [
                {"number": number, "type": one.media_type, "bytes": len(one.audio)}
                for number, one in self.kept.items()
            ]
        )

    async def audio(self, request: web.Request) -> web.Response:
        """`GET messages/{number}`; 404 for one that is not there."""
        message = self.kept.get(int(request.match_info["number"]))
        if message is None:
            raise web.HTTPNotFound
        return web.Response(body=message.audio, content_type=message.media_type)


def application() -> web.Application:
    """The back end without messages, to be mounted at `/apps/support/api/`."""
    messages = Messages()
    app = web.Application()
    app.add_routes(
        [
            web.post("/messages", messages.add),
            web.get("/messages", messages.list),
            web.get(r"/messages/{number:\d{1,9}}", messages.audio),
        ]
    )
    return app
