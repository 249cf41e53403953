"""What incoming and outgoing calls share once a dialog exists (RFC 3261 sections 12, 14, 15)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from vxml_server.sip.errors import NO_HEADERS
from vxml_server.sip.headers import Headers
from vxml_server.sip.sdp import SessionDescription


class CallState(StrEnum):
    CALLING = "calling"  # INVITE sent or received, nothing but 100 so far
    EARLY = "early"  # 101-199 sent or received
    CANCELLING = "cancelling"  # outgoing: cancel() was called
    ANSWERED = "answered"  # incoming: 2xx sent, ACK awaited
    CONFIRMED = "confirmed"  # 2xx and ACK
    TERMINATING = "terminating"  # BYE on its way
    TERMINATED = "terminated"


class InviteSession:
    """A call: an INVITE and the dialog it made."""

    state: CallState
    sip_call_id: str
    """The Call-ID."""
    local_uri: str
    """Our address: To of an incoming call, From of an outgoing one; a URI without brackets."""
    remote_uri: str
    """The far end's address: From of an incoming call, To of an outgoing one."""
    remote_display_name: str
    """The display name beside `remote_uri`, unquoted; "" when there is none."""
    request_uri: str
    """The Request-URI of the INVITE."""
    headers: Headers
    """The headers of the INVITE (incoming: as received; outgoing: as sent)."""

    def bye(self, headers: Mapping[str, str] = NO_HEADERS) -> None:
        """Hangs up an answered call; `ended(LOCAL)` follows at once, the BYE takes its course
        (it waits for the ACK of our 2xx, section 15). Nothing happens when the call is over.
        Raises IllegalTransition before the call is answered."""
        raise NotImplementedError

    def hang_up(self, headers: Mapping[str, str] = NO_HEADERS) -> None:
        """Ends the call whatever its state: reject(603), cancel() or bye()."""
        raise NotImplementedError

    def reinvite(self, sdp: SessionDescription) -> None:
        """Offers new media; told by `reinvite_answered` or `reinvite_rejected`. Raises
        IllegalTransition unless the call is confirmed and no other re-INVITE of ours runs."""
        raise NotImplementedError

    def info(self, content_type: str, body: bytes) -> None:
        """Sends a SIP INFO in the dialog. Raises IllegalTransition unless confirmed."""
        raise NotImplementedError
