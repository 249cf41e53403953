"""A call that we make: the INVITE client core (RFC 3261 section 13.2)."""

from __future__ import annotations

from vxml_server.sip.session import InviteSession


class OutgoingCall(InviteSession):
    """What `UserAgent.invite()` returns."""

    def cancel(self) -> None:
        """Gives up a call that is not yet answered (section 9.1: the CANCEL waits for a
        provisional response). `cancelled` follows when the far end agreed, at most 64*T1 later;
        a 2xx that crosses it is acknowledged and hung up. Nothing happens when the call is
        answered or over."""
        raise NotImplementedError
