"""Work that must come to an end, and work that must never end."""

from __future__ import annotations

import asyncio

import pytest

from vxml_server.clock import VirtualClock
from vxml_server.queues.tasks import AGAIN, for_ever, to_the_end


async def test_who_is_cancelled_twice_still_waits_for_what_is_being_stored() -> None:
    stored = asyncio.Event()
    done: list[str] = []

    async def store() -> None:
        await stored.wait()
        done.append("stored")

    task = asyncio.create_task(to_the_end(store()))
    for _ in range(2):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    stored.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["stored"]


async def test_the_failure_of_work_that_nobody_waits_for_any_more_is_not_a_warning_of_asyncio() -> (
    None
):
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    task = asyncio.create_task(to_the_end(fail()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ValueError, match="no"):
        await to_the_end(fail())


async def test_work_that_fails_or_ends_begins_again_and_is_counted() -> None:
    clock = VirtualClock()
    begun: list[int] = []
    failures: list[int] = []

    async def work() -> None:
        begun.append(1)
        if len(begun) == 1:
            raise KeyError("a defect")

    task = asyncio.create_task(for_ever(work, clock, lambda: failures.append(1)))
    await clock.elapse(AGAIN * 2.5)
    assert (len(begun), len(failures)) == (3, 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
