"""How long an answer may take: a request that stalls, or a handler that hangs, is ended."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from vxml_server.clock import Clock, deadline
from vxml_server.web.problems import Problem


def time_limit(clock: Clock, seconds: float) -> Middleware:
    """The middleware that gives a handler `seconds` of `clock` to make its answer.

    Sending a file afterwards is not counted: callers of slow networks may take their time.
    """

    @web.middleware
    async def limited(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            async with deadline(clock, seconds):
                return await handler(request)
        except TimeoutError:
            if request.content.at_eof():
                raise Problem(
                    HTTPStatus.SERVICE_UNAVAILABLE, f"No answer could be made in {seconds:g} s."
                ) from None
            raise Problem(
                HTTPStatus.REQUEST_TIMEOUT, f"The request did not arrive in {seconds:g} s."
            ) from None

    return limited
