"""RTCP packets, RFC 3550 section 6: made, and read with the checks of appendix A.2.

`parse` never raises: what is no valid compound packet is None, packet types we do not know are
skipped. Reduced-size packets (RFC 5506) are not agreed on, so a compound begins with a report.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from datetime import UTC, datetime

VERSION = 2
SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
GOODBYE = 203

_CNAME = 1
_COMMON = struct.Struct("!BBH")
_SENDER = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IIIIII")
_NTP_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)

# Section 6.2 and appendix A.7.
MINIMUM_INTERVAL = 5.0
SENDER_FRACTION = 0.25
COMPENSATION = 2.71828 - 1.5
BANDWIDTH = 0.05 * 80_000 / 8
"""Octets a second: 5 % of what G.711 takes with its headers at 20 ms."""
MAX_CNAME = 255


@dataclass(frozen=True, slots=True)
class SenderInfo:
    """Section 6.4.1: `ntp` is seconds since 1900 in units of 2^-32; `timestamp` is RTP's."""

    ntp: int
    timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What the reporter received of the source `ssrc`.

    `fraction_lost` is in 1/256, `jitter` in timestamp units, `last_report` the middle 32 bits of
    the NTP time of the last sender report, `delay` since it came in units of 1/65536 s.
    """

    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_sequence: int
    jitter: int
    last_report: int
    delay: int


@dataclass(frozen=True, slots=True)
class Report:
    """A sender report, or without `sender` a receiver report."""

    ssrc: int
    sender: SenderInfo | None
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """The canonical names of sources; other SDES items are of no use here."""

    names: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Goodbye:
    ssrcs: tuple[int, ...]


Packet = Report | Description | Goodbye


def build(packet: Packet) -> bytes:
    """One packet; a compound is several in a row, a report first."""
    match packet:
        case Report(ssrc, sender, blocks):
            body = b"".join(_block(block) for block in blocks)
            if sender is None:
                return _packet(RECEIVER_REPORT, len(blocks), ssrc.to_bytes(4, "big") + body)
            info = _SENDER.pack(ssrc, sender.ntp, sender.timestamp, sender.packets, sender.octets)
            return _packet(SENDER_REPORT, len(blocks), info + body)
        case Description(names):
            return _packet(SOURCE_DESCRIPTION, len(names), b"".join(map(_chunk, names)))
        case Goodbye(ssrcs):
            body = b"".join(ssrc.to_bytes(4, "big") for ssrc in ssrcs)
            return _packet(GOODBYE, len(ssrcs), body)


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _COMMON.pack(VERSION << 6 | count, kind, len(body) // 4) + body


def _block(block: ReportBlock) -> bytes:
    return _BLOCK.pack(
        block.ssrc,
        block.fraction_lost << 24 | block.packets_lost & 0xFFFFFF,
        block.highest_sequence,
        block.jitter,
        block.last_report,
        block.delay,
    )


def _chunk(name: tuple[int, str]) -> bytes:
    """A chunk ends with one to four zero octets, on a 32-bit boundary (section 6.5)."""
    ssrc, text = name
    octets = text.encode()[:MAX_CNAME]
    chunk = ssrc.to_bytes(4, "big") + bytes([_CNAME, len(octets)]) + octets
    return chunk + bytes(4 - len(chunk) % 4)


def parse(datagram: bytes | bytearray | memoryview) -> list[Packet] | None:
    """The packets of a valid compound, or None."""
    data = bytes(datagram)
    packets: list[Packet] = []
    place = 0
    while place < len(data):
        if place + 4 > len(data):
            return None
        first, kind, words = _COMMON.unpack_from(data, place)
        end = place + 4 + 4 * words
        padded = bool(first & 0x20)
        if first >> 6 != VERSION or end > len(data):
            return None
        if place == 0 and (padded or kind not in {SENDER_REPORT, RECEIVER_REPORT}):
            return None
        body = data[place + 4 : end]
        if padded:
            # Only the last packet of a compound may be padded.
            if end != len(data) or not body or not 0 < body[-1] <= len(body) or body[-1] % 4:
                return None
            body = body[: -body[-1]]
        try:
            packet = _read(kind, first & 0x1F, body)
        except (struct.error, IndexError):
            return None
        if packet is not None:
            packets.append(packet)
        place = end
    return packets or None


def _read(kind: int, count: int, body: bytes) -> Packet | None:
    """One packet's body; raises struct.error or IndexError when it is shorter than it says."""
    if kind == SENDER_REPORT:
        ssrc, *info = _SENDER.unpack_from(body)
        return Report(ssrc, SenderInfo(*info), _read_blocks(body, _SENDER.size, count))
    if kind == RECEIVER_REPORT:
        (ssrc,) = struct.unpack_from("!I", body)
        return Report(ssrc, None, _read_blocks(body, 4, count))
    if kind == SOURCE_DESCRIPTION:
        return Description(_read_names(body, count))
    if kind == GOODBYE:
        return Goodbye(struct.unpack_from(f"!{count}I", body))
    return None


def _read_blocks(body: bytes, place: int, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for number in range(count):
        ssrc, loss, highest, jitter, last, delay = _BLOCK.unpack_from(
            body, place + number * _BLOCK.size
        )
        lost = (loss & 0xFFFFFF) - ((loss & 0x800000) << 1)
        blocks.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last, delay))
    return tuple(blocks)


def _read_names(body: bytes, count: int) -> tuple[tuple[int, str], ...]:
    names = []
    place = 0
    for _ in range(count):
        (ssrc,) = struct.unpack_from("!I", body, place)
        place += 4
        while kind := body[place]:
            length = body[place + 1]
            text = body[place + 2 : place + 2 + length]
            if len(text) < length:
                raise IndexError
            if kind == _CNAME:
                names.append((ssrc, text.decode(errors="replace")))
            place += 2 + length
        place += 4 - place % 4
    return tuple(names)


def ntp_time(utc: datetime) -> int:
    """A time as NTP has it, 64 bit, units of 2^-32 s since 1900; it wraps in 2036."""
    since = utc - _NTP_EPOCH
    seconds = since.days * 86400 + since.seconds
    return (seconds << 32 | (since.microseconds << 32) // 1_000_000) & (1 << 64) - 1


def middle(ntp: int) -> int:
    """The 32 bits that report blocks carry: units of 1/65536 s."""
    return ntp >> 16 & 0xFFFFFFFF


def interval(
    random: random.Random,
    *,
    members: int,
    senders: int,
    we_sent: bool,
    average_size: float,
    initial: bool,
    bandwidth: float = BANDWIDTH,
) -> float:
    """Seconds to the next report, appendix A.7.

    `average_size` is in octets with the UDP and IP headers. With the two members of a call the
    minimum decides: around five seconds, and half of it before the first report.
    """
    share = 1.0
    count = members
    if senders <= members * SENDER_FRACTION:
        if we_sent:
            share, count = SENDER_FRACTION, senders
        else:
            share, count = 1 - SENDER_FRACTION, members - senders
    least = MINIMUM_INTERVAL / 2 if initial else MINIMUM_INTERVAL
    seconds = max(least, average_size * count / (bandwidth * share))
    return seconds * random.uniform(0.5, 1.5) / COMPENSATION
