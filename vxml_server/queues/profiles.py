"""What the operator says of agents, groups, queues and boxes: definitions, without any state.

The names are the field's. All of it is frozen, JSON-like data that a settings file, a REST body and
a row of the database have in common. The rule that must hold: a definition that exists is usable;
what makes no sense is refused when it is made (`ValueError`, with the field and what was expected).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import ConfigDict

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
MAX_CALLS = 8
MAX_LEVEL = 100
MAX_OWNERS = 16
MAX_ADDRESSES = 10
LONGEST_MESSAGE = 1200.0
"""Seconds: no `<record>` lasts longer."""
LONGEST_RETENTION = 36_500.0
LONGEST_TIME = 31_536_000.0
"""Seconds, a year: of whatever has a time here. What lies further ahead may have no date."""
PERSONAL = "agent."
"""What the name of an agent's own queue begins with: callers who wait for nobody else."""
_MOST = 64
_MOST_OF_AGENT = _MOST - len(PERSONAL)
KEYS = "0123456789*#"
WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What takes a waiting caller out of his queue; a dot would make it the name of an event."""

_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def _named(name: str, most: int = _MOST) -> None:
    fits = 0 < len(name) <= most and all(c.isalnum() or c in "_.-" for c in name)
    _check(fits, "name", f"up to {most} letters, digits, _, . and -", name)


def _check(fits: bool, field_name: str, expected: str, value: object) -> None:
    if not fits:
        raise ValueError(f"{field_name}: expected {expected}, got {value!r}")


def _lasts(field_name: str, seconds: float) -> None:
    fits = 0 <= seconds <= LONGEST_TIME
    _check(fits, field_name, f"seconds, 0 to {LONGEST_TIME:.0f}", seconds)


def _takes_time(field_name: str, seconds: float) -> None:
    fits = 0 < seconds <= LONGEST_TIME
    _check(fits, field_name, f"seconds over 0, at most {LONGEST_TIME:.0f}", seconds)


class Strategy(StrEnum):
    """To whom of those who may take a caller he is offered; `ordering` says how exactly."""

    RING_ALL = "ring_all"
    LONGEST_IDLE = "longest_idle"
    ROUND_ROBIN = "round_robin"
    FEWEST_CALLS = "fewest_calls"
    LEAST_TALK_TIME = "least_talk_time"
    TOP_DOWN = "top_down"
    RANDOM = "random"
    WEIGHTED_RANDOM = "weighted_random"
    RING_PROGRESSIVELY = "ring_progressively"
    BEST_SKILLED = "best_skilled"


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody who takes calls.

    `line` is where: the user name of a telephone that is registered with us, or a `sip:` or `tel:`
    URI. `capacity` is the number of simultaneous calls, 1 to 8, by medium. `skills` have levels
    from 0 to 100; `languages` are language tags, none meaning any. Times are seconds. After
    `max_no_answer` calls in a row that were not answered the agent is put on a break; 0 is never.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    line: str
    description: str = ""
    number: str = ""
    """What the agent dials to say who he is, up to 16 digits; "" is `name`, if that is digits."""
    ring_time: float = 20.0
    wrap_up_time: float = 10.0
    capacity: Mapping[str, int] = field(default_factory=lambda: {"voice": 1})
    skills: Mapping[str, int] = field(default_factory=dict)
    languages: frozenset[str] = frozenset()
    max_no_answer: int = 3
    no_answer_delay: float = 10.0
    busy_delay: float = 30.0
    refusal_delay: float = 30.0
    failure_delay: float = 30.0

    def __post_init__(self) -> None:
        _named(self.name, _MOST_OF_AGENT)  # his own queue has a name as well
        _check(bool(self.line), "line", "a user name or a URI", self.line)
        fits = self.number == "" or re.fullmatch("[0-9]{1,16}", self.number) is not None
        _check(fits, "number", "up to 16 digits", self.number)
        _takes_time("ring_time", self.ring_time)
        for medium, calls in self.capacity.items():
            _check(1 <= calls <= MAX_CALLS, f"capacity.{medium}", "1 to 8 calls", calls)
        for skill, level in self.skills.items():
            _check(0 <= level <= MAX_LEVEL, f"skills.{skill}", "a level from 0 to 100", level)
        _check(self.max_no_answer >= 0, "max_no_answer", "0 or more", self.max_no_answer)
        for name in _AGENT_SECONDS:
            _lasts(name, getattr(self, name))


_AGENT_SECONDS = (
    "wrap_up_time",
    "no_answer_delay",
    "busy_delay",
    "refusal_delay",
    "failure_delay",
)


@dataclass(frozen=True, slots=True)
class Group:
    """Agents who stand in queues together, in this order."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    agents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _named(self.name)
        _check(len(set(self.agents)) == len(self.agents), "agents", "each once", self.agents)


