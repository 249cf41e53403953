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
from tests.queues.hall import DEFINITIONS, Hall
from tests.queues.waiters import Switchboard
from tests.queues.workers import World
from vxml_server.clock import VirtualClock
from vxml_server.queues.rows import Presence

__all__ = [
    "copied",
    "database",
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
