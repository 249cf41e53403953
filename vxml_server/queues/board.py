"""The state of queues in memory, as this worker knows it: rows by id, and who may match now.

A board is a projection: it is given every change that was stored, ours and other workers', in any
order; of two rows the one with the higher generation holds. It remembers which queues a change may
have made matches in, so that a decision looks at those alone. The rule that must hold: what is
found so is what `matching.match` says of everything.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from math import inf

from vxml_server.queues.matching import (
    Assignment,
    Candidate,
    Waiting,
    could_take,
    match,
    next_change,
)
from vxml_server.queues.profiles import (
    PERSONAL,
    Agent,
    Box,
    Group,
    Member,
    Queue,
    Roster,
    Seat,
    roster,
)
from vxml_server.queues.rows import AgentRow, Change, Entry, EntryState, Offer, OfferState

# Rows that are over are remembered by their generation: an older form of one may still arrive.
REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class _PassedOver:
    """A caller who is not offered to an agent although it is his turn, from a moment on."""

    agent: str
    since: float


class Board:
    """Definitions and rows. Nothing here waits or fails."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        """`zone` is where the day of the agents' counters begins."""
        self._zone = zone
        self.version = 0
        """More whenever something has happened: definitions or rows are others."""
        self.agents: dict[str, Candidate] = {}
        """Those who are defined, each with a row (a new one is signed out)."""
        self.groups: dict[str, Group] = {}
        self.queues: dict[str, Queue] = {}
        """Those that are defined; `rosters` has the agents' own as well."""
        self.boxes: Mapping[str, Box] = {}
        """Those that are defined, by name; another object when one has changed."""
        self.rosters: dict[str, Roster] = {}
        self.entries: dict[str, Entry] = {}
        """Callers who have not left."""
        self.offers: dict[str, Offer] = {}
        """Offers that are not closed."""
        self.cursors: dict[str, str] = {}
        """The agent that each queue asked last."""
        self._rows: dict[str, AgentRow] = {}
        self._waiting: dict[str, dict[str, Entry]] = {}
        # Agent -> queue -> his seats there; of each queue those of agents who could take a call.
        self._seats: dict[str, dict[str, tuple[Seat, ...]]] = {}
        self._open: dict[str, dict[str, tuple[Seat, ...]]] = {}
        self._offers_of_agent: dict[str, dict[str, Offer]] = {}
        self._offers_of_entry: dict[str, dict[str, Offer]] = {}
        self.wrap_ups: dict[str, Offer] = {}
        """Those of the offers whose agents wrap up."""
        self._over: OrderedDict[str, int] = OrderedDict()
        self._touched: set[str] = set()
        self._wakes: dict[str, float] = {}
        self._passed_over: dict[str, _PassedOver] = {}
        """By entry."""

    # Definitions -------------------------------------------------------------------------------

    def define(
        self,
        agents: Iterable[Agent],
        groups: Iterable[Group],
        queues: Iterable[Queue],
        boxes: Iterable[Box] = (),
    ) -> None:
        """Replaces all definitions; rows stay."""
        self.version += 1
        self.agents = {
            agent.name: Candidate(agent, self._rows.get(agent.name, AgentRow(agent.name)))
            for agent in agents
        }
        self.groups = {group.name: group for group in groups}
        self.queues = {queue.name: queue for queue in queues}
        self.boxes = {box.name: box for box in boxes}
        personal = [name for name in self.rosters if name.startswith(PERSONAL)]
        self.rosters = {name: roster(queue, self.groups) for name, queue in self.queues.items()}
        for name in personal:
            self.roster(name)
        self._wakes = {name: at for name, at in self._wakes.items() if name in self.rosters}
        self._seats, self._open = {}, {}
        for name, one in self.rosters.items():
            self._seat(name, one)
        self._touched |= self.rosters.keys()

    def _seat(self, queue: str, one: Roster) -> None:
        seats: dict[str, list[Seat]] = {}
        for seat in one.seats:
            seats.setdefault(seat.agent, []).append(seat)
        for agent, his in seats.items():
            self._seats.setdefault(agent, {})[queue] = tuple(his)
        self._open[queue] = {
            agent: tuple(his)
            for agent, his in seats.items()
            if (candidate := self.agents.get(agent)) is not None and could_take(candidate)
        }

    def roster(self, queue: str) -> Roster | None:
        """A queue, an agent's own (`agent.ann`) as well; None when there is none of that name."""
        known = self.rosters.get(queue)
        agent = queue.removeprefix(PERSONAL)
        if known is not None or agent == queue or agent not in self.agents:
            return known
        made = self.rosters[queue] = roster(Queue(queue, (Member(agent=agent),)), {})
        self._seat(queue, made)
        return made

    def queues_of(self, agent: str) -> frozenset[str]:
        """The queues whose callers an agent takes."""
        return frozenset(self._seats.get(agent, ()))

    # Rows --------------------------------------------------------------------------------------

    def apply(self, change: Change) -> None:
        """Takes rows that were stored; older ones than those here change nothing."""
        for agent in change.agents:
            self._take_agent(agent)
        for entry in change.entries:
            self._take_entry(entry)
        for offer in change.offers:
            self._take_offer(offer)

    def _take_agent(self, row: AgentRow) -> None:
        known = self._rows.get(row.name)
        if known is not None and known.generation >= row.generation:
            return
        self.version += 1
        self._rows[row.name] = row
        seats = self._seats.get(row.name, {})
        self._touched |= seats.keys()
        if (known_as := self.agents.get(row.name)) is None:
            return
        for entry_id in [key for key, one in self._passed_over.items() if one.agent == row.name]:
            self.consider(entry_id)
        candidate = self.agents[row.name] = Candidate(known_as.profile, row)
        could = could_take(candidate)
        for queue, his in seats.items():
            if could:
                self._open[queue][row.name] = his
            else:
                self._open[queue].pop(row.name, None)

    def _take_entry(self, entry: Entry) -> None:
        known = self.entries.get(entry.id)
        if self._is_old(entry, known):
            return
        self.version += 1
        self.roster(entry.queue)
        self.consider(entry.id)
        if known is not None and known.queue != entry.queue:
            self._waiting[known.queue].pop(known.id, None)
            self._touched.add(known.queue)
        if entry.state is EntryState.LEFT:
            self.entries.pop(entry.id, None)
            self._end(entry.id, entry.generation)
        else:
            self.entries[entry.id] = entry
        waiting = self._waiting.setdefault(entry.queue, {})
        if entry.state is EntryState.WAITING:
            waiting[entry.id] = entry
        else:
            waiting.pop(entry.id, None)
        self._touched.add(entry.queue)

    def _take_offer(self, offer: Offer) -> None:
        known = self.offers.get(offer.id)
        if self._is_old(offer, known):
            return
        self.version += 1
        of_agent = self._offers_of_agent.setdefault(offer.agent, {})
        of_entry = self._offers_of_entry.setdefault(offer.entry, {})
        if offer.state is OfferState.CLOSED:
            self.offers.pop(offer.id, None)
            of_agent.pop(offer.id, None)
            of_entry.pop(offer.id, None)
            self.wrap_ups.pop(offer.id, None)
            self._end(offer.id, offer.generation)
        else:
            self.offers[offer.id] = of_agent[offer.id] = of_entry[offer.id] = offer
            if offer.state is OfferState.WRAPPING_UP:
                self.wrap_ups[offer.id] = offer
        if not of_entry:
            del self._offers_of_entry[offer.entry]
        if known is None and offer.state is OfferState.RESERVED:
            self.cursors[offer.queue] = offer.agent
        self._touched.add(offer.queue)

    def forget(self, entries: Iterable[str], offers: Iterable[str]) -> None:
        """These are over: they are not stored any more."""
        for entry_id in entries:
            self.consider(entry_id)
            if (entry := self.entries.pop(entry_id, None)) is not None:
                self.version += 1
                self._waiting[entry.queue].pop(entry_id, None)
                self._touched.add(entry.queue)
            self._end(entry_id, sys.maxsize)
        for offer_id in offers:
            if (offer := self.offers.get(offer_id)) is not None:
                self._take_offer(replace(offer, state=OfferState.CLOSED, generation=sys.maxsize))
            self._end(offer_id, sys.maxsize)

    def _is_old(self, row: Entry | Offer, known: Entry | Offer | None) -> bool:
        at_least = self._over.get(row.id, 0) if known is None else known.generation
        return at_least >= row.generation

    def _end(self, row_id: str, generation: int) -> None:
        self._over[row_id] = max(generation, self._over.get(row_id, 0))
        if len(self._over) > REMEMBERED:
            self._over.popitem(last=False)

    # Questions ---------------------------------------------------------------------------------

    def row(self, agent: str) -> AgentRow:
        """The row of an agent, a new one when there is none yet."""
        return self._rows.get(agent, AgentRow(agent))

    def rows(self) -> Iterator[AgentRow]:
        """The rows of all agents who ever had one, defined or not."""
        yield from self._rows.values()

    def offers_of_agent(self, agent: str) -> tuple[Offer, ...]:
        """His open offers, wrap-up included."""
        return tuple(self._offers_of_agent.get(agent, {}).values())

    def offers_of_entry(self, entry: str) -> tuple[Offer, ...]:
        """A caller's open offers."""
        return tuple(self._offers_of_entry.get(entry, {}).values())

    def waiting(self, queues: Iterable[str]) -> list[Waiting]:
        """The callers who wait in these queues, in no order."""
        return [
            self._seen(entry) for queue in queues for entry in self._waiting.get(queue, {}).values()
        ]

    def _seen(self, entry: Entry) -> Waiting:
        offers = [
            offer
            for offer in self._offers_of_entry.get(entry.id, {}).values()
            if offer.outcome is None
        ]
        rung_at = min((offer.reserved_at for offer in offers), default=0.0)
        return Waiting(entry, frozenset(offer.agent for offer in offers), rung_at)

    # Decisions ---------------------------------------------------------------------------------

    def assignments(self, now: float) -> tuple[Assignment, ...]:
        """The offers to be made now. Those that are not made, because another worker was faster,
        come up again with the change that tells so."""
        due = {queue for queue, at in self._wakes.items() if at <= now}
        queues = sorted((self._touched | due) & self.rosters.keys())
        self._touched.clear()
        waiting: list[Waiting] = []
        seats: dict[str, list[Seat]] = {}
        for queue in queues:
            self._wakes.pop(queue, None)
            if not self._open[queue] or not self._waiting.get(queue):
                continue
            seats[queue] = [seat for his in self._open[queue].values() for seat in his]
            callers = [one for one in self.waiting([queue]) if not self._is_passed_over(one, now)]
            at = next_change(self.agents, callers, self.rosters, now, seats)
            if at < inf:
                self._wakes[queue] = at
            waiting += callers
        return match(self.agents, waiting, self.rosters, now, self.cursors, seats, self._zone)

    def pass_over(self, assignment: Assignment, since: float) -> None:
        """An assignment that is not made here. From `since` on, others have the agent: the caller
        is not offered until one of the two has changed or he is to be considered again.

        Without it an agent whom nobody offers anything would be kept for him for ever.
        """
        known = self._passed_over.get(assignment.entry)
        if known is not None and known.agent == assignment.agent:
            since = min(since, known.since)
        self._passed_over[assignment.entry] = _PassedOver(assignment.agent, since)
        for queue in self.queues_of(assignment.agent):
            self._wakes[queue] = min(since, self._wakes.get(queue, inf))

    def consider(self, entry_id: str) -> None:
        """A caller is passed over no more."""
        if (one := self._passed_over.pop(entry_id, None)) is not None:
            self._touched |= self.queues_of(one.agent)

    def _is_passed_over(self, caller: Waiting, now: float) -> bool:
        one = self._passed_over.get(caller.entry.id)
        return one is not None and one.since <= now

    def next_wake(self) -> float:
        """When `assignments` is to be asked again: 0 for at once, infinity for when something has
        happened."""
        if self._touched:
            return 0.0
        return min(self._wakes.values(), default=inf)

    def touch(self, queues: Iterable[str]) -> None:
        """Looks at these queues again at the next decision."""
        self._touched.update(queues)
