"""Three workers of one contact centre on a real PostgreSQL: whatever fails, the rules hold."""

from __future__ import annotations

import os

import pytest

from tests.integration.postgresql import PostgreSql, postgresql
from tests.queues.histories import History, close_workers, open_workers

__all__ = ["postgresql"]
pytestmark = pytest.mark.integration

HISTORIES = int(os.environ.get("HISTORIES", "12"))
FIRST = int(os.environ.get("FIRST_HISTORY", "0"))


@pytest.mark.parametrize("calm", [True, False], ids=["calm", "with-failures"])
async def test_whatever_happens_to_three_workers_on_postgresql_the_rules_hold(
    postgresql: PostgreSql, calm: bool
) -> None:
    workers = await open_workers(postgresql.url())
    number = FIRST
    try:
        for number in range(FIRST, FIRST + HISTORIES):
            await History(number, workers, calm=calm).play()
    except BaseException as error:
        error.add_note(f"history {number}")
        raise
    finally:
        await close_workers(workers)
