"""Rows and facts of queues in the database, by compare-and-set.

The rules that must hold: a change is stored with its facts, whole or not at all, and only where
each of its rows is still the one that it was made from; of two workers that claim one agent, one is
told that it came too late. What is over is deleted; the log has it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import (
    Connection,
    Delete,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    insert,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from vxml_server.queues.definitions import (
    BadDefinition,
    Definition,
    Kind,
    kind_of,
    read,
    written,
)
from vxml_server.queues.profiles import Agent, Box, Group, Queue, without_secrets
from vxml_server.queues.rows import (
    AgentRow,
    Change,
    Entry,
    EntryState,
    Exit,
    Fact,
    Offer,
    OfferState,
    Outcome,
    Presence,
)
from vxml_server.store import (
    EventRecord,
    Json,
    NewEvent,
    Store,
    append_facts,
    append_rows,
    event_row,
    event_table,
    fit,
    queue_tables,
    storable_json,
    voicemail_tables,
)

_log = structlog.get_logger(__name__)
Row = AgentRow | Entry | Offer
PAST = 50_000
"""Facts of the log that a worker looks at when it starts, to learn from them."""


class _TooLate(Exception):
    """A row has changed meanwhile."""


class IsDeclared(Exception):
    """The settings declare it, and alone may change it."""


@dataclass(frozen=True, slots=True)
class Definitions:
    """All definitions, and the names of those that only the settings may change."""

    agents: tuple[Agent, ...] = ()
    groups: tuple[Group, ...] = ()
    queues: tuple[Queue, ...] = ()
    boxes: tuple[Box, ...] = ()
    declared: frozenset[tuple[Kind, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything as it was when the log had come to `seq`, or a little later."""

    rows: Change
    cursors: Mapping[str, str]
    definitions: Definitions
    seq: int


