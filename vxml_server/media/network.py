"""The socket layer: the few calls that the engine makes on UDP sockets.

A protocol, so that tests drive the engine over a network in memory. The names and shapes are those
of `socket.socket` and `select.epoll`, so that the real ones satisfy it without a layer between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

# What the socket module calls an address: (host, port) for IPv4, two more items for IPv6.
Address = tuple[Any, ...]


class DatagramSocket(Protocol):
    """A bound, non-blocking UDP socket."""

    def fileno(self) -> int: ...

    def sendto(self, data: bytes | bytearray | memoryview, address: Address, /) -> int: ...

    def recvmsg_into(
        self, buffers: Sequence[bytearray], ancbufsize: int = 0, /
    ) -> tuple[int, list[tuple[int, int, bytes]], int, Any]: ...

    def close(self) -> None: ...


class Network(Protocol):
    """Where sockets come from, and which of them have something to read."""

    def bind(self, address: str, port: int) -> DatagramSocket:
        """A socket that `ready` watches; raises OSError if the port is taken."""

    def ready(self) -> list[tuple[int, int]]:
        """(file number, event) of every socket with a datagram waiting, without waiting."""

    def close(self, socket: DatagramSocket) -> None:
        """Stops watching the socket and closes it."""