@dataclass(frozen=True, slots=True)
class Member:
    """An agent's or a group's place in a queue: exactly one of `agent` and `group`.

    Lower tiers are asked first, and within a tier lower positions. The member takes callers who
    have waited for `after` seconds: groups that join later are the overflow of those before, who
    stay. `weight` counts for the weighted random strategy.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    agent: str = ""
    group: str = ""
    tier: int = 1
    position: int = 1
    weight: float = 1.0
    after: float = 0.0

    def __post_init__(self) -> None:
        _check(bool(self.agent) != bool(self.group), "members", "an agent or a group", self)
        _check(self.tier >= 1, "tier", "1 or more", self.tier)
        _check(self.position >= 1, "position", "1 or more", self.position)
        _check(self.weight > 0, "weight", "more than 0", self.weight)
        _lasts("after", self.after)


@dataclass(frozen=True, slots=True)
class Relaxation:
    """After so many seconds of waiting every required level is this much lower.

    A requirement that comes to 0 is none.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    after: float
    by: int

    def __post_init__(self) -> None:
        _lasts("relaxations.after", self.after)
        _check(0 < self.by <= MAX_LEVEL, "relaxations.by", "1 to 100", self.by)


@dataclass(frozen=True, slots=True)
class TierRules:
    """When members of a later tier are asked too.

    Tier 1 always, tier n after (n - 1) times `wait` seconds (`wait` once, whatever the tier,
    without `multiply`). With `skip_absent` a tier of which nobody is signed in is not waited for.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    wait: float = 0.0
    multiply: bool = True
    skip_absent: bool = True

    def __post_init__(self) -> None:
        _lasts("tier_rules.wait", self.wait)


@dataclass(frozen=True, slots=True)
class Queue:
    """Where callers wait for agents. Times are seconds; 0 is without limit.

    Of two callers who wait for the same agent the one with more points comes first: the queue's
    `priority`, the caller's own, and `weight` for each `ageing` seconds waited. So nobody waits for
    ever behind others who are more important.

    `treatment` is the VoiceXML document that a waiting caller hears, run in a loop; without one the
    shipped document, with `hold_music` (a URI) in it. A caller who cannot be served (the queue has
    `max_waiting` callers, he has waited `max_wait`, or for `max_wait_no_agents` with nobody signed
    in) hears `announcement` and goes to `overflow` (a queue, an agent, a number) if there is one.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    members: tuple[Member, ...] = ()
    description: str = ""
    strategy: Strategy = Strategy.LONGEST_IDLE
    tier_rules: TierRules = TierRules()
    relaxations: tuple[Relaxation, ...] = ()
    progress_interval: float = 10.0
    max_waiting: int = 0
    max_wait: float = 0.0
    max_wait_no_agents: float = 0.0
    overflow: str = ""
    announcement: str = ""
    follow_forwarding: bool = False
    hold_music: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    """What a waiting caller may press in the shipped document: a key, and the word that takes him
    out of the queue (`callback` asks for his number first)."""
    treatment: str = ""
    priority: float = 0.0
    weight: float = 1.0
    ageing: float = 60.0
    service_level_target: float = 20.0
    wrap_up_time: float | None = None
    """The agents' own where it is None."""

    def __post_init__(self) -> None:
        _named(self.name)
        _check(self.weight > 0, "weight", "more than 0", self.weight)
        _takes_time("ageing", self.ageing)
        _check(self.max_waiting >= 0, "max_waiting", "0 or more", self.max_waiting)
        for key, word in self.choices.items():
            _check(len(key) == 1 and key in KEYS, "choices", "keys 0 to 9, * and #", key)
            _check(bool(WORD.fullmatch(word)), f"choices.{key}", "letters, digits, _ and -", word)
        for name in _QUEUE_SECONDS:
            _lasts(name, getattr(self, name))
        _takes_time("progress_interval", self.progress_interval)
        if self.wrap_up_time is not None:
            _lasts("wrap_up_time", self.wrap_up_time)


_QUEUE_SECONDS = ("max_wait", "max_wait_no_agents", "service_level_target")


