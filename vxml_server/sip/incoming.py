"""A call that came to us: the INVITE server core (RFC 3261 section 13.3)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from vxml_server.clock import Timer
from vxml_server.sip.core import Core, Way
from vxml_server.sip.dialog import Dialog
from vxml_server.sip.errors import NO_HEADERS, IllegalTransition, InvalidUri
from vxml_server.sip.headers import Headers
from vxml_server.sip.interface import CallListener
from vxml_server.sip.message import Response
from vxml_server.sip.sdp import SessionDescription
from vxml_server.sip.session import CallEvent, CallState, InviteSession, put_sdp
from vxml_server.sip.transaction import Transaction
from vxml_server.sip.uri import Destination, SipUri, ip_address

REPEAT_PROVISIONAL_SECONDS = 60.0


class IncomingCall(InviteSession):
    """What a `CallHandler` is given. Beside the attributes of every call: `remote_offer`, the
    offer of the INVITE (None: we offer in `answer`), `source`, the address and port that the INVITE
    came from, and `user`, who has proved by digest who he is ("": nobody was asked)."""

    owns_call_id = False

    def __init__(
        self,
        core: Core,
        transaction: Transaction,
        way: Way,
        flow: Destination,
        offer: SessionDescription | None,
        user: str = "",
    ) -> None:
        """Raises Malformed when the INVITE cannot make a dialog."""
        invite = transaction.request
        dialog = Dialog.as_server(invite, core.token())
        dialog.pinned = _is_behind_nat(dialog.remote_target, flow.host)
        super().__init__(core, invite=invite, way=way, flow=flow)
        self.local_uri = invite.to.uri
        self.remote_uri = invite.from_.uri
        self.remote_display_name = invite.from_.display_name
        self.remote_offer = offer
        self.source = (flow.host, flow.port)
        self.user = user
        self.dialog = dialog
        self._contact_user = _user(invite.uri)
        self._invite = transaction
        self._way = way
        self._provisional: tuple[int, SessionDescription | None] = (100, None)
        self._repeat: Timer | None = None
        core.dialogs[dialog.key] = self
        transaction.user = self

    def own(self, listener: CallListener | None) -> None:
        """The handler's decision; without owner the number does not exist."""
        self._listener = listener
        if listener is None and self.state in {CallState.CALLING, CallState.EARLY}:
            self.reject(404)

    def ring(self, status: int = 180, sdp: SessionDescription | None = None) -> None:
        """Sends a provisional response 101-199, with early media if `sdp` is given; repeated
        every minute until a final one (section 13.3.1.1). Nothing happens once it is over; raises
        IllegalTransition when already answered."""
        if self._is_over():
            return
        self._move(CallEvent.PROVISIONAL)
        self._provisional = (status, sdp)
        self._send_provisional()

    def answer(self, sdp: SessionDescription) -> None:
        """Sends 200: `sdp` is the answer to `remote_offer`, or our offer. `acknowledged`
        follows. Nothing happens when the caller has given up meanwhile; raises IllegalTransition
        when already answered."""
        if self._is_over():
            return
        self._move(CallEvent.SUCCESS)
        self._stop_repeating()
        response = self._response(200)
        put_sdp(response, sdp)
        self._accept(self._invite, self._way, response)

    def reject(
        self, status: int, reason: str = "", headers: Mapping[str, str] = NO_HEADERS
    ) -> None:
        """Sends a final response 300-699; `rejected` follows. Nothing happens when the call is
        over; raises IllegalTransition when already answered."""
        if self._is_over():
            return
        if self.state not in {CallState.CALLING, CallState.EARLY}:
            raise IllegalTransition(f"rejecting a call that is {self.state}")
        response = self._response(status, reason)
        for name, value in headers.items():
            response.headers.set(name, value)
        self.core.respond(self._invite, response)
        told = Headers(headers)
        self._finish(lambda listener: listener.rejected(status, response.reason, told))
        self.close()

    def hang_up(self, headers: Mapping[str, str] = NO_HEADERS) -> None:
        if self.state in {CallState.CALLING, CallState.EARLY}:
            self.reject(603, headers=headers)
        else:
            self.bye(headers)

    def receive_cancel(self) -> None:
        """A CANCEL for the INVITE (section 9.2): too late once it is answered."""
        if self.state in {CallState.CALLING, CallState.EARLY}:
            self.core.respond(self._invite, self._response(487))
            self._finish(lambda listener: listener.cancelled())
            self.close()

    def receive_bye(self, reason: str) -> None:
        if self.state in {CallState.CALLING, CallState.EARLY}:
            # A caller may end an early dialog with BYE as well (section 15).
            self.receive_cancel()
        else:
            super().receive_bye(reason)

    def close(self) -> None:
        self._stop_repeating()
        super().close()

    def _is_over(self) -> bool:
        return self.state in {CallState.TERMINATING, CallState.TERMINATED}

    def _response(self, status: int, reason: str = "") -> Response:
        assert self.dialog is not None
        invite = self._invite.request
        response = invite.response(status, reason, tag=self.dialog.local_tag)
        if status < 300:
            response.headers.set_lines("Record-Route", invite.headers.lines("Record-Route"))
        return response

    def _send_provisional(self) -> None:
        status, sdp = self._provisional
        response = self._response(status)
        response.headers.add("Contact", self.core.contact(self._way, self._contact_user))
        if sdp is not None:
            put_sdp(response, sdp)
        self.core.respond(self._invite, response)
        self._stop_repeating()
        self._repeat = self.core.timers.call_later(
            REPEAT_PROVISIONAL_SECONDS, self._send_provisional
        )

    def _stop_repeating(self) -> None:
        if self._repeat is not None:
            self._repeat.cancel()
            self._repeat = None


def _is_behind_nat(contact: str, source: str) -> bool:
    """Whether a Contact is of a private network, and the INVITE came from outside of any: what is
    sent there does not arrive, and what goes back where it came from does."""
    host = ip_address(SipUri.parse(contact).host)
    return (
        host is not None
        and not ipaddress.ip_address(host).is_global
        and ipaddress.ip_address(source.partition("%")[0]).is_global
    )


def _user(uri: str) -> str:
    """The user part of our Contact: that of the Request-URI, if it is a SIP URI."""
    try:
        return SipUri.parse(uri).user
    except InvalidUri:
        return ""
