"""Is it a good stream? Pure functions over the RTP packets that a caller received.

"Speech" is a packet whose level is above `SPEECH_DBFS`. A *talk spurt* is a run of packets whose
timestamps follow each other without a jump; a sender may pause between spurts, never within one.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from tests.integration import audio
from tests.integration.wire import RtpPacket

SPEECH_DBFS = -50.0
LATE_SECONDS = 0.010
"""A packet may be this late after its ptime: at 20 ms, a gap of 30 ms."""


def level(packet: RtpPacket) -> float:
    return audio.dbfs(audio.decode(packet.payload, packet.payload_type))


def is_speech(packet: RtpPacket) -> bool:
    return level(packet) > SPEECH_DBFS


def samples(packets: list[RtpPacket]) -> audio.Samples:
    """The sound of the packets one after the other, without what was not sent between spurts."""
    parts = [audio.decode(p.payload, p.payload_type) for p in packets]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def speech_dbfs(packets: list[RtpPacket]) -> float:
    """The level of the speech alone, pauses left out."""
    return audio.dbfs(samples([p for p in packets if is_speech(p)]))


def spurts(packets: list[RtpPacket]) -> list[list[RtpPacket]]:
    """The packets as talk spurts."""
    found: list[list[RtpPacket]] = []
    for packet in packets:
        if found and _advance(found[-1][-1], packet) == len(found[-1][-1].payload):
            found[-1].append(packet)
        else:
            found.append([packet])
    return found


def faults(packets: list[RtpPacket]) -> list[str]:
    """What is wrong with sequence numbers, timestamps, source and marker. Empty: nothing."""
    found = []
    if len({p.ssrc for p in packets}) > 1:
        found.append("more than one SSRC")
    for a, b in pairwise(packets):
        where = f"after sequence {a.sequence}"
        if (b.sequence - a.sequence) & 0xFFFF != 1:
            found.append(f"{where}: the next is {b.sequence}")
        advance, passed = _advance(a, b), b.at - a.at
        if advance != len(a.payload):
            if abs(advance / audio.RATE - passed) > 0.06:
                found.append(f"{where}: timestamp {advance / audio.RATE:+.3f} s in {passed:.3f} s")
            if not b.marker:
                found.append(f"{where}: a talk spurt begins without marker")
    return found


def late(
    packets: list[RtpPacket],
    allowed: float = LATE_SECONDS,
    stalls: Iterable[tuple[float, float]] = (),
) -> list[str]:
    """Packets within a talk spurt that came more than `allowed` seconds after their time.

    One that was due while the machine stalled (see `witness`) is not counted.
    """
    found = []
    for spurt in spurts(packets):
        for a, b in pairwise(spurt):
            due = a.at + len(a.payload) / audio.RATE
            stalled = any(start < b.at and due < end for start, end in stalls)
            if b.at > due + allowed and not stalled:
                found.append(f"{(b.at - a.at) * 1000:.1f} ms before sequence {b.sequence}")
    return found


def speech_stopped(packets: list[RtpPacket], after: float, quiet: float = 0.15) -> float:
    """Seconds from `after` to the end of the last speech packet before `quiet` seconds without.

    Speech that goes on to the last packet stops there. Negative: it had stopped before.
    """
    spoken = [p for p in packets if is_speech(p)]
    end = after
    ends = [p.at + len(p.payload) / audio.RATE for p in spoken]
    previous = [e for p, e in zip(spoken, ends, strict=True) if p.at <= after]
    if not previous:
        raise AssertionError("nothing was being said")
    end = previous[-1]
    for packet, its_end in zip(spoken, ends, strict=True):
        if packet.at > after:
            if packet.at - end > quiet:
                break
            end = its_end
    return end - after


def sender_reports(reports: list[tuple[float, bytes]]) -> list[tuple[float, int, int]]:
    """When each RTCP sender report came, its SSRC and its packet count (RFC 3550 section 6.4.1)."""
    return [
        (at, int.from_bytes(data[4:8], "big"), int.from_bytes(data[20:24], "big"))
        for at, data in reports
        if len(data) >= 28 and data[1] == 200
    ]


def _advance(a: RtpPacket, b: RtpPacket) -> int:
    """How far the timestamp went from `a` to `b`, in samples; negative if back."""
    return ((b.timestamp - a.timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
