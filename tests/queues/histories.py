"""Random histories of three workers on one database: callers, agents, orders, and all that fails.

A history is known by its number and is played on virtual time, on a database in memory that answers
in any order, or on a real one, whose order is not ours. Supervisors take, move, part and put out
callers; workers stand still and are killed, their clocks differ and are set, commits fail before
and after they are stored, definitions go and come and change during calls. Afterwards, and at any
quiet moment, what must hold is read from the database and from the log:

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
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from random import Random
from typing import Any

from tests.queues.contact_centre import agent, queue
from tests.queues.killable import (
    AGENTS,
    DEFINITIONS,
    QUEUES,
    Caller,
    Worker,
)
from tests.queues.shared import quiet
from vxml_server.queues.centre import NoSuchAgent
from vxml_server.queues.definitions import Definition, kind_of
from vxml_server.queues.profiles import Group, Member
from vxml_server.queues.rows import Presence
from vxml_server.queues.telephony import Happening
from vxml_server.store import EventRecord, StoreError

CHANGED: tuple[Definition, ...] = (
    *DEFINITIONS,
    agent("ann", max_no_answer=0, wrap_up_time=30.0),
    agent("bob", ring_time=2.0, refusal_delay=0.0),
    agent("cyd", capacity={"voice": 1}),
    queue("idle", ("cyd",), strategy="top_down", priority=1.0),
    queue("robin", ("bob", "cyd"), strategy="ring_progressively", progress_interval=1.0),
    queue("all", members=(Member(group="some"),), strategy="ring_all", wrap_up_time=1.0),
    Group("some", ("ann", "bob")),
    Group("some", ("cyd",)),
)
"""What may stand instead of these."""
CAPACITY = {one.name: one.capacity["voice"] for one in AGENTS}
# How far (seconds) the clock of a worker is ahead of the others' in the beginning.
_AHEAD = (0.0, 0.0, 0.0, -2.0, 60.0, -600.0)


class History:
    """One history. `play` it; it raises `AssertionError` where something does not hold."""

    def __init__(self, number: int, workers: list[Worker], *, calm: bool) -> None:
        self.random = Random(number)
        self.workers = workers
        self.shared = workers[0].shared
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
            (self.a_definition_changes, 2),
            (self.a_supervisor_takes_a_caller, 4),
            (self.a_supervisor_moves_a_caller, 2),
            (self.a_supervisor_gives_a_caller_priority, 1),
            (self.a_supervisor_puts_a_caller_out, 1),
            (self.a_supervisor_parts_two, 3),
            (self.an_agent_wraps_up, 1),
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
        for other in self.workers:
            # The ten seconds are those of a database that answers.
            other.store.failures_before = other.store.failures_after = 0
        await self.elapse(10.0)
        await self.check()
        stored = await self.shared.rows()
        for name in ("entries", "offers"):
            mine = [row for row in stored[name] if row.worker == worker.centre.worker]
            assert [row for row in mine if row.state != "wrapping_up"] == [], "put right in 10 s"
        await worker.start(self.random)

    async def a_clock_is_set(self) -> None:
        self._one_that_runs().clock.ahead += self.random.choice([-600.0, -60.0, 60.0, 600.0])

    async def a_definition_goes_or_comes(self) -> None:
        worker = self._one_that_runs()
        await worker.do(self._redefine(worker, self.random.choice(DEFINITIONS)))

    async def _redefine(
        self, worker: Worker, definition: Definition, *, replace: bool = False
    ) -> None:
        board = worker.centre.board
        there = {*board.agents, *board.queues}
        try:
            if definition.name in there and not replace:
                task = worker.do(worker.centre.undefine(kind_of(definition), definition.name))
            else:
                task = worker.do(worker.centre.define(definition))
            while not task.done():
                await self.elapse(0.5)
            await task
        except StoreError:
            pass

    async def a_definition_changes(self) -> None:
        worker = self._one_that_runs()
        await worker.do(self._redefine(worker, self.random.choice(CHANGED), replace=True))

    async def a_supervisor_takes_a_caller(self) -> None:
        """For an agent, or one for each of two at the same moment."""
        if (caller := self._one_who_waits()) is not None:
            offers = caller.worker.centre.offers
            for _ in range(self.random.choice([1, 1, 2])):
                caller.worker.do(offers.offer_to(caller.entry, self.random.choice(AGENTS).name))

    async def a_supervisor_moves_a_caller(self) -> None:
        if (caller := self._one_who_waits()) is not None:
            caller.worker.do(caller.move_to(self.random.choice(QUEUES).name))

    async def a_supervisor_gives_a_caller_priority(self) -> None:
        if (caller := self._one_who_waits()) is not None:
            caller.worker.do(caller.worker.centre.prioritise(caller.entry, self.random.random()))

    async def a_supervisor_puts_a_caller_out(self) -> None:
        if (caller := self._one_who_waits()) is not None:
            caller.worker.do(caller.worker.centre.put_out(caller.entry))

    async def a_supervisor_parts_two(self) -> None:
        """Hangs up an offer or a conversation, or sends the caller back to his place first."""
        offers = [
            (worker, offering)
            for worker in self._running()
            for offering in worker.centre.offers._offerings.values()
        ]
        if offers:
            worker, offering = self.random.choice(offers)
            if offering.is_bridged and self.random.random() < 0.7:
                offering.caller.send_on("", self.random.choice(["", *(one.name for one in AGENTS)]))
            worker.do(worker.centre.offers.part(offering.offer.id))

    async def an_agent_wraps_up(self) -> None:
        worker = self._one_that_runs()
        worker.do(worker.centre.release(self.random.choice(AGENTS).name))

    def _one_who_waits(self) -> Caller | None:
        there = [
            one
            for worker in self._running()
            for one in worker.callers
            if not one.is_over and one.entry and one.with_agent is None
        ]
        return self.random.choice(there) if there else None

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
            self.shared.traffic,
            [worker.store for worker in running],
            [worker.centre for worker in running if worker.is_alive],
            self.shared.last,
        )

    # What must hold ----------------------------------------------------------------------------

    async def check(self) -> None:
        stored = await self.shared.rows()
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

    async def check_log(self) -> None:
        facts = [
            fact
            for fact in await self.shared.facts(self._began_at)
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

    # Beginning and end -------------------------------------------------------------------------

    async def _begin(self) -> None:
        self._began_at = await self.shared.last()
        await self.shared.clear(DEFINITIONS)
        for worker in self.workers:
            worker.callers = []
            worker.clock.ahead = 0.0 if self._is_calm else self.random.choice(_AHEAD)
            await worker.start(Random(self.random.random()))
        await self.quiet()

    async def _end(self) -> None:
        """All is well again: everybody is served, and nobody is left over."""
        for worker in self.workers:
            worker.thaw()
            worker.store.failures_before = worker.store.failures_after = 0
        await self.elapse(12.0)
        first = self.workers[0].centre
        there = {
            **{name: one.profile for name, one in first.board.agents.items()},
            **first.board.queues,
        }
        for definition in DEFINITIONS:
            if there.get(definition.name) != definition:
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
            stored = await self.shared.rows()
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
