"""A database in memory for the histories of several workers: it answers in any order, at no cost.

What is stored and what is refused is what `ledger` says; how long each answer takes, and so who is
first, is drawn by lot. A history on it is the same each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any, cast

from tests.databases import Traffic
from tests.queues.shared import Faults
from vxml_server.clock import Clock
from vxml_server.queues.centre import ContactCentre
from vxml_server.queues.definitions import Definition, Kind, kind_of
from vxml_server.queues.ledger import (
    PAST,
    Definitions,
    Ledger,
    Row,
    Snapshot,
    _change,
    _defined,
    _key,
    _merged,
    is_over,
)
from vxml_server.queues.profiles import Agent, Group, Queue
from vxml_server.queues.rows import AgentRow, Change, Entry, Offer, OfferState
from vxml_server.store import EventRecord, NewEvent, Store

# An answer takes so many turns of the loop at most.
_SLOWEST = 6


class Memory:
    """What is stored."""

    def __init__(self, random: Random) -> None:
        self.traffic = Traffic()
        self.stores: list[MemoryStore] = []
        self.table: dict[tuple[type[Row], str], Row] = {}
        self.cursors: dict[str, str] = {}
        self.definitions: dict[tuple[Kind, str], Definition] = {}
        self.beats: dict[str, int] = {}
        self.log: list[EventRecord] = []
        self._random = random

    async def answer(self) -> None:
        """Returns when the database feels like it."""
        for _ in range(self._random.randrange(_SLOWEST)):
            await asyncio.sleep(0)

    def append(self, facts: Sequence[NewEvent]) -> None:
        for one in facts:
            seq = len(self.log) + 1
            self.log.append(
                EventRecord(seq, one.call_id, one.at, one.name, one.data, one.queue, one.agent)
            )
        for store in self.stores:
            store.feed.wake()

    def some(self, kind: type[Row]) -> list[Any]:
        return [row for (its, _), row in self.table.items() if its is kind]

    def known(self) -> Definitions:
        every = self.definitions.values()
        return Definitions(
            agents=tuple(one for one in every if isinstance(one, Agent)),
            groups=tuple(one for one in every if isinstance(one, Group)),
            queues=tuple(one for one in every if isinstance(one, Queue)),
        )

    # As `Shared` ---------------------------------------------------------------------------------

    async def clear(self, definitions: Sequence[Definition]) -> None:
        self.table.clear()
        self.cursors.clear()
        self.beats.clear()
        self.definitions = {(kind_of(one), one.name): one for one in definitions}

    async def rows(self) -> Mapping[str, Sequence[Any]]:
        return {
            "agents": self.some(AgentRow),
            "entries": self.some(Entry),
            "offers": self.some(Offer),
        }

    async def last(self) -> int:
        return len(self.log)

    async def facts(self, after: int) -> list[EventRecord]:
        return self.log[after:]

    def centre(self, store: object, clock: Clock, random: Random, name: str) -> ContactCentre:
        assert isinstance(store, MemoryStore)
        # A store but for what the ledger asks of it, and that has a ledger of its own here.
        centre = ContactCentre(cast("Store", store), clock, random, worker=name)
        centre._replica.ledger = MemoryLedger(store, centre.worker)
        return centre

    async def close(self) -> None:
        pass


class MemoryStore(Faults):
    """What lies between one worker and the memory."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.traffic = memory.traffic
        self.feed = MemoryFeed(self)
        memory.stores.append(self)

    async def close(self) -> None:
        self.memory.stores.remove(self)

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[Memory]:
        async with self.passing():
            await self.memory.answer()
            yield self.memory
            await self.memory.answer()

    @asynccontextmanager
    async def told(self) -> AsyncIterator[Memory]:
        async with self.storing():
            await self.memory.answer()
            yield self.memory
            await self.memory.answer()


