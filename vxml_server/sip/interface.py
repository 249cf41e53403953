"""The seam between SIP and the owner of calls: what a call tells, in RFC 3261's words.

The user agent asks a `CallHandler` who owns a new call and then speaks to that `CallListener`
alone. The rule that must hold: **each call with a listener gets exactly one final notification**,
one of `rejected`, `cancelled` and `ended`, and nothing after it.

All callbacks run on the loop's thread, one at a time. What a method of a call causes at once
(`bye()` -> `ended`) is told after that method has returned, never inside it. What a callback
raises is logged and does not harm other calls; `Rejection` from `reoffered` is an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vxml_server.sip.errors import Rejection
    from vxml_server.sip.headers import Headers
    from vxml_server.sip.incoming import IncomingCall
    from vxml_server.sip.message import Request
    from vxml_server.sip.sdp import SessionDescription
    from vxml_server.sip.uri import Destination


class EndCause(StrEnum):
    """Why an answered call (or one whose owner gave it up) is over."""

    LOCAL = "local"  # our side hung up
    REMOTE_BYE = "remote_bye"  # the far end hung up
    ACK_TIMEOUT = "ack_timeout"  # 2xx sent, no ACK for 64*T1 (section 13.3.1.4); BYE was sent
    TRANSPORT = "transport"  # an in-dialog request failed: unreachable, 408 or 481 (12.2.1.2)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password for digest authentication; `realm` None answers any realm."""

    username: str
    password: str
    realm: str | None = None


class CallListener(Protocol):
    """What a call tells its owner. In the order in which it can happen.

    Incoming call: `acknowledged` (after our 2xx) -> ... -> `ended`; or `cancelled` (CANCEL before
    we answered); or `rejected` (our own `reject()` or failure to send, for symmetry).
    Outgoing call: `progress`* -> `answered` -> ... -> `ended`; or `rejected`; or `cancelled`.
    """

    def progress(self, status: int, sdp: SessionDescription | None) -> None:
        """Outgoing: a provisional response 101-199; `sdp` is an early answer (early media)."""

    def answered(self, sdp: SessionDescription | None) -> SessionDescription | None:
        """Outgoing: the first 2xx. `sdp` is the far end's answer, and the result is ignored;
        when the INVITE carried no offer, `sdp` is the far end's offer and the result is the
        answer that goes into the ACK (None: the call is acknowledged and hung up)."""

    def acknowledged(self, sdp: SessionDescription | None) -> None:
        """The ACK to a 2xx of ours came; `sdp` is the answer if the 2xx carried an offer."""

    def rejected(self, status: int, reason: str, headers: Headers) -> None:
        """Final. Outgoing: 300-699, or 408 (no response at all) or 503 (unreachable) made here.
        Incoming: the call was refused with `reject()`."""

    def cancelled(self) -> None:
        """Final. Incoming: the caller gave up. Outgoing: our `cancel()` took effect."""

    def reoffered(self, sdp: SessionDescription | None) -> SessionDescription:
        """A re-INVITE or UPDATE of the far end. With an offer in `sdp` the result is the answer;
        with None (no offer in the re-INVITE) it is an offer, whose answer `acknowledged` brings.
        Raise `Rejection` (488, say) to refuse; the session then stays as it was."""

    def reinvite_answered(self, sdp: SessionDescription | None) -> None:
        """Our `reinvite()` was accepted; `sdp` is the answer."""

    def reinvite_rejected(self, status: int, reason: str) -> None:
        """Our `reinvite()` was refused; the session stays as it was. Glare (491) is tried again
        by the call itself and told only when given up."""

    def info(self, content_type: str, body: bytes) -> int:
        """A SIP INFO (RFC 6086 and older), body raw; returns the status to answer with
        (200, or 415 when the content type is not understood)."""

    def ended(self, cause: EndCause, reason: str) -> None:
        """Final, after the call was answered. `reason` is the text of the Reason header
        (RFC 3326) or of the failure, "" when there is none."""


class CallHandler(Protocol):
    def incoming(self, call: IncomingCall) -> CallListener | None:
        """A new INVITE, valid and authorised; 100 is already sent. Returns its owner.

        The handler may call `ring`, `answer` or `reject` at once or later. None means that nobody
        wants it: 404, unless the handler has already called `call.reject()`."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A REGISTER: who has proved to send it ("": nobody was asked), the address that it came from,
    and our own IP address as that sees it."""

    request: Request
    user: str
    source: Destination
    own_host: str


class RegistrationHandler(Protocol):
    """Who answers REGISTER."""

    @property
    def trusts_networks(self) -> bool:
        """Whether trusted networks may register without a password."""

    def register(
        self, registration: Registration, answer: Callable[[Headers | Rejection], None]
    ) -> None:
        """Answers once, now or later: with the headers of a 200, or with a refusal. Raises
        `Rejection` or `Malformed` instead, and then does not answer."""
