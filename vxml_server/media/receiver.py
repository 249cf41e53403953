"""One channel's incoming RTP: a datagram becomes audio on the timeline, or a key, or a count.

The order in which a packet is judged: is it RTP, has it an agreed payload type, does it come from
the latched address, from the source (SSRC) that speaks, in its sequence. What fails is dropped and
counted by the reason; nothing raises.
"""

from __future__ import annotations

import struct
from collections import Counter

from vxml_server.dtmf import EventReceiver
from vxml_server.media.jitter import MAX_PAYLOAD, JitterBuffer, Placement
from vxml_server.media.latch import Latch
from vxml_server.media.network import ANCILLARY, Address, DatagramSocket
from vxml_server.media.reception import Order, Reception
from vxml_server.media.rtp import (
    COMFORT_NOISE,
    HEADER,
    PLAIN,
    SEQUENCES,
    Header,
    sequence_difference,
    unpack,
)
from vxml_server.media.stream import SAMPLE_RATE, Stream

RESTART_PAUSE = 15
"""Ticks (300 ms) without packets, after which old sequence numbers are a sender that begins again,
and not packets that were overtaken: players of captured packets do so."""

NANOSECONDS_A_SAMPLE = 1_000_000_000 // SAMPLE_RATE

_USUAL = HEADER.size + MAX_PAYLOAD
_KERNEL_TIME = struct.Struct("qq")


