"""The seam between the user agent and the network.

The user agent sees `Transport`s, one for each address it listens on, and is a `Receiver`. UDP and
TCP on asyncio are in `asyncio_transport`; TLS and WebSocket will be further implementations, and
tests have a network of their own. The rule: bytes go up whole (a datagram, or one message cut out
of a stream), and nothing that a peer does raises.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Protocol

from vxml_server.clock import Clock
from vxml_server.sip.errors import InvalidUri
from vxml_server.sip.uri import DEFAULT_PORT, Destination, bracketed, ip_address

_LISTEN = re.compile(r"([a-z]+)://(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+)(?::(\d{1,5}))?/?")


class Transport(Protocol):
    """One listening address and everything sent from it."""

    @property
    def protocol(self) -> str:
        """ "udp", "tcp", ..."""

    @property
    def host(self) -> str:
        """The bound IP address; may be the unspecified one."""

    @property
    def port(self) -> int:
        """The bound port, never 0."""

    @property
    def reliable(self) -> bool:
        """Whether what is sent arrives or the failure is told."""

    def advertised(self, remote_host: str) -> str:
        """Our IP address as `remote_host` sees it, for Via, Contact and SDP."""

    def connected(self, host: str, port: int) -> bool:
        """Whether a connection with that peer is open; always true without connections."""

    def send(self, data: bytes, host: str, port: int, failed: Callable[[str], None]) -> None:
        """Sends one message, connecting first where that is needed. `failed` is called with a
        reason when it is known that it could not be delivered, after `send` has returned."""

    async def close(self) -> None:
        """Closes the socket and all connections. Nothing is received afterwards."""


class Receiver(Protocol):
    """The user agent as a transport sees it."""

    def received(self, data: bytes, transport: Transport, host: str, port: int) -> None:
        """One message from `host`:`port`."""


class Network(Protocol):
    """Where transports come from."""

    async def listen(self, address: Destination, receiver: Receiver, clock: Clock) -> Transport:
        """Binds `address` (port 0: any). Raises OSError."""


def parse_listen(address: str) -> Destination:
    """ "udp://127.0.0.1:5060" as data; a missing port is the protocol's. Raises InvalidUri."""
    match = _LISTEN.fullmatch(address)
    if match is None or match[1] not in DEFAULT_PORT:
        raise InvalidUri(f"not an address to listen on: {address!r}")
    protocol, name, port = match.groups()
    host = ip_address(name)
    if host is None or (port and int(port) > 65535):
        raise InvalidUri(f"an IP address and a port are needed: {address!r}")
    return Destination(protocol, host, int(port) if port else DEFAULT_PORT[protocol])


def listen_address(transport: Transport) -> str:
    """What `parse_listen` read, with the real port."""
    return f"{transport.protocol}://{bracketed(transport.host)}:{transport.port}"


def reaches(transport: Transport, destination: Destination) -> bool:
    """Whether a message to `destination` can leave from `transport`: same protocol and family,
    and loopback only to loopback."""
    here = ipaddress.ip_address(transport.host)
    there = ipaddress.ip_address(destination.host)
    return (
        transport.protocol == destination.protocol
        and here.version == there.version
        and (not here.is_loopback or there.is_loopback)
    )
