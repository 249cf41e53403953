"""`/api/v1/agents`: what agents are doing, and their signing in and out, breaks, wrap-up and PINs.

A supervisor forces states by the same requests.
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from vxml_server.queues import BadPin, Offer, OfferState, Presence, state_of
from vxml_server.store import Json
from vxml_server.web.access import who
from vxml_server.web.definitions_api import no_such
from vxml_server.web.problems import Problem
from vxml_server.web.protocols import Centre
from vxml_server.web.requests import (
    bad,
    fields,
    json_object,
    number,
    parameters,
    store_answers,
    text,
    when_epoch,
)

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
MAX_REASON = 64
STATES = (
    *("signed_out", "available", "on_break"),
    *("reserved", "ringing", "talking", "wrapping_up"),
)


class AgentsApi:
    """The handlers."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre

    def routes(self) -> list[web.RouteDef]:
        one = "/api/v1/agents/{name}"
        return [
            web.get("/api/v1/agents", self.list),
            web.get(f"{one}/presence", self.state),
            web.post(f"{one}/presence", self.present),
            web.post(f"{one}/release", self.release),
            web.put(f"{one}/pin", self.set_pin),
            web.delete(f"{one}/pin", self.remove_pin),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """A page of agents by name, those after `cursor`."""
        given = parameters(request, "queue", "state", "limit", "cursor")
        limit = number(given, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
        if (state := given.get("state")) is not None and state not in STATES:
            raise bad(f"state: expected one of {', '.join(STATES)}, got {state!r}.")
        board = self._centre.board
        names: set[str] = set(board.agents)
        if (queue := given.get("queue")) is not None:
            if (roster := board.roster(queue)) is None:
                raise no_such("queue", queue)
            names &= roster.order.keys()
        after = given.get("cursor", "")
        found = [
            name
            for name in sorted(names)
            if name > after and (state is None or self._state(name) == state)
        ]
        more = found[limit - 1] if len(found) > limit else None
        shown = [self._shown(name) for name in found[:limit]]
        return web.json_response({"agents": shown, "cursor": more})

    async def state(self, request: web.Request) -> web.Response:
        """What one agent is doing."""
        return web.json_response(self._shown(self._addressed(request)))

    async def present(self, request: web.Request) -> web.Response:
        """Signs in (`available`) or out, or begins a break."""
        name = self._addressed(request)
        body = await json_object(request)
        fields(body, "presence", "reason")
        given = body.get("presence")
        if not isinstance(given, str) or given not in set(Presence):
            raise bad(f"presence: expected {', '.join(Presence)}, got {given!r:.80}.")
        presence = Presence(given)
        reason = text(body, "reason", MAX_REASON, "")
        if reason and presence is Presence.AVAILABLE:
            raise bad("reason: who is available has none.")
        with store_answers():
            await self._centre.present(name, presence, reason, who(request))
        return web.json_response(self._shown(name))

    async def release(self, request: web.Request) -> web.Response:
        """Ends a wrap-up before its time."""
        name = self._addressed(request)
        with store_answers():
            if not await self._centre.release(name):
                raise Problem(HTTPStatus.CONFLICT, f"{name!r} is not wrapping up.")
        return web.json_response(self._shown(name))

    async def set_pin(self, request: web.Request) -> web.Response:
        """Makes or replaces the PIN for the telephone: 204."""
        name = self._addressed(request)
        body = await json_object(request)
        fields(body, "pin")
        pin = body.get("pin")
        try:
            with store_answers():
                await self._centre.set_pin(name, pin if isinstance(pin, str) else "")
        except BadPin as error:
            raise bad(f"pin: {error}.") from None
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def remove_pin(self, request: web.Request) -> web.Response:
        """Removes the PIN: 204."""
        name = self._addressed(request)
        with store_answers():
            if not await self._centre.remove_pin(name):
                raise Problem(HTTPStatus.NOT_FOUND, f"{name!r} has no PIN.")
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def _addressed(self, request: web.Request) -> str:
        parameters(request)
        name = request.match_info["name"]
        if name not in self._centre.board.agents:
            raise no_such("agent", name)
        return name

    def _state(self, name: str) -> str:
        board = self._centre.board
        return state_of(board.row(name), board.offers_of_agent(name))

    def _shown(self, name: str) -> dict[str, Json]:
        board = self._centre.board
        profile, row = board.agents[name].profile, board.row(name)
        offers = sorted(board.offers_of_agent(name), key=_reserved)
        calls, talk_time = row.counted(self._centre.today())
        return {
            "name": name,
            "description": profile.description,
            "line": profile.line,
            "declared": self._centre.is_declared("agent", name),
            "state": state_of(row, offers),
            "presence": row.presence,
            "reason": row.reason,
            "since": when_epoch(row.since),
            "idle_since": when_epoch(row.idle_since),
            "not_before": when_epoch(row.not_before),
            "missed": row.missed,
            "calls": calls,
            "talk_time_s": round(talk_time, 3),
            "queues": sorted(board.queues_of(name) & board.queues.keys()),
            "current": [self._current(offer) for offer in offers],
        }

    def _current(self, offer: Offer) -> dict[str, Json]:
        return {
            "offer": offer.id,
            "queue": offer.queue,
            "entry": offer.entry,
            "call": offer.call_id,
            "state": offer.state,
            "since": when_epoch(_SINCE[offer.state](offer)),
        }


_SINCE = {
    OfferState.RESERVED: lambda offer: offer.reserved_at,
    OfferState.RINGING: lambda offer: offer.ringing_at,
    OfferState.ANSWERED: lambda offer: offer.answered_at,
    OfferState.BRIDGED: lambda offer: offer.bridged_at,
    OfferState.WRAPPING_UP: lambda offer: offer.ended_at,
}


def _reserved(offer: Offer) -> tuple[float, str]:
    return offer.reserved_at, offer.id
