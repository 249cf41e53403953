"""What all calls of one user agent share: time, chance, transports, transactions, dialogs.

The rule: a message leaves only through here, so that Via, counters and the choice of the way are
in one place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from vxml_server.clock import Clock
from vxml_server.sip.dialog import Dialog, DialogKey
from vxml_server.sip.errors import InvalidUri
from vxml_server.sip.headers import Headers, canonical
from vxml_server.sip.layer import MAGIC_COOKIE, Counters, TransactionLayer
from vxml_server.sip.machines import Timings
from vxml_server.sip.message import Request, Response
from vxml_server.sip.timers import Timers
from vxml_server.sip.transaction import Transaction, TransactionUser
from vxml_server.sip.transport import Transport, reaches
from vxml_server.sip.uri import DEFAULT_PORT, Destination, SipUri, bracketed

if TYPE_CHECKING:
    from vxml_server.sip.session import InviteSession

logger = logging.getLogger(__name__)

# What the user agent writes itself; extra headers of the owner of a call do not replace it.
_RESERVED = """
Via From To Call-ID CSeq Contact Route Record-Route Content-Type Content-Length Authorization
Proxy-Authorization Require Supported Allow User-Agent Server
"""

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"
ACCEPT = "application/sdp, application/dtmf-relay, application/dtmf"


@dataclass(frozen=True, slots=True)
class UserAgentSettings:
    """`trusted`: networks (CIDR) that may call without authentication. `users`: name ->
    password for everybody else; when empty they get no response at all. `algorithms`: what they
    may prove it with, in the order of the challenges; MD5 comes first because many phones read
    only the first challenge and know nothing else (RFC 8760 lets the server choose). `t1`, `t2`,
    `t4`: the timers of RFC 3261 table 4, in seconds."""

    trusted: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    users: Mapping[str, str] = field(default_factory=dict)
    realm: str = "vxml-server"
    algorithms: tuple[str, ...] = ("MD5", "SHA-256")
    product: str = "vxml-server"
    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0


@dataclass(frozen=True, slots=True)
class Hop:
    """Where requests to `uri` go, which need not be what it says.

    `routes` are Route values (RFC 3327 section 5.3). `pinned` sends the requests of a dialog there
    too, whatever its Contact is: behind a NAT that is an address which is not ours to reach.
    """

    uri: SipUri
    destination: Destination
    routes: tuple[str, ...] = ()
    pinned: bool = False
    otherwise: Destination | None = None
    """Where they go when the connection that `destination` is has been closed."""


Router = Callable[[SipUri], Hop | None]
"""Knows where some URIs are to be found; None for the others."""


class Way:
    """The way of one message or one transaction: a transport and where to.

    `fallback` is where a response goes when the connection that its request came by is gone
    (section 18.2.2)."""

    __slots__ = ("_counters", "destination", "fallback", "transport")

    def __init__(
        self,
        transport: Transport,
        destination: Destination,
        counters: Counters,
        fallback: Destination | None = None,
    ) -> None:
        self.transport = transport
        self.destination = destination
        self.fallback = fallback
        self._counters = counters

    @property
    def reliable(self) -> bool:
        return self.transport.reliable

    @property
    def host(self) -> str:
        """Our address as the other side sees it."""
        return self.transport.advertised(self.destination.host)

    def send(self, data: bytes, failed: Callable[[str], None]) -> None:
        def count(reason: str) -> None:
            self._counters.transport_errors += 1
            failed(reason)

        to = self.destination
        if self.fallback is not None and not self.transport.connected(to.host, to.port):
            to = self.fallback
        self.transport.send(data, to.host, to.port, count)


def response_way(
    request: Request, transport: Transport, host: str, port: int, counters: Counters
) -> Way:
    """Where responses to `request`, received from `host`:`port`, go: RFC 3261 section 18.2.2 and
    RFC 3581. `maddr` is not obeyed: it would let strangers aim our packets."""
    via = request.via
    default = DEFAULT_PORT.get(transport.protocol, 5060)
    sent_by = Destination(transport.protocol, host, via.port or default)
    source = Destination(transport.protocol, host, port)
    if transport.reliable:
        return Way(transport, source, counters, sent_by)
    return Way(transport, source if "rport" in via.parameters else sent_by, counters)


class Core:
    """See the module."""

    def __init__(self, clock: Clock, random: Random, settings: UserAgentSettings) -> None:
        self.clock = clock
        self.random = random
        self.settings = settings
        self.counters = Counters()
        self.timers = Timers(clock)
        self.timings = Timings(settings.t1, settings.t2, settings.t4)
        self.layer = TransactionLayer(self.timers, self.timings, self.counters)
        self.transports: list[Transport] = []
        self.sessions: set[InviteSession] = set()
        self.dialogs: dict[DialogKey, InviteSession] = {}
        self.routers: list[Router] = []
        self._deferred: list[Callable[[], object]] = []

    def token(self) -> str:
        """A tag, Call-ID or branch that nobody can guess (section 19.3)."""
        return f"{self.random.getrandbits(96):024x}"

    def way(self, destination: Destination) -> Way:
        """Raises InvalidUri when no transport of ours reaches `destination`."""
        for transport in self.transports:
            if reaches(transport, destination):
                return Way(transport, destination, self.counters)
        raise InvalidUri(f"no transport to {destination}")

    def hop(self, uri: SipUri) -> Hop:
        """Where a new request to `uri` goes. Raises InvalidUri."""
        for route in self.routers:
            if (hop := route(uri)) is not None:
                to = hop.destination
                if hop.otherwise is None or self.way(to).transport.connected(to.host, to.port):
                    return hop
                return Hop(hop.uri, hop.otherwise)
        return Hop(uri, uri.destination())

    def dialog_way(self, dialog: Dialog, flow: Destination) -> Way:
        """The way of a request in a dialog. `flow` is where the far end's last message came from:
        an open connection is used again, and its address stands in for a host name that only DNS
        could resolve. Raises InvalidUri."""
        if dialog.pinned and not dialog.route_set:
            back = self.way(flow)
            if back.transport.connected(flow.host, flow.port):
                return back
        try:
            destination = dialog.destination()
        except InvalidUri:
            return self.way(flow)
        if flow.protocol == destination.protocol and (
            not dialog.route_set or flow.host == destination.host
        ):
            back = self.way(flow)
            if back.reliable and back.transport.connected(flow.host, flow.port):
                return back
        return self.way(destination)

    def contact(self, way: Way, user: str) -> str:
        """Our Contact on this way (section 8.1.1.8)."""
        name = f"{user}@" if user else ""
        protocol = way.transport.protocol
        suffix = "" if protocol == "udp" else f";transport={protocol}"
        return f"<sip:{name}{bracketed(way.host)}:{way.transport.port}{suffix}>"

    def add_via(self, request: Request, way: Way) -> None:
        """Puts a Via with a new branch on a request of ours."""
        protocol = way.transport.protocol.upper()
        sent_by = f"{bracketed(way.host)}:{way.transport.port}"
        line = f"SIP/2.0/{protocol} {sent_by};rport;branch={MAGIC_COOKIE}{self.token()}"
        fields = {"Via": [line]}
        for name, value in request.headers.items():
            if name != "Via":
                fields.setdefault(name, []).append(value)
        fields["User-Agent"] = [self.settings.product]
        request.headers = Headers.of(fields)

    def send_request(self, request: Request, way: Way, user: TransactionUser) -> Transaction:
        """Sends a request that has its Via in a new client transaction."""
        self.counters.requests_sent += 1
        return self.layer.client(request, way, user, way.destination)

    def send_ack(self, data: bytes, way: Way) -> None:
        """An ACK to a 2xx belongs to no transaction (section 13.2.2.4)."""
        self.counters.requests_sent += 1
        way.send(data, _nobody_cares)

    def respond(self, transaction: Transaction, response: Response) -> None:
        """Sends a response through its server transaction, unless that is over: what is late by
        a time-out, a CANCEL or a BYE has nobody to go to."""
        if transaction.provisional_only:
            response.headers.add("Server", self.settings.product)
            self.counters.responses_sent += 1
            transaction.respond(response)

    def defer(self, callback: Callable[[], object]) -> None:
        """Calls `callback` when what runs now has returned, in the order of the calls."""
        if not self._deferred:
            self.timers.soon(self.run_deferred)
        self._deferred.append(callback)

    def run_deferred(self) -> None:
        while self._deferred:
            self._deferred.pop(0)()

    def guarded(self, callback: Callable[[], object], *passed: type[Exception]) -> None:
        """Calls what belongs to somebody else; what it raises is logged, and our state stays.
        Exceptions of the types `passed` are answers and go through."""
        try:
            callback()
        except passed:
            raise
        except Exception:
            logger.exception("a listener failed")


def add_extra(headers: Headers, extra: Mapping[str, str]) -> None:
    """Adds the owner's headers; those that the user agent makes itself are left alone. Raises
    Malformed for a name that is none."""
    for name, value in extra.items():
        if canonical(name) not in _RESERVED.split():
            headers.set(name, value)


def _nobody_cares(_: str) -> None:
    """The repeated 2xx will ask for the ACK again."""
