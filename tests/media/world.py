"""A world for the engine without sockets, threads or time: a network in memory, far ends on it."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vxml_server.clock import VirtualClock
from vxml_server.dtmf import event_packets
from vxml_server.media import (
    Channel,
    Codec,
    KeySource,
    MediaEngine,
    Playback,
    Stream,
    rtcp,
    rtp,
)
from vxml_server.media.network import DatagramSocket
from vxml_server.media.play import DECODE, ENCODE
from vxml_server.media.stream import FRAME

HERE = "192.0.2.1"
THERE = "198.51.100.7"
TICK = 0.02

Address = tuple[Any, ...]


class MemorySocket:
    def __init__(self, network: MemoryNetwork, number: int, address: Address) -> None:
        self.network = network
        self.number = number
        self.address = address
        self.inbox: deque[tuple[bytes, Address]] = deque()
        self.closed = False

    def fileno(self) -> int:
        return self.number

    def sendto(self, data: bytes | bytearray | memoryview, address: Address, /) -> int:
        if self.network.unreachable:
            raise OSError("network is unreachable")
        self.network.deliver(bytes(data), self.address, address)
        return len(data)

    def recvmsg_into(
        self, buffers: Sequence[bytearray], ancbufsize: int = 0, /
    ) -> tuple[int, list[tuple[int, int, bytes]], int, Any]:
        if not self.inbox or self.network.broken:
            raise BlockingIOError
        data, source = self.inbox.popleft()
        data = data[: len(buffers[0])]
        buffers[0][: len(data)] = data
        return len(data), [], 0, source

    def close(self) -> None:
        self.closed = True


class MemoryNetwork:
    """Datagrams go at once to the socket, or the far end, that has the address."""

    def __init__(self) -> None:
        self.sockets: dict[Address, MemorySocket] = {}
        self.watched: dict[int, MemorySocket] = {}
        self.far_ends: dict[Address, Callable[[bytes, Address], None]] = {}
        self.taken: set[int] = set()
        self.unreachable = False
        self.broken = False
        self.on_ready: Callable[[], None] | None = None
        self._numbers = 3

    def bind(self, address: str, port: int) -> MemorySocket:
        if port in self.taken or (address, port) in self.sockets:
            raise OSError("address already in use")
        self._numbers += 1
        socket = MemorySocket(self, self._numbers, (address, port))
        self.sockets[address, port] = socket
        return socket

    def watch(self, socket: DatagramSocket) -> None:
        assert isinstance(socket, MemorySocket)
        self.watched[socket.number] = socket

    def ready(self) -> list[tuple[int, int]]:
        if self.on_ready is not None:
            self.on_ready()
        return [(number, 1) for number, socket in self.watched.items() if socket.inbox]

    def close(self, socket: DatagramSocket) -> None:
        assert isinstance(socket, MemorySocket)
        socket.close()
        self.watched.pop(socket.number, None)
        del self.sockets[socket.address]

    def deliver(self, data: bytes, source: Address, destination: Address) -> None:
        if destination in self.sockets:
            self.sockets[destination].inbox.append((data, source))
        elif destination in self.far_ends:
            self.far_ends[destination](data, source)


@dataclass
class Heard:
    """A listener that writes down what it is told."""

    keys: list[tuple[str, KeySource, float]] = field(default_factory=list)
    ended: list[tuple[Playback, int, bool]] = field(default_factory=list)
    media: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)

    def key(self, key: str, source: KeySource, at: float) -> None:
        self.keys.append((key, source, at))
        self.order.append("key")

    def playback_ended(self, playback: Playback, samples_played: int, finished: bool) -> None:
        self.ended.append((playback, samples_played, finished))
        self.order.append("ended")

    def media_lost(self, seconds: float) -> None:
        self.media.append(f"lost {seconds:.1f}")

    def media_resumed(self) -> None:
        self.media.append("resumed")

    @property
    def pressed(self) -> str:
        return "".join(key for key, _, _ in self.keys)


class Both:
    """A tap of two parties that keeps what it is given."""

    def __init__(self, *, fails: bool = False) -> None:
        self.left: list[NDArray[np.int16]] = []
        self.right: list[NDArray[np.int16]] = []
        self._fails = fails

    def frames(self, left: NDArray[np.int16], right: NDArray[np.int16]) -> None:
        self.left.append(left)
        self.right.append(right)
        if self._fails:
            raise RuntimeError("a defect")

    def audio(self) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        return np.concatenate(self.left), np.concatenate(self.right)


@dataclass
class Packet:
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    tick: int


class FarEnd:
    """A telephone on the memory network: keeps the packets it gets, sends what it is told to."""

    def __init__(self, world: World, port: int, channel: Channel, address: str = THERE) -> None:
        self.world = world
        self.address: Address = (address, port)
        self.channel = channel
        self.packets: list[Packet] = []
        self.control: list[bytes] = []
        self.ssrc = 0x11223344 + port
        self.sequence = 65530  # so that every test passes the wrap
        self.timestamp = 0xFFFFFF00
        world.network.far_ends[self.address] = self._rtp
        world.network.far_ends[address, port + 1] = lambda data, _: self.control.append(data)

    def _rtp(self, data: bytes, source: Address) -> None:
        header = rtp.unpack(data, len(data))
        assert header is not None
        assert source == (self.channel.local_address, self.channel.local_port)
        self.packets.append(
            Packet(
                header.payload_type,
                header.marker,
                header.sequence,
                header.timestamp,
                header.ssrc,
                data[header.start : header.end],
                self.world.ticks,
            )
        )

    def send(self, data: bytes, *, source: Address | None = None, offset: int = 0) -> None:
        """`offset` is 1 for control, which comes from the port beside."""
        source = source or (self.address[0], self.address[1] + offset)
        destination = (self.channel.local_address, self.channel.local_port + offset)
        self.world.network.deliver(data, source, destination)

    def packet(self, payload: bytes, *, payload_type: int = 0, marker: bool = False) -> bytes:
        """The next audio packet, whether it is sent or not."""
        data = rtp.pack(
            payload_type, self.sequence, self.timestamp, self.ssrc, payload, marker=marker
        )
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + len(payload)) & 0xFFFFFFFF
        return data

    def speak(self, pcm: NDArray[np.int16], codec: Codec = Codec.PCMU, number: int = 0) -> None:
        """Sends samples in real time, 20 ms a tick, and lets the engine run meanwhile."""
        octets = ENCODE[codec](pcm).tobytes()
        for start in range(0, len(octets), FRAME):
            self.send(self.packet(octets[start : start + FRAME], payload_type=number))
            self.world.run()

    def audio(self, codec: Codec = Codec.PCMU, number: int = 0) -> NDArray[np.int16]:
        """The samples of the audio packets received."""
        octets = b"".join(p.payload for p in self.packets if p.payload_type == number)
        return DECODE[codec](np.frombuffer(octets, np.uint8))


class World:
    def __init__(self, ports: range = range(40000, 40040), **settings: Any) -> None:
        self.network = MemoryNetwork()
        self.clock = VirtualClock()
        self.ticks = 0
        self.calls = 0
        self.call_soon: Callable[[Callable[[], None]], object] = self._call
        self.engine = MediaEngine(
            address=HERE,
            ports=ports,
            clock=self.clock,
            random=random.Random(7),
            call_soon=lambda callback: self.call_soon(callback),
            network=self.network,
            **settings,
        )

    def _call(self, callback: Callable[[], None]) -> None:
        self.calls += 1
        callback()

    def run(self, ticks: int = 1) -> None:
        for _ in range(ticks):
            self.engine.tick(self.clock.monotonic())
            self.clock.advance(TICK)
            self.ticks += 1

    def call(self, port: int = 5000, **stream: Any) -> tuple[Channel, Heard, FarEnd]:
        """A channel that is agreed on with a far end."""
        heard = Heard()
        channel = self.engine.open(heard)
        far = FarEnd(self, port, channel)
        channel.configure(stream_to(port, **stream))
        return channel, heard, far


def stream_to(port: int = 5000, **changes: Any) -> Stream:
    agreed: dict[str, Any] = {
        "remote_address": THERE,
        "remote_port": port,
        "codec": Codec.PCMU,
        "payload_type_send": 0,
        "payload_type_receive": 0,
        "event_payload_type_send": 101,
        "event_payload_type_receive": 96,
    }
    return Stream(**(agreed | changes))


def sine(seconds: float, frequency: float = 440.0, level: float = 8000.0) -> NDArray[np.int16]:
    time = np.arange(round(seconds * 8000)) / 8000
    return (level * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


def ramp(samples: int) -> NDArray[np.int16]:
    """Samples that are all different from silence, and from their neighbours."""
    return (1000 + 97 * np.arange(samples) % 7919).astype(np.int16)


def heard_through(
    pcm: NDArray[np.int16], codec: Codec = Codec.PCMU, times: int = 1
) -> NDArray[np.int16]:
    """What is left of samples that went through a code so many times."""
    for _ in range(times):
        pcm = DECODE[codec](ENCODE[codec](pcm))
    return pcm


def press(world: World, far: FarEnd, key: str, *, number: int = 96, duration_ms: int = 100) -> None:
    """The far end sends a key as events, in real time."""
    timestamp = far.timestamp
    for event in event_packets(key, duration_ms=duration_ms):
        packet = rtp.pack(
            number, far.sequence, timestamp, far.ssrc, event.payload, marker=event.marker
        )
        far.sequence = (far.sequence + 1) & 0xFFFF
        far.send(packet)
        world.run()
    far.timestamp = (timestamp + 8 * duration_ms + 480) & 0xFFFFFFFF


def compounds(far: FarEnd) -> list[list[rtcp.Packet]]:
    parsed = [rtcp.parse(data) for data in far.control]
    assert all(parsed)
    return [packets for packets in parsed if packets is not None]
