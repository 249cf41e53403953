"""Random histories of three workers on one real database: callers, agents, and all that can fail.

A history is known by its number and is played on virtual time; only the order in which the
database answers is not ours. Workers stand still and are killed, their clocks are set, commits fail
before and after they are stored, definitions go and come. Afterwards, and at any quiet moment, what
must hold is read from the database and from the log:

- an agent is as busy as he has open offers, and never beyond his capacity;
- no worker that runs rings an agent beyond his capacity;
- each offer has one outcome, each caller who entered has left once;
- nobody is stuck: in the end all callers are served or gone and all agents are free;
- in a history without failures nobody is offered before one of his worker who waits longer for the
  same.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

from sqlalchemy import Connection, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.queues.contact_centre import agent, queue
from tests.queues.telephones import FakeCaller, FakeTelephone
from vxml_server.clock import VirtualClock
from vxml_server.queues.centre import ContactCentre, NoSuchAgent, NoSuchQueue
from vxml_server.queues.definitions import Definition, kind_of, written
from vxml_server.queues.profiles import Agent
from vxml_server.queues.rows import Exit, Offer, Presence
from vxml_server.queues.telephony import Happening
from vxml_server.store import EventRecord, Store, StoreError, queue_tables

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
CAPACITY = {one.name: one.capacity["voice"] for one in AGENTS}
TABLES = ("agents", "entries", "offers", "cursors", "definitions", "workers")
WORKERS = 3
_COUNTERS = queue_tables.workers.metadata.tables["counters"]
_LAST = select(_COUNTERS.c.value).where(_COUNTERS.c.name == "event")
_ROWS = {name: select(getattr(queue_tables, name)) for name in ("agents", "entries", "offers")}
Result = TypeVar("Result")


class SteppedClock(VirtualClock):
    """A clock whose time of day somebody sets."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0

    def utc_now(self) -> datetime:
        return super().utc_now() + timedelta(seconds=self.ahead)


class Traffic:
    """What goes on between the stores of some workers and their database."""

    def __init__(self) -> None:
        self.begun = 0
        """How often anything was asked so far."""
        self.was_quiet_at = 0
        """What was `begun` when last all knew everything."""
        self._open = 0
        self._is_still = asyncio.Event()
        self._is_still.set()

    @contextmanager
    def passing(self) -> Iterator[None]:
        self.begun += 1
        self._open += 1
        self._is_still.clear()
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._is_still.set()

    async def settle(self) -> None:
        """Until nobody waits for the database or does anything but wait for time."""
        begun = -1
        while self._open or begun != self.begun:
            begun = self.begun
            await self._is_still.wait()
            for _ in range(15):
                await asyncio.sleep(0)


