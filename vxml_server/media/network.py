"""The socket layer: the few calls that the engine makes on UDP sockets.

A protocol, so that tests drive the engine over a network in memory. The names and shapes of
`DatagramSocket` are those of `socket.socket`, so that the real one satisfies it without a layer
between.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence
from typing import Any, Protocol

# What the socket module calls an address: (host, port) for IPv4, two more items for IPv6.
Address = tuple[Any, ...]

# Linux: the kernel notes when a datagram came, in nanoseconds. Python has no name for it.
TIMESTAMP = 35
ANCILLARY = 64
"""Octets for the kernel's note."""

_RECEIVE_BUFFER = 1 << 17
"""Octets: more than half a second of small packets, for a thread that was kept waiting."""
_EXPEDITED_FORWARDING = 46 << 2
"""The DSCP of telephone audio, RFC 4594 section 4.1, as the TOS octet."""


class DatagramSocket(Protocol):
    """A bound, non-blocking UDP socket."""

    def fileno(self) -> int: ...

    def sendto(self, data: bytes | bytearray | memoryview, address: Address, /) -> int: ...

    def recvmsg_into(
        self, buffers: Sequence[bytearray], ancbufsize: int = 0, /
    ) -> tuple[int, list[tuple[int, int, bytes]], int, Any]: ...

    def close(self) -> None: ...


class Network(Protocol):
    """Where sockets come from, and which of them have something to read.

    `bind` is called on the loop's thread, the rest in the media thread.
    """

    def bind(self, address: str, port: int) -> DatagramSocket:
        """A socket; raises OSError if the port is taken."""

    def watch(self, socket: DatagramSocket) -> None:
        """From now on `ready` has this socket too."""

    def ready(self) -> list[tuple[int, int]]:
        """(file number, event) of every socket with a datagram waiting, without waiting."""

    def close(self, socket: DatagramSocket) -> None:
        """Stops watching the socket and closes it."""


class UdpNetwork:
    """UDP of the operating system, watched with epoll (poll where there is none)."""

    def __init__(self) -> None:
        self._poll: Any = select.epoll() if hasattr(select, "epoll") else select.poll()

    def bind(self, address: str, port: int) -> DatagramSocket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            udp.setblocking(False)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            if hasattr(select, "epoll"):
                udp.setsockopt(socket.SOL_SOCKET, TIMESTAMP, 1)
            if family == socket.AF_INET:
                udp.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED_FORWARDING)
            udp.bind((address, port))
        except OSError:
            udp.close()
            raise
        return udp

    def watch(self, socket: DatagramSocket) -> None:
        self._poll.register(socket.fileno(), select.POLLIN)

    def ready(self) -> list[tuple[int, int]]:
        events: list[tuple[int, int]] = self._poll.poll(0)
        return events

    def close(self, socket: DatagramSocket) -> None:
        # Not every socket was watched, and one that was leaves epoll by being closed.
        socket.close()
