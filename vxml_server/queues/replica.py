"""The board of one worker, kept in step with the database and with the other workers.

The rules that must hold: nothing is on the board that was not stored before; what this worker
cannot store now (the database is away) it tries until it can; what other workers store is learned
from the log; a worker that dies is put right by another within ten seconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from functools import partial
from typing import Any, TypeVar

import structlog

from vxml_server.clock import Clock
from vxml_server.queues.board import Board
from vxml_server.queues.definitions import Kind
from vxml_server.queues.estimate import LESSONS, Experience
from vxml_server.queues.ledger import Definitions, Ledger
from vxml_server.queues.profiles import LONGEST_TIME, Agent
from vxml_server.queues.rows import (
    AgentRow,
    Change,
    EntryState,
    Exit,
    Fact,
    Offer,
    OfferState,
    day_of,
)
from vxml_server.queues.tasks import for_ever, to_the_end
from vxml_server.queues.timeline import Timeline
from vxml_server.queues.transitions import IllegalTransition, OfferEvent, advance, leave
from vxml_server.store import EventRecord, Store, StoreError, Unstorable

_log = structlog.get_logger(__name__)
BEAT = 2.0
"""Seconds between two beats of a worker, and between two looks at the others'."""
DEAD_AFTER = 6.0
"""A worker whose beat has stood still for so long, while it was looked at, is dead."""
RETRY = 0.5
"""Seconds before the database is asked again."""
# So many callers of a dead worker are put right in one transaction.
_TOGETHER = 20
Result = TypeVar("Result")


class GivenUp(StoreError):
    """This worker stops, and does not wait for the database any longer."""


