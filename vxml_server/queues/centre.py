"""The contact centre of one worker: its callers, the agents, and when who is offered to whom.

Every worker has the whole board and makes the offers of its own callers (`offers`). The rule that
must hold: who waits by the board has a caller here or with another worker, and who has left knows
of it; what is found otherwise is put right and is in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from math import inf
from random import Random
from typing import Any

import structlog

from vxml_server.clock import Clock, deadline
from vxml_server.queues import estimate
from vxml_server.queues.board import Board
from vxml_server.queues.definitions import Definition, Kind, kind_of
from vxml_server.queues.ledger import IsDeclared
from vxml_server.queues.offers import Offers
from vxml_server.queues.replica import BEAT, RETRY, Counters, Replica
from vxml_server.queues.rows import Change, Entry, EntryState, Exit, Offer, OfferState, Presence
from vxml_server.queues.secrets import Pins
from vxml_server.queues.tasks import to_the_end
from vxml_server.queues.telephony import Caller
from vxml_server.queues.transitions import (
    IllegalTransition,
    OfferEvent,
    enter,
    is_free,
    present,
    prioritise,
)
from vxml_server.store import Store, StoreError

_log = structlog.get_logger(__name__)
# A caller who comes while the database is away hears so many seconds later that he cannot wait.
ENTER_PATIENCE = 10.0
LEAVE_PATIENCE = 2.0
"""Seconds for which a caller who leaves waits until that is stored."""
STOP_PATIENCE = 5.0
"""Seconds for which a worker that stops still tries to store how everything ended."""
# Timers may come a little early; nothing is looked at more often than this (seconds).
_SOONEST = 0.01


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
            moved=self._were_moved,
        )
        self._pins = Pins(store, clock, random.randbytes)
        self._callers: dict[str, Caller] = {}
        self._told = estimate.Told()
        self._entering: dict[str, str] = {}
        """Queues by the ids of entries that are about to be stored."""
        self._leaving: dict[str, asyncio.Task[None]] = {}
        """Callers who have left, by their entries, until that is stored."""
        self.offers = Offers(self._replica, self._callers, self._id, clock.monotonic)
        """The offers and conversations of this worker's callers."""
        self._tasks: list[asyncio.Task[None]] = []
        self._errands: set[asyncio.Task[None]] = set()

    # Life --------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Reads everything and begins. Raises `StoreError`."""
        await self._replica.start()
        self._tasks = [self._replica.keep_up(work) for work in (self._decide, self._audit)]

    async def stop(self) -> None:
        """Ends every offer and conversation; callers who still wait have been let go before.

        Without a database it gives up after `STOP_PATIENCE`; other workers put right the rest.
        """
        timer = self._clock.call_later(STOP_PATIENCE, self._replica.give_up)
        for task in (*self._tasks, *self._errands):
            task.cancel()
        if ending := [*self._tasks, *self._errands, *self._leaving.values()]:
            await asyncio.wait(ending)
        await self.offers.stop()
        await self._replica.stop()
        timer.cancel()

    @property
    def counters(self) -> Counters:
        """What went wrong so far."""
        return self._replica.counters

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

    @property
    def ahead(self) -> float:
        """Seconds by which `now` is ahead of the system's clock, which it follows slowly."""
        return self._replica.ahead

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
        first: str = "",
    ) -> str:
        """A caller comes to wait; the id of his entry. `entered_at` gives him his old place back,
        `first` is the agent to whom he is offered before others, if that can take him.

        Raises `NoSuchQueue`, `QueueIsFull` and `StoreError`.
        """
        roster = self.board.roster(queue)
        if roster is None:
            raise NoSuchQueue(queue)
        limit = roster.queue.max_waiting
        if limit and entered_at is None and self._waiting_in(queue) >= limit:
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
        self._entering[entry.id] = queue
        if first:
            self.offers.promise(entry.id, first)
        entered = enter(entry, self.now())
        try:
            await to_the_end(self._replica.stored(entered, patience=ENTER_PATIENCE))
        except asyncio.CancelledError:
            self.offers.break_promise(entry.id)
            await self.leave(entry.id, Exit.ABANDONED)
            raise
        except BaseException:
            self._callers.pop(entry.id, None)
            self.offers.break_promise(entry.id)
            raise
        finally:
            del self._entering[entry.id]
        # Others may have put him out again at once: they take this worker for dead.
        self._look_after(entry.id)
        if first:
            await self.offers.offer_to(entry.id, first)
        return entry.id

    def _waiting_in(self, queue: str) -> int:
        """Those who wait, and those who are about to."""
        about_to = self._entering.keys() - self.board.entries.keys()
        return len(self.board.waiting([queue])) + sum(
            self._entering[one] == queue for one in about_to
        )

    async def leave(self, entry_id: str, reason: Exit) -> None:
        """A caller goes; what is being offered is ended first. One who has left stays as he left.

        A conversation is ended, and he leaves as served. Once begun it is done, also when it is
        cancelled. He is gone for everybody here when this returns; a database that does not answer
        within `LEAVE_PATIENCE` is told when it does. Raises `StoreError` when it never will be.
        """
        self._callers.pop(entry_id, None)
        leaving = self._leaving.get(entry_id)
        if leaving is None:
            leaving = asyncio.create_task(self._leave(entry_id, reason), name="queues leave")
            self._leaving[entry_id] = leaving
            leaving.add_done_callback(lambda task: self._has_left(entry_id, task))
        try:
            async with deadline(self._clock, LEAVE_PATIENCE):
                await asyncio.wait([leaving])
        except TimeoutError:
            _log.warning("that a caller has left is not stored yet", entry=entry_id)
        else:
            leaving.result()

    def _has_left(self, entry_id: str, leaving: asyncio.Task[None]) -> None:
        del self._leaving[entry_id]
        if not leaving.cancelled() and (error := leaving.exception()) is not None:
            # Whoever has waited until now is told as well.
            _log.warning("that a caller has left is not stored", entry=entry_id, error=str(error))

    async def _leave(self, entry_id: str, reason: Exit) -> None:
        gone = OfferEvent.CALLER_GONE if reason is Exit.ABANDONED else OfferEvent.WITHDRAW
        await self.offers.withdraw(entry_id, gone)
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
        if board.roster(entry.queue) is None:
            return None
        waiting = {name: board.waiting([name]) for name in board.rosters}
        own = {entry.queue: waiting[entry.queue]}
        mine = next(one for one in own[entry.queue] if one.entry.id == entry_id)
        before_me = estimate.standing(mine, own, board.agents, board.rosters, now).ahead
        found = estimate.standing(mine, waiting, board.agents, board.rosters, now)
        learned = self._replica.experience(entry.queue)
        seconds = estimate.expected_wait(
            found.ahead, found.calls, learned.handling_time, learned.abandonment_rate
        )
        seconds = self._told.at_most(entry_id, seconds, board.version)
        return Standing(
            name=entry.queue,
            position=round(before_me) + 1,
            waiting=len(own[entry.queue]),
            estimated_wait=None if seconds == inf else seconds,
            agents=found.agents,
            elapsed=now - entry.entered_at,
        )

    def caller(self, entry_id: str) -> Caller | None:
        """A waiting caller of this worker."""
        return self._callers.get(entry_id)

    async def prioritise(self, entry_id: str, priority: float) -> bool:
        """Gives a waiting caller another priority; False when he does not wait (any more)."""

        def change() -> tuple[Change, ...]:
            entry = self.board.entries.get(entry_id)
            if entry is None:
                raise IllegalTransition(f"entry {entry_id} has left")
            return (prioritise(entry, priority, self.now()),)

        return await self._replica.change(change)

    def _id(self) -> str:
        return f"{self._random.getrandbits(96):024x}"

    # Putting right -----------------------------------------------------------------------------

    def _were_moved(self, entries: Collection[str], offers: Collection[str]) -> None:
        """Others may have changed these: they took us for dead, or put right what we left."""
        self.offers.were_moved(offers)
        for entry_id in entries:
            self._look_after(entry_id)

    def _look_after(self, entry_id: str) -> None:
        """A caller who is in no queue any more, and knows nothing of it, is told."""
        if entry_id not in self.board.entries and entry_id not in self._entering:
            caller = self._callers.pop(entry_id, None)
            if caller is not None:
                caller.lost()

    async def _audit(self) -> None:
        """Compares what this worker has with what the board says of it, for ever.

        What is found twice is a defect, which must not keep an agent or a caller for ever.
        """
        before: set[str] = set()
        while True:
            await self._clock.sleep(BEAT)
            for entry_id in list(self._callers):
                self._look_after(entry_id)
            found = {*self.offers.forsaken(), *self._forsaken_entries()}
            for offer_id in self.offers.forsaken() & before:
                _log.error("nobody makes an offer of ours", offer=offer_id)
                await self._replica.advance(offer_id, OfferEvent.LOSE)
            for entry_id in self._forsaken_entries() & before:
                _log.error("nobody is a caller of ours", entry=entry_id)
                await self._replica.take_out(entry_id, Exit.LOST)
            before = found

    def _forsaken_entries(self) -> set[str]:
        return {
            entry.id
            for entry in self.board.entries.values()
            if entry.worker == self.worker
            and entry.state is EntryState.WAITING
            and entry.id not in self._callers
            and entry.id not in self._leaving
        }

    def _put_out_of_removed_queues(self) -> None:
        """A queue that is not defined any more has no agents: who waits there is told."""
        for entry_id in self._callers:
            entry = self.board.entries.get(entry_id)
            if entry is not None and self.board.roster(entry.queue) is None:
                self._errand(self._put_out(entry_id))

    async def _put_out(self, entry_id: str) -> None:
        await self.put_out(entry_id)

    def _errand(self, work: Coroutine[Any, Any, None]) -> None:
        async def done() -> None:
            try:
                await work
            except StoreError as error:
                _log.warning("cannot be done", error=str(error))

        task = asyncio.create_task(done(), name="queues errand")
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    # Agents ------------------------------------------------------------------------------------

    async def present(self, agent: str, presence: Presence, reason: str = "", by: str = "") -> None:
        """An agent signs in or out, takes a break or is back; `by` is who says so, if not he.

        Raises `NoSuchAgent` and `StoreError`.
        """
        if agent not in self.board.agents:
            raise NoSuchAgent(agent)
        await self._replica.change(
            lambda: (present(self.board.row(agent), presence, self.now(), reason, by),)
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

    def can_take(self, agent: str, medium: str = "voice") -> bool:
        """Whether an agent may be offered something now. Raises `NoSuchAgent`."""
        candidate = self.board.agents.get(agent)
        if candidate is None:
            raise NoSuchAgent(agent)
        row = candidate.row
        has_room = row.busy.get(medium, 0) < candidate.profile.capacity.get(medium, 0)
        return has_room and is_free(row, self.now())

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
        known = await ledger.definitions()
        for kind, name in sorted(known.declared - declared.keys()):
            await self._sign_out(kind, name)
            await ledger.undefine(kind, name, now, declared=True)
        # Several workers of the same settings start at once: what is so already stays.
        defined: list[Definition] = [*known.agents, *known.boxes, *known.groups, *known.queues]
        there = {(kind_of(one), one.name): one for one in defined}
        for key, definition in declared.items():
            if there.get(key) != definition or key not in known.declared:
                await ledger.define(definition, now, declared=True)
        await self._replica.redefine()

    async def define(self, definition: Definition) -> bool:
        """Makes or replaces a definition; True when there was none, whatever this worker knew.

        Raises `IsDeclared` and `StoreError`.
        """
        replica = self._replica
        return await replica.defined(replica.ledger.define(definition, self.now()))

    async def undefine(self, kind: Kind, name: str) -> bool:
        """Removes a definition; False when there is none. Raises `IsDeclared` and `StoreError`."""
        replica = self._replica
        if kind == "agent":
            # Another worker may have defined him a moment ago, or signed him in.
            await replica.look_up(name)
        if self.is_declared(kind, name):
            raise IsDeclared(f"{kind} {name}")
        await self._sign_out(kind, name)
        return await replica.defined(replica.ledger.undefine(kind, name, self.now()))

    async def _sign_out(self, kind: Kind, name: str) -> None:
        """Who is not an agent any more does not come back as one who is available."""
        if kind == "agent" and name in self.board.agents:
            await self.present(name, Presence.SIGNED_OUT)

    def is_declared(self, kind: Kind, name: str) -> bool:
        """Whether the settings alone may change it."""
        return (kind, name) in self._replica.declared

    # Deciding ----------------------------------------------------------------------------------

    async def _decide(self) -> None:
        """Makes the offers that are due and ends wrap-ups, whenever something has happened."""
        while True:
            self._replica.news.clear()
            try:
                self._put_out_of_removed_queues()
                await self.offers.make(self.now())
                await self._end_wrap_ups()
            except StoreError as error:
                _log.warning("offers cannot be stored", error=str(error))
                self.board.touch(self.board.rosters)
                await self._clock.sleep(RETRY)
            else:
                await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        due = [self.board.next_wake(), *map(self._release_at, self.board.wrap_ups.values())]
        timer = None
        news = self._replica.news
        if (at := min(due)) <= 0.0:
            news.set()
        elif at < inf:
            timer = self._clock.call_later(max(_SOONEST, at - self.now()), news.set)
        try:
            await news.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _release_at(self, offer: Offer) -> float:
        """When this worker ends a wrap-up; another worker's only when that one is not there: by its
        clock it may not be over."""
        is_theirs = offer.worker != self.worker and self._replica.is_living(offer.worker)
        return inf if is_theirs else offer.release_at

    async def _end_wrap_ups(self) -> None:
        for offer in list(self.board.wrap_ups.values()):
            if self._release_at(offer) <= self.now():
                await self._replica.advance(offer.id, OfferEvent.WRAPPED_UP)
