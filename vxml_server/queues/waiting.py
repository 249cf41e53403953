"""A caller's time in a queue: what he hears, how long he waits, who takes him, and how it ends.

This is what `<transfer dest="queue:sales">` and `<transfer dest="agent:ann">` run. The rules that
must hold: he is in the queue or with an agent until his way ends, and never both; what he hears has
ended before an agent speaks to him; however it ends, he has left the queue and his bridge is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import Enum, auto
from functools import partial

import structlog

from vxml_server.calls import (
    Handover,
)
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import Json, TransferRequest, TransferResult
from vxml_server.queues.centre import NoSuchQueue, QueueIsFull
from vxml_server.queues.conversation import HANGUP, Conversation
from vxml_server.queues.destination import BadDestination, Wanted, wanted
from vxml_server.queues.patience import Limits, Patience
from vxml_server.queues.profiles import Agent, Queue
from vxml_server.queues.reception import AgentTelephone, Reception
from vxml_server.queues.rows import Exit, Offer, Presence
from vxml_server.queues.tasks import to_the_end
from vxml_server.queues.telephony import Mode, Telephone
from vxml_server.queues.treatment import Returned, Treatment, Treatments
from vxml_server.store import LegRecord, NewEvent, StoreError

_log = structlog.get_logger(__name__)
# How long (seconds) a document may still work after its caller has hung up.
PARTING = 1.0
# A caller is sent on from queue to queue so often at most.
MAX_OVERFLOWS = 5
CALLBACK = "callback"
"""What a document returns when the caller wants to be called back at `number`."""

# What becomes of the form item when nobody has spoken with the caller.
OUTCOMES: Mapping[Exit, str] = {
    Exit.TIMED_OUT: "queue_timeout",
    Exit.NO_AGENTS: "queue_no_agents",
}
QUEUE_FULL = "queue_full"
REMOVED = "queue_removed"
MESSAGE = "queue_message"
"""What comes of the word that asks for leaving a message, where there is no box."""
SENT_ON = "queue_sent_on"
"""The outcome in the call's record of who went on to somebody else from a conversation."""


class _Step(Enum):
    """What a waiting caller's way is told."""

    SERVED = auto()
    GONE = auto()
    LOST = auto()
    TREATED = auto()
    RETURNED = auto()
    PUT_OUT = auto()
    MOVED = auto()
    TIMED_OUT = auto()
    NO_AGENTS = auto()


_EXITS = {_Step.TIMED_OUT: Exit.TIMED_OUT, _Step.NO_AGENTS: Exit.NO_AGENTS}


@dataclass(frozen=True, slots=True)
class _Onwards:
    """Where a caller goes after a conversation: to `dest`, or for "" back to the queue, where he is
    offered first to `agent`."""

    dest: str
    agent: str


