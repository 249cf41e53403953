"""SIP URIs and the addresses around them: From, To, Contact, Route, Via (RFC 3261 section 25.1).

All patterns here take linear time, whatever they are fed. Values come back as frozen data; what
does not fit the grammar raises `InvalidUri` or `Malformed`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from vxml_server.sip.errors import InvalidUri, Malformed

_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
TOKEN = re.compile(_TOKEN)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PARAMETER = re.compile(
    rf'\s*;\s*({_TOKEN})\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^;"\s,]*)\s*)?', re.DOTALL
)
_SIP_URI = re.compile(
    r"(sips?):(?:([^@<>\"\s]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-_]+)(?::(\d{1,5}))?"
    r"((?:;[^;?\s<>]*)*)(\?[^\s<>]*)?",
    re.IGNORECASE,
)
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"]+")
_DISPLAY_NAME = re.compile(r'[^"<>,;:@\\]*')
_VIA = re.compile(
    rf"SIP\s*/\s*2\.0\s*/\s*({_TOKEN})\s+(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-_]+)\s*(?::\s*(\d{{1,5}}))?",
    re.IGNORECASE,
)

DEFAULT_PORT: Mapping[str, int] = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}
_NOTHING: Mapping[str, str] = MappingProxyType({})


def unquote(value: str) -> str:
    """The text of a quoted string, or `value` itself when it is not one."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
    return value


def quote(text: str) -> str:
    """`text` as a quoted string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_parameters(text: str) -> Mapping[str, str]:
    """`;name=value;flag` as a mapping, names in lower case, flags as "". Raises Malformed."""
    if not text:
        return _NOTHING
    parameters: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None:
            if text[position:].strip() != ";":
                raise Malformed(f"bad parameter {text[position : position + 40]!r}")
            break
        name, value = match.groups()
        parameters[name.lower()] = unquote(value) if value else ""
        position = match.end()
    return parameters


def ip_address(host: str) -> str | None:
    """`host` as a normalised IP address without brackets; None when it is a name."""
    if host.lower() == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return None


def bracketed(host: str) -> str:
    """`host` as it stands in a URI: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a message goes to: protocol ("udp", "tcp", ...), IP address, port."""

    protocol: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.protocol}:{bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class SipUri:
    """A `sip:` or `sips:` URI. `user` is kept escaped and with its password part; `host` keeps
    no brackets."""

    scheme: str
    user: str
    host: str
    port: int | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: str = ""

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Raises InvalidUri."""
        match = _SIP_URI.fullmatch(text)
        if match is None:
            raise InvalidUri(f"not a SIP URI: {text[:80]!r}")
        scheme, user, host, port, parameters, headers = match.groups()
        number = int(port) if port else None
        if number is not None and not 0 < number < 65536:
            raise InvalidUri(f"no such port: {port}")
        pairs: dict[str, str] = {}
        if parameters:
            for parameter in parameters[1:].split(";"):
                name, _, value = parameter.partition("=")
                pairs[name.lower()] = value
        return cls(
            scheme.lower(), user or "", host.strip("[]").lower(), number, pairs, (headers or "")[1:]
        )

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port is not None else ""
        parameters = "".join(
            f";{name}={value}" if value else f";{name}" for name, value in self.parameters.items()
        )
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{bracketed(self.host)}{port}{parameters}{headers}"

    @property
    def loose_router(self) -> bool:
        return "lr" in self.parameters

    def destination(self) -> Destination:
        """Where a request to this URI goes, without DNS (RFC 3263 section 4 for IP addresses).
        Raises InvalidUri when the host is a name."""
        host = ip_address(self.parameters.get("maddr") or self.host)
        if host is None:
            raise InvalidUri(f"no IP address: {self.host!r}")
        protocol = self.parameters.get("transport", "").lower()
        if self.scheme == "sips":
            protocol = "wss" if protocol == "ws" else "tls"
        protocol = protocol or "udp"
        if protocol not in DEFAULT_PORT:
            raise InvalidUri(f"no such transport: {protocol!r}")
        return Destination(protocol, host, self.port or DEFAULT_PORT[protocol])


@dataclass(frozen=True, slots=True)
class Address:
    """A name-addr or addr-spec with parameters: From, To, Contact, Route, Record-Route."""

    uri: str
    display_name: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: str) -> Address:
        """Raises Malformed."""
        value = value.strip()
        display_name = ""
        rest = value
        if value.startswith('"'):
            match = _QUOTED.match(value)
            if match is None:
                raise Malformed("quotation mark without its pair")
            display_name = unquote(match.group())
            rest = value[match.end() :].lstrip()
            if not rest.startswith("<"):
                raise Malformed("no address after the display name")
        elif "<" in value:
            display_name, _, _ = value.partition("<")
            rest = value[len(display_name) :]
            display_name = display_name.strip()
            if not _DISPLAY_NAME.fullmatch(display_name):
                raise Malformed(f"bad display name {display_name[:40]!r}")
        if rest.startswith("<"):
            uri, closed, parameters = rest[1:].partition(">")
            if not closed:
                raise Malformed("'<' without '>'")
        else:
            uri, semicolon, parameters = rest.partition(";")
            uri, parameters = uri.rstrip(), semicolon + parameters
            if "?" in uri or "," in uri:
                raise Malformed("a URI with '?' or ',' needs '<' and '>' around it")
        if not _ABSOLUTE_URI.fullmatch(uri):
            raise Malformed(f"bad URI {uri[:80]!r}")
        return cls(uri, display_name, parse_parameters(parameters))

    @property
    def tag(self) -> str:
        return self.parameters.get("tag", "")


@dataclass(frozen=True, slots=True)
class Via:
    """One Via element (section 20.42); `protocol` in lower case."""

    protocol: str
    host: str
    port: int | None
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, value: str) -> Via:
        """Raises Malformed."""
        match = _VIA.match(value.lstrip())
        if match is None:
            raise Malformed(f"bad Via {value[:80]!r}")
        protocol, host, port = match.groups()
        if port is not None and not 0 < int(port) < 65536:
            raise Malformed("bad port in Via")
        return cls(
            protocol.lower(),
            host.strip("[]").lower(),
            int(port) if port else None,
            parse_parameters(value.lstrip()[match.end() :]),
        )

    @property
    def branch(self) -> str:
        return self.parameters.get("branch", "")

    def seen_from(self, host: str, port: int) -> Via:
        """This Via with where it really came from: `received` (section 18.2.1) and `rport`
        (RFC 3581 section 4)."""
        parameters = dict(self.parameters)
        parameters.pop("received", None)
        if "rport" in parameters:
            parameters["rport"] = str(port)
            parameters["received"] = host
        elif self.host != host:
            parameters["received"] = host
        return Via(self.protocol, self.host, self.port, parameters)

    def __str__(self) -> str:
        port = f":{self.port}" if self.port is not None else ""
        parameters = "".join(
            f";{name}={_parameter_value(value)}" if value else f";{name}"
            for name, value in self.parameters.items()
        )
        return f"SIP/2.0/{self.protocol.upper()} {bracketed(self.host)}{port}{parameters}"


def _parameter_value(value: str) -> str:
    return value if re.fullmatch(r"[^\s;,\"]+", value) else quote(value)
