"""How one source's packets arrive: order, loss, jitter. RFC 3550 sections 6.4.1, A.1, A.3, A.8.

The rule here: every packet of the source is told to `update` once, in the order of arrival, and
nothing else changes the counts.
"""

from __future__ import annotations

from enum import Enum, auto

from vxml_server.media.rtp import SEQUENCES, timestamp_difference
from vxml_server.media.stream import SAMPLE_RATE

# Appendix A.1.
MAX_DROPOUT = 3000
MAX_MISORDER = 100

REMEMBERED = 128
"""Sequence numbers behind the highest whose arrival is remembered, to know a duplicate."""

FASTEST_OF = 250
"""Packets (5 s of the usual 20 ms) whose fastest those that follow are held against, until one is
faster or as many have come: the clocks of a sender and of this machine drift apart."""

_SEEN = (1 << REMEMBERED) - 1


class Order(Enum):
    """Where a packet stands in its source's sequence."""

    NEXT = auto()
    """It is the newest."""
    BEHIND = auto()
    """It was overtaken by a newer one."""
    DUPLICATE = auto()
    STRAY = auto()
    """Its number is far off; the next in sequence to it would mean that the source restarted."""
    RESTART = auto()
    """The source restarted its numbers: counting begins anew with this packet."""


class Reception:
    """The counts of one source (SSRC), from its first packet on."""

    __slots__ = (
        "_base",
        "_expected_before",
        "_highest",
        "_late",
        "_least_late",
        "_received_before",
        "_seen",
        "_stray",
        "_transit",
        "_window",
        "due",
        "duplicated",
        "jitter",
        "received",
        "ssrc",
    )

    def __init__(self, ssrc: int, sequence: int) -> None:
        self.ssrc = ssrc
        self.received = 0
        self.duplicated = 0
        self.jitter = 0.0
        self.restart(sequence)

    def restart(self, sequence: int) -> None:
        """Begins before the packet numbered `sequence`; what was counted is forgotten."""
        self._base = sequence
        self._highest = sequence - 1  # extended: a cycle of 65536 is part of it
        self._seen = 0  # bit n: the packet n behind the highest has come
        self._stray = -1
        self._transit: int | None = None
        self._late = 0  # the newest packet, in samples, behind the fastest
        self._least_late = SAMPLE_RATE  # the least of this window
        self._window = FASTEST_OF
        self.due = 0
        """When the newest packet would have come, had it been as fast as the fastest of late; in
        samples, as `arrival` is."""
        self.received = 0
        self.duplicated = 0
        self._expected_before = 0
        self._received_before = 0

    def update(self, sequence: int) -> Order:
        """Counts a packet."""
        ahead = (sequence - self._highest) % SEQUENCES
        if 0 < ahead < MAX_DROPOUT:
            self._highest += ahead
            self._seen = (self._seen << ahead | 1) & _SEEN
            self._stray = -1
            self.received += 1
            return Order.NEXT
        behind = -ahead % SEQUENCES
        if behind <= MAX_MISORDER:
            self.received += 1
            if self._seen >> behind & 1:
                self.duplicated += 1
                return Order.DUPLICATE
            self._seen |= 1 << behind
            return Order.BEHIND
        if sequence == self._stray:
            self.restart(sequence)
            self.update(sequence)
            return Order.RESTART
        self._stray = (sequence + 1) % SEQUENCES
        return Order.STRAY

    def arrived(self, timestamp: int, arrival: int) -> None:
        """Takes one packet's `timestamp` and `arrival`, both in samples, into the jitter (A.8).

        A change of transit time by more than a second is a clock that was set, not jitter.
        """
        transit = arrival - timestamp
        late = 0
        if self._transit is not None:
            change = timestamp_difference(transit, self._transit)
            if -SAMPLE_RATE <= change <= SAMPLE_RATE:
                self.jitter += (abs(change) - self.jitter) / 16
                late = max(0, self._late + change)
        self._transit = transit
        self._least_late = min(self._least_late, late)
        self._window -= 1
        if self._window == 0:
            late -= self._least_late
            self._least_late = SAMPLE_RATE
            self._window = FASTEST_OF
        self._late = late
        self.due = arrival - late

    @property
    def highest(self) -> int:
        """The extended highest sequence number received, modulo 2^32."""
        return self._highest % (1 << 32)

    @property
    def expected(self) -> int:
        return self._highest - self._base + 1

    @property
    def lost(self) -> int:
        """Packets that never came. Unlike the RTCP figure, duplicates do not make good for them."""
        return max(0, self.expected - (self.received - self.duplicated))

    @property
    def cumulative_lost(self) -> int:
        """Expected less received as RTCP carries it: duplicates counted, 24 bits, signed (A.3)."""
        return max(-0x800000, min(0x7FFFFF, self.expected - self.received))

    def fraction_lost(self) -> int:
        """Loss since this was last asked, in 1/256 (A.3)."""
        expected = self.expected - self._expected_before
        received = self.received - self._received_before
        self._expected_before = self.expected
        self._received_before = self.received
        lost = expected - received
        if expected <= 0 or lost <= 0:
            return 0
        return min(255, (lost << 8) // expected)
