"""The small values that settings are written in: listening addresses, port ranges, origins, lists.

Each parser takes what stands in the file and returns the checked value, or raises `ValueError`
with a text that begins with "expected" and says what would have been right.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_DEFAULT_PORTS = {
    "udp": 5060,
    "tcp": 5060,
    "tls": 5061,
    "ws": 80,
    "wss": 443,
    "http": 80,
    "https": 443,
}
KEY_OCTETS = 32
"""Of a key for AES-256."""
# What stands in braces in the URL of a service that speaks.
SPEECH_NAMES = frozenset(
    {"text", "lang", "voice", "gender", "rate", "rate_percent", "pitch", "pitch_percent"}
)
_HOST_NAME = re.compile(r"(?!-)[a-z0-9-]+(?:\.[a-z0-9-]+)*\.?")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a server listens: `udp://127.0.0.1:5060`. `port` 0 lets the system choose one."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_listen(text: str, schemes: tuple[str, ...]) -> Listen:
    """`scheme://address[:port]` with one of `schemes`; the port defaults to the scheme's own."""
    wanted = ValueError(f"expected {'://, '.join(schemes)}:// and address:port, got {text!r}")
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise wanted from None
    host = parts.hostname
    if (
        parts.scheme not in schemes
        or not host
        or parts.path not in {"", "/"}
        or parts.query
        or parts.fragment
        or parts.username is not None
        or not is_host(host)
    ):
        raise wanted
    return Listen(parts.scheme, host, _DEFAULT_PORTS[parts.scheme] if port is None else port)


def is_host(text: str) -> bool:
    """Whether `text` is an IP address (no brackets) or a host name in lower case."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _HOST_NAME.fullmatch(text) is not None
    return True


def parse_ports(value: object) -> range:
    """`"20000-29999"`, both ends included, as a range. RTP takes ports in even/odd pairs."""
    if isinstance(value, range):
        return value
    wanted = ValueError(
        f'expected two ports between 1024 and 65535 such as "20000-29999", got {value!r}'
    )
    match = (
        re.fullmatch(r"\s*(\d{1,5})\s*-\s*(\d{1,5})\s*", value) if isinstance(value, str) else None
    )
    if match is None:
        raise wanted
    first, last = int(match[1]), int(match[2])
    if not (1024 <= first < last <= 65535):
        raise wanted
    return range(first, last + 1)


def parse_network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """`10.0.0.0/8` or a single address; host bits that are set are refused as a likely slip."""
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    try:
        return ipaddress.ip_network(value if isinstance(value, str) else repr(value))
    except ValueError:
        raise ValueError(f"expected a network such as 10.0.0.0/8, got {value!r}") from None


def parse_origin(text: str) -> str:
    """`http://host[:port]` in the one form that origins are compared in: lower case, with port.

    `*` stands for every origin.
    """
    if text == "*":
        return text
    try:
        return str(parse_listen(text, ("http", "https")))
    except ValueError:
        raise ValueError(f"expected an origin such as http://10.0.0.5:8080, got {text!r}") from None


def parse_key(data: bytes) -> bytes:
    """The 32 octets of a key, given as they are or in base64."""
    if len(data) == KEY_OCTETS:
        return data
    try:
        key = base64.b64decode(data.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_OCTETS:
        raise ValueError(f"expected {KEY_OCTETS} octets in base64")
    return key


def split_items(value: object) -> object:
    """A list as one string, as the environment holds it: JSON, or parted by commas or spaces."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith(("[", "{")) and (parsed := _json(value)) is not None:
        return parsed
    return [item for item in re.split(r"[,\s]+", value) if item]


def read_table(value: object) -> object:
    """A table as one string, as environment variables hold it: a JSON object."""
    if not isinstance(value, str):
        return value
    parsed = _json(value)
    return value if parsed is None else parsed


def _json(text: str) -> object:
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed
