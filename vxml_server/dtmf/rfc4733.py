"""RFC 4733 telephone-event: keys as named events in RTP, read and made.

A key is one *event*. All of its packets carry the RTP timestamp of its beginning, a duration that
grows, and at the end the E bit, three times over. So the timestamp names the event, and the rule
here is that a timestamp is reported once, by whichever of its packets comes first: a lost
beginning is made good by any repeat, a lost end by the next event, and the same key pressed twice
has two timestamps.

A tone longer than the duration field (0xFFFF units, 8.2 s at 8 kHz) goes on as a new event whose
timestamp is where the last segment ended (section 2.5.1.3): that is the same key still held.

`EventReceiver` takes packets; it does not know RTP beyond the three header fields it is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

EVENT_KEYS = "0123456789*#ABCD"  # section 3.2, table 3: event codes 0 to 15
FLASH = 16
BLOCK = 4  # bytes: event, E R volume, duration in two
MAX_DURATION = 0xFFFF
FULL = (MAX_DURATION, MAX_DURATION + 1)
MAX_VOLUME = 63  # -dBm0
END_PACKETS = 3  # section 2.5.1.4
RESTARTED = 10 * 8000  # units back: nothing is reordered so far, the sender began anew
HALF_TIME = 1 << 31


@dataclass(frozen=True, slots=True)
class EventPacket:
    """One packet of an event as it is sent; the event's timestamp is the same for all of them."""

    payload: bytes
    marker: bool
    is_end: bool


@dataclass(frozen=True, slots=True)
class _Block:
    event: int
    is_end: bool
    duration: int


class EventReceiver:
    """The telephone events of one RTP stream.

    A new SSRC is a new stream and needs a new receiver: timestamps start elsewhere.
    """

    def __init__(self) -> None:
        self._timestamp: int | None = None  # of the latest event
        self._block: _Block | None = None  # the latest event as last heard of

    def feed(self, payload: bytes, timestamp: int, marker: bool, sequence: int) -> str:
        """The key that begins with this packet, or ''.

        A payload that is no whole number of blocks, and events that are no key, give ''. `marker`
        and `sequence` decide nothing: both are wrong in what some gateways send, and a timestamp
        alone tells a repeat from a new event.
        """
        return "".join(
            self._begin(block, start) for block, start in _blocks(payload, timestamp & 0xFFFFFFFF)
        )

    def _begin(self, block: _Block, timestamp: int) -> str:
        before, latest = self._block, self._timestamp
        if before is not None and latest is not None:
            ahead = _difference(timestamp, latest)
            if -RESTARTED < ahead < 0:
                return ""
            if ahead == 0:
                self._block = _later(before, block)
                return ""
            if _continues(before, block, ahead):
                self._timestamp, self._block = timestamp, block
                return ""
        self._timestamp, self._block = timestamp, block
        return EVENT_KEYS[block.event] if block.event < len(EVENT_KEYS) else ""


def _blocks(payload: bytes, timestamp: int) -> Iterator[tuple[_Block, int]]:
    """(block, timestamp) of each event in a packet.

    Section 2.5.1.5: several short events may share a packet; each begins where the one before it
    ends.
    """
    if not payload or len(payload) % BLOCK:
        return
    for place in range(0, len(payload), BLOCK):
        event, flags, high, low = payload[place : place + BLOCK]
        block = _Block(event, bool(flags & 0x80), high << 8 | low)
        yield block, timestamp
        timestamp = (timestamp + block.duration) & 0xFFFFFFFF


def _difference(timestamp: int, reference: int) -> int:
    """How far `timestamp` is after `reference`, modulo 2^32; negative when it is before."""
    return (timestamp - reference + HALF_TIME) % (2 * HALF_TIME) - HALF_TIME


def _later(before: _Block, block: _Block) -> _Block:
    """What is known of an event after one more of its packets, which may be out of order."""
    return _Block(before.event, before.is_end or block.is_end, max(before.duration, block.duration))


def _continues(before: _Block, block: _Block, ahead: int) -> bool:
    """Whether `block`, `ahead` later, is the next segment of a long event.

    The segment before it never had the E bit, and the new one begins where a full one ends. (Some
    senders count a full one as 0x10000.)
    """
    return block.event == before.event and not before.is_end and ahead in FULL


def event_packets(
    key: str,
    *,
    duration_ms: int = 100,
    volume: int = 10,
    ptime_ms: int = 20,
    rate: int = 8000,
) -> tuple[EventPacket, ...]:
    """The packets that press `key`, to be sent one each `ptime_ms` at the same timestamp.

    The first has the marker; durations grow to the whole (in timestamp units of `rate`); the last
    three have the E bit and are alike. `volume` is -dBm0, 0 to 63. Raises ValueError for what is no
    key, or a duration that takes more than one segment.
    """
    if len(key) != 1 or key.upper() not in EVENT_KEYS:
        raise ValueError(f"{key!r} is no DTMF key")
    total = round(duration_ms * rate / 1000)
    step = round(ptime_ms * rate / 1000)
    if not 0 < total <= MAX_DURATION or step <= 0 or not 0 <= volume <= MAX_VOLUME:
        raise ValueError(f"no event of {duration_ms} ms in {ptime_ms} ms packets at -{volume} dBm0")
    event = EVENT_KEYS.index(key.upper())
    growing = [min(end, total) for end in range(step, total + step, step)]
    durations = [*growing, *[total] * (END_PACKETS - 1)]
    return tuple(
        EventPacket(
            payload=bytes([event, is_end << 7 | volume]) + duration.to_bytes(2, "big"),
            marker=number == 0,
            is_end=is_end,
        )
        for number, duration in enumerate(durations)
        for is_end in (number >= len(growing) - 1,)
    )
