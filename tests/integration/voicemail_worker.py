"""A process in which callers leave messages all the time, until it is killed.

`python -m tests.integration.voicemail_worker FOLDER KEY`. Says the id of each message on standard
output when it is kept, and nothing else.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import structlog

from tests.voicemail.world import KEY, World, world_of
from vxml_server.queues import Box

BOX = Box("sales", max_messages=100_000)
CALLERS = 4
SECONDS = 1.5


async def _leave(world: World) -> None:
    while True:
        message = await world.leave(seconds=SECONDS)
        print(message.id, flush=True)  # noqa: T201 (the test reads it)


async def _main(folder: str, is_encrypted: bool) -> None:
    keys = [KEY] if is_encrypted else []
    async with world_of(Path(folder), BOX, runs=False, keys=keys) as world:
        await asyncio.gather(*(_leave(world) for _ in range(CALLERS)))


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(_main(sys.argv[1], sys.argv[2] == "encrypted"))
