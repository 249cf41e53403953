"""How rows change: the life of an offer as a table, and what each step means to agent and caller.

The rules that must hold, whatever happens and in whatever order: an offer ends with exactly one
outcome; an agent has at most as many open offers as his capacity, all of them counted in `busy`; a
caller waits in his place until a bridge is confirmed, or leaves once with one reason. An event that
does not fit the state raises `IllegalTransition`, and nothing has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from vxml_server.queues.profiles import Agent
from vxml_server.queues.rows import (
    AgentRow,
    Change,
    Entry,
    EntryState,
    Exit,
    Fact,
    Offer,
    OfferState,
    Outcome,
    Presence,
)
from vxml_server.store import Json


class IllegalTransition(Exception):
    """What was asked does not fit the state; nothing has changed."""


class OfferEvent(StrEnum):
    """What happens to an offer."""

    RING = "ring"
    ANSWER = "answer"
    BRIDGE = "bridge"
    HANG_UP = "hang_up"
    REFUSE = "refuse"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAIL = "fail"
    AGENT_DROP = "agent_drop"
    CALLER_GONE = "caller_gone"
    WITHDRAW = "withdraw"
    LOSE = "lose"
    WRAPPED_UP = "wrapped_up"


_S, _E, _O = OfferState, OfferEvent, Outcome
_Steps = Mapping[OfferEvent, tuple[OfferState, Outcome | None]]
_UNANSWERED: _Steps = {
    _E.ANSWER: (_S.ANSWERED, None),
    _E.REFUSE: (_S.CLOSED, _O.REFUSED),
    _E.BUSY: (_S.CLOSED, _O.BUSY),
    _E.NO_ANSWER: (_S.CLOSED, _O.NO_ANSWER),
    _E.FAIL: (_S.CLOSED, _O.FAILED),
    _E.CALLER_GONE: (_S.CLOSED, _O.CALLER_GONE),
    _E.WITHDRAW: (_S.CLOSED, _O.WITHDRAWN),
    _E.LOSE: (_S.CLOSED, _O.LOST),
}
# State -> event -> the next state, and the outcome when this is the end of the offer.
OFFER_TABLE: Mapping[OfferState, _Steps] = {
    # A telephone may answer, or end the offer, without having rung.
    _S.RESERVED: {_E.RING: (_S.RINGING, None), **_UNANSWERED},
    _S.RINGING: _UNANSWERED,
    _S.ANSWERED: {
        _E.BRIDGE: (_S.BRIDGED, None),
        _E.REFUSE: (_S.CLOSED, _O.REFUSED),
        _E.FAIL: (_S.CLOSED, _O.FAILED),
        _E.AGENT_DROP: (_S.CLOSED, _O.AGENT_DROPPED),
        _E.CALLER_GONE: (_S.CLOSED, _O.CALLER_GONE),
        _E.WITHDRAW: (_S.CLOSED, _O.WITHDRAWN),
        _E.LOSE: (_S.CLOSED, _O.LOST),
    },
    _S.BRIDGED: {
        _E.HANG_UP: (_S.WRAPPING_UP, _O.COMPLETED),
        _E.LOSE: (_S.WRAPPING_UP, _O.LOST),
    },
    _S.WRAPPING_UP: {_E.WRAPPED_UP: (_S.CLOSED, None)},
    _S.CLOSED: {},
}


@dataclass(frozen=True, slots=True)
class _Effect:
    """What an outcome means to the agent: which of his delays, and whether it counts as missed."""

    delay: str = ""
    is_missed: bool = False


_EFFECTS: Mapping[Outcome, _Effect] = {
    Outcome.COMPLETED: _Effect(),
    Outcome.REFUSED: _Effect("refusal_delay"),
    Outcome.BUSY: _Effect("busy_delay"),
    Outcome.NO_ANSWER: _Effect("no_answer_delay", is_missed=True),
    Outcome.FAILED: _Effect("failure_delay", is_missed=True),
    Outcome.AGENT_DROPPED: _Effect("no_answer_delay", is_missed=True),
    Outcome.CALLER_GONE: _Effect(),
    Outcome.WITHDRAWN: _Effect(),
    Outcome.LOST: _Effect(),
}
MISSED_BREAK = "no_answer"
"""The reason of a break that an agent is put on because calls were not answered."""


# Callers -----------------------------------------------------------------------------------------


def enter(entry: Entry, now: float) -> Change:
    """A caller comes to a queue; `entry.entered_at` may be earlier: he comes back to his place."""
    if entry.generation or entry.state is not EntryState.WAITING or entry.offers:
        raise IllegalTransition(f"entry {entry.id} is not new")
    data: dict[str, Json] = {
        "entry": entry.id,
        "since": entry.entered_at,
        "priority": entry.priority,
        "medium": entry.medium,
    }
    return Change(entries=(_next(entry),), facts=(_of_entry(entry, "queue.entered", data, now),))


def leave(entry: Entry, reason: Exit, now: float) -> Change:
    """A caller who waits goes; his offers have been ended before (`CALLER_GONE`, `WITHDRAW`)."""
    if entry.state is not EntryState.WAITING or entry.offers:
        raise IllegalTransition(f"entry {entry.id} is {entry.state} with {entry.offers} offers")
    return _left(entry, reason, now)


def prioritise(entry: Entry, priority: float, now: float) -> Change:
    """A waiting caller is given another priority."""
    if entry.state is not EntryState.WAITING:
        raise IllegalTransition(f"entry {entry.id} is {entry.state}")
    data: dict[str, Json] = {"entry": entry.id, "priority": priority, "before": entry.priority}
    changed = replace(entry, priority=priority)
    fact = _of_entry(changed, "queue.priority", data, now)
    return Change(entries=(_next(changed),), facts=(fact,))


def _left(entry: Entry, reason: Exit, now: float) -> Change:
    connected = entry.state is EntryState.CONNECTED
    waited = (entry.connected_at if connected else now) - entry.entered_at
    data: dict[str, Json] = {"entry": entry.id, "exit": reason, "waited": _seconds(waited)}
    gone = replace(entry, state=EntryState.LEFT, exit=reason, left_at=now)
    return Change(entries=(_next(gone),), facts=(_of_entry(gone, "queue.left", data, now),))


# Offers ------------------------------------------------------------------------------------------


def is_free(agent: AgentRow, now: float) -> bool:
    """Whether an agent may be offered anything, if there is room for it."""
    return agent.presence is Presence.AVAILABLE and agent.not_before <= now


def claim(agent: AgentRow, profile: Agent, entry: Entry, offer_id: str, now: float) -> Change:
    """Reserves an agent for a caller."""
    if entry.state is not EntryState.WAITING:
        raise IllegalTransition(f"entry {entry.id} is {entry.state}")
    is_full = agent.busy.get(entry.medium, 0) >= profile.capacity.get(entry.medium, 0)
    if is_full or not is_free(agent, now):
        raise IllegalTransition(f"agent {agent.name} cannot take {entry.medium} now")
    offer = Offer(
        offer_id,
        agent.name,
        entry.id,
        entry.queue,
        entry.call_id,
        entry.worker,
        entry.medium,
        reserved_at=now,
    )
    held = replace(agent, busy=_counted(agent.busy, entry.medium, +1))
    offered = replace(entry, offers=entry.offers + 1, attempts=entry.attempts + 1)
    return Change(
        (_of_agent(held, now),), (_next(offered),), (_next(offer),), (_of_offer(offer, now),)
    )


def advance(
    offer: Offer,
    event: OfferEvent,
    agent: AgentRow,
    profile: Agent,
    entry: Entry | None,
    *,
    now: float,
    today: str,
    wrap_up_time: float | None = None,
) -> Change:
    """One step of an offer, with what it means to its agent and its caller.

    For `WRAPPED_UP`, by the clock or by the agent, the caller has gone (None) or may have.
    `wrap_up_time` is the queue's, if it has one of its own; `today` is the day for the agent's
    counters.
    """
    step = OFFER_TABLE[offer.state].get(event)
    if step is None:
        raise IllegalTransition(f"{event} for offer {offer.id}, which is {offer.state}")
    if agent.name != offer.agent:
        raise IllegalTransition(f"offer {offer.id} is of {offer.agent}")
    state, outcome = step
    if event is OfferEvent.WRAPPED_UP:
        return _released(offer, agent, now)
    if entry is None or entry.id != offer.entry:
        raise IllegalTransition(f"offer {offer.id} is of {offer.entry}")
    if outcome is None:
        return _going_on(offer, state, agent, entry, now, today)
    if offer.state is OfferState.BRIDGED:
        seconds = profile.wrap_up_time if wrap_up_time is None else wrap_up_time
        return _parted(offer, outcome, agent, entry, now, seconds)
    return _not_bridged(offer, outcome, agent, profile, entry, now)


def _going_on(
    offer: Offer, state: OfferState, agent: AgentRow, entry: Entry, now: float, today: str
) -> Change:
    match state:
        case OfferState.RINGING:
            moved = replace(offer, state=state, ringing_at=now)
        case OfferState.ANSWERED:
            moved = replace(offer, state=state, answered_at=now)
        case _:
            return _bridged(replace(offer, state=state, bridged_at=now), agent, entry, now, today)
    return Change(offers=(_next(moved),), facts=(_of_offer(moved, now),))


def _bridged(offer: Offer, agent: AgentRow, entry: Entry, now: float, today: str) -> Change:
    if entry.state is not EntryState.WAITING:
        raise IllegalTransition(f"entry {entry.id} is {entry.state}")
    calls, talk_time = agent.counted(today)
    talking = replace(agent, missed=0, day=today, calls=calls + 1, talk_time=talk_time)
    connected = replace(entry, state=EntryState.CONNECTED, connected_at=now)
    data: dict[str, Json] = {"entry": entry.id, "waited": _seconds(now - entry.entered_at)}
    facts = (
        _of_offer(offer, now),
        replace(_of_entry(connected, "queue.connected", data, now), agent=agent.name),
    )
    return Change((_of_agent(talking, now),), (_next(connected),), (_next(offer),), facts)


def _not_bridged(
    offer: Offer, outcome: Outcome, agent: AgentRow, profile: Agent, entry: Entry, now: float
) -> Change:
    """The agent is free again, the caller as before."""
    effect = _EFFECTS[outcome]
    delay = getattr(profile, effect.delay) if effect.delay else 0.0
    missed = agent.missed + 1 if effect.is_missed else agent.missed
    free = replace(
        agent,
        busy=_counted(agent.busy, offer.medium, -1),
        missed=missed,
        not_before=max(agent.not_before, now + delay) if delay else agent.not_before,
    )
    closed = replace(offer, state=OfferState.CLOSED, outcome=outcome, ended_at=now)
    back = replace(entry, offers=entry.offers - 1)
    facts = [_of_offer(closed, now)]
    may_miss = profile.max_no_answer
    if effect.is_missed and 0 < may_miss <= missed and free.presence is Presence.AVAILABLE:
        free, fact = _present(replace(free, missed=0), Presence.ON_BREAK, MISSED_BREAK, now)
        facts.append(fact)
    return Change((_of_agent(free, now),), (_next(back),), (_next(closed),), tuple(facts))


def _parted(
    offer: Offer, outcome: Outcome, agent: AgentRow, entry: Entry, now: float, wrap_up: float
) -> Change:
    """A conversation is over: the caller has left the queue, the agent wraps up."""
    # Who ends it may be another worker, whose clock is behind.
    talked = max(0.0, now - offer.bridged_at)
    over = replace(
        offer,
        state=OfferState.WRAPPING_UP,
        outcome=outcome,
        ended_at=now,
        release_at=now + wrap_up,
    )
    worked = replace(agent, talk_time=agent.talk_time + talked)
    reason = Exit.LOST if outcome is Outcome.LOST else Exit.SERVED
    change = _left(replace(entry, offers=entry.offers - 1), reason, now)
    facts = (_of_offer(over, now, {"talked": _seconds(talked)}), *change.facts)
    return Change((_of_agent(worked, now),), change.entries, (_next(over),), facts)


def _released(offer: Offer, agent: AgentRow, now: float) -> Change:
    data: dict[str, Json] = {
        "wrapped_up": _seconds(now - offer.ended_at),
        "handled": _seconds(now - offer.reserved_at),
    }
    closed = replace(offer, state=OfferState.CLOSED)
    free = replace(agent, busy=_counted(agent.busy, offer.medium, -1), idle_since=now)
    return Change(
        agents=(_of_agent(free, now),),
        offers=(_next(closed),),
        facts=(_of_offer(closed, now, data),),
    )


# Agents ------------------------------------------------------------------------------------------


def present(
    agent: AgentRow, presence: Presence, now: float, reason: str = "", by: str = ""
) -> Change:
    """An agent signs in or out, takes a break or is back; a call that he has goes on.

    The same presence and reason once more changes nothing. `by` is who wants it so.
    """
    if (agent.presence, agent.reason) == (presence, reason):
        return Change()
    changed, fact = _present(agent, presence, reason, now)
    if by:
        fact = replace(fact, data={**fact.data, "by": by})
    return Change(agents=(_of_agent(changed, now),), facts=(fact,))


def _present(agent: AgentRow, presence: Presence, reason: str, now: float) -> tuple[AgentRow, Fact]:
    returns = presence is Presence.AVAILABLE and agent.presence is not Presence.AVAILABLE
    changed = replace(
        agent,
        presence=presence,
        reason=reason,
        since=now,
        idle_since=now if returns else agent.idle_since,
        missed=0 if returns else agent.missed,
        not_before=0.0 if returns else agent.not_before,
    )
    data: dict[str, Json] = {
        "presence": presence,
        "reason": reason,
        "before": agent.presence,
        "lasted": _seconds(now - agent.since) if agent.since else 0.0,
    }
    return changed, Fact("agent.presence", now, agent=agent.name, data=data)


def state_of(agent: AgentRow, offers: Iterable[Offer]) -> str:
    """What an agent is doing, in the field's words: the busiest of his open offers, or presence."""
    states = {offer.state for offer in offers if offer.agent == agent.name}
    for state, word in _WORDS.items():
        if state in states:
            return word
    return agent.presence.value