class Ledger:
    """The rows of all workers in one database; `worker` is this one, unlike any other ever."""

    def __init__(self, store: Store, worker: str) -> None:
        self._store = store
        self.worker = worker

    # Changes -----------------------------------------------------------------------------------

    async def commit(self, *changes: Change, mark: str = "") -> bool:
        """Stores changes, together; False, and nothing stored, when a row has changed meanwhile.

        Several changes of one row follow one another. Raises `StoreError` when the database does
        not answer: then they may be stored or not, and `is_stored` tells by the `mark`, which is
        unlike that of any other change of this worker. Raises `Unstorable` for what it will never
        take.
        """
        merged = _merged(changes)
        facts = [self._told(fact) for change in changes for fact in change.facts]
        if mark and facts:
            facts[-1] = replace(facts[-1], data={**facts[-1].data, "mark": mark})
        # Always in the same order, so that no two wait for each other.
        steps = [_step(*merged[key]) for key in sorted(merged)]
        asked = _asked(merged)
        rows = [event_row(fact) for fact in facts]

        def work(connection: Connection) -> None:
            for step in steps:
                step(connection)
            if asked:
                connection.execute(_POINT[connection.dialect.name], asked)
            append_rows(connection, rows)

        try:
            await self._store.write(work)
        except _TooLate:
            return False
        return True

    def _told(self, fact: Fact) -> NewEvent:
        at = datetime.fromtimestamp(fact.at, UTC)
        data = {**fact.data, "worker": self.worker}
        return NewEvent(fact.call_id, at, fact.name, data, fact.queue, fact.agent)

    async def is_stored(self, mark: str, after: int) -> bool:
        """Whether a change of this worker with that mark is in the log, after a number."""
        table = event_table
        query = (
            select(table.c.seq)
            .where(table.c.seq > after)
            .where(table.c.data["worker"].as_string() == self.worker)
            .where(table.c.data["mark"].as_string() == mark)
            .limit(1)
        )
        async with self._store.looking() as connection:
            return (await connection.execute(query)).first() is not None

    # Reading -----------------------------------------------------------------------------------

    async def load(self) -> Snapshot:
        """Everything there is. The log is to be followed from `seq` on, and tells of what may have
        been missed while it was read."""
        async with self._store.transaction() as connection:
            seq = await append_facts(connection, ())
            rows = [
                [_row(kind, found) for found in await connection.execute(select(table))]
                for kind, table in _KINDS.items()
            ]
            cursors = await connection.execute(select(queue_tables.cursors))
            known = {one.queue: one.agent for one in cursors}
            definitions = await _definitions(connection)
        return Snapshot(_change(row for some in rows for row in some), known, definitions, seq)

    async def past(self, names: Collection[str], seq: int) -> list[EventRecord]:
        """Facts of these names among the newest `PAST` of the log up to the number `seq`, in their
        order: so many are read at most, however long the log is."""
        table = event_table
        query = (
            select(table)
            .where(table.c.seq.between(seq - PAST + 1, seq), table.c.name.in_(sorted(names)))
            .order_by(table.c.seq)
        )
        async with self._store.reading() as connection:
            return [EventRecord(*one) for one in await connection.execute(query)]

    async def rows(
        self, agents: Collection[str], entries: Collection[str], offers: Collection[str]
    ) -> Change:
        """Those of these rows that there are, as they are now."""
        found: list[Row] = []
        async with self._store.reading() as connection:
            for names, kind in ((agents, AgentRow), (entries, Entry), (offers, Offer)):
                table = _KINDS[kind]
                if names:
                    key = table.c[_KEYS[kind]]
                    some = await connection.execute(select(table).where(key.in_(sorted(names))))
                    found += [_row(kind, one) for one in some]
        return _change(found)

    # Definitions -------------------------------------------------------------------------------

    async def definitions(self) -> Definitions:
        """All of them, as they are now."""
        async with self._store.looking() as connection:
            return await _definitions(connection)

    async def define(self, definition: Definition, at: float, *, declared: bool = False) -> bool:
        """Makes or replaces a definition; True when there was none. What is so already is not
        stored again. `declared` is for the settings; without it, raises `IsDeclared`."""
        kind, name = kind_of(definition), definition.name
        row = {"kind": kind, "name": name, "body": written(definition), "declared": declared}
        async with self._store.transaction() as connection:
            known = await _known(connection, kind, name, declared=declared)
            if known != (definition, declared):
                await connection.execute(
                    _upsert(connection.dialect.name, queue_tables.definitions), row
                )
                await append_facts(connection, [self._told(_defined(kind, name, at, definition))])
        return known is None

    async def undefine(self, kind: Kind, name: str, at: float, *, declared: bool = False) -> bool:
        """Removes a definition, with its PIN: who has that name later may be another. False when
        there is none; `declared` as there."""
        table = queue_tables.definitions
        mine = (table.c.kind == kind) & (table.c.name == name)
        async with self._store.transaction() as connection:
            await _known(connection, kind, name, declared=declared)
            if (pins := _PINS.get(kind)) is not None:
                (key,) = pins.primary_key
                await connection.execute(delete(pins).where(key == name))
            done = await connection.execute(delete(table).where(mine))
            if done.rowcount:
                fact = _defined(kind, name, at)
                await append_facts(connection, [self._told(fact)])
        return done.rowcount > 0

    # Workers -----------------------------------------------------------------------------------

    async def beat(self) -> bool:
        """Says that this worker lives; False when others have taken it for dead already."""
        table = queue_tables.workers
        mine = table.c.name == self.worker
        async with self._store.transaction() as connection:
            done = await connection.execute(update(table).where(mine).values(beat=table.c.beat + 1))
        return done.rowcount == 1

    async def join(self) -> None:
        """Enters this worker among those that live; once more changes nothing."""
        row = {"name": self.worker, "beat": 0}
        async with self._store.transaction() as connection:
            await connection.execute(_upsert(connection.dialect.name, queue_tables.workers), row)

    async def beats(self) -> Mapping[str, int]:
        """The beats of all workers so far. One whose number stands still is dead."""
        async with self._store.looking() as connection:
            found = await connection.execute(select(queue_tables.workers))
            return {one.name: one.beat for one in found}

    async def bury(self, worker: str) -> bool:
        """Takes a worker out; True for the one who may put right what it left behind."""
        table = queue_tables.workers
        async with self._store.transaction() as connection:
            done = await connection.execute(delete(table).where(table.c.name == worker))
        return done.rowcount == 1

    async def abandoned(self) -> Change:
        """The rows that belong to no living worker (of offers those that are not wrapping up)."""
        async with self._store.looking() as connection:
            if (await connection.execute(_IS_ABANDONED)).first() is None:
                return Change()
        found: list[Row] = []
        # All at one moment: of a worker that joins meanwhile nothing is seen, or it is known.
        async with self._store.reading() as connection:
            for kind, query in _ABANDONED.items():
                found += [_row(kind, one) for one in await connection.execute(query)]
            agents = {row.agent for row in found if isinstance(row, Offer)}
            if agents:
                table = _KINDS[AgentRow]
                mine = select(table).where(table.c.name.in_(sorted(agents)))
                found += [_row(AgentRow, one) for one in await connection.execute(mine)]
        return _change(found)


