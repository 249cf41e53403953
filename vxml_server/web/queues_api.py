"""`/api/v1/queues`, `/queues/{name}/waiting`, `/offers`: callers and agents as they are now."""

from __future__ import annotations

import asyncio
from collections import Counter

from aiohttp import web

from vxml_server.queues import Board, Entry, Offer, in_order, state_of
from vxml_server.store import Json
from vxml_server.web.definitions_api import no_such
from vxml_server.web.protocols import Centre, Statistics
from vxml_server.web.requests import number, parameters, when_epoch

DEFAULT_LIMIT, MAX_LIMIT = 100, 500


class QueuesApi:
    """The handlers."""

    def __init__(self, centre: Centre, statistics: Statistics) -> None:
        self._centre = centre
        self._statistics = statistics

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/queues", self.list),
            web.get("/api/v1/queues/{name}/waiting", self.waiting),
            web.get("/api/v1/offers", self.offers),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """Every queue with its callers and agents; those of an agent while somebody waits there."""
        parameters(request)
        board = self._centre.board
        states = await _states(board)
        names = [name for name in board.rosters if name in board.queues or board.waiting([name])]
        shown = []
        for name in sorted(names):
            shown.append(self._shown(name, states))
            await asyncio.sleep(0)  # thousands of agents may be in each
        return web.json_response({"queues": shown})

    def _shown(self, name: str, states: dict[str, str]) -> dict[str, Json]:
        board = self._centre.board
        roster = board.rosters[name]
        since = [waiting.entry.entered_at for waiting in board.waiting([name])]
        agents = Counter(states[agent] for agent in roster.order if agent in states)
        level = self._statistics.service_levels().get(name)
        return {
            "name": name,
            "description": roster.queue.description,
            "strategy": roster.queue.strategy,
            "declared": self._centre.is_declared("queue", name),
            "waiting": len(since),
            "longest_wait_s": _seconds(self._centre.now() - min(since)) if since else 0.0,
            "agents": dict(agents),
            "service_level_target_s": roster.queue.service_level_target,
            "service_level": level,
        }

    async def waiting(self, request: web.Request) -> web.Response:
        """The callers who wait in a queue, who comes first at the head."""
        given = parameters(request, "limit")
        limit = number(given, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
        name = request.match_info["name"]
        board, now = self._centre.board, self._centre.now()
        if board.roster(name) is None:
            raise no_such("queue", name)
        callers = in_order(board.waiting([name]), board.rosters, now)
        shown = []
        for caller in callers[:limit]:
            if (one := self._caller(caller.entry, caller.offered, now)) is not None:
                shown.append(one)
            await asyncio.sleep(0)  # the expected wait of each looks at all who wait
        return web.json_response({"queue": name, "total": len(callers), "waiting": shown})

    def _caller(self, entry: Entry, offered: frozenset[str], now: float) -> dict[str, Json] | None:
        standing = self._centre.standing(entry.id)
        if standing is None:
            return None
        wait = standing.estimated_wait
        return {
            "entry": entry.id,
            "call": entry.call_id,
            "position": standing.position,
            "entered_at": when_epoch(entry.entered_at),
            "waited_s": _seconds(now - entry.entered_at),
            "estimated_wait_s": None if wait is None else _seconds(wait),
            "medium": entry.medium,
            "priority": entry.priority,
            "skills": entry.skills,
            "language": entry.language,
            "data": entry.data,
            "offered": sorted(offered),
            "attempts": entry.attempts,
            "worker": entry.worker,
        }

    async def offers(self, request: web.Request) -> web.Response:
        """The offers that are not over, wrap-up included, the oldest first."""
        given = parameters(request, "queue", "agent")
        offers = sorted(self._centre.board.offers.values(), key=_age)
        shown = [
            offer_to_json(offer)
            for offer in offers
            if given.get("queue", offer.queue) == offer.queue
            and given.get("agent", offer.agent) == offer.agent
        ]
        return web.json_response({"offers": shown})


def offer_to_json(offer: Offer) -> dict[str, Json]:
    """An offer; times that have not come are null."""
    return {
        "offer": offer.id,
        "queue": offer.queue,
        "agent": offer.agent,
        "entry": offer.entry,
        "call": offer.call_id,
        "medium": offer.medium,
        "state": offer.state,
        "outcome": offer.outcome,
        "reserved_at": when_epoch(offer.reserved_at),
        "ringing_at": when_epoch(offer.ringing_at),
        "answered_at": when_epoch(offer.answered_at),
        "bridged_at": when_epoch(offer.bridged_at),
        "ended_at": when_epoch(offer.ended_at),
        "release_at": when_epoch(offer.release_at),
        "worker": offer.worker,
    }


async def _states(board: Board) -> dict[str, str]:
    """What every agent is doing."""
    states = {}
    for number_of, (name, candidate) in enumerate(list(board.agents.items())):
        states[name] = state_of(candidate.row, board.offers_of_agent(name))
        if number_of % 500 == 0:
            await asyncio.sleep(0)
    return states


def _age(offer: Offer) -> tuple[float, str]:
    return offer.reserved_at, offer.id


def _seconds(value: float) -> float:
    return round(max(0.0, value), 3)