class FaultyStore(Store):
    """A store that stands still or fails when it is told to."""

    failures_before = 0
    failures_after = 0
    gate: asyncio.Event | None = None
    traffic: Traffic
    """Of all workers."""
    reader: Store
    """Of the same database, without failures; of the first worker alone."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        async with self._failing(), super().transaction() as connection:
            yield connection

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        async with self._failing():
            return await super().write(work)

    @asynccontextmanager
    async def _failing(self) -> AsyncIterator[None]:
        if self.failures_before > 0:
            self.failures_before -= 1
            raise StoreError("failed before it was stored")
        async with self._passing():
            yield
        if self.failures_after > 0:
            self.failures_after -= 1
            raise StoreError("failed after it was stored")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        async with self._passing(), super().reading() as connection:
            yield connection

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[AsyncConnection]:
        async with self._passing(), super().looking() as connection:
            yield connection

    @asynccontextmanager
    async def _passing(self) -> AsyncIterator[None]:
        if self.gate is not None:
            await self.gate.wait()
        with self.traffic.passing():
            yield


async def quiet(
    traffic: Traffic,
    stores: Sequence[FaultyStore],
    centres: Sequence[ContactCentre],
    last: Callable[[], Coroutine[Any, Any, int]],
) -> None:
    """Until nobody waits for the database, and all centres have read the log to its `last` fact."""
    while True:
        await traffic.settle()
        if (begun := traffic.begun) == traffic.was_quiet_at:
            return
        number = await last()
        if any(centre._replica._seq < number for centre in centres):
            for store in stores:
                store.feed.wake()
        elif begun == traffic.begun:
            traffic.was_quiet_at = begun
            return


async def last_of(store: Store) -> int:
    """The number of the last fact in the log, past all failures of the store."""
    async with Store.looking(store) as connection:
        return int((await connection.execute(_LAST)).scalar_one())


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

    async def enter(self) -> None:
        centre = self.worker.centre
        self._entered_at = self._entered_at or centre.now()
        try:
            self.entry = await centre.enter(
                self, self.queue, self.name, entered_at=self._entered_at
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

    def parted(self, offer: Offer) -> None:
        super().parted(offer)
        self.is_over = True


class Worker:
    """One worker: its clock, its store, and its contact centre as long as it lives."""

    def __init__(self, store: FaultyStore, clock: SteppedClock, name: str) -> None:
        self.store = store
        self.clock = clock
        self.name = name
        self.callers: list[Caller] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.centre: ContactCentre

    async def start(self, random: Random) -> None:
        self.centre = ContactCentre(self.store, self.clock, random, worker=self.name)
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


class History:
    """One history. `play` it; it raises `AssertionError` where something does not hold."""

    def __init__(self, number: int, workers: list[Worker], *, calm: bool) -> None:
        self.random = Random(number)
        self.workers = workers
        self._is_calm = calm
        self._names = iter(f"call{one}" for one in range(10**6))
        self._began_at = 0

    async def play(self, steps: int = 25) -> None:
        await self._begin()
        actions = self._actions()
        kinds, weights = zip(*actions, strict=True)
        for _ in range(steps):
            (action,) = self.random.choices(kinds, weights)
            await action()
            await self.quiet()
            await self.check()
        await self._end()
        await self.check_log()

    # What may happen ---------------------------------------------------------------------------

    def _actions(self) -> list[tuple[Callable[[], Coroutine[Any, Any, None]], int]]:
        usual = [
            (self.a_caller_comes, 8),
            (self.something_happens_on_a_telephone, 14),
            (self.a_caller_goes, 2),
            (self.an_agent_says_where_he_is, 3),
            (self.all_agents_come, 2),
            (self.time_passes, 8),
        ]
        failures = [
            (self.a_commit_fails, 3),
            (self.a_worker_stands_still, 1),
            (self.a_worker_is_killed, 1),
            (self.a_clock_is_set, 1),
            (self.a_definition_goes_or_comes, 2),
        ]
        return usual if self._is_calm else [*usual, *failures]

    async def a_caller_comes(self) -> None:
        worker = self._one_that_runs()
        name = self.random.choice(QUEUES).name
        caller = Caller(worker, name, next(self._names))
        worker.callers.append(caller)
        task = worker.do(caller.enter())
        if self.random.random() < 0.1:
            # He hangs up while he is being entered.
            for _ in range(self.random.randrange(30)):
                await asyncio.sleep(0)
            caller.is_over = True
            task.cancel()

    async def something_happens_on_a_telephone(self) -> None:
        ringing = [one for worker in self._running() for one in worker.telephones()]
        if ringing:
            happenings = self.random.choice(
                [
                    *[(Happening.ANSWERED,)] * 3,
                    *[(Happening.HUNG_UP,)] * 2,
                    (Happening.RINGING,),
                    (Happening.RINGING, Happening.ANSWERED, Happening.HUNG_UP),
                    (Happening.BUSY,),
                    (Happening.REFUSED,),
                    (Happening.NO_ANSWER,),
                ]
            )
            self.random.choice(ringing).happen(*happenings)

    async def a_caller_goes(self) -> None:
        there = [one for worker in self._running() for one in worker.callers if not one.is_over]
        if there:
            caller = self.random.choice(there)
            caller.worker.do(caller.leave())

    async def an_agent_says_where_he_is(self) -> None:
        await self._says(self.random.choice(AGENTS).name, self.random.choice(list(Presence)))

    async def all_agents_come(self) -> None:
        for one in AGENTS:
            await self._says(one.name, Presence.AVAILABLE)

    async def _says(self, name: str, presence: Presence) -> None:
        worker = self._one_that_runs()

        async def says() -> None:
            with suppress(NoSuchAgent):
                await worker.centre.present(name, presence)

        worker.do(says())
        await self.quiet()

    async def time_passes(self) -> None:
        await self.elapse(self.random.choice([0.5, 2.0, 4.0, 12.0]))

    async def a_commit_fails(self) -> None:
        store = self._one_that_runs().store
        if self.random.random() < 0.5:
            store.failures_before = self.random.randint(1, 3)
        else:
            store.failures_after = self.random.randint(1, 2)

    async def a_worker_stands_still(self) -> None:
        worker = self._one_that_runs()
        if len(self._running()) < 2:
            return
        worker.freeze()
        await self.elapse(30.0)
        worker.thaw()
        # It wakes, and does all at once what it has missed.
        worker.clock.advance(30.0)

    async def a_worker_is_killed(self) -> None:
        worker = self._one_that_runs()
        await worker.kill()
        await self.elapse(10.0)
        await self.check()
        stored = await self._rows()
        for name in ("entries", "offers"):
            mine = [row for row in stored[name] if row.worker == worker.centre.worker]
            assert [row for row in mine if row.state != "wrapping_up"] == [], "put right in 10 s"
        await worker.start(self.random)

    async def a_clock_is_set(self) -> None:
        self._one_that_runs().clock.ahead += self.random.choice([-600.0, -60.0, 60.0, 600.0])

    async def a_definition_goes_or_comes(self) -> None:
        worker = self._one_that_runs()
        await worker.do(self._redefine(worker, self.random.choice(DEFINITIONS)))

    async def _redefine(self, worker: Worker, definition: Definition) -> None:
        board = worker.centre.board
        try:
            if definition.name in (board.agents if isinstance(definition, Agent) else board.queues):
                task = worker.do(worker.centre.undefine(kind_of(definition), definition.name))
            else:
                task = worker.do(worker.centre.define(definition))
            while not task.done():
                await self.elapse(0.5)
            await task
        except StoreError:
            pass

    # Time --------------------------------------------------------------------------------------

    def _running(self) -> list[Worker]:
        return [worker for worker in self.workers if not worker.is_frozen]

    def _one_that_runs(self) -> Worker:
        return self.random.choice(self._running())

    async def elapse(self, seconds: float) -> None:
        """Moves the time of all that run, and lets happen what then happens."""
        while seconds > 0:
            step = min(seconds, 2.0)
            seconds -= step
            for worker in self._running():
                worker.clock.advance(step)
            await self.quiet()

    async def quiet(self) -> None:
        """Until nobody does anything, and all that run know the whole log."""
        running = self._running()
        await quiet(
            self.workers[0].store.traffic,
            [worker.store for worker in running],
            [worker.centre for worker in running if worker.is_alive],
            self._last,
        )

    async def _last(self) -> int:
        return await last_of(self._reader)

    @property
    def _reader(self) -> Store:
        """Looks at the database past all failures."""
        return self.workers[0].store.reader

    # What must hold ----------------------------------------------------------------------------

    async def check(self) -> None:
        stored = await self._rows()
        agents, offers = stored["agents"], stored["offers"]
        entries = {row.id: row for row in stored["entries"]}
        busy = Counter(offer.agent for offer in offers)
        for row in agents:
            assert row.busy.get("voice", 0) == busy[row.name] <= CAPACITY[row.name], row.name
        live = Counter(offer.entry for offer in offers if offer.outcome is None)
        assert set(live) <= set(entries)
        for entry_id, entry in entries.items():
            assert entry.offers == live[entry_id]
        for worker in self._running():
            rung = Counter(one.agent for other in self._running() for one in other.telephones())
            for name, count in rung.items():
                assert count <= CAPACITY[name], f"{name} rings {count} times ({worker.name})"

    async def _rows(self) -> dict[str, list[Any]]:
        """All rows by table, as they are at one moment."""
        async with self._reader.reading() as connection:
            return {name: list(await connection.execute(one)) for name, one in _ROWS.items()}

    async def check_log(self) -> None:
        facts = [
            fact
            for fact in await self._facts()
            if fact.name.startswith(("queue.", "offer.")) and "entry" in fact.data
        ]
        entered = [f.data["entry"] for f in facts if f.name == "queue.entered"]
        left = [f.data["entry"] for f in facts if f.name == "queue.left"]
        assert Counter(entered) == Counter(left), "who entered leaves, once"
        assert max(Counter(entered).values(), default=1) == 1
        made = Counter(f.data["offer"] for f in facts if f.name == "offer.reserved")
        outcomes = defaultdict(set)
        for fact in facts:
            if "outcome" in fact.data:
                outcomes[fact.data["offer"]].add(fact.data["outcome"])
        assert set(made.values()) <= {1}
        assert set(made) == set(outcomes), "each offer has an outcome"
        assert all(len(some) == 1 for some in outcomes.values()), "and only one"
        self._check_room(facts)
        if self._is_calm:
            self._check_order(facts)

    def _check_room(self, facts: list[EventRecord]) -> None:
        """At no moment of the log has an agent more than he has room for."""
        open_offers: Counter[str] = Counter()
        for fact in facts:
            if fact.name == "offer.reserved":
                open_offers[fact.agent] += 1
                assert open_offers[fact.agent] <= CAPACITY[fact.agent], fact
            elif fact.name == "offer.closed":
                open_offers[fact.agent] -= 1

    def _check_order(self, facts: list[EventRecord]) -> None:
        """Nobody is offered while another of his worker has waited longer for the same.

        Between workers it may be so for as long as news takes.
        """
        of_worker = {f.data["entry"]: f.data["worker"] for f in facts if f.name == "queue.entered"}
        since: dict[Any, float] = {}
        queues: dict[Any, str] = {}
        offered: Counter[Any] = Counter()
        free_at: dict[Any, datetime] = {}
        # Of one decision several workers make offers, in any order.
        reserved = {(f.data["entry"], f.at) for f in facts if f.name == "offer.reserved"}
        for fact in facts:
            entry = fact.data["entry"]
            match fact.name:
                case "queue.entered":
                    since[entry] = float(str(fact.data["since"]))
                    queues[entry] = fact.queue
                    free_at[entry] = fact.at
                case "queue.left" | "queue.connected":
                    since.pop(entry, None)
                case "offer.reserved":
                    if fact.queue != "all" and entry in since:
                        before = [
                            other
                            for other, at in since.items()
                            if at < since[entry]
                            and queues[other] == fact.queue
                            and of_worker[other] == of_worker[entry]
                            and not offered[other]
                            and free_at[other] < fact.at
                            and (other, fact.at) not in reserved
                        ]
                        assert before == [], f"{before} before {entry} at {fact.at}"
                    offered[entry] += 1
                case "offer.closed" | "offer.wrapping_up" if fact.data["outcome"]:
                    offered[entry] -= 1
                    free_at[entry] = fact.at

    async def _facts(self) -> list[EventRecord]:
        found: list[EventRecord] = []
        after = self._began_at
        while some := await self._reader.events(after=after, limit=1000):
            found += some
            after = some[-1].seq
        return found

    # Beginning and end -------------------------------------------------------------------------

    async def _begin(self) -> None:
        self._began_at = await self._last()
        async with self._reader.transaction() as connection:
            for name in TABLES:
                await connection.execute(getattr(queue_tables, name).delete())
            rows = [
                {"kind": kind_of(one), "name": one.name, "body": written(one), "declared": False}
                for one in DEFINITIONS
            ]
            await connection.execute(queue_tables.definitions.insert(), rows)
        for worker in self.workers:
            worker.callers = []
            await worker.start(Random(self.random.random()))
        await self.quiet()

    async def _end(self) -> None:
        """All is well again: everybody is served, and nobody is left over."""
        for worker in self.workers:
            worker.thaw()
            worker.store.failures_before = worker.store.failures_after = 0
        await self.elapse(12.0)
        first = self.workers[0].centre
        there = {*first.board.agents, *first.board.queues}
        for definition in DEFINITIONS:
            if definition.name not in there:
                await first.define(definition)
        for _ in range(40):
            await self.all_agents_come()
            for worker in self.workers:
                for telephone in worker.telephones():
                    telephone.happen(Happening.ANSWERED)
            await self.quiet()
            for worker in self.workers:
                for telephone in worker.telephones():
                    telephone.happen(Happening.HUNG_UP)
            await self.elapse(4.0)
            stored = await self._rows()
            if not stored["entries"] and not stored["offers"]:
                break
        else:
            raise AssertionError(f"stuck: {stored}")
        await self.check()
        assert all(caller.is_over for worker in self.workers for caller in worker.callers)
        assert all(worker.centre.counters.restarts == 0 for worker in self.workers)
        for worker in self.workers:
            for task in list(worker.tasks):
                await task
            await worker.centre.stop()


async def open_workers(url: str) -> list[Worker]:
    """Three workers, each with its own connections; the first one's store has a `reader`."""
    workers = []
    traffic = Traffic()
    for number in range(WORKERS):
        clock = SteppedClock()
        store = await FaultyStore.open(url, clock, worker=f"w{number}")
        store.traffic = traffic
        workers.append(Worker(store, clock, f"w{number}"))
    workers[0].store.reader = await Store.open(url, SteppedClock(), worker="reader")
    return workers


async def close_workers(workers: list[Worker]) -> None:
    await workers[0].store.reader.close()
    for worker in workers:
        await worker.store.close()
