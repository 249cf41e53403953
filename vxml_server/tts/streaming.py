"""From a thread that makes speech to the loop that sends it, piece by piece.

The rule: the loop never waits for the thread, and a stream that nobody wants stops the work at its
next chunk.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor

from vxml_server.tts.speech import Chunk

Emit = Callable[[Chunk], None]


class Cancelled(Exception):
    """Nobody wants the rest; raised by `emit` in the thread that makes it."""


async def from_thread(
    executor: Executor, produce: Callable[[Emit, threading.Event], None]
) -> AsyncGenerator[Chunk]:
    """The chunks that `produce(emit, cancelled)` emits, which runs on `executor`.

    What it raises is raised here, after the chunks before it. When the generator is closed or
    cancelled, `cancelled` is set and the next `emit` raises `Cancelled`; nobody waits for that.
    """
    loop = asyncio.get_running_loop()
    cancelled = threading.Event()
    chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()

    def tell(chunk: Chunk | None) -> None:
        try:
            loop.call_soon_threadsafe(chunks.put_nowait, chunk)
        except RuntimeError:  # the loop is closed: nobody listens any more
            cancelled.set()

    def emit(chunk: Chunk) -> None:
        if cancelled.is_set():
            raise Cancelled
        tell(chunk)

    def work() -> None:
        try:
            if not cancelled.is_set():
                produce(emit, cancelled)
        finally:
            tell(None)

    working = asyncio.ensure_future(loop.run_in_executor(executor, work))
    try:
        while (chunk := await chunks.get()) is not None:
            yield chunk
        await working
    finally:
        cancelled.set()
        working.cancel()
        working.add_done_callback(_forget)


def _forget(working: asyncio.Future[None]) -> None:
    """What went wrong in work that was given up is nobody's business."""
    if not working.cancelled():
        working.exception()