class Receiver:
    """The receiving end of one channel. `Stream` and ports come from signalling."""

    __slots__ = (
        "_buffer",
        "_candidate",
        "_events",
        "_events_sequence",
        "_events_ssrc",
        "_events_tick",
        "_hears",
        "_into",
        "_lost_before",
        "_payload_type",
        "_receive",
        "_stream",
        "_view",
        "dropped",
        "duplicated",
        "heard",
        "jitter",
        "keys",
        "latch",
        "late",
        "packets",
        "reception",
        "waits",
    )

    def __init__(self, socket: DatagramSocket, jitter: JitterBuffer, buffer: bytearray) -> None:
        """`buffer` is where datagrams are read to; all receivers of a thread may share it."""
        self._receive = socket.recvmsg_into
        self.jitter = jitter
        self._buffer = buffer
        self._into = (buffer,)
        self._view = memoryview(buffer)
        self._stream: Stream | None = None
        self._payload_type = -1  # of audio
        self._hears = False
        self.latch = Latch()
        self.reception: Reception | None = None
        self.heard = -1
        """The tick in which a packet that counts came last; -1 before the first."""
        self.keys: list[str] = []
        """Keys that began; who calls `read` takes them away."""
        self.waits: int | None = None
        """Samples that a sound of the source that is heard waits here until its turn on the
        timeline, and a constant that is the same for all channels; None before there is any."""
        self.packets = 0
        self.duplicated = 0
        self.late = 0
        self.dropped: Counter[str] = Counter()
        self._lost_before = 0  # of sources before this one
        self._candidate: tuple[int, int] | None = None  # SSRC and next sequence of a new source
        self._events = EventReceiver()
        self._events_ssrc: int | None = None
        self._events_sequence = 0
        self._events_tick = 0

    @property
    def lost(self) -> int:
        """Packets of all sources so far that never came."""
        return self._lost_before + (self.reception.lost if self.reception else 0)

    def configure(self, stream: Stream) -> None:
        """A new agreement. Another codec empties the jitter buffer: octets change their meaning."""
        before, self._stream = self._stream, stream
        self._payload_type = stream.payload_type_receive
        self._hears = stream.direction.receives
        self.latch.expect(stream.remote)
        if before is not None and before.codec is not stream.codec:
            self.jitter.timeline.clear_channel(self.jitter.channel)
            self.jitter.reset()

    def read(self, tick: int, now: float) -> None:
        """Reads one datagram and takes it in."""
        try:
            size, notes, _, source = self._receive(self._into, ANCILLARY)
        except OSError:
            # Nothing there after all, or an ICMP error that belongs to something we sent.
            return
        arrival = int(now * SAMPLE_RATE)
        if notes:
            seconds, nanoseconds = _KERNEL_TIME.unpack(notes[0][2])
            arrival = seconds * SAMPLE_RATE + nanoseconds // NANOSECONDS_A_SAMPLE
        self.take(size, source, arrival, tick)

    def take(self, size: int, source: Address, arrival: int, tick: int) -> None:
        """Takes the packet in the first `size` octets of the buffer; `arrival` is in samples."""
        if HEADER.size <= size <= _USUAL:
            first, second, sequence, timestamp, ssrc = HEADER.unpack_from(self._buffer)
            if (
                first == PLAIN
                and second == self._payload_type
                and self.latch.source is not None
                and source == self.latch.source
            ):
                # Almost every packet is like this; the rest of the judgement would find nothing.
                paused = tick - self.heard > RESTART_PAUSE
                self.heard = tick
                self.packets += 1
                payload = self._view[HEADER.size : size]
                self._audio(ssrc, sequence, timestamp, False, payload, arrival, tick, paused)
                return
        self._judge(size, source, arrival, tick)

    def _judge(self, size: int, source: Address, arrival: int, tick: int) -> None:
        """Takes any packet, step by step."""
        header = unpack(self._buffer, size)
        stream = self._stream
        if header is None or size == len(self._buffer):
            self.dropped["malformed"] += 1
            return
        if stream is None:
            self.dropped["not configured"] += 1
            return
        audio = header.payload_type == stream.payload_type_receive
        if not audio and header.payload_type not in {
            stream.event_payload_type_receive,
            COMFORT_NOISE,
        }:
            self.dropped["payload type"] += 1
            return
        if header.end - header.start > MAX_PAYLOAD:
            self.dropped["too long"] += 1
            return
        if source != self.latch.source and not self.latch.admits(
            source,
            header.ssrc,
            header.sequence,
            same_ssrc=self._continues(header),
            silence=tick - self.heard,
        ):
            self.dropped["source"] += 1
            return
        before, self.heard = self.heard, tick
        self.packets += 1
        if audio:
            self._audio(
                header.ssrc,
                header.sequence,
                header.timestamp,
                header.marker,
                self._view[header.start : header.end],
                arrival,
                tick,
                tick - before > RESTART_PAUSE,
            )
            return
        if self.reception is not None and self.reception.ssrc == header.ssrc:
            self.reception.update(header.sequence)
        if header.payload_type == stream.event_payload_type_receive:
            self._event(header, tick)

    def _continues(self, header: Header) -> bool:
        """Whether a packet from elsewhere goes on with the source that is heard."""
        reception = self.reception
        return reception is not None and reception.ssrc == header.ssrc

    def _audio(
        self,
        ssrc: int,
        sequence: int,
        timestamp: int,
        marker: bool,
        payload: memoryview,
        arrival: int,
        tick: int,
        paused: bool,
    ) -> None:
        reception = self.reception
        if reception is None or reception.ssrc != ssrc:
            if not self._is_source(ssrc, sequence, first=reception is None):
                self.dropped["ssrc"] += 1
                return
            reception = self._change_source(ssrc, sequence)
        order = reception.update(sequence)
        if order is Order.NEXT:
            reception.arrived(timestamp, arrival)
        elif paused and order is not Order.RESTART:
            reception = self._change_source(ssrc, sequence)
            order = reception.update(sequence)
        elif order is Order.DUPLICATE:
            self.duplicated += 1
            return
        elif order is Order.STRAY:
            self.dropped["sequence"] += 1
            return
        elif order is Order.RESTART:
            self.jitter.reset()
        if not payload or not self._hears:
            return
        placement = self.jitter.put(
            timestamp, payload, tick, newest=order is not Order.BEHIND, marker=marker
        )
        if order is Order.NEXT:
            self.waits = self.jitter.position - reception.due
        if placement is not Placement.PLACED:
            self.late += 1

    def _is_source(self, ssrc: int, sequence: int, *, first: bool) -> bool:
        """Whether another SSRC is the one that speaks now: two of its packets in a row say so.

        Two sources that alternate do not tear the timeline to and fro.
        """
        if first or self._candidate == (ssrc, sequence):
            return True
        self._candidate = ssrc, (sequence + 1) % SEQUENCES
        return False

    def _change_source(self, ssrc: int, sequence: int) -> Reception:
        self._lost_before = self.lost
        self._candidate = None
        self.jitter.reset()
        self.reception = Reception(ssrc, sequence)
        return self.reception

    def _event(self, header: Header, tick: int) -> None:
        """A key may come from another SSRC than the audio, and begin again with old numbers."""
        paused = tick - self._events_tick > RESTART_PAUSE
        restarted = paused and sequence_difference(header.sequence, self._events_sequence) <= 0
        if header.ssrc != self._events_ssrc or restarted:
            self._events = EventReceiver()
            self._events_ssrc = header.ssrc
        self._events_sequence = header.sequence
        self._events_tick = tick
        payload = bytes(self._view[header.start : header.end])
        if self._hears:
            keys = self._events.feed(payload, header.timestamp, header.marker, header.sequence)
            self.keys.extend(keys)
