"""A call that we make: the INVITE client core (RFC 3261 section 13.2).

One INVITE may be answered by several phones behind a proxy. The first 2xx is the call; every other
one is acknowledged and hung up at once, and so is one that crosses our CANCEL.
"""

from __future__ import annotations

from collections.abc import Mapping

from vxml_server.clock import Timer
from vxml_server.sip.core import ACCEPT, ALLOW, Core, Hop, Way, add_extra
from vxml_server.sip.dialog import Dialog
from vxml_server.sip.errors import NO_HEADERS, InvalidUri
from vxml_server.sip.headers import Headers
from vxml_server.sip.interface import CallListener, Credentials, EndCause
from vxml_server.sip.layer import Unheard
from vxml_server.sip.message import Request, Response, phrase
from vxml_server.sip.reinvite import acknowledge
from vxml_server.sip.sdp import SessionDescription
from vxml_server.sip.session import CallEvent, CallState, InviteSession, put_sdp, readable_sdp
from vxml_server.sip.transaction import Transaction, cancellation
from vxml_server.sip.uri import Address, SipUri, quote


class OutgoingCall(InviteSession):
    """What `UserAgent.invite()` returns."""

    owns_call_id = True

    def __init__(
        self,
        core: Core,
        *,
        hop: Hop,
        caller: Address,
        offer: SessionDescription | None,
        listener: CallListener,
        headers: Mapping[str, str],
        credentials: Credentials | None,
    ) -> None:
        """Raises InvalidUri when no transport reaches `hop`."""
        way = core.way(hop.destination)
        target = hop.uri
        name = f"{quote(caller.display_name)} " if caller.display_name else ""
        try:
            self._contact_name = SipUri.parse(caller.uri).user
        except InvalidUri:
            self._contact_name = ""
        uri = SipUri(
            target.scheme, target.user, target.host, target.port, target.parameters
        )  # without headers, section 19.1.5
        fields = Headers()
        fields.set_lines("Route", list(hop.routes))
        fields.add("Max-Forwards", "70")
        fields.add("From", f"{name}<{caller.uri}>;tag={core.token()}")
        fields.add("To", f"<{uri}>")
        fields.add("Call-ID", core.token())
        fields.add("Contact", core.contact(way, self._contact_name))
        fields.add("Allow", ALLOW)
        fields.add("Accept", ACCEPT)
        fields.add("Supported", "")
        add_extra(fields, headers)
        self._request = Request("INVITE", str(uri), fields)
        if offer is not None:
            put_sdp(self._request, offer)
        super().__init__(
            core, invite=self._request, way=way, flow=way.destination, credentials=credentials
        )
        self.local_uri = caller.uri
        self.remote_uri = str(uri)
        self._contact_user = self._contact_name
        self._listener = listener
        self._late_offer = offer is None
        self._pinned = hop.pinned
        self._way = way
        self._cseq = 0
        self._heard = False
        self._guard: Timer | None = None
        # Remote tag -> the ACK to that phone's 2xx, sent again whenever the 2xx comes again.
        self._acks: dict[str, tuple[bytes, Way]] = {}
        self._invite = self._send_invite()

    def cancel(self) -> None:
        """Gives up a call that is not yet answered (section 9.1: the CANCEL waits for a
        provisional response). `cancelled` follows when the far end agreed, at most 64*T1 later;
        a 2xx that crosses it is acknowledged and hung up. Nothing happens when the call is
        answered or over."""
        if self.state in {CallState.CALLING, CallState.EARLY}:
            self._move(CallEvent.CANCEL)
            if self._heard:
                self._send_cancel()

    def hang_up(self, headers: Mapping[str, str] = NO_HEADERS) -> None:
        if self.state in {CallState.CALLING, CallState.EARLY, CallState.CANCELLING}:
            self.cancel()
        else:
            self.bye(headers)

    def stop(self) -> None:
        if self.state in {CallState.CALLING, CallState.EARLY, CallState.CANCELLING}:
            self.cancel()
            self._finish(lambda listener: listener.cancelled())
        else:
            super().stop()

    def close(self) -> None:
        if self._guard is not None:
            self._guard.cancel()
            self._guard = None
        super().close()

    # As the user of its INVITE and CANCEL transactions.

    def received(self, transaction: Transaction, message: Request | Response) -> None:
        if isinstance(message, Request):
            super().received(transaction, message)
        elif transaction.request.method == "INVITE":
            if message.status < 200:
                self._provisional(message)
            elif message.status < 300:
                self._success(transaction.request, message)
            else:
                self._failure(message)

    def timed_out(self, transaction: Transaction) -> None:
        """No answer to our INVITE or CANCEL at all."""
        if transaction.request.method == "CANCEL":
            self._no_answer_to_cancel()
        elif transaction is self._invite:
            self._failed(408, "No response")

    def transport_failed(self, transaction: Transaction, reason: str) -> None:
        if transaction.request.method == "CANCEL":
            self._no_answer_to_cancel()
        elif transaction is self._invite:
            self._failed(503, reason)
        else:
            super().transport_failed(transaction, reason)

    # Inside.

    def _send_invite(self) -> Transaction:
        self._cseq += 1
        self._request.headers.set("CSeq", f"{self._cseq} INVITE")
        # A transaction keeps its request: each try is a message of its own.
        request = Request(
            "INVITE", self._request.uri, self._request.headers.copy(), self._request.body
        )
        self.core.add_via(request, self._way)
        self.digest.authorize(request)
        self.headers = request.headers
        return self.core.send_request(request, self._way, self)

    def _send_cancel(self) -> None:
        cancel = cancellation(self._invite.request)
        self.core.send_request(cancel, self._way, self)
        limit = 64 * self.core.timings.t1
        self._guard = self.core.timers.call_later(limit, self._no_answer_to_cancel)

    def _no_answer_to_cancel(self) -> None:
        """Section 9.1: after 64*T1 the INVITE counts as cancelled."""
        if self.state is CallState.CANCELLING:
            self._invite.abandon()
            self._finish(lambda listener: listener.cancelled())
            self.close()

    def _provisional(self, response: Response) -> None:
        first, self._heard = not self._heard, True
        if self.state is CallState.CANCELLING:
            if first:
                self._send_cancel()
        elif self.state in {CallState.CALLING, CallState.EARLY} and response.status > 100:
            self._move(CallEvent.PROVISIONAL)
            status, sdp = response.status, readable_sdp(response)
            self._tell(lambda listener: listener.progress(status, sdp))

    def _failure(self, response: Response) -> None:
        if self.state is CallState.CANCELLING:
            self._finish(lambda listener: listener.cancelled())
            self.close()
        elif self.state in {CallState.CALLING, CallState.EARLY}:
            if response.status in {401, 407} and self.digest.challenged(response):
                self._heard = False
                self._invite = self._send_invite()
            else:
                self._failed(response.status, response.reason, response.headers)

    def _failed(self, status: int, reason: str, headers: Headers | None = None) -> None:
        """No call came of it."""
        if self.state is CallState.CANCELLING:
            self._finish(lambda listener: listener.cancelled())
            self.close()
        elif self.state in {CallState.CALLING, CallState.EARLY}:
            told = headers or Headers()
            self._finish(lambda listener: listener.rejected(status, reason or phrase(status), told))
            self.close()

    def _success(self, invite: Request, response: Response) -> None:
        tag = response.to.tag
        known = self._acks.get(tag)
        if known is not None:
            self.core.send_ack(*known)
        elif self.dialog is not None:
            self._hang_up_branch(invite, response)
        else:
            self._answered(invite, response)

    def _answered(self, invite: Request, response: Response) -> None:
        """The first 2xx. It is acknowledged before anything else leaves in the dialog."""
        dialog = Dialog.as_client(invite, response)
        dialog.pinned = self._pinned
        self.dialog = dialog
        self.core.dialogs[dialog.key] = self
        self.digest.succeeded(response)
        if self._guard is not None:
            self._guard.cancel()
        self._move(CallEvent.SUCCESS)
        if self.state is CallState.TERMINATING:
            # It crossed our CANCEL.
            self._acknowledge(invite, None)
            self._finish(lambda listener: listener.cancelled())
            self._send_bye()
            return
        sdp = readable_sdp(response)
        if not self._late_offer:
            self._acknowledge(invite, None)
            self._tell(lambda listener: listener.answered(sdp))
            return
        answers: list[SessionDescription | None] = []
        self._tell(lambda listener: answers.append(listener.answered(sdp)))
        answer = answers[0] if answers else None
        self._acknowledge(invite, answer)
        if answer is None and self.state is CallState.CONFIRMED:
            self._hang_up(EndCause.LOCAL, "the far end's offer was not answered", NO_HEADERS)

    def _acknowledge(self, invite: Request, sdp: SessionDescription | None) -> None:
        assert self.dialog is not None
        ack = acknowledge(self, self.dialog, invite, sdp)
        if ack is not None:
            self._acks[self.dialog.remote_tag] = ack
            self.core.send_ack(*ack)
        if self.state is CallState.ANSWERED:
            self._move(CallEvent.ACK)

    def _hang_up_branch(self, invite: Request, response: Response) -> None:
        """Another phone answered too (section 13.2.2.4): ACK and BYE."""
        dialog = Dialog.as_client(invite, response)
        dialog.pinned = self._pinned
        ack = acknowledge(self, dialog, invite)
        if ack is None:
            return
        self._acks[dialog.remote_tag] = ack
        self.core.send_ack(*ack)
        bye = dialog.request("BYE")
        way = ack[1]
        self.core.add_via(bye, way)
        self.core.send_request(bye, way, Unheard())