@dataclass(frozen=True, slots=True)
class Box:
    """Where messages are left: of a queue, of an agent, or of neither. Times are seconds.

    `number` is what is dialled to name it, up to 16 digits; "" is `name`, if that is digits. The
    agents in `owners` open it with their own PINs. `greeting` is the URI of audio; without one the
    caller hears a spoken sentence. Each message is told to every address of `email` and to
    `webhook`. A message is kept for `retention_days`; None is as long as the settings say.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    number: str = ""
    description: str = ""
    owners: tuple[str, ...] = ()
    queue: str = ""
    agent: str = ""
    language: str = ""
    greeting: str = ""
    email: tuple[str, ...] = ()
    webhook: str = ""
    max_message: float = 180.0
    """Of a longer message its beginning is kept."""
    min_message: float = 1.0
    """What is shorter is no message."""
    max_messages: int = 100
    retention_days: float | None = None

    def __post_init__(self) -> None:
        _named(self.name)
        fits = self.number == "" or re.fullmatch("[0-9]{1,16}", self.number) is not None
        _check(fits, "number", "up to 16 digits", self.number)
        own = (self.queue, self.agent)
        _check(not all(own), "agent", "a queue or an agent, not both", self.agent)
        for field_name, values, most in (
            ("owners", self.owners, MAX_OWNERS),
            ("email", self.email, MAX_ADDRESSES),
        ):
            _check(len(values) <= most, field_name, f"at most {most}", len(values))
            _check(len(set(values)) == len(values), field_name, "each once", values)
        for address in self.email:
            fits = len(address) <= 254 and _ADDRESS.fullmatch(address) is not None
            _check(fits, "email", "addresses such as ann@example.org", address)
        fits = self.language == "" or _LANGUAGE.fullmatch(self.language) is not None
        _check(fits, "language", "a language tag such as fr-FR", self.language)
        fits = self.webhook == "" or _is_http(self.webhook)
        _check(fits, "webhook", "an http: or https: URL", self.webhook)
        fits = 0 < self.max_message <= LONGEST_MESSAGE
        _check(
            fits, "max_message", f"seconds over 0, at most {LONGEST_MESSAGE:g}", self.max_message
        )
        fits = 0 <= self.min_message <= self.max_message
        _check(fits, "min_message", "seconds, 0 to max_message", self.min_message)
        _check(self.max_messages >= 1, "max_messages", "1 or more", self.max_messages)
        fits = self.retention_days is None or 0 < self.retention_days <= LONGEST_RETENTION
        _check(fits, "retention_days", "days over 0", self.retention_days)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    fits = re.fullmatch(r"[!-~]{1,2000}", url) is not None
    return fits and is_whole and parts.scheme in {"http", "https"}


def without_secrets(url: str) -> str:
    """What logs may have of the URL of a webhook: what surrounds its host may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}"


@dataclass(frozen=True, slots=True)
class Seat:
    """An agent's place in a queue, groups taken apart; several members may seat one agent."""

    agent: str
    tier: int
    position: int
    weight: float
    after: float


@dataclass(frozen=True, slots=True)
class Roster:
    """Who takes the callers of a queue: its definition with the groups taken apart."""

    queue: Queue
    seats: tuple[Seat, ...]
    """In member order: tier, position, and the order of the definition; each agent once for each
    time at which it joins."""
    order: Mapping[str, int] = field(repr=False)
    """The place of each agent in that order, from 0."""
    steps: tuple[float, ...] = field(repr=False, default=())
    """After how many seconds of waiting there may be more agents for a caller, rising."""


def roster(queue: Queue, groups: Mapping[str, Group]) -> Roster:
    """Takes the groups of a queue apart; a group that does not exist has nobody in it."""
    seats: list[Seat] = []
    for member in queue.members:
        names = (member.agent,) if member.agent else _agents_of(groups, member.group)
        seats += [
            Seat(name, member.tier, member.position, member.weight, member.after) for name in names
        ]
    seats.sort(key=lambda seat: (seat.tier, seat.position))
    order: dict[str, int] = {}
    for seat in seats:
        order.setdefault(seat.agent, len(order))
    return Roster(queue, tuple(seats), MappingProxyType(order), _steps(queue, seats))


def _steps(queue: Queue, seats: Sequence[Seat]) -> tuple[float, ...]:
    steps = {seat.after for seat in seats} | {step.after for step in queue.relaxations}
    if queue.tier_rules.wait > 0:
        tiers = len({seat.tier for seat in seats})
        steps |= {queue.tier_rules.wait * count for count in range(1, tiers)}
    return tuple(sorted(steps - {0.0}))


def _agents_of(groups: Mapping[str, Group], name: str) -> tuple[str, ...]:
    group = groups.get(name)
    return () if group is None else group.agents
