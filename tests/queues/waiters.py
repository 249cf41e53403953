"""Callers in a queue whose calls and agents' telephones a test drives, on virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.calls.fake_media import FakeEngine
from tests.calls.fake_sip import FakeIncoming, FakeOutgoing, FarEnds
from tests.calls.fake_speech import FakeRecogniser
from vxml_server.calls import Converse, Handover, Leg, Line
from vxml_server.calls.voice import Ear
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import Connection, Json, Outcome, TransferRequest, TransferResult
from vxml_server.queues.centre import ContactCentre
from vxml_server.queues.reception import Reception
from vxml_server.queues.telephones import Dialler
from vxml_server.queues.treatment import Treatments
from vxml_server.queues.waiting import QueueTransfer
from vxml_server.store import NewEvent

ROUND = 20.0
"""Seconds that a document of the fakes takes, unless the test says what comes of it."""


class Switchboard:
    """What callers of one worker share: fake media and SIP, and the agents' telephones."""

    def __init__(self, clock: VirtualClock, centre: ContactCentre) -> None:
        self.clock = clock
        self.centre = centre
        self.engine = FakeEngine(clock)
        self.far_ends = FarEnds()
        self.contacts: dict[str, list[str]] = {}
        self.facts: list[NewEvent] = []
        self.boxes: dict[str, str] = {}
        self.running: list[asyncio.Task[TransferResult]] = []
        self.line = Line(
            engine=self.engine,
            clock=clock,
            invite=self.far_ends.invite,
            destination=self.far_ends.destination,
            credentials=lambda target: None,
            session_id=lambda: 1,
        )
        self.reception = Reception(
            centre=centre,
            engine=self.engine,
            clock=clock,
            dial=Dialler(self.line, lambda user: self.contacts.get(user, [f"sip:{user}@a"])).dial,
            treatments=lambda lang: Treatments(f"waiting.{lang}", f"announcement.{lang}"),
            tell=self.facts.extend,
            box=lambda queue: self.boxes.get(queue, ""),
        )

    async def close(self) -> None:
        """Ends the callers who are still there."""
        for running in self.running:
            running.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)

    @property
    def rung(self) -> list[FakeOutgoing]:
        """The agents' telephones, in the order in which they were called."""
        return self.far_ends.outgoing

    def has_rung(self, user: str) -> bool:
        return any(f"sip:{user}@" in one.target for one in self.rung)

    def telephone(self, user: str) -> FakeOutgoing:
        """The newest call to a telephone."""
        return next(one for one in reversed(self.rung) if f"sip:{user}@" in one.target)


@dataclass(frozen=True, slots=True)
class Round:
    """A document that a caller heard, or hears."""

    uri: str
    variables: Mapping[str, Json]
    at: float

    @property
    def queue(self) -> Mapping[str, Json]:
        told = self.variables["queue"]
        assert isinstance(told, dict)
        return told


class Tape:
    """Records one caller, and what it was told, in order; `queues` are those that it records."""

    def __init__(self, *queues: str) -> None:
        self.queue = ""
        self.language = ""
        self._queues = queues
        self.happened: list[str] = []

    def asked(self, request: TransferRequest, queue: str) -> Tape | None:
        self.queue, self.language = queue, request.lang
        return self if not self._queues or queue in self._queues else None

    async def notice(self, converse: Converse) -> bool:
        self.happened.append("notice")
        return True

    def moved(self, queue: str) -> None:
        self.happened.append(f"moved to {queue}")

    def agent(self, name: str, data: Mapping[str, Json] | None = None) -> None:
        self.happened.append(f"agent {name}")

    def start(self, caller: object, agent: object) -> None:
        self.happened.append("start")

    def key(self, key: str) -> None:
        self.happened.append(f"key {key}")

    def stop(self) -> None:
        self.happened.append("stop")

    def close(self) -> None:
        self.happened.append("close")


class Waiter:
    """A caller whose call is up, and his way through a queue."""

    def __init__(
        self,
        board: Switchboard,
        dest: str,
        type_: str = "bridge",
        *,
        hops: int = 0,
        leg: Leg | None = None,
        recorded: Tape | None = None,
        **request: object,
    ) -> None:
        self.board = board
        self.clock = board.clock
        self.call = FakeIncoming()
        self.leg = leg or self._answered()
        self.rounds: list[Round] = []
        self._heard_now: list[Round] = []
        self.coming: deque[Outcome | Exception] = deque()
        """What comes of the documents that he hears next, at once."""
        self.last_words: Json = None
        """What a document returns when he hangs up while he hears it."""
        self.sent_on: list[TransferRequest] = []
        self.elsewhere = TransferResult("busy")
        self.recogniser = FakeRecogniser()
        handover = Handover(
            call_id="call-1",
            leg=self.leg,
            ear=Ear(self.leg, self.recogniser),
            connection=Connection(remote_uri="sip:carol@phone.test"),
            converse=self._converse,
            transfer=self._transfer,
            hops=hops,
            recorded=lambda request, queue: recorded.asked(request, queue) if recorded else None,
        )
        self.transfer = QueueTransfer(
            board.reception, handover, TransferRequest(dest, type_, lang="en", **request)
        )
        self.refused = self.transfer.dial()
        self.running: asyncio.Task[TransferResult] | None = None
        if self.refused is None:
            self.running = asyncio.create_task(self.transfer.run())
            board.running.append(self.running)

    def _answered(self) -> Leg:
        leg = Leg(self.board.engine, self.clock, 1)
        self.call.listener = leg
        leg.accept(self.call)
        leg.answer()
        self.call.ack()
        leg.events.take()
        return leg

    async def _converse(self, uri: str, variables: Mapping[str, Json]) -> Outcome:
        self.rounds.append(Round(uri, variables, self.clock.monotonic()))
        if self.coming:
            found = self.coming.popleft()
            if isinstance(found, Exception):
                raise found
            return found
        self._heard_now.append(self.rounds[-1])
        gone = asyncio.Event()
        self.leg.when_ended(lambda _: gone.set())
        timer = self.clock.call_later(ROUND, gone.set)
        try:
            await gone.wait()
        finally:
            timer.cancel()
            self._heard_now.pop()
        return Outcome("hangup" if self.leg.end else "exit", self.last_words)

    async def _transfer(self, request: TransferRequest) -> TransferResult:
        self.sent_on.append(request)
        return self.elsewhere

    @property
    def hears(self) -> bool:
        """Whether a document is being played to him."""
        return self.rounds[-1] in self._heard_now if self.rounds else False

    @property
    def is_bridged(self) -> bool:
        return any(self.leg.channel in bridge for bridge in self.board.engine.bridges)

    def hang_up(self) -> None:
        self.call.bye()

    def press(self, keys: str, source: str = "rfc4733") -> None:
        for key in keys:
            self.leg.key(key, source, self.clock.monotonic())


def names(facts: Iterable[NewEvent]) -> list[str]:
    return [fact.name for fact in facts]


def failure(text: str = "it fails") -> Outcome:
    return Outcome("error", error="error.badfetch", message=text)


def thrown() -> VoiceXmlEvent:
    return VoiceXmlEvent("error.semantic", "a prompt cannot be played")
