"""One channel's RTCP: when a report is due, what it says, and what the far end says of us.

The rule: a report goes out by the interval of RFC 3550 section 6.3 while the channel is configured,
hold included, and the last one before the ports are given back carries BYE (section 6.3.7).
"""

from __future__ import annotations

import random

from vxml_server.clock import Clock
from vxml_server.media import rtcp
from vxml_server.media.reception import Reception
from vxml_server.media.sender import RtpSender

_HEADERS = 28
"""Octets of UDP and IPv4, which count for the interval."""


class ControlSession:
    """Makes and reads the compound packets of one channel."""

    __slots__ = (
        "_average_size",
        "_clock",
        "_cname",
        "_heard",
        "_packets_before",
        "_random",
        "_sender",
        "invalid",
        "remote_jitter",
        "remote_lost",
        "round_trip",
    )

    def __init__(
        self, sender: RtpSender, *, clock: Clock, random: random.Random, cname: str
    ) -> None:
        self._sender = sender
        self._clock = clock
        self._random = random
        self._cname = cname
        self._average_size = 100.0 + _HEADERS
        self._packets_before = 0
        # The last sender report: its source, the middle of its NTP time, when it came.
        self._heard: tuple[int, int, float] | None = None
        self.invalid = 0
        self.remote_lost: int | None = None
        """Packets of ours that the far end missed, as it says."""
        self.remote_jitter: int | None = None
        """In timestamp units."""
        self.round_trip: float | None = None
        """Seconds."""

    def interval(self, *, initial: bool = False) -> float:
        """Seconds until the next report."""
        we_sent = self._sender.packets > self._packets_before
        self._packets_before = self._sender.packets
        return rtcp.interval(
            self._random,
            members=2,
            senders=1 + we_sent,
            we_sent=we_sent,
            average_size=self._average_size,
            initial=initial,
        )

    def report(self, reception: Reception | None, tick: int, *, goodbye: bool = False) -> bytes:
        """A compound: a report of what was received, our name, and BYE at the end."""
        sender = self._sender
        ntp = rtcp.ntp_time(self._clock.utc_now())
        info = None
        if sender.packets:
            info = rtcp.SenderInfo(
                ntp, sender.timestamp(tick), sender.packets & 0xFFFFFFFF, sender.octets & 0xFFFFFFFF
            )
        blocks = () if reception is None else (self._block(reception),)
        packets: list[rtcp.Packet] = [
            rtcp.Report(sender.ssrc, info, blocks),
            rtcp.Description(((sender.ssrc, self._cname),)),
        ]
        if goodbye:
            packets.append(rtcp.Goodbye((sender.ssrc,)))
        compound = b"".join(map(rtcp.build, packets))
        self._measure(len(compound))
        return compound

    def _block(self, reception: Reception) -> rtcp.ReportBlock:
        last_report = delay = 0
        if self._heard is not None and self._heard[0] == reception.ssrc:
            last_report = self._heard[1]
            delay = int((self._clock.monotonic() - self._heard[2]) * 65536)
        return rtcp.ReportBlock(
            ssrc=reception.ssrc,
            fraction_lost=reception.fraction_lost(),
            packets_lost=reception.cumulative_lost,
            highest_sequence=reception.highest,
            jitter=int(reception.jitter),
            last_report=last_report,
            delay=min(delay, 0xFFFFFFFF),
        )

    def receive(self, datagram: bytes) -> bool:
        """Reads what the far end reports; False, and counted, if it is no valid compound."""
        packets = rtcp.parse(datagram)
        if packets is None:
            self.invalid += 1
            return False
        self._measure(len(datagram))
        for packet in packets:
            if isinstance(packet, rtcp.Report):
                self._hear(packet)
        return True

    def _hear(self, report: rtcp.Report) -> None:
        if report.sender is not None:
            middle = rtcp.middle(report.sender.ntp)
            self._heard = report.ssrc, middle, self._clock.monotonic()
        for block in report.blocks:
            if block.ssrc != self._sender.ssrc:
                continue
            self.remote_lost = block.packets_lost
            self.remote_jitter = block.jitter
            if block.last_report:
                now = rtcp.middle(rtcp.ntp_time(self._clock.utc_now()))
                trip = (now - block.last_report - block.delay) & 0xFFFFFFFF
                # A negative trip, from clocks that disagree by a little, is none.
                self.round_trip = trip / 65536 if trip < 1 << 31 else 0.0

    def _measure(self, size: int) -> None:
        """Section 6.3.3: the average size is one sixteenth this packet, and its headers count."""
        self._average_size += (size + _HEADERS - self._average_size) / 16
