"""A media engine without packets: sounds take their time on the virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from vxml_server.calls import Leg
from vxml_server.clock import VirtualClock
from vxml_server.media import ChannelStatistics, NoPortsLeft, Playback, Sound, Stream, Tap


class FakeChannel:
    """Plays on the virtual clock; what stops is told a moment later, as the engine does."""

    def __init__(self, engine: FakeEngine, listener: Leg, port: int) -> None:
        self.local_address = "192.0.2.1"
        self.local_port = port
        self.listener = listener
        self.closed = False
        self.streams: list[Stream] = []
        self.played: list[tuple[Sound, float]] = []
        """Every sound that began, and when."""
        self.keys_sent = ""
        self.tapped_by: Tap | None = None
        self._engine = engine
        self._clock = engine.clock
        self._queue: list[Playback] = []
        self._began = 0.0
        self._timer = None

    @property
    def stream(self) -> Stream:
        return self.streams[-1]

    @property
    def is_playing(self) -> bool:
        return bool(self._queue)

    @property
    def sounding(self) -> Sound | None:
        return self._queue[0].sound if self._queue else None

    def configure(self, stream: Stream) -> None:
        if not self.closed:
            self.streams.append(stream)

    def play(
        self,
        sound: Sound,
        *,
        repeat: bool = False,
        stop_on_key: bool = False,
        stop_on_speech: bool = False,
    ) -> Playback:
        playback = Playback(sound, repeat, stop_on_key, stop_on_speech)
        if not self.closed:
            self._queue.append(playback)
            if len(self._queue) == 1:
                self._begin()
        return playback

    def _begin(self) -> None:
        self._began = self._clock.monotonic()
        playback = self._queue[0]
        self.played.append((playback.sound, self._began))
        if not playback.repeat:
            self._timer = self._clock.call_later(playback.sound.seconds, self._finish)

    def _finish(self) -> None:
        sound = self._queue[0].sound
        heard = round((self._clock.monotonic() - self._began) * 8000)
        if not sound.is_complete or len(sound) > heard:
            # Still being made: what is missing would be silence.
            self._timer = self._clock.call_later(0.02, self._finish)
            return
        playback = self._queue.pop(0)
        self.listener.playback_ended(playback, len(playback.sound), True)
        if self._queue:
            self._begin()

    def _empty(self) -> list[tuple[Playback, int]]:
        if self._timer is not None:
            self._timer.cancel()
        heard = self._heard() if self._queue else 0
        ended = [(playback, heard if i == 0 else 0) for i, playback in enumerate(self._queue)]
        self._queue.clear()
        return ended

    def _tell(self, ended: list[tuple[Playback, int]]) -> None:
        for playback, samples in ended:
            self.listener.playback_ended(playback, samples, False)

    def stop_playing(self) -> None:
        if ended := self._empty():
            asyncio.get_running_loop().call_soon(self._tell, ended)

    def progress(self, playback: Playback) -> int:
        if playback not in self._queue[:1]:
            return 0 if playback in self._queue else len(playback.sound)
        return self._heard()

    def _heard(self) -> int:
        heard = round((self._clock.monotonic() - self._began) * 8000)
        return min(heard, len(self._queue[0].sound))

    def press(self, keys: str, source: str = "rfc4733") -> None:
        """The far end presses keys: barge-in is decided here, as in the media thread."""
        for key in keys:
            if self._queue and self._queue[0].stop_on_key:
                self._tell(self._empty())
            self.listener.key(key, source, self._clock.monotonic())

    def tap(self, tap: Tap | None) -> None:
        self.tapped_by = tap

    def speak(self) -> None:
        """The tap says that the far end speaks: what stops on speech stops here."""
        if self._queue and self._queue[0].stop_on_speech:
            self._tell(self._empty())

    def send_keys(self, keys: str, duration_ms: int = 100, gap_ms: int = 100) -> None:
        self.keys_sent += keys

    def statistics(self) -> ChannelStatistics:
        codec = self.streams[-1].codec if self.streams else None
        return ChannelStatistics(codec, 100, 3, 0, 0, 0, 1.234, 100, 16000, 0, None, None, None)

    def close(self) -> None:
        if not self.closed:
            self.stop_playing()
            self._engine.leave(self)
            self.closed = True


class FakeEngine:
    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.channels: list[FakeChannel] = []
        self.bridges: list[frozenset[FakeChannel]] = []
        self.hears: dict[FakeChannel, set[FakeChannel]] = {}
        self.most_channels = 100

    @property
    def open_channels(self) -> list[FakeChannel]:
        return [channel for channel in self.channels if not channel.closed]

    def open(self, listener: Leg) -> FakeChannel:
        if len(self.open_channels) >= self.most_channels:
            raise NoPortsLeft("no ports")
        channel = FakeChannel(self, listener, 40000 + 2 * len(self.channels))
        self.channels.append(channel)
        return channel

    def bridge(self, a: FakeChannel, b: FakeChannel, *, keys_pass: bool = True) -> None:
        self.unbridge(a)
        self.unbridge(b)
        self.bridges.append(frozenset({a, b}))
        self.hears = {**self.hears, a: {b}, b: {a}}

    def mix(
        self,
        hears: Mapping[FakeChannel, Collection[FakeChannel]],
        *,
        keys: Mapping[FakeChannel, Collection[FakeChannel]],
    ) -> None:
        for one in hears:
            self.unbridge(one)
        self.bridges.append(frozenset(hears))
        self.hears = {**self.hears, **{one: set(others) for one, others in hears.items()}}

    def leave(self, a: FakeChannel) -> None:
        others = {one: self.hears[one] - {a} for one in self.hears if self.are_bridged(one, a)}
        self.unbridge(a)
        others.pop(a, None)
        if len(others) > 1:
            self.mix(others, keys={})

    def are_bridged(self, a: FakeChannel, b: FakeChannel) -> bool:
        return any({a, b} <= bridge for bridge in self.bridges)

    def unbridge(self, a: FakeChannel) -> None:
        for bridge in self.bridges:
            if a in bridge:
                self.hears = {one: it for one, it in self.hears.items() if one not in bridge}
        self.bridges = [bridge for bridge in self.bridges if a not in bridge]


def said(channel: FakeChannel) -> list[float]:
    """When sounds began on a channel."""
    return [at for _, at in channel.played]
