"""`/api/v1/offers/{offer}/…` and `/queues/{name}/waiting/{entry}/…`: what supervisors do.

Whichever process is asked, the one that has the caller's call does it. The rule that must hold: 204
is answered when it has been done (a telephone: when it is being rung), and what was refused has
changed nothing.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol

from aiohttp import web

from vxml_server.queues import Action, Mode, Order, Reason, Refused
from vxml_server.store import Json
from vxml_server.web.access import who
from vxml_server.web.problems import Problem
from vxml_server.web.protocols import Centre
from vxml_server.web.requests import (
    bad,
    fields,
    json_object,
    parameters,
    store_answers,
    text,
)

MAX_LINE, MAX_NAME, MAX_DEST = 256, 128, 1024
MAX_PRIORITY = 1e6
_STATUS = {
    Reason.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Reason.CONFLICT: HTTPStatus.CONFLICT,
    Reason.NO_ANSWER: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Orders(Protocol):
    """Who carries out orders (`queues.Supervision`)."""

    async def do(self, order: Order) -> None:
        """Raises `Refused` and `StoreError`."""


class SupervisionApi:
    """The handlers."""

    def __init__(self, centre: Centre, orders: Orders) -> None:
        self._centre = centre
        self._orders = orders

    def routes(self) -> list[web.RouteDef]:
        offer = "/api/v1/offers/{offer}"
        entry = "/api/v1/queues/{name}/waiting/{entry}"
        return [
            web.delete(offer, self.hang_up),
            web.post(f"{offer}/supervise", self.supervise),
            web.put(f"{offer}/supervise", self.switch),
            web.delete(f"{offer}/supervise", self.end_supervision),
            web.post(f"{offer}/return", self.give_back),
            web.post(f"{offer}/transfer", self.send_on),
            web.post(f"{offer}/take", self.take_over),
            web.delete(entry, self.take_out),
            web.post(f"{entry}/take", self.take),
            web.post(f"{entry}/move", self.move),
            web.put(f"{entry}/priority", self.prioritise),
        ]

    # Conversations -----------------------------------------------------------------------------

    async def supervise(self, request: web.Request) -> web.Response:
        """Rings a supervisor's telephone; when he answers he is in the conversation."""
        body = await _body(request, "line", "mode")
        values = {"line": _filled(body, "line", MAX_LINE), "mode": _mode(body)}
        return await self._of_offer(request, Action.SUPERVISE, **values)

    async def switch(self, request: web.Request) -> web.Response:
        """He listens, whispers or barges in from now on."""
        body = await _body(request, "mode")
        return await self._of_offer(request, Action.SWITCH, mode=_mode(body))

    async def end_supervision(self, request: web.Request) -> web.Response:
        """Hangs up the supervisor's telephone."""
        return await self._of_offer(request, Action.END_SUPERVISION)

    async def hang_up(self, request: web.Request) -> web.Response:
        """Ends a conversation, or withdraws an offer: its caller goes on waiting."""
        return await self._of_offer(request, Action.HANG_UP)

    async def give_back(self, request: web.Request) -> web.Response:
        """The caller goes back to his place in the queue."""
        return await self._of_offer(request, Action.GIVE_BACK)

    async def send_on(self, request: web.Request) -> web.Response:
        """The caller goes on to another queue, agent or number."""
        body = await _body(request, "dest")
        return await self._of_offer(request, Action.SEND_ON, dest=_filled(body, "dest", MAX_DEST))

    async def take_over(self, request: web.Request) -> web.Response:
        """The caller goes on to another agent, who is rung before others."""
        body = await _body(request, "agent")
        agent = _filled(body, "agent", MAX_NAME)
        return await self._of_offer(request, Action.TAKE_OVER, agent=agent)

    # Waiting callers ---------------------------------------------------------------------------

    async def take_out(self, request: web.Request) -> web.Response:
        """A waiting caller does not wait any more; his call goes on in its application."""
        return await self._of_waiting(request, Action.TAKE_OUT)

    async def take(self, request: web.Request) -> web.Response:
        """A waiting caller is offered to an agent, and to nobody else meanwhile."""
        body = await _body(request, "agent")
        agent = _filled(body, "agent", MAX_NAME)
        return await self._of_waiting(request, Action.TAKE, agent=agent)

    async def move(self, request: web.Request) -> web.Response:
        """A waiting caller waits in another queue."""
        body = await _body(request, "queue", "keep_place")
        keeps = body.get("keep_place", True)
        if not isinstance(keeps, bool):
            raise bad(f"keep_place: expected true or false, got {keeps!r:.80}.")
        queue = _filled(body, "queue", MAX_NAME)
        return await self._of_waiting(request, Action.MOVE, queue=queue, keep_place=keeps)

    async def prioritise(self, request: web.Request) -> web.Response:
        """A waiting caller gets another priority."""
        body = await _body(request, "priority")
        priority = body.get("priority")
        if isinstance(priority, bool) or not isinstance(priority, int | float):
            raise bad(f"priority: expected a number, got {priority!r:.80}.")
        if not -MAX_PRIORITY <= priority <= MAX_PRIORITY:
            raise bad(f"priority: expected {-MAX_PRIORITY:.0f} to {MAX_PRIORITY:.0f}.")
        return await self._of_waiting(request, Action.PRIORITISE, priority=priority)

    # Both --------------------------------------------------------------------------------------

    async def _of_offer(self, request: web.Request, action: Action, **values: Json) -> web.Response:
        return await self._do(request, action, request.match_info["offer"], values)

    async def _of_waiting(
        self, request: web.Request, action: Action, **values: Json
    ) -> web.Response:
        entry_id = request.match_info["entry"]
        entry = self._centre.board.entries.get(entry_id)
        if entry is None or entry.queue != request.match_info["name"]:
            raise Problem(HTTPStatus.NOT_FOUND, "There is no caller of this entry in the queue.")
        return await self._do(request, action, entry_id, values)

    async def _do(
        self, request: web.Request, action: Action, target: str, values: dict[str, Json]
    ) -> web.Response:
        parameters(request)
        try:
            with store_answers():
                await self._orders.do(Order(action, target, who(request), values))
        except Refused as refused:
            raise Problem(_STATUS[refused.reason], str(refused)) from None
        return web.Response(status=HTTPStatus.NO_CONTENT)


async def _body(request: web.Request, *known: str) -> dict[str, Json]:
    body = await json_object(request)
    fields(body, *known)
    return body


def _filled(body: dict[str, Json], name: str, most: int) -> str:
    value = text(body, name, most)
    if not value.strip():
        raise bad(f"{name}: expected a text, got {value!r}.")
    return value


def _mode(body: dict[str, Json]) -> str:
    given = body.get("mode")
    if not isinstance(given, str) or given not in set(Mode):
        raise bad(f"mode: expected {', '.join(Mode)}, got {given!r:.80}.")
    return given
