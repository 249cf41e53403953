"""One channel's outgoing RTP: frames of 20 ms become packets of the agreed length.

The rules: the timestamp of a sample follows from the tick in which it left the mixer, and from
nothing else, so that it runs with the wall clock through holds and skipped ticks; the sequence
number grows by one with each packet; the marker bit is set on a packet before which packets were
not sent contiguously, and on no other audio packet (RFC 3551 section 4.1).

While a key is sent as RFC 4733 events, events take the place of the audio packets.
"""

from __future__ import annotations

import random
from collections import deque

from vxml_server.dtmf import EventPacket, event_packets
from vxml_server.media.network import Address, DatagramSocket
from vxml_server.media.rtp import HEADER, MARKER, PLAIN
from vxml_server.media.stream import FRAME, SAMPLE_RATE, Stream

_MAX_PACKET = 60 * SAMPLE_RATE // 1000


class RtpSender:
    """Sequence, timestamps, packets. The first packet needs `configure` and a `destination`."""

    __slots__ = (
        "_buffer",
        "_event",
        "_event_timestamp",
        "_events",
        "_fill",
        "_first_timestamp",
        "_gap",
        "_marker",
        "_packet",
        "_sequence",
        "_size",
        "_socket",
        "_stream",
        "destination",
        "errors",
        "octets",
        "packets",
        "ssrc",
    )

    def __init__(self, socket: DatagramSocket, random: random.Random) -> None:
        """SSRC, first sequence number and first timestamp are random, as section 5.1 asks."""
        self._socket = socket
        self.ssrc = random.getrandbits(32)
        self._sequence = random.getrandbits(16)
        self._first_timestamp = random.getrandbits(32)
        self.destination: Address = ("", 0)
        self.packets = 0
        self.octets = 0
        self.errors = 0
        self._buffer = bytearray(HEADER.size + _MAX_PACKET + FRAME)
        self._packet = memoryview(self._buffer)
        self._fill = 0
        self._size = FRAME
        self._marker = MARKER
        self._stream: Stream | None = None
        self._events: deque[tuple[tuple[EventPacket, ...], int]] = deque()
        self._event: deque[EventPacket] = deque()
        self._event_timestamp = 0
        self._gap = 0

    def configure(self, stream: Stream) -> None:
        """Another codec or packet length begins with an empty packet: what it held is not sent."""
        before, self._stream = self._stream, stream
        if before is None or (before.codec, before.ptime_ms) != (stream.codec, stream.ptime_ms):
            self._size = stream.ptime_ms * SAMPLE_RATE // 1000
            self._packet = memoryview(self._buffer)[: HEADER.size + self._size]
            self._fill = 0
        if stream.event_payload_type_send is None or not stream.sends:
            self._events.clear()
            self._event.clear()

    def timestamp(self, tick: int) -> int:
        """The timestamp of the first sample of a tick."""
        return (self._first_timestamp + tick * FRAME) & 0xFFFFFFFF

    def interrupt(self) -> None:
        """Packets are not sent for a while: the next one is marked."""
        self._fill = 0
        self._marker = MARKER

    def retract(self, silence: bytes) -> int:
        """Replaces what waits for a longer packet to fill by `silence`; returns how much it was."""
        waiting = self._fill
        for start in range(0, waiting, FRAME):
            end = min(start + FRAME, waiting)
            self._buffer[HEADER.size + start : HEADER.size + end] = silence[: end - start]
        return waiting

    def send_key(self, key: str, duration_ms: int, gap_ms: int) -> None:
        """Queues a key, to be sent as events with at least `gap_ms` of audio after it."""
        ptime = self._size * 1000 // SAMPLE_RATE
        packets = event_packets(key, duration_ms=duration_ms, ptime_ms=ptime)
        self._events.append((packets, -(-gap_ms // ptime)))

    def frame(self, octets: bytes | bytearray | memoryview, tick: int) -> None:
        """Takes the 160 octets of a tick, and sends the packets that are full."""
        start = HEADER.size + self._fill
        self._buffer[start : start + FRAME] = octets
        self._fill += FRAME
        while self._fill >= self._size:
            self._send(self._first_timestamp + (tick + 1) * FRAME - self._fill)
            self._fill -= self._size
            if self._fill:
                start = HEADER.size + self._size
                self._buffer[HEADER.size : HEADER.size + self._fill] = self._buffer[
                    start : start + self._fill
                ]

    def _send(self, timestamp: int) -> None:
        stream = self._stream
        if stream is None:
            raise AssertionError("a sender is configured before its first frame")
        if self._events or self._event:
            packet = self._next_event(stream, timestamp)
            if packet is not None:
                self._transmit(packet, len(packet) - HEADER.size)
                return
        HEADER.pack_into(
            self._buffer,
            0,
            PLAIN,
            stream.payload_type_send | self._marker,
            self._sequence,
            timestamp & 0xFFFFFFFF,
            self.ssrc,
        )
        self._marker = 0
        self._transmit(self._packet, self._size)

    def _next_event(self, stream: Stream, timestamp: int) -> bytes | None:
        """The event packet whose turn it is; None in the gap between two keys."""
        if not self._event:
            if self._gap:
                self._gap -= 1
                return None
            packets, self._gap = self._events.popleft()
            self._event.extend(packets)
            self._event_timestamp = timestamp & 0xFFFFFFFF
        event = self._event.popleft()
        number = stream.event_payload_type_send or 0
        header = HEADER.pack(
            PLAIN,
            number | (MARKER if event.marker else 0),
            self._sequence,
            self._event_timestamp,
            self.ssrc,
        )
        return header + event.payload

    def _transmit(self, packet: bytes | memoryview, payload_size: int) -> None:
        self._sequence = (self._sequence + 1) & 0xFFFF
        try:
            self._socket.sendto(packet, self.destination)
        except OSError:
            # Unreachable, buffers full, refused: for RTP that is a lost packet, and the call's
            # signalling decides what it means.
            self.errors += 1
            return
        self.packets += 1
        self.octets += payload_size
