"""Workers that may be killed, stand still and have clocks of their own, and their callers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from random import Random
from typing import Any

from tests.queues.contact_centre import agent, queue
from tests.queues.memory import Memory, MemoryStore
from tests.queues.shared import Database, FaultyStore, Shared
from tests.queues.telephones import FakeCaller, FakeTelephone
from vxml_server.clock import VirtualClock
from vxml_server.queues.centre import ContactCentre, NoSuchQueue
from vxml_server.queues.definitions import Definition
from vxml_server.queues.rows import Exit, Offer
from vxml_server.store import Store, StoreError

AGENTS = (
    agent("ann", max_no_answer=1),
    agent("bob", wrap_up_time=0.0),
    agent("cyd", capacity={"voice": 2}, wrap_up_time=3.0),
)
QUEUES = (
    queue("idle", ("ann", "bob", "cyd")),
    queue("robin", ("bob", "cyd"), strategy="round_robin"),
    queue("all", ("ann", "bob", "cyd"), strategy="ring_all"),
)
DEFINITIONS: tuple[Definition, ...] = (*AGENTS, *QUEUES)
WORKERS = 3


class SteppedClock(VirtualClock):
    """A clock whose time of day somebody sets."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0

    def utc_now(self) -> datetime:
        return super().utc_now() + timedelta(seconds=self.ahead)


class Caller(FakeCaller):
    """A caller who enters again when he was lost, in his place."""

    def __init__(self, worker: Worker, queue_name: str, name: str) -> None:
        super().__init__(worker.clock)
        self.worker = worker
        self.queue = queue_name
        self.name = name
        self.entry = ""
        self.is_over = False
        self._entered_at: float | None = None
        self._onwards: str | None = None

    async def enter(self, first: str = "") -> None:
        centre = self.worker.centre
        self._entered_at = self._entered_at or centre.now()
        self.entry = ""
        try:
            self.entry = await centre.enter(
                *(self, self.queue, self.name), entered_at=self._entered_at, first=first
            )
        except (NoSuchQueue, StoreError):
            self.is_over = True
        else:
            if self.is_over:
                # He hung up meanwhile.
                await self.leave()

    async def leave(self) -> None:
        self.is_there = False
        self.is_over = True
        if self.entry:
            await self.worker.centre.leave(self.entry, Exit.ABANDONED)

    def lost(self) -> None:
        super().lost()
        if not self.is_over:
            self.worker.do(self.enter())

    def put_out(self) -> None:
        super().put_out()
        self.is_over = True

    def send_on(self, dest: str, agent: str) -> None:
        super().send_on(dest, agent)
        self._onwards = agent

    def parted(self, offer: Offer) -> None:
        super().parted(offer)
        if self._onwards is None or self.is_over:
            self.is_over = True
            return
        onwards, self._onwards = self._onwards, None
        self.worker.do(self._go_on(onwards))

    async def _go_on(self, first: str) -> None:
        """Back to the queue, after the conversation."""
        await self.worker.centre.leave(self.entry, Exit.SERVED)
        await self.enter(first)

    async def move_to(self, queue_name: str) -> None:
        """To another queue, in his place."""
        if self.entry and self.with_agent is None and not self.is_over:
            entry, self.entry = self.entry, ""
            await self.worker.centre.leave(entry, Exit.MOVED)
            self.queue = queue_name
            if not self.is_over and self.with_agent is None:
                await self.enter()


class Worker:
    """One worker: its clock, its store, and its contact centre as long as it lives."""

    def __init__(
        self, shared: Shared, store: FaultyStore | MemoryStore, clock: SteppedClock, name: str
    ) -> None:
        self.shared = shared
        self.store = store
        self.clock = clock
        self.name = name
        self.callers: list[Caller] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.centre: ContactCentre

    async def start(self, random: Random) -> None:
        self.centre = self.shared.centre(self.store, self.clock, random, self.name)
        await self.centre.start()

    @property
    def is_frozen(self) -> bool:
        return self.store.gate is not None

    @property
    def is_alive(self) -> bool:
        return not self.centre._tasks[0].done()

    def freeze(self) -> None:
        self.store.gate = asyncio.Event()

    def thaw(self) -> None:
        if self.store.gate is not None:
            self.store.gate.set()
            self.store.gate = None

    def do(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def telephones(self) -> list[FakeTelephone]:
        """Those that ring or are talked on."""
        return [
            telephone
            for caller in self.callers
            for some in caller.telephones.values()
            for telephone in some
            if not telephone.is_hung_up
        ]

    async def kill(self) -> None:
        """The process is gone, in the middle of whatever it did."""
        offerings = [one._task for one in self.centre.offers._offerings.values()]
        tasks = {
            *self.tasks,
            *self.centre._tasks,
            *self.centre._errands,
            *self.centre._leaving.values(),
            *self.centre._replica._tasks,
            *(task for task in offerings if task is not None),
        }
        # What is being stored ends like a process that dies while it waits for the answer.
        self.centre._replica.give_up()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self.store.failures_before = self.store.failures_after = 0
        for caller in self.callers:
            caller.is_over = True
            for telephone in self.telephones():
                telephone.hang_up()
        self.callers = []


async def open_workers(url: str) -> list[Worker]:
    """Three workers on a real database, each with its own connections."""
    shared = Database(await Store.open(url, SteppedClock(), worker="reader"))
    workers = []
    for number in range(WORKERS):
        clock = SteppedClock()
        store = await FaultyStore.open(url, clock, worker=f"w{number}")
        store.traffic = shared.traffic
        workers.append(Worker(shared, store, clock, f"w{number}"))
    return workers


def workers_in_memory(number: int) -> list[Worker]:
    """Three workers on a database in memory, which answers as the history's number has it."""
    memory = Memory(Random(-1 - number))
    return [
        Worker(memory, MemoryStore(memory), SteppedClock(), f"w{one}") for one in range(WORKERS)
    ]


async def close_workers(workers: list[Worker]) -> None:
    for worker in workers:
        await worker.store.close()
    await workers[0].shared.close()
