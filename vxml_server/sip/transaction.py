"""A transaction: one request with all its responses and repetitions (RFC 3261 section 17).

It makes an unreliable network look like one where a request is seen once and answered once. What it
does when is in the tables of `machines`; here is the engine that runs any of them.

Two rules hold here. The engine adds nothing to the tables. And an event that a state does not list
raises `IllegalTransition`, and nothing happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from vxml_server.clock import Timer
from vxml_server.sip.errors import IllegalTransition
from vxml_server.sip.headers import Headers
from vxml_server.sip.machines import Action, Event, Machine, State, Timings
from vxml_server.sip.message import Request, Response
from vxml_server.sip.timers import Timers
from vxml_server.sip.uri import Destination


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
