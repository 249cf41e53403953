"""What is counted, as others read it: of one channel, and of the engine.

The rule: plain values, taken at one moment; reading them changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vxml_server.media.stream import Codec


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """What a call record and a metric need to know of a channel's media.

    `packets_lost` is RFC 3550's: expected less received, never below zero; `jitter_ms` its
    interarrival jitter (section 6.4.1). `packets_late` came after their turn and were not heard.
    `remote_*` is what the far end said of our stream in its last RTCP report (None: no report).
    """

    codec: Codec | None
    packets_received: int
    packets_lost: int
    packets_late: int
    packets_duplicated: int
    packets_dropped: int
    jitter_ms: float
    packets_sent: int
    octets_sent: int
    frames_concealed: int
    remote_packets_lost: int | None
    remote_jitter_ms: float | None
    round_trip_ms: float | None


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """Counters since the start. `lateness` is a histogram: (upper bound in ms, ticks) pairs."""

    channels_open: int
    ticks: int
    ticks_late: int
    ticks_skipped: int
    lateness: tuple[tuple[float, int], ...]
    busy_seconds: float
    packets_received: int
    packets_sent: int
    packets_dropped: Mapping[str, int]
    underruns: int
    """Frames with silence in them because a sound had not been made in time."""
