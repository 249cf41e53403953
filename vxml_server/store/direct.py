"""SQLite's file written by one thread: a whole transaction at a time.

The asynchronous driver goes to its thread and back for each statement; here a transaction goes
once. The rule that must hold: a transaction that was begun is waited for, whoever is cancelled, so
that nobody else's begins before it has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from sqlalchemy import URL, Connection, create_engine

from vxml_server.store.engine import WRITING, is_in_memory, prepare

Result = TypeVar("Result")


class Direct:
    """One connection, used by its own thread; ended by `close()`."""

    def __init__(self, url: URL) -> None:
        self._engine = prepare(create_engine(url.set(drivername="sqlite")))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    @classmethod
    def of(cls, url: URL) -> Self | None:
        """None for what is not a file of SQLite."""
        is_file = url.get_backend_name() == "sqlite" and not is_in_memory(url)
        return cls(url) if is_file else None

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` returns, committed; nothing has changed when it raises."""
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._thread, self._run, work)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            raise

    def _run(self, work: Callable[[Connection], Result]) -> Result:
        with self._engine.connect() as connection:
            connection.execution_options(**WRITING)
            with connection.begin():
                return work(connection)

    async def close(self) -> None:
        """Disconnects, after what was begun."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown()
