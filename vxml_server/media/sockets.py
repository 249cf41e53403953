"""The sockets of all channels: where they are bound, and who reads what comes in.

Sockets are bound on the loop's thread; the rest is done in the media thread. The rule that must
hold: a pair of ports is bound while it is taken and not a moment longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vxml_server.media.network import DatagramSocket, Network
from vxml_server.media.ports import NoPortsLeft, PortPairs
from vxml_server.media.termination import Termination

ROUNDS = 16
"""Packets read from one socket in a tick at most: a flood costs the flooded channel only."""
BIND_ATTEMPTS = 50


class Sockets:
    """The pairs of sockets, RTP and RTCP, that the engine has."""

    def __init__(
        self, network: Network, ports: PortPairs, address: str, monotonic: Callable[[], float]
    ) -> None:
        """`address` is the one that they are bound to; `monotonic` is the clock of the ports' rest
        (seconds)."""
        self._network = network
        self._ports = ports
        self._address = address
        self._monotonic = monotonic
        self._readers: dict[int, Callable[[int, float], bool]] = {}
        self._owners: dict[int, Termination] = {}

    def bind(self) -> tuple[int, DatagramSocket, DatagramSocket]:
        """A port and the sockets of it and of the next. Raises `NoPortsLeft`."""
        for _ in range(BIND_ATTEMPTS):
            now = self._monotonic()
            port = self._ports.take(now)
            bound: list[DatagramSocket] = []
            try:
                bound.append(self._network.bind(self._address, port))
                bound.append(self._network.bind(self._address, port + 1))
            except OSError:
                for socket in bound:
                    self._network.close(socket)
                self._ports.release(port, now)
                continue
            return port, bound[0], bound[1]
        raise NoPortsLeft(f"{BIND_ATTEMPTS} pairs of media ports could not be bound")

    def watch(self, termination: Termination) -> None:
        """From now on what comes in is read by the termination."""
        for socket, read in (
            (termination.rtp_socket, termination.read_rtp),
            (termination.rtcp_socket, termination.read_rtcp),
        ):
            self._readers[socket.fileno()] = read
            self._owners[socket.fileno()] = termination
            self._network.watch(socket)

    def receive(self, tick: int, now: float) -> Iterator[Termination]:
        """Has all read what has come in; those where a key began, as soon as it has."""
        for _ in range(ROUNDS):
            ready = self._network.ready()
            if not ready:
                return
            for number, _ in ready:
                if self._readers[number](tick, now):
                    yield self._owners[number]

    def close(self, termination: Termination) -> None:
        """Closes a termination's sockets and gives its ports back."""
        for socket in (termination.rtp_socket, termination.rtcp_socket):
            del self._readers[socket.fileno()]
            del self._owners[socket.fileno()]
            self._network.close(socket)
        self._ports.release(termination.port, self._monotonic())
