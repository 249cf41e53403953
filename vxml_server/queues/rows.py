"""The state of queues and agents: one frozen row for each agent, caller and offer.

Times are seconds since the epoch (UTC), so that workers and the database have the same ones. Every
row has a generation, one more with each change: a change is stored only where the generation is
still the one that it was made from (compare-and-set), so that of two workers one is right.

The rule that must hold: rows change by `transitions` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import StrEnum

from vxml_server.store import Json


class Presence(StrEnum):
    """What an agent says of himself, or a supervisor of him."""

    SIGNED_OUT = "signed_out"
    AVAILABLE = "available"
    ON_BREAK = "on_break"


class OfferState(StrEnum):
    """Where an offer of a caller to an agent stands."""

    RESERVED = "reserved"
    RINGING = "ringing"
    ANSWERED = "answered"
    BRIDGED = "bridged"
    WRAPPING_UP = "wrapping_up"
    CLOSED = "closed"


class Outcome(StrEnum):
    """How an offer ended; each has exactly one."""

    COMPLETED = "completed"
    REFUSED = "refused"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAILED = "failed"
    AGENT_DROPPED = "agent_dropped"
    CALLER_GONE = "caller_gone"
    WITHDRAWN = "withdrawn"
    LOST = "lost"


class EntryState(StrEnum):
    """Where a caller stands: waiting (whatever is offered), with an agent, or gone."""

    WAITING = "waiting"
    CONNECTED = "connected"
    LEFT = "left"


class Exit(StrEnum):
    """Why a caller is not in the queue any more."""

    SERVED = "served"
    ABANDONED = "abandoned"
    TIMED_OUT = "timed_out"
    NO_AGENTS = "no_agents"
    KEY = "key"
    MOVED = "moved"
    REMOVED = "removed"
    LOST = "lost"


def day_of(at: float, zone: tzinfo) -> str:
    """The day of the agents' counters at a time, as an ISO date."""
    return datetime.fromtimestamp(at, zone).date().isoformat()


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent as he is now.

    `busy` counts the offers that are not closed, by medium. `idle_since` is when the last call was
    over (wrap-up included), or the agent became available if that is later. `calls` and `talk_time`
    (seconds) are those of `day` (ISO date in the contact centre's zone) and are not set back when
    an agent leaves and comes again. Nothing is offered before `not_before`, by the clock of whoever
    wrote the row, which others may not have: that was `delay` seconds later.
    """

    name: str
    presence: Presence = Presence.SIGNED_OUT
    reason: str = ""
    since: float = 0.0
    idle_since: float = 0.0
    busy: Mapping[str, int] = field(default_factory=dict)
    not_before: float = 0.0
    delay: float = 0.0
    missed: int = 0
    day: str = ""
    calls: int = 0
    talk_time: float = 0.0
    generation: int = 0

    def counted(self, day: str) -> tuple[int, float]:
        """(calls, seconds of talk) of a day: none if the counters are of another one."""
        return (self.calls, self.talk_time) if self.day == day else (0, 0.0)


@dataclass(frozen=True, slots=True)
class Entry:
    """A caller in a queue.

    `entered_at` is his place; it stays his when he comes back to the queue. `skills` are the levels
    that he needs, `language` the language tag ("" any). `worker` has his call. `draw` in [0, 1) is
    his lot for the random strategies. `data` is what was attached to him. `offers` counts the open
    offers, `attempts` all there were.
    """

    id: str
    queue: str
    call_id: str
    worker: str
    entered_at: float
    medium: str = "voice"
    priority: float = 0.0
    skills: Mapping[str, int] = field(default_factory=dict)
    language: str = ""
    draw: float = 0.0
    data: Mapping[str, Json] = field(default_factory=dict)
    state: EntryState = EntryState.WAITING
    exit: Exit | None = None
    offers: int = 0
    attempts: int = 0
    connected_at: float = 0.0
    left_at: float = 0.0
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """A caller offered to an agent: the reservation, its owner, and what became of it.

    `worker` is the one that has the caller's call, and the only one that moves the offer on while
    it lives. Times that have not come are 0. `release_at` is when wrap-up is over.
    """

    id: str
    agent: str
    entry: str
    queue: str
    call_id: str
    worker: str
    medium: str
    reserved_at: float
    state: OfferState = OfferState.RESERVED
    outcome: Outcome | None = None
    ringing_at: float = 0.0
    answered_at: float = 0.0
    bridged_at: float = 0.0
    ended_at: float = 0.0
    release_at: float = 0.0
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened, for the event log. `data` is complete enough for statistics."""

    name: str
    at: float
    queue: str = ""
    agent: str = ""
    call_id: str = ""
    data: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """Rows as they are to be, together or not at all, and what that means.

    Each row has the generation that it will have: one more than what it was made from, which is 0
    for a row that does not exist yet.
    """

    agents: tuple[AgentRow, ...] = ()
    entries: tuple[Entry, ...] = ()
    offers: tuple[Offer, ...] = ()
    facts: tuple[Fact, ...] = ()

    def __add__(self, other: Change) -> Change:
        """Both, when they touch different rows."""
        return Change(
            self.agents + other.agents,
            self.entries + other.entries,
            self.offers + other.offers,
            self.facts + other.facts,
        )
