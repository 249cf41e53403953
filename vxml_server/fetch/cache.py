"""The HTTP cache: RFC 9111 decided by pure functions over headers and times, and a bounded store.

Nothing here waits or reads a clock: times are given. The cache is private to this server but its
callers are many people, so an entry has a partition: 0 is common to all calls, any other number
belongs to one call. The rule that must hold: what a server may have made for one caller is never
stored in the common partition.

VoiceXML 2.0 section 6.1.2 adds what a document is willing to take: `maxage` bounds the age of a
copy, `maxstale` lets one be used that long after it expired; without it nothing stale is used.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

COMMON = 0

_HEURISTIC = frozenset({200, 203, 204, 301, 308})
_STORABLE = _HEURISTIC | {302, 307}
_HEURISTIC_SHARE = 0.1
_MAX_SECONDS = 2.0**31
_MAX_VARIANTS = 8
# What an entry costs beside its body; keeps a flood of empty responses bounded too.
_ENTRY_OVERHEAD = 1024


@dataclass(frozen=True, slots=True)
class Moment:
    """When a response came: monotonic seconds, UTC, and seconds since its request left."""

    now: float
    wall: datetime
    delay: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored response.

    `vary` are the request headers it was chosen by, `lifetime` the seconds it is fresh,
    `initial_age` its age when it came, at monotonic time `received`. `no_cache` wants validation
    before each use, `must_revalidate` once it is stale whatever the document says.
    """

    uri: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    digest: str
    vary: tuple[tuple[str, str], ...]
    received: float
    initial_age: float
    lifetime: float
    no_cache: bool
    must_revalidate: bool

    def age(self, now: float) -> float:
        """Seconds since the origin server made or validated it (RFC 9111 section 4.2.3)."""
        return self.initial_age + max(0.0, now - self.received)

    @property
    def size(self) -> int:
        return len(self.body) + _ENTRY_OVERHEAD


def directives(headers: Mapping[str, str]) -> dict[str, str]:
    """The Cache-Control directives in lower case; the first of a repeated one counts."""
    found: dict[str, str] = {}
    for part in _split_list(headers.get("cache-control", "")):
        name, _, value = part.partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return found


