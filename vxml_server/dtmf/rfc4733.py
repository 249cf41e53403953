"""RFC 4733 telephone-event: keys as named events in RTP, read and made.

A key is one *event*. All of its packets carry the RTP timestamp of its beginning, a duration that
grows, and at the end the E bit, three times over. So the timestamp names the event, and the rule
here is that a timestamp is reported once, by whichever of its packets comes first: a lost
beginning is made good by any repeat, a lost end by the next event, and the same key pressed twice
has two timestamps.

A tone longer than the duration field (0xFFFF units, 8.2 s at 8 kHz) goes on as a new event whose
timestamp is where the last segment ended (section 2.5.1.3): that is the same key still held. Events
that overlap have timestamps of their own, or one timestamp and different codes; a packet of the
earlier one that comes after the later one has begun says nothing new.

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
RESTARTED = 10  # seconds back: nothing is reordered so far, the sender began anew
MAX_HELD_MS = 60_000
HALF_TIME = 1 << 31


@dataclass(frozen=True, slots=True)
class EventPacket:
    """One packet of an event as it is sent.

    Its RTP timestamp is that of the event's beginning, plus `offset` in the later segments of a
    long one.
    """

    payload: bytes
    marker: bool
    is_end: bool
    offset: int = 0


@dataclass(frozen=True, slots=True)
class _Block:
    event: int
    is_end: bool
    duration: int


class EventReceiver:
    """The telephone events of one RTP stream, whose timestamps run at `rate`.

    A new SSRC is a new stream and needs a new receiver: timestamps start elsewhere.
    """

    def __init__(self, rate: int = 8000) -> None:
        self._restarted = RESTARTED * rate
        self._timestamp: int | None = None  # of the latest event
        self._blocks: dict[int, _Block] = {}  # what began then, by code, as last heard of

    def feed(self, payload: bytes, timestamp: int, marker: bool, sequence: int) -> str:
        """The keys that begin with this packet; '' if none.

        A payload that is no whole number of blocks, and events that are no key, give ''. `marker`
        and `sequence` decide nothing: both are wrong in what some gateways send, and a timestamp
        alone tells a repeat from a new event.
        """
        return "".join(
            self._begin(block, start) for block, start in _blocks(payload, timestamp & 0xFFFFFFFF)
        )

    def _begin(self, block: _Block, timestamp: int) -> str:
        ahead = 0 if self._timestamp is None else _difference(timestamp, self._timestamp)
        if -self._restarted < ahead < 0:
            return ""
        before = self._blocks.get(block.event)
        if ahead == 0 and before is not None:
            self._blocks[block.event] = _later(before, block)
            return ""
        if ahead:
            self._blocks = {}
        self._timestamp = timestamp
        self._blocks[block.event] = block
        if before is not None and _continues(before, ahead):
            return ""
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


def _continues(before: _Block, ahead: int) -> bool:
    """Whether an event of the same code, `ahead` later, is the next segment of `before`.

    The segment before it never had the E bit, and the new one begins where a full one ends. (Some
    senders count a full one as 0x10000.)
    """
    return not before.is_end and ahead in FULL


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
    key, or a duration that takes more than one segment (`long_event_packets`).
    """
    if round(duration_ms * rate / 1000) > MAX_DURATION:
        raise ValueError(f"no event of {duration_ms} ms in one segment")
    return long_event_packets(
        key, duration_ms=duration_ms, volume=volume, ptime_ms=ptime_ms, rate=rate
    )


def long_event_packets(
    key: str,
    *,
    duration_ms: int,
    volume: int = 10,
    ptime_ms: int = 20,
    rate: int = 8000,
) -> tuple[EventPacket, ...]:
    """As `event_packets`, in as many segments as `duration_ms` (a minute at most) takes.

    A segment ends with a packet of the full duration without the E bit, and the next begins there:
    its packets have an `offset`. The full packet is sent once, for the next segment tells as much.
    """
    if len(key) != 1 or key.upper() not in EVENT_KEYS:
        raise ValueError(f"{key!r} is no DTMF key")
    total = round(duration_ms * rate / 1000)
    step = round(ptime_ms * rate / 1000)
    wrong = total <= 0 or duration_ms > MAX_HELD_MS or step <= 0
    if wrong or step > MAX_DURATION or not 0 <= volume <= MAX_VOLUME:
        raise ValueError(f"no event of {duration_ms} ms in {ptime_ms} ms packets at -{volume} dBm0")
    event = EVENT_KEYS.index(key.upper())
    steps = range(step, total, step)
    places = [_place(end, step) for end in steps]
    # What became full within the last step was not told yet.
    if total > MAX_DURATION and 0 < total % MAX_DURATION <= (total - 1) % step + 1:
        places.append(_place(total - total % MAX_DURATION, step))
    offset = (total - 1) // MAX_DURATION * MAX_DURATION
    places += [(offset, total - offset)] * END_PACKETS
    return tuple(
        EventPacket(
            payload=bytes([event, is_end << 7 | volume]) + duration.to_bytes(2, "big"),
            marker=number == 0,
            is_end=is_end,
            offset=offset,
        )
        for number, (offset, duration) in enumerate(places)
        for is_end in (number >= len(places) - END_PACKETS,)
    )


def _place(end: int, step: int) -> tuple[int, int]:
    """(offset, duration) of the packet sent when a key has been held for `end` units.

    Where a segment became full within the last `step`, its full duration takes the packet's place;
    the next packet tells of the segment after it.
    """
    segment, duration = divmod(end, MAX_DURATION)
    if segment and duration < step:
        return (segment - 1) * MAX_DURATION, MAX_DURATION
    return segment * MAX_DURATION, duration
