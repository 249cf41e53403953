"""Work that must come to an end, and work that must never end.

The rules that must hold: what is being stored is not interrupted, for nobody would know what became
of it; what runs for the life of a worker goes on after a defect, and the log says that there was
one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import structlog

from vxml_server.clock import Clock

_log = structlog.get_logger(__name__)
AGAIN = 1.0
"""Seconds after which work that has failed begins again."""
Result = TypeVar("Result")


async def to_the_end(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of work that is not interrupted: who is cancelled meanwhile, however often, is so
    afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        problem = None if task.cancelled() else task.exception()
        if problem is not None:
            _log.warning("failed, and nobody waits for it any more", error=str(problem))
        raise cancelled
    return task.result()


async def for_ever(
    work: Callable[[], Awaitable[object]], clock: Clock, failed: Callable[[], object]
) -> NoReturn:
    """Runs work that does not end by itself, again when it does; `failed` is told each time."""
    while True:
        try:
            await work()
            _log.error("has ended, and begins again", work=_name(work))
        except Exception:
            _log.exception("has failed, and begins again", work=_name(work))
        failed()
        await clock.sleep(AGAIN)


def _name(work: Callable[[], Awaitable[object]]) -> str:
    return str(getattr(work, "__name__", work))
