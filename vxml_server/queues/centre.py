"""The contact centre of one worker: its callers, the offers that it makes of them, its agents.

Every worker has the whole board and makes the offers of its own callers. The rule that must hold:
an offer that was stored is made, and one that is made was stored; so a caller and an agent who are
reserved for each other always come to an end with each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from math import inf
from random import Random

import structlog

from vxml_server.clock import Clock
from vxml_server.queues.board import Board
from vxml_server.queues.definitions import Definition, Kind, kind_of
from vxml_server.queues.estimate import expected_wait, standing
from vxml_server.queues.matching import Assignment
from vxml_server.queues.offering import Offering
from vxml_server.queues.replica import RETRY, Replica, to_the_end
from vxml_server.queues.rows import Change, Entry, EntryState, Exit, Offer, OfferState, Presence
from vxml_server.queues.secrets import Pins
from vxml_server.queues.telephony import Caller
from vxml_server.queues.transitions import IllegalTransition, OfferEvent, claim, enter, present
from vxml_server.store import Store, StoreError

_log = structlog.get_logger(__name__)
# Another worker's wrap-up is ended this long after its time, in case that worker is not there.
_OTHERS = 3.0


class NoSuchQueue(LookupError):
    """There is no queue of that name."""


class NoSuchAgent(LookupError):
    """There is no agent of that name."""


class QueueIsFull(Exception):
    """As many callers wait as may."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a waiting caller stands: `session.queue` of the documents that he hears.

    `position` counts from 1; `estimated_wait` (seconds) is None while nobody works for the queue;
    `agents` are those who do; `elapsed` is how long he has waited (seconds).
    """

    name: str
    position: int
    waiting: int
    estimated_wait: float | None
    agents: int
    elapsed: float


class ContactCentre:
    """`start` it, let callers `enter`, `stop` it. Used on one loop."""

    def __init__(
        self, store: Store, clock: Clock, random: Random, *, worker: str, zone: tzinfo = UTC
    ) -> None:
        """`worker` is the name in the settings; `zone` is where the day of the counters begins."""
        self._clock = clock
        self._random = random
        self._replica = Replica(
            store,
            clock,
            f"{worker}.{random.getrandbits(48):012x}",
            zone=zone,
            buried=self._begin_again,
        )
        self._pins = Pins(store, clock, random.randbytes)
        self._callers: dict[str, Caller] = {}
        self._offerings: dict[str, Offering] = {}
        self._deciding: asyncio.Task[None] | None = None

    # Life --------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Reads everything and begins. Raises `StoreError`."""
        await self._replica.start()
        self._deciding = asyncio.create_task(self._decide(), name="queues decide")

    async def stop(self) -> None:
        """Ends every offer and conversation; callers who still wait have been let go before."""
        if self._deciding is not None:
            self._deciding.cancel()
            await asyncio.wait([self._deciding])
        for offering in list(self._offerings.values()):
            await offering.stop(OfferEvent.WITHDRAW)
        await self._replica.stop()

    @property
    def board(self) -> Board:
        """Everything as this worker knows it; not to be changed."""
        return self._replica.board

    @property
    def worker(self) -> str:
        """The id of this worker, in rows and facts."""
        return self._replica.ledger.worker

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._replica.now()

    def today(self) -> str:
        """The day of the agents' counters, as an ISO date."""
        return self._replica.today()

    # Callers -----------------------------------------------------------------------------------

    async def enter(
        self,
        caller: Caller,
        queue: str,
        call_id: str,
        *,
        priority: float = 0.0,
        skills: Mapping[str, int] | None = None,
        language: str = "",
        data: Mapping[str, str] | None = None,
        entered_at: float | None = None,
    ) -> str:
        """A caller comes to wait; the id of his entry. `entered_at` gives him his old place back.

        Raises `NoSuchQueue`, `QueueIsFull` and `StoreError`.
        """
        roster = self.board.roster(queue)
        if roster is None:
            raise NoSuchQueue(queue)
        limit = roster.queue.max_waiting
        if limit and entered_at is None and len(self.board.waiting([queue])) >= limit:
            raise QueueIsFull(queue)
        entry = Entry(
            id=self._id(),
            queue=queue,
            call_id=call_id,
            worker=self.worker,
            entered_at=self.now() if entered_at is None else entered_at,
            priority=priority,
            skills=dict(skills or {}),
            language=language,
            draw=self._random.random(),
            data=dict(data or {}),
        )
        # Before it is stored: the offer may come in the same moment.
        self._callers[entry.id] = caller
        try:
            await to_the_end(self._replica.stored(enter(entry, self.now())))
        except asyncio.CancelledError:
            await self.leave(entry.id, Exit.ABANDONED)
            raise
        except StoreError:
            del self._callers[entry.id]
            raise
        return entry.id

    async def leave(self, entry_id: str, reason: Exit) -> None:
        """A caller goes; what is being offered is ended first. One who has left stays as he left.

        A conversation is ended, and he leaves as served.
        """
        gone = OfferEvent.CALLER_GONE if reason is Exit.ABANDONED else OfferEvent.WITHDRAW
        self._callers.pop(entry_id, None)
        for offering in self._offerings_of(entry_id):
            await offering.stop(gone)
        await self._replica.take_out(entry_id, reason)

    async def put_out(self, entry_id: str) -> bool:
        """Takes a waiting caller of this worker out of his queue; his call goes on. False when he
        does not wait (any more), or with another worker."""
        caller = self._callers.get(entry_id)
        if caller is None:
            return False
        await self.leave(entry_id, Exit.REMOVED)
        caller.put_out()
        return True

    def standing(self, entry_id: str) -> Standing | None:
        """How a caller stands; None when he does not wait any more."""
        board, now = self.board, self.now()
        entry = board.entries.get(entry_id)
        if entry is None or entry.state is not EntryState.WAITING:
            return None
        waiting = {name: board.waiting([name]) for name in board.rosters}
        own = {entry.queue: waiting[entry.queue]}
        mine = next(one for one in own[entry.queue] if one.entry.id == entry_id)
        before_me, _ = standing(mine, own, board.agents, board.rosters, now)
        ahead, agents = standing(mine, waiting, board.agents, board.rosters, now)
        learned = self._replica.experience(entry.queue)
        seconds = expected_wait(ahead, agents, learned.handling_time, learned.abandonment_rate)
        return Standing(
            name=entry.queue,
            position=round(before_me) + 1,
            waiting=len(own[entry.queue]),
            estimated_wait=None if seconds == inf else seconds,
            agents=round(agents),
            elapsed=now - entry.entered_at,
        )

    def _begin_again(self) -> None:
        """Others took us for dead and put our callers out: those who still wait begin again."""
        for entry_id, caller in list(self._callers.items()):
            if entry_id not in self.board.entries:
                del self._callers[entry_id]
                caller.lost()

    # Agents ------------------------------------------------------------------------------------

    async def present(self, agent: str, presence: Presence, reason: str = "") -> None:
        """An agent signs in or out, takes a break or is back.

        Raises `NoSuchAgent` and `StoreError`.
        """
        if agent not in self.board.agents:
            raise NoSuchAgent(agent)
        await self._replica.change(
            lambda: (present(self.board.row(agent), presence, self.now(), reason),)
        )

    async def release(self, agent: str) -> bool:
        """Ends an agent's wrap-up before its time; False when there is none."""
        wrapping = [
            offer
            for offer in self.board.offers_of_agent(agent)
            if offer.state is OfferState.WRAPPING_UP
        ]
        for offer in wrapping:
            await self._replica.advance(offer.id, OfferEvent.WRAPPED_UP)
        return bool(wrapping)

    async def set_pin(self, agent: str, pin: str) -> None:
        """Makes or replaces the PIN of an agent, by which the telephone knows him.

        Raises `NoSuchAgent`, `BadPin` and `StoreError`.
        """
        if agent not in self.board.agents:
            raise NoSuchAgent(agent)
        await self._pins.set(agent, pin)

    async def remove_pin(self, agent: str) -> bool:
        """Removes the PIN of an agent; False when there is none. Raises `StoreError`."""
        return await self._pins.remove(agent)

    async def check_pin(self, agent: str, pin: str) -> bool:
        """Whether this is the PIN of an agent who is defined.

        Raises `TooManyTries` and `StoreError`.
        """
        return agent in self.board.agents and await self._pins.check(agent, pin)

    # Definitions -------------------------------------------------------------------------------

    async def declare(self, definitions: Iterable[Definition]) -> None:
        """What the settings say holds, and nothing else that they ever said."""
        ledger, now = self._replica.ledger, self.now()
        declared = {(kind_of(one), one.name): one for one in definitions}
        for kind, name in self._replica.declared - declared.keys():
            await ledger.undefine(kind, name, now)
        for definition in declared.values():
            await ledger.define(definition, now, declared=True)
        await self._replica.redefine()

    async def define(self, definition: Definition) -> None:
        """Makes or replaces a definition; raises `StoreError`."""
        await self._replica.ledger.define(definition, self.now())
        await self._replica.redefine()

    async def undefine(self, kind: Kind, name: str) -> bool:
        """Removes a definition; False when there is none. Raises `StoreError`."""
        removed = await self._replica.ledger.undefine(kind, name, self.now())
        if kind == "agent":
            await self._pins.remove(name)
        await self._replica.redefine()
        return removed

    def is_declared(self, kind: Kind, name: str) -> bool:
        """Whether the settings alone may change it."""
        return (kind, name) in self._replica.declared

    # Offers ------------------------------------------------------------------------------------

    async def part(self, offer_id: str) -> bool:
        """Ends an offer or a conversation of this worker; False when it is not one."""
        offering = self._offerings.get(offer_id)
        if offering is None:
            return False
        await offering.stop(OfferEvent.WITHDRAW)
        return True

    def _offerings_of(self, entry_id: str) -> list[Offering]:
        return [one for one in self._offerings.values() if one.offer.entry == entry_id]

    async def _make(self, assignments: Iterable[Assignment]) -> None:
        for assignment in assignments:
            change = self._claim(assignment)
            if change is not None and await to_the_end(self._replica.stored(change)):
                await self._ring(change.offers[0])

    def _claim(self, assignment: Assignment) -> Change | None:
        """None for another worker's caller, and when an earlier claim has taken the agent."""
        entry = self.board.entries.get(assignment.entry)
        if entry is None or entry.worker != self.worker or entry.id not in self._callers:
            return None
        agent = self.board.agents[assignment.agent]
        try:
            return claim(agent.row, agent.profile, entry, self._id(), self.now())
        except IllegalTransition:
            return None

    async def _ring(self, offer: Offer) -> None:
        caller = self._callers.get(offer.entry)
        if caller is None:
            # He left while he was being reserved, and could not be taken out because of that.
            await self._replica.advance(offer.id, OfferEvent.CALLER_GONE)
            await self._replica.take_out(offer.entry, Exit.ABANDONED)
            return
        profile = self.board.agents[offer.agent].profile
        offering = Offering(offer, profile, caller, self._offered, self._clock.monotonic)
        self._offerings[offer.id] = offering

        def done() -> None:
            del self._offerings[offer.id]

        offering.start(done)

    async def _offered(self, offer_id: str, event: OfferEvent) -> bool:
        """Moves an offer that is being made; the first who is bridged ends the others."""
        done = await self._replica.advance(offer_id, event)
        if done and event is OfferEvent.BRIDGE:
            entry_id = self.board.offers[offer_id].entry
            self._callers.pop(entry_id, None)
            others = [one for one in self._offerings_of(entry_id) if one.offer.id != offer_id]
            await asyncio.gather(*(one.stop(OfferEvent.WITHDRAW) for one in others))
        return done

    def _id(self) -> str:
        return f"{self._random.getrandbits(96):024x}"

    # Deciding ----------------------------------------------------------------------------------

    async def _decide(self) -> None:
        """Makes the offers that are due and ends wrap-ups, whenever something has happened."""
        while True:
            self._replica.news.clear()
            try:
                await self._make(self.board.assignments(self.now()))
                await self._end_wrap_ups()
            except StoreError as error:
                _log.warning("offers cannot be stored", error=str(error))
                self.board.touch(self.board.rosters)
                await self._clock.sleep(RETRY)
            else:
                await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        due = [self.board.next_wake(), *map(self._release_at, self._wrapping())]
        timer = None
        if (at := min(due)) < inf:
            news = self._replica.news
            timer = self._clock.call_later(max(0.0, at - self.now()), news.set)
        await self._replica.news.wait()
        if timer is not None:
            timer.cancel()

    def _wrapping(self) -> list[Offer]:
        return [
            offer for offer in self.board.offers.values() if offer.state is OfferState.WRAPPING_UP
        ]

    def _release_at(self, offer: Offer) -> float:
        is_mine = offer.worker == self.worker
        return offer.release_at + (0.0 if is_mine else _OTHERS)

    async def _end_wrap_ups(self) -> None:
        for offer in self._wrapping():
            if self._release_at(offer) <= self.now():
                await self._replica.advance(offer.id, OfferEvent.WRAPPED_UP)
