"""What incoming and outgoing calls share once a dialog exists (RFC 3261 sections 12, 14, 15).

The states of a call are the table `CALL_STATES`, read like those of `transaction`. The rule that
must hold: a call tells its listener one final thing, and after it nothing; `_finish` is the only
place that tells final things and `_tell` the only one for the others.
"""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import Enum, StrEnum, auto

from vxml_server.sip.acceptance import Acceptance
from vxml_server.sip.core import ALLOW, Core, Way
from vxml_server.sip.dialog import Dialog
from vxml_server.sip.digest import DigestClient
from vxml_server.sip.errors import NO_HEADERS, IllegalTransition, InvalidUri, Rejection
from vxml_server.sip.exchange import Exchange
from vxml_server.sip.inspection import session_description
from vxml_server.sip.interface import CallListener, Credentials, EndCause
from vxml_server.sip.message import Message, Request, Response
from vxml_server.sip.reinvite import Reinvite
from vxml_server.sip.sdp import SessionDescription
from vxml_server.sip.transaction import Transaction
from vxml_server.sip.uri import Destination

logger = logging.getLogger(__name__)

_REASON_TEXT = re.compile(r';\s*text\s*=\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)


class CallState(StrEnum):
    CALLING = "calling"  # INVITE sent or received, nothing but 100 so far
    EARLY = "early"  # 101-199 sent or received
    CANCELLING = "cancelling"  # outgoing: cancel() was called
    ANSWERED = "answered"  # 2xx sent or received, ACK not yet
    CONFIRMED = "confirmed"  # 2xx and ACK
    TERMINATING = "terminating"  # told as over; BYE on its way
    TERMINATED = "terminated"


class CallEvent(Enum):
    PROVISIONAL = auto()  # 101-199 sent or received
    CANCEL = auto()  # the owner gives up an outgoing call
    SUCCESS = auto()  # 2xx sent or received
    ACK = auto()  # ACK sent or received
    HANG_UP = auto()  # our side ends an answered call
    OVER = auto()  # final response, BYE received, BYE answered


CALL_STATES: Mapping[CallState, Mapping[CallEvent, CallState]] = {
    CallState.CALLING: {
        CallEvent.PROVISIONAL: CallState.EARLY,
        CallEvent.CANCEL: CallState.CANCELLING,
        CallEvent.SUCCESS: CallState.ANSWERED,
        CallEvent.OVER: CallState.TERMINATED,
    },
    CallState.EARLY: {
        CallEvent.PROVISIONAL: CallState.EARLY,
        CallEvent.CANCEL: CallState.CANCELLING,
        CallEvent.SUCCESS: CallState.ANSWERED,
        CallEvent.OVER: CallState.TERMINATED,
    },
    CallState.CANCELLING: {
        CallEvent.SUCCESS: CallState.TERMINATING,
        CallEvent.OVER: CallState.TERMINATED,
    },
    CallState.ANSWERED: {
        CallEvent.ACK: CallState.CONFIRMED,
        CallEvent.HANG_UP: CallState.TERMINATING,
        CallEvent.OVER: CallState.TERMINATED,
    },
    CallState.CONFIRMED: {
        CallEvent.HANG_UP: CallState.TERMINATING,
        CallEvent.OVER: CallState.TERMINATED,
    },
    CallState.TERMINATING: {CallEvent.OVER: CallState.TERMINATED},
    CallState.TERMINATED: {},
}


class InviteSession(ABC):
    """A call: an INVITE and the dialog it made.

    Attributes for its owner: `sip_call_id`; `local_uri` and `remote_uri` (To and From of an
    incoming call, From and To of an outgoing one, without brackets); `remote_display_name`,
    unquoted; `request_uri` and `headers` of the INVITE as received or sent; `state`;
    `local_address`, our IP address as the far end sees it, for SDP."""

    owns_call_id: bool
    """Whether our side made the Call-ID (who waits how long after a glare, section 14.1)."""

    def __init__(
        self,
        core: Core,
        *,
        invite: Request,
        way: Way,
        flow: Destination,
        credentials: Credentials | None = None,
    ) -> None:
        self.state = CallState.CALLING
        self.sip_call_id = invite.call_id
        self.request_uri = invite.uri
        self.headers = invite.headers
        self.local_uri = ""
        self.remote_uri = ""
        self.remote_display_name = ""
        self.local_address = way.host
        self.core = core
        self.flow = flow
        self.digest = DigestClient(credentials, core.random)
        self.dialog: Dialog | None = None
        self._contact_user = ""
        self._listener: CallListener | None = None
        self._finished = False
        self._acceptance: Acceptance | None = None
        self._reinvite: Reinvite | None = None
        self._bye_headers: Mapping[str, str] = NO_HEADERS
        core.sessions.add(self)

    # What the owner may do.

    def bye(self, headers: Mapping[str, str] = NO_HEADERS) -> None:
        """Hangs up an answered call; `ended(LOCAL)` follows at once, the BYE takes its course
        (it waits for the ACK of our 2xx, section 15). Nothing happens when the call is over.
        Raises IllegalTransition before the call is answered."""
        if self.state not in {CallState.TERMINATING, CallState.TERMINATED}:
            self._hang_up(EndCause.LOCAL, "", headers)

    @abstractmethod
    def hang_up(self, headers: Mapping[str, str] = NO_HEADERS) -> None:
        """Ends the call whatever its state: `reject(603)`, `cancel()` or `bye()`."""

    def reinvite(self, sdp: SessionDescription) -> None:
        """Offers new media; told by `reinvite_answered` or `reinvite_rejected`. Raises
        IllegalTransition unless the call is confirmed and no other re-INVITE runs."""
        if self.state is not CallState.CONFIRMED or self._reinvite or self._acceptance:
            raise IllegalTransition(f"re-INVITE of a call that is {self.state}")
        self._reinvite = Reinvite(self, sdp)
        self._reinvite.send()

    def info(self, content_type: str, body: bytes) -> None:
        """Sends a SIP INFO in the dialog. Raises IllegalTransition unless confirmed."""
        if self.state is not CallState.CONFIRMED:
            raise IllegalTransition(f"INFO in a call that is {self.state}")

        def done(status: int) -> None:
            if status in {408, 481, 503}:
                self.dialog_lost(f"INFO: {status}", reachable=False)

        Exchange(self, "INFO", {"Content-Type": content_type}, body, done).send()

    # What the user agent gives us: requests in our dialog.

    def receive(self, request: Request, transaction: Transaction, flow: Destination) -> None:
        """A new request (no ACK, no CANCEL) in the dialog; answers it."""
        assert self.dialog is not None
        self.flow = flow
        number = request.cseq[0]
        if number < self.dialog.remote_cseq:
            self._respond(transaction, 500, "CSeq out of order")
            return
        self.dialog.remote_cseq = number
        if request.method == "BYE":
            self._respond(transaction, 200)
            self.receive_bye(_reason(request))
        elif request.method == "INFO":
            self._respond(transaction, self._info_status(request))
        elif request.method == "INVITE":
            self._receive_reinvite(request, transaction)
        else:
            self._respond(transaction, 200, headers={"Allow": ALLOW})

    def receive_ack(self, request: Request) -> None:
        """The ACK to a 2xx of ours; a repeated one changes nothing."""
        acceptance = self._acceptance
        if acceptance is None or acceptance.cseq != request.cseq[0]:
            return
        acceptance.stop()
        self._acceptance = None
        if self.state is CallState.TERMINATING:
            self._send_bye()
            return
        if self.state is CallState.ANSWERED:
            self._move(CallEvent.ACK)
        sdp = readable_sdp(request)
        self._tell(lambda listener: listener.acknowledged(sdp))

    def receive_bye(self, reason: str) -> None:
        self._finish(lambda listener: listener.ended(EndCause.REMOTE_BYE, reason))
        self.close()

    # What the parts of a call use.

    def request(self, method: str, cseq: int | None = None) -> tuple[Request, Way]:
        """A request in the dialog, ready but for its body and Via. Raises InvalidUri."""
        assert self.dialog is not None
        way = self.core.dialog_way(self.dialog, self.flow)
        request = self.dialog.request(method, cseq)
        if method == "INVITE":
            request.headers.add("Contact", self.core.contact(way, self._contact_user))
            request.headers.add("Allow", ALLOW)
        return request, way

    def dialog_lost(self, reason: str, *, reachable: bool) -> None:
        """A request in the dialog failed in a way that ends it (section 12.2.1.2)."""
        if self.state is CallState.CONFIRMED:
            if reachable:
                self._hang_up(EndCause.TRANSPORT, reason, NO_HEADERS)
            else:
                self._finish(lambda listener: listener.ended(EndCause.TRANSPORT, reason))
                self.close()

    def reinvite_done(self, sdp: SessionDescription | None, status: int, reason: str) -> None:
        """Our re-INVITE has its final response."""
        self._reinvite = None
        if status < 300:
            self._tell(lambda listener: listener.reinvite_answered(sdp))
        else:
            self._tell(lambda listener: listener.reinvite_rejected(status, reason))

    def close(self) -> None:
        """The call leaves the user agent: nothing of it stays but transactions that run out."""
        if self.state is not CallState.TERMINATED:
            self._move(CallEvent.OVER)
        if self._acceptance is not None:
            self._acceptance.stop()
            self._acceptance = None
        if self._reinvite is not None:
            self._reinvite.stop()
            self._reinvite = None
        self.core.sessions.discard(self)
        if self.dialog is not None:
            self.core.dialogs.pop(self.dialog.key, None)

    def stop(self) -> None:
        """The user agent stops: the call is over now, whoever answers."""
        self.hang_up()
        self._finish(lambda listener: listener.ended(EndCause.LOCAL, ""))

    # Inside.

    def _move(self, event: CallEvent) -> None:
        state = CALL_STATES[self.state].get(event)
        if state is None:
            raise IllegalTransition(f"{event.name} in a call that is {self.state}")
        self.state = state

    def _tell(self, tell: Callable[[CallListener], object]) -> None:
        listener = self._listener
        if listener is not None and not self._finished:
            self.core.guarded(lambda: tell(listener))

    def _finish(self, tell: Callable[[CallListener], object]) -> None:
        if self._finished:
            return
        self._finished = True

        def notify() -> None:
            listener = self._listener
            if listener is not None:
                self.core.guarded(lambda: tell(listener))

        self.core.defer(notify)

    def _hang_up(self, cause: EndCause, reason: str, headers: Mapping[str, str]) -> None:
        self._move(CallEvent.HANG_UP)
        self._bye_headers = headers
        self._finish(lambda listener: listener.ended(cause, reason))
        if self._acceptance is None:
            self.core.defer(self._send_bye)

    def _send_bye(self) -> None:
        if self.state is CallState.TERMINATING:
            Exchange(self, "BYE", self._bye_headers, b"", lambda _: self.close()).send()

    def _respond(
        self,
        transaction: Transaction,
        status: int,
        reason: str = "",
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        response = transaction.request.response(status, reason)
        for name, value in headers.items():
            response.headers.set(name, value)
        self.core.respond(transaction, response)

    def _accept(self, transaction: Transaction, way: Way, response: Response) -> None:
        """Sends a 2xx to an INVITE and waits for its ACK."""
        response.headers.add("Contact", self.core.contact(way, self._contact_user))
        response.headers.add("Allow", ALLOW)
        self._acceptance = Acceptance(self.core, transaction, response, self._not_acknowledged)

    def _not_acknowledged(self) -> None:
        self._acceptance = None
        if self.state is CallState.TERMINATING:
            self._send_bye()
        else:
            self._hang_up(EndCause.ACK_TIMEOUT, "no ACK", NO_HEADERS)

    def _info_status(self, request: Request) -> int:
        listener = self._listener
        if listener is None or self._finished:
            return 481
        status = 500

        def ask() -> None:
            nonlocal status
            status = listener.info(request.headers.get("Content-Type"), request.body)

        self.core.guarded(ask)
        return status if 200 <= status < 700 else 500

    def _receive_reinvite(self, request: Request, transaction: Transaction) -> None:
        if self.state in {CallState.CALLING, CallState.EARLY}:
            # The first INVITE is not answered yet (section 14.2).
            wait = {"Retry-After": str(self.core.random.randint(0, 10))}
            self._respond(transaction, 500, headers=wait)
        elif self._acceptance or (self._reinvite and self._reinvite.in_flight):
            self._respond(transaction, 491)
        elif self.state is not CallState.CONFIRMED or self._listener is None:
            self._respond(transaction, 481)
        else:
            self._answer_reinvite(request, transaction, self._listener)

    def _answer_reinvite(
        self, request: Request, transaction: Transaction, listener: CallListener
    ) -> None:
        answers: list[SessionDescription] = []
        refusal = Rejection(500)
        try:
            offer = session_description(request)
            self.core.guarded(lambda: answers.append(listener.reoffered(offer)), Rejection)
        except Rejection as rejection:
            refusal = rejection
        if self.state is not CallState.CONFIRMED:
            # The owner hung up instead of answering.
            refusal, answers = Rejection(487), []
        if not answers:
            self._respond(transaction, refusal.status, refusal.reason, refusal.headers)
            return
        assert self.dialog is not None
        if self._reinvite is not None:
            # Ours waited after a glare; what it offered is out of date now.
            self._reinvite.stop()
            self.reinvite_done(None, 491, "overtaken by the far end's re-INVITE")
        self.dialog.refresh_target(request)
        response = request.response(200)
        put_sdp(response, answers[0])
        try:
            way = self.core.dialog_way(self.dialog, self.flow)
        except InvalidUri:
            way = self.core.way(self.flow)
        self._accept(transaction, way, response)

    # As the user of its server transactions: re-INVITEs and requests in the dialog.

    def received(self, transaction: Transaction, message: Request | Response) -> None:
        """The ACK to a 2xx, from a peer that gave it the INVITE's branch."""
        if isinstance(message, Request):
            self.receive_ack(message)

    def timed_out(self, transaction: Transaction) -> None:
        """A refused INVITE was not acknowledged: nothing more to do (section 17.2.1)."""
        logger.info("the refusal of call %s was not acknowledged", self.sip_call_id)

    def transport_failed(self, transaction: Transaction, reason: str) -> None:
        """A response could not be sent; only a lost 2xx makes the call impossible."""
        if self.state is CallState.ANSWERED:
            self._finish(lambda listener: listener.ended(EndCause.TRANSPORT, reason))
            self.close()


def put_sdp(message: Message, sdp: SessionDescription) -> None:
    message.headers.set("Content-Type", "application/sdp")
    message.body = sdp.serialize()


def readable_sdp(message: Message) -> SessionDescription | None:
    """The description in a response or an ACK; None also when it cannot be read, because there
    is nobody to tell."""
    try:
        return session_description(message)
    except Rejection:
        return None


def _reason(request: Request) -> str:
    """The text of the Reason header (RFC 3326), or all of it when it has no text."""
    reason = request.headers.get("Reason")
    match = _REASON_TEXT.search(reason)
    return re.sub(r"\\(.)", r"\1", match[1]) if match else reason
