"""Who is offered to whom, now: one pure function of agents, waiting callers and the time.

Callers are served in the order of their points: what the queue and the caller have by priority, and
what they have by waiting. Each in his turn gets those of the agents that are left who may take him
and whom his queue's strategy prefers; a caller for whom there is nobody holds up no one behind him.

The rules that must hold: an assignment is of an agent who may take the caller at this moment; no
agent is assigned beyond his capacity; the same arguments give the same answer; callers and agents
that cannot be matched with one another do not change each other's assignments, so that a part of
the whole may be looked at alone.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from math import inf, log

from vxml_server.queues.profiles import Agent, Relaxation, Roster, Seat, Strategy
from vxml_server.queues.rows import AgentRow, Entry, EntryState, Presence, day_of
from vxml_server.queues.transitions import is_free


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent as the function sees him: definition and state."""

    profile: Agent
    row: AgentRow

    @property
    def name(self) -> str:
        return self.row.name


@dataclass(frozen=True, slots=True)
class Waiting:
    """A caller as the function sees him; `offered` are the agents who have an offer of him now,
    `rung_at` is when the first of these was made (0 when there is none)."""

    entry: Entry
    offered: frozenset[str] = frozenset()
    rung_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """This caller is to be offered to this agent."""

    entry: str
    agent: str
    queue: str


Seats = Mapping[str, Sequence[Seat]]
"""The seats of queues by name, those of one agent in the order of the roster."""


def match(
    agents: Mapping[str, Candidate],
    waiting: Iterable[Waiting],
    rosters: Mapping[str, Roster],
    now: float,
    cursors: Mapping[str, str],
    seats: Seats | None = None,
    zone: tzinfo = UTC,
) -> tuple[Assignment, ...]:
    """The offers to be made now, in the order in which callers come.

    `rosters` are the queues by name; `cursors` say whom each round-robin queue asked last. A caller
    of a queue that does not exist, and an agent without a definition, match nothing. With `seats`
    no others are looked at; the answer is the same when all are there whose agents `could_take`.
    `zone` is where the day of the agents' counters begins.
    """
    waiting = tuple(waiting)
    today = day_of(now, zone)
    desks = {
        name: Desk(rosters[name], agents, now, seats=None if seats is None else seats.get(name, ()))
        for name in {caller.entry.queue for caller in waiting} & rosters.keys()
    }
    # Mostly nobody is free, or one agent: then most callers need not be put in order.
    served = (
        caller
        for caller in waiting
        if (desk := desks.get(caller.entry.queue)) is not None and desk.agents
    )
    left = {name for desk in desks.values() for name in desk.agents}
    taken: Counter[tuple[str, str]] = Counter()
    asked = dict(cursors)
    found: list[Assignment] = []
    for caller in in_order(served, rosters, now):
        if not left:
            break
        entry, queue = caller.entry, caller.entry.queue
        wanted = _wanted(caller, rosters[queue], now)
        if wanted <= 0:
            continue
        desk = desks[queue]
        free = [
            (seat, agent)
            for seat, agent in desk.open_to(entry, now)
            if seat.agent not in caller.offered
            and _room(agent, entry.medium) > taken[seat.agent, entry.medium]
        ]
        best = _preferred(free, entry, desk.roster, asked.get(queue, ""), today)
        for seat, agent in best[:wanted]:
            taken[seat.agent, entry.medium] += 1
            if not any(
                _room(agent, one) > taken[seat.agent, one] for one in agent.profile.capacity
            ):
                left.discard(seat.agent)
            asked[queue] = seat.agent
            found.append(Assignment(entry.id, seat.agent, queue))
    return tuple(found)


def points(entry: Entry, roster: Roster, now: float) -> float:
    """How much it is a caller's turn."""
    queue = roster.queue
    waited = max(0.0, now - entry.entered_at)
    return queue.priority + entry.priority + queue.weight * waited / queue.ageing


