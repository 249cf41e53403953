from __future__ import annotations

import asyncio
from datetime import UTC, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vxml_server.clock import SystemClock, VirtualClock


def test_virtual_time_moves_only_when_told() -> None:
    clock = VirtualClock()
    began = clock.utc_now()
    assert clock.monotonic() == 0
    clock.advance(1.5)
    assert clock.monotonic() == 1.5
    assert clock.utc_now() - began == timedelta(seconds=1.5)
    assert clock.utc_now().tzinfo is UTC


def test_timers_fire_in_the_order_in_which_they_fall_due() -> None:
    clock, fired = VirtualClock(), []
    for delay in (3.0, 1.0, 2.0, 1.0, -5.0):
        clock.call_later(delay, lambda delay=delay: fired.append((delay, clock.monotonic())))
    clock.advance(2.5)
    assert fired == [(-5.0, 0.0), (1.0, 1.0), (1.0, 1.0), (2.0, 2.0)]
    assert clock.next_due() == 0.5


def test_a_timer_that_was_started_on_the_way_fires_too() -> None:
    clock, fired = VirtualClock(), []
    clock.call_later(1.0, lambda: clock.call_later(1.0, lambda: fired.append(clock.monotonic())))
    clock.advance(2.0)
    assert fired == [2.0]


def test_a_cancelled_timer_does_not_fire_however_often_it_is_cancelled() -> None:
    clock, fired = VirtualClock(), []
    timer = clock.call_later(1.0, lambda: fired.append(1))
    timer.cancel()
    timer.cancel()
    assert clock.next_due() is None
    clock.advance(2.0)
    assert fired == []


async def test_a_time_that_no_sum_reaches_is_reached_all_the_same() -> None:
    # 0.1 + (1.1 - 0.1) is not 1.1 in binary fractions.
    for start, delay in ((0.1, 1.0), (0.7, 0.1), (1e9, 0.1), (3.3, 1e-17)):
        clock, fired = VirtualClock(), []
        clock.advance(start)
        clock.call_later(delay, lambda fired=fired: fired.append(1))
        await clock.elapse(delay)
        assert fired == [1]


@given(st.lists(st.floats(0, 100), max_size=20), st.lists(st.floats(0, 30), max_size=10))
def test_every_timer_fires_once_and_at_its_time(delays: list[float], steps: list[float]) -> None:
    clock = VirtualClock()
    fired: list[tuple[float, float]] = []
    for delay in delays:
        clock.call_later(delay, lambda delay=delay: fired.append((delay, clock.monotonic())))
    for step in steps:
        clock.advance(step)
    clock.advance(0.0)
    assert fired == [(at, at) for at in sorted(delays) if at <= clock.monotonic()]


async def test_coroutines_wake_in_their_order_each_before_the_next_falls_due() -> None:
    clock, woken = VirtualClock(), []

    async def ticking() -> None:
        while True:
            await clock.sleep(1.0)
            woken.append(clock.monotonic())

    task = asyncio.create_task(ticking())
    await clock.elapse(3.5)
    assert woken == [1.0, 2.0, 3.0]
    task.cancel()
    await clock.settle()
    assert clock.next_due() is None


async def test_a_sleep_that_is_cancelled_as_it_ends_is_harmless() -> None:
    clock = VirtualClock()
    task = asyncio.create_task(clock.sleep(1.0))
    await clock.settle()
    task.cancel()
    clock.advance(1.0)
    await asyncio.wait([task])
    assert task.cancelled()


async def test_the_system_s_clock_is_the_loop_s() -> None:
    clock = SystemClock()
    before, done = clock.monotonic(), asyncio.Event()
    clock.call_later(-1.0, done.set)
    await done.wait()
    await clock.sleep(0.0)
    assert clock.monotonic() >= before
    assert clock.utc_now().tzinfo is UTC
    timer = clock.call_later(1000.0, done.clear)
    timer.cancel()
    timer.cancel()