class QueueTransfer:
    """One caller's way through a queue. A `Transferral` for the call, a `Caller` for offers."""

    def __init__(self, reception: Reception, handover: Handover, request: TransferRequest) -> None:
        self._reception = reception
        self._centre = reception.centre
        self._clock = reception.clock
        self._handover = handover
        self._request = request
        self._caller = handover.leg
        self._wanted = Wanted("")
        self._entry = ""
        self._stands_in = ""
        self._steps: asyncio.Queue[_Step] = asyncio.Queue()
        self._treatment: Treatment | None = None
        self._returned: Returned | None = None
        self._onwards: _Onwards | None = None
        self._conversation = Conversation(reception, handover, request)
        self._patience = Patience(
            reception.clock,
            limits=self._limits,
            is_somebody_there=self._is_somebody_there,
            timed_out=partial(self._tell, _Step.TIMED_OUT),
            no_agents=partial(self._tell, _Step.NO_AGENTS),
        )
        self._connected: asyncio.Future[TransferResult | None] = (
            asyncio.get_running_loop().create_future()
        )
        self._started_at = reception.clock.utc_now()
        self._outcome = ""
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
        except VoiceXmlEvent as event:
            # A tag of a grammar that ends the transfer has failed.
            result = self._over(event.name, message=event.message)
        finally:
            await to_the_end(self._end(result))
        return result

    async def _end(self, result: TransferResult) -> None:
        self._conversation.close()
        self._patience.stop()
        await self._silence()
        try:
            if self._entry:
                await self._centre.leave(self._entry, Exit.ABANDONED)
        except StoreError as error:
            # This worker stops without its database; another one puts right what it leaves.
            _log.warning("who has left is not stored", entry=self._entry, error=str(error))
        self._conversation.unbridge()
        if not self._connected.done():
            self._connected.set_result(result)
        self._keep_record(result)

    def _has_gone(self) -> bool:
        return self._caller.end is not None

    def _keep_record(self, result: TransferResult) -> None:
        self.record = LegRecord(
            destination=self._request.dest,
            type=self._request.type,
            # What became of him here, not where he went on to.
            outcome=self._outcome or result.outcome,
            started_at=self._started_at,
            answered_at=self._conversation.answered_at,
            ended_at=self._clock.utc_now(),
            duration_s=0.0 if self._outcome else round(result.duration, 3),
        )

    # Waiting -----------------------------------------------------------------------------------

    async def _way(self) -> TransferResult:
        """From the end of the queue to whatever comes of it."""
        if self._has_gone():
            return self._over(HANGUP)
        if await self._is_gone_when_told():
            return self._over(HANGUP)
        if (failed := await self._stand()) is not None:
            return failed
        self._treat()
        while True:
            step = await self._steps.get()
            match step:
                case _Step.SERVED:
                    if not self._connected.done():
                        self._connected.set_result(None)
                    result = await self._conversation.run()
                    onwards, self._onwards = self._onwards, None
                    if onwards is None or not self._conversation.is_parted or self._has_gone():
                        return result
                    self._leave_conversation()
                    # The log has the end of it before what comes next.
                    await self._centre.leave(self._entry, Exit.SERVED)
                    if onwards.dest and (sent := await self._send_on(onwards.dest)) is not None:
                        return sent
                    if (failed := await self._stand(first=onwards.agent)) is not None:
                        return failed
                    self._treat()
                case _Step.GONE:
                    return await self._gone()
                case _Step.LOST:
                    if (failed := await self._stand()) is not None:
                        return failed
                case _Step.RETURNED if self._stands_in != self._wanted.queue:
                    # He was moved while the agent had answered.
                    self._tell(_Step.MOVED)
                case _Step.RETURNED:
                    self._treat()
                case _Step.PUT_OUT:
                    return self._over(REMOVED)
                case _Step.TREATED | _Step.MOVED | _Step.TIMED_OUT | _Step.NO_AGENTS if (
                    self._conversation.has_agent
                ):
                    # An agent who has answered already has him; if he drops, `RETURNED` follows.
                    pass
                case _Step.MOVED:
                    await self._silence()
                    await self._centre.leave(self._entry, Exit.MOVED)
                    if await self._is_gone_when_told():
                        return self._over(HANGUP)
                    if (failed := await self._stand()) is not None:
                        return failed
                    self._treat()
                case _Step.TREATED:
                    await self._centre.leave(self._entry, Exit.KEY)
                    return await self._after_key(self._after_treatment())
                case _:
                    await self._centre.leave(self._entry, _EXITS[step])
                    return await self._go_on(OUTCOMES[_EXITS[step]])

    async def _is_gone_when_told(self) -> bool:
        """Tells him that he is recorded if he is going to be, once; whether he has hung up.

        It is before he waits: the agent who takes him does not wait for it.
        """
        recorded = self._conversation.recorded
        if recorded is not None:
            recorded.moved(self._wanted.queue)
        else:
            request = replace(self._request, lang=self._language)
            recorded = self._handover.recorded(request, self._wanted.queue)
            self._conversation.recorded = recorded
        if recorded is not None:
            # He does not wait yet.
            self._patience.stop()
            await recorded.notice(self._handover.converse)
            self._patience.restart()
        return self._has_gone()

    async def _stand(self, first: str = "") -> TransferResult | None:
        """Enters the queue, in his place if he has one there; what becomes of him if he cannot.

        `first` is the agent to whom he is offered before others.
        """
        want = self._wanted
        places = self._reception.places.setdefault(self._caller, {})
        is_new = not self._entry
        if is_new and not want.keeps_place:
            places.pop(want.queue, None)
        try:
            self._entry = await self._centre.enter(
                self,
                want.queue,
                self._handover.call_id,
                priority=want.priority,
                skills=want.skills,
                language=want.language,
                data={"aai": self._request.aai, "from": self._handover.connection.remote_uri},
                entered_at=places.get(want.queue),
                first=first,
            )
        except QueueIsFull:
            self._note("queue.refused", {"reason": "full"})
            return await self._go_on(QUEUE_FULL)
        except (NoSuchQueue, StoreError) as error:
            return self._over("error.connection.noresource", message=str(error))
        places.setdefault(want.queue, self._centre.now())
        self._stands_in = want.queue
        return None

    async def _gone(self) -> TransferResult:
        """The caller has hung up; what he has asked for until then still holds."""
        if self._conversation.has_agent:
            self._conversation.leave()
        await self._centre.leave(self._entry, Exit.ABANDONED)
        if self._treatment is not None:
            await self._treatment.part(PARTING)
        if self._returned is not None:
            self._after_treatment()
        return self._over(HANGUP)

    @property
    def _queue(self) -> Queue | None:
        """The definition as it is now; None when there is none any more."""
        roster = self._centre.board.roster(self._wanted.queue)
        return None if roster is None else roster.queue

    def _limits(self) -> Limits:
        """The queue's; for an agent's own the telephone's, and no waiting for who is not there."""
        queue = self._queue
        if queue is None:
            return Limits(None, 0.0)
        if self._wanted.is_personal:
            return Limits(self._request.connect_timeout, 0.0)
        return Limits(queue.max_wait or None, queue.max_wait_no_agents or None)

    def _is_somebody_there(self) -> bool:
        """Whether anybody who takes callers of the queue is signed in."""
        board = self._centre.board
        roster = board.roster(self._wanted.queue)
        return roster is not None and any(
            board.row(name).presence is not Presence.SIGNED_OUT and name in board.agents
            for name in roster.order
        )

    async def _go_on(self, outcome: str) -> TransferResult:
        """To where the queue sends those whom it cannot serve, after what it says to them.

        What the other destination cannot take for a fault of the settings is as if there were none.
        """
        await self._silence()
        queue = self._queue
        if queue is not None and queue.announcement and self._caller.end is None:
            said: dict[str, Json] = {"name": queue.name, "announcement": queue.announcement}
            await self._announce({"queue": said})
        if self._has_gone():
            return self._over(HANGUP)
        if queue is None or not queue.overflow:
            return self._over(outcome)
        self._note("queue.overflowed", {"to": queue.overflow, "reason": outcome})
        return await self._hand_on(queue.overflow, outcome)

    async def _after_key(self, outcome: str) -> TransferResult:
        """Who would rather leave a message does so where the queue has a box."""
        box = self._reception.box(self._wanted.queue) if outcome == MESSAGE else ""
        if not box:
            return self._over(outcome)
        await self._silence()
        return await self._hand_on(box, outcome)

    async def _hand_on(self, dest: str, outcome: str) -> TransferResult:
        """To somebody else, after `outcome` here, which is all if he cannot be had there."""
        self._outcome = outcome
        result = await self._handover.transfer(replace(self._request, dest=dest, prompts=()))
        if result.outcome.startswith("error."):
            queue = self._wanted.queue
            _log.warning("not handed on", queue=queue, to=dest, why=result.message)
            return self._over(outcome)
        return result

    def _note(self, name: str, data: Mapping[str, Json]) -> None:
        """Tells the log of what has no row."""
        now = datetime.fromtimestamp(self._centre.now(), UTC)
        about = {**data, "worker": self._centre.worker}
        fact = NewEvent(self._handover.call_id, now, name, about, queue=self._wanted.queue)
        self._reception.tell([fact])

    async def _announce(self, variables: Mapping[str, Json]) -> None:
        try:
            await self._handover.converse(self._documents.announcement, variables)
        except VoiceXmlEvent as event:
            _log.warning("the announcement failed", queue=self._wanted.queue, error=str(event))

    # What he hears -----------------------------------------------------------------------------

    @property
    def _documents(self) -> Treatments:
        return self._reception.treatments(self._language)

    @property
    def _language(self) -> str:
        return self._wanted.language or self._request.lang

    def _treat(self) -> None:
        """He waits (again): he hears the document, and the limits hold."""
        if self._conversation.has_agent:
            return
        if self._treatment is None:
            self._treatment = Treatment(
                self._clock,
                self._handover.converse,
                document=lambda: self._queue.treatment if self._queue is not None else "",
                shipped=self._documents.waiting,
                variables=self._variables,
                done=self._treated,
            )
        self._treatment.begin()
        self._patience.begin()

    async def _silence(self) -> None:
        if self._treatment is not None:
            await self._treatment.stop()

    def _treated(self, returned: Returned) -> None:
        self._returned = returned
        self._tell(_Step.TREATED)

    def _after_treatment(self) -> str:
        """The outcome for what the document returned; a wish to be called back is noted."""
        assert self._returned is not None, "it says so"
        outcome, data = self._returned.outcome, self._returned.data
        self._returned = None
        if outcome == CALLBACK:
            queue = self._wanted.queue
            noted = {**data, "from": self._handover.connection.remote_uri, "aai": self._request.aai}
            call_id, now = self._handover.call_id, self._clock.utc_now()
            self._reception.tell(
                [NewEvent(call_id, now, "callback.requested", noted, queue=queue)],
            )
        return f"queue_{outcome}"

    def _variables(self, rounds: int) -> Mapping[str, Json]:
        standing = self._centre.standing(self._entry)
        shown: dict[str, Json] = {"name": self._wanted.queue}
        if standing is not None:
            shown |= asdict(standing)
        queue = self._queue or Queue(self._wanted.queue)
        shown["hold_music"], shown["choices"] = queue.hold_music, dict(queue.choices)
        shown["round"] = rounds
        return {"queue": shown}

    # Caller ------------------------------------------------------------------------------------

    def ring(self, agent: Agent, offer: Offer) -> AgentTelephone:
        return self._reception.dial(agent, offer, self._handover, self._request)

    async def connect(self, telephone: Telephone, offer: Offer) -> bool:
        if self._has_gone() or self._conversation.has_agent:
            return False
        self._conversation.expect(telephone)
        await self._silence()
        if self._has_gone():
            self._conversation.forget()
            return False
        self._conversation.bridge(offer)
        return True

    def disconnect(self) -> None:
        if self._conversation.has_agent:
            self._conversation.disconnect()
            self._tell(_Step.RETURNED)

    def served(self, offer: Offer) -> None:
        self._tell(_Step.SERVED)

    def parted(self, offer: Offer) -> None:
        self._conversation.parted()

    def oversee(self, telephone: Telephone | None, mode: Mode) -> None:
        self._conversation.oversee(telephone, mode)

    def send_on(self, dest: str, agent: str) -> None:
        self._onwards = _Onwards(dest, agent)

    def move(self, queue: str, *, keeps_place: bool) -> None:
        places = self._reception.places.setdefault(self._caller, {})
        now = self._centre.now()
        places[queue] = places.get(self._wanted.queue, now) if keeps_place else now
        self._wanted = replace(self._wanted, queue=queue, is_personal=False)
        self._patience.restart()
        self._tell(_Step.MOVED)

    def put_out(self) -> None:
        self._tell(_Step.PUT_OUT)

    def lost(self) -> None:
        self._tell(_Step.LOST)

    def _tell(self, step: _Step) -> None:
        self._steps.put_nowait(step)

    # After an agent ----------------------------------------------------------------------------

    def _leave_conversation(self) -> None:
        """He is as he was before it; what he waited, and wished for meanwhile, counts no more."""
        self._conversation.leave()
        self._returned = None
        self._patience.stop()
        self._patience.restart()
        while not self._steps.empty():
            # Of his waiting before; that he has gone is seen otherwise.
            self._steps.get_nowait()

    async def _send_on(self, dest: str) -> TransferResult | None:
        """To where an agent or a supervisor sends him; None when he cannot be had there."""
        onwards = replace(self._request, dest=dest, prompts=())
        result = await self._handover.transfer(onwards)
        if not result.outcome.startswith("error."):
            self._outcome = SENT_ON
            return result
        _log.warning("cannot be sent on", to=dest, why=result.message)
        return self._over(HANGUP) if self._has_gone() else None

    def _over(self, outcome: str, *, message: str = "") -> TransferResult:
        return TransferResult(outcome, self._conversation.talked, None, message)
