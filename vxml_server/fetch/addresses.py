"""Which network addresses may be connected to: a document must not reach our own network.

The check is made on the address that is being connected to, after the name was resolved, so that a
name which changes its address between check and use (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

AddressInfo = tuple[
    int | socket.AddressFamily,
    int | socket.SocketKind,
    int,
    str,
    tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
]


class AddressRefused(OSError):
    """The address is not public, and the operator has not allowed the origin."""


def is_public(address: str) -> bool:
    """Whether `address` is one of the open internet: not private, loopback, link-local, shared,
    multicast, reserved or unspecified, nor an IPv6 form that leads to such an IPv4 address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def public_socket(info: AddressInfo) -> socket.socket:
    """A socket for connecting to the address of `info`; `AddressRefused` if it is not public."""
    address = str(info[4][0])
    if not is_public(address):
        raise AddressRefused(f"the address {address} is not public and its origin is not allowed")
    return any_socket(info)


def any_socket(info: AddressInfo) -> socket.socket:
    """A socket for connecting to the address of `info`, whatever it is."""
    family, kind, protocol, _, _ = info
    return socket.socket(family, kind, protocol)
