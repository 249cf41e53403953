"""The board of one worker, kept in step with the database and with the other workers.

The rules that must hold: nothing is on the board that was not stored before; what this worker
cannot store now (the database is away) it tries until it can; what other workers store is learned
from the log; a worker that dies is put right by another within ten seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, tzinfo
from functools import partial
from typing import Any, TypeVar

import structlog

from vxml_server.clock import Clock
from vxml_server.queues.board import Board
from vxml_server.queues.definitions import Kind
from vxml_server.queues.estimate import Experience
from vxml_server.queues.ledger import Definitions, Ledger, is_over
from vxml_server.queues.profiles import Agent
from vxml_server.queues.rows import Change, Entry, EntryState, Exit, Fact, Offer
from vxml_server.queues.transitions import IllegalTransition, OfferEvent, advance, leave
from vxml_server.store import EventRecord, Store, StoreError

_log = structlog.get_logger(__name__)
BEAT = 2.0
"""Seconds between two beats of a worker, and between two looks at the others'."""
DEAD_AFTER = 6.0
"""A worker whose beat has stood still for so long is dead."""
RETRY = 0.5
"""Seconds before the database is asked again."""
Result = TypeVar("Result")


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
        buried: Callable[[], None] = lambda: None,
    ) -> None:
        """`worker` is unlike any other ever; `zone` is where the day of the agents' counters
        begins; `buried` is told when others have taken this worker for dead, and put its callers
        out."""
        self.board = Board()
        self.ledger = Ledger(store, worker)
        self.news = asyncio.Event()
        self.declared: frozenset[tuple[Kind, str]] = frozenset()
        """The definitions that the settings alone may change."""
        self._store = store
        self._clock = clock
        self._zone = zone
        self._buried = buried
        self._experience: dict[str, Experience] = {}
        self._beats: dict[str, tuple[int, float]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopping = False
        self._seq = 0

    # Life --------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Reads everything and begins to follow. Raises `StoreError`."""
        await self.ledger.join()
        await self._load()
        for work in (self._follow, self._live):
            self._tasks.append(asyncio.create_task(work(), name=f"queues {work.__name__}"))

    async def stop(self) -> None:
        """Signs off; changes that could not be stored are given up."""
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        try:
            await self.ledger.bury(self.ledger.worker)
        except StoreError as error:
            _log.warning("cannot sign off", error=str(error))

    async def _load(self) -> None:
        snapshot = await self.ledger.load()
        self._seq = snapshot.seq
        self._define(snapshot.definitions)
        self.board.cursors.update(snapshot.cursors)
        self.board.apply(snapshot.rows)

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.utc_now().timestamp()

    def today(self) -> str:
        """The day for the agents' counters, as an ISO date."""
        return self._clock.utc_now().astimezone(self._zone).date().isoformat()

    def experience(self, queue: str) -> Experience:
        """What the past of a queue teaches."""
        return self._experience.setdefault(queue, Experience())

    async def redefine(self) -> None:
        """Reads the definitions again."""
        self._define(await self.ledger.definitions())
        self.news.set()

    def _define(self, definitions: Definitions) -> None:
        self.declared = definitions.declared
        self.board.define(definitions.agents, definitions.groups, definitions.queues)

    # What workers do to one another's rows too ---------------------------------------------------

    async def advance(self, offer_id: str, event: OfferEvent) -> bool:
        """Moves an offer on; False when it does not stand so any more."""
        return await self.change(lambda: self._advancing(offer_id, event))

    def _advancing(self, offer_id: str, event: OfferEvent) -> Sequence[Change]:
        offer = self.board.offers.get(offer_id)
        if offer is None:
            raise IllegalTransition(f"{event} for offer {offer_id}, which is over")
        row = self.board.row(offer.agent)
        candidate = self.board.agents.get(offer.agent)
        # Who is not defined any more ends his call all the same.
        profile = Agent(offer.agent, line="-") if candidate is None else candidate.profile
        roster = self.board.rosters.get(offer.queue)
        return (
            advance(
                *(offer, event, row, profile, self.board.entries.get(offer.entry)),
                now=self.now(),
                today=self.today(),
                wrap_up_time=roster.queue.wrap_up_time if roster is not None else None,
            ),
        )

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

    async def stored(self, *changes: Change) -> bool:
        """Stores changes and takes them; False, and the board is up to date, when a row has changed
        meanwhile. Waits for a database that does not answer. Not to be cancelled (`to_the_end`)."""
        try:
            done = await self.ledger.commit(*changes)
        except StoreError as error:
            _log.warning("the database does not answer", error=str(error))
            done = await self._patiently(lambda: self._stored_after_all(changes))
        if done:
            for change in changes:
                self.board.apply(change)
                for fact in change.facts:
                    self._learn(fact)
            self.news.set()
        else:
            await self._patiently(lambda: self._refresh(changes))
        return done

    async def _stored_after_all(self, changes: Sequence[Change]) -> bool:
        """What became of a transaction whose end nobody told: it is there, or it is made now."""
        last = {agent.name: agent for change in changes for agent in change.agents}
        rows: dict[str, Entry | Offer] = {}
        for change in changes:
            rows |= {entry.id: entry for entry in change.entries}
            rows |= {offer.id: offer for offer in change.offers}
        found = await self.ledger.rows(set(last), set(rows), set(rows))
        there: dict[str, Entry | Offer] = {entry.id: entry for entry in found.entries}
        there |= {offer.id: offer for offer in found.offers}
        if rows:
            # Of these nobody else moves any: they are as we wanted them, or as they were.
            wanted = {key: None if is_over(row) else row for key, row in rows.items()}
            stored = all(there.get(key) == row for key, row in wanted.items())
        else:
            stored = all(agent in found.agents for agent in last.values())
        return stored or await self.ledger.commit(*changes)

    async def _patiently(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Asks until the database answers; raises `StoreError` only while this worker stops."""
        while True:
            try:
                return await ask()
            except StoreError:
                if self._is_stopping:
                    raise
            await self._clock.sleep(RETRY)

    async def _refresh(self, changes: Sequence[Change]) -> None:
        """Brings the rows of changes that came too late up to date."""
        await self._reread(
            {agent.name for change in changes for agent in change.agents},
            {row.id for change in changes for row in change.entries if row.generation > 1},
            {row.id for change in changes for row in change.offers if row.generation > 1},
        )

    async def _reread(self, agents: set[str], entries: set[str], offers: set[str]) -> None:
        found = await self.ledger.rows(agents, entries, offers)
        self.board.apply(found)
        self.board.forget(
            entries - {entry.id for entry in found.entries},
            offers - {offer.id for offer in found.offers},
        )
        self.news.set()

    def _learn(self, fact: Fact) -> None:
        if fact.queue:
            self._experience.setdefault(fact.queue, Experience()).observe(fact)

    # Others ------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Learns from the log what other workers have done."""
        async for events in self._store.feed.batches(self._seq):
            theirs = [
                event
                for event in events
                if (event.queue or event.agent) and event.data.get("worker") != self.ledger.worker
            ]
            for event in theirs:
                self._learn(_fact(event))
            if theirs:
                await self._patiently(partial(self._catch_up, theirs))

    async def _catch_up(self, events: Sequence[EventRecord]) -> None:
        await self._reread(
            {event.agent for event in events if event.agent},
            {str(event.data["entry"]) for event in events if "entry" in event.data},
            {str(event.data["offer"]) for event in events if "offer" in event.data},
        )
        if any(event.name.endswith((".defined", ".removed")) for event in events):
            await self.redefine()

    async def _live(self) -> None:
        """Beats, and looks whether others still do."""
        while True:
            try:
                if not await self.ledger.beat():
                    await self._rejoin()
                await self._bury_the_dead()
            except StoreError as error:
                _log.warning("cannot say that I live", error=str(error))
            await self._clock.sleep(BEAT)

    async def _bury_the_dead(self) -> None:
        now = self._clock.monotonic()
        beats = await self.ledger.beats()
        self._beats = {
            worker: known
            if (known := self._beats.get(worker)) is not None and known[0] == beat
            else (beat, now)
            for worker, beat in beats.items()
        }
        for worker, (_, seen) in self._beats.items():
            if worker != self.ledger.worker and now - seen >= DEAD_AFTER:
                _log.warning("a worker is dead", worker=worker)
                await self.ledger.bury(worker)
        await self._put_right(await self.ledger.left_by(sorted(await self.ledger.beats())))

    async def _put_right(self, left: Change) -> None:
        """Ends what dead workers had: whoever stores it first has done it."""
        self.board.apply(left)
        for offer in left.offers:
            await self.advance(offer.id, OfferEvent.LOSE)
        for entry in left.entries:
            await self.take_out(entry.id, Exit.LOST)

    async def _rejoin(self) -> None:
        """We were taken for dead: the process stood still, or the database was away."""
        _log.error("taken for dead", worker=self.ledger.worker)
        await self.ledger.join()
        mine = [one.id for one in self.board.entries.values() if one.worker == self.ledger.worker]
        await self._reread(set(), set(mine), set())
        self._buried()


async def to_the_end(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of work that is not interrupted: who is cancelled meanwhile is so afterwards.

    A cancelled transaction may have been stored or not, and nobody would know.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _fact(event: EventRecord) -> Fact:
    return Fact(
        event.name, event.at.timestamp(), event.queue, event.agent, event.call_id, event.data
    )
