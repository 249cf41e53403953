"""Three workers of one contact centre on a real PostgreSQL: whatever fails, the rules hold.

Ten thousand histories, which take an hour and a half of a core, and the one with a number alone:

    HISTORIES=10000 pytest -n 0 tests/integration/test_queue_workers.py
    HISTORIES=1 FIRST_HISTORY=4711 pytest -n 0 tests/integration/test_queue_workers.py

In those with an even number nothing fails, and order is checked as well.
"""

from __future__ import annotations

import asyncio
import os

import pytest
import uvloop

from tests.integration.postgresql import PostgreSql, postgresql
from tests.queues.histories import History
from tests.queues.killable import close_workers, open_workers

__all__ = ["postgresql"]
pytestmark = pytest.mark.integration

HISTORIES = int(os.environ.get("HISTORIES", "12"))
FIRST = int(os.environ.get("FIRST_HISTORY", "0"))


def test_whatever_happens_to_three_workers_on_postgresql_the_rules_hold(
    postgresql: PostgreSql,
) -> None:
    # As the server runs.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_play(postgresql.url(through_file=True), range(FIRST, FIRST + HISTORIES)))


async def _play(url: str, numbers: range) -> None:
    workers = await open_workers(url)
    number = FIRST
    try:
        for number in numbers:
            await History(number, workers, calm=number % 2 == 0).play()
    except BaseException as error:
        error.add_note(f"history {number}")
        raise
    finally:
        await close_workers(workers)