def is_storable(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the response to a GET may be kept at all (RFC 9111 section 3)."""
    said = directives(headers)
    if status not in _STORABLE or "no-store" in said or headers.get("vary", "").strip() == "*":
        return False
    if status not in _HEURISTIC and not has_explicit_lifetime(headers):
        return False
    return has_explicit_lifetime(headers) or "etag" in headers or "last-modified" in headers


def is_private(headers: Mapping[str, str]) -> bool:
    """Whether the server says that the response is for one caller."""
    return "private" in directives(headers)


def is_personal(headers: Mapping[str, str], request_headers: Mapping[str, str]) -> bool:
    """Whether the response may have been made for one caller and belongs in his partition.

    It is if the server says so, or if it answers a request that carried a cookie without saying how
    long the answer holds. (So is one that sets a cookie: the caller of this knows that.)
    """
    if is_private(headers):
        return True
    identified = "cookie" in request_headers or "authorization" in request_headers
    return identified and "public" not in directives(headers) and not has_explicit_lifetime(headers)


def has_explicit_lifetime(headers: Mapping[str, str]) -> bool:
    said = directives(headers)
    return "max-age" in said or "s-maxage" in said or "expires" in headers


def lifetime(status: int, headers: Mapping[str, str], moment: Moment) -> float:
    """Seconds that the response is fresh from its making (RFC 9111 section 4.2.1)."""
    said = directives(headers)
    if "max-age" in said:
        # An unreadable lifetime is treated as stale (section 4.2.1).
        return _seconds(said["max-age"]) or 0.0
    date = _date(headers.get("date", "")) or moment.wall
    if "expires" in headers:
        expires = _date(headers["expires"])
        return max(0.0, (expires - date).total_seconds()) if expires else 0.0
    modified = _date(headers.get("last-modified", ""))
    if modified is None or status not in _HEURISTIC:
        return 0.0
    return max(0.0, (date - modified).total_seconds()) * _HEURISTIC_SHARE


def initial_age(headers: Mapping[str, str], moment: Moment) -> float:
    """The age on arrival (RFC 9111 section 4.2.3)."""
    date = _date(headers.get("date", ""))
    apparent = max(0.0, (moment.wall - date).total_seconds()) if date else 0.0
    return max(apparent, (_seconds(headers.get("age", "")) or 0.0) + moment.delay)


def make_entry(
    uri: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    digest: str,
    request_headers: Mapping[str, str],
    moment: Moment,
) -> Entry:
    """The entry of a response that has just come."""
    said = directives(headers)
    return Entry(
        uri=uri,
        status=status,
        headers=headers,
        body=body,
        digest=digest,
        vary=tuple(
            (name, request_headers.get(name, ""))
            for name in sorted({n.lower() for n in _split_list(headers.get("vary", ""))})
        ),
        received=moment.now,
        initial_age=initial_age(headers, moment),
        lifetime=lifetime(status, headers, moment),
        no_cache="no-cache" in said,
        must_revalidate="must-revalidate" in said,
    )


def is_usable(entry: Entry, now: float, maxage: float | None, maxstale: float | None) -> bool:
    """Whether the copy may be used without asking the server (VoiceXML 2.0 section 6.1.2.1)."""
    age = entry.age(now)
    if entry.no_cache or (maxage is not None and (maxage <= 0 or age > maxage)):
        return False
    if age < entry.lifetime:
        return True
    return maxstale is not None and not entry.must_revalidate and age - entry.lifetime <= maxstale


def conditional_headers(entry: Entry) -> dict[str, str]:
    """What to send so that the server may answer 304 (RFC 9110 section 13.1)."""
    validators = {"if-none-match": "etag", "if-modified-since": "last-modified"}
    return {
        condition: entry.headers[name]
        for condition, name in validators.items()
        if is_sendable(entry.headers.get(name, ""))
    }


def is_sendable(value: str) -> bool:
    """Whether a value that a server sent can be sent back: servers send any bytes."""
    return value != "" and value.isascii() and value.isprintable()


def freshened(entry: Entry, headers: Mapping[str, str], moment: Moment) -> Entry:
    """The entry after a 304 with `headers` (RFC 9111 section 4.3.4): new metadata, same body."""
    of_the_body = {"content-length", "content-encoding", "content-type", "content-range"}
    merged = {
        **entry.headers,
        **{name: value for name, value in headers.items() if name not in of_the_body},
    }
    # The age counts from this answer, so the first one's must not linger.
    for name in {"age", "date"} - set(headers):
        merged.pop(name, None)
    said = directives(merged)
    return replace(
        entry,
        headers=merged,
        received=moment.now,
        initial_age=initial_age(merged, moment),
        lifetime=lifetime(entry.status, merged, moment),
        no_cache="no-cache" in said,
        must_revalidate="must-revalidate" in said,
    )


class Cache:
    """Entries by partition, URI and the headers they vary on; the least recently used go first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._variants: OrderedDict[tuple[int, str], list[Entry]] = OrderedDict()
        self._uris: dict[int, set[str]] = {}
        self.size = 0

    def get(self, partition: int, uri: str, request_headers: Mapping[str, str]) -> Entry | None:
        """The stored response that this request would select, fresh or not."""
        key = (partition, uri)
        for entry in reversed(self._variants.get(key, [])):
            if all(request_headers.get(name, "") == value for name, value in entry.vary):
                self._variants.move_to_end(key)
                return entry
        return None

    def put(self, partition: int, entry: Entry) -> None:
        """Keeps `entry` in place of the one for the same headers, if it is not too large."""
        if entry.size > self._max_bytes:
            return
        key = (partition, entry.uri)
        kept = self._variants.setdefault(key, [])
        self._uris.setdefault(partition, set()).add(entry.uri)
        gone = [other for other in kept if other.vary == entry.vary]
        kept[:] = [other for other in kept if other.vary != entry.vary]
        if len(kept) >= _MAX_VARIANTS:
            gone.append(kept.pop(0))
        kept.append(entry)
        self.size += entry.size - sum(other.size for other in gone)
        self._variants.move_to_end(key)
        while self.size > self._max_bytes:
            self._remove(next(iter(self._variants)))

    def invalidate(self, partition: int, uri: str) -> None:
        """Forgets `uri` where this caller would find it (RFC 9111 section 4.4)."""
        for key in {(COMMON, uri), (partition, uri)}:
            if key in self._variants:
                self._remove(key)

    def drop(self, partition: int) -> None:
        """Forgets everything of one caller."""
        for uri in list(self._uris.get(partition, ())):
            self._remove((partition, uri))

    def _remove(self, key: tuple[int, str]) -> None:
        self.size -= sum(entry.size for entry in self._variants.pop(key))
        partition, uri = key
        uris = self._uris[partition]
        uris.discard(uri)
        if not uris:
            del self._uris[partition]


def _split_list(text: str) -> list[str]:
    """The members of a comma-separated header; commas inside quotes do not separate."""
    parts: list[str] = []
    current, quoted = "", False
    for character in text:
        if character == "," and not quoted:
            parts.append(current)
            current = ""
            continue
        quoted ^= character == '"'
        current += character
    return [part.strip() for part in (*parts, current) if part.strip()]


def _seconds(text: str) -> float | None:
    text = text.strip()
    return min(float(text), _MAX_SECONDS) if text.isascii() and text.isdigit() else None


def _date(text: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
