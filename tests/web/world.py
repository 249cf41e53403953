"""A web server with calls that the tests make up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Literal

from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request
from prometheus_client import CollectorRegistry

from tests.store.records import START, call
from tests.web.centre import FakeCentre, FakeStatistics
from vxml_server.clock import VirtualClock
from vxml_server.queues import Order, Reason, Refused
from vxml_server.settings import WebSettings
from vxml_server.store import CallRecord, Cursor, EventRecord, LegRecord, Page, StoreError
from vxml_server.web import CallHistory, EventFeed, make_app

Client = TestClient[Request, Application]


ENDED = call(
    "ended",
    -60,
    answered_at=START,
    ended_at=START + timedelta(seconds=9.5),
    duration_s=9.5,
    end_reason="exit",
    hung_up_by="application",
    codec="PCMA",
    packets_lost=2,
    jitter_ms=1.25,
    legs=(
        LegRecord(
            destination="sip:op@10.0.0.3",
            type="bridge",
            outcome="busy",
            started_at=START,
            answered_at=None,
            ended_at=START + timedelta(seconds=1),
            duration_s=0.0,
        ),
    ),
)


class FakeFeed:
    """A log in memory that grows by `add`. `read` counts what was taken of it."""

    def __init__(self) -> None:
        self.events: list[EventRecord] = []
        self.read = 0
        self.followers = 0
        self.database_answers = True
        self._news = asyncio.Condition()

    @property
    def last(self) -> int:
        return self.events[-1].seq if self.events else 0

    async def add(self, *events: EventRecord) -> None:
        async with self._news:
            self.events += events
            self._news.notify_all()

    async def batches(self, after: int) -> AsyncGenerator[Sequence[EventRecord], None]:
        self.followers += 1
        try:
            while True:
                async with self._news:
                    await self._news.wait_for(partial(self._goes_on, after))
                if not self.database_answers:
                    raise StoreError
                batch = [event for event in self.events if event.seq > after][:200]
                self.read += len(batch)
                after = batch[-1].seq
                yield batch
        finally:
            self.followers -= 1

    def _goes_on(self, after: int) -> bool:
        return self.last > after


@dataclass
class World:
    """The other rooms, as the web sees them."""

    running: dict[str, CallRecord] = field(default_factory=dict)
    kept: dict[str, CallRecord] = field(default_factory=dict)
    hung_up: list[str] = field(default_factory=list)
    events: list[EventRecord] = field(default_factory=list)
    clock: VirtualClock = field(default_factory=VirtualClock)
    centre: FakeCentre = field(default_factory=FakeCentre)
    statistics: FakeStatistics = field(default_factory=FakeStatistics)
    feed: FakeFeed = field(default_factory=FakeFeed)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    draining: bool = False
    database_answers: bool = True
    orders: list[Order] = field(default_factory=list)
    refuses: Reason | None = None

    def active(self) -> Sequence[CallRecord]:
        return list(self.running.values())

    def get(self, call_id: str) -> CallRecord | None:
        return self.running.get(call_id)

    async def do(self, order: Order) -> None:
        """What a supervisor orders."""
        if not self.database_answers:
            raise StoreError
        if self.refuses is not None:
            raise Refused(self.refuses, "It cannot be done.")
        self.orders.append(order)

    def hang_up(self, call_id: str) -> bool:
        if call_id in self.running:
            self.hung_up.append(call_id)
        return call_id in self.running

    def app(
        self,
        settings: WebSettings | None = None,
        mounts: dict[str, Application] | None = None,
        history: CallHistory | None = None,
        feed: EventFeed | None = None,
    ) -> Application:
        return make_app(
            settings or WebSettings(apps=None),
            directory=self,
            history=history or History(self),
            centre=self.centre,
            orders=self,
            statistics=self.statistics,
            feed=feed or self.feed,
            registry=self.registry,
            is_draining=lambda: self.draining,
            clock=self.clock,
            mounts=mounts,
        )


@dataclass
class History:
    """The store; the order and the cursors are tested with the real one."""

    world: World

    async def calls(
        self,
        state: Literal["active", "ended"] | None = None,
        limit: int = 50,
        cursor: Cursor | None = None,
    ) -> Page:
        if not self.world.database_answers:
            raise StoreError
        is_active = {"active": True, "ended": False}.get(state or "")
        chosen = [
            call for call in self.world.kept.values() if is_active in {None, call.ended_at is None}
        ]
        return Page(tuple(chosen[:limit]), None)

    async def events(
        self,
        *,
        after: int = 0,
        call_id: str | None = None,
        queue: str | None = None,
        agent: str | None = None,
        limit: int = 1000,
    ) -> tuple[EventRecord, ...]:
        if not self.world.database_answers:
            raise StoreError
        chosen = [
            event
            for event in self.world.events
            if call_id in {None, event.call_id}
            and queue in {None, event.queue}
            and agent in {None, event.agent}
            and event.seq > after
        ]
        return tuple(chosen[:limit])

    async def call(self, call_id: str) -> CallRecord | None:
        if not self.world.database_answers:
            raise StoreError
        return self.world.kept.get(call_id)
