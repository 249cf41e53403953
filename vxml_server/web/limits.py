"""How long an answer may take: a request that stalls, or a handler that hangs, is ended.

The limit is on making the answer. Once its head is sent the body may take as long as it does: files
go to slow networks, and events come as they happen.
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from vxml_server.clock import Clock, Timer, deadline
from vxml_server.web.problems import Problem

_TIMER: web.RequestKey[Timer] = web.RequestKey("time limit")


def time_limit(clock: Clock, seconds: float) -> Middleware:
    """The middleware that gives a handler `seconds` of `clock` to make its answer.

    A handler that sends its body itself needs `lift` among the application's response signals.
    """

    @web.middleware
    async def limited(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            async with deadline(clock, seconds) as timer:
                request[_TIMER] = timer
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


async def lift(request: web.BaseRequest, _response: web.StreamResponse) -> None:
    """The answer begins: for `on_response_prepare`."""
    if isinstance(request, web.Request) and (timer := request.get(_TIMER)) is not None:
        timer.cancel()