# Rows and tables ---------------------------------------------------------------------------------

_KINDS: Mapping[type[Row], Table] = {
    AgentRow: queue_tables.agents,
    Entry: queue_tables.entries,
    Offer: queue_tables.offers,
}
_PINS: Mapping[Kind, Table] = {"agent": queue_tables.pins, "box": voicemail_tables.pins}
_KEYS: Mapping[type[Row], str] = {AgentRow: "name", Entry: "id", Offer: "id"}
_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in _KINDS}
# What a column's text is in Python, by kind and column.
_ENUMS: Mapping[type[Row], Mapping[str, Any]] = {
    AgentRow: {"presence": Presence},
    Entry: {"state": EntryState, "exit": Exit},
    Offer: {"state": OfferState, "outcome": Outcome},
}


_LIVING = select(queue_tables.workers.c.name)
_ABANDONED: Mapping[type[Row], Select[Any]] = {
    Entry: select(_KINDS[Entry]).where(_KINDS[Entry].c.worker.not_in(_LIVING)),
    Offer: select(_KINDS[Offer]).where(
        _KINDS[Offer].c.worker.not_in(_LIVING),
        _KINDS[Offer].c.state != OfferState.WRAPPING_UP,
    ),
}
# Asked by every worker every other second, and mostly there is nothing.
_IS_ABANDONED = union_all(
    *(query.with_only_columns(_KINDS[kind].c.id) for kind, query in _ABANDONED.items())
).limit(1)


def _key(row: Row) -> tuple[str, str]:
    return ("name", row.name) if isinstance(row, AgentRow) else ("id", row.id)


def is_over(row: Row) -> bool:
    """Whether a row is not kept any more."""
    match row:
        case Entry():
            return row.state is EntryState.LEFT
        case Offer():
            return row.state is OfferState.CLOSED
        case AgentRow():
            return False


_INSERT = {kind: insert(table) for kind, table in _KINDS.items()}
# Made once: to make a statement takes longer than to send it. No column has a name with a stop.
_SAME = {
    kind: (table.c[_KEYS[kind]] == bindparam("its.key"))
    & (table.c.generation == bindparam("its.generation"))
    for kind, table in _KINDS.items()
}
_UPDATE = {
    kind: update(table)
    .where(_SAME[kind])
    .values({name: bindparam(name) for name in _NAMES[kind] if name != _KEYS[kind]})
    for kind, table in _KINDS.items()
}
_DELETE = {kind: delete(table).where(_SAME[kind]) for kind, table in _KINDS.items()}


def _step(row: Row, before: int) -> Callable[[Connection], None]:
    """What puts a row in the place of the one of that generation, or raises `_TooLate`."""
    kind = type(row)
    values = {} if is_over(row) else _columns(row)
    if before == 0:
        return partial(_insert, _INSERT[kind], values) if values else _nothing
    same = {"its.key": _key(row)[1], "its.generation": before}
    return partial(_replace, _UPDATE[kind] if values else _DELETE[kind], {**values, **same})


def _nothing(_connection: Connection) -> None:
    """A row that came and went within one change."""


def _insert(statement: Insert, values: Mapping[str, object], connection: Connection) -> None:
    try:
        connection.execute(statement, values)
    except IntegrityError:
        raise _TooLate from None


def _replace(
    statement: Update | Delete, values: Mapping[str, object], connection: Connection
) -> None:
    if connection.execute(statement, values).rowcount != 1:
        raise _TooLate


def _asked(merged: Mapping[tuple[str, str], tuple[Row, int]]) -> list[dict[str, object]]:
    """Whom each queue has asked last."""
    asked = {
        row.queue: row.agent
        for row, before in merged.values()
        if isinstance(row, Offer) and before == 0
    }
    return [{"queue": queue, "agent": asked[queue]} for queue in sorted(asked)]


def _columns(row: Row) -> dict[str, object]:
    values = {name: getattr(row, name) for name in _NAMES[type(row)]}
    for name in ("busy", "skills", "data"):
        if name in values:
            values[name] = storable_json(values[name])
    return fit(_KINDS[type(row)], values)


