"""What this room raises, and nothing else: every failure is a `SipError`.

Packets never raise out of the room: a malformed request is answered (RFC 3261 section 21.4.1) or
dropped, and counted. These errors reach only callers of the room's own methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class SipError(Exception):
    """Base of the room's errors."""


class InvalidUri(SipError):
    """A URI or an address that RFC 3261 section 25.1 does not allow, or that we cannot reach."""


class InvalidSdp(SipError):
    """A session description that RFC 4566 does not allow."""


class Malformed(SipError):
    """A message, or a header field of it, that cannot be understood (section 21.4.1)."""


class IllegalTransition(SipError):
    """An event that the state does not know. Nothing happened."""


class Rejection(SipError):
    """A request is refused with this final response, 300-699; `reason` "": the RFC's phrase."""

    def __init__(self, status: int, reason: str = "", headers: Mapping[str, str] = NO_HEADERS):
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.headers = headers

    def __str__(self) -> str:
        return f"{self.status} {self.reason}".rstrip()
