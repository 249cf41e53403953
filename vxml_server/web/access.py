"""Who may use the API, and the headers that every answer carries.

The rule that must hold: the API is closed unless the operator opened it. With `[web] token` a
request must carry it. Without one the API answers only while the server listens on loopback, and
only to requests that name this machine as their host, so that a web page in a browser here cannot
reach it through a name of its own (DNS rebinding), nor the world through a careless proxy; and not
to requests that a page of another origin makes (RFC 6454).
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from vxml_server.settings import WebSettings
from vxml_server.web.problems import Problem

API = "/api/"
ALL = "all"
_RIGHTS = tuple(
    (method, re.compile(pattern), right)
    for method, pattern, right in (
        ("GET", r"/api/v1/recordings(/[^/]+)?", "recordings.read"),
        ("GET", r"/api/v1/recordings/[^/]+/audio", "recordings.listen"),
        ("DELETE", r"/api/v1/recordings/[^/]+", "recordings.delete"),
        ("PUT", r"/api/v1/recordings/[^/]+/hold", "recordings.delete"),
        ("POST", r"/api/v1/calls/[^/]+/recording", "recordings.control"),
        ("GET", r"/api/v1/voicemail/boxes(/[^/]+(/messages)?)?", "voicemail.read"),
        ("GET", r"/api/v1/voicemail/messages/[^/]+", "voicemail.read"),
        ("GET", r"/api/v1/voicemail/messages/[^/]+/audio", "voicemail.listen"),
        ("PUT", r"/api/v1/voicemail/messages/[^/]+/heard", "voicemail.write"),
        ("DELETE", r"/api/v1/voicemail/messages/[^/]+", "voicemail.write"),
    )
)
"""What needs less than all rights; HEAD needs what GET does."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a token, and what he may do."""

    name: str
    rights: frozenset[str]


WHO = web.RequestKey("who", Holder)


def guard(settings: WebSettings) -> Middleware:
    """The middleware that lets API requests through or raises `Problem`."""
    tokens = _tokens(settings)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(API):
            if tokens:
                request[WHO] = _holder(request, tokens)
            elif not settings.listen.is_loopback or not _names_this_machine(request):
                raise Problem(
                    HTTPStatus.FORBIDDEN,
                    "Without [web] token the API answers only on this machine's loopback address.",
                )
            elif not _is_of_our_origin(request):
                raise Problem(
                    HTTPStatus.FORBIDDEN,
                    "Without [web] token the API does not answer pages of other origins.",
                )
            else:
                request[WHO] = Holder("local", frozenset({ALL}))
            _check_right(request)
        return await handler(request)

    return guarded


def who(request: web.Request) -> str:
    """Whoever makes a request of the API, by the name of his token."""
    return request[WHO].name


async def add_headers(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Nothing we send is to be sniffed, framed, run or kept, unless its handler says so."""
    headers = response.headers
    headers["Server"] = "vxml-server"
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Cache-Control", "no-store")


def _tokens(settings: WebSettings) -> list[tuple[bytes, Holder]]:
    tokens = [
        (one.token.get_secret_value().encode(), Holder(one.name, frozenset(one.rights)))
        for one in settings.tokens
    ]
    if settings.token is not None:
        holder = Holder("token", frozenset({ALL}))
        tokens.append((settings.token.get_secret_value().encode(), holder))
    return tokens


def _holder(request: web.Request, tokens: list[tuple[bytes, Holder]]) -> Holder:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    given = text.strip().encode("utf-8", "replace")
    # All of them are compared, so that the time tells nothing.
    fitting = [holder for token, holder in tokens if hmac.compare_digest(given, token)]
    if scheme.lower() != "bearer" or not fitting:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "The API needs the token of [web] as Authorization: Bearer.",
            {"WWW-Authenticate": 'Bearer realm="vxml-server"'},
        )
    return fitting[0]


def _check_right(request: web.Request) -> None:
    method = "GET" if request.method == "HEAD" else request.method
    needed = next(
        (
            right
            for of_method, pattern, right in _RIGHTS
            if of_method == method and pattern.fullmatch(request.path)
        ),
        ALL,
    )
    if not request[WHO].rights & {ALL, needed}:
        raise Problem(HTTPStatus.FORBIDDEN, f"This token does not have the right {needed!r}.")


def _names_this_machine(request: web.Request) -> bool:
    try:
        host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_of_our_origin(request: web.Request) -> bool:
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("Host")