class MemoryFeed:
    """The log as it grows."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._news = asyncio.Event()

    def wake(self) -> None:
        self._news.set()

    async def batches(self, after: int) -> AsyncGenerator[Sequence[EventRecord], None]:
        while True:
            self._news.clear()
            async with self._store.asked() as memory:
                some = memory.log[after:]
            if some:
                after = some[-1].seq
                yield some
            else:
                await self._news.wait()


class MemoryLedger(Ledger):
    """The rows of all workers in one memory."""

    def __init__(self, store: MemoryStore, worker: str) -> None:
        super().__init__(cast("Store", store), worker)
        self._memory = store

    async def commit(self, *changes: Change, mark: str = "") -> bool:
        merged = _merged(changes).values()
        facts = [self._told(fact) for change in changes for fact in change.facts]
        if mark and facts:
            facts[-1] = replace(facts[-1], data={**facts[-1].data, "mark": mark})
        async with self._memory.told() as memory:
            for row, before in merged:
                there = memory.table.get((type(row), _key(row)[1]))
                if (there.generation if there else 0) != before:
                    return False
            for row, before in merged:
                key = (type(row), _key(row)[1])
                if is_over(row):
                    memory.table.pop(key, None)
                else:
                    memory.table[key] = row
                if isinstance(row, Offer) and before == 0:
                    memory.cursors[row.queue] = row.agent
            memory.append(facts)
        return True

    async def is_stored(self, mark: str, after: int) -> bool:
        async with self._memory.asked() as memory:
            return any(
                (fact.data.get("worker"), fact.data.get("mark")) == (self.worker, mark)
                for fact in memory.log[after:]
            )

    async def load(self) -> Snapshot:
        async with self._memory.told() as memory:
            rows = _change(memory.table.values())
            return Snapshot(rows, dict(memory.cursors), memory.known(), len(memory.log))

    async def past(self, names: Collection[str], seq: int) -> list[EventRecord]:
        async with self._memory.asked() as memory:
            newest = memory.log[max(0, seq - PAST) : seq]
            return [fact for fact in newest if fact.name in names]

    async def rows(
        self, agents: Collection[str], entries: Collection[str], offers: Collection[str]
    ) -> Change:
        wanted: tuple[tuple[type[Row], Collection[str]], ...]
        wanted = ((AgentRow, agents), (Entry, entries), (Offer, offers))
        async with self._memory.asked() as memory:
            return _change(
                memory.table[kind, key]
                for kind, keys in wanted
                for key in sorted(keys)
                if (kind, key) in memory.table
            )

    async def definitions(self) -> Definitions:
        async with self._memory.asked() as memory:
            return memory.known()

    async def define(self, definition: Definition, at: float, *, declared: bool = False) -> bool:
        kind, name = kind_of(definition), definition.name
        async with self._memory.told() as memory:
            known = memory.definitions.get((kind, name))
            if known != definition:
                memory.definitions[kind, name] = definition
                memory.append([self._told(_defined(kind, name, at, definition))])
        return known is None

    async def undefine(self, kind: Kind, name: str, at: float, *, declared: bool = False) -> bool:
        async with self._memory.told() as memory:
            found = memory.definitions.pop((kind, name), None)
            if found is not None:
                memory.append([self._told(_defined(kind, name, at))])
        return found is not None

    async def beat(self) -> bool:
        async with self._memory.told() as memory:
            if self.worker not in memory.beats:
                return False
            memory.beats[self.worker] += 1
            return True

    async def join(self) -> None:
        async with self._memory.told() as memory:
            memory.beats[self.worker] = 0

    async def beats(self) -> Mapping[str, int]:
        async with self._memory.asked() as memory:
            return dict(memory.beats)

    async def bury(self, worker: str) -> bool:
        async with self._memory.told() as memory:
            return memory.beats.pop(worker, None) is not None

    async def abandoned(self) -> Change:
        async with self._memory.asked() as memory:
            left: list[Row] = [
                row
                for row in memory.table.values()
                if not isinstance(row, AgentRow)
                and row.worker not in memory.beats
                and row.state is not OfferState.WRAPPING_UP
            ]
            agents = {row.agent for row in left if isinstance(row, Offer)}
            return _change([*left, *(memory.table[AgentRow, one] for one in sorted(agents))])
