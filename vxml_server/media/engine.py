"""The engine: one thread, one 20 ms tick, all channels at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vxml_server.clock import Clock
from vxml_server.media.channel import Channel, ChannelListener
from vxml_server.media.network import Network


class NoPortsLeft(Exception):
    """Every pair of ports of the configured range is in use, quarantined, or somebody else's."""


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


class MediaEngine:
    """All channels of the process.

    `address` is the address for SDP and, unless `bind_address` says otherwise, the one the sockets
    are bound to. `call_soon` brings a callback to the asyncio loop's thread:
    `loop.call_soon_threadsafe`; it is used at most once a tick. `network` is the socket layer,
    real by default.
    """

    def __init__(
        self,
        *,
        address: str,
        ports: range,
        clock: Clock,
        random: random.Random,
        call_soon: Callable[[Callable[[], None]], object],
        bind_address: str | None = None,
        network: Network | None = None,
        media_lost_after: float = 10.0,
    ) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Starts the media thread."""
        raise NotImplementedError

    def stop(self) -> None:
        """Closes every channel (RTCP BYE) and ends the thread; returns when it has ended."""
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """20 ms of all channels. The thread calls it; so do tests, in place of the thread."""
        raise NotImplementedError

    def open(self, listener: ChannelListener) -> Channel:
        """A new channel with a bound pair of ports, silent until `Channel.configure`.

        Raises NoPortsLeft.
        """
        raise NotImplementedError

    def bridge(self, a: Channel, b: Channel, *, keys_pass: bool = True) -> None:
        """Each hears the other, mixed with its own playbacks; RFC 4733 keys pass if wished.

        Listeners hear the keys in any case. A bridge that either was in ends first.
        """
        raise NotImplementedError

    def unbridge(self, a: Channel) -> None:
        """Ends the bridge that `a` is in; closing either channel does so too. Harmless if none."""
        raise NotImplementedError

    def statistics(self) -> EngineStatistics:
        raise NotImplementedError
