"""One channel's state in the media thread: sockets, sender, receiver, queues, its row.

"Termination" is H.248's word for what sources and sinks media. The rule: everything here is touched
by the media thread only, but for counters that others read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vxml_server.dtmf import silence, tone
from vxml_server.media.control import ControlSession
from vxml_server.media.network import ANCILLARY, Address, DatagramSocket
from vxml_server.media.play import SILENCE, Playback, PlayQueue, Sound
from vxml_server.media.receiver import Receiver
from vxml_server.media.sender import RtpSender
from vxml_server.media.stream import Codec, Stream


class Tap(Protocol):
    """A consumer of both directions of a channel: a recorder, a recogniser.

    Called in the media thread, once a tick: it must be quick (append to a queue) and not raise.
    """

    def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool:
        """20 ms each way, 160 linear samples at 8 kHz; the arrays are the tap's to keep.

        True if the far end now begins to speak: what stops on speech stops in this tick.
        """


class Termination:
    """What the engine works on in a tick."""

    __slots__ = (
        "_latched",
        "_on_close",
        "bridge",
        "buffer",
        "closed",
        "codec",
        "concealed",
        "control",
        "control_destination",
        "is_lost",
        "keys_may_sound",
        "keys_to",
        "port",
        "queue",
        "receiver",
        "row",
        "rtcp_socket",
        "rtp_socket",
        "sender",
        "sends",
        "sent",
        "stream",
        "tap",
        "tones",
        "watched_from",
    )

    def __init__(
        self,
        *,
        port: int,
        rtp_socket: DatagramSocket,
        rtcp_socket: DatagramSocket,
        sender: RtpSender,
        receiver: Receiver,
        control: ControlSession,
        buffer: bytearray,
        on_close: Callable[[Termination], None],
    ) -> None:
        self.port = port
        self.rtp_socket = rtp_socket
        self.rtcp_socket = rtcp_socket
        self.row = -1
        """The row of the audio matrix; the engine gives it in the media thread."""
        self.sender = sender
        self.receiver = receiver
        self.control = control
        self.buffer = buffer
        self._on_close = on_close
        self.stream: Stream | None = None
        self.codec = Codec.PCMU
        self.sends = False
        self.sent: bytes | memoryview = SILENCE[self.codec]
        """The octets of this tick."""
        self.queue = PlayQueue()
        self.tones = PlayQueue()
        """Keys sent as tones; they go before the queue."""
        self.tap: Tap | None = None
        self.bridge: frozenset[Termination] = frozenset()
        """The channels of the bridge that it is in, itself among them; empty when it is in none."""
        self.keys_to: tuple[Termination, ...] = ()
        """Where its keys pass to."""
        self.keys_may_sound = True
        """Whether keys are sent as tones where events were not agreed."""
        self.closed = False
        self.concealed = 0
        self.watched_from = 0
        """The tick from which media is expected."""
        self.is_lost = False
        """Whether the listener was told that media is lost."""
        self.control_destination: Address = ("", 0)
        self._latched: Address | None = None

    def configure(self, stream: Stream, tick: int) -> None:
        before = self.stream
        self.stream = stream
        self.codec = stream.codec
        self.sends = stream.sends
        self.sender.configure(stream)
        self.receiver.configure(stream)
        if not self.sends:
            self.sender.interrupt()
        if before is None or before.direction is not stream.direction:
            self.watched_from = tick
        if before is None or before.remote_rtcp != stream.remote_rtcp:
            self.control_destination = stream.remote_rtcp
        self.sender.destination = self.receiver.latch.source or stream.remote
        self._latched = self.receiver.latch.source

    def read_rtp(self, tick: int, now: float) -> bool:
        """Reads one RTP packet; True if a key began."""
        receiver = self.receiver
        receiver.read(tick, now)
        if receiver.latch.source is not self._latched:
            self._follow(receiver.latch.source)
        return bool(receiver.keys)

    def _follow(self, source: Address | None) -> None:
        """Media goes to where it comes from, control to the port beside until control comes."""
        self._latched = source
        if source is None or self.stream is None:
            return
        self.sender.destination = source
        if source[:2] == self.stream.remote:
            self.control_destination = self.stream.remote_rtcp
        else:
            self.control_destination = (source[0], min(source[1] + 1, 65535), *source[2:])

    def read_rtcp(self, tick: int, now: float) -> bool:
        """Reads one RTCP packet. What comes from another host than the media is dropped."""
        try:
            size, _, _, source = self.rtcp_socket.recvmsg_into((self.buffer,), ANCILLARY)
        except OSError:
            return False
        if self.stream is None or source[0] != self.sender.destination[0]:
            self.receiver.dropped["control source"] += 1
        elif self.control.receive(bytes(self.buffer[:size])):
            self.control_destination = source
        else:
            self.receiver.dropped["control malformed"] += 1
        return False

    def play(self, playback: Playback) -> None:
        self.queue.append(playback)

    def stop_playing(self) -> None:
        """Empties the queue. Speech that waits for a packet to fill does not leave either."""
        unsent = 0
        if self.queue and self.sends and not self.bridge and not self.tones:
            unsent = self.sender.retract(SILENCE[self.codec])
        self.queue.stop(unsent)

    def send_keys(self, keys: str, duration_ms: int, gap_ms: int) -> None:
        stream = self.stream
        if stream is None or not self.sends:
            return
        for key in keys:
            if stream.event_payload_type_send is not None:
                self.sender.send_key(key, duration_ms, gap_ms)
            elif self.keys_may_sound:
                self.tones.append(Playback(Sound(tone(key, duration_ms))))
                self.tones.append(Playback(Sound(silence(gap_ms))))

    def set_tap(self, tap: Tap | None) -> None:
        self.tap = tap

    def send_control(self, tick: int, *, goodbye: bool = False) -> None:
        """Sends a report; nothing before there is somewhere to send it."""
        if self.stream is None:
            return
        compound = self.control.report(self.receiver.reception, tick, goodbye=goodbye)
        try:
            self.rtcp_socket.sendto(compound, self.control_destination)
        except OSError:
            self.sender.errors += 1

    def close(self, tick: int) -> None:
        """Ends the playbacks and says goodbye; the engine takes back the row and the ports."""
        if not self.closed:
            self.stop_playing()
            self.send_control(tick, goodbye=True)
            self.closed = True
            self._on_close(self)
