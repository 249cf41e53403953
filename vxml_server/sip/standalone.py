"""A request outside any call with its one outcome: OPTIONS, REGISTER (RFC 3261 section 8.1).

The rule: `done` is called once, with a final response - one made here when there is none, 408 when
nobody answered and 503 when nobody could be reached - after credentials were given where they were
asked for; or not at all after `abandon()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vxml_server.sip.core import Core, Hop, add_extra
from vxml_server.sip.digest import DigestClient
from vxml_server.sip.errors import NO_HEADERS
from vxml_server.sip.headers import Headers
from vxml_server.sip.message import Request, Response
from vxml_server.sip.transaction import Transaction
from vxml_server.sip.uri import bracketed


class StandaloneRequest:
    """Sends a request by `hop`, again with credentials when it is challenged."""

    def __init__(
        self,
        core: Core,
        method: str,
        hop: Hop,
        *,
        done: Callable[[Response], None],
        from_: str = "",
        to: str = "",
        call_id: str = "",
        cseq: int = 1,
        digest: DigestClient | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        contact_user: str | None = None,
    ) -> None:
        """`from_` and `to` are URIs: "" is our own address, and the URI of the request. With
        `contact_user` there is a Contact. Raises InvalidUri when no transport reaches the hop."""
        self.cseq = cseq
        self._core = core
        self._done = done
        self._digest = digest or DigestClient(None, core.random)
        self._way = core.way(hop.destination)
        self.contact = core.contact(self._way, contact_user or "")
        fields = Headers()
        fields.set_lines("Route", list(hop.routes))
        fields.add("Max-Forwards", "70")
        own = f"sip:{bracketed(self._way.host)}:{self._way.transport.port}"
        fields.add("From", f"<{from_ or own}>;tag={core.token()}")
        fields.add("To", f"<{to or hop.uri}>")
        fields.add("Call-ID", call_id or core.token())
        if contact_user is not None:
            fields.add("Contact", self.contact)
        add_extra(fields, headers)
        self._request = Request(method, str(hop.uri), fields)
        self._is_over = False
        self._transaction = self._send()

    def abandon(self) -> None:
        """Nobody waits for the outcome any more."""
        self._is_over = True
        self._transaction.abandon()

    def _send(self) -> Transaction:
        method = self._request.method
        # A transaction keeps its request: each try is a message of its own.
        request = Request(method, self._request.uri, self._request.headers.copy())
        request.headers.set("CSeq", f"{self.cseq} {method}")
        self._core.add_via(request, self._way)
        self._digest.authorize(request)
        return self._core.send_request(request, self._way, self)

    def _finish(self, response: Response) -> None:
        if not self._is_over:
            self._is_over = True
            self._core.guarded(lambda: self._done(response))

    # As the user of its client transaction.

    def received(self, transaction: Transaction, message: Request | Response) -> None:
        assert isinstance(message, Response)
        if message.status < 200 or self._is_over:
            return
        if message.status in {401, 407} and self._digest.challenged(message):
            self.cseq += 1
            self._transaction = self._send()
            return
        self._digest.succeeded(message)
        self._finish(message)

    def timed_out(self, transaction: Transaction) -> None:
        self._finish(transaction.request.response(408))

    def transport_failed(self, transaction: Transaction, reason: str) -> None:
        self._finish(transaction.request.response(503, reason))
