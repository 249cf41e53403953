"""What went over the loopback interface, with the kernel's own time stamps.

A raw socket sees every UDP packet of this machine's loopback, sent and received, once. It keeps
those whose source or destination port was asked for, so one `Wire` serves many calls at a time.
Needs CAP_NET_RAW, as does SIPp's playing of pcap files.
"""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass

SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
ROOM = 8 << 20
"""Octets that wait while this process does not run: seconds of the busiest moment."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP packet. `at` is when the kernel handled it, in seconds of the wall clock."""

    at: float
    source: int
    destination: int
    data: bytes


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """RFC 3550 section 5.1, without extensions and contributing sources."""

    at: float
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


class Wire:
    """The capture. Ports must be watched before their packets come."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        except PermissionError:  # CAP_NET_ADMIN is not there: as much as anybody may have
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self._seen: dict[int, list[Datagram]] = {}
        self._ended = False
        self._thread = threading.Thread(target=self._listen, name="wire")
        self._thread.start()

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        self._socket.close()

    def watch(self, *ports: int) -> None:
        for port in ports:
            self._seen[port] = []

    def received(self, port: int) -> list[RtpPacket]:
        """The RTP packets that came to `port`, as they came."""
        return read_rtp([d for d in self._seen[port] if d.destination == port])

    def sent(self, port: int) -> list[RtpPacket]:
        """The RTP packets that left from `port`."""
        return read_rtp([d for d in self._seen[port] if d.source == port])

    def reports(self, port: int) -> list[tuple[float, bytes]]:
        """The RTCP packets that came to the port above the RTP port `port`, and when."""
        packets = [d for d in self._seen[port + 1] if d.destination == port + 1]
        return [(d.at, d.data) for d in packets]

    def _listen(self) -> None:
        while not self._ended:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(65535, 64)
            except TimeoutError:
                continue
            offset = (data[0] & 0x0F) * 4
            source, destination = struct.unpack_from("!HH", data, offset)
            kept = [self._seen[p] for p in (source, destination) if p in self._seen]
            if kept:
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
                at = seconds + nanoseconds * 1e-9
                datagram = Datagram(at, source, destination, data[offset + 8 :])
                for packets in kept:
                    packets.append(datagram)


def read_rtp(datagrams: list[Datagram]) -> list[RtpPacket]:
    """The RTP packets in UDP packets; `AssertionError` for what is none."""
    packets = []
    for datagram in datagrams:
        first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", datagram.data)
        assert first == 0x80, f"not a plain RTP packet: {datagram.data[:12].hex()}"
        packets.append(
            RtpPacket(
                datagram.at,
                second & 0x7F,
                bool(second & 0x80),
                sequence,
                timestamp,
                ssrc,
                datagram.data[12:],
            )
        )
    return packets
