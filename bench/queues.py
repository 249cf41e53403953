"""How fast queues decide: real rows, real matching, a real database; calls and time are simulated.

10,000 agents in 50 queues, 1,000 callers who wait, 200 calls a second of virtual time. A *decision*
is what lies between "an agent or a caller has come" and "the reservation is in the database": the
board's assignments, the claim, and its commit. Printed: its percentiles in milliseconds, what of
them is matching alone, how they grow with the size of the contact centre (a fit of milliseconds
to c * n^k), against the same commit done bare, and how fast a day of calls is added up again from
the log (`queue_day.py`). With PostgreSQL also what several workers do (`queue_workers.py`).

    python bench/queues.py [--full] [--url postgresql+asyncpg://user@host/name]

Without `--full` fewer decisions and a twenty-fifth of the day, whose time is told for all of it.
The tables of queues and the log of the database are emptied.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import itertools
import math
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from queue_day import replay
from queue_workers import together
from sqlalchemy import text

from vxml_server.clock import VirtualClock
from vxml_server.queues.board import Board
from vxml_server.queues.ledger import Ledger
from vxml_server.queues.matching import Assignment
from vxml_server.queues.profiles import Agent, Member, Queue, Strategy
from vxml_server.queues.rows import Change, Entry, EntryState, Exit, Presence, day_of
from vxml_server.queues.transitions import (
    OfferEvent,
    advance,
    claim,
    enter,
    leave,
    present,
)
from vxml_server.store import Store

TARGETS = {"sqlite": 5.0, "postgresql": 10.0}
"""Milliseconds, for the 99th percentile of decisions at full size."""
CALLS_A_SECOND = 200.0
FULL_SIZE = 10_000
CALLS_OF_A_DAY, REPLAY_TARGET = 500_000, 60.0
"""The target is in seconds."""
WORKERS = 3
PATIENCE = 600.0
WRAP_UP = 5.0
STRATEGIES = (
    Strategy.LONGEST_IDLE,
    Strategy.ROUND_ROBIN,
    Strategy.FEWEST_CALLS,
    Strategy.BEST_SKILLED,
    Strategy.TOP_DOWN,
)


@dataclass(slots=True)
class Measured:
    """Seconds of each decision: all of it, and the matching alone."""

    decisions: list[float] = field(default_factory=list)
    matching: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    """Of each decision, what this process computed: others on the machine do not change it."""
    calls: int = 0
    waiting: list[int] = field(default_factory=list)
    wall: float = 0.0


class Simulation:
    """One worker, on virtual time, with a real database."""

    def __init__(self, ledger: Ledger, agents: int, queues: int, waiting: int, seed: int) -> None:
        self.board = Board()
        self.measured = Measured()
        self._ledger = ledger
        self._chance = random.Random(seed)
        self._now = 1_000_000.0
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, str, str]] = []
        self._agents = [
            Agent(
                f"a{number}",
                line=f"a{number}",
                skills={f"s{number % 7}": self._chance.randrange(101)},
            )
            for number in range(agents)
        ]
        # Every agent serves two queues, so that queues compete.
        seats: list[list[str]] = [[] for _ in range(queues)]
        for number, agent in enumerate(self._agents):
            for step in (0, 1):
                seats[(number * 2 + step) % queues].append(agent.name)
        self._queues = [
            Queue(
                f"q{number}",
                tuple(Member(agent=name, tier=1 + place % 3) for place, name in enumerate(names)),
                strategy=STRATEGIES[number % len(STRATEGIES)],
            )
            for number, names in enumerate(seats)
        ]
        self._wanted = waiting
        # Of so many agents each takes a call as often as callers come at full size.
        self._rate = CALLS_A_SECOND * agents / FULL_SIZE
        self._talk = agents / self._rate - WRAP_UP

    async def prepare(self) -> None:
        """Signs everybody in and fills the queues: everyone talks, `waiting` callers wait."""
        board, now = self.board, self._now
        board.define(self._agents, (), self._queues)
        changes: list[Change] = []
        for agent in self._agents:
            changes.append(present(board.row(agent.name), Presence.AVAILABLE, now))
            board.apply(changes[-1])
        await self._commit_all(changes)
        await self._talk_everywhere()
        for _ in range(self._wanted):
            await self._store(enter(self._entry(), now))
        board.assignments(now)

    async def _talk_everywhere(self) -> None:
        """Every agent has a call that ends some time: nobody is free at the beginning."""
        changes = []
        for agent in self._agents:
            entered = enter(self._entry(), self._now)
            row = self.board.row(agent.name)
            claimed = claim(row, agent, entered.entries[0], self._id(), self._now)
            step = claimed
            steps = [entered, claimed]
            for event in (OfferEvent.ANSWER, OfferEvent.BRIDGE):
                step = advance(
                    *(step.offers[0], event, (step.agents or claimed.agents)[0], agent),
                    (step.entries or claimed.entries)[0],
                    now=self._now,
                    today=day_of(self._now, UTC),
                )
                steps.append(step)
            for one in steps:
                self.board.apply(one)
            changes += steps
            self._plan(self._chance.uniform(0, self._talk), "done", step.offers[0].id)
        await self._commit_all(changes)

    async def _commit_all(self, changes: Sequence[Change]) -> None:
        for start in range(0, len(changes), 400):
            assert await self._ledger.commit(*changes[start : start + 400])

    async def run(self, decisions: int) -> Measured:
        """Until so many decisions have been made."""
        began = time.perf_counter()
        self._plan(0.0, "arrival", "")
        while len(self.measured.decisions) < decisions:
            self._now, _, what, whom = heapq.heappop(self._agenda)
            await self._happen(what, whom)
            self.measured.waiting.append(
                sum(e.state is EntryState.WAITING for e in self.board.entries.values())
            )
        self.measured.wall = time.perf_counter() - began
        return self.measured

    async def _happen(self, what: str, whom: str) -> None:
        match what:
            case "arrival":
                self.measured.calls += 1
                self._plan(self._chance.expovariate(self._rate), "arrival", "")
                change = enter(self._entry(), self._now)
                await self._store(change)
                self._plan(self._chance.expovariate(1 / PATIENCE), "patience", change.entries[0].id)
            case "done":
                await self._step(whom, OfferEvent.HANG_UP)
                self._plan(WRAP_UP, "free", whom)
                return
            case "free":
                await self._step(whom, OfferEvent.WRAPPED_UP)
            case "patience":
                entry = self.board.entries.get(whom)
                if entry is not None and entry.state is EntryState.WAITING and not entry.offers:
                    await self._store(leave(entry, Exit.ABANDONED, self._now))
                return
        await self._decide()

    async def _decide(self) -> None:
        began, used = time.perf_counter(), time.process_time()
        assignments = self.board.assignments(self._now)
        matched = time.perf_counter()
        self.measured.matching.append(matched - began)
        last = matched
        for assignment in assignments:
            await self._claim(assignment)
            now = time.perf_counter()
            self.measured.decisions.append(matched - began + now - last)
            last = now
        if assignments:
            used = time.process_time() - used
            self.measured.processor.append(used / len(assignments))
        if assignments:
            for assignment in assignments:
                (offer,) = self.board.offers_of_entry(assignment.entry)
                await self._step(offer.id, OfferEvent.ANSWER)
                await self._step(offer.id, OfferEvent.BRIDGE)
                self._plan(self._chance.expovariate(1 / self._talk), "done", offer.id)

    async def _claim(self, assignment: Assignment) -> None:
        agent = self.board.agents[assignment.agent]
        entry = self.board.entries[assignment.entry]
        await self._store(claim(agent.row, agent.profile, entry, self._id(), self._now))

    async def _step(self, offer_id: str, event: OfferEvent) -> None:
        offer = self.board.offers[offer_id]
        agent = self.board.agents[offer.agent]
        await self._store(
            advance(
                *(offer, event, agent.row, agent.profile, self.board.entries.get(offer.entry)),
                now=self._now,
                today=day_of(self._now, UTC),
                wrap_up_time=WRAP_UP,
            )
        )

    async def _store(self, change: Change) -> None:
        assert await self._ledger.commit(change), "there is nobody else"
        self.board.apply(change)

    def _entry(self) -> Entry:
        chance = self._chance
        skills = {f"s{chance.randrange(7)}": 1} if chance.random() < 0.2 else {}
        return Entry(
            self._id(),
            f"q{chance.randrange(len(self._queues))}",
            "call",
            self._ledger.worker,
            self._now,
            priority=chance.choice((0.0, 0.0, 0.0, 5.0)),
            skills=skills,
            draw=chance.random(),
        )

    def _id(self) -> str:
        return f"{self._chance.getrandbits(96):024x}"

    def _plan(self, after: float, what: str, whom: str) -> None:
        heapq.heappush(self._agenda, (self._now + after, next(self._order), what, whom))


async def measure(url: str, agents: int, queues: int, waiting: int, decisions: int) -> Measured:
    """One simulation on an empty database."""
    clock = VirtualClock()
    store = await Store.open(url, clock, worker=f"bench{agents}")
    async with store.transaction() as connection:
        for table in ("agents", "queue_entries", "queue_offers", "queue_cursors", "events"):
            await connection.execute(text(f"DELETE FROM {table}"))
    simulation = Simulation(Ledger(store, "bench"), agents, queues, waiting, seed=agents)
    await simulation.prepare()
    try:
        return await simulation.run(decisions)
    finally:
        await store.close()


async def bare_commit(url: str, count: int) -> list[float]:
    """Seconds of the same statements as a claim makes, without queues: the floor of a decision."""
    clock = VirtualClock()
    store = await Store.open(url, clock, worker="floor")
    seconds = []
    for number in range(count):
        began = time.perf_counter()
        async with store.transaction() as connection:
            await connection.execute(
                text("UPDATE counters SET value = value + 1 WHERE name = 'event'")
            )
            await connection.execute(
                text(
                    "INSERT INTO events (seq, call_id, at, name, data)"
                    " SELECT value, 'c', :at, 'bare', '{}' FROM counters WHERE name = 'event'"
                ),
                {"at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)}
                if url.startswith("postgresql")
                else {"at": "2026-01-01 00:00:00"},
            )
        seconds.append(time.perf_counter() - began)
    await store.close()
    return seconds


def percentile(values: Sequence[float], share: float) -> float:
    """In milliseconds."""
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def told(name: str, values: Sequence[float]) -> str:
    shares = {"median": 0.5, "95 %": 0.95, "99 %": 0.99, "most": 1.0}
    figures = "   ".join(f"{word} {percentile(values, part):7.2f}" for word, part in shares.items())
    return f"  {name:<22} {figures} ms"


def growth(sizes: Sequence[int], times: Sequence[float]) -> float:
    """The exponent k of c * n^k, by least squares on logarithms."""
    xs, ys = [math.log(size) for size in sizes], [math.log(value) for value in times]
    x, y = statistics.fmean(xs), statistics.fmean(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum(
        (a - x) ** 2 for a in xs
    )


async def main() -> bool:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--full", action="store_true", help="20 minutes instead of a few")
    arguments.add_argument("--url", help="default: SQLite in a temporary folder")
    given = arguments.parse_args()
    passed = True
    with tempfile.TemporaryDirectory() as folder:
        url = given.url or f"sqlite+aiosqlite:///{Path(folder)}/queues.db"
        kind = "postgresql" if url.startswith("postgresql") else "sqlite"
        floor = await bare_commit(url, 300)
        print(f"{kind}")
        print(told("two statements, bare", floor))
        sizes, costs = [], []
        for parts in (8, 4, 2, 1):
            agents, waiting = FULL_SIZE // parts, 1000 // parts
            queues = max(2, 50 // parts)
            decisions = (4000 if given.full else 1000) // (1 if parts == 1 else 4)
            measured = await measure(url, agents, queues, waiting, decisions)
            print(
                f"{agents} agents, {queues} queues, {statistics.fmean(measured.waiting):.0f} wait,"
                f" {measured.calls} calls, {measured.calls / measured.wall:.0f} calls a second"
                f" ({len(measured.decisions)} decisions)"
            )
            print(told("matching alone", measured.matching))
            print(told("decision", measured.decisions))
            print(told("  of it our processor", measured.processor))
            sizes.append(agents)
            costs.append(statistics.median(measured.matching))
        worst = percentile(measured.decisions, 0.99)
        ratio = worst / percentile(floor, 0.99)
        exponent = growth(sizes, costs)
        target = TARGETS[kind]
        passed = worst < target and exponent <= 1.1
        print(f"decision, 99 %: {worst:.2f} ms (wanted: under {target:g}); {ratio:.1f}x the bare")
        print(f"matching grows as n^{exponent:.2f} (wanted: no faster than n log n)")
        share = 1 if given.full else 25
        day = await replay(url, CALLS_OF_A_DAY // share, FULL_SIZE // share, 50)
        seconds = day.wall * share
        passed = passed and day.is_same and seconds < REPLAY_TARGET
        print(
            f"{day.calls} calls, {day.facts} facts, added up from the log in {day.wall:.1f} s"
            f" ({day.processor:.1f} s of the processor); a day of {CALLS_OF_A_DAY}: {seconds:.0f} s"
            f" (wanted: under {REPLAY_TARGET:g}); {'the same' if day.is_same else 'OTHER'} figures"
        )
        if kind == "postgresql":
            found = await together(url, WORKERS, 10.0 if given.full else 4.0)
            print(told(f"news, {WORKERS} workers", found.news))
            print(
                f"offers made and ended: {found.rate:.0f} a second of {WORKERS} workers,"
                f" {found.rate_of_a_core:.0f} a second of a core (mod_callcenter: 60 to 67)"
            )
    print("passed" if passed else "NOT PASSED")
    return passed


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)
