"""The SIP user agent: one object that takes and makes calls.

It reads what transports receive, decides to whom it belongs - a transaction, a dialog, a new call,
or nobody - and refuses what must be refused before a call sees it. The rule: nothing that comes
from the network raises out of `received`, and strangers get no answer that they have not earned
with a password.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
from collections.abc import Callable, Mapping, Sequence
from random import Random

from vxml_server.clock import Clock
from vxml_server.sip.asyncio_transport import AsyncioNetwork
from vxml_server.sip.core import (
    ACCEPT,
    ALLOW,
    Core,
    Hop,
    Router,
    UserAgentSettings,
    Way,
    response_way,
)
from vxml_server.sip.digest import DigestClient
from vxml_server.sip.errors import NO_HEADERS, InvalidUri, Malformed, Rejection, SipError
from vxml_server.sip.headers import Headers
from vxml_server.sip.incoming import IncomingCall
from vxml_server.sip.inspection import inspect, session_description
from vxml_server.sip.interface import (
    CallHandler,
    CallListener,
    Credentials,
    Registration,
    RegistrationHandler,
)
from vxml_server.sip.layer import Counters, Unheard
from vxml_server.sip.machines import Event
from vxml_server.sip.message import MalformedRequest, Request, Response, parse_message, phrase
from vxml_server.sip.outgoing import OutgoingCall
from vxml_server.sip.registrar_limits import Answer, DoorCounters, Doorkeeper
from vxml_server.sip.sdp import SessionDescription
from vxml_server.sip.session import InviteSession
from vxml_server.sip.standalone import StandaloneRequest
from vxml_server.sip.transaction import Transaction
from vxml_server.sip.transport import Network, Transport, listen_address, parse_listen
from vxml_server.sip.uri import Address, Destination, SipUri

logger = logging.getLogger(__name__)


_REGISTER = frozenset({"REGISTER", "path"})


class UserAgent:
    """Takes calls for `handler` and makes calls with `invite()`."""

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        handler: CallHandler,
        settings: UserAgentSettings | None = None,
        network: Network | None = None,
    ) -> None:
        """`random` has to be hard to guess (`random.SystemRandom()`) outside tests. Raises
        ValueError when a trusted network or an algorithm of `settings` is none."""
        settings = settings or UserAgentSettings()
        self._core = Core(clock, random, settings)
        self._handler = handler
        self._network = network or AsyncioNetwork()
        self._trusted = [ipaddress.ip_network(network) for network in settings.trusted]
        self._door = Doorkeeper(
            settings.users,
            settings.realm,
            clock=clock,
            random=random,
            algorithms=settings.algorithms,
        )
        self._registrations: RegistrationHandler | None = None
        self._partners: list[Callable[[str], bool]] = []
        self._retry_after: int | None = None
        self._stopped = False

    # Life.

    async def start(self, listen: Sequence[str]) -> None:
        """Binds "udp://127.0.0.1:5060", "tcp://[::1]:0" ...; raises OSError when one cannot be
        bound and InvalidUri when one is no address; then none is bound."""
        addresses = [parse_listen(address) for address in listen]
        try:
            for address in addresses:
                self.attach(await self._network.listen(address, self, self._core.clock))
        except (OSError, InvalidUri):
            await self.stop()
            raise

    def attach(self, transport: Transport) -> None:
        """Uses one more transport."""
        self._core.transports.append(transport)

    @property
    def addresses(self) -> tuple[str, ...]:
        """What `start()` bound, with real ports, as in `listen`."""
        return tuple(map(listen_address, self._core.transports))

    async def stop(self) -> None:
        """Ends everything: calls still there are told as over and get a BYE, CANCEL or 603 that
        is not waited for; then the sockets are closed."""
        self.stop_calls()
        transports, self._core.transports = self._core.transports, []
        for transport in transports:
            await transport.close()

    def stop_calls(self) -> None:
        """The part of `stop()` that needs no waiting; nothing is received afterwards."""
        core = self._core
        for session in list(core.sessions):
            session.stop()
        core.run_deferred()
        self._stopped = True
        core.layer.abandon_all()
        for session in list(core.sessions):
            session.close()
        core.timers.cancel_all()

    def drain(self, retry_after: int) -> None:
        """From now on new INVITEs get 503 with Retry-After (seconds); dialogs go on."""
        self._retry_after = retry_after

    # Calls out.

    def invite(
        self,
        target: str,
        *,
        from_: str,
        offer: SessionDescription | None,
        listener: CallListener,
        headers: Mapping[str, str] = NO_HEADERS,
        credentials: Credentials | None = None,
    ) -> OutgoingCall:
        """Calls `target` (a `sip:` URI with an IP address, e.g.
        `sip:1000@127.0.0.1:5060;transport=tcp`); `from_` is a URI or `"Name" <sip:...>`. `offer`
        None leaves the offer to the far end. Nothing is told before this returns. Raises
        InvalidUri, before anything happened."""
        try:
            caller = Address.parse(from_)
        except Malformed as error:
            raise InvalidUri(f"not an address: {from_!r}") from error
        return OutgoingCall(
            self._core,
            hop=self._core.hop(SipUri.parse(target)),
            caller=caller,
            offer=offer,
            listener=listener,
            headers=headers,
            credentials=credentials,
        )

    def request(
        self,
        method: str,
        target: str,
        *,
        done: Callable[[Response], None],
        hop: Hop | None = None,
        from_: str = "",
        to: str = "",
        call_id: str = "",
        cseq: int = 1,
        digest: DigestClient | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        contact_user: str | None = None,
    ) -> StandaloneRequest:
        """Sends a request outside any call, such as OPTIONS; see `StandaloneRequest`. `done` gets
        its final response, after this has returned. Raises InvalidUri."""
        return StandaloneRequest(
            self._core,
            method,
            hop or self._core.hop(SipUri.parse(target)),
            done=done,
            from_=from_,
            to=to,
            call_id=call_id,
            cseq=cseq,
            digest=digest,
            headers=headers,
            contact_user=contact_user,
        )

    # What others add.

    def register_with(self, registrations: RegistrationHandler) -> None:
        """From now on REGISTER is answered by `registrations`; without it is refused."""
        self._registrations = registrations

    def route_by(self, router: Router) -> None:
        """Asks `router`, after those before, where a URI that is called is to be found."""
        self._core.routers.append(router)

    def trust(self, is_partner: Callable[[str], bool]) -> None:
        """Takes calls without authentication from the IP addresses that `is_partner` knows."""
        self._partners.append(is_partner)

    # Figures.

    @property
    def counters(self) -> Counters:
        return self._core.counters

    @property
    def door_counters(self) -> DoorCounters:
        return self._door.counters

    @property
    def locked_out(self) -> tuple[int, int]:
        """How many sources and how many user names are locked out now."""
        return self._door.sources.locked(), self._door.names.locked()

    @property
    def idle(self) -> bool:
        """No call, dialog, transaction or timer is left."""
        return not (self._core.sessions or self._core.layer or self._core.timers.running)

    @property
    def active_transactions(self) -> int:
        return len(self._core.layer)

    @property
    def active_dialogs(self) -> int:
        """Calls that are not over, answered or not."""
        return len(self._core.sessions)

    # What transports give us.

    def received(self, data: bytes, transport: Transport, host: str, port: int) -> None:
        """One message from `host`:`port`. Never raises."""
        if self._stopped:
            return
        try:
            message = parse_message(data)
            if isinstance(message, Response):
                self._core.counters.responses_received += 1
                self._core.layer.receive_response(message)
            else:
                self._core.counters.requests_received += 1
                self._receive_request(message, transport, host, port)
        except MalformedRequest as error:
            self._core.counters.malformed += 1
            self._refuse_malformed(error, transport, host, port)
        except SipError as error:
            self._core.counters.malformed += 1
            logger.info("dropped a message from %s: %s", host, error)
        except Exception:
            logger.exception("a message from %s could not be handled", host)

    def _receive_request(
        self, request: Request, transport: Transport, host: str, port: int
    ) -> None:
        core = self._core
        via = request.via
        if "rport" in via.parameters or via.host != host:
            request.replace_top_via(via.seen_from(host, port))
        transaction = core.layer.find_server(request)
        session = core.dialogs.get((request.call_id, request.to.tag, request.from_.tag))
        if request.method == "ACK":
            if transaction is not None:
                transaction.happen(Event.ACK, request)
            elif session is not None:
                session.receive_ack(request)
            return
        if transaction is not None:
            core.counters.retransmissions_received += 1
            transaction.happen(Event.REPEATED, request)
            return
        invite = core.layer.find_invite(request) if request.method == "CANCEL" else None
        flow = Destination(transport.protocol, host, port)
        user = ""
        if session is None and invite is None:
            if request.method == "REGISTER" and self._registrations is not None:
                self._register(request, transport, flow, self._registrations)
                return
            who = self._who_asks(request, transport, flow)
            if who is None:
                return
            user = who
        way = response_way(request, transport, host, port, core.counters)
        merged = core.layer.merged(request)
        transaction = core.layer.server(request, way, session or Unheard())
        try:
            if merged:
                raise Rejection(482)
            inspect(request)
            if request.method == "CANCEL":
                self._cancel(transaction, invite)
            elif session is not None:
                session.receive(request, transaction, flow)
            elif request.to.tag or request.method in {"BYE", "INFO"}:
                raise Rejection(481)
            elif request.method == "OPTIONS":
                self._answer_options(transaction)
            else:
                self._begin_call(transaction, way, flow, user)
        except Rejection as rejection:
            self._reject(transaction, rejection)
        except Malformed as error:
            core.counters.malformed += 1
            self._reject(transaction, Rejection(400, str(error)))

    # New requests.

    def _begin_call(self, transaction: Transaction, way: Way, flow: Destination, user: str) -> None:
        """Section 13.3: the INVITE becomes a call, and the call gets its owner."""
        self._refuse_when_draining()
        offer = session_description(transaction.request)
        call = IncomingCall(self._core, transaction, way, flow, offer, user)
        self._core.respond(transaction, transaction.request.response(100))
        owners: list[CallListener | None] = []
        self._core.guarded(lambda: owners.append(self._handler.incoming(call)))
        if owners:
            call.own(owners[0])
        else:
            call.reject(500)

    def _cancel(self, transaction: Transaction, invite: Transaction | None) -> None:
        """Section 9.2: 200 with the To tag of the INVITE's responses, whether too late or not."""
        if invite is None:
            raise Rejection(481)
        session = invite.user
        tag = ""
        if isinstance(session, InviteSession) and session.dialog is not None:
            tag = session.dialog.local_tag
        self._core.respond(
            transaction, transaction.request.response(200, tag=tag or self._core.token())
        )
        if isinstance(session, IncomingCall):
            session.receive_cancel()

    def _answer_options(self, transaction: Transaction) -> None:
        """Section 11.2: as an INVITE would be answered now."""
        self._refuse_when_draining()
        response = transaction.request.response(200, tag=self._core.token())
        for name, value in (("Accept", ACCEPT), ("Allow", ALLOW), ("Supported", "")):
            response.headers.add(name, value)
        self._core.respond(transaction, response)

    def _refuse_when_draining(self) -> None:
        if self._retry_after is not None:
            raise Rejection(503, headers={"Retry-After": str(self._retry_after)})

    def _reject(self, transaction: Transaction, rejection: Rejection) -> None:
        response = transaction.request.response(
            rejection.status, rejection.reason, tag=self._core.token()
        )
        for name, value in rejection.headers.items():
            response.headers.set(name, value)
        self._core.respond(transaction, response)

    # Strangers and nonsense.

    def _is_trusted(self, host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        return any(
            address.version == network.version and address in network for network in self._trusted
        )

    def _who_asks(
        self,
        request: Request,
        transport: Transport,
        flow: Destination,
    ) -> str | None:
        """The user who sent a request outside what we know, "" for those whom we trust; None when
        it does not go on."""
        if self._is_trusted(flow.host) or any(known(flow.host) for known in self._partners):
            return ""
        if request.method == "CANCEL":
            self._core.counters.refused_sources += 1
            return None
        return self._admitted(request, transport, flow)

    def _admitted(self, request: Request, transport: Transport, flow: Destination) -> str | None:
        """The user who has proved who he is. A stranger is challenged when there are users,
        without keeping state and once for each request (section 26.3.2.4), and met with silence
        when there are none, or when he was wrong too often."""
        answer, user = self._door.ask(request, flow.host)
        if answer is Answer.WELCOME:
            return user
        self._core.counters.refused_sources += 1
        if answer is Answer.CHALLENGE:
            response = request.response(401, tag=_stateless_tag(request))
            for name, value in self._door.challenge(request).items():
                response.headers.add(name, value)
        elif answer is Answer.FORBIDDEN:
            response = request.response(403, tag=_stateless_tag(request))
        else:
            return None
        way = response_way(request, transport, flow.host, flow.port, self._core.counters)
        self._send_stateless(response, way)
        return None

    def _register(
        self,
        request: Request,
        transport: Transport,
        flow: Destination,
        registrations: RegistrationHandler,
    ) -> None:
        """Section 10.3, up to where the registrar's own matters begin."""
        user = ""
        if not (registrations.trusts_networks and self._is_trusted(flow.host)):
            admitted = self._admitted(request, transport, flow)
            if admitted is None:
                return
            user = admitted
        core = self._core
        way = response_way(request, transport, flow.host, flow.port, core.counters)
        transaction = core.layer.server(request, way, Unheard())
        try:
            inspect(request, _REGISTER)
            own = transport.advertised(flow.host)
            registrations.register(
                Registration(request, user, flow, own),
                lambda found: self._answer_registration(transaction, found),
            )
        except Rejection as rejection:
            self._reject(transaction, rejection)
        except Malformed as error:
            core.counters.malformed += 1
            self._reject(transaction, Rejection(400, str(error)))

    def _answer_registration(self, transaction: Transaction, found: Headers | Rejection) -> None:
        if self._stopped:
            return
        if isinstance(found, Rejection):
            self._reject(transaction, found)
            return
        response = transaction.request.response(200, tag=self._core.token())
        for name, value in found.items():
            response.headers.add(name, value)
        self._core.respond(transaction, response)

    def _refuse_malformed(
        self, error: MalformedRequest, transport: Transport, host: str, port: int
    ) -> None:
        request = error.request
        if request.method == "ACK" or not self._is_trusted(host):
            return
        flow = Destination(transport.protocol, host, port)
        try:
            request.replace_top_via(request.via.seen_from(host, port))
            way = response_way(request, transport, host, port, self._core.counters)
        except Malformed:
            way = Way(transport, flow, self._core.counters)
        headers = Headers()
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            headers.set_lines(name, request.headers.lines(name))
        reason = str(error) if error.status == 400 else phrase(error.status)
        self._send_stateless(Response(error.status, reason, headers), way)

    def _send_stateless(self, response: Response, way: Way) -> None:
        self._core.counters.responses_sent += 1
        way.send(bytes(response), lambda _: None)


def _stateless_tag(request: Request) -> str:
    """The same To tag for every repetition of a request (section 8.2.7)."""
    text = f"{request.call_id} {request.from_.tag} {request.via.branch}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
