"""A network on virtual time, a phone that speaks raw SIP, and owners of calls that remember."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vxml_server.clock import Clock, VirtualClock
from vxml_server.sip.core import UserAgentSettings
from vxml_server.sip.errors import NO_HEADERS, Malformed, Rejection
from vxml_server.sip.headers import Headers
from vxml_server.sip.incoming import IncomingCall
from vxml_server.sip.interface import CallListener, EndCause
from vxml_server.sip.message import Request, Response, parse_message
from vxml_server.sip.offer_answer import LocalMedia, OfferAnswer
from vxml_server.sip.sdp import SessionDescription
from vxml_server.sip.session import InviteSession
from vxml_server.sip.transport import Receiver
from vxml_server.sip.uri import Destination
from vxml_server.sip.user_agent import UserAgent

SERVER = Destination("udp", "127.0.0.1", 5060)
PHONE = Destination("udp", "127.0.0.1", 5080)


@dataclass
class Weather:
    """What the network does to datagrams: chances, and seconds of delay."""

    loss: float = 0.0
    duplication: float = 0.0
    jitter: float = 0.0


class VirtualTransport:
    """A transport of `VirtualNetwork`."""

    def __init__(self, network: VirtualNetwork, bound: Destination, receiver: Receiver) -> None:
        self.protocol = bound.protocol
        self.host = bound.host
        self.port = bound.port
        self.reliable = bound.protocol != "udp"
        self.receiver = receiver
        self._network = network
        self._bound = bound

    def advertised(self, remote_host: str) -> str:
        return self.host

    def connected(self, host: str, port: int) -> bool:
        return (
            not self.reliable or Destination(self.protocol, host, port) in self._network.connections
        )

    def send(self, data: bytes, host: str, port: int, failed: Callable[[str], None]) -> None:
        self._network.carry(self._bound, Destination(self.protocol, host, port), data, failed)

    async def close(self) -> None:
        self._network.transports.pop(self._bound, None)


class VirtualNetwork:
    """Carries messages between the transports bound to it, in virtual time.

    A destination that nobody bound swallows datagrams, or is unreachable when it is named in
    `unreachable`. `connections` are the open streams, by the far end's address."""

    def __init__(self, clock: VirtualClock, chance: random.Random | None = None) -> None:
        self.clock = clock
        self.chance = chance or random.Random(1)
        self.weather = Weather()
        self.transports: dict[Destination, VirtualTransport] = {}
        self.unreachable: set[Destination] = set()
        self.connections: set[Destination] = set()
        self.sent: list[tuple[Destination, Destination, bytes]] = []

    async def listen(
        self, address: Destination, receiver: Receiver, clock: Clock
    ) -> VirtualTransport:
        if address in self.transports:
            raise OSError("address in use")
        return self.bind(address, receiver)

    def bind(self, address: Destination, receiver: Receiver) -> VirtualTransport:
        transport = VirtualTransport(self, address, receiver)
        self.transports[address] = transport
        return transport

    def carry(
        self, source: Destination, to: Destination, data: bytes, failed: Callable[[str], None]
    ) -> None:
        self.sent.append((source, to, data))
        if to in self.unreachable:
            self.clock.call_later(0.01, lambda: failed("unreachable"))
            return
        copies = 1
        delay = 0.001
        if to.protocol == "udp":
            if self.chance.random() < self.weather.loss:
                copies = 0
            elif self.chance.random() < self.weather.duplication:
                copies = 2
        for _ in range(copies):
            jitter = self.chance.random() * self.weather.jitter if to.protocol == "udp" else 0.0
            self.clock.call_later(delay + jitter, lambda: self._deliver(source, to, data))

    def _deliver(self, source: Destination, to: Destination, data: bytes) -> None:
        transport = self.transports.get(to)
        if transport is not None:
            transport.receiver.received(data, transport, source.host, source.port)