_WORDS: Mapping[OfferState, str] = {
    OfferState.BRIDGED: "talking",
    OfferState.ANSWERED: "ringing",
    OfferState.RINGING: "ringing",
    OfferState.RESERVED: "reserved",
    OfferState.WRAPPING_UP: "wrapping_up",
}


# Inside ------------------------------------------------------------------------------------------

_NOTHING: Mapping[str, Json] = MappingProxyType({})
Row = TypeVar("Row", AgentRow, Entry, Offer)


def _next(row: Row) -> Row:
    return replace(row, generation=row.generation + 1)


def _of_agent(agent: AgentRow, now: float) -> AgentRow:
    return _next(replace(agent, delay=max(0.0, agent.not_before - now)))


def _counted(busy: Mapping[str, int], medium: str, by: int) -> Mapping[str, int]:
    count = busy.get(medium, 0) + by
    if count < 0:
        raise IllegalTransition(f"less than no {medium} call")
    return {**busy, medium: count}


def _seconds(value: float) -> float:
    return round(max(0.0, value), 3)


def _of_entry(entry: Entry, name: str, data: Mapping[str, Json], at: float) -> Fact:
    return Fact(name, at, entry.queue, "", entry.call_id, data)


def _of_offer(offer: Offer, now: float, more: Mapping[str, Json] = _NOTHING) -> Fact:
    data: dict[str, Json] = {"offer": offer.id, "entry": offer.entry, **more}
    if offer.outcome is not None:
        data["outcome"] = offer.outcome
    name = f"offer.{offer.state}"
    return Fact(name, now, offer.queue, offer.agent, offer.call_id, data)
