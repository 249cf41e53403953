"""The database engine: SQLite tuned for one writer and many readers, or PostgreSQL as it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.engine.url import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

if sys.platform != "win32":
    import fcntl

# WAL lets readers read while the writer writes. With synchronous=NORMAL a killed process loses
# nothing that was committed; a power cut may lose the last transactions but damages nothing.
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "busy_timeout=5000",
    "foreign_keys=ON",
)


def make_engine(url: str) -> AsyncEngine:
    """The engine for a database URL; makes the folder of an SQLite file."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_async_engine(parsed, pool_pre_ping=True)
    if parsed.database in {None, "", ":memory:"}:
        # A database in memory is its connection: one, which everybody waits for.
        engine = create_async_engine(
            parsed, poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0
        )
    else:
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_async_engine(parsed)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def one_at_a_time(url: str, worker: str) -> Iterator[None]:
    """Holds the name `worker` for this process while it lasts; `OSError` if another one has it.

    Two servers on one SQLite file under one name would take each other's calls for abandoned. The
    system lets go of the lock when the process dies, however it dies.
    """
    parsed = make_url(url)
    if (
        sys.platform == "win32"
        or parsed.get_backend_name() != "sqlite"
        or parsed.database in {None, "", ":memory:"}
    ):
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
    """Brings the tables to the newest form; does nothing when they are."""
    config = Config()
    config.set_main_option("script_location", "vxml_server.store:migrations")
    config.set_main_option("path_separator", "os")

    def run(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async with engine.begin() as connection:
        await connection.run_sync(run)


def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # The driver would begin and commit transactions by its own rules; we say BEGIN ourselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
