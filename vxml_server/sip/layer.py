"""The transaction layer: which transaction a message belongs to (RFC 3261 sections 17.1.3, 17.2.3).

The rule: a request makes a server transaction only when none matches it, so that whoever is above
sees each request once.
"""

from __future__ import annotations

from dataclasses import dataclass

from vxml_server.sip.machines import (
    INVITE_CLIENT,
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    Event,
    Timings,
)
from vxml_server.sip.message import Request, Response
from vxml_server.sip.timers import Timers
from vxml_server.sip.transaction import Path, Transaction, TransactionUser
from vxml_server.sip.uri import Destination

MAGIC_COOKIE = "z9hG4bK"


@dataclass(slots=True)
class Counters:
    """Numbers since the start, for metrics."""

    requests_received: int = 0
    requests_sent: int = 0
    responses_received: int = 0
    responses_sent: int = 0
    retransmissions_received: int = 0
    retransmissions_sent: int = 0
    malformed: int = 0
    refused_sources: int = 0
    transport_errors: int = 0


def server_key(request: Request, method: str) -> tuple[str, ...]:
    """What requests of one server transaction have in common; `method` is INVITE for its ACK."""
    via = request.via
    branch = via.branch
    if branch.startswith(MAGIC_COOKIE) and len(branch) > len(MAGIC_COOKIE):
        return (branch, via.host, str(via.port), method)
    # RFC 2543 peers: no unique branch, so everything else has to be the same.
    number = str(request.cseq[0])
    return ("", request.uri, request.from_.tag, request.call_id, number, str(via), method)


def client_key(message: Request | Response) -> tuple[str, ...]:
    """What a client transaction's request and its responses have in common."""
    return (message.via.branch, message.cseq[1])


class TransactionLayer:
    """All transactions of one user agent."""

    def __init__(self, timers: Timers, timings: Timings, counters: Counters) -> None:
        self.timers = timers
        self.timings = timings
        self._counters = counters
        self._clients: dict[tuple[str, ...], Transaction] = {}
        self._servers: dict[tuple[str, ...], Transaction] = {}
        # From tag, Call-ID and CSeq of requests without To tag (section 8.2.2.2).
        self._initial: dict[tuple[str, str, tuple[int, str]], Transaction] = {}

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    def client(
        self, request: Request, path: Path, user: TransactionUser, destination: Destination
    ) -> Transaction:
        """Sends `request` in a new transaction."""
        transaction = Transaction(
            INVITE_CLIENT if request.method == "INVITE" else NON_INVITE_CLIENT,
            client_key(request),
            request,
            owner=self,
            path=path,
            user=user,
            destination=destination,
        )
        self._clients[transaction.key] = transaction
        transaction.start()
        return transaction

    def server(self, request: Request, path: Path, user: TransactionUser) -> Transaction:
        """A new transaction for a request that `find_server` did not know."""
        transaction = Transaction(
            INVITE_SERVER if request.method == "INVITE" else NON_INVITE_SERVER,
            server_key(request, request.method),
            request,
            owner=self,
            path=path,
            user=user,
        )
        self._servers[transaction.key] = transaction
        if not request.to.tag:
            self._initial.setdefault(_merge_key(request), transaction)
        transaction.start()
        return transaction

    def find_client(self, response: Response) -> Transaction | None:
        return self._clients.get(client_key(response))

    def find_server(self, request: Request) -> Transaction | None:
        """The transaction that `request` repeats, or that its ACK belongs to."""
        method = "INVITE" if request.method == "ACK" else request.method
        return self._servers.get(server_key(request, method))

    def find_invite(self, cancel: Request) -> Transaction | None:
        """The INVITE that `cancel` is about (section 9.2)."""
        return self._servers.get(server_key(cancel, "INVITE"))

    def merged(self, request: Request) -> bool:
        """Whether this request came already, on another path (section 8.2.2.2). Only asked for
        requests that match no transaction."""
        return not request.to.tag and _merge_key(request) in self._initial

    def receive_response(self, response: Response) -> None:
        """Gives a response to its transaction; one without is dropped (RFC 6026 section 8.9)."""
        transaction = self.find_client(response)
        if transaction is None:
            self._counters.retransmissions_received += 1
        elif response.status < 200:
            transaction.happen(Event.PROVISIONAL, response)
        elif response.status < 300:
            transaction.happen(Event.SUCCESS, response)
        else:
            transaction.happen(Event.FAILURE, response)

    def abandon_all(self) -> None:
        for transaction in [*self._clients.values(), *self._servers.values()]:
            transaction.abandon()

    # What transactions tell their owner.

    def resent(self) -> None:
        self._counters.retransmissions_sent += 1

    def terminated(self, transaction: Transaction) -> None:
        for table in (self._clients, self._servers):
            if table.get(transaction.key) is transaction:
                del table[transaction.key]
        merge_key = _merge_key(transaction.request)
        if self._initial.get(merge_key) is transaction:
            del self._initial[merge_key]


def _merge_key(request: Request) -> tuple[str, str, tuple[int, str]]:
    return (request.from_.tag, request.call_id, request.cseq)


class Unheard:
    """The user of a transaction whose outcome nobody needs."""

    def received(self, transaction: Transaction, message: Request | Response) -> None:
        """A response that changes nothing."""

    def timed_out(self, transaction: Transaction) -> None:
        """The other side is gone, and nothing waits for it."""

    def transport_failed(self, transaction: Transaction, reason: str) -> None:
        """As `timed_out`."""
