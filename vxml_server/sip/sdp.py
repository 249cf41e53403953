"""Session descriptions (RFC 4566/8866) as frozen data: parse and serialise, no opinion.

What an offer or an answer means is decided in `offer_answer`. The rule: what we do not know
(`b=`, `k=`, `i=`, unknown types) is skipped, and what we need is checked here, so that a
`SessionDescription` in hand is a usable one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vxml_server.sip.errors import InvalidSdp
from vxml_server.sip.uri import ip_address

MAX_SDP = 32768
MAX_MEDIA = 32

_ORIGIN = re.compile(r"(\S+) (\d{1,30}) (\d{1,30}) IN IP[46] (\S+)")
_CONNECTION = re.compile(r"IN IP[46] ([^\s/]+)(?:/\S*)?")
_MEDIA = re.compile(r"(\S+) (\d{1,5})(?:/\d{1,5})? (\S+) (\S.*)")
_RTPMAP = re.compile(r"(\d{1,3})\s+([^\s/]+)/(\d{1,9})(?:/(\S+))?")


@dataclass(frozen=True, slots=True)
class RtpMap:
    """`a=rtpmap`: what a payload number means. `encoding` is in upper case."""

    payload_type: int
    encoding: str
    clock_rate: int
    parameters: str = ""


# Payload numbers that need no rtpmap (RFC 3551 table 4): of these we speak two.
STATIC_RTPMAPS: Mapping[int, RtpMap] = {
    0: RtpMap(0, "PCMU", 8000),
    8: RtpMap(8, "PCMA", 8000),
}


@dataclass(frozen=True, slots=True)
class Origin:
    """`o=`: who made this description; `version` grows by one with each change (RFC 3264 s. 8)."""

    username: str
    session_id: int
    version: int
    address: str

    def __str__(self) -> str:
        family = "IP6" if ":" in self.address else "IP4"
        return f"{self.username} {self.session_id} {self.version} IN {family} {self.address}"


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One `m=` section. `address` is its own or the session's `c=`, "" when there is none;
    port 0 means refused."""

    media: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    address: str = ""
    attributes: tuple[tuple[str, str], ...] = ()

    def attribute(self, name: str) -> str | None:
        """The value of the first `a=name:value` ("" for a flag), None when absent."""
        return _first(self.attributes, name)

    def rtpmaps(self) -> tuple[RtpMap, ...]:
        """What the formats of `m=` mean, in their order; unknown ones left out."""
        known = dict(STATIC_RTPMAPS)
        for name, value in self.attributes:
            match = _RTPMAP.match(value) if name == "rtpmap" else None
            if match:
                number = int(match[1])
                known[number] = RtpMap(number, match[2].upper(), int(match[3]), match[4] or "")
        numbers = [int(text) for text in self.formats if text.isdecimal() and len(text) <= 3]
        return tuple(known[number] for number in numbers if number in known)


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description. `address` is the session's `c=` ("" when only media have one),
    `attributes` are the session level's."""

    origin: Origin
    address: str
    media: tuple[MediaDescription, ...]
    session_name: str = "-"
    attributes: tuple[tuple[str, str], ...] = ()

    def attribute(self, name: str) -> str | None:
        """The value of the first session-level `a=name:value`, None when absent."""
        return _first(self.attributes, name)

    @classmethod
    def parse(cls, body: bytes) -> SessionDescription:
        """Reads a body of `application/sdp`. Raises InvalidSdp."""
        if len(body) > MAX_SDP:
            raise InvalidSdp("longer than 32 KiB")
        return _Reader(body.decode("utf-8", "replace")).description()

    def serialize(self) -> bytes:
        """The body for `application/sdp`."""
        lines = ["v=0", f"o={self.origin}", f"s={self.session_name}"]
        if self.address:
            lines.append(_connection_line(self.address))
        lines.append("t=0 0")
        lines += map(_attribute_line, self.attributes)
        for media in self.media:
            lines.append(f"m={media.media} {media.port} {media.protocol} {' '.join(media.formats)}")
            if media.address and media.address != self.address:
                lines.append(_connection_line(media.address))
            lines += map(_attribute_line, media.attributes)
        return ("\r\n".join(lines) + "\r\n").encode()


def _first(attributes: tuple[tuple[str, str], ...], name: str) -> str | None:
    return next((value for key, value in attributes if key == name), None)


def _attribute_line(attribute: tuple[str, str]) -> str:
    name, value = attribute
    return f"a={name}:{value}" if value else f"a={name}"


def _connection_line(address: str) -> str:
    return f"c=IN {'IP6' if ':' in address else 'IP4'} {address}"


@dataclass(slots=True)
class _Section:
    """An `m=` section being read."""

    match: re.Match[str]
    address: str
    attributes: list[tuple[str, str]]

    def finished(self) -> MediaDescription:
        media, port, protocol, formats = self.match.groups()
        return MediaDescription(
            media.lower(),
            int(port),
            protocol.upper(),
            tuple(formats.split()),
            self.address,
            tuple(self.attributes),
        )


class _Reader:
    """Reads one description line by line."""

    def __init__(self, text: str) -> None:
        self._lines = [line for line in text.replace("\r\n", "\n").split("\n") if line]
        self._origin: Origin | None = None
        self._address = ""
        self._name = "-"
        self._attributes: list[tuple[str, str]] = []
        self._sections: list[_Section] = []

    def description(self) -> SessionDescription:
        if not self._lines or self._lines[0].strip() != "v=0":
            raise InvalidSdp("does not begin with v=0")
        for line in self._lines[1:]:
            if line[1:2] != "=" or not line[0].isalpha():
                raise InvalidSdp(f"not a line of SDP: {line[:40]!r}")
            self._read(line[0], line[2:].strip())
        if self._origin is None:
            raise InvalidSdp("no o= line")
        return SessionDescription(
            self._origin,
            self._address,
            tuple(section.finished() for section in self._sections),
            self._name,
            tuple(self._attributes),
        )

    def _read(self, kind: str, value: str) -> None:
        if kind == "m":
            match = _MEDIA.fullmatch(value)
            if match is None or int(match[2]) > 65535:
                raise InvalidSdp(f"bad m= line: {value[:60]!r}")
            if len(self._sections) == MAX_MEDIA:
                raise InvalidSdp("too many m= lines")
            self._sections.append(_Section(match, self._address, []))
        elif kind == "c":
            match = _CONNECTION.fullmatch(value)
            if match is None:
                raise InvalidSdp(f"bad c= line: {value[:60]!r}")
            address = ip_address(match[1]) or match[1]
            if self._sections:
                self._sections[-1].address = address
            else:
                self._address = address
        elif kind == "a":
            name, _, content = value.partition(":")
            attributes = self._sections[-1].attributes if self._sections else self._attributes
            attributes.append((name.lower(), content.strip()))
        elif kind == "o":
            match = _ORIGIN.fullmatch(value)
            if match is None:
                raise InvalidSdp(f"bad o= line: {value[:60]!r}")
            self._origin = Origin(match[1], int(match[2]), int(match[3]), match[4])
        elif kind == "s":
            self._name = value or "-"
