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
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from vxml_server.settings import WebSettings
from vxml_server.web.problems import Problem

API = "/api/"


def guard(settings: WebSettings) -> Middleware:
    """The middleware that lets API requests through or raises `Problem`."""
    token = settings.token.get_secret_value() if settings.token is not None else None

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(API):
            if token is not None:
                _check_token(request, token)
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
        return await handler(request)

    return guarded


async def add_headers(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Nothing we send is to be sniffed, framed, run or kept, unless its handler says so."""
    headers = response.headers
    headers["Server"] = "vxml-server"
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Cache-Control", "no-store")


def _check_token(request: web.Request, token: str) -> None:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(
        given.strip().encode("utf-8", "replace"), token.encode()
    ):
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "The API needs the token of [web] as Authorization: Bearer.",
            {"WWW-Authenticate": 'Bearer realm="vxml-server"'},
        )


def _names_this_machine(request: web.Request) -> bool:
    try:
        host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_of_our_origin(request: web.Request) -> bool:
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("Host")
