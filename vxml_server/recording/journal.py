"""Changes of recordings on their way to the database, in the order in which they happened.

A bridge does not wait for a database. The rule that must hold: what has happened is written, once,
in its order, however long the database is away; `settled` returns when all of it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from vxml_server.clock import Clock, deadline
from vxml_server.recording.ledger import TooLate
from vxml_server.store import StoreError

_log = structlog.get_logger(__name__)

RETRY = 1.0
Write = Callable[[], Awaitable[None]]


class Journal:
    """Does one piece of writing after the other. `start`, then `close`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: asyncio.Queue[Write] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="recordings: journal")

    def put(self, write: Write) -> None:
        """Writes this after what was put before."""
        self._waiting.put_nowait(write)

    async def settled(self) -> None:
        """Returns when everything that was put is written."""
        await self._waiting.join()

    async def close(self, seconds: float = 5.0) -> None:
        """Writes what is left, for at most `seconds`; the next start puts right what is not."""
        if self._task is not None:
            try:
                async with deadline(self._clock, seconds):
                    await self.settled()
            except TimeoutError:
                _log.error("changes of recordings were not written", changes=self._waiting.qsize())
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            write = await self._waiting.get()
            try:
                await self._do(write)
            finally:
                self._waiting.task_done()

    async def _do(self, write: Write) -> None:
        while True:
            try:
                await write()
                return
            except StoreError as error:
                _log.warning("the database does not answer", error=str(error))
                await self._clock.sleep(RETRY)
            except TooLate as error:
                _log.error("a recording was changed by another", recording=str(error))
                return
            except Exception:
                # The other recordings must be written all the same.
                _log.exception("a change of a recording could not be written")
                return
