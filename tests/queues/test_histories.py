"""Any history of three workers keeps what must hold, on a database in memory and on one file.

Ten thousand in memory take about ten minutes; the one with a number alone is the same each time:

    HISTORIES=10000 pytest -n 0 tests/queues/test_histories.py
    HISTORIES=1 FIRST_HISTORY=4711 PYTHONHASHSEED=0 pytest -n 0 tests/queues/test_histories.py

In those with an even number nothing fails and nobody gives orders, and order is checked as well.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.queues.histories import History
from tests.queues.killable import close_workers, open_workers, workers_in_memory

HISTORIES = int(os.environ.get("HISTORIES", "20"))
FIRST = int(os.environ.get("FIRST_HISTORY", "0"))


async def test_whatever_happens_to_three_workers_in_memory_the_rules_hold() -> None:
    for number in range(FIRST, FIRST + HISTORIES):
        workers = workers_in_memory(number)
        try:
            await History(number, workers, calm=number % 2 == 0).play(steps=60)
        except BaseException as error:
            error.add_note(f"history {number}")
            raise
        finally:
            await close_workers(workers)


@pytest.mark.parametrize("calm", [True, False], ids=["calm", "with-failures"])
async def test_whatever_happens_to_three_workers_on_one_file_the_rules_hold(
    tmp_path: Path, calm: bool
) -> None:
    workers = await open_workers(f"sqlite+aiosqlite:///{tmp_path}/queues.db")
    try:
        await History(FIRST, workers, calm=calm).play()
    finally:
        await close_workers(workers)
