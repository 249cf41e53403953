"""Any history of three workers on one SQLite file keeps what must hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.queues.histories import History, close_workers, open_workers


@pytest.mark.parametrize("calm", [True, False], ids=["calm", "with-failures"])
async def test_whatever_happens_to_three_workers_on_one_file_the_rules_hold(
    tmp_path: Path, calm: bool
) -> None:
    workers = await open_workers(f"sqlite+aiosqlite:///{tmp_path}/queues.db")
    try:
        for number in range(2):
            await History(number, workers, calm=calm).play()
    finally:
        await close_workers(workers)
