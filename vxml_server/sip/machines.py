"""The four transaction machines of RFC 3261 section 17 as corrected by RFC 6026, as data.

There are four - client and server, INVITE and the rest - and each is below as a table

    state -> event -> what to do, next state

with, beside it, the timers that run in each state. A timer runs from the first state that names it
until a state that does not. One engine, `transaction`, runs any of them.

The rule here: everything that changes a transaction's state is in these tables. What the network
may do at any time is listed in every state, if only as a step that does nothing; so what is left
out can only be a mistake of the transaction's user.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


class State(Enum):
    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    ACCEPTED = auto()  # RFC 6026: a 2xx was sent or received; its repetitions belong to the user
    TERMINATED = auto()


class Event(Enum):
    # From the network, to a client.
    PROVISIONAL = auto()
    SUCCESS = auto()
    FAILURE = auto()
    # From the network, to a server.
    REPEATED = auto()
    ACK = auto()
    # From the user of a server transaction.
    SEND_PROVISIONAL = auto()
    SEND_SUCCESS = auto()
    SEND_FAILURE = auto()
    # From the transport and from the timers of RFC 3261 table 4 and RFC 6026.
    TRANSPORT_ERROR = auto()
    TIMER_A = auto()
    TIMER_B = auto()
    TIMER_D = auto()
    TIMER_E = auto()
    TIMER_F = auto()
    TIMER_G = auto()
    TIMER_H = auto()
    TIMER_I = auto()
    TIMER_J = auto()
    TIMER_K = auto()
    TIMER_L = auto()
    TIMER_M = auto()


class Action(Enum):
    SEND = auto()  # the response that came with the event, remembered for RESEND
    RESEND = auto()  # what was last sent, once more
    ACKNOWLEDGE = auto()  # the ACK to a failure, section 17.1.1.3
    DELIVER = auto()  # the message to the user
    TIMED_OUT = auto()  # tell the user that the other side is silent
    FAILED = auto()  # tell the user that the transport failed


@dataclass(frozen=True, slots=True)
class Timings:
    """T1, T2, T4 of RFC 3261 table 4, in seconds."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0


@dataclass(frozen=True, slots=True)
class Once:
    """A timer that fires once, after a sum of multiples of T1 and T4 or of fixed seconds.
    `reliable` is what becomes of it over TCP and its like: kept, or 0 seconds."""

    t1: float = 0.0
    t4: float = 0.0
    seconds: float = 0.0
    reliable: bool = True

    def delay(self, timings: Timings, *, reliable: bool) -> float | None:
        if reliable and not self.reliable:
            return 0.0
        return self.t1 * timings.t1 + self.t4 * timings.t4 + self.seconds

    def again(self, delay: float, timings: Timings) -> float | None:
        return None


