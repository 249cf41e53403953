"""What the event log adds up to: figures of queues and agents by quarters of an hour.

Everything that happens is counted in the quarter in which it happens: a caller when he comes, his
wait when it ends, a conversation and its wrap-up when they end. The time of agents (signed in, on a
break, talking, wrapping up) is counted in the quarters in which it passes. So what has passed does
not change any more but by what is over later, and the sum of intervals is the whole.

The rules that must hold: the facts of the log, in its order, are all that counts, so that live and
replayed figures are the same; sums are of whole numbers (milliseconds), so that they are the same
in any order and any grouping. The definitions are in docs/queues.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vxml_server.queues.profiles import LONGEST_TIME, Queue
from vxml_server.queues.rows import Exit, Fact, Presence
from vxml_server.store import Json, queue_tables

SLOT_MS = 900_000
"""A quarter of an hour: the shortest interval that there is, and part of every other."""
_QUEUE = {name: place for place, name in enumerate(queue_tables.QUEUE_FIGURES)}
_AGENT = {name: place for place, name in enumerate(queue_tables.AGENT_FIGURES)}
_BOUNDS = tuple(1000 * seconds for seconds in queue_tables.WAITS)
_TARGET_MS = round(1000 * Queue("any").service_level_target)
"""Of queues that were never defined: those of agents."""

Table = dict[tuple[str, int], list[int]]
"""Figures by name and number of the quarter since 1970, in the order of `queue_tables`."""
# The data of a fact is JSON from our own log; it is read as it is, half a million times a day.
_Data = Mapping[str, Any]


@dataclass(slots=True)
class State:
    """What has begun and is not over, and what queues promise. Times are milliseconds."""

    targets: dict[str, int] = field(default_factory=dict)
    """Queue -> the target of its service level."""
    present: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    """Agent -> presence, and since when (None while he is not defined)."""
    talking: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    """Entry -> who talks with him, and since when (None when they have parted)."""
    wrapping: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    """Offer -> who wraps it up, and since when."""

    def to_json(self) -> dict[str, Json]:
        return {
            "targets": dict(self.targets),
            **{
                name: {key: list(value) for key, value in getattr(self, name).items()}
                for name in ("present", "talking", "wrapping")
            },
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> State:
        return cls(
            dict(body.get("targets", {})),
            *(
                {key: (value[0], value[1]) for key, value in body.get(name, {}).items()}
                for name in ("present", "talking", "wrapping")
            ),
        )


class Statistics:
    """Adds facts up, from a state on."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self.queues: Table = {}
        self.agents: Table = {}

    def observe(self, fact: Fact) -> None:
        """Takes a fact, in the order of the log."""
        self.count(fact.name, fact.at, fact.queue, fact.agent, fact.data)

    def count(self, name: str, at: float, queue: str, agent: str, data: _Data) -> None:
        """As `observe`, of a fact's parts."""
        take = _TAKES.get(name)
        if take is not None:
            take(self, round(at * 1000), queue, agent, data)

    def unfinished(self, now: float) -> Table:
        """The time of agents that is not over, up to `now`: to be added to `agents`."""
        so_far = Statistics()
        at = round(now * 1000)
        for agent, (presence, since) in self.state.present.items():
            if since is not None:
                so_far._passed(agent, presence, since, at)
        for entries, column in (
            (self.state.talking, _TALK),
            (self.state.wrapping, _WRAP_UP),
        ):
            for agent, since in entries.values():
                if since is not None:
                    so_far._spread(agent, column, since, at)
        return so_far.agents

    # Callers -----------------------------------------------------------------------------------

    def _entered(self, at: int, queue: str, _agent: str, _data: _Data) -> None:
        self._queue(queue, at)[_OFFERED] += 1

    def _refused(self, at: int, queue: str, _agent: str, _data: _Data) -> None:
        figures = self._queue(queue, at)
        figures[_OFFERED] += 1
        figures[_REFUSED] += 1

    def _overflowed(self, at: int, queue: str, _agent: str, _data: _Data) -> None:
        self._queue(queue, at)[_OVERFLOWED] += 1

    def _connected(self, at: int, queue: str, agent: str, data: _Data) -> None:
        waited = round(1000 * data["waited"])
        figures = self._waited(queue, at, waited)
        figures[_ANSWERED] += 1
        figures[_ANSWER_WAIT] += waited
        figures[_ANSWERED_CLASS + bisect_left(_BOUNDS, waited)] += 1
        if waited <= self.state.targets.get(queue, _TARGET_MS):
            figures[_ANSWERED_IN_TARGET] += 1
        self.state.talking[data["entry"]] = (agent, at)

    def _left(self, at: int, queue: str, _agent: str, data: _Data) -> None:
        if self.state.talking.pop(data["entry"], None) is not None:
            return
        waited = round(1000 * data["waited"])
        figures = self._waited(queue, at, waited)
        exit_ = data["exit"]
        figures[_EXITS[exit_]] += 1
        if exit_ == Exit.ABANDONED:
            figures[_ABANDON_WAIT] += waited
            figures[_ABANDONED_CLASS + bisect_left(_BOUNDS, waited)] += 1
            if waited <= self.state.targets.get(queue, _TARGET_MS):
                figures[_ABANDONED_IN_TARGET] += 1

    def _waited(self, queue: str, at: int, waited: int) -> list[int]:
        figures = self._queue(queue, at)
        figures[_WAIT] += waited
        figures[_LONGEST] = max(figures[_LONGEST], waited)
        return figures

    # Offers ------------------------------------------------------------------------------------

    def _wrapping_up(self, at: int, queue: str, agent: str, data: _Data) -> None:
        talked = round(1000 * data["talked"])
        figures = self._queue(queue, at)
        figures[_HANDLED] += 1
        figures[_QUEUE_TALK] += talked
        self._outcome(at, figures, agent, data)
        self._agent(agent, at)[_AGENT_HANDLED] += 1
        _, since = self.state.talking.get(data["entry"], (agent, None))
        if since is not None:
            self._spread(agent, _TALK, since, at)
            self.state.talking[data["entry"]] = (agent, None)
        self.state.wrapping[data["offer"]] = (agent, at)

    def _closed(self, at: int, queue: str, agent: str, data: _Data) -> None:
        figures = self._queue(queue, at)
        _, since = self.state.wrapping.pop(data["offer"], (agent, None))
        if since is None:
            self._outcome(at, figures, agent, data)
            return
        figures[_WRAPPED_UP] += 1
        figures[_QUEUE_WRAP_UP] += at - since
        self._spread(agent, _WRAP_UP, since, at)

    def _outcome(self, at: int, figures: list[int], agent: str, data: _Data) -> None:
        outcome = data["outcome"]
        figures[_QUEUE_OUTCOMES[outcome]] += 1
        self._agent(agent, at)[_AGENT_OUTCOMES[outcome]] += 1

    # Agents ------------------------------------------------------------------------------------

    def _present(self, at: int, _queue: str, agent: str, data: _Data) -> None:
        presence, since = self.state.present.get(agent, (Presence.SIGNED_OUT, None))
        if since is not None:
            self._passed(agent, presence, since, at)
        if data["presence"] == Presence.SIGNED_OUT:
            self.state.present.pop(agent, None)
        else:
            self.state.present[agent] = (data["presence"], at)

    def _agent_removed(self, at: int, _queue: str, agent: str, _data: _Data) -> None:
        presence, since = self.state.present.get(agent, (Presence.SIGNED_OUT, None))
        if since is not None:
            self._passed(agent, presence, since, at)
            self.state.present[agent] = (presence, None)

    def _agent_defined(self, at: int, _queue: str, agent: str, _data: _Data) -> None:
        presence, since = self.state.present.get(agent, (Presence.SIGNED_OUT, at))
        if since is None:
            self.state.present[agent] = (presence, at)

    def _passed(self, agent: str, presence: str, since: int, at: int) -> None:
        self._spread(agent, _SIGNED_IN, since, at)
        if presence == Presence.ON_BREAK:
            self._spread(agent, _BREAK, since, at)

    # Queues ------------------------------------------------------------------------------------

    def _queue_defined(self, _at: int, queue: str, _agent: str, data: _Data) -> None:
        definition = data.get("definition")
        if definition is not None:
            # Once there was no bound, and the log has what was defined then.
            target = min(definition["service_level_target"], LONGEST_TIME)
            self.state.targets[queue] = round(1000 * target)

    # Figures -----------------------------------------------------------------------------------

    def _queue(self, name: str, at: int) -> list[int]:
        key = (name, at // SLOT_MS)
        figures = self.queues.get(key)
        if figures is None:
            figures = self.queues[key] = [0] * len(_QUEUE)
        return figures

    def _agent(self, name: str, at: int) -> list[int]:
        key = (name, at // SLOT_MS)
        figures = self.agents.get(key)
        if figures is None:
            figures = self.agents[key] = [0] * len(_AGENT)
        return figures

    def _spread(self, agent: str, column: int, start: int, end: int) -> None:
        """Counts time in the quarters in which it passed."""
        while start < end:
            border = min(end, (start // SLOT_MS + 1) * SLOT_MS)
            self._agent(agent, start)[column] += border - start
            start = border


_OFFERED, _ANSWERED = _QUEUE["offered"], _QUEUE["answered"]
_ANSWERED_IN_TARGET, _ABANDONED_IN_TARGET = (
    _QUEUE["answered_in_target"],
    _QUEUE["abandoned_in_target"],
)
_REFUSED, _OVERFLOWED = _QUEUE["refused"], _QUEUE["overflowed"]
_WAIT, _ANSWER_WAIT, _ABANDON_WAIT = (
    _QUEUE["wait_ms"],
    _QUEUE["answer_wait_ms"],
    _QUEUE["abandon_wait_ms"],
)
_LONGEST = _QUEUE[queue_tables.LONGEST]
_HANDLED, _QUEUE_TALK = _QUEUE["handled"], _QUEUE["talk_ms"]
_WRAPPED_UP, _QUEUE_WRAP_UP = _QUEUE["wrapped_up"], _QUEUE["wrap_up_ms"]
_ANSWERED_CLASS = _QUEUE[f"answered_{queue_tables.WAITS[0]}"]
_ABANDONED_CLASS = _QUEUE[f"abandoned_{queue_tables.WAITS[0]}"]
# A caller who is served has been counted when he was answered, unless the log begins after that.
_EXITS = {exit_.value: _QUEUE[exit_.value] for exit_ in Exit if exit_ is not Exit.SERVED} | {
    Exit.SERVED.value: _ANSWERED
}
_QUEUE_OUTCOMES = {one: _QUEUE[f"offers_{one}"] for one in queue_tables.OUTCOMES}
_AGENT_OUTCOMES = {one: _AGENT[f"offers_{one}"] for one in queue_tables.OUTCOMES}
_AGENT_HANDLED, _TALK, _WRAP_UP = _AGENT["handled"], _AGENT["talk_ms"], _AGENT["wrap_up_ms"]
_SIGNED_IN, _BREAK = _AGENT["signed_in_ms"], _AGENT["break_ms"]

_Take = Callable[[Statistics, int, str, str, _Data], None]
_TAKES: Mapping[str, _Take] = {
    "queue.entered": Statistics._entered,
    "queue.refused": Statistics._refused,
    "queue.overflowed": Statistics._overflowed,
    "queue.connected": Statistics._connected,
    "queue.left": Statistics._left,
    "offer.wrapping_up": Statistics._wrapping_up,
    "offer.closed": Statistics._closed,
    "agent.presence": Statistics._present,
    "agent.removed": Statistics._agent_removed,
    "agent.defined": Statistics._agent_defined,
    "queue.defined": Statistics._queue_defined,
}
COUNTED = tuple(_TAKES)
"""The names of the facts that count."""


# What figures say --------------------------------------------------------------------------------


def add(to: list[int], more: list[int], longest: int | None = None) -> None:
    """Adds figures to figures; the one at `longest` is the greater of both."""
    for place, value in enumerate(more):
        if place == longest:
            to[place] = max(to[place], value)
        else:
            to[place] += value


def add_queue(to: list[int], more: list[int]) -> None:
    """Adds figures of a queue to others of it."""
    add(to, more, _LONGEST)


def of_queue(figures: list[int]) -> dict[str, Json]:
    """The figures of a queue in an interval, by name; what there is nothing of is None."""
    value = dict(zip(_QUEUE, figures, strict=True))
    ended = sum(figures[place] for place in set(_EXITS.values()))
    considered = ended - value["moved"] + value["refused"] - value["abandoned_in_target"]
    talk = _seconds_each(value["talk_ms"], value["handled"])
    wrap_up = _seconds_each(value["wrap_up_ms"], value["wrapped_up"])
    return {
        **{name: value[name] for name in _COUNTS},
        "service_level": _ratio(
            value["answered_in_target"], value["answered"] + value["abandoned"]
        ),
        "service_level_of_offered": _ratio(value["answered_in_target"], considered),
        "average_wait_s": _seconds_each(value["wait_ms"], ended),
        "average_answer_s": _seconds_each(value["answer_wait_ms"], value["answered"]),
        "average_abandon_s": _seconds_each(value["abandon_wait_ms"], value["abandoned"]),
        "longest_wait_s": value[queue_tables.LONGEST] / 1000,
        "handled": value["handled"],
        "average_talk_s": talk,
        "average_wrap_up_s": wrap_up,
        "average_handle_s": None if talk is None else round(talk + (wrap_up or 0.0), 3),
        "offers": {one: value[f"offers_{one}"] for one in queue_tables.OUTCOMES},
        "answered_within_s": _classes(figures, _ANSWERED_CLASS),
        "abandoned_within_s": _classes(figures, _ABANDONED_CLASS),
    }


def of_agent(figures: list[int]) -> dict[str, Json]:
    """The figures of an agent in an interval, by name."""
    value = dict(zip(_AGENT, figures, strict=True))
    busy = value["talk_ms"] + value["wrap_up_ms"]
    return {
        "handled": value["handled"],
        "talk_s": value["talk_ms"] / 1000,
        "wrap_up_s": value["wrap_up_ms"] / 1000,
        "signed_in_s": value["signed_in_ms"] / 1000,
        "break_s": value["break_ms"] / 1000,
        "occupancy": _ratio(busy, value["signed_in_ms"]),
        "offers": {one: value[f"offers_{one}"] for one in queue_tables.OUTCOMES},
    }


def service_level(figures: list[int]) -> float | None:
    """Answered within the target, of those answered or abandoned."""
    decided = figures[_ANSWERED] + figures[_QUEUE["abandoned"]]
    return _ratio(figures[_ANSWERED_IN_TARGET], decided)


_COUNTS = queue_tables.QUEUE_FIGURES[: _QUEUE["wait_ms"]]


def _classes(figures: list[int], first: int) -> dict[str, Json]:
    """How many waits were as long as each bound at most, and longer than the one before."""
    names = (*map(str, queue_tables.WAITS), "longer")
    return {name: figures[first + place] for place, name in enumerate(names)}


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole > 0 else None


def _seconds_each(total_ms: int, count: int) -> float | None:
    return round(total_ms / count / 1000, 3) if count else None