class Owner:
    """A call's owner that writes down what it is told; `told` in the form of the call."""

    def __init__(self, call: InviteSession | None = None, media_port: int = 20000) -> None:
        self.call = call
        self.told: list[tuple[object, ...]] = []
        self.finals = 0
        self.media = OfferAnswer(LocalMedia("127.0.0.1", media_port), session_id=7)
        self.info_status = 200
        self.refuse_reoffer: Exception | None = None
        self.late_answer = True
        self.during: Callable[[str], None] = lambda name: None

    def names(self) -> list[object]:
        return [entry[0] for entry in self.told]

    def _note(self, *entry: object) -> None:
        assert not self.finals, f"{entry} after the final notification"
        self.told.append(entry)
        self.during(str(entry[0]))

    def progress(self, status: int, sdp: SessionDescription | None) -> None:
        self._note("progress", status, sdp)

    def answered(self, sdp: SessionDescription | None) -> SessionDescription | None:
        self._note("answered", sdp)
        if self.media._offered is None and sdp is not None and self.late_answer:
            return self.media.answer(sdp)
        return None

    def acknowledged(self, sdp: SessionDescription | None) -> None:
        self._note("acknowledged", sdp)

    def rejected(self, status: int, reason: str, headers: Headers) -> None:
        self._note("rejected", status, reason, headers)
        self.finals += 1

    def cancelled(self) -> None:
        self._note("cancelled")
        self.finals += 1

    def reoffered(self, sdp: SessionDescription | None) -> SessionDescription:
        self._note("reoffered", sdp)
        if self.refuse_reoffer is not None:
            raise self.refuse_reoffer
        return self.media.answer(sdp) if sdp is not None else self.media.offer()

    def reinvite_answered(self, sdp: SessionDescription | None) -> None:
        self._note("reinvite_answered", sdp)

    def reinvite_rejected(self, status: int, reason: str) -> None:
        self._note("reinvite_rejected", status, reason)

    def info(self, content_type: str, body: bytes) -> int:
        self._note("info", content_type, body)
        return self.info_status

    def ended(self, cause: EndCause, reason: str) -> None:
        self._note("ended", cause, reason)
        self.finals += 1


@dataclass
class Switchboard:
    """A handler: keeps calls with their owners, and does `policy` with each new one."""

    policy: Callable[[IncomingCall, Owner], None] = lambda call, owner: None
    calls: list[IncomingCall] = field(default_factory=list)
    owners: list[Owner] = field(default_factory=list)
    nobody: bool = False

    def incoming(self, call: IncomingCall) -> CallListener | None:
        self.calls.append(call)
        if self.nobody:
            return None
        owner = Owner(call)
        self.owners.append(owner)
        self.policy(call, owner)
        return owner


def answer_at_once(call: IncomingCall, owner: Owner) -> None:
    if call.remote_offer is None:
        call.answer(owner.media.offer())
    else:
        try:
            call.answer(owner.media.answer(call.remote_offer))
        except Rejection as rejection:
            call.reject(rejection.status)