@dataclass(slots=True)
class Counters:
    """What has happened so far, and what went wrong, for the metrics."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """Offers that this worker ended, by outcome."""
    conflicts: int = 0
    """Changes that came too late, because another worker was faster."""
    waits: int = 0
    """Changes for which the database had to be asked again."""
    restarts: int = 0
    """Failures of work that never ends; each is a defect, and in the log."""
    buried: int = 0
    """Workers that this one found dead."""
    deaths: int = 0
    """How often others have taken this one for dead."""


def _nobody(entries: Collection[str], offers: Collection[str]) -> None:
    """Nobody is told."""


class Replica:
    """A worker's view of all queues. `start` it, change it, `stop` it. Used on one loop.

    `news` is set whenever the board has changed.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        worker: str,
        *,
        zone: tzinfo = UTC,
        moved: Callable[[Collection[str], Collection[str]], None] = _nobody,
    ) -> None:
        """`worker` is unlike any other ever; `zone` is where the day of the agents' counters
        begins; `moved` is told the ids of entries and of offers that others may have changed."""
        self.board = Board(zone)
        self.ledger = Ledger(store, worker)
        self.news = asyncio.Event()
        self.declared: frozenset[tuple[Kind, str]] = frozenset()
        """The definitions that the settings alone may change."""
        self.counters = Counters()
        self._store = store
        self._clock = clock
        self._timeline = Timeline(clock)
        self._zone = zone
        self._moved = moved
        self._experience: dict[str, Experience] = {}
        self._reading = asyncio.Lock()
        """Of two who read the definitions the one who began later has the newer ones."""
        self._is_behind = False
        """Whether there may be definitions of this worker that it has not read."""
        self._beats: dict[str, tuple[int, float]] = {}
        self._looked_at: float | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._seq = 0
        self._marks = 0
        self._unknown: set[str] = set()
        """Marks of changes of which this worker does not know (yet) whether they were stored."""

    # Life --------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Reads everything and begins to follow. Raises `StoreError`."""
        await self.ledger.join()
        await self._load()
        for work in (self._follow, self._live):
            self._tasks.append(self.keep_up(work))

    def keep_up(self, work: Callable[[], Awaitable[object]]) -> asyncio.Task[None]:
        """A task for work that goes on until it is cancelled, whatever fails."""
        name = f"queues {getattr(work, '__name__', work)}"
        return asyncio.create_task(for_ever(work, self._clock, self._has_failed), name=name)

    def _has_failed(self) -> None:
        self.counters.restarts += 1
        self.board.touch(self.board.rosters)
        self.news.set()

    def give_up(self) -> None:
        """What cannot be stored now is not tried any more: it raises `GivenUp`."""
        if not self._given_up.done():
            self._given_up.set_result(None)

    async def stop(self) -> None:
        """Signs off; changes that could not be stored are given up."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        try:
            await self._asked(self.ledger.bury(self.ledger.worker))
        except StoreError as error:
            _log.warning("cannot sign off", error=str(error))

    async def _load(self) -> None:
        snapshot = await self.ledger.load()
        self._seq = snapshot.seq
        self._define(snapshot.definitions)
        self.board.cursors.update(snapshot.cursors)
        self.board.apply(self._in_our_time(snapshot.rows, are_new=False))
        self._learn(await self.ledger.past(LESSONS, snapshot.seq))

    def now(self) -> float:
        """Seconds since the epoch; never jumps (`timeline`)."""
        return self._timeline.now()

    @property
    def ahead(self) -> float:
        """Seconds by which `now` is ahead of the system's clock, which it follows slowly."""
        return self._timeline.ahead

    def today(self) -> str:
        """The day for the agents' counters, as an ISO date."""
        return day_of(self.now(), self._zone)

    def experience(self, queue: str) -> Experience:
        """What the past of a queue teaches."""
        return self._experience.setdefault(queue, Experience())

    async def defined(self, storing: Coroutine[Any, Any, Result]) -> Result:
        """Stores definitions and reads all again; what that could not is read later."""
        try:
            done = await storing
        except BaseException:
            # Perhaps it is stored all the same.
            self._is_behind = True
            raise
        await self.redefine()
        return done

    async def redefine(self) -> None:
        """Reads the definitions again."""
        try:
            async with self._reading:
                self._is_behind = False
                self._define(await self.ledger.definitions())
        except BaseException:
            self._is_behind = True
            raise
        self.news.set()

    async def look_up(self, agent: str) -> None:
        """Reads what is stored of an agent."""
        if agent not in self.board.agents:
            await self.redefine()
        await self._reread({agent}, set(), set())

    def _define(self, definitions: Definitions) -> None:
        self.declared = definitions.declared
        self.board.define(
            *(definitions.agents, definitions.groups, definitions.queues, definitions.boxes)
        )

    # What workers do to one another's rows too ---------------------------------------------------

    async def advance(self, offer_id: str, event: OfferEvent) -> bool:
        """Moves an offer on; False when it does not stand so any more."""
        if await self.change(lambda: (self._advancing(offer_id, event),)):
            return True
        offer = self.board.offers.get(offer_id)
        if offer is not None:
            # The board may have been behind: next time it is not.
            again = ({offer.agent}, {offer.entry}, {offer.id})
            await to_the_end(self._patiently(lambda: self._reread(*again)))
        return False

    def _advancing(self, offer_id: str, event: OfferEvent) -> Change:
        offer = self.board.offers.get(offer_id)
        if offer is None:
            raise IllegalTransition(f"{event} for offer {offer_id}, which is over")
        row = self.board.row(offer.agent)
        return advance(
            *(offer, event, row, self._profile(offer), self.board.entries.get(offer.entry)),
            now=self.now(),
            today=self.today(),
            wrap_up_time=self._wrap_up_time(offer),
        )

    def _profile(self, offer: Offer) -> Agent:
        candidate = self.board.agents.get(offer.agent)
        # Who is not defined any more ends his call all the same.
        return Agent(offer.agent, line="-") if candidate is None else candidate.profile

    def _wrap_up_time(self, offer: Offer) -> float | None:
        roster = self.board.rosters.get(offer.queue)
        return None if roster is None else roster.queue.wrap_up_time

    async def take_out(self, entry_id: str, reason: Exit) -> None:
        """Has a waiting caller leave; nothing happens when he does not wait."""
        await self.change(lambda: self._leaving(entry_id, reason))

    def _leaving(self, entry_id: str, reason: Exit) -> Sequence[Change]:
        entry = self.board.entries.get(entry_id)
        if entry is None or entry.state is not EntryState.WAITING:
            return ()
        return (leave(entry, reason, self.now()),)

    # Changes -----------------------------------------------------------------------------------

    async def change(self, make: Callable[[], Sequence[Change]]) -> bool:
        """Makes changes from the rows as they are and stores them, again when a row has changed
        meanwhile. False when what is wanted does not fit the rows (any more)."""
        return await to_the_end(self._changed(make))

    async def _changed(self, make: Callable[[], Sequence[Change]]) -> bool:
        while True:
            try:
                changes = [change for change in make() if change != Change()]
            except IllegalTransition as error:
                _log.debug("not so any more", error=str(error))
                return False
            if not changes or await self.stored(*changes):
                return True

    async def stored(self, *changes: Change, patience: float | None = None) -> bool:
        """Stores changes and takes them; False, and the board is up to date, when a row has changed
        meanwhile. Not to be cancelled (`to_the_end`).

        Waits for a database that does not answer, for `patience` seconds where that is given; then,
        and while this worker stops, it raises `StoreError`, and the rows that may have been stored
        appear on the board when they turn out to be. Raises `Unstorable`.
        """
        self._marks += 1
        mark, since = f"{self._marks:x}", self._seq
        self._unknown.add(mark)
        try:
            done = await self._asked(self.ledger.commit(*changes, mark=mark))
        except Unstorable:
            self._unknown.discard(mark)
            raise
        except StoreError as error:
            _log.warning("the database does not answer", error=str(error))
            self.counters.waits += 1
            done = await self._patiently(
                lambda: self._stored_after_all(changes, mark, since), patience
            )
        self._unknown.discard(mark)
        if done:
            for change in changes:
                self.board.apply(change)
                self._count(change)
            self.news.set()
        else:
            self.counters.conflicts += 1
            await self._patiently(lambda: self._refresh(changes))
        return done

    async def _stored_after_all(self, changes: Sequence[Change], mark: str, since: int) -> bool:
        """What became of a transaction whose end nobody told: it is there, or it is made now."""
        if await self.ledger.is_stored(mark, since):
            return True
        if await self.ledger.commit(*changes, mark=mark):
            return True
        # Another's change was in the way, or ours, which the database was still about to store.
        return await self.ledger.is_stored(mark, since)

    async def _patiently(
        self, ask: Callable[[], Coroutine[Any, Any, Result]], patience: float | None = None
    ) -> Result:
        """Asks until the database answers, for so long at most; raises `StoreError` only then, and
        when it is given up."""
        began = self._clock.monotonic()
        while True:
            try:
                return await self._asked(ask())
            except (Unstorable, GivenUp):
                raise
            except StoreError:
                if patience is not None and self._clock.monotonic() - began >= patience:
                    raise
            await self._asked(self._clock.sleep(RETRY))

    async def _asked(self, asking: Coroutine[Any, Any, Result]) -> Result:
        """What the database says; `GivenUp` if that is not to be waited for."""
        task = asyncio.ensure_future(asking)
        either: set[asyncio.Future[Any]] = {task, self._given_up}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if is_late := not task.done():
                task.cancel()
                await asyncio.wait([task])
        if is_late:
            raise GivenUp("the worker stops")
        return task.result()

    async def _refresh(self, changes: Sequence[Change]) -> None:
        """Brings the rows of changes that came too late up to date."""
        await self._reread(
            {agent.name for change in changes for agent in change.agents},
            {row.id for change in changes for row in change.entries if row.generation > 1},
            {row.id for change in changes for row in change.offers if row.generation > 1},
        )
        # What was wanted may be possible still, with another agent or once more.
        self.board.touch(row.queue for change in changes for row in change.entries)

    async def _reread(self, agents: set[str], entries: set[str], offers: set[str]) -> None:
        found = await self.ledger.rows(agents, entries, offers)
        self.board.apply(self._in_our_time(found))
        self.board.forget(
            entries - {entry.id for entry in found.entries},
            offers - {offer.id for offer in found.offers},
        )
        self._moved(entries, offers)
        self.news.set()

    def _in_our_time(self, found: Change, *, are_new: bool = True) -> Change:
        """Rows with the times to come by our clock: another worker's, or ours before, was ahead or
        behind. What is new on the board was written a moment ago."""
        now = self.now()
        return replace(
            found,
            agents=tuple(_delayed(row, now, is_new=are_new) for row in found.agents),
            offers=tuple(_wrapping_up(offer, now) for offer in found.offers),
        )

    def _count(self, change: Change) -> None:
        for offer in change.offers:
            # With an outcome it wraps up and then closes, or closes without having been bridged.
            is_new = offer.state is OfferState.WRAPPING_UP or not offer.bridged_at
            if offer.outcome is not None and is_new:
                self.counters.outcomes[offer.outcome] += 1

    def _learn(self, events: Iterable[EventRecord]) -> None:
        """Takes facts, ours and others', in the order of the log and each once."""
        for event in events:
            if event.name in LESSONS:
                self.experience(event.queue).observe(_fact(event))

    # Others ------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Learns from the log what other workers have done."""
        async for events in self._store.feed.batches(self._seq):
            news = [event for event in events if self._is_news(event)]
            if news:
                await self._patiently(partial(self._catch_up, news))
            self._learn(events)
            self._seq = events[-1].seq

    def _is_news(self, event: EventRecord) -> bool:
        """Whether the board may not know of it: another worker's, or ours that was given up."""
        if not (event.queue or event.agent or _is_of_definitions(event)):
            return False
        is_mine = event.data.get("worker") == self.ledger.worker
        return not is_mine or event.data.get("mark") in self._unknown

    async def _catch_up(self, events: Sequence[EventRecord]) -> None:
        if any(map(_is_of_definitions, events)):
            await self.redefine()
        await self._reread(
            {event.agent for event in events if event.agent},
            {str(event.data["entry"]) for event in events if "entry" in event.data},
            {str(event.data["offer"]) for event in events if "offer" in event.data},
        )

    async def _live(self) -> None:
        """Beats, and looks whether others still do."""
        while True:
            try:
                await self._look_round()
            except Unstorable:
                raise
            except StoreError as error:
                _log.warning("cannot say that I live", error=str(error))
            await self._clock.sleep(BEAT)

    async def _look_round(self) -> None:
        if not await self.ledger.beat():
            # The process stood still for long. What others have put right meanwhile is told by the
            # log, as all that they do.
            _log.error("taken for dead", worker=self.ledger.worker)
            self.counters.deaths += 1
            await self.ledger.join()
        known = self._beats.keys()
        for worker in self._dead(await self.ledger.beats()):
            if await self.ledger.bury(worker):
                _log.warning("a worker is dead", worker=worker)
                self.counters.buried += 1
                del self._beats[worker]
        if known - self._beats.keys():
            # What they did for their agents is now for others to do.
            self.news.set()
        await self._put_right(await self.ledger.abandoned())
        if self._is_behind:
            await self.redefine()

    def is_living(self, worker: str) -> bool:
        """Whether a worker was there when last looked, or nobody has looked yet."""
        return self._looked_at is None or worker in self._beats

    def _dead(self, beats: Mapping[str, int]) -> list[str]:
        now = self._clock.monotonic()
        if self._looked_at is None or now - self._looked_at > 2 * BEAT:
            # Who did not look has not seen anybody stand still: this process did, or the database
            # was away and nobody could beat.
            self._beats = {}
        self._looked_at = now
        self._beats = {
            worker: known
            if (known := self._beats.get(worker)) is not None and known[0] == beat
            else (beat, now)
            for worker, beat in beats.items()
        }
        return [
            worker
            for worker, (_, since) in self._beats.items()
            if worker != self.ledger.worker and now - since >= DEAD_AFTER
        ]

    async def _put_right(self, left: Change) -> None:
        """Ends what dead workers had: whoever stores it first has done it."""
        self.board.apply(self._in_our_time(left))
        callers = [entry.id for entry in left.entries]
        for first in range(0, len(callers), _TOGETHER):
            some = callers[first : first + _TOGETHER]
            await self.change(partial(self._losing, some))

    def _losing(self, entries: Iterable[str]) -> list[Change]:
        """Callers who are lost, and the agents that they had."""
        agents: dict[str, AgentRow] = {}
        changes = []
        for entry_id in entries:
            entry = self.board.entries.get(entry_id)
            if entry is None:
                continue
            for offer in self.board.offers_of_entry(entry_id):
                if offer.state is OfferState.WRAPPING_UP:
                    continue
                row = agents.get(offer.agent) or self.board.row(offer.agent)
                lost = advance(
                    *(offer, OfferEvent.LOSE, row, self._profile(offer), entry),
                    now=self.now(),
                    today=self.today(),
                    wrap_up_time=self._wrap_up_time(offer),
                )
                agents |= {one.name: one for one in lost.agents}
                (entry,) = lost.entries
                changes.append(lost)
            if entry.state is EntryState.WAITING:
                changes.append(leave(entry, Exit.LOST, self.now()))
        return changes


def _delayed(row: AgentRow, now: float, *, is_new: bool) -> AgentRow:
    until = now + min(row.delay, LONGEST_TIME)
    is_certain = is_new and row.delay > 0
    return replace(row, not_before=until if is_certain else min(row.not_before, until))


def _wrapping_up(offer: Offer, now: float) -> Offer:
    if offer.state is not OfferState.WRAPPING_UP:
        return offer
    longest = min(offer.release_at - offer.ended_at, LONGEST_TIME)
    return replace(offer, release_at=min(offer.release_at, now + longest))


def _is_of_definitions(event: EventRecord) -> bool:
    return event.name.endswith((".defined", ".removed"))


def _fact(event: EventRecord) -> Fact:
    return Fact(
        event.name, event.at.timestamp(), event.queue, event.agent, event.call_id, event.data
    )
