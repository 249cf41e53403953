"""A hall for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.databases import (
    copied,
    database,
    pytest_asyncio_loop_factories,
    pytest_generate_tests,
)
from tests.integration.postgresql import postgresql
from tests.queues.floor import DEFINITIONS as SUPERVISED
from tests.queues.floor import Floor
from tests.queues.hall import DEFINITIONS, Hall
from tests.queues.waiters import Switchboard
from tests.queues.workers import World
from vxml_server.clock import VirtualClock
from vxml_server.queues.definitions import Definition
from vxml_server.queues.rows import Presence

__all__ = [
    "copied",
    "database",
    "floor",
    "hall",
    "postgresql",
    "pytest_asyncio_loop_factories",
    "pytest_generate_tests",
]


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    world, board = await _attended(tmp_path, DEFINITIONS)
    made = Hall(world, board)
    yield made
    made.thaw()
    await board.close()
    await world.close()


@pytest.fixture
async def floor(tmp_path: Path) -> AsyncIterator[Floor]:
    world, board = await _attended(tmp_path, SUPERVISED)
    made = Floor(world, board, world._stores[0])
    made.supervision.start()
    yield made
    await made.supervision.stop()
    await world.close()


async def _attended(folder: Path, definitions: Sequence[Definition]) -> tuple[World, Switchboard]:
    """A worker with these definitions, and ann signed in."""
    world = World(VirtualClock(), folder)
    centre = await world.worker()
    await centre.declare(definitions)
    await centre.present("ann", Presence.AVAILABLE)
    return world, Switchboard(world.clock, centre)
