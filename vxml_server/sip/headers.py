"""Header fields: an ordered, case-insensitive multi-dict (RFC 3261 section 7.3).

The rule: names are kept in one canonical spelling (compact forms expanded, section 7.3.3), so that
a look-up is one dict access; values are kept as they came, unfolded, and are split at commas only
when asked, because most headers of a message are never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vxml_server.sip.errors import Malformed

_NAME = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")

_NAMES = """
Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events
Authentication-Info Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding
Content-Language Content-Length Content-Type CSeq Date Diversion Error-Info Event Expires From
History-Info In-Reply-To Info-Package Max-Forwards MIME-Version Min-Expires Min-SE Organization
P-Asserted-Identity Path Priority Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck
Reason Record-Route Recv-Info Refer-To Referred-By Remote-Party-ID Replaces Reply-To Require
Retry-After Route RSeq Server Session-Expires Session-ID SIP-ETag SIP-If-Match Subject
Subscription-State Supported Timestamp To Unsupported User-Agent User-to-User Via Warning
WWW-Authenticate
"""

_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}

# Spelling as met -> canonical; the canonical and the lower-case spelling of each name hit directly.
_CANONICAL: Mapping[str, str] = (
    {name: name for name in _NAMES.split()}
    | {name.lower(): name for name in _NAMES.split()}
    | _COMPACT
    | {letter.upper(): name for letter, name in _COMPACT.items()}
)


def canonical(name: str) -> str:
    """The one spelling under which `name` is kept."""
    known = _CANONICAL.get(name)
    if known is not None:
        return known
    lower = name.lower()
    return _CANONICAL.get(lower) or "-".join(part.capitalize() for part in lower.split("-"))


def split_commas(value: str) -> list[str]:
    """The elements of a comma-separated header value, commas in quotes and in <> left alone."""
    if "," not in value:
        return [value] if value else []
    if '"' not in value and "<" not in value:
        return [part for raw in value.split(",") if (part := raw.strip())]
    parts: list[str] = []
    start = position = 0
    quoted = angled = False
    while position < len(value):
        character = value[position]
        if quoted:
            if character == "\\":
                position += 1
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character == "<":
            angled = True
        elif character == ">":
            angled = False
        elif character == "," and not angled:
            parts.append(value[start:position].strip())
            start = position + 1
        position += 1
    parts.append(value[start:].strip())
    return [part for part in parts if part]


class Headers:
    """Header fields of one message. Look-ups ignore case and know compact forms."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str] | None = None) -> None:
        self._fields: dict[str, list[str]] = {}
        for name, value in (fields or {}).items():
            self.add(name, value)

    @classmethod
    def of(cls, fields: dict[str, list[str]]) -> Headers:
        """Wraps `fields`, whose names are canonical already."""
        headers = cls()
        headers._fields = fields
        return headers

    def get(self, name: str, default: str = "") -> str:
        """The first value under `name`, whole (not split at commas)."""
        values = self._fields.get(canonical(name))
        return values[0] if values else default

    def lines(self, name: str) -> list[str]:
        """Every header line under `name`, as it came."""
        return list(self._fields.get(canonical(name), ()))

    def values(self, name: str) -> list[str]:
        """Every element under `name`, comma-separated lists split."""
        lines = self._fields.get(canonical(name), ())
        return [element for line in lines for element in split_commas(line)]

    def tokens(self, name: str) -> list[str]:
        """Every element under `name` in lower case: option tags, methods, types."""
        return [element.lower() for element in self.values(name)]

    def add(self, name: str, value: str) -> None:
        """Adds a line after those that are there. Line breaks in `value` become spaces. Raises
        Malformed when `name` is none."""
        if not _NAME.fullmatch(name):
            raise Malformed(f"not a header name: {name!r}")
        if "\r" in value or "\n" in value:
            value = " ".join(value.split())
        self._fields.setdefault(canonical(name), []).append(value)

    def set(self, name: str, value: str) -> None:
        """Replaces whatever is under `name` by one line."""
        self.remove(name)
        self.add(name, value)

    def set_lines(self, name: str, lines: list[str]) -> None:
        """Replaces whatever is under `name` by these lines, in order."""
        self.remove(name)
        for line in lines:
            self.add(name, line)

    def remove(self, name: str) -> None:
        self._fields.pop(canonical(name), None)

    def items(self) -> Iterator[tuple[str, str]]:
        """Every line as (canonical name, value), those of one name together."""
        for name, values in self._fields.items():
            for value in values:
                yield name, value

    def copy(self) -> Headers:
        return Headers.of({name: list(values) for name, values in self._fields.items()})

    def __contains__(self, name: str) -> bool:
        return canonical(name) in self._fields

    def __len__(self) -> int:
        return sum(map(len, self._fields.values()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._fields == other._fields

    __hash__ = None  # type: ignore[assignment]  # mutable, and mypy knows no other way to say so

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"
