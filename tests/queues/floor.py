"""Callers and agents, and who supervises them."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.calls.fake_media import FakeChannel
from tests.calls.fake_sip import FakeOutgoing
from tests.queues.contact_centre import agent, queue
from tests.queues.hall import Hall
from tests.queues.waiters import Switchboard, Waiter, names
from tests.queues.workers import World
from vxml_server.queues.definitions import Definition
from vxml_server.queues.orders import PATIENCE, Action, Order, Reason, Refused
from vxml_server.queues.supervision import Supervision
from vxml_server.queues.telephones import Dialler
from vxml_server.store import Json, Store

DEFINITIONS: list[Definition] = [
    agent("ann", wrap_up_time=0.0),
    agent("bob"),
    agent("cyd"),
    queue("sales", ["ann", "bob"], strategy="top_down"),
    queue("all", ["ann", "bob", "cyd"], strategy="ring_all"),
    queue("late", ["cyd"]),
    queue("tiny", ["cyd"], max_waiting=1),
]


class Floor(Hall):
    """One worker's callers, with ann signed in, and its supervision."""

    def __init__(self, world: World, board: Switchboard, store: Store) -> None:
        super().__init__(world, board)
        self.supervision = Supervision(
            board.centre,
            store,
            world.clock,
            Random(1),
            ring=Dialler(board.line, lambda user: board.contacts.get(user, [f"sip:{user}@a"])).ring,
            tell=board.facts.extend,
        )

    async def settle(self, seconds: float = 0.0) -> None:
        """More patiently: much is stored one after the other."""
        await super().settle(seconds)
        for _ in range(3):
            await super().settle()

    async def do(self, action: Action, target: str = "", **values: Json) -> None:
        order = Order(action, target or self.offer, "eve", values)
        doing = asyncio.create_task(self.supervision.do(order))
        await self.settle()
        # The answer of another worker is a matter of time.
        await self.settle(0.0 if doing.done() else 3 * PATIENCE)
        assert doing.done()
        await doing

    async def refused(self, action: Action, target: str = "", **values: Json) -> Reason:
        with pytest.raises(Refused) as told:
            await self.do(action, target, **values)
        return told.value.reason

    @property
    def offer(self) -> str:
        """The one offer that is not wrapping up."""
        (found,) = (one for one in self.centre.board.offers.values() if one.outcome is None)
        return found.id

    @property
    def entry(self) -> str:
        (found,) = self.centre.board.entries
        return found

    @property
    def facts(self) -> list[str]:
        return names(self.board.facts)

    async def supervised(self, mode: str = "listen") -> tuple[Waiter, FakeOutgoing, FakeOutgoing]:
        """A caller, ann's telephone, and a supervisor who has answered."""
        caller = await self.bridged()
        ann = self.board.telephone("ann")
        await self.do(Action.SUPERVISE, line="eve", mode=mode)
        return caller, ann, await self.answers("eve")

    def who_hears(self, *channels: FakeChannel) -> list[set[int]]:
        """For each, the places in the same list of those whom it hears."""
        hears = self.board.engine.hears
        return [{channels.index(one) for one in hears.get(channel, ())} for channel in channels]