@dataclass(frozen=True, slots=True)
class Backoff:
    """A timer that fires again and again, first after T1 (or T2), each time after twice as long,
    up to T2 if `capped`. Retransmission is for unreliable transports: elsewhere it never runs."""

    first_t2: bool = False
    capped: bool = False

    def delay(self, timings: Timings, *, reliable: bool) -> float | None:
        if reliable:
            return None
        return timings.t2 if self.first_t2 else timings.t1

    def again(self, delay: float, timings: Timings) -> float | None:
        if self.first_t2:
            return timings.t2
        return min(2 * delay, timings.t2) if self.capped else 2 * delay


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, in order, and the state after it."""

    state: State
    actions: tuple[Action, ...] = ()


def _to(state: State, *actions: Action) -> Step:
    return Step(state, actions)


@dataclass(frozen=True, slots=True)
class Machine:
    """One of the four: `source` says where its figure is."""

    name: str
    source: str
    client: bool
    initial: State
    steps: Mapping[State, Mapping[Event, Step]]
    timers: Mapping[State, Mapping[Event, Once | Backoff]]


INVITE_CLIENT = Machine(
    name="INVITE client",
    source="RFC 3261 section 17.1.1, RFC 6026 sections 7.2 and 8.4",
    client=True,
    initial=State.CALLING,
    steps={
        State.CALLING: {
            Event.PROVISIONAL: _to(State.PROCEEDING, Action.DELIVER),
            Event.SUCCESS: _to(State.ACCEPTED, Action.DELIVER),
            Event.FAILURE: _to(State.COMPLETED, Action.ACKNOWLEDGE, Action.DELIVER),
            Event.TIMER_A: _to(State.CALLING, Action.RESEND),
            Event.TIMER_B: _to(State.TERMINATED, Action.TIMED_OUT),
            Event.TRANSPORT_ERROR: _to(State.TERMINATED, Action.FAILED),
        },
        State.PROCEEDING: {
            Event.PROVISIONAL: _to(State.PROCEEDING, Action.DELIVER),
            Event.SUCCESS: _to(State.ACCEPTED, Action.DELIVER),
            Event.FAILURE: _to(State.COMPLETED, Action.ACKNOWLEDGE, Action.DELIVER),
            Event.TRANSPORT_ERROR: _to(State.PROCEEDING),
        },
        State.COMPLETED: {
            Event.PROVISIONAL: _to(State.COMPLETED),
            Event.SUCCESS: _to(State.COMPLETED),
            Event.FAILURE: _to(State.COMPLETED, Action.ACKNOWLEDGE),
            Event.TIMER_D: _to(State.TERMINATED),
            Event.TRANSPORT_ERROR: _to(State.TERMINATED),
        },
        State.ACCEPTED: {
            Event.PROVISIONAL: _to(State.ACCEPTED),
            Event.SUCCESS: _to(State.ACCEPTED, Action.DELIVER),
            Event.FAILURE: _to(State.ACCEPTED),
            Event.TIMER_M: _to(State.TERMINATED),
            Event.TRANSPORT_ERROR: _to(State.ACCEPTED),
        },
        State.TERMINATED: {},
    },
    timers={
        State.CALLING: {Event.TIMER_A: Backoff(), Event.TIMER_B: Once(t1=64)},
        State.COMPLETED: {Event.TIMER_D: Once(seconds=32, reliable=False)},
        State.ACCEPTED: {Event.TIMER_M: Once(t1=64)},
    },
)

INVITE_SERVER = Machine(
    name="INVITE server",
    source="RFC 3261 section 17.2.1, RFC 6026 sections 7.1 and 8.7",
    client=False,
    initial=State.PROCEEDING,
    steps={
        State.PROCEEDING: {
            Event.REPEATED: _to(State.PROCEEDING, Action.RESEND),
            Event.ACK: _to(State.PROCEEDING),
            Event.SEND_PROVISIONAL: _to(State.PROCEEDING, Action.SEND),
            Event.SEND_SUCCESS: _to(State.ACCEPTED, Action.SEND),
            Event.SEND_FAILURE: _to(State.COMPLETED, Action.SEND),
            Event.TRANSPORT_ERROR: _to(State.PROCEEDING, Action.FAILED),
        },
        State.COMPLETED: {
            Event.REPEATED: _to(State.COMPLETED, Action.RESEND),
            Event.ACK: _to(State.CONFIRMED),
            Event.TIMER_G: _to(State.COMPLETED, Action.RESEND),
            Event.TIMER_H: _to(State.TERMINATED, Action.TIMED_OUT),
            Event.TRANSPORT_ERROR: _to(State.COMPLETED, Action.FAILED),
        },
        State.CONFIRMED: {
            Event.REPEATED: _to(State.CONFIRMED),
            Event.ACK: _to(State.CONFIRMED),
            Event.TIMER_I: _to(State.TERMINATED),
            Event.TRANSPORT_ERROR: _to(State.CONFIRMED),
        },
        State.ACCEPTED: {
            Event.REPEATED: _to(State.ACCEPTED),
            Event.ACK: _to(State.ACCEPTED, Action.DELIVER),
            Event.SEND_SUCCESS: _to(State.ACCEPTED, Action.SEND),
            Event.TIMER_L: _to(State.TERMINATED),
            Event.TRANSPORT_ERROR: _to(State.ACCEPTED, Action.FAILED),
        },
        State.TERMINATED: {},
    },
    timers={
        State.COMPLETED: {Event.TIMER_G: Backoff(capped=True), Event.TIMER_H: Once(t1=64)},
        State.CONFIRMED: {Event.TIMER_I: Once(t4=1, reliable=False)},
        State.ACCEPTED: {Event.TIMER_L: Once(t1=64)},
    },
)

NON_INVITE_CLIENT = Machine(
    name="non-INVITE client",
    source="RFC 3261 section 17.1.2",
    client=True,
    initial=State.TRYING,
    steps={
        State.TRYING: {
            Event.PROVISIONAL: _to(State.PROCEEDING, Action.DELIVER),
            Event.SUCCESS: _to(State.COMPLETED, Action.DELIVER),
            Event.FAILURE: _to(State.COMPLETED, Action.DELIVER),
            Event.TIMER_E: _to(State.TRYING, Action.RESEND),
            Event.TIMER_F: _to(State.TERMINATED, Action.TIMED_OUT),
            Event.TRANSPORT_ERROR: _to(State.TERMINATED, Action.FAILED),
        },
        State.PROCEEDING: {
            Event.PROVISIONAL: _to(State.PROCEEDING, Action.DELIVER),
            Event.SUCCESS: _to(State.COMPLETED, Action.DELIVER),
            Event.FAILURE: _to(State.COMPLETED, Action.DELIVER),
            Event.TIMER_E: _to(State.PROCEEDING, Action.RESEND),
            Event.TIMER_F: _to(State.TERMINATED, Action.TIMED_OUT),
            Event.TRANSPORT_ERROR: _to(State.TERMINATED, Action.FAILED),
        },
        State.COMPLETED: {
            Event.PROVISIONAL: _to(State.COMPLETED),
            Event.SUCCESS: _to(State.COMPLETED),
            Event.FAILURE: _to(State.COMPLETED),
            Event.TIMER_K: _to(State.TERMINATED),
            Event.TRANSPORT_ERROR: _to(State.COMPLETED),
        },
        State.TERMINATED: {},
    },
    timers={
        State.TRYING: {Event.TIMER_E: Backoff(capped=True), Event.TIMER_F: Once(t1=64)},
        State.PROCEEDING: {Event.TIMER_E: Backoff(first_t2=True), Event.TIMER_F: Once(t1=64)},
        State.COMPLETED: {Event.TIMER_K: Once(t4=1, reliable=False)},
    },
)

NON_INVITE_SERVER = Machine(
    name="non-INVITE server",
    source="RFC 3261 section 17.2.2",
    client=False,
    initial=State.TRYING,
    steps={
        State.TRYING: {
            Event.REPEATED: _to(State.TRYING),
            Event.SEND_PROVISIONAL: _to(State.PROCEEDING, Action.SEND),
            Event.SEND_SUCCESS: _to(State.COMPLETED, Action.SEND),
            Event.SEND_FAILURE: _to(State.COMPLETED, Action.SEND),
        },
        State.PROCEEDING: {
            Event.REPEATED: _to(State.PROCEEDING, Action.RESEND),
            Event.SEND_PROVISIONAL: _to(State.PROCEEDING, Action.SEND),
            Event.SEND_SUCCESS: _to(State.COMPLETED, Action.SEND),
            Event.SEND_FAILURE: _to(State.COMPLETED, Action.SEND),
            Event.TRANSPORT_ERROR: _to(State.TERMINATED, Action.FAILED),
        },
        State.COMPLETED: {
            Event.REPEATED: _to(State.COMPLETED, Action.RESEND),
            Event.TIMER_J: _to(State.TERMINATED),
            Event.TRANSPORT_ERROR: _to(State.TERMINATED, Action.FAILED),
        },
        State.TERMINATED: {},
    },
    timers={State.COMPLETED: {Event.TIMER_J: Once(t1=64, reliable=False)}},
)

MACHINES = (INVITE_CLIENT, INVITE_SERVER, NON_INVITE_CLIENT, NON_INVITE_SERVER)
