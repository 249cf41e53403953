"""RTP packets, RFC 3550 section 5.1: read and made.

`unpack` never raises: what is no RTP packet is None. A struct for each header was measured against
one numpy record array for all headers of a tick: with 200 to 1000 packets the array takes 0.08 to
0.09 us a header and the struct 0.10, of the 5 us that a packet costs in all; so it is a struct.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

VERSION = 2
HEADER = struct.Struct("!BBHII")
PLAIN = VERSION << 6
"""The first octet of a packet without padding, extension and contributing sources."""
MARKER = 0x80

COMFORT_NOISE = 13
"""The static payload type of RFC 3389, which senders use unasked."""

SEQUENCES = 1 << 16
TIMESTAMPS = 1 << 32


class Header(NamedTuple):
    """A packet's fixed header, and where in the datagram its payload is."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    start: int
    end: int


def unpack(datagram: bytes | bytearray | memoryview, size: int) -> Header | None:
    """The header of the packet in the first `size` bytes; None if it is none (appendix A.1)."""
    if size < HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(datagram)
    start, end = HEADER.size, size
    if first != PLAIN:
        if first >> 6 != VERSION:
            return None
        start += 4 * (first & 0x0F)
        if first & 0x10:
            if start + 4 > size:
                return None
            start += 4 + 4 * (datagram[start + 2] << 8 | datagram[start + 3])
        if first & 0x20:
            padding = datagram[size - 1]
            if padding == 0:
                return None
            end -= padding
        if start > end:
            return None
    return Header(second & 0x7F, second >= MARKER, sequence, timestamp, ssrc, start, end)


def pack(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool
) -> bytes:
    """A plain packet."""
    second = payload_type | (MARKER if marker else 0)
    return HEADER.pack(PLAIN, second, sequence, timestamp, ssrc) + payload


def sequence_difference(a: int, b: int) -> int:
    """How far sequence number `a` is after `b`, -32768 to 32767."""
    return ((a - b + SEQUENCES // 2) % SEQUENCES) - SEQUENCES // 2


def timestamp_difference(a: int, b: int) -> int:
    """How far timestamp `a` is after `b`, in samples, -2^31 to 2^31 - 1."""
    return ((a - b + TIMESTAMPS // 2) % TIMESTAMPS) - TIMESTAMPS // 2