def in_order(
    waiting: Iterable[Waiting], rosters: Mapping[str, Roster], now: float
) -> list[Waiting]:
    """Callers as they are served: most points first, then who waits longer, then by id."""
    ranked = [
        (
            (-points(one.entry, rosters[one.entry.queue], now), one.entry.entered_at, one.entry.id),
            one,
        )
        for one in waiting
        if one.entry.queue in rosters and one.entry.state is EntryState.WAITING
    ]
    ranked.sort(key=lambda pair: pair[0])
    return [one for _, one in ranked]


# Who may take a caller ---------------------------------------------------------------------------


class Desk:
    """The seats of one queue whose agents could take a call now, or all of them.

    `everybody` is for those who want to know who serves a caller at all, busy or on a break.
    """

    def __init__(
        self,
        roster: Roster,
        agents: Mapping[str, Candidate],
        now: float,
        *,
        everybody: bool = False,
        seats: Sequence[Seat] | None = None,
    ) -> None:
        """`seats` are those to look at, of all of the roster's."""
        self.roster = roster
        self._seats = [
            (seat, agent)
            for seat in (roster.seats if seats is None else seats)
            if (agent := agents.get(seat.agent)) is not None
            and (everybody or (could_take(agent) and is_free(agent.row, now)))
        ]
        self.agents = frozenset(seat.agent for seat, _ in self._seats)
        self._opens = _tier_openings(roster, agents) if self._seats else {}

    def open_to(self, entry: Entry, now: float) -> list[tuple[Seat, Candidate]]:
        """Those who may serve a caller who has waited so long, each in the seat that is asked
        first."""
        # Another worker's clock may be a little ahead.
        waited = max(0.0, now - entry.entered_at)
        relaxed = _relaxed(self.roster.queue.relaxations, waited)
        seen: set[str] = set()
        found = []
        for seat, agent in self._seats:
            if (
                waited >= seat.after
                and waited >= self._opens.get(seat.tier, 0.0)
                and seat.agent not in seen
                and _is_able(agent.profile, entry, relaxed)
            ):
                seen.add(seat.agent)
                found.append((seat, agent))
        return found


def _relaxed(relaxations: Sequence[Relaxation], waited: float) -> int:
    """By how much the required levels are lower after so long a wait: the most of what is due."""
    return max((step.by for step in relaxations if step.after <= waited), default=0)


def _is_able(profile: Agent, entry: Entry, relaxed: int) -> bool:
    if profile.capacity.get(entry.medium, 0) <= 0:
        return False
    if entry.language and profile.languages and not _speaks(profile.languages, entry.language):
        return False
    return all(
        level - relaxed <= 0 or profile.skills.get(skill, 0) >= level - relaxed
        for skill, level in entry.skills.items()
    )


def _speaks(languages: frozenset[str], wanted: str) -> bool:
    """By the primary language: who speaks French is asked for a caller from Quebec."""
    primary = wanted.partition("-")[0].lower()
    return any(language.partition("-")[0].lower() == primary for language in languages)


def _tier_openings(roster: Roster, agents: Mapping[str, Candidate]) -> Mapping[int, float]:
    """How long a caller waits before a tier is asked; 0 for those that are not named."""
    rules = roster.queue.tier_rules
    if rules.wait <= 0:
        return {}
    tiers = {
        seat.tier
        for seat in roster.seats
        if not rules.skip_absent or _is_signed_in(agents.get(seat.agent))
    }
    waits: dict[int, float] = {}
    for tier in {seat.tier for seat in roster.seats}:
        before = sum(1 for earlier in tiers if earlier < tier)
        waits[tier] = rules.wait * (before if rules.multiply else min(before, 1))
    return waits


def _is_signed_in(agent: Candidate | None) -> bool:
    return agent is not None and agent.row.presence is not Presence.SIGNED_OUT


def could_take(agent: Candidate) -> bool:
    """Whether he is there and has room for whatever medium, now or when a delay is over: most
    agents of a busy queue have none, and are not looked at for each caller."""
    if agent.row.presence is not Presence.AVAILABLE:
        return False
    busy = agent.row.busy
    return any(busy.get(medium, 0) < calls for medium, calls in agent.profile.capacity.items())


