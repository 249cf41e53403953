"""One leg's audio, as the rest of the server sees it: play, stop, keys, statistics.

The methods of `Channel` are called on the asyncio loop's thread. They never wait: what changes the
media goes through the engine's command queue and happens at the next tick, in the order of the
calls. What happens in the media comes back through `ChannelListener`, on the loop's thread again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vxml_server.dtmf import event_packets
from vxml_server.media.play import Playback, Sound
from vxml_server.media.statistics import ChannelStatistics
from vxml_server.media.stream import SAMPLE_RATE, Codec, Stream
from vxml_server.media.termination import Tap, Termination

KeySource = Literal["rfc4733", "inband"]
Command = Callable[[int], None]
"""What the engine does in the media thread at the next tick, whose number it is given."""

MAX_GAP_MS = 10_000


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


class Channel:
    """A pair of UDP ports and the audio that passes through them. `MediaEngine.open` makes it."""

    def __init__(
        self, listener: ChannelListener, address: str, port: int, post: Callable[[Command], None]
    ) -> None:
        self.listener = listener
        self.local_address = address
        """The address for SDP."""
        self.local_port = port
        """The RTP port, even; RTCP is the next one."""
        self.closed = False
        self._post = post
        self._codec: Codec | None = None
        self._state: Termination | None = None

    def attach(self, state: Termination) -> None:
        """Gives the channel its other half; `MediaEngine.open` does so."""
        self._state = state

    @property
    def state(self) -> Termination:
        """The media thread's half, for the engine."""
        if self._state is None:
            raise AssertionError("a channel is attached when the engine opens it")
        return self._state

    def configure(self, stream: Stream) -> None:
        """Starts the media, or changes it (re-INVITE, UPDATE). Playbacks go on."""
        self._codec = stream.codec
        self._do(lambda tick: self.state.configure(stream, tick))

    def play(
        self,
        audio: Sound | NDArray[np.int16] | Sequence[int],
        *,
        repeat: bool = False,
        stop_on_key: bool = False,
        stop_on_speech: bool = False,
    ) -> Playback:
        """Appends audio (linear, 16 bit, 8 kHz) to the play queue; several in a row have no gap.

        `repeat` plays it until it is stopped (ring-back, hold music). `stop_on_key` is barge-in
        decided in the media thread: a key detected while this playback sounds empties the whole
        queue in the same tick, and no packet with speech leaves after it; the listener hears
        `playback_ended`, then `key`. `stop_on_speech` is the same for speech, which begins when the
        tap says so. Give a `Sound` to share the encoded form of a prompt between calls. Raises
        ValueError for what is no sound.
        """
        sound = audio if isinstance(audio, Sound) else Sound(audio)
        playback = Playback(sound, repeat, stop_on_key, stop_on_speech)
        if self._codec is not None:
            # Encoded here, so that the media thread only copies.
            sound.prepare(self._codec)
        self._do(lambda tick: self.state.play(playback))
        return playback

    def stop_playing(self) -> None:
        """Empties the play queue; the last packet with speech leaves at most one tick later."""
        self._do(lambda tick: self.state.stop_playing())

    def progress(self, playback: Playback) -> int:
        """Samples sent by the last tick of a playback that does not repeat."""
        return self.state.queue.progress(playback)

    def send_keys(self, keys: str, duration_ms: int = 100, gap_ms: int = 100) -> None:
        """Sends keys: as RFC 4733 events if they were agreed, else as tones in the audio.

        Before `configure`, and while the stream does not send, they are lost. Raises ValueError for
        a character that is no key, and for what is no duration (at most 8 s) or gap.
        """
        keys = keys.upper()
        for key in keys:
            event_packets(key, duration_ms=duration_ms)
        if not 0 <= gap_ms <= MAX_GAP_MS:
            raise ValueError(f"a gap of {gap_ms} ms")
        self._do(lambda tick: self.state.send_keys(keys, duration_ms, gap_ms))

    def tap(self, tap: Tap | None) -> None:
        """Sets or removes the consumer of both directions' frames."""
        self._do(lambda tick: self.state.set_tap(tap))

    @property
    def has_received(self) -> bool:
        """Whether media has come yet. From any thread."""
        return self.state.receiver.packets > 0

    def statistics(self) -> ChannelStatistics:
        """How the media went so far; after `close()`, how it went."""
        state = self.state
        receiver, sender, control = state.receiver, state.sender, state.control
        reception = receiver.reception
        samples_ms = SAMPLE_RATE / 1000
        return ChannelStatistics(
            codec=self._codec,
            packets_received=receiver.packets,
            packets_lost=receiver.lost,
            packets_late=receiver.late,
            packets_duplicated=receiver.duplicated,
            packets_dropped=sum(receiver.dropped.copy().values()),
            jitter_ms=reception.jitter / samples_ms if reception else 0.0,
            packets_sent=sender.packets,
            octets_sent=sender.octets,
            frames_concealed=state.concealed,
            remote_packets_lost=control.remote_lost,
            remote_jitter_ms=(
                None if control.remote_jitter is None else control.remote_jitter / samples_ms
            ),
            round_trip_ms=None if control.round_trip is None else control.round_trip * 1000,
        )

    def close(self) -> None:
        """Says goodbye (RTCP BYE), ends the playbacks, gives the ports back. Twice is harmless.

        The listener still hears the end of its playbacks, and nothing else after this; what is
        asked of a closed channel is not done.
        """
        self._do(self.state.close)
        self.closed = True

    def _do(self, command: Command) -> None:
        """Posts a command; after `close` nothing is done any more, and nobody is told of it."""
        if not self.closed:
            self._post(command)
