"""A caller's time in a queue: what he hears, how long he waits, who takes him, and how it ends.

This is what `<transfer dest="queue:sales">` runs. While he waits he hears a VoiceXML document,
again and again, with `session.queue` as it stands each time; what the document returns at its exit
may take him out of the queue. The rules that must hold: he is in the queue or with an agent until
his way ends, and never both; what he hears ends before an agent speaks to him; however it ends, he
has left the queue and his bridge is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import Enum
from functools import partial
from math import inf
from typing import Protocol, runtime_checkable
from urllib.parse import parse_qsl, unquote

from vxml_server.calls import Handover, KeyPressed, Leg
from vxml_server.clock import Clock, Timer
from vxml_server.interpreter import Json, TransferRequest, TransferResult
from vxml_server.media import MediaEngine
from vxml_server.queues.centre import ContactCentre, NoSuchQueue, QueueIsFull
from vxml_server.queues.profiles import Agent, Queue
from vxml_server.queues.replica import to_the_end
from vxml_server.queues.rows import Exit, Offer, Presence
from vxml_server.queues.telephony import Telephone
from vxml_server.store import LegRecord, StoreError

HANGUP = "connection.disconnect.hangup"
# A treatment that ends at once is not run again sooner than this (seconds).
PAUSE = 1.0
# How often (seconds) it is looked whether anybody is signed in, where that limits the wait.
LOOK = 1.0
# A caller is sent on from queue to queue so often at most.
MAX_OVERFLOWS = 5

# What becomes of the form item when nobody has spoken with the caller.
OUTCOMES: Mapping[Exit, str] = {
    Exit.TIMED_OUT: "queue_timeout",
    Exit.NO_AGENTS: "queue_no_agents",
}
QUEUE_FULL = "queue_full"


@runtime_checkable
class AgentTelephone(Telephone, Protocol):
    """A telephone that can be bridged with a caller."""

    @property
    def leg(self) -> Leg:
        """The leg that was answered."""

    def talk_to(self, other: Leg | None) -> None:
        """Keys that pass no bridge by themselves (SIP INFO) go to this leg from now on."""


Dial = Callable[[Agent, Offer, "Handover", TransferRequest], AgentTelephone]
"""Rings an agent for a caller; raises `CannotRing`."""


@dataclass(frozen=True, slots=True)
class Treatments:
    """The documents that waiting callers hear, by URI: while they wait, and before they go on."""

    waiting: str
    announcement: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a destination asks for: `queue:sales?priority=2&language=fr&skill.loans=50`."""

    queue: str
    priority: float = 0.0
    language: str = ""
    skills: Mapping[str, int] | None = None


class BadDestination(ValueError):
    """Not a destination of a queue; the text says why."""


