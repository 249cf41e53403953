"""A world for calls without sockets, threads or time: fakes for the rooms below, telephones on top.

Telephones are driven by the tests. Sounds take their time on the virtual clock.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.calls.fake_media import FakeChannel, FakeEngine
from tests.calls.fake_sip import FakeIncoming, FakeOutgoing, FarEnds
from tests.calls.fake_speech import FakeSynthesizer
from vxml_server.calls import Exchange, Line, Records, Resources, SoundCache, Spool
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest, Resource
from vxml_server.fetch.resource import digest
from vxml_server.interpreter import DocumentStore, GrammarStore, Limits
from vxml_server.settings import NumberRule
from vxml_server.sip import (
    Credentials,
)
from vxml_server.store import CallEnd, CallRecord, LegRecord, NewEvent

START = "http://apps.test/start.vxml"


def vxml(body: str, attributes: str = "") -> str:
    return (
        '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml" xml:lang="en"'
        f" {attributes}>{body}</vxml>"
    )


class FakeFetcher:
    """`Fetcher` and `FetchSession` in one: what is in `files` comes after `delay`."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.files: dict[str, bytes] = {}
        self.media_types: dict[str, str] = {}
        self.delay = 0.0
        self.fetched: list[str] = []
        self.sessions_open = 0

    def session(self) -> FakeFetcher:
        self.sessions_open += 1
        return self

    def close(self) -> None:
        self.sessions_open -= 1

    async def fetch(self, request: FetchRequest) -> Resource:
        self.fetched.append(request.uri)
        if self.delay:
            await self.clock.sleep(self.delay)
        body = self.files.get(request.uri)
        if body is None:
            raise VoiceXmlEvent("error.badfetch.http.404", "not found", uri=request.uri)
        media_type = self.media_types.get(request.uri, "")
        return Resource(request.uri, 200, media_type, "", body, digest=digest(body))


@dataclass
class FakeStore:
    started: list[CallRecord] = field(default_factory=list)
    answered: list[tuple[str, str | None]] = field(default_factory=list)
    legs: list[LegRecord] = field(default_factory=list)
    ended: list[CallEnd] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)
    running: set[str] = field(default_factory=set)

    def call_started(self, record: CallRecord) -> None:
        self.running.add(record.id)
        self.started.append(record)

    def call_answered(self, call_id: str, answered_at: object, codec: str | None = None) -> None:
        assert call_id in self.running
        self.answered.append((call_id, codec))

    def leg_ended(self, call_id: str, leg: LegRecord) -> None:
        assert call_id in self.running
        self.legs.append(leg)

    def call_ended(self, call_id: str, end: CallEnd) -> bool:
        self.running.remove(call_id)
        self.ended.append(end)
        return True

    def append(self, events: list[NewEvent]) -> None:
        self.events += events

    def names(self) -> list[str]:
        return [event.name for event in self.events]


class World:
    """An exchange and all it needs. `document` is what the number 1000 runs."""

    def __init__(
        self, document: str = "", *, records: Records | None = None, **properties: str
    ) -> None:
        self.clock = VirtualClock()
        self.engine = FakeEngine(self.clock)
        self.synthesizer = FakeSynthesizer(self.clock)
        self.fetcher = FakeFetcher(self.clock)
        self.store = FakeStore()
        self.far_ends = FarEnds()
        if document:
            self.fetcher.files[START] = document.encode()
        self.line = Line(
            engine=self.engine,
            clock=self.clock,
            invite=self.far_ends.invite,
            destination=self.far_ends.destination,
            credentials=lambda target: Credentials("ivr", "secret"),
            session_id=lambda: 1,
        )
        self.resources = Resources(
            clock=self.clock,
            line=self.line,
            fetcher=self.fetcher,
            synthesizer=self.synthesizer,
            sounds=SoundCache(10_000_000),
            documents=DocumentStore(),
            grammars=GrammarStore(),
            store=self.store,
            language="en",
            properties=properties,
            limits=Limits(),
            spool=Spool(Path("no-such-folder"), "main", self.clock),
            records=records,
        )
        self.exchange = Exchange(
            resources=self.resources,
            engine=self.engine,
            numbers=[NumberRule(number="1000", application=START)],
            random=random.Random(3),
        )

    async def offer(self, call: FakeIncoming) -> None:
        """An INVITE comes; the exchange decides."""
        owner = self.exchange.incoming(call)
        call.listener = owner
        await self.clock.settle()

    async def ring(self, call: FakeIncoming | None = None) -> FakeIncoming:
        """A call comes and is answered, if it can be at once."""
        call = call or FakeIncoming()
        await self.offer(call)
        if call.state == "answered":
            call.ack()
            await self.clock.settle()
        return call

    @property
    def outgoing(self) -> list[FakeOutgoing]:
        return self.far_ends.outgoing

    @property
    def caller(self) -> FakeChannel:
        """The first caller's channel."""
        return self.engine.channels[0]

    @property
    def callee(self) -> FakeChannel:
        return self.engine.channels[1]

    async def elapse(self, seconds: float) -> None:
        await self.clock.elapse(seconds)

    async def end(self) -> CallEnd:
        """How the one call ended, and that nothing is left of it."""
        for _ in range(100):
            if not self.exchange.active():
                break
            await self.elapse(1)
        assert len(self.store.ended) == 1
        self.assert_nothing_left()
        return self.store.ended[0]

    def assert_nothing_left(self) -> None:
        assert self.exchange.active() == []
        assert self.engine.open_channels == []
        assert self.engine.bridges == []
        assert self.fetcher.sessions_open == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
