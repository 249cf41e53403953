"""The four transaction machines of RFC 3261 section 17 as corrected by RFC 6026, as data.

A transaction is one request with all its responses and repetitions. It makes an unreliable network
look like one where a request is seen once and answered once. There are four machines - client and
server, INVITE and the rest - and each is below as a table

    state -> event -> what to do, next state

with, beside it, the timers that run in each state. A timer runs from the first state that names it
until a state that does not. One engine, `Transaction`, runs any of them.

Two rules hold here. Everything that changes a transaction's state is in these tables; the engine
adds nothing. And an event that a state does not list raises `IllegalTransition`, and nothing
happened: what the network may do at any time is therefore listed everywhere, if only as `IGNORE`,
and what is left out can only be a mistake of the transaction's user.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from vxml_server.clock import Timer
from vxml_server.sip.errors import IllegalTransition
from vxml_server.sip.headers import Headers
from vxml_server.sip.message import Request, Response
from vxml_server.sip.timers import Timers
from vxml_server.sip.uri import Destination


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


class TransactionUser(Protocol):
    """Who is told what a transaction finds out (the TU of section 5)."""

    def received(self, transaction: Transaction, message: Request | Response) -> None:
        """A client's response; a server's ACK to a 2xx."""

    def timed_out(self, transaction: Transaction) -> None:
        """A client got no final response; a server's failure response got no ACK."""

    def transport_failed(self, transaction: Transaction, reason: str) -> None: ...


class Path(Protocol):
    """The way that a transaction's messages take."""

    @property
    def reliable(self) -> bool: ...

    def send(self, data: bytes, failed: Callable[[str], None]) -> None:
        """Sends; `failed` may be called later, with a reason, not before `send` has returned."""


class Owner(Protocol):
    """The layer that keeps transactions."""

    timers: Timers
    timings: Timings

    def resent(self) -> None: ...

    def terminated(self, transaction: Transaction) -> None: ...


class Transaction:
    """One transaction run by its machine. `key` is what its messages are matched by; `user`, who
    is told, may change (the call that an INVITE makes)."""

    __slots__ = (
        "_last",
        "_owner",
        "_path",
        "_running",
        "destination",
        "key",
        "last_response",
        "machine",
        "reason",
        "request",
        "state",
        "user",
    )

    def __init__(
        self,
        machine: Machine,
        key: tuple[str, ...],
        request: Request,
        *,
        owner: Owner,
        path: Path,
        user: TransactionUser,
        destination: Destination | None = None,
    ) -> None:
        self.machine = machine
        self.key = key
        self.request = request
        self.destination = destination
        self.state = machine.initial
        self.last_response: Response | None = None
        self.reason = ""
        self._owner = owner
        self._path = path
        self.user = user
        self._last = b""
        self._running: dict[Event, Timer] = {}

    def start(self) -> None:
        """Starts the timers of the initial state; a client sends its request."""
        if self.machine.client:
            self._send(bytes(self.request))
        self._change_timers()

    def happen(self, event: Event, message: Request | Response | None = None) -> None:
        """Takes the step that the table gives. Raises IllegalTransition, and nothing happened."""
        step = self.machine.steps[self.state].get(event)
        if step is None:
            raise IllegalTransition(f"{self.machine.name}: {event.name} in {self.state.name}")
        if step.state is not self.state:
            self.state = step.state
            self._change_timers()
        for action in step.actions:
            _ACTIONS[action](self, message)
        if step.state is State.TERMINATED:
            self._owner.terminated(self)

    def respond(self, response: Response) -> None:
        """Sends `response` through a server transaction. Raises IllegalTransition."""
        if response.status < 200:
            event = Event.SEND_PROVISIONAL
        elif response.status < 300:
            event = Event.SEND_SUCCESS
        else:
            event = Event.SEND_FAILURE
        self.happen(event, response)

    def abandon(self) -> None:
        """Ends the transaction whatever its state: its user has given up (section 9.1), or
        everything stops."""
        self.state = State.TERMINATED
        self._change_timers()
        self._owner.terminated(self)

    @property
    def provisional_only(self) -> bool:
        """Whether no final response was sent or received yet."""
        return self.state in {State.CALLING, State.TRYING, State.PROCEEDING}

    def _change_timers(self) -> None:
        wanted = self.machine.timers.get(self.state, {})
        for event in [event for event in self._running if event not in wanted]:
            self._running.pop(event).cancel()
        for event, spec in wanted.items():
            if event not in self._running:
                delay = spec.delay(self._owner.timings, reliable=self._path.reliable)
                if delay is not None:
                    self._start_timer(event, delay)

    def _start_timer(self, event: Event, delay: float) -> None:
        self._running[event] = self._owner.timers.call_later(
            delay, lambda: self._fire(event, delay)
        )

    def _fire(self, event: Event, delay: float) -> None:
        del self._running[event]
        again = self.machine.timers[self.state][event].again(delay, self._owner.timings)
        if again is not None:
            self._start_timer(event, again)
        self.happen(event)

    def _send(self, data: bytes) -> None:
        self._last = data
        self._path.send(data, self._transport_failed)

    def _transport_failed(self, reason: str) -> None:
        if Event.TRANSPORT_ERROR in self.machine.steps[self.state]:
            self.reason = reason
            self.happen(Event.TRANSPORT_ERROR)

    # The actions, by name in _ACTIONS.

    def _do_send(self, message: Request | Response | None) -> None:
        assert isinstance(message, Response)
        self.last_response = message
        self._send(bytes(message))

    def _do_resend(self, _: Request | Response | None) -> None:
        if self._last:
            self._owner.resent()
            self._path.send(self._last, self._transport_failed)

    def _do_acknowledge(self, message: Request | Response | None) -> None:
        assert isinstance(message, Response)
        ack = acknowledgement_of_failure(self.request, message)
        self._path.send(bytes(ack), self._transport_failed)

    def _do_deliver(self, message: Request | Response | None) -> None:
        assert message is not None
        self.user.received(self, message)

    def _do_time_out(self, _: Request | Response | None) -> None:
        self.user.timed_out(self)

    def _do_fail(self, _: Request | Response | None) -> None:
        self.user.transport_failed(self, self.reason)


_ACTIONS: Mapping[Action, Callable[[Transaction, Request | Response | None], None]] = {
    Action.SEND: Transaction._do_send,
    Action.RESEND: Transaction._do_resend,
    Action.ACKNOWLEDGE: Transaction._do_acknowledge,
    Action.DELIVER: Transaction._do_deliver,
    Action.TIMED_OUT: Transaction._do_time_out,
    Action.FAILED: Transaction._do_fail,
}


def acknowledgement_of_failure(invite: Request, response: Response) -> Request:
    """The ACK to a 300-699 (section 17.1.1.3): same branch, the To of the response."""
    return _within(invite, "ACK", response.headers.get("To"))


def cancellation(invite: Request) -> Request:
    """The CANCEL of `invite` (section 9.1): same branch and To."""
    return _within(invite, "CANCEL", invite.headers.get("To"))


def _within(invite: Request, method: str, to: str) -> Request:
    headers = Headers()
    headers.add("Via", invite.headers.values("Via")[0])
    headers.set_lines("Route", invite.headers.lines("Route"))
    headers.add("Max-Forwards", "70")
    headers.add("From", invite.headers.get("From"))
    headers.add("To", to)
    headers.add("Call-ID", invite.call_id)
    headers.add("CSeq", f"{invite.cseq[0]} {method}")
    return Request(method, invite.uri, headers)
