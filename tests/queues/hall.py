"""Queues with agents, and callers who come to wait in them."""

from __future__ import annotations

import asyncio

from tests.calls.fake_sip import FakeOutgoing
from tests.queues.contact_centre import agent, queue
from tests.queues.waiters import Switchboard, Waiter
from tests.queues.workers import World
from vxml_server.grammar import builtin
from vxml_server.interpreter import ActiveGrammar, TransferResult
from vxml_server.queues.definitions import Definition

STAR = ActiveGrammar(builtin("builtin:dtmf/boolean?y=*;n=9"), "dtmf", "transfer", None)
DEFINITIONS: list[Definition] = [
    agent("ann", max_no_answer=0),
    agent("bob"),
    queue("sales", ["ann", "bob"], strategy="top_down"),
    queue("all", ["ann", "bob"], strategy="ring_all"),
    queue(
        "short",
        ["ann"],
        max_wait=30.0,
        announcement="We are sorry.",
        overflow="queue:all",
        treatment="own.vxml",
        hold_music="song.wav",
    ),
    queue("empty", ["bob"], max_wait_no_agents=10.0),
    queue("full", ["bob"], max_waiting=1, overflow="sip:night@watch"),
]


class Hall:
    """One worker with ann signed in, and its callers."""

    def __init__(self, world: World, board: Switchboard) -> None:
        self.world = world
        self.board = board
        self.centre = board.centre

    async def waiter(self, dest: str = "queue:sales", type_: str = "bridge", **values) -> Waiter:
        made = Waiter(self.board, dest, type_, **values)
        await self.settle()
        return made

    async def settle(self, seconds: float = 0.0) -> None:
        await self.world.settle(seconds)

    def freeze(self) -> None:
        """The database does not answer."""
        self.world._stores[0].gate = asyncio.Event()

    def thaw(self) -> None:
        """It answers again."""
        store = self.world._stores[0]
        if store.gate is not None:
            store.gate.set()
            store.gate = None

    async def result(self, waiter: Waiter) -> TransferResult:
        """What became of him, which needs no more time, and that nothing is left of him."""
        assert waiter.running is not None
        await asyncio.wait([waiter.running], timeout=5)
        assert waiter.running.done()
        assert not waiter.is_bridged
        assert not waiter.hears
        mine = waiter.transfer._entry
        assert mine not in self.centre.board.entries
        assert waiter.transfer.record is not None
        return waiter.running.result()

    async def outcome(self, waiter: Waiter) -> str:
        return (await self.result(waiter)).outcome

    async def telephone(self, user: str) -> FakeOutgoing:
        """The newest call to a telephone, once it is made."""
        for _ in range(50):
            if self.board.has_rung(user):
                break
            await self.settle()
        return self.board.telephone(user)

    async def answers(self, user: str = "ann") -> FakeOutgoing:
        telephone = await self.telephone(user)
        telephone.ring()
        telephone.answer()
        await self.settle()
        return telephone

    async def bridged(self, dest: str = "queue:sales", type_: str = "bridge", **values) -> Waiter:
        made = await self.waiter(dest, type_, **values)
        await self.answers()
        assert made.is_bridged
        return made