def _row(kind: type[Row], found: Sequence[Any]) -> Row:
    # A database row has no types of its own, hence Any; its columns have the fields' names.
    values = dict(zip(_KINDS[kind].c.keys(), found, strict=True))
    for name, enum in _ENUMS[kind].items():
        if values[name] is not None:
            values[name] = enum(values[name])
    return kind(**values)


def _upsert(dialect: str, table: Table) -> Insert:
    """Inserts a row or replaces the one with its key, whoever does so at the same time."""
    # Two classes of one form, of which SQLAlchemy has no common base with these methods.
    made: postgresql.Insert | sqlite.Insert
    made = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    rest = {one.name: made.excluded[one.name] for one in table.c if one.name not in keys}
    return made.on_conflict_do_update(index_elements=keys, set_=rest)


_POINT = {name: _upsert(name, queue_tables.cursors) for name in ("postgresql", "sqlite")}


def _change(rows: Iterable[Row]) -> Change:
    change = Change()
    agents: list[AgentRow] = []
    entries: list[Entry] = []
    offers: list[Offer] = []
    for row in rows:
        match row:
            case AgentRow():
                agents.append(row)
            case Entry():
                entries.append(row)
            case Offer():
                offers.append(row)
    return replace(change, agents=tuple(agents), entries=tuple(entries), offers=tuple(offers))


def _merged(changes: Iterable[Change]) -> dict[tuple[str, str], tuple[Row, int]]:
    """Each row once: as it is in the end, and the generation that it had before all."""
    merged: dict[tuple[str, str], tuple[Row, int]] = {}
    for change in changes:
        rows: tuple[Row, ...] = (*change.agents, *change.entries, *change.offers)
        for row in rows:
            key = (_KINDS[type(row)].name, _key(row)[1])
            before = merged[key][1] if key in merged else row.generation - 1
            merged[key] = (row, before)
    return merged


async def _known(
    connection: AsyncConnection, kind: Kind, name: str, *, declared: bool
) -> tuple[Definition | None, bool] | None:
    """A definition as it is stored (None when it cannot be used), and whether the settings declare
    it; None when there is none. Nobody changes it until the transaction ends. Raises `IsDeclared`
    when that is not for us."""
    # Also of two who make what is not there yet one is first: who changes definitions has the lock
    # of the log from here on.
    await append_facts(connection, ())
    table = queue_tables.definitions
    query = select(table.c.body, table.c.declared).where(
        (table.c.kind == kind) & (table.c.name == name)
    )
    found = (await connection.execute(query)).first()
    if found is None:
        return None
    if found.declared and not declared:
        raise IsDeclared(f"{kind} {name}")
    try:
        return read(kind, found.body), found.declared
    except BadDefinition:
        return None, found.declared


async def _definitions(connection: AsyncConnection) -> Definitions:
    agents: list[Agent] = []
    groups: list[Group] = []
    queues: list[Queue] = []
    boxes: list[Box] = []
    declared: set[tuple[Kind, str]] = set()
    table = queue_tables.definitions
    query = select(table).order_by(table.c.kind, table.c.name)
    for kind, name, body, is_declared in await connection.execute(query):
        if is_declared:
            declared.add((kind, name))
        try:
            definition = read(kind, body)
        except BadDefinition as error:
            # Another version of the server has written it; that must not stop this one.
            _log.error("a definition cannot be used", kind=kind, name=name, error=str(error))
            continue
        match definition:
            case Agent():
                agents.append(definition)
            case Box():
                boxes.append(definition)
            case Group():
                groups.append(definition)
            case Queue():
                queues.append(definition)
    return Definitions(
        *(tuple(agents), tuple(groups), tuple(queues), tuple(boxes)), frozenset(declared)
    )


def _defined(kind: Kind, name: str, at: float, definition: Definition | None = None) -> Fact:
    """What has been defined, or None: it was removed."""
    queue = name if kind == "queue" else ""
    agent = name if kind == "agent" else ""
    data: dict[str, Json] = {"name": name}
    if definition is None:
        return Fact(f"{kind}.removed", at, queue, agent, data=data)
    told = written(definition)
    if isinstance(definition, Box) and definition.webhook:
        told["webhook"] = without_secrets(definition.webhook)  # the log is for ever
    data["definition"] = told
    return Fact(f"{kind}.defined", at, queue, agent, data=data)
