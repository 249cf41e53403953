"""The offer/answer model (RFC 3264) for one audio stream of G.711 and telephone-event.

One `OfferAnswer` for each dialog. It knows the last agreed state of both sides, so that a
re-offer keeps the number and order of m-lines and counts `o=` up (section 8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vxml_server.sip.sdp import SessionDescription

Codec = Literal["PCMU", "PCMA"]
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """What this side can do: where it receives RTP, codecs in order of preference."""

    address: str
    port: int
    codecs: tuple[Codec, ...] = ("PCMA", "PCMU")
    telephone_event: bool = True
    ptime_ms: int = 20


@dataclass(frozen=True, slots=True)
class NegotiatedMedia:
    """What both sides agreed on, seen from here.

    `payload_type_send` is the number the far end wants to receive, `payload_type_receive` the
    number it will send; events (RFC 4733) likewise, None without them. `ptime_ms` is how long the
    packets that we send are. `direction` is ours: "sendonly" means that we may send and shall
    receive nothing. A far end on hold by 0.0.0.0 has `remote_port` as given and `direction`
    without send.
    """

    remote_address: str
    remote_port: int
    remote_rtcp_port: int
    codec: Codec
    payload_type_send: int
    payload_type_receive: int
    event_payload_type_send: int | None
    event_payload_type_receive: int | None
    ptime_ms: int
    direction: Direction
    rtcp_mux: bool = False


class OfferAnswer:
    """The negotiation of one dialog. `media` is the last agreed state, None before the first."""

    def __init__(self, local: LocalMedia, *, session_id: int, username: str = "-") -> None:
        self.local = local
        self.media: NegotiatedMedia | None = None
        raise NotImplementedError

    def offer(
        self, direction: Direction = "sendrecv", *, codec: Codec | None = None
    ) -> SessionDescription:
        """Our (re-)offer; `direction` "sendonly" or "inactive" puts the far end on hold.
        `codec` offers that one alone."""
        raise NotImplementedError

    def answer(
        self, offer: SessionDescription, direction: Direction = "sendrecv"
    ) -> SessionDescription:
        """The answer to the far end's offer; `media` is new afterwards. `direction` is what we
        would like; the answer is what the offer allows of it. Raises `Rejection` 488 when there
        is no common codec or no audio RTP/AVP; then nothing has changed."""
        raise NotImplementedError

    def accept(self, answer: SessionDescription) -> NegotiatedMedia:
        """Takes the far end's answer to our last `offer()`; `media` is new afterwards. Raises
        `Rejection` 488 when the answer refuses the stream or does not fit the offer."""
        raise NotImplementedError
