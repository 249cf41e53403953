"""`/api/v1/statistics`: figures of queues and agents by intervals, from the event log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from vxml_server.queues import (
    Report,
    SummaryRow,
    TooManyIntervals,
    figures_of_agent,
    figures_of_queue,
)
from vxml_server.store import Json
from vxml_server.web.protocols import Statistics
from vxml_server.web.requests import bad, instant, parameters, store_answers, when

INTERVALS: Mapping[str, int | None] = {"15": 15, "30": 30, "60": 60, "day": 1440, "all": None}
"""Minutes of an interval, by name."""
MOST_ROWS = 20_000
_AT_ONCE = 200


class StatisticsApi:
    """The handler."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/statistics", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        """What happened in each interval; by default today until now, as one day."""
        given = parameters(request, "queue", "agent", "from", "to", "interval")
        interval = given.get("interval", "day")
        if interval not in INTERVALS:
            raise bad(f"interval: expected one of {', '.join(INTERVALS)}, got {interval!r}.")
        start, end = instant(given, "from"), instant(given, "to")
        if start is not None and end is not None and end <= start:
            raise bad("to: expected a time after from.")
        with store_answers():
            try:
                report = await self._statistics.report(
                    *(start, end, INTERVALS[interval]),
                    queue=given.get("queue"),
                    agent=given.get("agent"),
                )
            except TooManyIntervals as error:
                raise bad(f"interval: {error}.") from None
        return await _answer(report, interval)


async def _answer(report: Report, interval: str) -> web.Response:
    if len(report.queues) + len(report.agents) > MOST_ROWS:
        raise bad(f"There are more than {MOST_ROWS} rows: ask for less time, or for one name.")
    body = {
        "from": when(report.start),
        "to": when(report.end),
        "interval": interval,
        "queues": await _shown(report.queues, figures_of_queue),
        "agents": await _shown(report.agents, figures_of_agent),
    }
    # Beside the loop: there may be thousands of rows.
    octets = await asyncio.to_thread(lambda: json.dumps(body).encode())
    return web.Response(body=octets, content_type="application/json")


async def _shown(
    rows: Sequence[SummaryRow], figures: Callable[[list[int]], Mapping[str, Json]]
) -> list[Mapping[str, Json]]:
    shown: list[Mapping[str, Json]] = []
    for number, row in enumerate(rows):
        about: dict[str, Json] = {"name": row.name, "from": when(row.start), "to": when(row.end)}
        shown.append({**about, **figures(row.figures)})
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return shown
