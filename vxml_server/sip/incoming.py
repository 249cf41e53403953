"""A call that came to us: the INVITE server core (RFC 3261 section 13.3)."""

from __future__ import annotations

from collections.abc import Mapping

from vxml_server.sip.errors import NO_HEADERS
from vxml_server.sip.sdp import SessionDescription
from vxml_server.sip.session import InviteSession


class IncomingCall(InviteSession):
    """What a `CallHandler` is given."""

    remote_offer: SessionDescription | None
    """The offer of the INVITE; None when we have to offer in the answer (late offer)."""
    source: tuple[str, int]
    """Address and port the INVITE came from."""

    def ring(self, status: int = 180, sdp: SessionDescription | None = None) -> None:
        """Sends a provisional response 101-199, with early media if `sdp` is given; repeated
        every minute until a final one (section 13.3.1.1). Nothing happens once it is over."""
        raise NotImplementedError

    def answer(self, sdp: SessionDescription) -> None:
        """Sends 200: `sdp` is the answer to `remote_offer`, or our offer. `acknowledged`
        follows. Nothing happens when the caller has cancelled meanwhile; raises
        IllegalTransition when already answered."""
        raise NotImplementedError

    def reject(
        self, status: int, reason: str = "", headers: Mapping[str, str] = NO_HEADERS
    ) -> None:
        """Sends a final response 300-699; `rejected` follows. Nothing happens when the call is
        over; raises IllegalTransition when already answered."""
        raise NotImplementedError
