"""What signalling agreed on for one channel: the codec, the numbers, the far end, the direction.

It stands between SDP offer/answer (RFC 3264), which `calls` understands, and RTP (RFC 3550), which
this room understands. The rule here: plain values that cannot change; a new agreement (re-INVITE)
is a new `Stream`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum

FRAME_MS = 20
SAMPLE_RATE = 8000
FRAME = SAMPLE_RATE * FRAME_MS // 1000
"""Samples of one channel in one tick."""


class Codec(StrEnum):
    """The encoding names of RFC 3551 that the engine speaks: G.711, 8 kHz, one byte a sample."""

    PCMU = "PCMU"
    PCMA = "PCMA"


class Direction(StrEnum):
    """RFC 3264 section 5.1, seen from this side: `SENDONLY` means that we send and they listen."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in {Direction.SENDRECV, Direction.SENDONLY}

    @property
    def receives(self) -> bool:
        return self in {Direction.SENDRECV, Direction.RECVONLY}


@dataclass(frozen=True, slots=True)
class Stream:
    """One agreed audio stream. Values that cannot be are refused with ValueError.

    `remote_address` is an IP address, never a name: the media thread does not ask the DNS.
    `payload_type_send` is the number in the far end's SDP, `payload_type_receive` the one in ours;
    so with the two numbers of telephone-event, which are None where it was not agreed.
    `remote_rtcp_port` is None for the usual `remote_port + 1` (RFC 3605 has the other case).
    `ptime_ms` is the length of the packets we send: 10, 20, 30, 40, 50 or 60.
    """

    remote_address: str
    remote_port: int
    codec: Codec
    payload_type_send: int
    payload_type_receive: int
    event_payload_type_send: int | None = None
    event_payload_type_receive: int | None = None
    remote_rtcp_port: int | None = None
    ptime_ms: int = FRAME_MS
    direction: Direction = Direction.SENDRECV

    def __post_init__(self) -> None:
        address = ipaddress.ip_address(self.remote_address)
        object.__setattr__(self, "remote_address", str(address))
        for port in (self.remote_port, self.remote_rtcp_port or 0):
            if not 0 <= port <= 65535:
                raise ValueError(f"{port} is no port")
        if self.ptime_ms not in {10, 20, 30, 40, 50, 60}:
            raise ValueError(f"ptime of {self.ptime_ms} ms: 10, 20, 30, 40, 50 or 60 are possible")
        for number in (
            self.payload_type_send,
            self.payload_type_receive,
            self.event_payload_type_send,
            self.event_payload_type_receive,
        ):
            if number is not None and not 0 <= number <= 127:
                raise ValueError(f"payload type {number} is not in 0..127")

    @property
    def remote(self) -> tuple[str, int]:
        """Where RTP goes until the far end shows that it is elsewhere."""
        return self.remote_address, self.remote_port

    @property
    def remote_rtcp(self) -> tuple[str, int]:
        return self.remote_address, self.remote_rtcp_port or min(self.remote_port + 1, 65535)

    @property
    def sends(self) -> bool:
        """Whether RTP is sent: not to port 0, nor to 0.0.0.0, which is hold in RFC 2543."""
        return (
            self.direction.sends
            and self.remote_port != 0
            and not ipaddress.ip_address(self.remote_address).is_unspecified
        )
