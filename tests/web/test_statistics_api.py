from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.databases import url_of
from tests.web.described import check_answer
from tests.web.problems import problem
from tests.web.world import Client, World
from vxml_server.clock import VirtualClock
from vxml_server.queues import Report, Summaries, SummaryRow, TooManyIntervals
from vxml_server.queues.rows import Fact
from vxml_server.queues.statistics import Statistics
from vxml_server.store import Json, Store, StoreError
from vxml_server.web.requests import EARLIEST, LATEST
from vxml_server.web.statistics_api import INTERVALS, MOST_ROWS

URL = "/api/v1/statistics"
DAY = datetime(2026, 1, 1, tzinfo=UTC)


def figures() -> Report:
    """What one caller who was answered adds up to."""
    counted = Statistics()
    at = DAY.timestamp()
    facts: tuple[tuple[str, float, dict[str, Json]], ...] = (
        ("queue.entered", 0, {"entry": "e"}),
        ("queue.connected", 12, {"entry": "e", "waited": 12.0}),
        (
            "offer.wrapping_up",
            72,
            {"entry": "e", "offer": "o", "talked": 60.0, "outcome": "completed"},
        ),
        ("offer.closed", 82, {"entry": "e", "offer": "o", "outcome": "completed"}),
    )
    for name, seconds, data in facts:
        counted.observe(Fact(name, at + seconds, "sales", "ann", data=data))
    end = DAY + timedelta(days=1)
    (queue,), (agent,) = counted.queues.values(), counted.agents.values()
    return Report(
        DAY,
        end,
        (SummaryRow("sales", DAY, end, queue),),
        (SummaryRow("ann", DAY, end, agent),),
    )


async def test_figures_are_shown_by_queue_and_agent(world: World, client: Client) -> None:
    world.statistics.answer = figures()
    response = await client.get(URL)
    body: dict[str, Any] = await response.json()
    check_answer(URL, "get", 200, body)
    assert (body["from"], body["interval"]) == ("2026-01-01T00:00:00.000Z", "day")
    (queue,), (agent,) = body["queues"], body["agents"]
    assert (queue["name"], queue["to"]) == ("sales", "2026-01-02T00:00:00.000Z")
    assert (queue["offered"], queue["answered"], queue["service_level"]) == (1, 1, 1.0)
    assert (queue["average_answer_s"], queue["average_handle_s"]) == (12.0, 70.0)
    assert (agent["talk_s"], agent["wrap_up_s"], agent["occupancy"]) == (60.0, 10.0, None)


async def test_what_is_asked_for_is_asked_for(world: World, client: Client) -> None:
    assert (await client.get(URL)).status == 200
    assert world.statistics.asked == [None, None, 1440, None, None]
    query = "?queue=sales&agent=ann&interval=15"
    query += "&from=2026-01-01T01:00:00%2B01:00&to=2026-01-02T00:00:00Z"
    assert (await client.get(URL + query)).status == 200
    assert world.statistics.asked == [DAY, DAY + timedelta(days=1), 15, "sales", "ann"]
    assert (await client.get(f"{URL}?interval=all")).status == 200
    assert world.statistics.asked[2] is None


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("interval=20", "interval: expected one of 15, 30, 60, day, all"),
        ("from=yesterday", "from: expected a time with its zone"),
        ("from=2026-01-01T00:00:00", "from: expected a time with its zone"),
        ("to=0001-01-01T00:00:00%2B05:00", "to: expected a time with its zone"),
        ("to=9999-12-31T23:59:59Z&interval=all", "to: expected a time with its zone"),
        ("from=9999-12-30T00:00:00-14:00", "from: expected a time with its zone"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to: expected a time after from"),
        ("who=ann", "no parameter 'who'"),
    ],
)
async def test_what_is_not_as_described_is_refused(client: Client, query: str, detail: str) -> None:
    assert detail in await problem(client, "GET", f"{URL}?{query}", 400)


@pytest.mark.parametrize("hours", [-14, 0, 14])
@pytest.mark.parametrize("minutes", INTERVALS.values())
@pytest.mark.parametrize("at", [EARLIEST, LATEST])
async def test_there_are_figures_of_the_first_and_the_last_day_that_can_be_asked_for(
    tmp_path: Path, at: datetime, minutes: int | None, hours: int
) -> None:
    clock = VirtualClock()
    store = await Store.open(url_of(tmp_path), clock)
    summaries = Summaries(store, clock, timezone(timedelta(hours=hours)))
    try:
        report = await summaries.report(at - timedelta(hours=1), at, minutes)
    finally:
        await store.close()
    assert report.start < at <= report.end
    assert report.queues == ()


async def test_too_much_is_refused(world: World, client: Client) -> None:
    world.statistics.answer = TooManyIntervals("expected at most 5 intervals")
    assert "at most 5 intervals" in await problem(client, "GET", URL, 400)
    report = figures()
    world.statistics.answer = Report(DAY, DAY, report.queues * (MOST_ROWS + 1), ())
    assert "ask for less time" in await problem(client, "GET", URL, 400)
    world.statistics.answer = StoreError()
    assert "database" in await problem(client, "GET", URL, 503)
