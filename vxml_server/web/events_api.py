"""`/api/v1/events`: the event log, as pages of JSON and live as server-sent events (HTML, 9.2).

The rules that must hold: who follows from a number on gets every fact after it that he asked for,
once, in order, over any number of connections; a reader who is slow, or has gone, costs no memory
and is let go.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from vxml_server.clock import Clock, deadline
from vxml_server.store import EventRecord, Json, StoreError
from vxml_server.web.problems import Problem
from vxml_server.web.protocols import CallHistory, EventFeed
from vxml_server.web.requests import MAX_NUMBER, bad, number, parameters, store_answers, when

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent: proxies and readers know that we live."""
STALL = 60.0
"""Seconds after which a reader who takes nothing is let go; he may come again where he was."""
RETRY = 2.0
"""Seconds after which a reader whose connection has ended comes again."""
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which facts; "" is any."""

    queue: str
    agent: str
    call: str

    def __contains__(self, event: object) -> bool:
        return (
            isinstance(event, EventRecord)
            and self.queue in {"", event.queue}
            and self.agent in {"", event.agent}
            and self.call in {"", event.call_id}
        )


class EventsApi:
    """The handler. `end` ends every stream, and those to come."""

    def __init__(self, history: CallHistory, feed: EventFeed, clock: Clock) -> None:
        self._history = history
        self._feed = feed
        self._clock = clock
        self._is_ending = False
        self._streams: set[asyncio.Event] = set()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/events", self.get)]

    def end(self) -> None:
        """The server drains or stops: readers come again where another one answers."""
        self._is_ending = True
        for wake in self._streams:
            wake.set()

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Facts with numbers over `after`: a stream, or a page if JSON is what is accepted."""
        given = parameters(request, "after", "limit", "queue", "agent", "call")
        wanted = _Wanted(given.get("queue", ""), given.get("agent", ""), given.get("call", ""))
        accept = request.headers.get("Accept", "")
        if "application/json" in accept and "text/event-stream" not in accept:
            return await self._page(given, wanted)
        if "limit" in given:
            raise bad("limit: a stream has none.")
        return await self._stream(request, self._start(request, given), wanted)

    def _start(self, request: web.Request, given: Mapping[str, str]) -> int:
        """Where a reader was when he was here last, or wants to begin, or from now on."""
        last = request.headers.get("Last-Event-ID")
        if last is not None:
            return number({"Last-Event-ID": last}, "Last-Event-ID", 0, 0, MAX_NUMBER)
        return number(given, "after", self._feed.last, 0, MAX_NUMBER)

    # Pages -------------------------------------------------------------------------------------

    async def _page(self, given: Mapping[str, str], wanted: _Wanted) -> web.Response:
        after = number(given, "after", 0, 0, MAX_NUMBER)
        limit = number(given, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
        with store_answers():
            events = await self._history.events(
                after=after,
                call_id=wanted.call or None,
                queue=wanted.queue or None,
                agent=wanted.agent or None,
                limit=limit,
            )
        return web.json_response(
            {
                "events": [event_to_json(event) for event in events],
                "after": events[-1].seq if events else after,
            }
        )

    # Streams -----------------------------------------------------------------------------------

    async def _stream(
        self, request: web.Request, after: int, wanted: _Wanted
    ) -> web.StreamResponse:
        if self._is_ending:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "The server is draining.", {"Retry-After": "5"}
            )
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        wake = asyncio.Event()
        self._streams.add(wake)
        try:
            await response.prepare(request)
            await self._send(response, f"retry: {RETRY * 1000:.0f}\n\n")
            await self._follow(response, after, wanted, wake)
        except (ConnectionError, StoreError):
            pass  # he has gone, or is to come again
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._streams.discard(wake)
        return response

    async def _follow(
        self, response: web.StreamResponse, after: int, wanted: _Wanted, wake: asyncio.Event
    ) -> None:
        batches = self._feed.batches(after)
        coming = _next(batches, wake)
        try:
            while not self._is_ending:
                timer = self._clock.call_later(HEARTBEAT, wake.set)
                await wake.wait()
                timer.cancel()
                wake.clear()
                if coming.done():
                    batch = coming.result()
                    coming = _next(batches, wake)
                    await self._tell(response, [event for event in batch if event in wanted])
                    after = batch[-1].seq
                elif not self._is_ending:
                    # With the number, so that who comes again need not read what is not for him.
                    await self._send(response, f":\nid: {after}\n\n")
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming
            await batches.aclose()

    async def _tell(self, response: web.StreamResponse, events: Sequence[EventRecord]) -> None:
        for first in range(0, len(events), _AT_ONCE):
            some = events[first : first + _AT_ONCE]
            await self._send(
                response,
                "".join(
                    f"id: {one.seq}\ndata: {json.dumps(event_to_json(one))}\n\n" for one in some
                ),
            )

    async def _send(self, response: web.StreamResponse, text: str) -> None:
        """Waits until the reader has taken most of what was sent before."""
        async with deadline(self._clock, STALL):
            await response.write(text.encode())


def event_to_json(event: EventRecord) -> dict[str, Json]:
    """A fact; "" where it is not about a call, a queue or an agent."""
    return {
        "seq": event.seq,
        "at": when(event.at),
        "name": event.name,
        "call": event.call_id,
        "queue": event.queue,
        "agent": event.agent,
        "data": event.data,
    }


def _next(
    batches: AsyncGenerator[Sequence[EventRecord], None], wake: asyncio.Event
) -> asyncio.Future[Sequence[EventRecord]]:
    coming = asyncio.ensure_future(anext(batches))
    coming.add_done_callback(lambda _: wake.set())
    return coming