OFFER = (
    b"v=0\r\no=phone 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 30000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


class Phone:
    """A peer that sends exactly what the test says and keeps what it gets."""

    def __init__(self, network: VirtualNetwork, at: Destination, server: Destination) -> None:
        self.network = network
        self.at = at
        self.server = server
        self.requests: list[Request] = []
        self.responses: list[Response] = []
        self.unreadable: list[bytes] = []
        self.transport = network.bind(at, self)
        self.branches = 0
        self.cseq = 0
        self.react: Callable[[Request | Response], None] = lambda message: None
        if at.protocol != "udp":
            network.connections.add(at)

    def received(self, data: bytes, transport: object, host: str, port: int) -> None:
        try:
            message = parse_message(data)
        except Malformed:
            # A 400 repeats the fields that were wrong.
            self.unreadable.append(data)
            return
        if isinstance(message, Request):
            self.requests.append(message)
        else:
            self.responses.append(message)
        self.react(message)

    def send(self, message: Request | Response | bytes) -> None:
        data = message if isinstance(message, bytes) else bytes(message)
        self.transport.send(data, self.server.host, self.server.port, lambda reason: None)
        self.network.clock.advance(0.01)

    def statuses(self) -> list[int]:
        return [response.status for response in self.responses]

    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    def request(
        self,
        method: str,
        *,
        uri: str = "sip:1000@127.0.0.1:5060",
        to_tag: str = "",
        body: bytes = b"",
        content_type: str = "application/sdp",
        headers: Mapping[str, str] = NO_HEADERS,
        cseq: int | None = None,
        call_id: str = "call-1",
        from_tag: str = "phone",
    ) -> Request:
        """A request with a new branch and, unless `cseq` is given, the next CSeq; `headers`
        replace what is there, an empty value removes it."""
        self.branches += 1
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        protocol = self.at.protocol.upper()
        fields = {
            "Via": f"SIP/2.0/{protocol} {self.at.host}:{self.at.port}"
            f";branch=z9hG4bK-{self.at.port}-{self.branches}",
            "Max-Forwards": "70",
            "From": f'"Ann Other" <sip:ann@{self.at.host}>;tag={from_tag}',
            "To": "<sip:1000@127.0.0.1>" + (f";tag={to_tag}" if to_tag else ""),
            "Call-ID": call_id,
            "CSeq": f"{cseq} {method}",
            "Contact": f"<sip:ann@{self.at.host}:{self.at.port}>",
        }
        if body:
            fields["Content-Type"] = content_type
        fields.update(headers)
        kept = Headers({name: value for name, value in fields.items() if value})
        return Request(method, uri, kept, body)

    def call(self, body: bytes = OFFER, **more: object) -> Request:
        """Sends an INVITE."""
        invite = self.request("INVITE", body=body, **more)  # type: ignore[arg-type]
        self.send(invite)
        return invite

    def within(self, method: str, **more: object) -> Request:
        """A request in the dialog of the last response with a To tag; not sent."""
        tag = next(r.to.tag for r in reversed(self.responses) if r.to.tag)
        return self.request(method, to_tag=tag, **more)  # type: ignore[arg-type]

    def acknowledge(self, body: bytes = b"", **more: object) -> Request:
        more.setdefault("cseq", self.responses[-1].cseq[0])
        ack = self.within("ACK", body=body, **more)
        self.send(ack)
        return ack

    def cancel(self, invite: Request) -> None:
        cancel = self.request(
            "CANCEL", headers={"Via": invite.headers.get("Via"), "Contact": ""}, cseq=invite.cseq[0]
        )
        self.send(cancel)

    def acknowledge_failure(self, invite: Request) -> None:
        tag = self.responses[-1].to.tag
        self.send(
            self.request(
                "ACK",
                headers={"Via": invite.headers.get("Via"), "Contact": ""},
                cseq=invite.cseq[0],
                to_tag=tag,
            )
        )


class World:
    """A user agent at SERVER, and a phone at PHONE."""

    def __init__(self, protocol: str = "udp", settings: UserAgentSettings | None = None) -> None:
        self.clock = VirtualClock()
        self.network = VirtualNetwork(self.clock)
        self.board = Switchboard()
        self.agent = UserAgent(
            clock=self.clock,
            random=random.Random(5),
            handler=self.board,
            settings=settings,
            network=self.network,
        )
        self.server = Destination(protocol, "127.0.0.1", 5060)
        self.agent.attach(self.network.bind(self.server, self.agent))
        self.phone = Phone(self.network, Destination(protocol, "127.0.0.1", 5080), self.server)

    @property
    def call(self) -> IncomingCall:
        return self.board.calls[-1]

    @property
    def owner(self) -> Owner:
        return self.board.owners[-1]

    def answered_call(self) -> tuple[IncomingCall, Owner]:
        """A call from the phone that is up."""
        self.board.policy = answer_at_once
        self.phone.call()
        self.phone.acknowledge()
        return self.call, self.owner

    def run_out(self) -> None:
        """Lets every timer of RFC 3261 expire; nothing may be left."""
        self.clock.advance(200)
        assert self.agent.idle


def tags(message: Request | Response) -> tuple[str, str]:
    return message.from_.tag, message.to.tag


def last(world: World) -> Response:
    """What our phone was told last."""
    return world.phone.responses[-1]
