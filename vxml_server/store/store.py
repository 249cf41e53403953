"""Calls and facts: telling them and asking for them.

The rule that must hold: a call ends exactly once, whoever tells it and however often, and every
change of a call is also a row of the event log, written in the same batch: `call.started`,
`call.answered`, `call.transferred`, `call.ended`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import fields
from datetime import datetime
from typing import Any, Literal, Self, TypeVar

import structlog
from sqlalchemy import Connection, and_, func, or_, select
from sqlalchemy import Row as DatabaseRow
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from vxml_server.clock import Clock
from vxml_server.store.cursor import Cursor
from vxml_server.store.direct import Direct
from vxml_server.store.engine import (
    ONE_LOOK,
    SNAPSHOT,
    WRITING,
    make_engine,
    one_at_a_time,
    turns,
    upgrade,
)
from vxml_server.store.errors import store_errors
from vxml_server.store.feed import Feed
from vxml_server.store.log import append, event_row
from vxml_server.store.records import (
    CallEnd,
    CallRecord,
    EventRecord,
    Json,
    LegRecord,
    NewEvent,
    Page,
)
from vxml_server.store.tables import call_legs, calls, events
from vxml_server.store.values import fit
from vxml_server.store.writer import Kind, Row, Writer

State = Literal["active", "ended"]
Result = TypeVar("Result")
_log = structlog.get_logger(__name__)


class Store:
    """The database of the server; made by `open()`, used on one loop, ended by `close()`.

    Writing methods return at once and never fail; reading methods see what was told before, and
    raise `StoreError` when the database does not answer.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock, worker: str, held: ExitStack) -> None:
        self._engine = engine
        self._held = held
        self._worker = worker
        self.feed = Feed(engine, self.events, clock)
        """The log as it grows, for whoever follows it."""
        self._turns = turns(engine)
        self._direct = Direct.of(engine.url)
        self._writer = Writer(engine, clock, self._turns, self.feed.wake)
        self._open_calls: set[str] = set()

    @classmethod
    async def open(cls, url: str, clock: Clock, *, worker: str = "main") -> Self:
        """Connects, brings the tables up to date and repairs what `worker` left when it was killed.

        `worker` names this process among those that share the database, and stays the same when it
        is started again; a second process of that name is refused (SQLite). Raises `StoreError`
        when the database cannot be used.
        """
        with store_errors(), ExitStack() as held:
            engine = make_engine(url)
            try:
                held.enter_context(one_at_a_time(url, worker))
                await upgrade(engine)
                async with engine.connect() as connection:
                    await connection.execution_options(**WRITING)
                    async with connection.begin():
                        await _close_abandoned(connection, worker)
            except BaseException:
                await engine.dispose()
                raise
            return cls(engine, clock, worker, held.pop_all())

    @property
    def pending(self) -> int:
        """Rows told but not yet written."""
        return self._writer.pending

    def call_started(self, record: CallRecord) -> None:
        """A call that has just begun. Its end is told by `call_ended`, once."""
        if record.id in self._open_calls:
            raise ValueError(f"call {record.id} has started already")
        self._open_calls.add(record.id)
        values = _values(record, _CALL_FIELDS)
        about = {"direction": record.direction, "from": record.from_uri, "to": record.to_uri}
        self._writer.tell(
            [
                Row(Kind.STARTED, fit(calls, {**values, "worker": self._worker})),
                _event(record.id, record.started_at, "call.started", about),
            ]
        )

    def call_answered(self, call_id: str, answered_at: datetime, codec: str | None = None) -> None:
        """The call was answered, with this codec (`PCMA`). Nothing happens when it is over."""
        if call_id in self._open_calls:
            values = fit(calls, {"answered_at": answered_at, "codec": codec})
            self._writer.tell(
                [
                    Row(Kind.ANSWERED, {"call_id": call_id, **values}),
                    _event(call_id, answered_at, "call.answered", {"codec": codec}),
                ]
            )

    def leg_ended(self, call_id: str, leg: LegRecord) -> None:
        """A transfer of the call is over. Nothing happens when the call is over too."""
        if call_id in self._open_calls:
            about: dict[str, Json] = {
                "destination": leg.destination,
                "type": leg.type,
                "outcome": leg.outcome,
                "duration_s": leg.duration_s,
            }
            self._writer.tell(
                [
                    Row(
                        Kind.LEG, fit(call_legs, {"call_id": call_id, **_values(leg, _LEG_FIELDS)})
                    ),
                    _event(call_id, leg.ended_at, "call.transferred", about),
                ]
            )

    def call_ended(self, call_id: str, end: CallEnd) -> bool:
        """The call is over; whether this was the first to say so. Later tellings change nothing."""
        if call_id not in self._open_calls:
            return False
        self._open_calls.remove(call_id)
        about = {
            "end_reason": end.end_reason,
            "hung_up_by": end.hung_up_by,
            "duration_s": end.duration_s,
        }
        self._writer.tell(
            [
                Row(Kind.ENDED, {"call_id": call_id, **fit(calls, _values(end, _END_FIELDS))}),
                _event(call_id, end.ended_at, "call.ended", about),
            ]
        )
        return True

    def append(self, facts: Iterable[NewEvent]) -> None:
        """Appends facts to the log, in this order."""
        self._writer.tell([Row(Kind.EVENT, event_row(event)) for event in facts])

    async def calls(
        self, state: State | None = None, limit: int = 50, cursor: Cursor | None = None
    ) -> Page:
        """At most `limit` calls, newest first, those after `cursor`."""
        query = select(*_CALL_COLUMNS)
        if state is not None:
            is_active = calls.c.ended_at.is_(None)
            query = query.where(is_active if state == "active" else ~is_active)
        if cursor is not None:
            at = cursor.started_at
            query = query.where(
                or_(
                    calls.c.started_at < at,
                    and_(calls.c.started_at == at, calls.c.id < cursor.id),
                )
            )
        query = query.order_by(calls.c.started_at.desc(), calls.c.id.desc()).limit(limit + 1)
        async with self._connection() as connection:
            rows = (await connection.execute(query)).all()
            records = await _with_legs(connection, rows[:limit])
        more = len(rows) > limit
        last = Cursor(records[-1].started_at, records[-1].id).encode() if more else None
        return Page(records, last)

    async def call(self, call_id: str) -> CallRecord | None:
        """The call of that id, active or ended; None if there is none."""
        async with self._connection() as connection:
            query = select(*_CALL_COLUMNS).where(calls.c.id == call_id)
            records = await _with_legs(connection, (await connection.execute(query)).all())
        return records[0] if records else None

    async def events(
        self,
        *,
        after: int = 0,
        call_id: str | None = None,
        queue: str | None = None,
        agent: str | None = None,
        limit: int = 1000,
    ) -> tuple[EventRecord, ...]:
        """At most `limit` facts in their order, those with numbers over `after`."""
        query = select(events).where(events.c.seq > after)
        for column, wanted in (
            (events.c.call_id, call_id),
            (events.c.queue, queue),
            (events.c.agent, agent),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        await self._writer.settle()
        async with self.looking() as connection:
            rows = await connection.execute(query.order_by(events.c.seq).limit(limit))
            return tuple(EventRecord(*row) for row in rows)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading that sees what was told before."""
        await self._writer.settle()
        async with self.reading() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A connection for changes that are made together or, when the body raises, not at all.

        Facts are appended with `append_facts`, last. Each statement sees what was committed before
        it (READ COMMITTED), so a change is guarded by the condition of its own UPDATE or DELETE.

        Raises `StoreError` when the database does not answer; then nothing has changed, or all of
        it and nobody was told: look again. Raises `Unstorable` when it will never take this.
        """
        with store_errors():
            async with self._turns, self._engine.connect() as connection:
                await connection.execution_options(**WRITING)
                async with connection.begin():
                    yield connection
        self.feed.wake()

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` returns of a connection for changes that are made together or, when it
        raises, not at all: `transaction`, in one go, and therefore faster.

        It may run in another thread, so it shares nothing with others. Facts are appended with
        `append_rows`, last. Raises as `transaction` does.
        """
        with store_errors():
            async with self._turns:
                if self._direct is not None:
                    result = await self._direct.run(work)
                else:
                    async with self._engine.connect() as connection:
                        await connection.execution_options(**WRITING)
                        async with connection.begin():
                            result = await connection.run_sync(work)
        self.feed.wake()
        return result

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading what is in the database, all of it at one moment; raises
        `StoreError` like the others."""
        with store_errors():
            async with self._engine.connect() as connection:
                await connection.execution_options(**SNAPSHOT[connection.dialect.name])
                yield connection

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[AsyncConnection]:
        """As `reading`, for a single statement, which costs a third of it on PostgreSQL."""
        with store_errors():
            async with self._engine.connect() as connection:
                await connection.execution_options(**ONE_LOOK[connection.dialect.name])
                yield connection

    async def flush(self) -> None:
        """Returns when everything told before is in the database."""
        await self._writer.flush()

    async def close(self, seconds: float = 5.0) -> None:
        """Writes what is left, for at most `seconds`, and disconnects."""
        await self.feed.close()
        await self._writer.close(seconds)
        await self._engine.dispose()
        if self._direct is not None:
            await self._direct.close()
        self._held.close()


_CALL_FIELDS = tuple(field.name for field in fields(CallRecord) if field.name != "legs")
_LEG_FIELDS = tuple(field.name for field in fields(LegRecord))
_END_FIELDS = tuple(field.name for field in fields(CallEnd))
_CALL_COLUMNS = tuple(calls.c[name] for name in _CALL_FIELDS)
_LEG_COLUMNS = tuple(call_legs.c[name] for name in _LEG_FIELDS)


async def append_facts(connection: AsyncConnection, facts: Iterable[NewEvent]) -> int:
    """Appends facts to the log in a `Store.transaction`, as its last step; the last number."""
    return await connection.run_sync(append, [event_row(fact) for fact in facts])


def _values(record: object, names: Iterable[str]) -> dict[str, object]:
    return {name: getattr(record, name) for name in names}


def _event(call_id: str, at: datetime, name: str, data: Mapping[str, Json]) -> Row:
    return Row(Kind.EVENT, event_row(NewEvent(call_id, at, name, data)))


async def _with_legs(
    connection: AsyncConnection, rows: Sequence[DatabaseRow[*tuple[Any, ...]]]
) -> tuple[CallRecord, ...]:
    ids = [row.id for row in rows]
    legs: dict[str, list[LegRecord]] = {id_: [] for id_ in ids}
    query = (
        select(call_legs.c.call_id, *_LEG_COLUMNS)
        .where(call_legs.c.call_id.in_(ids))
        .order_by(call_legs.c.id)
    )
    for call_id, *values in await connection.execute(query) if ids else ():
        legs[call_id].append(LegRecord(*values))
    # A database row has no types of its own, hence Any; its columns are in the order of the fields.
    return tuple(
        CallRecord(**dict(zip(_CALL_FIELDS, row, strict=True)), legs=tuple(legs[row.id]))
        for row in rows
    )


async def _close_abandoned(connection: AsyncConnection, worker: str) -> None:
    """Ends the calls that `worker` had when it was killed, at the last thing known of them."""
    last_fact = (
        select(func.max(events.c.at)).where(events.c.call_id == calls.c.id).scalar_subquery()
    )
    abandoned = await connection.execute(
        select(calls.c.id, calls.c.started_at, calls.c.answered_at, last_fact).where(
            calls.c.worker == worker, calls.c.ended_at.is_(None)
        )
    )
    for call_id, started_at, answered_at, last in abandoned.all():
        ended_at = max(at for at in (started_at, answered_at, last) if at is not None)
        # No monotonic clock outlives its process, so here the stored times must do.
        duration = (ended_at - answered_at).total_seconds() if answered_at else 0.0
        end = {"end_reason": "error", "hung_up_by": "platform", "duration_s": duration}
        await connection.execute(
            calls.update().where(calls.c.id == call_id).values(ended_at=ended_at, **end)
        )
        fact = NewEvent(call_id, ended_at, "call.ended", {**end, "repaired": True})
        await connection.run_sync(append, [event_row(fact)])
        _log.warning("closed a call of a process that was killed", call=call_id)
