"""`/api/v1/recordings`: recordings found, heard, held and deleted; and what is recorded of a call
that is running.

Audio goes out as it is in the target's file, decrypted, whole or in one range (RFC 9110 section
14). Who asked for it is in the log before the first byte (see `recording.Library`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from vxml_server.recording import (
    MEDIA_TYPES,
    EnvelopeError,
    Held,
    IllegalTransition,
    Library,
    NoConversation,
    NoRecording,
    NotAnnounced,
    NotStored,
    Recording,
    State,
    TooLate,
    Wanted,
)
from vxml_server.store import BadCursor, Cursor, Json, StoreError
from vxml_server.web.access import who
from vxml_server.web.problems import Problem
from vxml_server.web.requests import bad, fields, instant, json_object, number, parameters, when

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vxml_server.recording import Action

DEFAULT_LIMIT, MAX_LIMIT = 50, 500
MAX_REASON = 500
_TEXTS = ("number", "queue", "agent", "call", "text", "state")
_ACTIONS: dict[str, Action] = {
    "start": "start",
    "pause": "pause",
    "resume": "resume",
    "stop": "stop",
}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

Command = Callable[[str, "Action"], Recording]


class RecordingsApi:
    """The handlers. `command` is `Recorder.command`."""

    def __init__(self, library: Library, command: Command) -> None:
        self._library = library
        self._command = command

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/recordings", self.search),
            web.get("/api/v1/recordings/{id}", self.get),
            web.get("/api/v1/recordings/{id}/audio", self.audio),
            web.delete("/api/v1/recordings/{id}", self.delete),
            web.put("/api/v1/recordings/{id}/hold", self.hold),
            web.post("/api/v1/calls/{id}/recording", self.command),
        ]

    async def search(self, request: web.Request) -> web.Response:
        """A page of recordings, newest first."""
        wanted, limit, cursor = _parameters(request)
        with _problems():
            found = await self._library.search(wanted, limit, cursor)
        return web.json_response(
            {
                "recordings": [to_json(one) for one in found.recordings],
                "cursor": found.cursor.encode() if found.cursor else None,
            }
        )

    async def get(self, request: web.Request) -> web.Response:
        """One recording."""
        with _problems():
            return web.json_response(to_json(await self._library.get(request.match_info["id"])))

    async def audio(self, request: web.Request) -> web.StreamResponse:
        """The audio, or the range of it that is asked for."""
        return await send_audio(request, self._library, request.match_info["id"])

    async def delete(self, request: web.Request) -> web.Response:
        """Deletes a recording; its record stays."""
        reason = request.query.get("reason", "")[:MAX_REASON]
        with _problems():
            deleted = await self._library.delete(request.match_info["id"], who(request), reason)
        return web.json_response(to_json(deleted))

    async def hold(self, request: web.Request) -> web.Response:
        """Sets or ends a legal hold."""
        body = await json_object(request)
        fields(body, "held", "reason")
        held, reason = body.get("held"), body.get("reason", "")
        if not isinstance(held, bool) or not isinstance(reason, str) or len(reason) > MAX_REASON:
            raise bad(f"expected held, true or false, and reason, at most {MAX_REASON} characters.")
        with _problems():
            recording = await self._library.hold(
                request.match_info["id"], who(request), reason, held=held
            )
        return web.json_response(to_json(recording))

    async def command(self, request: web.Request) -> web.Response:
        """Starts, pauses, goes on with or stops the recording of a running call, which is with this
        worker; what another one has is not."""
        body = await json_object(request)
        fields(body, "action")
        action = body.get("action")
        if not isinstance(action, str) or action not in _ACTIONS:
            raise bad(f"action: expected one of {', '.join(_ACTIONS)}.")
        call_id = request.match_info["id"]
        with _problems():
            try:
                recording = self._command(call_id, _ACTIONS[action])
            except NoConversation:
                if worker := await self._library.elsewhere(call_id):
                    raise Problem(
                        HTTPStatus.MISDIRECTED_REQUEST,
                        f"The call is with the worker {worker!r}, which has to be asked.",
                    ) from None
                raise
        return web.json_response(to_json(recording), status=HTTPStatus.ACCEPTED)


async def send_audio(request: web.Request, library: Library, id_: str) -> web.StreamResponse:
    """Answers with the audio of a recording, or the range of it that is asked for."""
    with _problems():
        recording = await library.get(id_)
        if recording.state is not State.STORED:
            # There is nothing yet, or nothing any more, of which a range could be asked for.
            raise NotStored(recording.state)
        start, end, is_part = _range(request, recording.octets)
        headers = _headers(recording, start, end, is_part=is_part)
        status = HTTPStatus.PARTIAL_CONTENT if is_part else HTTPStatus.OK
        if request.method == "HEAD":
            return web.Response(status=status, headers=headers)
        audio = await library.audio(recording.id, who(request), start, end)
    response = web.StreamResponse(status=status, headers=headers)
    await response.prepare(request)
    try:
        async for piece in audio.pieces:
            await response.write(piece)
    except (OSError, EnvelopeError) as error:
        # The status is gone. What was promised does not arrive, so that nobody takes what did
        # for the whole.
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError(str(error)) from error
    await response.write_eof()
    return response


def to_json(recording: Recording) -> dict[str, Json]:
    """A recording as the API shows it."""
    return {
        "id": recording.id,
        "call": recording.call_id,
        "state": recording.state.value,
        "rule": recording.rule,
        "direction": recording.direction,
        "caller": recording.caller,
        "number": recording.number,
        "destination": recording.destination,
        "application": recording.application,
        "queue": recording.queue,
        "agent": recording.agent,
        "data": recording.data,
        "announced_at": when(recording.announced_at),
        "started_at": when(recording.started_at),
        "ended_at": when(recording.ended_at),
        "expires_at": when(recording.expires_at),
        "duration_s": recording.duration_s,
        "pauses": [list(pause) for pause in recording.pauses],
        "interrupted": recording.interrupted,
        "held": recording.held,
        "format": recording.format or None,
        "encrypted": bool(recording.key_id),
        "octets": recording.octets,
        "checksum": recording.checksum or None,
        "trouble": recording.trouble or None,
    }


@contextmanager
def _problems() -> Iterator[None]:
    """The room's errors as those of the API."""
    try:
        yield
    except NoRecording:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no recording of this id.") from None
    except NotStored as error:
        gone = error.args[0] is State.DELETED
        raise Problem(
            HTTPStatus.GONE if gone else HTTPStatus.CONFLICT, f"The recording is {error}."
        ) from None
    except Held:
        raise Problem(HTTPStatus.CONFLICT, "The recording is under a legal hold.") from None
    except (TooLate, IllegalTransition, NoConversation, NotAnnounced) as error:
        detail = "The recording has just changed." if isinstance(error, TooLate) else f"{error}."
        raise Problem(HTTPStatus.CONFLICT, detail[:1].upper() + detail[1:]) from None
    except StoreError:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer.", {"Retry-After": "5"}
        ) from None
    except EnvelopeError as error:
        raise Problem(
            HTTPStatus.INTERNAL_SERVER_ERROR, f"The recording cannot be decrypted: {error}."
        ) from None
    except OSError:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Where recordings are kept does not answer.",
            {"Retry-After": "30"},
        ) from None


