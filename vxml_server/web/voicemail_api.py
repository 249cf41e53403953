"""`/api/v1/voicemail`: boxes with their counts, the messages in them, their audio and PINs.

Boxes are defined at `/api/v1/boxes`. The audio of a message is that of its recording, and goes out
as recordings do, whole or in one range. The rule that must hold: what is deleted is not found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Protocol

from aiohttp import web

from vxml_server.queues import BadPin, Box
from vxml_server.recording import Library
from vxml_server.store import BadCursor, Cursor, Json
from vxml_server.voicemail import Counts, Message, Messages, NoSuchBox, NoSuchMessage
from vxml_server.web.access import who
from vxml_server.web.definitions_api import no_such
from vxml_server.web.problems import Problem
from vxml_server.web.recordings_api import send_audio
from vxml_server.web.requests import (
    bad,
    fields,
    json_object,
    number,
    parameters,
    store_answers,
    when,
)

DEFAULT_LIMIT, MAX_LIMIT = 50, 500


class Voicemail(Protocol):
    """What is needed of `voicemail.Voicemail`. What asks the database raises `StoreError`."""

    @property
    def library(self) -> Library:
        """The audio of messages, by their ids."""

    def box(self, name: str) -> Box | None: ...
    def boxes(self) -> tuple[Box, ...]: ...
    async def counts_of(self, boxes: Collection[str]) -> Mapping[str, Counts]: ...
    async def messages(
        self, box: str, *, new_only: bool = False, limit: int = 100, cursor: Cursor | None = None
    ) -> Messages: ...
    async def message(self, id_: str) -> Message: ...
    async def heard(self, message: str, by: str, is_heard: bool = True) -> Message: ...
    async def delete(self, message: str, by: str) -> Message: ...
    async def set_pin(self, box: str, pin: str) -> None: ...
    async def remove_pin(self, box: str) -> bool: ...


class VoicemailApi:
    """The handlers."""

    def __init__(self, voicemail: Voicemail) -> None:
        self._voicemail = voicemail

    def routes(self) -> list[web.RouteDef]:
        box, message = "/api/v1/voicemail/boxes/{name}", "/api/v1/voicemail/messages/{id}"
        return [
            web.get("/api/v1/voicemail/boxes", self.boxes),
            web.get(box, self.box),
            web.get(f"{box}/messages", self.messages),
            web.put(f"{box}/pin", self.set_pin),
            web.delete(f"{box}/pin", self.remove_pin),
            web.get(message, self.message),
            web.get(f"{message}/audio", self.audio),
            web.put(f"{message}/heard", self.heard),
            web.delete(message, self.delete),
        ]

    # Boxes -------------------------------------------------------------------------------------

    async def boxes(self, request: web.Request) -> web.Response:
        """A page of boxes by name, those after `cursor`."""
        given = parameters(request, "limit", "cursor")
        limit = number(given, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
        after = given.get("cursor", "")
        found = [box for box in self._voicemail.boxes() if box.name > after]
        more = found[limit - 1].name if len(found) > limit else None
        shown = await self._shown(*found[:limit])
        return web.json_response({"boxes": shown, "cursor": more})

    async def box(self, request: web.Request) -> web.Response:
        """One box."""
        parameters(request)
        (shown,) = await self._shown(self._addressed(request))
        return web.json_response(shown)

    async def set_pin(self, request: web.Request) -> web.Response:
        """Makes or replaces the PIN for the telephone: 204."""
        parameters(request)
        body = await json_object(request)
        fields(body, "pin")
        pin = body.get("pin")
        name = request.match_info["name"]
        try:
            with store_answers():
                await self._voicemail.set_pin(name, pin if isinstance(pin, str) else "")
        except NoSuchBox:
            raise no_such("box", name) from None
        except BadPin as error:
            raise bad(f"pin: {error}.") from None
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def remove_pin(self, request: web.Request) -> web.Response:
        """Removes the PIN: 204."""
        parameters(request)
        name = self._addressed(request).name
        with store_answers():
            if not await self._voicemail.remove_pin(name):
                raise Problem(HTTPStatus.NOT_FOUND, f"{name!r} has no PIN.")
        return web.Response(status=HTTPStatus.NO_CONTENT)

    # Messages ----------------------------------------------------------------------------------

    async def messages(self, request: web.Request) -> web.Response:
        """A page of the messages in a box, newest first; with `new=true` those not heard yet."""
        given = parameters(request, "new", "limit", "cursor")
        limit = number(given, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
        if (new := given.get("new", "false")) not in {"true", "false"}:
            raise bad(f"new: expected true or false, got {new!r}.")
        try:
            cursor = Cursor.decode(given["cursor"]) if "cursor" in given else None
        except BadCursor:
            raise bad("cursor: expected the cursor of an earlier answer.") from None
        box = self._addressed(request)
        with store_answers():
            found = await self._voicemail.messages(
                box.name, new_only=new == "true", limit=limit, cursor=cursor
            )
        return web.json_response(
            {
                "messages": [to_json(one) for one in found.messages],
                "cursor": found.cursor.encode() if found.cursor else None,
            }
        )

    async def message(self, request: web.Request) -> web.Response:
        """One message."""
        parameters(request)
        return web.json_response(to_json(await self._found(request)))

    async def audio(self, request: web.Request) -> web.StreamResponse:
        """The audio, or the range of it that is asked for."""
        parameters(request)
        message = await self._found(request)
        return await send_audio(request, self._voicemail.library, message.id)

    async def heard(self, request: web.Request) -> web.Response:
        """Marks a message as heard, or as new again."""
        parameters(request)
        body = await json_object(request)
        fields(body, "heard")
        is_heard = body.get("heard")
        if not isinstance(is_heard, bool):
            raise bad(f"heard: expected true or false, got {is_heard!r:.80}.")
        with _is_there(), store_answers():
            changed = await self._voicemail.heard(
                request.match_info["id"], who(request), is_heard=is_heard
            )
        return web.json_response(to_json(changed))

    async def delete(self, request: web.Request) -> web.Response:
        """Deletes a message with its audio: 204."""
        parameters(request)
        with _is_there(), store_answers():
            await self._voicemail.delete(request.match_info["id"], who(request))
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def _addressed(self, request: web.Request) -> Box:
        name = request.match_info["name"]
        box = self._voicemail.box(name)
        if box is None:
            raise no_such("box", name)
        return box

    async def _found(self, request: web.Request) -> Message:
        with _is_there(), store_answers():
            found = await self._voicemail.message(request.match_info["id"])
            if found.deleted:
                raise NoSuchMessage(found.id)
        return found

    async def _shown(self, *boxes: Box) -> list[dict[str, Json]]:
        with store_answers():
            counts = await self._voicemail.counts_of([box.name for box in boxes])
        return [
            {
                "name": box.name,
                "number": box.number,
                "description": box.description,
                "queue": box.queue,
                "agent": box.agent,
                "owners": list(box.owners),
                "max_messages": box.max_messages,
                "new": counts[box.name].new,
                "heard": counts[box.name].heard,
            }
            for box in boxes
        ]


def to_json(message: Message) -> dict[str, Json]:
    """A message as the API shows it."""
    return {
        "id": message.id,
        "box": message.box,
        "call": message.call_id,
        "caller": message.caller,
        "left_at": when(message.left_at),
        "duration_s": message.duration_s,
        "heard_at": when(message.heard_at),
        "notified": message.notified,
    }


@contextmanager
def _is_there() -> Iterator[None]:
    """Around what asks for a message: 404 when there is none."""
    try:
        yield
    except NoSuchMessage:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no message of this id.") from None
