"""Recordings in the database: rows, and facts of everything that happens to them.

The rules that must hold: a row changes only together with the fact that says so, and only if it is
still the one that the change was made from; a legal hold is set and ended by `hold` and by nothing
else, whatever happens to the recording meanwhile, and keeps it from being deleted; who hears, holds
or deletes a recording is in the log by name before he has it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vxml_server.recording.records import Found, Recording, Wanted
from vxml_server.recording.transitions import Event, State, advance
from vxml_server.store import (
    Cursor,
    Json,
    NewEvent,
    Store,
    append_facts,
    fit,
    recording_tables,
    storable_json,
)

_TABLE = recording_tables.recordings
_FIELDS = tuple(field.name for field in fields(Recording))
_COLUMNS = tuple(_TABLE.c[name] for name in _FIELDS)
_LONGEST_SEARCH = 4000

NOTHING_TO_HOLD = frozenset({State.DELETED, State.REFUSED, State.FAILED})
"""States of recordings without audio."""

Beside = Callable[[AsyncConnection], Awaitable[Sequence[NewEvent]]]
"""What is stored together with a recording: its facts, for the end of the transaction."""


class TooLate(Exception):
    """The recording has changed meanwhile."""


class Ledger:
    """The recordings of all processes that share a database. Raises `StoreError` as the store."""

    def __init__(self, store: Store, worker: str) -> None:
        self._store = store
        self.worker = worker

    # Changes -----------------------------------------------------------------------------------

    async def announce(self, recording: Recording) -> None:
        """A new one. Once more is harmless: whether the first time was stored may be unknown."""
        fact = _fact(recording, "announced", recording.announced_at, {"rule": recording.rule})
        same = select(_TABLE.c.id).where(_TABLE.c.id == recording.id)
        async with self._store.transaction() as connection:
            if (await connection.execute(same)).first() is None:
                await connection.execute(insert(_TABLE), _row(recording))
                await append_facts(connection, [fact])

    async def deposit(self, recording: Recording, beside: Beside) -> None:
        """A new one whose audio is complete already, and what `beside` stores with it.

        Once more is harmless. When `beside` raises, nothing is stored.
        """
        at = recording.ended_at or recording.announced_at
        about: dict[str, Json] = {"rule": recording.rule, "duration_s": recording.duration_s}
        same = select(_TABLE.c.id).where(_TABLE.c.id == recording.id)
        async with self._store.transaction() as connection:
            if (await connection.execute(same)).first() is None:
                facts = await beside(connection)
                await connection.execute(insert(_TABLE), _row(recording))
                await append_facts(connection, [_fact(recording, "deposited", at, about), *facts])

    async def advance(
        self,
        recording: Recording,
        event: Event,
        at: datetime,
        about: Mapping[str, Json] | None = None,
        **changes: Any,  # the fields of Recording
    ) -> Recording:
        """Something has happened to a recording; the recording as it is now.

        `about` goes into the fact. Raises `IllegalTransition`, or `TooLate` when it was changed by
        another; nothing has happened then.
        """
        after = changed(recording, event, **changes)
        await self.write(recording, after, event, at, about)
        return after

    async def write(
        self,
        before: Recording,
        after: Recording,
        event: Event,
        at: datetime,
        about: Mapping[str, Json] | None = None,
    ) -> None:
        """Stores what `changed` made of a recording. Once more is harmless."""
        mine = (_TABLE.c.id == after.id) & (_TABLE.c.generation == before.generation)
        if event is Event.DELETE:
            mine &= ~_TABLE.c.held
        # It may have been held or released since `before` was read.
        values = {name: value for name, value in _row(after).items() if name != "held"}
        async with self._store.transaction() as connection:
            done = await connection.execute(update(_TABLE).where(mine).values(values))
            if done.rowcount == 1:
                await append_facts(connection, [_fact(after, event, at, about or {})])
                return
        stored = await self.get(after.id)
        same = ("generation", "state")
        if any(getattr(stored, name, None) != getattr(after, name) for name in same):
            raise TooLate(after.id)

    async def hold(
        self, recording: Recording, held: bool, at: datetime, about: Mapping[str, Json]
    ) -> Recording:
        """Keeps it whatever its age and whoever wants it gone, or no longer; as it is now.

        Who changes it meanwhile does not notice. Raises `TooLate` when there is nothing any more
        that could be held.
        """
        mine = (_TABLE.c.id == recording.id) & ~_TABLE.c.state.in_(NOTHING_TO_HOLD)
        change = update(_TABLE).where(mine).values(held=held).returning(*_COLUMNS)
        async with self._store.transaction() as connection:
            row = (await connection.execute(change)).first()
            if row is None:
                raise TooLate(recording.id)
            after = _recording(row)
            fact = _fact(after, "held" if held else "released", at, about)
            await append_facts(connection, [fact])
        return after

    async def accessed(self, recording: Recording, at: datetime, about: Mapping[str, Json]) -> None:
        """Somebody is about to get the audio."""
        async with self._store.transaction() as connection:
            await append_facts(connection, [_fact(recording, "accessed", at, about)])

    async def tampered(self, recording: Recording, at: datetime, trouble: str) -> None:
        """The stored file turned out not to be what was stored."""
        fact = _fact(recording, "tampered", at, {"trouble": trouble})
        async with self._store.transaction() as connection:
            await append_facts(connection, [fact])

    # Reading -----------------------------------------------------------------------------------

    async def get(self, recording: str) -> Recording | None:
        found = await self._all(select(*_COLUMNS).where(_TABLE.c.id == recording))
        return found[0] if found else None

    async def search(self, wanted: Wanted, limit: int = 50, cursor: Cursor | None = None) -> Found:
        """At most `limit`, newest first, those after `cursor`."""
        query = select(*_COLUMNS)
        at, id_ = _TABLE.c.announced_at, _TABLE.c.id
        if cursor is not None:
            older = and_(at == cursor.started_at, id_ < cursor.id)
            query = query.where(or_(at < cursor.started_at, older))
        for condition in _conditions(wanted):
            query = query.where(condition)
        query = query.order_by(at.desc(), id_.desc()).limit(limit + 1)
        found = await self._all(query)
        more = len(found) > limit
        last = Cursor(found[limit - 1].announced_at, found[limit - 1].id) if more else None
        return Found(tuple(found[:limit]), last)

    async def unfinished(self) -> list[Recording]:
        """Those that this worker has begun and not brought to their end."""
        states = (State.ANNOUNCED, State.RECORDING, State.PAUSED, State.STOPPED)
        mine = (_TABLE.c.worker == self.worker) & _TABLE.c.state.in_(states)
        return await self._all(select(*_COLUMNS).where(mine))

    async def expired(self, now: datetime, limit: int = 100, after: str = "") -> list[Recording]:
        """Those whose time is over and that nobody holds, in the order of their ids."""
        over = (
            (_TABLE.c.state == State.STORED)
            & (_TABLE.c.expires_at <= now)
            & ~_TABLE.c.held
            & (_TABLE.c.id > after)
        )
        return await self._all(select(*_COLUMNS).where(over).order_by(_TABLE.c.id).limit(limit))

    async def not_erased(self, limit: int = 100, after: str = "") -> list[Recording]:
        """Those that were deleted and whose files are still there, in the order of their ids."""
        left = (_TABLE.c.state == State.DELETED) & (_TABLE.c.path != "") & (_TABLE.c.id > after)
        return await self._all(select(*_COLUMNS).where(left).order_by(_TABLE.c.id).limit(limit))

    async def _all(self, query: Select[*tuple[Any, ...]]) -> list[Recording]:
        async with self._store.reading() as connection:
            return [_recording(row) for row in await connection.execute(query)]


def changed(recording: Recording, event: Event, **changes: Any) -> Recording:
    """The recording after `event`, not yet stored; raises `IllegalTransition`."""
    return replace(
        recording,
        state=advance(recording.state, event),
        generation=recording.generation + 1,
        **changes,
    )


def _conditions(wanted: Wanted) -> list[Any]:  # Any: SQLAlchemy's conditions, of several types
    columns = _TABLE.c
    conditions: list[Any] = []
    if wanted.since is not None:
        conditions.append(columns.announced_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(columns.announced_at < wanted.until)
    if wanted.number:
        conditions.append(
            or_(
                columns.caller.icontains(wanted.number, autoescape=True),
                columns.number.icontains(wanted.number, autoescape=True),
                columns.destination.icontains(wanted.number, autoescape=True),
            )
        )
    if wanted.text:
        conditions.append(columns.words.contains(wanted.text.lower(), autoescape=True))
    conditions += [
        column == value
        for column, value in (
            (columns.queue, wanted.queue),
            (columns.agent, wanted.agent),
            (columns.call_id, wanted.call_id),
            (columns.state, wanted.state),
        )
        if value
    ]
    return conditions


def _fact(recording: Recording, name: str, at: datetime, about: Mapping[str, Json]) -> NewEvent:
    data = {"recording": recording.id, **about}
    return NewEvent(
        recording.call_id, at, f"recording.{name}", data, recording.queue, recording.agent
    )


def _row(recording: Recording) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(recording, name) for name in _FIELDS}
    values["data"] = storable_json(recording.data)
    values["pauses"] = storable_json(recording.pauses)
    values["words"] = " ".join(_words(values["data"])).lower()[:_LONGEST_SEARCH]
    return fit(_TABLE, values)


def _words(value: object) -> list[str]:
    """Every text in attached data."""
    if isinstance(value, Mapping):
        return [word for below in value.values() for word in _words(below)]
    if isinstance(value, list):
        return [word for below in value for word in _words(below)]
    return [] if value is None else [str(value)]


def _recording(row: Row[*tuple[Any, ...]]) -> Recording:
    # A database row has no types of its own, hence Any; its columns are in the order of the fields.
    values = dict(zip(_FIELDS, row, strict=True))
    values["state"] = State(values["state"])
    values["pauses"] = tuple(tuple(pause) for pause in values["pauses"])
    return Recording(**values)