def wanted(dest: str) -> Wanted:
    """Reads a `queue:` destination; raises `BadDestination`."""
    path, _, query = dest.partition(":")[2].partition("?")
    name = unquote(path)
    if not name:
        raise BadDestination("the name of the queue is missing")
    priority, language, skills = 0.0, "", {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        try:
            if key == "priority":
                priority = float(value)
                if not -inf < priority < inf:
                    raise ValueError
            elif key == "language":
                language = value
            elif key.startswith("skill."):
                skills[key.removeprefix("skill.")] = int(value)
            else:
                raise BadDestination(f"{key!r} is not known; priority, language and skill.* are")
        except ValueError as error:
            if isinstance(error, BadDestination):
                raise
            raise BadDestination(f"{key}: expected a number, got {value!r}") from None
    return Wanted(name, priority, language, skills)


class _Step(Enum):
    """What a waiting caller's way is told."""

    SERVED = "served"
    PARTED = "parted"
    GONE = "gone"
    LOST = "lost"
    TREATED = "treated"
    RETURNED = "returned"
    TIMED_OUT = "timed_out"
    NO_AGENTS = "no_agents"


_EXITS = {_Step.TIMED_OUT: Exit.TIMED_OUT, _Step.NO_AGENTS: Exit.NO_AGENTS}
# In place of a number of rounds: the document has failed.
_FAILED = -1


class QueueTransfer:
    """One caller's way through a queue. A `Transferral` for the call, a `Caller` for offers."""

    def __init__(
        self,
        centre: ContactCentre,
        engine: MediaEngine,
        clock: Clock,
        dial: Dial,
        treatments: Treatments,
        handover: Handover,
        request: TransferRequest,
    ) -> None:
        self._centre = centre
        self._engine = engine
        self._clock = clock
        self._dial = dial
        self._treatments = treatments
        self._handover = handover
        self._request = request
        self._caller = handover.leg
        self._wanted = Wanted("")
        self._entry = ""
        self._entered_at: float | None = None
        self._steps: asyncio.Queue[_Step] = asyncio.Queue()
        self._treating: asyncio.Task[None] | None = None
        self._returned: Json = None
        self._telephone: AgentTelephone | None = None
        self._is_served = False
        self._is_parted = False
        self._connected: asyncio.Future[TransferResult | None] = (
            asyncio.get_running_loop().create_future()
        )
        self._started_at = clock.utc_now()
        self._answered_at: datetime | None = None
        self._answered = 0.0
        self._timers: list[Timer] = []
        self.record: LegRecord | None = None
        """What happened, once it is over."""

    # Transferral -------------------------------------------------------------------------------

    def dial(self) -> TransferResult | None:
        try:
            self._wanted = wanted(self._request.dest)
        except BadDestination as error:
            return self._refused(str(error))
        if self._centre.board.roster(self._wanted.queue) is None:
            return self._refused(f"there is no queue {self._wanted.queue!r}")
        if self._handover.hops > MAX_OVERFLOWS:
            return self._refused("sent on too often")
        return None

    def _refused(self, message: str) -> TransferResult:
        result = TransferResult("error.connection.baddestination", message=message)
        self._keep_record(result)
        return result

    async def connected(self) -> TransferResult | None:
        return await asyncio.shield(self._connected)

    async def run(self) -> TransferResult:
        result = TransferResult("unknown")
        self._caller.when_ended(lambda _: self._tell(_Step.GONE))
        try:
            result = await self._way()
        except asyncio.CancelledError:
            result = self._over(HANGUP)
            raise
        finally:
            await to_the_end(self._end(result))
        return result

    async def _end(self, result: TransferResult) -> None:
        for timer in self._timers:
            timer.cancel()
        await self._stop_treatment()
        if self._entry:
            await self._centre.leave(self._entry, Exit.ABANDONED)
        if self._telephone is not None:
            self._engine.unbridge(self._caller.channel)
        self._caller.stop_playing()
        if not self._connected.done():
            self._connected.set_result(result)
        self._keep_record(result)

    def _keep_record(self, result: TransferResult) -> None:
        self.record = LegRecord(
            destination=self._request.dest,
            type=self._request.type,
            outcome=result.outcome,
            started_at=self._started_at,
            answered_at=self._answered_at,
            ended_at=self._clock.utc_now(),
            duration_s=round(result.duration, 3),
        )

    # Waiting -----------------------------------------------------------------------------------

    async def _way(self) -> TransferResult:
        """From the end of the queue to whatever comes of it."""
        try:
            await self._enter()
        except QueueIsFull:
            return await self._go_on(QUEUE_FULL)
        except (NoSuchQueue, StoreError) as error:
            return TransferResult("error.connection.noresource", message=str(error))
        self._begin_treatment()
        self._limit()
        while True:
            step = await self._steps.get()
            match step:
                case _Step.SERVED:
                    return await self._conversation()
                case _Step.GONE:
                    return self._over(HANGUP)
                case _Step.LOST:
                    await self._enter()
                case _Step.RETURNED:
                    self._begin_treatment()
                case _Step.TREATED:
                    if self._telephone is None:
                        await self._centre.leave(self._entry, Exit.KEY)
                        return TransferResult(f"queue_{self._returned}")
                case _Step.TIMED_OUT | _Step.NO_AGENTS:
                    # An agent who has answered already has him.
                    if self._telephone is None:
                        reason = _EXITS[step]
                        await self._centre.leave(self._entry, reason)
                        return await self._go_on(OUTCOMES[reason])

    async def _enter(self) -> None:
        want = self._wanted
        self._entry = await self._centre.enter(
            self,
            want.queue,
            self._handover.call_id,
            priority=want.priority,
            skills=want.skills,
            language=want.language,
            data={"aai": self._request.aai, "from": self._handover.connection.remote_uri},
            entered_at=self._entered_at,
        )
        if self._entered_at is None:
            self._entered_at = self._centre.now()

    @property
    def _queue(self) -> Queue:
        roster = self._centre.board.roster(self._wanted.queue)
        return Queue(self._wanted.queue) if roster is None else roster.queue

    def _limit(self) -> None:
        """Starts the timers of the queue's limits."""
        queue = self._queue
        if queue.max_wait:
            self._timers.append(
                self._clock.call_later(queue.max_wait, lambda: self._tell(_Step.TIMED_OUT))
            )
        if queue.max_wait_no_agents:
            self._look_for_agents(None)

    def _look_for_agents(self, absent_since: float | None) -> None:
        """Looks again and again whether anybody is signed in."""
        now = self._clock.monotonic()
        board = self._centre.board
        roster = board.roster(self._wanted.queue)
        names = roster.order if roster is not None else ()
        if any(board.row(name).presence is not Presence.SIGNED_OUT for name in names):
            absent_since = None
        elif absent_since is None:
            absent_since = now
        if absent_since is not None and now - absent_since >= self._queue.max_wait_no_agents:
            self._tell(_Step.NO_AGENTS)
        else:
            look = partial(self._look_for_agents, absent_since)
            self._timers = [*self._timers[-1:], self._clock.call_later(LOOK, look)]

    async def _go_on(self, outcome: str) -> TransferResult:
        """To where the queue sends those whom it cannot serve, after what it says to them."""
        queue = self._queue
        if queue.announcement and self._caller.end is None:
            said: dict[str, Json] = {
                "queue": {"name": queue.name, "announcement": queue.announcement}
            }
            await self._handover.converse(self._treatments.announcement, said)
        if not queue.overflow or self._caller.end is not None:
            return self._over(HANGUP if self._caller.end is not None else outcome)
        return await self._handover.transfer(
            replace(self._request, dest=queue.overflow, prompts=())
        )

    # What he hears -----------------------------------------------------------------------------

    def _begin_treatment(self) -> None:
        self._treating = asyncio.create_task(self._treat(), name=f"treatment {self._entry}")

    async def _stop_treatment(self) -> None:
        if self._treating is not None:
            self._treating.cancel()
            await asyncio.wait([self._treating])
            self._treating = None

    async def _treat(self) -> None:
        """Runs the document until it takes him out of the queue; what it says is its own matter."""
        rounds = 0
        while self._caller.end is None:
            began = self._clock.monotonic()
            outcome = await self._handover.converse(self._document(rounds), self._variables(rounds))
            if outcome.reason == "exit" and isinstance(outcome.value, str) and outcome.value:
                self._returned = outcome.value
                self._tell(_Step.TREATED)
                return
            rounds = rounds + 1 if outcome.reason == "exit" else _FAILED
            left = PAUSE - (self._clock.monotonic() - began)
            if left > 0:
                await self._clock.sleep(left)

    def _document(self, rounds: int) -> str:
        """The queue's own, and the shipped one when that has failed."""
        own = self._queue.treatment
        return own if own and rounds != _FAILED else self._treatments.waiting

    def _variables(self, rounds: int) -> Mapping[str, Json]:
        standing = self._centre.standing(self._entry)
        queue: dict[str, Json] = (
            {"name": self._wanted.queue} if standing is None else {**asdict(standing)}
        )
        queue["hold_music"] = self._queue.hold_music
        queue["round"] = max(0, rounds)
        return {"queue": queue}

    # Caller ------------------------------------------------------------------------------------

    def ring(self, agent: Agent, offer: Offer) -> AgentTelephone:
        return self._dial(agent, offer, self._handover, self._request)

    async def connect(self, telephone: Telephone, offer: Offer) -> bool:
        if self._caller.end is not None or self._telephone is not None:
            return False
        assert isinstance(telephone, AgentTelephone), "what was rung by us"
        self._telephone = telephone
        await self._stop_treatment()
        self._caller.stop_playing()
        self._caller.events.take_keys()
        telephone.talk_to(self._caller)
        self._engine.bridge(self._caller.channel, telephone.leg.channel)
        return True

    def disconnect(self) -> None:
        self._engine.unbridge(self._caller.channel)
        if self._telephone is not None:
            self._telephone.talk_to(None)
            self._telephone = None
        self._tell(_Step.RETURNED)

    def served(self, offer: Offer) -> None:
        self._tell(_Step.SERVED)

    def parted(self, offer: Offer) -> None:
        self._is_parted = True
        self._caller.events.nudge()

    def lost(self) -> None:
        self._tell(_Step.LOST)

    def _tell(self, step: _Step) -> None:
        self._steps.put_nowait(step)

    # With an agent -----------------------------------------------------------------------------

    async def _conversation(self) -> TransferResult:
        self._answered_at = self._clock.utc_now()
        self._answered = self._clock.monotonic()
        self._connected.set_result(None)
        limit = self._request.max_time
        deadline = self._answered + limit if limit > 0 else None
        while True:
            if self._caller.end is not None:
                return self._over(HANGUP)
            if self._is_parted:
                return self._over("far_end_disconnect")
            if deadline is not None and self._clock.monotonic() >= deadline:
                return self._over("maxtime_disconnect")
            event = await self._caller.events.get(deadline)
            if (
                isinstance(event, KeyPressed)
                and event.source == "info"
                and self._telephone is not None
            ):
                self._telephone.leg.send_key(event.key)

    def _over(self, outcome: str) -> TransferResult:
        talked = self._clock.monotonic() - self._answered if self._answered_at is not None else 0.0
        return TransferResult(outcome, talked)
