"""One request inside a dialog with its one outcome: BYE, INFO (RFC 3261 section 12.2.1).

The rule: `done` is called once, with a final status - 408 when nobody answered, 503 when nobody
could be reached - after credentials were given where they were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from vxml_server.sip.core import add_extra
from vxml_server.sip.errors import InvalidUri
from vxml_server.sip.message import Request, Response
from vxml_server.sip.transaction import Transaction

if TYPE_CHECKING:
    from vxml_server.sip.session import InviteSession


class Exchange:
    """See the module. `headers` are extra ones; Content-Type is taken from there too."""

    def __init__(
        self,
        session: InviteSession,
        method: str,
        headers: Mapping[str, str],
        body: bytes,
        done: Callable[[int], None],
    ) -> None:
        self._session = session
        self._method = method
        self._headers = headers
        self._body = body
        self._done = done

    def send(self) -> None:
        core = self._session.core
        try:
            request, way = self._session.request(self._method)
        except InvalidUri:
            core.defer(lambda: self._done(503))
            return
        add_extra(request.headers, self._headers)
        if self._body:
            request.headers.set("Content-Type", self._headers["Content-Type"])
            request.body = self._body
        core.add_via(request, way)
        self._session.digest.authorize(request)
        core.send_request(request, way, self)

    # As the user of its client transaction.

    def received(self, transaction: Transaction, message: Request | Response) -> None:
        assert isinstance(message, Response)
        if message.status < 200:
            return
        digest = self._session.digest
        if message.status in {401, 407} and digest.challenged(message):
            self.send()
            return
        digest.succeeded(message)
        self._done(message.status)

    def timed_out(self, transaction: Transaction) -> None:
        self._done(408)

    def transport_failed(self, transaction: Transaction, reason: str) -> None:
        self._done(503)
