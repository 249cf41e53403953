"""The database engine: SQLite tuned for one writer and many readers, or PostgreSQL as it is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, event, func, select
from sqlalchemy.engine.interfaces import AdaptedConnection, DBAPIConnection
from sqlalchemy.engine.url import make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, PoolProxiedConnection

if sys.platform != "win32":
    import fcntl

# WAL lets readers read while the writer writes. With synchronous=NORMAL a killed process loses
# nothing that was committed; a power cut may lose the last transactions but damages nothing.
# The time limit comes first, for it holds for the next ones too.
_PRAGMAS = (
    "busy_timeout=5000",
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
    # Who commits when the log of writes has so many pages (of 4 KiB) puts them into the file, and
    # takes milliseconds for it: not one decision in a hundred.
    "wal_autocheckpoint=4000",
)
# A database that is gone without a word must not be waited for by the rules of TCP (seconds).
_LIMITS = {"timeout": 5.0, "command_timeout": 15.0}
# Any number that no other application of the database takes: "vxml" in ASCII.
_UPGRADING = 0x76786D6C

# Options are of any type to SQLAlchemy, hence Any.
WRITING: Mapping[str, Any] = {"sqlite_begin": "BEGIN IMMEDIATE"}
"""Options of a connection that is going to write: SQLite waits for its turn at the beginning, and
so need not give up in the middle because what was read has changed."""
SNAPSHOT: Mapping[str, Mapping[str, Any]] = {
    "sqlite": {},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}
"""Options of a connection whose statements all see the same moment, by database. SQLite does."""
ONE_LOOK: Mapping[str, Mapping[str, Any]] = {
    "sqlite": {"sqlite_begin": ""},
    "postgresql": {"isolation_level": "AUTOCOMMIT"},
}
"""Options of a connection for one statement that reads: it sees one moment by itself, and needs no
transaction begun and ended around it."""


def make_engine(url: str) -> AsyncEngine:
    """The engine for a database URL; makes the folder of an SQLite file."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        engine = create_async_engine(parsed, connect_args=_LIMITS)
        event.listen(engine.sync_engine, "checkout", _still_open)
        return engine
    if is_in_memory(parsed):
        # A database in memory is its connection: one, which everybody waits for.
        engine = create_async_engine(
            parsed, poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0
        )
    else:
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_async_engine(parsed)
    prepare(engine.sync_engine)
    return engine


def is_in_memory(url: URL) -> bool:
    """Whether a URL of SQLite names no file."""
    return url.database in {None, "", ":memory:"}


def prepare(engine: Engine) -> Engine:
    """The engine, with its connections to SQLite tuned as they must be."""
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def turns(engine: AsyncEngine) -> AbstractAsyncContextManager[object]:
    """What each writer of this process enters before it begins.

    SQLite has one writer at a time, and lets the others sleep and look again; taking turns here
    costs no sleep. PostgreSQL needs none of it.
    """
    return asyncio.Lock() if engine.dialect.name == "sqlite" else nullcontext()


@contextmanager
def one_at_a_time(url: str, worker: str) -> Iterator[None]:
    """Holds the name `worker` for this process while it lasts; `OSError` if another one has it.

    Two servers on one SQLite file under one name would take each other's calls for abandoned. The
    system lets go of the lock when the process dies, however it dies.
    """
    parsed = make_url(url)
    if sys.platform == "win32" or parsed.get_backend_name() != "sqlite" or is_in_memory(parsed):
        yield
        return
    with Path(f"{parsed.database}.{worker}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(
                f"another server named {worker!r} is using {parsed.database}"
            ) from None
        yield


async def upgrade(engine: AsyncEngine) -> None:
    """Brings the tables to the newest form; does nothing when they are.

    Processes that start together do it one after the other.
    """
    config = Config()
    config.set_main_option("script_location", "vxml_server.store:migrations")
    config.set_main_option("path_separator", "os")

    def run(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async with _unhurried(engine) as patient, patient.connect() as connection:
        await connection.execution_options(**WRITING)
        async with connection.begin():
            if connection.dialect.name == "postgresql":
                await connection.execute(select(func.pg_advisory_xact_lock(_UPGRADING)))
            await connection.run_sync(run)


@asynccontextmanager
async def _unhurried(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """An engine for statements that may take long: a new index on a large table."""
    if engine.dialect.name != "postgresql":
        yield engine
        return
    patient = create_async_engine(engine.url)
    try:
        yield patient
    finally:
        await patient.dispose()


def _still_open(
    connection: DBAPIConnection, _record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    """Whoever takes a connection that the server has ended gets a new one, as all others do.

    The driver knows when its socket is closed: to ask the server (`pool_pre_ping`) takes three
    messages there and back before each transaction, as long as the transaction itself.
    """
    if isinstance(connection, AdaptedConnection) and connection.driver_connection.is_closed():
        raise InvalidatePoolError("the server has ended the connection")


def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # The driver would begin and commit transactions by its own rules; we say BEGIN ourselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    if begin := connection.get_execution_options().get("sqlite_begin", "BEGIN"):
        connection.exec_driver_sql(begin)