def _headers(recording: Recording, start: int, end: int, *, is_part: bool) -> dict[str, str]:
    headers = {
        "Content-Type": MEDIA_TYPES.get(recording.format, "application/octet-stream"),
        "Content-Length": str(end - start),
        "Accept-Ranges": "bytes",
        "ETag": f'"{recording.checksum}"',
        "Content-Disposition": f'attachment; filename="{recording.id}.{recording.format}"',
    }
    if is_part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{recording.octets}"
    return headers


def _range(request: web.Request, length: int) -> tuple[int, int, bool]:
    """What is asked for, from where up to where, and whether it is a part.

    Several ranges, and units other than bytes, are answered whole, as RFC 9110 section 14.2 allows.
    """
    text = request.headers.get("Range", "")
    match = _RANGE.fullmatch(text.replace(" ", ""))
    if match is None or match[0] == "bytes=-" or "If-Range" in request.headers:
        return 0, length, False
    first, last = match[1], match[2]
    if first:
        start, end = int(first), min(int(last) + 1, length) if last else length
        if last and int(last) < int(first):
            return 0, length, False
    else:
        start, end = max(0, length - int(last)), length
    if start >= length or start >= end:
        raise Problem(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"The audio has {length} octets.",
            {"Content-Range": f"bytes */{length}"},
        )
    return start, end, True


def _parameters(request: web.Request) -> tuple[Wanted, int, Cursor | None]:
    given = parameters(request, "since", "until", "limit", "cursor", *_TEXTS)
    texts = {name: given.get(name, "")[:256] for name in _TEXTS}
    if texts["state"] and texts["state"] not in list(State):
        raise bad(f"state: expected one of {', '.join(State)}, got {texts['state']!r}.")
    call = texts.pop("call")
    try:
        cursor = Cursor.decode(given["cursor"]) if "cursor" in given else None
    except BadCursor:
        raise bad("cursor: expected the cursor of an earlier answer.") from None
    since, until = instant(given, "since"), instant(given, "until")
    wanted = Wanted(since, until, call_id=call, **texts)
    return wanted, number(given, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT), cursor
