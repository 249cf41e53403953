"""`/api/v1/calls`: calls that are running and calls that were, and hanging one up.

Running calls come from the directory as they are now, the others from the store; the field names
are those of the contract (docs: /openapi.json).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Literal

from aiohttp import web

from vxml_server.queues import OfferState
from vxml_server.store import (
    BadCursor,
    CallRecord,
    Cursor,
    EventRecord,
    Json,
    LegRecord,
    Page,
)
from vxml_server.web.problems import Problem
from vxml_server.web.protocols import CallDirectory, CallHistory, Centre
from vxml_server.web.requests import (
    MAX_NUMBER,
    bad,
    number,
    parameters,
    store_answers,
    when,
    when_epoch,
)

DEFAULT_LIMIT, MAX_LIMIT = 50, 500

DEFAULT_STEPS, MAX_STEPS = 1000, 10_000
# How the events of the interpreter are called in the log.
_OF_TRACE = "vxml."

_STATES: dict[str, Literal["active", "ended"]] = {"active": "active", "ended": "ended"}


class CallsApi:
    """The handlers."""

    def __init__(self, directory: CallDirectory, history: CallHistory, centre: Centre) -> None:
        self._directory = directory
        self._history = history
        self._centre = centre

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/calls", self.list),
            web.get("/api/v1/calls/{id}", self.get),
            web.delete("/api/v1/calls/{id}", self.hang_up),
            web.get("/api/v1/calls/{id}/trace", self.trace),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """A page of calls, newest first."""
        state, limit, cursor = _parameters(request)
        if state == "active":
            page = _page_of(self._directory.active(), limit, cursor)
        else:
            with store_answers():
                page = await self._history.calls(state, limit, cursor)
        entries = self._entries()
        shown = [to_json(self._as_now(call), entries.get(call.id)) for call in page.calls]
        return web.json_response({"calls": shown, "cursor": page.cursor})

    async def get(self, request: web.Request) -> web.Response:
        """One call."""
        return self._answer(await self._find(request.match_info["id"]))

    async def hang_up(self, request: web.Request) -> web.Response:
        """Asks a running call to end; 202, since the far end has yet to agree."""
        call_id = request.match_info["id"]
        if not self._directory.hang_up(call_id):
            call = await self._find(call_id)
            raise Problem(
                HTTPStatus.CONFLICT,
                "The call has ended." if call.ended_at else "The call is not in this process.",
            )
        return self._answer(await self._find(call_id), HTTPStatus.ACCEPTED)

    async def trace(self, request: web.Request) -> web.Response:
        """What is kept of what the interpreter did in a call, in its order."""
        call_id = request.match_info["id"]
        given = parameters(request, "after", "limit")
        after = number(given, "after", 0, 0, MAX_NUMBER)
        limit = number(given, "limit", DEFAULT_STEPS, 1, MAX_STEPS)
        await self._find(call_id)
        with store_answers():
            events = await self._history.events(after=after, call_id=call_id, limit=limit + 1)
        page = events[:limit]
        steps = [_step_to_json(event) for event in page if event.name.startswith(_OF_TRACE)]
        more = page[-1].seq if len(events) > limit else None
        return web.json_response({"trace": steps, "after": more})

    def _answer(self, call: CallRecord, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
        return web.json_response(to_json(call, self._entries().get(call.id)), status=status)

    def _entries(self) -> dict[str, dict[str, Json]]:
        """How the callers who are in queues stand there, by call."""
        board = self._centre.board
        return {
            entry.call_id: {
                "name": entry.queue,
                "entry": entry.id,
                "state": entry.state,
                "entered_at": when_epoch(entry.entered_at),
                "connected_at": when_epoch(entry.connected_at),
                "agent": next(
                    (
                        offer.agent
                        for offer in board.offers_of_entry(entry.id)
                        if offer.state is OfferState.BRIDGED
                    ),
                    None,
                ),
            }
            for entry in list(board.entries.values())
        }

    async def _find(self, call_id: str) -> CallRecord:
        call = self._directory.get(call_id)
        if call is None:
            with store_answers():
                call = await self._history.call(call_id)
        if call is None:
            raise Problem(HTTPStatus.NOT_FOUND, "There is no call of this id.")
        return call

    def _as_now(self, call: CallRecord) -> CallRecord:
        """The call as it is now, when the store holds how it began."""
        return (self._directory.get(call.id) or call) if call.ended_at is None else call


def to_json(call: CallRecord, entry: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """The call as the contract shows it, its `state`, and how it stands in a queue."""
    return {
        "id": call.id,
        "state": "active" if call.ended_at is None else "ended",
        "sip_call_id": call.sip_call_id,
        "direction": call.direction,
        "from": call.from_uri,
        "to": call.to_uri,
        "application": call.application,
        "started_at": when(call.started_at),
        "answered_at": when(call.answered_at),
        "ended_at": when(call.ended_at),
        "duration_s": call.duration_s,
        "end_reason": call.end_reason,
        "hung_up_by": call.hung_up_by,
        "codec": call.codec,
        "packets_lost": call.packets_lost,
        "jitter_ms": call.jitter_ms,
        "legs": [_leg_to_json(leg) for leg in call.legs],
        "queue": entry,
    }


def _step_to_json(event: EventRecord) -> dict[str, Json]:
    """A record of the interpreter, with when it happened."""
    return {"at": when(event.at), "event": event.name.removeprefix(_OF_TRACE), **event.data}


def _leg_to_json(leg: LegRecord) -> dict[str, Json]:
    return {
        "destination": leg.destination,
        "type": leg.type,
        "outcome": leg.outcome,
        "started_at": when(leg.started_at),
        "answered_at": when(leg.answered_at),
        "ended_at": when(leg.ended_at),
        "duration_s": leg.duration_s,
    }


def _page_of(calls: Sequence[CallRecord], limit: int, cursor: Cursor | None) -> Page:
    """The page that the store would give of these calls."""
    placed = sorted(((Cursor(c.started_at, c.id), c) for c in calls), key=_place, reverse=True)
    rest = [(place, call) for place, call in placed if cursor is None or place < cursor]
    more = rest[limit - 1][0].encode() if len(rest) > limit else None
    return Page(tuple(call for _, call in rest[:limit]), more)


def _place(placed: tuple[Cursor, CallRecord]) -> Cursor:
    return placed[0]


def _parameters(
    request: web.Request,
) -> tuple[Literal["active", "ended"] | None, int, Cursor | None]:
    given = parameters(request, "state", "limit", "cursor")
    state = given.get("state")
    if state is not None and state not in _STATES:
        raise bad(f"state: expected active or ended, got {state!r}.")
    limit = number(given, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    try:
        cursor = Cursor.decode(given["cursor"]) if "cursor" in given else None
    except BadCursor:
        raise bad("cursor: expected the cursor of an earlier answer.") from None
    return (_STATES[state] if state is not None else None), limit, cursor
