"""A re-INVITE of ours: new media for a call that is up (RFC 3261 section 14.1).

The rule: its session hears exactly one outcome through `reinvite_done` or `dialog_lost`; a 2xx is
acknowledged each time it comes, even after the call has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vxml_server.clock import Timer
from vxml_server.sip.core import Way
from vxml_server.sip.dialog import Dialog
from vxml_server.sip.errors import InvalidUri, Rejection
from vxml_server.sip.inspection import session_description
from vxml_server.sip.message import Request, Response
from vxml_server.sip.sdp import SessionDescription
from vxml_server.sip.transaction import Transaction

if TYPE_CHECKING:
    from vxml_server.sip.session import InviteSession

MAX_GLARES = 4


class Reinvite:
    """`in_flight`: sent and not yet answered (a re-INVITE of the far end then gets 491)."""

    def __init__(self, session: InviteSession, offer: SessionDescription) -> None:
        self.in_flight = False
        self._session = session
        self._offer = offer
        self._glares = 0
        self._retry: Timer | None = None
        self._ack: tuple[bytes, Way] | None = None
        self._over = False

    def send(self) -> None:
        core = self._session.core
        try:
            request, way = self._session.request("INVITE")
        except InvalidUri as error:
            reason = str(error)
            core.defer(lambda: self._lost(reason, reachable=False))
            return
        request.headers.set("Content-Type", "application/sdp")
        request.body = self._offer.serialize()
        core.add_via(request, way)
        self._session.digest.authorize(request)
        self.in_flight = True
        core.send_request(request, way, self)

    def stop(self) -> None:
        """Nobody wants to know any more."""
        self._over = True
        if self._retry is not None:
            self._retry.cancel()

    # As the user of its client transaction.

    def received(self, transaction: Transaction, message: Request | Response) -> None:
        assert isinstance(message, Response)
        if message.status < 200:
            return
        self.in_flight = False
        if message.status < 300:
            self._succeeded(transaction.request, message)
        elif self._over:
            return
        elif message.status in {401, 407} and self._session.digest.challenged(message):
            self.send()
        elif message.status == 491 and self._glares < MAX_GLARES:
            self._glares += 1
            self._retry = self._session.core.timers.call_later(self._pause(), self._again)
        elif message.status in {408, 481}:
            self._lost(f"re-INVITE: {message.status}", reachable=message.status == 408)
        else:
            self._over = True
            self._session.digest.succeeded(message)
            self._session.reinvite_done(None, message.status, message.reason)

    def timed_out(self, transaction: Transaction) -> None:
        self._lost("re-INVITE: no response", reachable=True)

    def transport_failed(self, transaction: Transaction, reason: str) -> None:
        self._lost(f"re-INVITE: {reason}", reachable=False)

    # Inside.

    def _succeeded(self, invite: Request, response: Response) -> None:
        core = self._session.core
        dialog = self._session.dialog
        assert dialog is not None
        if self._ack is None:
            dialog.refresh_target(response)
            acknowledgement = acknowledge(self._session, dialog, invite)
            if acknowledgement is not None:
                self._ack = acknowledgement
        if self._ack is not None:
            core.send_ack(*self._ack)
        if not self._over:
            self._over = True
            self._session.digest.succeeded(response)
            try:
                sdp = session_description(response)
            except Rejection:
                sdp = None
            self._session.reinvite_done(sdp, response.status, response.reason)

    def _pause(self) -> float:
        """Section 14.1: the side that made the Call-ID waits 2.1 to 4 s, the other up to 2 s."""
        random = self._session.core.random
        steps = random.randint(210, 400) if self._session.owns_call_id else random.randint(0, 200)
        return steps / 100

    def _again(self) -> None:
        self._retry = None
        self.send()

    def _lost(self, reason: str, *, reachable: bool) -> None:
        if not self._over:
            self._over = True
            self._session.dialog_lost(reason, reachable=reachable)


def acknowledge(
    session: InviteSession, dialog: Dialog, invite: Request, sdp: SessionDescription | None = None
) -> tuple[bytes, Way] | None:
    """The ACK to a 2xx (section 13.2.2.4): the INVITE's number and credentials, a way of its own,
    and `sdp` when the 2xx carried the offer. None when no transport of ours leads there."""
    core = session.core
    try:
        way = core.dialog_way(dialog, session.flow)
    except InvalidUri:
        return None
    ack = dialog.request("ACK", invite.cseq[0])
    for name in ("Authorization", "Proxy-Authorization"):
        ack.headers.set_lines(name, invite.headers.lines(name))
    if sdp is not None:
        ack.headers.set("Content-Type", "application/sdp")
        ack.body = sdp.serialize()
    core.add_via(ack, way)
    return bytes(ack), way
