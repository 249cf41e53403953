"""Figures for any time, from a real database: what was kept before and the log since."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.databases import BOTH, url_of
from vxml_server.clock import VirtualClock
from vxml_server.queues import summaries as module
from vxml_server.queues.statistics import of_agent, of_queue, service_level
from vxml_server.queues.summaries import (
    KEEP,
    LOOK,
    MOST_INTERVALS,
    Report,
    Summaries,
    TooManyIntervals,
)
from vxml_server.store import Json, NewEvent, Store, append_facts

pytestmark = BOTH

DAY = datetime(2026, 1, 1, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


class World:
    """A log, to which callers are added who wait, talk and are gone."""

    def __init__(self, path: Path, clock: VirtualClock) -> None:
        self.path = path
        self.clock = clock
        self.stores: list[Store] = []
        self.callers = 0

    async def store(self, worker: str = "main") -> Store:
        url = url_of(self.path)
        store = await Store.open(url, self.clock, worker=worker)
        self.stores.append(store)
        return store

    async def caller(self, at: datetime, *, waited: float = 10.0, queue: str = "sales") -> None:
        """Who comes at `at` and is served by ann for 100 s, and 5 s of wrap-up."""
        self.callers += 1
        entry, offer = f"e{self.callers}", f"o{self.callers}"
        about: dict[str, Json] = {"entry": entry, "offer": offer, "outcome": "completed"}
        facts: list[tuple[str, float, dict[str, Json]]] = [
            ("queue.entered", 0.0, {"entry": entry}),
            ("vxml.log", 0.0, {}),
            ("queue.connected", waited, {"entry": entry, "waited": waited}),
            ("offer.wrapping_up", waited + 100, {**about, "talked": 100.0}),
            ("queue.left", waited + 100, {"entry": entry, "exit": "served", "waited": waited}),
            ("offer.closed", waited + 105, {**about, "wrapped_up": 5.0}),
        ]
        async with self.stores[0].transaction() as connection:
            await append_facts(
                connection,
                [
                    NewEvent("", at + timedelta(seconds=after), name, data, queue, "ann")
                    for name, after, data in facts
                ],
            )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path, VirtualClock(DAY + timedelta(hours=12)))
    yield made
    for store in made.stores:
        await store.close()


@pytest.fixture
async def make(world: World) -> Callable[[], Summaries]:
    store = await world.store()
    return lambda: Summaries(store, world.clock)


def answered(report: Report) -> list[tuple[str, str, object]]:
    return [
        (row.name, row.start.isoformat()[5:16], of_queue(row.figures)["answered"])
        for row in report.queues
    ]


async def test_a_report_has_what_happened_a_moment_ago(
    world: World, make: Callable[[], Summaries]
) -> None:
    summaries = make()
    for hour in (1, 1, 3):
        await world.caller(DAY + timedelta(hours=hour))
        assert (await summaries.report()).queues
    report = await summaries.report()
    assert (report.start, report.end) == (DAY, DAY + timedelta(hours=12))
    assert answered(report) == [("sales", "01-01T00:00", 3)]
    (ann,) = report.agents
    assert of_agent(ann.figures)["talk_s"] == 300.0
    assert answered(await summaries.report(minutes=60)) == [
        ("sales", "01-01T01:00", 2),
        ("sales", "01-01T03:00", 1),
    ]


async def test_what_was_kept_counts_once_whoever_asks(
    world: World, make: Callable[[], Summaries]
) -> None:
    one, other = make(), Summaries(await world.store("other"), world.clock)
    for hour in range(6):
        await world.caller(DAY + timedelta(hours=hour), waited=10.0 + hour)
        for asked in (one, other):
            await asked.report()
        await (one, other)[hour % 2].keep()
        fresh = make()
        for asked in (one, other, fresh):
            report = await asked.report(DAY)
            assert answered(report) == [("sales", "01-01T00:00", hour + 1)]
            found = of_queue(report.queues[0].figures)
            assert found["longest_wait_s"] == 10.0 + hour
            assert found["handled"] == hour + 1


async def test_a_conversation_that_lasts_while_sums_are_kept_is_counted_once(
    world: World, make: Callable[[], Summaries]
) -> None:
    summaries = make()
    store = world.stores[0]
    at = DAY + timedelta(hours=11)

    async def tell(name: str, seconds: float, **data: Json) -> None:
        about: dict[str, Json] = {"entry": "e", "offer": "o", "outcome": "completed", **data}
        store.append([NewEvent("", at + timedelta(seconds=seconds), name, about, "sales", "ann")])
        await store.flush()
        await summaries.keep()

    await tell("agent.presence", 0, presence="available")
    await tell("queue.connected", 0, waited=3.0)
    (row,) = (await summaries.report()).agents
    assert of_agent(row.figures)["talk_s"] == of_agent(row.figures)["signed_in_s"] == 3600.0
    await tell("offer.wrapping_up", 3600, talked=3600.0)
    world.clock.advance(1.0)
    (row,) = (await make().report()).agents
    found = of_agent(row.figures)
    assert (found["talk_s"], found["wrap_up_s"], found["handled"]) == (3600.0, 1.0, 1)
    assert found["occupancy"] == 1.0


async def test_intervals_add_up_to_the_whole(world: World, make: Callable[[], Summaries]) -> None:
    summaries = make()
    for minute in (0, 14, 15, 59, 60, 1439, 1440, 4000):
        await world.caller(DAY + timedelta(minutes=minute), waited=0.0)
    end = DAY + timedelta(days=3)
    for keep in (False, True):
        if keep:
            await summaries.keep()
        (whole,) = (await summaries.report(DAY, end)).queues
        for minutes in (15, 30, 60, 1440):
            report = await summaries.report(DAY, end, minutes)
            sums = [sum(column) for column in zip(*[r.figures for r in report.queues], strict=True)]
            assert sums == whole.figures
            width = timedelta(minutes=minutes)
            assert all(row.end - row.start == width for row in report.queues)
    assert of_queue(whole.figures)["handled"] == 8


async def test_only_what_was_asked_for_is_told(world: World, make: Callable[[], Summaries]) -> None:
    summaries = make()
    await world.caller(DAY)
    await world.caller(DAY, queue="other")
    await summaries.keep()
    await world.caller(DAY, queue="other")
    assert answered(await summaries.report(queue="other")) == [("other", "01-01T00:00", 2)]
    assert not (await summaries.report(queue="other")).agents
    assert not (await summaries.report(agent="ann")).queues
    assert len((await summaries.report(agent="ann")).agents) == 1
    assert (await summaries.report(queue="none")).queues == ()
    both = await summaries.report(queue="sales", agent="ann")
    assert (len(both.queues), len(both.agents)) == (1, 1)
    before = await summaries.report(DAY - timedelta(days=2), DAY - timedelta(days=1))
    assert before.queues == ()


async def test_days_are_those_of_the_zone_with_23_and_25_hours_too(world: World) -> None:
    summaries = Summaries(await world.store(), world.clock, PARIS)
    # 2026: summer time begins on 29 March and ends on 25 October.
    for day, hours in (
        (datetime(2026, 3, 29, tzinfo=PARIS), 23),
        (datetime(2026, 10, 25, tzinfo=PARIS), 25),
    ):
        begins = day.astimezone(UTC)
        for minute in (-1, 0, 60 * hours - 1, 60 * hours):
            await world.caller(begins + timedelta(minutes=minute), waited=0.0)
        await summaries.keep()
        start, end = day - timedelta(days=1), day + timedelta(days=2)
        report = await summaries.report(start, end, 1440)
        assert [of_queue(row.figures)["answered"] for row in report.queues] == [1, 2, 1]
        assert [row.end - row.start for row in report.queues][1] == timedelta(hours=hours)


async def test_a_report_has_its_limits(make: Callable[[], Summaries]) -> None:
    summaries = make()
    with pytest.raises(TooManyIntervals, match=str(MOST_INTERVALS)):
        await summaries.report(DAY - timedelta(days=365), DAY, 15)
    assert (await summaries.report(DAY, DAY)).queues == ()
    assert (await summaries.report(DAY + timedelta(days=3), None, 60)).queues == ()


async def test_sums_are_kept_by_themselves_and_levels_are_at_hand(
    world: World, make: Callable[[], Summaries]
) -> None:
    summaries = make()
    await world.caller(DAY + timedelta(hours=1), waited=10.0)
    await world.caller(DAY + timedelta(hours=2), waited=30.0)
    summaries.start()
    while not summaries.service_levels():
        await world.clock.elapse(LOOK)
    assert summaries.service_levels() == {"sales": 0.5}
    assert service_level([0] * 46) is None
    kept = Summaries(world.stores[0], world.clock)
    report = await kept.report()
    assert kept._base is not None and kept._base > 0, "by the task, at its start"
    assert not kept._since.queues
    assert answered(report) == [("sales", "01-01T00:00", 2)]
    await summaries.stop()
    assert KEEP >= LOOK


async def test_a_long_log_is_added_up_in_parts(
    world: World, make: Callable[[], Summaries], monkeypatch: pytest.MonkeyPatch
) -> None:
    summaries = make()
    for minute in range(7):
        await world.caller(DAY + timedelta(minutes=minute))
    monkeypatch.setattr("vxml_server.queues.summaries._KEEP_AFTER", 3)
    monkeypatch.setattr("vxml_server.queues.summaries._CHUNK", 2)
    monkeypatch.setattr("vxml_server.queues.summaries._NEWS", module._NEWS.limit(2))
    assert answered(await summaries.report()) == [("sales", "01-01T00:00", 7)]
    await summaries.keep()
    assert answered(await make().report()) == [("sales", "01-01T00:00", 7)]
