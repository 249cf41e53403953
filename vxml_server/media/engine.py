"""The engine: one thread, one 20 ms tick, all channels at once, as `[channel, sample]` arrays.

`tick` is the whole engine; the thread only calls it in time, and tests call it without a thread.
The rules: nothing in a tick waits or takes a lock; what other threads want comes as commands and is
done at the beginning of a tick; what happened is delivered at its end, in one call to the loop.

Channels that are not bridged send first: what they send does not depend on what comes in, so it
leaves at the same point of every tick, however much there is to receive.

Audio is linear only where it must be: what comes in is decoded for the key detector, for bridges
and taps, in one operation each; what goes out as it was recorded is copied in its encoded form.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vxml_server.clock import Clock
from vxml_server.media.channel import Channel, ChannelListener, Command, KeySource
from vxml_server.media.conceal import Concealment
from vxml_server.media.control import ControlSession
from vxml_server.media.detect import KeyDetector
from vxml_server.media.jitter import JitterBuffer, Timeline
from vxml_server.media.mixing import Matrix, Mixer
from vxml_server.media.network import Network, UdpNetwork
from vxml_server.media.pacer import TICK, Pacer, raise_priority
from vxml_server.media.pairs import Pairs, StereoTap
from vxml_server.media.play import DECODE, ENCODE, SILENCE
from vxml_server.media.ports import PortPairs
from vxml_server.media.privacy import KeyPrivacy
from vxml_server.media.receiver import Receiver
from vxml_server.media.reports import Reports
from vxml_server.media.sender import RtpSender
from vxml_server.media.sockets import Sockets
from vxml_server.media.statistics import EngineStatistics
from vxml_server.media.stream import Codec
from vxml_server.media.termination import Termination

_log = logging.getLogger(__name__)

FIRST_ROWS = 64
"""Channels there is room for at the start; the room doubles when it is full."""
WATCH_EVERY = 25
"""Ticks between two looks for channels whose media stopped."""
_LARGEST = 2048


class MediaEngine:
    """All channels of the process.

    `address` is the address for SDP and, unless `bind_address` says otherwise, the one the sockets
    are bound to. `call_soon` brings a callback to the asyncio loop's thread:
    `loop.call_soon_threadsafe`; it is used at most once a tick. `network` is the socket layer,
    real by default. `mute_keys` takes the tones of keys out of the audio that bridges and taps get,
    which makes it 40 ms late. Raises ValueError for a range without a pair of ports.
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
        mute_keys: bool = False,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._address = address
        self._clock = clock
        self._random = random
        self._sockets = Sockets(
            network or UdpNetwork(),
            PortPairs(ports, random),
            bind_address or address,
            clock.monotonic,
        )
        self._lost_after = round(media_lost_after / TICK)
        self._cname = f"{random.getrandbits(64):016x}@{address}"

        self._commands: deque[Command] = deque()
        self._reports = Reports(call_soon)
        self._tick = 0
        self._open: list[Termination] = []
        self._channels: dict[Termination, Channel] = {}
        self._control_due: list[tuple[float, int, Termination]] = []
        self._control_order = itertools.count()
        self._buffer = bytearray(_LARGEST)

        self._free_rows = list(range(FIRST_ROWS))
        self._by_row: list[Termination | None] = [None] * FIRST_ROWS
        self._timeline = Timeline(FIRST_ROWS)
        self._concealment = Concealment(FIRST_ROWS)
        self._detector = KeyDetector(FIRST_ROWS, always=mute_keys)
        self._privacy = KeyPrivacy() if mute_keys else None
        self._mixer = Mixer(keys_sound=not mute_keys)
        self._pairs = Pairs()
        self._used_rows = 0

        self._pacer = Pacer(clock.monotonic, sleep)
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._busy = 0.0
        self._ticks = 0
        self._closed_received = 0
        self._closed_sent = 0
        self._closed_underruns = 0
        self._closed_dropped: Counter[str] = Counter()

    # On the loop's thread.

    def start(self) -> None:
        """Starts the media thread."""
        self._thread = threading.Thread(target=self._run, name="media", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Closes every channel (RTCP BYE) and ends the thread; returns when it has ended."""
        self._stopping = True
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._obey()
        for termination in list(self._open):
            self._channels[termination].closed = True
            termination.close(self._tick)
        self._reports.deliver()

    def open(self, listener: ChannelListener) -> Channel:
        """A new channel with a bound pair of ports, silent until `Channel.configure`.

        Raises NoPortsLeft.
        """
        port, rtp_socket, rtcp_socket = self._sockets.bind()
        sender = RtpSender(rtp_socket, self._random)
        termination = Termination(
            port=port,
            rtp_socket=rtp_socket,
            rtcp_socket=rtcp_socket,
            sender=sender,
            receiver=Receiver(rtp_socket, JitterBuffer(self._timeline, 0), self._buffer),
            control=ControlSession(
                sender, clock=self._clock, random=self._random, cname=self._cname
            ),
            buffer=self._buffer,
            on_close=self._closed,
        )
        channel = Channel(listener, self._address, port, self._commands.append)
        channel.attach(termination)
        self._commands.append(lambda tick: self._admit(channel))
        return channel

    def bridge(self, a: Channel, b: Channel, *, keys_pass: bool = True) -> None:
        """Each hears the other, mixed with its own playbacks; RFC 4733 keys pass if wished.

        Listeners hear the keys in any case. A bridge that either was in ends first. ValueError for
        a channel with itself.
        """
        if a is b:
            raise ValueError("a channel is not bridged with itself")
        each = {a: (b,), b: (a,)}
        self.mix(each, keys=each if keys_pass else {})

    def mix(
        self,
        hears: Mapping[Channel, Collection[Channel]],
        *,
        keys: Mapping[Channel, Collection[Channel]] = MappingProxyType({}),
    ) -> None:
        """A bridge of several: each channel hears the sum of those it is given, and its playbacks.

        `keys` are those to whom the keys of a channel pass; listeners hear them in any case. Who is
        in a bridge already changes over without a gap, and those of it who are not in the new one
        are in none. A channel that is closed leaves its bridge, and the others go on, but for the
        last. ValueError for a channel that is to hear itself, or one that is not in the bridge.
        """
        for one, others in [*hears.items(), *keys.items()]:
            if one in others or one not in hears or not hears.keys() >= set(others):
                raise ValueError("a channel hears others of its bridge")

        self._commands.append(lambda tick: self._mixer.join(_states(hears), _states(keys)))

    def unbridge(self, a: Channel) -> None:
        """Ends the bridge that `a` is in, for all who are in it. Harmless if none."""
        self._commands.append(lambda tick: self._mixer.part(a.state))

    def tap_pair(
        self, left: Channel, right: Channel, tap: StereoTap, *, without_keys: bool = False
    ) -> None:
        """Gives `tap` what comes from two channels, side by side as it was said.

        That goes on until both are closed, or `untap_pair`. `without_keys` takes the tones of keys
        out, which makes it 40 ms late. Bridges, the taps of the channels and other pairs are not
        touched.
        """
        self._commands.append(
            lambda tick: self._overhear(left.state, right.state, tap, without_keys=without_keys)
        )

    def untap_pair(self, tap: StereoTap, ended: Callable[[], None] = lambda: None) -> None:
        """Ends what `tap_pair` began; harmless if it has ended.

        The tap is given what is still on its way; then `ended` is called, in the media thread, and
        must be as quick as the tap.
        """
        self._commands.append(lambda tick: self._overhear_no_more(tap, ended))
        if self._stopping and self._thread is None:
            self._obey()

    def statistics(self) -> EngineStatistics:
        channels = list(self._open)
        dropped = self._closed_dropped.copy()
        for termination in channels:
            dropped.update(termination.receiver.dropped.copy())
        return EngineStatistics(
            channels_open=len(channels),
            ticks=self._ticks,
            ticks_late=self._pacer.late,
            ticks_skipped=self._pacer.skipped,
            lateness=self._pacer.histogram,
            busy_seconds=self._busy,
            packets_received=self._closed_received + sum(c.receiver.packets for c in channels),
            packets_sent=self._closed_sent + sum(c.sender.packets for c in channels),
            packets_dropped=dropped,
            underruns=self._closed_underruns + sum(c.queue.underruns for c in channels),
        )

    # In the media thread.

    def _run(self) -> None:
        raise_priority()
        while not self._stopping:
            now, skipped = self._pacer.wait()
            if skipped:
                self._skip(skipped)
            try:
                self.tick(now)
            except Exception:
                # A defect in one tick must not silence every call.
                _log.exception("a media tick failed")
                self._tick += 1
            self._busy = time.thread_time()

    def tick(self, now: float) -> None:
        """20 ms of all channels. The thread calls it; so do tests, in place of the thread."""
        self._obey()
        self._play()
        self._receive(now)
        heard, lost = self._decode()
        self._detect(heard, lost, now)
        if self._privacy is not None:
            self._privacy.clean(self._overheard(), heard, self._detector.sounding, lost)
        voices = self._mixer.mix(heard)
        codes = self._encode(voices)
        self._send(codes)
        self._tap(heard)
        self._pairs.feed(heard, self._detector.sounding, lost)
        self._control(now)
        self._watch()
        self._reports.deliver()
        self._timeline.clear_tick(self._tick)
        self._tick += 1
        self._ticks += 1

    def _skip(self, ticks: int) -> None:
        """Ticks for which it is too late: timestamps go on, and the next packets are marked."""
        for _ in range(ticks):
            self._timeline.clear_tick(self._tick)
            self._tick += 1
        for termination in self._open:
            termination.sender.interrupt()

    def _obey(self) -> None:
        while self._commands:
            self._commands.popleft()(self._tick)

    def _receive(self, now: float) -> None:
        for termination in self._sockets.receive(self._tick, now):
            for key in termination.receiver.keys:
                self._key(termination, key, "rfc4733", now)
            termination.receiver.keys.clear()
            self._detector.listening[termination.row] = False

    def _decode(self) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """The tick's frame of every row, made whole, and which were damaged."""
        place = self._tick % len(self._timeline.octets)
        octets = self._timeline.octets[place, : self._used_rows]
        present = self._timeline.present[place, : self._used_rows]
        pcm = DECODE[Codec.PCMU](octets)
        if rows := [t.row for t in self._open if t.codec is Codec.PCMA]:
            pcm[rows] = DECODE[Codec.PCMA](octets[rows])
        heard, lost = self._concealment.fill(pcm, present)
        for row in np.flatnonzero(lost):
            termination = self._by_row[row]
            if termination is not None:
                termination.concealed += 1
        return heard, lost

    def _detect(self, heard: NDArray[np.int16], lost: NDArray[np.bool_], now: float) -> None:
        for row, keys in self._detector.feed(heard, lost):
            termination = self._by_row[row]
            if termination is not None:
                for key in keys:
                    self._key(termination, key, "inband", now)

    def _encode(self, voices: NDArray[np.int16]) -> dict[Termination, NDArray[np.uint8]]:
        codes: dict[Termination, NDArray[np.uint8]] = {}
        for codec, encode in ENCODE.items():
            places = [i for i, t in enumerate(self._mixer.members) if t.codec is codec]
            if places:
                for place, octets in zip(places, encode(voices[places]), strict=True):
                    codes[self._mixer.members[place]] = octets
        return codes

    def _play(self) -> None:
        for termination in self._open:
            if not termination.bridge:
                codec = termination.codec
                octets: bytes | memoryview
                if termination.tones:
                    octets = termination.tones.take(codec)
                elif termination.queue:
                    octets = termination.queue.take(codec)
                else:
                    octets = SILENCE[codec]
                self._emit(termination, octets)

    def _send(self, codes: dict[Termination, NDArray[np.uint8]]) -> None:
        for termination, voice in codes.items():
            if termination.tones:
                self._emit(termination, termination.tones.take(termination.codec))
            else:
                self._emit(termination, voice.data)

    def _emit(self, termination: Termination, octets: bytes | memoryview) -> None:
        termination.sent = octets
        if termination.sends:
            termination.sender.frame(octets, self._tick)
        if termination.tones.ended:
            termination.tones.ended.clear()
        if termination.queue.ended:
            self._report_ended(termination)

    def _tap(self, heard: NDArray[np.int16]) -> None:
        for termination in self._open:
            tap = termination.tap
            if tap is None:
                continue
            octets = termination.sent if termination.sends else SILENCE[termination.codec]
            sent = DECODE[termination.codec](np.frombuffer(octets, np.uint8))
            try:
                speaks = tap.frame(heard[termination.row].copy(), sent)
            except Exception:
                # A tap is somebody else's code: its defect costs the tap, not the calls.
                _log.exception("a tap failed and was removed")
                termination.tap = None
                continue
            current = termination.queue.current
            if speaks and current is not None and current.stop_on_speech:
                self._barge_in(termination)

    def _overheard(self) -> list[Termination]:
        """The channels whose audio somebody else gets."""
        return [
            one
            for one in self._open
            if one.bridge or one.tap is not None or one in self._pairs.overheard
        ]

    def _control(self, now: float) -> None:
        while self._control_due and self._control_due[0][0] <= now:
            _, _, termination = heapq.heappop(self._control_due)
            if not termination.closed:
                termination.send_control(self._tick)
                self._schedule_control(termination, now)

    def _schedule_control(
        self, termination: Termination, now: float, *, initial: bool = False
    ) -> None:
        due = now + termination.control.interval(initial=initial)
        heapq.heappush(self._control_due, (due, next(self._control_order), termination))

    def _watch(self) -> None:
        """Tells listeners of media that stopped, and of media that came back."""
        if self._tick % WATCH_EVERY:
            return
        for termination in self._open:
            stream = termination.stream
            if stream is None or not stream.direction.receives:
                continue
            silence = self._tick - max(termination.receiver.heard, termination.watched_from)
            is_lost = silence >= self._lost_after
            if is_lost != termination.is_lost:
                termination.is_lost = is_lost
                channel = self._channels[termination]
                self._reports.media(channel, is_lost=is_lost, seconds=silence * TICK)

    # What happened.

    def _key(self, termination: Termination, key: str, source: KeySource, now: float) -> None:
        current = termination.queue.current
        if current is not None and current.stop_on_key:
            self._barge_in(termination)
        if termination.keys_to:
            if self._privacy is None:
                passes = source == "rfc4733"  # a tone is in the audio already
            else:
                passes = self._privacy.lets_pass(termination, key, source, now)
            if passes:
                for other in termination.keys_to:
                    other.send_keys(key, 100, 100)
        self._reports.key(self._channels[termination], key, source, now)

    def _barge_in(self, termination: Termination) -> None:
        termination.stop_playing()
        self._report_ended(termination)

    def _report_ended(self, termination: Termination) -> None:
        ended, termination.queue.ended = termination.queue.ended, []
        self._reports.ended(self._channels[termination], ended)

    # Commands.

    def _admit(self, channel: Channel) -> None:
        """Gives a channel its row of the matrices, and opens its ears."""
        termination = channel.state
        if not self._free_rows:
            self._grow()
        row = heapq.heappop(self._free_rows)
        termination.row = row
        termination.receiver.jitter.channel = row
        self._by_row[row] = termination
        self._used_rows = max(self._used_rows, row + 1)
        self._channels[termination] = channel
        self._open.append(termination)
        self._sockets.watch(termination)
        self._timeline.clear_channel(row)
        self._concealment.reset(row)
        self._detector.reset(row, listening=True)
        self._schedule_control(termination, self._clock.monotonic(), initial=True)

    def _grow(self) -> None:
        before = len(self._by_row)
        channels = 2 * before
        self._timeline.grow(channels)
        self._concealment.grow(channels)
        self._detector.grow(channels)
        self._by_row.extend([None] * before)
        self._free_rows = list(range(before, channels))

    def _closed(self, termination: Termination) -> None:
        """Takes back what `_admit` gave, and the ports."""
        self._mixer.leave(termination)
        if termination.queue.ended:
            self._report_ended(termination)
        self._sockets.close(termination)
        row = termination.row
        self._detector.listening[row] = False
        self._timeline.clear_channel(row)
        self._concealment.reset(row)
        self._by_row[row] = None
        heapq.heappush(self._free_rows, row)
        while self._used_rows and self._by_row[self._used_rows - 1] is None:
            self._used_rows -= 1
        self._open.remove(termination)
        del self._channels[termination]
        self._closed_received += termination.receiver.packets
        self._closed_sent += termination.sender.packets
        self._closed_underruns += termination.queue.underruns
        self._closed_dropped.update(termination.receiver.dropped)

    def _overhear(
        self, left: Termination, right: Termination, tap: StereoTap, *, without_keys: bool
    ) -> None:
        # Where keys are muted for everybody they need not be muted twice.
        without_keys = without_keys and self._privacy is None
        self._pairs.add(left, right, tap, without_keys=without_keys)
        self._detector.always = self._privacy is not None or self._pairs.want_no_keys

    def _overhear_no_more(self, tap: StereoTap, ended: Callable[[], None]) -> None:
        self._pairs.remove(tap)
        self._detector.always = self._privacy is not None or self._pairs.want_no_keys
        ended()


def _states(matrix: Mapping[Channel, Collection[Channel]]) -> Matrix:
    return {one.state: [other.state for other in others] for one, others in matrix.items()}
