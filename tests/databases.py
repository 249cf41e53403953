"""Databases of tests: new ones in no time, of both kinds; stores that tell when they are still.

To make the tables takes longer than most tests of them. A room whose tests open stores imports
`copied` into its conftest: its databases begin as copies of one that the migrations have made in
this run. The store's own tests make theirs by the migrations each time.

`pytest_asyncio_loop_factories`, imported there too, lets them run on the server's loop, where
waiting for a database costs less than on Python's.

What must be so on PostgreSQL as on SQLite is one test: a module with `pytestmark = BOTH` opens the
database that `url_of` names, and is played on SQLite, and with `-m integration` on PostgreSQL.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TypeVar

import pytest
import uvloop
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.integration.postgresql import PostgreSql
from vxml_server.store import Store, store
from vxml_server.store.engine import make_engine, upgrade

Result = TypeVar("Result")
BOTH = pytest.mark.usefixtures("database")
# What is cancelled while its connection is being opened leaves that to the collector of garbage.
_UNCLOSED = (
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Who asks for PostgreSQL gets it: it is not waited for at each small change."""
    if "database" in metafunc.fixturenames:
        server = pytest.param("postgresql", marks=[pytest.mark.integration, *_UNCLOSED])
        marks = metafunc.config.getoption("markexpr")
        is_asked = "integration" in marks.replace("not integration", "")
        metafunc.parametrize("database", [server] if is_asked else ["sqlite"], indirect=True)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop on which the server runs."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where the databases are that `url_of` names."""
    if request.param == "sqlite":
        yield
        return
    server: PostgreSql = request.getfixturevalue("postgresql")
    made = cache(lambda _folder: server.url(template=_template(server)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_MAKERS, "url", made)
        yield
    # What is unclosed is so in the test that left it, not in whichever runs when it is found.
    gc.collect()


def url_of(folder: Path) -> str:
    """The URL of the one database of the tests that have this folder."""
    return _MAKERS["url"](folder)


def _file_in(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/store.db"


_MAKERS: dict[str, Callable[[Path], str]] = {"url": _file_in}


@cache
def _template(server: PostgreSql) -> str:
    """A database on the server that is as the migrations make it."""
    url = server.url()
    _migrate(url)
    return url.rpartition("/")[2]


@pytest.fixture(scope="module", autouse=True)
def copied() -> Iterator[None]:
    """Each new SQLite file of these tests begins as a copy."""
    copies: set[str] = set()

    async def copied_or_upgraded(engine: AsyncEngine) -> None:
        file = engine.url.database or ""
        if engine.dialect.name == "postgresql":
            # Made from a template.
            return
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
        _migrate(f"sqlite+aiosqlite:///{path}")
        assert [found.name for found in Path(folder).iterdir()] == [path.name]
        return path.read_bytes()


def _migrate(url: str) -> None:
    async def migrate() -> None:
        engine = make_engine(url)
        await upgrade(engine)
        await engine.dispose()

    # The caller's loop runs; this one is another thread's.
    thread = Thread(target=asyncio.run, args=(migrate(),))
    thread.start()
    thread.join()


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
        async with self.storing(), super().transaction() as connection:
            yield connection

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        async with self.storing():
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
    async def storing(self) -> AsyncIterator[None]:
        """Around whatever changes it."""
        async with self.passing():
            yield

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Around whatever is asked of the database."""
        with self.traffic.passing():
            yield
