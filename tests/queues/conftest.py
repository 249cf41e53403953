"""A hall for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
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
    world = World(VirtualClock(), tmp_path)
    centre = await world.worker()
    await centre.declare(DEFINITIONS)
    await centre.present("ann", Presence.AVAILABLE)
    board = Switchboard(world.clock, centre)
    yield Hall(world, board)
    await board.close()
    await world.close()


@pytest.fixture
async def floor(tmp_path: Path) -> AsyncIterator[Floor]:
    world = World(VirtualClock(), tmp_path)
    centre = await world.worker()
    await centre.declare(SUPERVISED)
    await centre.present("ann", Presence.AVAILABLE)
    made = Floor(world, Switchboard(world.clock, centre), world._stores[0])
    made.supervision.start()
    yield made
    await made.supervision.stop()
    await world.close()
