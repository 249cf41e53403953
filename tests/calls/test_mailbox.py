from __future__ import annotations

import asyncio

from vxml_server.calls.mailbox import Answered, KeyPressed, Mailbox
from vxml_server.clock import VirtualClock


def key(name: str) -> KeyPressed:
    return KeyPressed(name, 0.0)


async def test_events_are_read_in_their_order() -> None:
    box = Mailbox(VirtualClock())
    box.put(key("1"))
    box.put(Answered())
    assert [await box.get(), await box.get()] == [key("1"), Answered()]


async def test_a_reader_waits_for_an_event() -> None:
    clock = VirtualClock()
    box = Mailbox(clock)
    reading = asyncio.create_task(box.get())
    await clock.settle()
    assert not reading.done()
    box.put(key("1"))
    assert await reading == key("1")


async def test_at_the_deadline_there_is_none() -> None:
    clock = VirtualClock()
    box = Mailbox(clock)
    reading = asyncio.create_task(box.get(deadline=5.0))
    await clock.elapse(4.9)
    assert not reading.done()
    await clock.elapse(0.2)
    assert await reading is None
    assert clock.next_due() is None


async def test_a_deadline_that_has_passed_does_not_hide_an_event() -> None:
    box = Mailbox(VirtualClock())
    assert await box.get(deadline=-1.0) is None
    box.put(key("1"))
    assert await box.get(deadline=-1.0) == key("1")


async def test_a_nudge_makes_the_reader_look_around_once() -> None:
    clock = VirtualClock()
    box = Mailbox(clock)
    reading = asyncio.create_task(box.get())
    await clock.settle()
    box.nudge()
    assert await reading is None
    again = asyncio.create_task(box.get())
    await clock.settle()
    assert not again.done()
    again.cancel()


async def test_a_nudge_while_nobody_reads_is_kept() -> None:
    box = Mailbox(VirtualClock())
    box.nudge()
    box.put(key("1"))
    assert await box.get() == key("1")
    assert await box.get() is None


async def test_events_put_back_come_first_and_in_their_order() -> None:
    box = Mailbox(VirtualClock())
    box.put(key("3"))
    box.put_back([key("1"), key("2")])
    assert [(await box.get()).key for _ in range(3)] == ["1", "2", "3"]


async def test_what_is_put_back_wakes_a_reader() -> None:
    clock = VirtualClock()
    box = Mailbox(clock)
    reading = asyncio.create_task(box.get())
    await clock.settle()
    box.put_back([key("1")])
    assert await reading == key("1")


async def test_a_reader_that_is_cancelled_loses_nothing() -> None:
    clock = VirtualClock()
    box = Mailbox(clock)
    reading = asyncio.create_task(box.get())
    await clock.settle()
    box.put(key("1"))  # woken, but not yet run
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert await box.get() == key("1")


async def test_the_end_of_one_reader_does_not_make_the_next_one_deaf() -> None:
    clock = VirtualClock()
    box = Mailbox(clock)
    first = asyncio.create_task(box.get())
    await clock.settle()
    second = asyncio.create_task(box.get())
    await clock.settle()
    first.cancel()
    await clock.settle()
    box.put(key("1"))
    assert await second == key("1")


async def test_keys_are_taken_out_of_the_rest() -> None:
    box = Mailbox(VirtualClock())
    box.put(key("1"))
    box.put(Answered())
    box.put(key("2"))
    assert box.take_keys() == [key("1"), key("2")]
    assert box.take() == Answered()
    assert box.take() is None


async def test_each_event_is_told_to_whom_it_may_concern() -> None:
    told: list[str] = []
    box = Mailbox(VirtualClock(), lambda: told.append("!"))
    box.put(Answered())
    box.put(key("1"))
    assert told == ["!", "!"]
