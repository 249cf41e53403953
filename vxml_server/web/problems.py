"""Errors as problem documents (RFC 9457), all of them: the rule is that no other error leaves.

`type` is `about:blank`, so `title` is the status's phrase, and `detail` says what to do about it.
Faults of ours are logged and told without their cause.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

MEDIA_TYPE = "application/problem+json"

_KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate", "Location")
_log = structlog.get_logger(__name__)


class Problem(Exception):
    """Raised by a handler to answer with this status and detail."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns whatever a handler raises into a problem document."""
    try:
        if request.path.startswith("/api/") and "\0" in request.path + request.query_string:
            # PostgreSQL takes no such text, and nothing has such a name.
            raise Problem(HTTPStatus.BAD_REQUEST, "Expected no character U+0000.")
        return await handler(request)
    except Problem as problem:
        return respond(request, problem.status, problem.detail, problem.headers)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        kept = {name: error.headers[name] for name in _KEPT_HEADERS if name in error.headers}
        return respond(request, HTTPStatus(error.status), _detail(request, error), kept)
    except Exception:
        _log.exception("a request failed", method=request.method, path=request.path)
        return respond(
            request, HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed; its log says why."
        )


def respond(
    request: web.Request, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The problem document."""
    body = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "instance": request.path,
    }
    return web.Response(
        status=status.value,
        body=json.dumps(body).encode(),
        headers={**(headers or {}), "Content-Type": MEDIA_TYPE},
    )


def _detail(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.method} is not possible here; {', '.join(error.allowed_methods)} is."
    if isinstance(error, web.HTTPNotFound):
        return "There is nothing here."
    return error.text or error.reason
