"""Databases of tests: new ones in no time, and stores of which a test knows when they are still.

To make the tables takes longer than most tests of them. A room whose tests open stores imports
`copied` into its conftest: its databases begin as copies of one that the migrations have made in
this run. The store's own tests make theirs by the migrations each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TypeVar

import pytest
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from vxml_server.store import Store, store
from vxml_server.store.engine import make_engine, upgrade

Result = TypeVar("Result")


@pytest.fixture(scope="module", autouse=True)
def copied() -> Iterator[None]:
    """Each new SQLite file of these tests begins as a copy."""
    copies: set[str] = set()

    async def copied_or_upgraded(engine: AsyncEngine) -> None:
        file = engine.url.database or ""
        if file not in copies and not _copied_to(file):
            await upgrade(engine)
            return
        copies.add(file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "upgrade", copied_or_upgraded)
        yield


def _copied_to(file: str) -> bool:
    """Whether `file` could be made a copy: it was not there."""
    path = Path(file)
    if not path.is_absolute() or path.exists():
        return False
    path.write_bytes(_made())
    return True


@cache
def _made() -> bytes:
    """A new database, as the migrations make it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"

        async def make() -> None:
            engine = make_engine(f"sqlite+aiosqlite:///{path}")
            await upgrade(engine)
            await engine.dispose()

        # The caller's loop runs; this one is another thread's.
        thread = Thread(target=asyncio.run, args=(make(),))
        thread.start()
        thread.join()
        assert [found.name for found in Path(folder).iterdir()] == [path.name]
        return path.read_bytes()


class Traffic:
    """What goes on between the stores of some workers and their database."""

    def __init__(self) -> None:
        self.begun = 0
        """How often anything was asked so far."""
        self.was_quiet_at = 0
        """What was `begun` when last all knew everything."""
        self._open = 0
        self._is_still = asyncio.Event()
        self._is_still.set()

    @contextmanager
    def passing(self) -> Iterator[None]:
        self.begun += 1
        self._open += 1
        self._is_still.clear()
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._is_still.set()

    async def settle(self) -> None:
        """Until nobody waits for the database or does anything but wait for time."""
        begun = -1
        while self._open or begun != self.begun:
            begun = self.begun
            await self._is_still.wait()
            for _ in range(15):
                await asyncio.sleep(0)


class WatchedStore(Store):
    """A store whose traffic is counted."""

    traffic: Traffic
    """Of all workers that share the database."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        async with self.passing(), super().transaction() as connection:
            yield connection

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        async with self.passing():
            return await super().write(work)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        async with self.passing(), super().reading() as connection:
            yield connection

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[AsyncConnection]:
        async with self.passing(), super().looking() as connection:
            yield connection

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Around whatever is asked of the database."""
        with self.traffic.passing():
            yield
