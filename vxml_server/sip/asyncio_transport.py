"""UDP and TCP on asyncio (RFC 3261 section 18), for plain asyncio and uvloop.

The rule: every task, timer and socket made here belongs to a transport and is gone after its
`close()`. A stream that stays silent in the middle of a message, sends too much or reads too
little is closed: one slow peer costs one connection, not memory.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, cast

from vxml_server.clock import Clock, Timer
from vxml_server.sip.errors import InvalidUri
from vxml_server.sip.framing import KEEP_ALIVE, StreamFramer
from vxml_server.sip.transport import Receiver, Transport
from vxml_server.sip.uri import Destination

logger = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 5.0
MESSAGE_SECONDS: Final = 10.0  # from the first byte of a message to its last
MAX_CONNECTIONS: Final = 4096
MAX_UNSENT: Final = 1 << 20  # bytes a peer may leave unread
_REMEMBERED: Final = 1024  # datagrams whose ICMP errors can still be told

# Linux: report ICMP errors of unconnected sockets, with the address they are about.
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_MSG_ERRQUEUE: Final = 0x2000

_UNSPECIFIED = {"0.0.0.0", "::"}


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _OwnAddresses:
    """Which of our addresses a peer sees when we are bound to all of them."""

    def __init__(self, bound: str) -> None:
        self._bound = bound
        self._known: OrderedDict[str, str] = OrderedDict()

    def towards(self, remote_host: str) -> str:
        if self._bound not in _UNSPECIFIED:
            return self._bound
        known = self._known.get(remote_host)
        if known is None:
            # Connecting a datagram socket sends nothing; it only asks the routing table.
            with socket.socket(_family(remote_host), socket.SOCK_DGRAM) as probe:
                try:
                    probe.connect((remote_host, 9))
                    known = str(probe.getsockname()[0])
                except OSError:
                    known = self._bound
            self._known[remote_host] = known
            if len(self._known) > 1024:
                self._known.popitem(last=False)
        return known


class UdpTransport(asyncio.DatagramProtocol):
    """One UDP socket. Responses leave from where requests come in (RFC 3581)."""

    protocol: Final = "udp"
    reliable: Final = False

    def __init__(self, sock: socket.socket, receiver: Receiver) -> None:
        self._socket = sock
        self._receiver = receiver
        self._transport: asyncio.DatagramTransport | None = None
        self.host: str = sock.getsockname()[0]
        self.port: int = sock.getsockname()[1]
        self._own = _OwnAddresses(self.host)
        self._sent: deque[tuple[tuple[str, int], Callable[[str], None]]] = deque(maxlen=_REMEMBERED)

    @classmethod
    async def bind(cls, host: str, port: int, receiver: Receiver) -> UdpTransport:
        sock = socket.socket(_family(host), socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if sys.platform == "linux":
                if sock.family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
                else:
                    sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            sock.bind((host, port))
            transport = cls(sock, receiver)
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: transport, sock=sock)
        except OSError:
            sock.close()
            raise
        return transport

    def advertised(self, remote_host: str) -> str:
        return self._own.towards(remote_host)

    def connected(self, host: str, port: int) -> bool:
        return True

    def send(self, data: bytes, host: str, port: int, failed: Callable[[str], None]) -> None:
        if self._transport is not None:
            self._sent.append(((host, port), failed))
            self._transport.sendto(data, (host, port))

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None
            # The socket is closed in the loop's next round.
            await asyncio.sleep(0)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.strip(b"\r\n\0"):  # anything less is a keep-alive for a NAT
            self._receiver.received(data, self, addr[0], addr[1])

    def error_received(self, exc: Exception) -> None:
        if sys.platform != "linux":
            return
        while True:
            try:
                _, _, _, address = self._socket.recvmsg(2048, 512, _MSG_ERRQUEUE)
            except OSError:
                return
            self._fail((address[0], address[1]), f"unreachable: {exc}")

    def _fail(self, address: tuple[str, int], reason: str) -> None:
        concerned = [failed for sent_to, failed in self._sent if sent_to == address]
        kept = [entry for entry in self._sent if entry[0] != address]
        self._sent.clear()
        self._sent.extend(kept)
        for failed in concerned:
            failed(reason)


class _Connection(asyncio.Protocol):
    """One TCP connection, of either direction."""

    def __init__(self, owner: TcpTransport, peer: tuple[str, int] | None = None) -> None:
        self._owner = owner
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self._waiting: list[tuple[bytes, Callable[[str], None]]] = []
        self._sent: deque[Callable[[str], None]] = deque(maxlen=64)
        self._limit: Timer | None = None
        self._outgoing = peer is not None
        self.peer = peer or ("", 0)

    def send(self, data: bytes, failed: Callable[[str], None]) -> None:
        if self._transport is None:
            self._waiting.append((data, failed))
            return
        self._sent.append(failed)
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self.abort()

    def refuse(self, reason: str) -> None:
        """The connection could not be made."""
        waiting, self._waiting = self._waiting, []
        for _, failed in waiting:
            failed(reason)

    def abort(self) -> None:
        self._stop_limit()
        if self._transport is not None:
            self._transport.abort()

    def _start_limit(self) -> None:
        if self._limit is None:
            self._limit = self._owner.clock.call_later(MESSAGE_SECONDS, self.abort)

    def _stop_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._outgoing:
            peername = transport.get_extra_info("peername")
            self.peer = (peername[0], peername[1])
            if not self._owner.admit(self):
                self._transport.abort()
                return
            self._start_limit()
        waiting, self._waiting = self._waiting, []
        for data, failed in waiting:
            self.send(data, failed)

    def data_received(self, data: bytes) -> None:
        for message in self._framer.feed(data):
            self._stop_limit()
            if message == KEEP_ALIVE:
                if self._transport is not None:
                    self._transport.write(b"\r\n")
            else:
                self._owner.receiver.received(message, self._owner, *self.peer)
        if self._framer.broken:
            self._stop_limit()
            if self._transport is not None:
                self._transport.close()
        elif self._framer.partial:
            self._start_limit()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_limit()
        self._transport = None
        self._owner.forget(self)
        if exc is not None:
            for failed in self._sent:
                failed(f"connection lost: {exc}")


class TcpTransport:
    """One listening TCP socket, the connections it accepted and those made beside it.

    A connection is used for everything between us and that peer address (RFC 3261 section 18:
    "reuse"), and made anew when it is gone."""

    protocol: Final = "tcp"
    reliable: Final = True

    def __init__(self, host: str, port: int, receiver: Receiver, clock: Clock) -> None:
        self.host = host
        self.port = port
        self.receiver = receiver
        self.clock = clock
        self._own = _OwnAddresses(host)
        self._server: asyncio.Server | None = None
        self._connections: dict[tuple[str, int], _Connection] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._closed = False

    @classmethod
    async def bind(cls, host: str, port: int, receiver: Receiver, clock: Clock) -> TcpTransport:
        transport = cls(host, port, receiver, clock)
        server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(transport), host, port, reuse_address=True
        )
        transport._server = server
        transport.port = server.sockets[0].getsockname()[1]
        return transport

    def advertised(self, remote_host: str) -> str:
        return self._own.towards(remote_host)

    def connected(self, host: str, port: int) -> bool:
        return (host, port) in self._connections

    def send(self, data: bytes, host: str, port: int, failed: Callable[[str], None]) -> None:
        if self._closed:
            return
        connection = self._connections.get((host, port))
        if connection is None:
            connection = _Connection(self, (host, port))
            self._connections[host, port] = connection
            task = asyncio.get_running_loop().create_task(self._connect(connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        connection.send(data, failed)

    async def close(self) -> None:
        self._closed = True
        if self._server is not None:
            self._server.close()
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in list(self._connections.values()):
            connection.abort()
        # Aborted connections tell that they are lost in the loop's next rounds.
        for _ in range(3):
            await asyncio.sleep(0)

    def admit(self, connection: _Connection) -> bool:
        """Registers an accepted connection; false when there are too many."""
        if self._closed or len(self._connections) >= MAX_CONNECTIONS:
            return False
        self._connections[connection.peer] = connection
        return True

    def forget(self, connection: _Connection) -> None:
        if self._connections.get(connection.peer) is connection:
            del self._connections[connection.peer]

    async def _connect(self, connection: _Connection) -> None:
        loop = asyncio.get_running_loop()
        local = None if self.host in _UNSPECIFIED else (self.host, 0)
        attempt = loop.create_task(
            loop.create_connection(lambda: connection, *connection.peer, local_addr=local)
        )
        limit = self.clock.call_later(CONNECT_SECONDS, attempt.cancel)
        reason = ""
        try:
            await asyncio.wait({attempt})
            if attempt.cancelled():
                reason = "no connection in time"
            elif error := attempt.exception():
                reason = f"no connection: {error}"
        except asyncio.CancelledError:
            attempt.cancel()
            raise
        finally:
            limit.cancel()
        if reason:
            self.forget(connection)
            connection.refuse(reason)


class AsyncioNetwork:
    """The machine's network on the running loop."""

    async def listen(self, address: Destination, receiver: Receiver, clock: Clock) -> Transport:
        """Raises OSError when the address cannot be bound, InvalidUri for other protocols."""
        if address.protocol == "udp":
            return await UdpTransport.bind(address.host, address.port, receiver)
        if address.protocol == "tcp":
            return await TcpTransport.bind(address.host, address.port, receiver, clock)
        raise InvalidUri(f"no such transport: {address.protocol}")
