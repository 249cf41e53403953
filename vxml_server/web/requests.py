"""What handlers ask of a request: parameters and JSON bodies that are as they are described.

The rule that must hold: what is not as described is answered 400 with a detail that names it, and
nothing is ignored silently.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from aiohttp import web

from vxml_server.store import Json, StoreError
from vxml_server.web.problems import Problem

MAX_JSON = 1024 * 1024
"""Octets of a JSON body at most."""
MAX_NUMBER = 10**18
EARLIEST = datetime.min.replace(tzinfo=UTC) + timedelta(days=3)
LATEST = datetime.max.replace(tzinfo=UTC) - timedelta(days=3)
"""Between them any zone has a day around a time, and one before and after it."""


def bad(detail: str) -> Problem:
    """400: the request is not as it is described."""
    return Problem(HTTPStatus.BAD_REQUEST, detail)


@contextmanager
def store_answers() -> Iterator[None]:
    """Around what asks the database: 503 when it does not answer."""
    try:
        yield
    except StoreError:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer.", {"Retry-After": "5"}
        ) from None


# Parameters --------------------------------------------------------------------------------------


def parameters(request: web.Request, *known: str) -> Mapping[str, str]:
    """The parameters of the query: each known, and given once."""
    query = request.query
    for name in query:
        if name not in known:
            raise bad(f"There is no parameter {name!r}; {_listed(known)}.")
        if len(query.getall(name)) > 1:
            raise bad(f"The parameter {name} was given more than once.")
    return dict(query)


def _listed(names: tuple[str, ...]) -> str:
    if len(names) < 2:
        return f"{names[0]} there is" if names else "there is none"
    return f"{', '.join(names[:-1])} and {names[-1]} there are"


def number(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """A parameter that is a whole number."""
    text = given.get(name)
    if text is None:
        return default
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    if not is_number or len(text) > len(str(most)) or not least <= int(text) <= most:
        raise bad(f"{name}: expected a number from {least} to {most}, got {text!r}.")
    return int(text)


def instant(given: Mapping[str, str], name: str) -> datetime | None:
    """A parameter that is a time (RFC 3339), None when it was not given; in UTC."""
    text = given.get(name)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None and EARLIEST <= found <= LATEST:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise bad(f"{name}: expected a time with its zone (2026-01-31T08:00:00Z), got {text!r}.")


# Bodies ------------------------------------------------------------------------------------------


async def json_object(request: web.Request) -> dict[str, Json]:
    """The body, which is a JSON object (RFC 8259)."""
    if request.content_type != "application/json":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is to be application/json.")
    octets = await request.content.read(MAX_JSON + 1)
    while len(octets) <= MAX_JSON and (more := await request.content.read(MAX_JSON)):
        octets += more
    if len(octets) > MAX_JSON:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body may have {MAX_JSON} octets.")
    try:
        body = json.loads(octets, parse_constant=_no_such_number)
    except (ValueError, RecursionError):
        raise bad("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise bad("The body is to be a JSON object.")
    return body


def _no_such_number(name: str) -> float:
    raise ValueError(name)


def fields(body: Mapping[str, Json], *known: str) -> None:
    """Refuses a body with other keys than these."""
    for name in body:
        if name not in known:
            raise bad(f"There is no field {name!r}; {_listed(known)}.")


def text(body: Mapping[str, Json], name: str, most: int, default: str | None = None) -> str:
    """A field that is a text of printable characters, `most` of them at most."""
    value = body.get(name, default)
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise bad(f"{name}: expected a text of up to {most} characters, got {value!r:.80}.")
    return value


# Answers -----------------------------------------------------------------------------------------


def when(at: datetime | None) -> str | None:
    """RFC 3339, UTC, milliseconds."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def when_epoch(at: float) -> str | None:
    """As `when`, of seconds since the epoch; 0 is never."""
    return when(datetime.fromtimestamp(at, UTC)) if at else None
