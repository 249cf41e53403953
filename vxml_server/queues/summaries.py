"""Figures of queues and agents for any time: what was added up before, and the log since.

The database keeps what the log adds up to by quarters of an hour, with the number that this has
come to (`summary_state`). A report is that plus the facts with higher numbers, both as they are at
one moment. The rules that must hold: a fact counts once, whoever of several workers added it up;
whatever is kept here can be thrown away and comes again from the log.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import pairwise

import structlog
from sqlalchemy import Table as DatabaseTable
from sqlalchemy import bindparam, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from vxml_server.clock import Clock
from vxml_server.queues.statistics import (
    COUNTED,
    SLOT_MS,
    State,
    Statistics,
    Table,
    add,
    add_queue,
    service_level,
)
from vxml_server.store import Store, StoreError, event_table, queue_tables

_log = structlog.get_logger(__name__)
KEEP = 60.0
"""Seconds between two times at which what was added up is kept."""
LOOK = 15.0
"""Seconds between two looks at today's service levels."""
MOST_INTERVALS = 2000
_CHUNK = 1000
_KEEP_AFTER = 100_000
"""Facts after which what was added up is kept, while the log is far ahead."""
_SLOT = SLOT_MS // 1000
_DAY = 24 * 60


class TooManyIntervals(ValueError):
    """A report has at most `MOST_INTERVALS` intervals."""


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one queue or agent in one interval."""

    name: str
    start: datetime
    end: datetime
    figures: list[int]


@dataclass(frozen=True, slots=True)
class Report:
    """Rows by name and time; intervals in which nothing happened are left out."""

    start: datetime
    end: datetime
    queues: tuple[Row, ...]
    agents: tuple[Row, ...]


class Summaries:
    """The figures of one database. `start` it, ask it, `stop` it. Used on one loop."""

    def __init__(self, store: Store, clock: Clock, zone: tzinfo = UTC) -> None:
        """`zone` is where days and other intervals begin."""
        self._store = store
        self._clock = clock
        self.zone = zone
        self._lock = asyncio.Lock()
        # The facts up to `_base` are in the database, those up to `_seq` in `_since`.
        self._base: int | None = None
        self._seq = 0
        self._since = Statistics()
        self._levels: Mapping[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to keep what is added up."""
        self._task = asyncio.create_task(self._run(), name="queue summaries")

    async def stop(self) -> None:
        """What was not kept is in the log."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def service_levels(self) -> Mapping[str, float]:
        """Queue -> its service level today, as it was a moment ago."""
        return self._levels

    async def report(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        minutes: int | None = None,
        *,
        queue: str | None = None,
        agent: str | None = None,
    ) -> Report:
        """The figures from `start` (by default of today) to `end` (by default now), by intervals of
        15, 30 or 60 minutes, of a day (1440), or of all the time (None).

        The times are widened to whole intervals, without them to quarters of an hour. Of a queue,
        an agent, or both, or all of both. Raises `TooManyIntervals` and `StoreError`.
        """
        now = self._clock.utc_now()
        start = _midnight(now, self.zone) if start is None else start
        edges = _edges(start, now if end is None else end, minutes, self.zone)
        wanted: dict[bool, str | None] = {}
        if queue is not None or agent is None:
            wanted[True] = queue
        if agent is not None or queue is None:
            wanted[False] = agent
        found: dict[bool, Table] = {}
        async with self._lock:
            while True:
                async with self._store.reading() as connection:
                    if await self._catch_up(connection):
                        for is_queue, name in wanted.items():
                            found[is_queue] = await _kept(connection, is_queue, name, edges)
                        break
                await self._keep()
            if True in found:
                _merge(found[True], self._since.queues, queue, edges, is_queue=True)
            if False in found:
                open_time = self._since.unfinished(now.timestamp())
                for table in (self._since.agents, open_time):
                    _merge(found[False], table, agent, edges, is_queue=False)
        return Report(
            _instant(edges[0]),
            _instant(edges[-1]),
            _rows(found.get(True, {}), edges),
            _rows(found.get(False, {}), edges),
        )

    async def keep(self) -> None:
        """Adds up what the log has and keeps it. Raises `StoreError`."""
        async with self._lock:
            is_done = False
            while not is_done:
                async with self._store.reading() as connection:
                    is_done = await self._catch_up(connection)
                await self._keep()

    # Inside ------------------------------------------------------------------------------------

    async def _run(self) -> None:
        kept = -KEEP
        while True:
            try:
                if self._clock.monotonic() - kept >= KEEP:
                    await self.keep()
                    kept = self._clock.monotonic()
                today = await self.report(queue=None)
                levels = {row.name: service_level(row.figures) for row in today.queues}
                self._levels = {name: one for name, one in levels.items() if one is not None}
            except StoreError as error:
                _log.warning("figures cannot be added up", error=str(error))
            await self._clock.sleep(LOOK)

    async def _catch_up(self, connection: AsyncConnection) -> bool:
        """Adds up what has come; False when there is more, and this is to be kept first."""
        kept = queue_tables.summary_state
        seq, state = (await connection.execute(select(kept.c.seq, kept.c.state))).one()
        if seq != self._base:
            self._base = self._seq = seq
            self._since = Statistics(State.from_json(state))
        last = (await connection.execute(select(func.max(event_table.c.seq)))).scalar() or 0
        counted = 0
        while counted < _KEEP_AFTER:
            rows = (await connection.execute(_NEWS, {"after": self._seq, "last": last})).all()
            count = self._since.count
            for _, name, at, queue, agent, data in rows:
                count(name, at.timestamp(), queue, agent, data)
            counted += len(rows)
            if len(rows) < _CHUNK:
                self._seq = max(self._seq, last)
                return True
            self._seq = rows[-1][0]
        return False

    async def _keep(self) -> None:
        """Puts what was added up where all workers have it, unless another one was faster."""
        base, self._base = self._base, None  # whatever comes of it, it is looked at again
        if self._seq == base:
            self._base = base
            return
        table, since = queue_tables.summary_state, self._since
        async with self._store.transaction() as connection:
            done = await connection.execute(
                update(table)
                .where(table.c.seq == base)
                .values(seq=self._seq, state=since.state.to_json())
            )
            if done.rowcount != 1:
                return
            await _add(connection, queue_tables.queue_summaries, since.queues)
            await _add(connection, queue_tables.agent_summaries, since.agents)
        self._base, self._since = self._seq, Statistics(since.state)


# The database ------------------------------------------------------------------------------------

_NEWS = (
    select(
        *(event_table.c.seq, event_table.c.name, event_table.c.at),
        *(event_table.c.queue, event_table.c.agent, event_table.c.data),
    )
    .where(
        event_table.c.seq > bindparam("after"),
        event_table.c.seq <= bindparam("last"),
        event_table.c.name.in_(COUNTED),
    )
    .order_by(event_table.c.seq)
    .limit(_CHUNK)
)


async def _add(connection: AsyncConnection, table: DatabaseTable, more: Table) -> None:
    """Adds figures to those that are kept."""
    if not more:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    sums = {}
    for kept in table.columns:
        new = statement.excluded[kept.name]
        if kept.name == queue_tables.LONGEST:
            sums[kept.name] = case((new > kept, new), else_=kept)
        elif not kept.primary_key:
            sums[kept.name] = kept + new
    names = [kept.name for kept in table.columns]
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["name", "slot"], set_=sums),
        [
            dict(zip(names, (name, slot, *figures), strict=True))
            for (name, slot), figures in more.items()
        ],
    )


async def _kept(
    connection: AsyncConnection, is_queue: bool, name: str | None, edges: Sequence[int]
) -> Table:
    """What is kept for a queue or agent, or for all of them, by number of the interval."""
    table = queue_tables.queue_summaries if is_queue else queue_tables.agent_summaries
    sums = [
        (func.max if kept.name == queue_tables.LONGEST else func.sum)(kept)
        for kept in table.columns
        if not kept.primary_key
    ]
    found: Table = {}
    for place, first, width, count in _runs(edges):
        nth = ((table.c.slot - first) // width).label("place")
        query = (
            select(table.c.name, nth, *sums)
            .where(table.c.slot >= first, table.c.slot < first + width * count)
            .group_by(table.c.name, "place")
        )
        if name is not None:
            query = query.where(table.c.name == name)
        for row in await connection.execute(query):
            found[row[0], place + row[1]] = [int(value) for value in row[2:]]
    return found


# Intervals ---------------------------------------------------------------------------------------


def _midnight(at: datetime, zone: tzinfo) -> datetime:
    return datetime.combine(at.astimezone(zone).date(), time(), zone)


def _edges(start: datetime, end: datetime, minutes: int | None, zone: tzinfo) -> list[int]:
    """Where the intervals begin and the last one ends, as numbers of quarters of an hour."""
    last = -(-end.timestamp() // _SLOT)
    if minutes is None:
        first = start.timestamp() // _SLOT
        return [int(first), int(max(last, first))]
    edges = []
    at = _midnight(start, zone)
    if minutes < _DAY:
        local = start.astimezone(zone)
        at = local.replace(minute=local.minute // minutes * minutes, second=0, microsecond=0)
        at = at.astimezone(UTC)
    while True:
        edges.append(int(at.timestamp() // _SLOT))
        if edges[-1] >= last:
            return edges
        if len(edges) > MOST_INTERVALS:
            raise TooManyIntervals(f"expected at most {MOST_INTERVALS} intervals")
        # Of a day on the wall clock, which may have 23 or 25 hours; else of real time.
        at += timedelta(minutes=minutes)


def _runs(edges: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """(number, beginning, width, count) of intervals in a row that are equally wide."""
    runs: list[tuple[int, int, int, int]] = []
    for number, (first, after) in enumerate(pairwise(edges)):
        width = after - first
        if runs and runs[-1][2] == width:
            place, beginning, _, count = runs[-1]
            runs[-1] = (place, beginning, width, count + 1)
        elif width:
            runs.append((number, first, width, 1))
    return runs


def _merge(
    into: Table, table: Table, wanted: str | None, edges: Sequence[int], *, is_queue: bool
) -> None:
    """Adds figures by quarters of an hour to figures by number of the interval."""
    for (name, slot), figures in table.items():
        if wanted in {None, name} and edges[0] <= slot < edges[-1]:
            key = (name, bisect_right(edges, slot) - 1)
            if key not in into:
                into[key] = [0] * len(figures)
            (add_queue if is_queue else add)(into[key], figures)


def _rows(table: Table, edges: Sequence[int]) -> tuple[Row, ...]:
    return tuple(
        Row(name, _instant(edges[place]), _instant(edges[place + 1]), table[name, place])
        for name, place in sorted(table)
    )


def _instant(slot: int) -> datetime:
    return datetime.fromtimestamp(slot * _SLOT, UTC)
