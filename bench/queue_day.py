"""A day of a contact centre as the log has it, and how fast the log is added up again.

Callers come by chance through ten hours, are offered to agents who mostly answer, talk, are wrapped
up; some give up. Every fact is made by the transitions of the product itself and counted at once;
then it goes into the log. The replay forgets all that was added up and reads the log: the figures
must be the same, number by number.
"""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count, islice
from typing import Any

from sqlalchemy import select, text

from vxml_server.clock import VirtualClock
from vxml_server.queues.profiles import Agent
from vxml_server.queues.rows import AgentRow, Entry, Exit, Fact, Presence
from vxml_server.queues.statistics import Statistics, Table
from vxml_server.queues.summaries import Summaries
from vxml_server.queues.transitions import OfferEvent, advance, claim, enter, leave, present
from vxml_server.store import NewEvent, Store, append_rows, event_row, queue_tables

MORNING = datetime(2026, 1, 5, 8, tzinfo=UTC).timestamp()
WORKING_DAY = 36_000.0
GIVE_UP, DO_NOT_ANSWER = 0.05, 0.05
_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Replay:
    """What was in the log, and the seconds to add it up: of the wall and of this processor."""

    calls: int
    facts: int
    wall: float
    processor: float
    is_same: bool


async def replay(url: str, calls: int, agents: int, queues: int) -> Replay:
    """A day in an empty log, and the log added up."""
    store = await Store.open(url, VirtualClock(), worker="day")
    async with store.transaction() as connection:
        for name in ("events", "queue_summaries", "agent_summaries"):
            await connection.execute(text(f"DELETE FROM {name}"))
        await connection.execute(text("UPDATE summary_state SET seq = 0, state = '{}'"))
        await connection.execute(text("UPDATE counters SET value = 0 WHERE name = 'event'"))
    live, facts = Statistics(), 0
    day = _day(calls, agents, queues)
    while some := list(islice(day, _AT_ONCE)):
        for fact in some:
            live.observe(fact)
        rows = [event_row(_told(fact)) for fact in some]
        await store.write(partial(append_rows, rows=rows))
        facts += len(rows)
    began, used = time.perf_counter(), time.process_time()
    await Summaries(store, VirtualClock()).keep()
    wall, processor = time.perf_counter() - began, time.process_time() - used
    kept = [
        await _kept(store, table)
        for table in (queue_tables.queue_summaries, queue_tables.agent_summaries)
    ]
    await store.close()
    return Replay(calls, facts, wall, processor, kept == [live.queues, live.agents])


async def _kept(store: Store, table: Any) -> Table:
    async with store.reading() as connection:
        return {
            (name, slot): list(row) for name, slot, *row in await connection.execute(select(table))
        }


def _told(fact: Fact) -> NewEvent:
    at = datetime.fromtimestamp(fact.at, UTC)
    return NewEvent(
        fact.call_id, at, fact.name, {**fact.data, "worker": "w"}, fact.queue, fact.agent
    )


def _day(calls: int, agents: int, queues: int) -> Iterator[Fact]:
    """The facts of all in the order of time."""
    chance = random.Random(calls)
    order = count()
    later: list[tuple[float, int, Fact]] = []
    profiles = [Agent(f"a{number}", line=f"a{number}") for number in range(agents)]
    rows = []
    for profile in profiles:
        signed_in = present(AgentRow(profile.name), Presence.AVAILABLE, MORNING)
        rows.append(signed_in.agents[0])
        yield from signed_in.facts
    starts = sorted(chance.uniform(1, WORKING_DAY) for _ in range(calls))
    for number, start in enumerate(starts):
        at = MORNING + round(start, 3)
        while later and later[0][0] <= at:
            yield heapq.heappop(later)[2]
        one = number % agents
        for fact in _call(chance, number, at, rows[one], profiles[one], queues):
            heapq.heappush(later, (fact.at, next(order), fact))
    while later:
        yield heapq.heappop(later)[2]


def _call(
    chance: random.Random, number: int, at: float, row: AgentRow, profile: Agent, queues: int
) -> Sequence[Fact]:
    entry = Entry(f"e{number:023}", f"q{chance.randrange(queues)}", f"c{number:023}", "w", at)
    entered = enter(entry, at)
    entry = entered.entries[0]
    facts = [*entered.facts]
    at = round(at + min(chance.expovariate(1 / 20), 600.0), 3)
    if chance.random() < GIVE_UP:
        return [*facts, *leave(entry, Exit.ABANDONED, at).facts]
    for attempt in range(9):
        change = claim(row, profile, entry, f"o{attempt}{number:022}", at)
        facts += change.facts
        held, entry = change.agents[0], change.entries[0]
        is_answered = chance.random() > DO_NOT_ANSWER
        events: list[tuple[OfferEvent, float]] = [(OfferEvent.RING, 0.2)]
        if is_answered:
            talk = max(1.0, chance.expovariate(1 / 180))
            events += [(OfferEvent.ANSWER, chance.uniform(1, 9)), (OfferEvent.BRIDGE, 0.1)]
            events += [(OfferEvent.HANG_UP, talk), (OfferEvent.WRAPPED_UP, chance.uniform(1, 20))]
        else:
            events.append((OfferEvent.NO_ANSWER, 15.0))
        for event, after in events:
            at = round(at + after, 3)
            offer = change.offers[0]
            change = advance(offer, event, held, profile, entry, now=at, today="day")
            held = (change.agents or (held,))[0]
            entry = (change.entries or (entry,))[0]
            facts += change.facts
        if is_answered:
            break
    return facts
