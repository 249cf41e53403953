"""How long a caller is likely to wait still.

The model is Erlang-A (M/M/n+M): agents who take callers handle each in an exponential time, callers
ahead of one give up at a rate of their own. With k callers ahead and all of n calls that agents
can have at a time the time to one's turn is the sum over j = 0..k of
1 / (n / handling + j * abandonment). It depends on who is ahead, on the agents and on what was
learned from the past. Time alone changes it where another queue's callers grow older faster, or
agents join later. The rule that must hold: what a caller is told never grows while nothing happens.

What is learned comes from the facts of the log alone, in their order: workers who have read the
same facts have learned the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, inf

from vxml_server.queues.matching import Candidate, Desk, Waiting, points
from vxml_server.queues.profiles import Roster
from vxml_server.queues.rows import Exit, Fact, Outcome, Presence

# How many of the last conversations and callers count.
REMEMBERED = 200
LESSONS = ("offer.closed", "queue.connected", "queue.left", "queue.removed")
"""The names of the facts that teach."""
# Before anything is known: three minutes a call, and nobody gives up.
FIRST_HANDLING_TIME = 180.0


def expected_wait(
    ahead: float, agents: float, handling_time: float, abandonment_rate: float = 0.0
) -> float:
    """Seconds until a caller's turn with `ahead` callers before him; infinity without agents.

    `handling_time` is seconds an agent needs for a caller, from the offer to the end of wrap-up;
    `abandonment_rate` is callers a second that give up, of each who waits. `agents` are those who
    work for him, all of them busy; who can have several calls at a time counts as so many. A part
    of a caller or of an agent counts as such.
    """
    if agents <= 0 or handling_time <= 0:
        return inf if agents <= 0 else 0.0
    served = agents / handling_time
    whole = floor(ahead)
    seconds = sum(1 / (served + count * abandonment_rate) for count in range(whole + 1))
    return seconds + (ahead - whole) / (served + (whole + 1) * abandonment_rate)


class Experience:
    """What the last conversations and callers of one queue teach."""

    def __init__(self) -> None:
        self._handled: deque[float] = deque(maxlen=REMEMBERED)
        self._waits: deque[tuple[float, bool]] = deque(maxlen=REMEMBERED)

    def observe(self, fact: Fact) -> None:
        """Takes a fact of the queue, in the order of the log."""
        match fact.name:
            case "offer.closed" if (
                fact.data.get("outcome") == Outcome.COMPLETED and "handled" in fact.data
            ):
                self._handled.append(_number(fact, "handled"))
            case "queue.connected":
                self._waits.append((_number(fact, "waited"), False))
            case "queue.left" if fact.data.get("exit") == Exit.ABANDONED:
                self._waits.append((_number(fact, "waited"), True))
            case "queue.removed":
                # Another may come to have its name.
                self._handled.clear()
                self._waits.clear()

    @property
    def handling_time(self) -> float:
        """Mean seconds from the offer to the end of wrap-up."""
        if not self._handled:
            return FIRST_HANDLING_TIME
        return sum(self._handled) / len(self._handled)

    @property
    def abandonment_rate(self) -> float:
        """Callers a second that give up, of each who waits: those who did over all waiting time."""
        waited = sum(seconds for seconds, _ in self._waits)
        if waited <= 0:
            return 0.0
        return sum(gave_up for _, gave_up in self._waits) / waited


class Told:
    """What callers have been told since something last happened: they are not told more."""

    def __init__(self) -> None:
        self._version = 0
        self._seconds: dict[str, float] = {}

    def at_most(self, entry: str, seconds: float, version: int) -> float:
        """The least of what was found for a caller (by entry) since `version` is what it is."""
        if version != self._version:
            self._version = version
            self._seconds.clear()
        least = self._seconds[entry] = min(seconds, self._seconds.get(entry, inf))
        return least


@dataclass(frozen=True, slots=True)
class Prospect:
    """Who is before a waiting caller, and who works for him."""

    ahead: float
    """Callers; of those of other queues a part."""
    agents: int
    calls: int
    """That these agents can have at a time."""


def standing(
    caller: Waiting,
    waiting: Mapping[str, list[Waiting]],
    agents: Mapping[str, Candidate],
    rosters: Mapping[str, Roster],
    now: float,
) -> Prospect:
    """How a waiting caller stands.

    Callers of other queues who come before him count by the share of their agents that are his too;
    those who are being offered have their agents already. `waiting` has the callers of each queue.
    """
    entry = caller.entry
    roster = rosters[entry.queue]
    mine = _at_work(Desk(roster, agents, now, everybody=True), caller, now)
    score = points(entry, roster, now)
    ahead = 0.0
    for name, others in waiting.items():
        if name not in rosters or not others:
            continue
        share = 1.0
        if name != entry.queue:
            theirs = _at_work(Desk(rosters[name], agents, now, everybody=True), others[0], now)
            whole = sum(theirs.values())
            share = sum(theirs[one] for one in theirs.keys() & mine) / whole if whole else 0.0
        if share:
            ahead += share * sum(_is_before(other, caller, score, rosters, now) for other in others)
    return Prospect(ahead, len(mine), sum(mine.values()))


def _at_work(desk: Desk, caller: Waiting, now: float) -> Mapping[str, int]:
    """How many calls at a time each of those can have who work for a caller."""
    medium = caller.entry.medium
    return {
        seat.agent: agent.profile.capacity[medium]
        for seat, agent in desk.open_to(caller.entry, now)
        if agent.row.presence is Presence.AVAILABLE
    }


def _is_before(
    other: Waiting, caller: Waiting, score: float, rosters: Mapping[str, Roster], now: float
) -> bool:
    entry = other.entry
    if entry.id == caller.entry.id or other.offered:
        return False
    theirs = points(entry, rosters[entry.queue], now)
    mine = (-score, caller.entry.entered_at, caller.entry.id)
    return (-theirs, entry.entered_at, entry.id) < mine


def _number(fact: Fact, key: str) -> float:
    value = fact.data.get(key, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0
