"""Session descriptions (RFC 4566/8866) as frozen data: parse and serialise, no opinion.

What an offer or an answer means is decided in `offer_answer`. The rule: what we do not know
(`b=`, `k=`, `i=`, unknown attributes and types) is skipped, and what we need is checked here, so
that a `SessionDescription` in hand is a usable one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RtpMap:
    """`a=rtpmap`: what a payload number means. `encoding` is upper case as in RFC 3551."""

    payload_type: int
    encoding: str
    clock_rate: int
    parameters: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """`o=`: who made this description; `version` grows by one with each change (RFC 3264 s. 8)."""

    username: str
    session_id: int
    version: int
    address: str


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One `m=` section. `address` is its own or the session's `c=`; port 0 means refused."""

    media: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    address: str = ""
    attributes: tuple[tuple[str, str], ...] = ()

    def attribute(self, name: str) -> str | None:
        """The value of the first `a=name:value` ("" for a flag), None when absent."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description. `attributes` are the session level's."""

    origin: Origin
    address: str
    media: tuple[MediaDescription, ...]
    session_name: str = "-"
    attributes: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, body: bytes) -> SessionDescription:
        """Reads a body of `application/sdp`. Raises InvalidSdp."""
        raise NotImplementedError

    def serialize(self) -> bytes:
        """The body for `application/sdp`."""
        raise NotImplementedError
