"""One leg's audio, as the rest of the server sees it: play, stop, keys, statistics.

The methods of `Channel` are called on the asyncio loop's thread. They never wait: what changes the
media goes through the engine's command queue and happens at the next tick, in the order of the
calls. What happens in the media comes back through `ChannelListener`, on the loop's thread again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vxml_server.media.play import Playback, Sound
from vxml_server.media.stream import Codec, Stream

KeySource = Literal["rfc4733", "inband"]


class ChannelListener(Protocol):
    """Who hears what happens on a channel; called on the asyncio loop's thread, in order."""

    def key(self, key: str, source: KeySource, at: float) -> None:
        """A key began: one of `0-9*#A-D`. `at` is the monotonic time of its detection."""

    def playback_ended(self, playback: Playback, samples_played: int, finished: bool) -> None:
        """A playback is over: its last sample was sent (`finished`), or it was stopped.

        `samples_played` counts the samples (8 kHz) that were sent, repetitions included; it is 0
        for a playback that was still waiting in the queue.
        """

    def media_lost(self, seconds: float) -> None:
        """Nothing has come from the far end for `seconds`; said once, until `media_resumed`."""

    def media_resumed(self) -> None:
        """Packets come again after `media_lost`."""


class Tap(Protocol):
    """A consumer of both directions of a channel: a recorder, a recogniser.

    Called in the media thread, once a tick: it must be quick (append to a queue) and not raise.
    """

    def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> None:
        """20 ms each way, 160 linear samples at 8 kHz; the arrays are the tap's to keep."""


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


class Channel:
    """A pair of UDP ports and the audio that passes through them. `MediaEngine.open` makes it."""

    local_address: str
    """The address for SDP."""
    local_port: int
    """The RTP port, even; RTCP is the next one."""

    def configure(self, stream: Stream) -> None:
        """Starts the media, or changes it (re-INVITE, UPDATE). Playbacks go on."""
        raise NotImplementedError

    def play(
        self,
        audio: Sound | NDArray[np.int16] | Sequence[int],
        *,
        repeat: bool = False,
        stop_on_key: bool = False,
    ) -> Playback:
        """Appends audio (linear, 16 bit, 8 kHz) to the play queue; several in a row have no gap.

        `repeat` plays it until it is stopped (ring-back, hold music). `stop_on_key` is barge-in
        decided in the media thread: a key detected while this playback sounds empties the whole
        queue in the same tick, before the listener hears of the key. Give a `Sound` to share the
        encoded form of a prompt between calls.
        """
        raise NotImplementedError

    def stop_playing(self) -> None:
        """Empties the play queue; the last packet with speech leaves at most one tick later."""
        raise NotImplementedError

    def send_keys(self, keys: str, duration_ms: int = 100, gap_ms: int = 100) -> None:
        """Sends keys: as RFC 4733 events if they were agreed, else as tones in the audio.

        Raises ValueError for a character that is not a key.
        """
        raise NotImplementedError

    def tap(self, tap: Tap | None) -> None:
        """Sets or removes the consumer of both directions' frames."""
        raise NotImplementedError

    def statistics(self) -> ChannelStatistics:
        """How the media went so far; after `close()`, how it went."""
        raise NotImplementedError

    def close(self) -> None:
        """Says goodbye (RTCP BYE), ends the playbacks, gives the ports back. Twice is harmless.

        The listener still hears the end of its playbacks, and nothing after them.
        """
        raise NotImplementedError