def _room(agent: Candidate, medium: str) -> int:
    return agent.profile.capacity.get(medium, 0) - agent.row.busy.get(medium, 0)


# Whom the strategy prefers -----------------------------------------------------------------------


def _wanted(caller: Waiting, roster: Roster, now: float) -> int:
    """How many more agents the caller is to be offered to."""
    queue = roster.queue
    match queue.strategy:
        case Strategy.RING_ALL:
            return len(roster.seats)
        case Strategy.RING_PROGRESSIVELY:
            if not caller.offered:
                return 1
            rung_for = now - caller.rung_at
            return 1 + int(rung_for // queue.progress_interval) - len(caller.offered)
        case _:
            return 0 if caller.offered else 1


_Free = tuple[Seat, Candidate]


def _preferred(
    free: Sequence[_Free], entry: Entry, roster: Roster, asked: str, today: str
) -> list[_Free]:
    """The best first: lower tiers before higher ones, and by the strategy within a tier; what is
    left undecided goes by the order of members."""
    order = roster.order
    strategy = roster.queue.strategy
    last = order.get(asked, -1)

    def key(pair: _Free) -> tuple[float, float, float, int]:
        seat, agent = pair
        place = order[seat.agent]
        first, second = 0.0, 0.0
        match strategy:
            case Strategy.LONGEST_IDLE:
                first = agent.row.idle_since
            case Strategy.FEWEST_CALLS:
                first, second = agent.row.counted(today)[0], agent.row.idle_since
            case Strategy.LEAST_TALK_TIME:
                first, second = agent.row.counted(today)[1], agent.row.idle_since
            case Strategy.ROUND_ROBIN:
                first = (place - last - 1) % len(order)
            case Strategy.RANDOM:
                first = _lot(entry, seat.agent)
            case Strategy.WEIGHTED_RANDOM:
                first = _weighted(_lot(entry, seat.agent), seat.weight)
            case Strategy.BEST_SKILLED:
                first = -sum(agent.profile.skills.get(skill, 0) for skill in entry.skills)
                second = agent.row.idle_since
            case _:
                first = seat.position
        return seat.tier, first, second, place

    return sorted(free, key=key)


def _lot(entry: Entry, agent: str) -> float:
    """A number in (0, 1) that looks random, the same for the same caller, attempt and agent."""
    text = f"{entry.draw!r} {entry.attempts} {agent}".encode()
    number = int.from_bytes(hashlib.blake2b(text, digest_size=7).digest())
    return (number + 0.5) / (1 << 56)


def _weighted(lot: float, weight: float) -> float:
    """An exponential variate of that rate: the smallest is an agent's as often as his share of the
    weights says."""
    return -log(lot) / weight


# When to look again ------------------------------------------------------------------------------


def next_change(
    agents: Mapping[str, Candidate],
    waiting: Iterable[Waiting],
    rosters: Mapping[str, Roster],
    now: float,
    seats: Seats | None = None,
) -> float:
    """When time alone may next change what `match` says: a tier or a group opens, a requirement
    relaxes, an agent's delay is over, one more is to be rung. Infinity when never. `seats` as
    there: where nobody could take anything, time changes nothing."""
    times: list[float] = []
    queues: set[str] = set()
    for caller in waiting:
        entry = caller.entry
        roster = rosters.get(entry.queue)
        if roster is None or entry.state is not EntryState.WAITING:
            continue
        if seats is not None and not seats.get(entry.queue):
            continue
        queues.add(entry.queue)
        waited = max(0.0, now - entry.entered_at)
        if (step := bisect_right(roster.steps, waited)) < len(roster.steps):
            times.append(entry.entered_at + roster.steps[step])
        if roster.queue.strategy is Strategy.RING_PROGRESSIVELY and caller.offered:
            times.append(caller.rung_at + roster.queue.progress_interval * len(caller.offered))
    for name in queues:
        for seat in rosters[name].seats if seats is None else seats[name]:
            agent = agents.get(seat.agent)
            if agent is not None and agent.row.not_before > now:
                times.append(agent.row.not_before)
    return min((at for at in times if at > now), default=inf)
