"""Callers and agents' telephones that do what a test says, on virtual time."""

from __future__ import annotations

import asyncio
from collections import deque

from vxml_server.clock import VirtualClock
from vxml_server.queues.profiles import Agent
from vxml_server.queues.rows import Offer
from vxml_server.queues.telephony import CannotRing, Happening


class FakeTelephone:
    """An agent's telephone; the test says what happens on it."""

    def __init__(self, clock: VirtualClock, agent: str) -> None:
        self.agent = agent
        self.is_hung_up = False
        self._clock = clock
        self._happenings: deque[Happening] = deque()
        self._news = asyncio.Event()

    def happen(self, *happenings: Happening) -> None:
        self._happenings += happenings
        self._news.set()

    def hang_up_there(self) -> None:
        """The agent puts the receiver down."""
        self.happen(Happening.HUNG_UP)

    async def next(self, seconds: float | None) -> Happening | None:
        if not self._happenings and seconds != 0:
            self._news.clear()
            timer = None
            if seconds is not None:
                timer = self._clock.call_later(seconds, self._news.set)
            try:
                await self._news.wait()
            finally:
                if timer is not None:
                    timer.cancel()
        return self._happenings.popleft() if self._happenings else None

    def hang_up(self) -> None:
        self.is_hung_up = True


class FakeCaller:
    """A caller; `telephones` are those that were rung for him, by agent, the newest last."""

    def __init__(self, clock: VirtualClock) -> None:
        self.is_there = True
        self.heard: list[str] = []
        self.telephones: dict[str, list[FakeTelephone]] = {}
        self.with_agent: str | None = None
        self.unreachable: set[str] = set()
        self._clock = clock

    def telephone(self, agent: str) -> FakeTelephone:
        return self.telephones[agent][-1]

    def ring(self, agent: Agent, offer: Offer) -> FakeTelephone:
        if agent.name in self.unreachable:
            raise CannotRing("no such number")
        made = FakeTelephone(self._clock, agent.name)
        self.telephones.setdefault(agent.name, []).append(made)
        return made

    async def connect(self, telephone: object, offer: Offer) -> bool:
        if not self.is_there or self.with_agent is not None:
            return False
        self.with_agent = offer.agent
        return True

    def disconnect(self) -> None:
        self.with_agent = None

    def served(self, offer: Offer) -> None:
        self.heard.append(f"served by {offer.agent}")

    def parted(self, offer: Offer) -> None:
        self.with_agent = None
        self.heard.append(f"parted from {offer.agent}")

    def oversee(self, telephone: object, mode: object) -> None:
        self.heard.append(f"{telephone and mode} overseen")

    def send_on(self, dest: str, agent: str) -> None:
        self.heard.append(f"on to {dest or 'the queue'}, {agent or 'anybody'}")

    def move(self, queue: str, *, keeps_place: bool) -> None:
        self.heard.append(f"moved to {queue}" + " in place" * keeps_place)

    def put_out(self) -> None:
        self.heard.append("put out")

    def lost(self) -> None:
        self.heard.append("lost")
