"""The one writer: takes what it is told at once, and writes it in batches beside the loop.

The rule that must hold: for one call, rows are written in the order in which they were told, and
each exactly once. Within a batch rows are grouped by statement, in the order in which a call goes
through them (started, answered, legs, ended), which keeps that order; events keep theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import IntEnum

import structlog
from sqlalchemy import Executable, bindparam
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from vxml_server.clock import Clock
from vxml_server.store.errors import is_transient
from vxml_server.store.log import append
from vxml_server.store.tables import call_legs, calls

_BATCH = 500
_FIRST_RETRY, _LAST_RETRY = 0.1, 5.0
_log = structlog.get_logger(__name__)


class Kind(IntEnum):
    """What is written, in the order of a call's life."""

    STARTED = 1
    ANSWERED = 2
    LEG = 3
    ENDED = 4
    EVENT = 5


_STATEMENTS: Mapping[Kind, Executable] = {
    Kind.STARTED: calls.insert(),
    Kind.ANSWERED: calls.update().where(
        calls.c.id == bindparam("call_id"), calls.c.ended_at.is_(None)
    ),
    Kind.LEG: call_legs.insert(),
    Kind.ENDED: calls.update().where(
        calls.c.id == bindparam("call_id"), calls.c.ended_at.is_(None)
    ),
}


@dataclass(frozen=True, slots=True)
class Row:
    kind: Kind
    values: Mapping[str, object]


class Writer:
    """Writes rows until it is closed. Use it on one loop."""

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Clock,
        turns: AbstractAsyncContextManager[object],
        wrote: Callable[[], None],
    ) -> None:
        """`turns` is entered for each transaction; `wrote` is called after each batch that is in
        the database."""
        self._engine = engine
        self._turns = turns
        self._clock = clock
        self._wrote = wrote
        self._rows: list[Row] = []
        self._told = 0
        self._done = 0
        self._work = asyncio.Event()
        self._progress = asyncio.Condition()
        self._failing = False
        self._task = asyncio.create_task(self._run(), name="store writer")

    @property
    def pending(self) -> int:
        """Rows told but not yet written."""
        return self._told - self._done

    def tell(self, rows: Iterable[Row]) -> None:
        """Takes the rows; never waits."""
        before = len(self._rows)
        self._rows.extend(rows)
        self._told += len(self._rows) - before
        self._work.set()

    async def flush(self) -> None:
        """Returns when all that was told before is written."""
        wanted = self._told
        async with self._progress:
            await self._progress.wait_for(lambda: self._done >= wanted)

    async def settle(self) -> None:
        """As `flush`, but does not wait for a database that is failing."""
        wanted = self._told
        async with self._progress:
            await self._progress.wait_for(lambda: self._done >= wanted or self._failing)

    async def close(self, seconds: float) -> None:
        """Flushes for at most `seconds`, then stops; says how many rows are lost."""
        stop = asyncio.create_task(self.flush())
        timer = self._clock.call_later(seconds, stop.cancel)
        await asyncio.wait([stop])
        timer.cancel()
        self._task.cancel()
        await asyncio.wait([self._task])
        if self.pending:
            _log.error("rows not written", rows=self.pending)

    async def _run(self) -> None:
        delay = _FIRST_RETRY
        while True:
            await self._work.wait()
            batch = self._rows[:_BATCH]
            try:
                await self._write(batch)
            except Exception as error:
                # The database is away or busy: the rows are kept and tried again.
                await self._set_failing(True)
                _log.error("the database does not answer", error=str(error), rows=self.pending)
                await self._clock.sleep(delay)
                delay = min(2 * delay, _LAST_RETRY)
                continue
            delay = _FIRST_RETRY
            del self._rows[: len(batch)]
            if not self._rows:
                self._work.clear()
            self._done += len(batch)
            self._wrote()
            await self._set_failing(False)

    async def _set_failing(self, failing: bool) -> None:
        self._failing = failing
        async with self._progress:
            self._progress.notify_all()

    async def _write(self, batch: list[Row]) -> None:
        """The batch in one transaction; row by row when one of them is to blame."""
        try:
            async with self._turns, self._engine.begin() as connection:
                await _execute(connection, batch)
        except Exception as error:  # whatever the driver makes of a value that it cannot take
            if is_transient(error):
                raise
            for row in batch:
                await self._write_one(row)

    async def _write_one(self, row: Row) -> None:
        try:
            async with self._turns, self._engine.begin() as connection:
                await _execute(connection, [row])
        except Exception as error:
            if is_transient(error):
                raise
            _log.error("row refused", kind=row.kind.name, error=str(error))


async def _execute(connection: AsyncConnection, batch: list[Row]) -> None:
    for kind, statement in _STATEMENTS.items():
        values = [row.values for row in batch if row.kind is kind]
        if values:
            await connection.execute(statement, values)
    if facts := [row.values for row in batch if row.kind is Kind.EVENT]:
        await connection.run_sync(append, facts)
