"""Dialog state (RFC 3261 section 12): who, in which order, by which way. Plain data, no timers.

The rule: everything a request inside a dialog needs comes from here, and only a target refresh
(section 12.2.1.2) changes where it goes.
"""

from __future__ import annotations

from dataclasses import dataclass

from vxml_server.sip.errors import InvalidUri, Malformed
from vxml_server.sip.headers import Headers
from vxml_server.sip.message import Message, Request, Response
from vxml_server.sip.uri import Address, Destination, SipUri

DialogKey = tuple[str, str, str]
"""Call-ID, local tag, remote tag."""


@dataclass(slots=True)
class Dialog:
    """One peer-to-peer relation. `local` and `remote` are whole From or To values, tags included;
    `route_set` are whole Route values, the nearest first; `remote_target` is a URI."""

    call_id: str
    local: str
    remote: str
    local_tag: str
    remote_tag: str
    route_set: tuple[str, ...]
    remote_target: str
    local_cseq: int = 0
    remote_cseq: int = -1
    pinned: bool = False
    """Whether requests go back where the far end's come from, whatever its Contact says."""

    @classmethod
    def as_server(cls, invite: Request, local_tag: str) -> Dialog:
        """Section 12.1.1. Raises Malformed when Contact or Record-Route cannot be used."""
        return cls(
            call_id=invite.call_id,
            local=f"{invite.headers.get('To')};tag={local_tag}",
            remote=invite.headers.get("From"),
            local_tag=local_tag,
            remote_tag=invite.from_.tag,
            route_set=_routes(invite),
            remote_target=contact_of(invite),
            remote_cseq=invite.cseq[0],
        )

    @classmethod
    def as_client(cls, invite: Request, response: Response) -> Dialog:
        """Section 12.1.2. A 2xx without usable Contact or Record-Route has answered all the same:
        the dialog then goes where the INVITE went."""
        try:
            routes, target = tuple(reversed(_routes(response))), contact_of(response)
        except Malformed:
            routes, target = (), invite.uri
        return cls(
            call_id=invite.call_id,
            local=invite.headers.get("From"),
            remote=response.headers.get("To"),
            local_tag=invite.from_.tag,
            remote_tag=response.to.tag,
            route_set=routes,
            remote_target=target,
            local_cseq=invite.cseq[0],
        )

    @property
    def key(self) -> DialogKey:
        return (self.call_id, self.local_tag, self.remote_tag)

    def request(self, method: str, cseq: int | None = None) -> Request:
        """A request in the dialog (section 12.2.1.1), without Via and Contact. `cseq` None counts
        up; ACK gives the number of its INVITE."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri, routes = self.remote_target, list(self.route_set)
        if routes:
            first = _route_uri(routes[0])
            if not first.loose_router:
                # A strict router (RFC 2543) takes its own URI from the Request-URI.
                uri = str(first)
                routes = [*routes[1:], f"<{self.remote_target}>"]
        headers = Headers()
        headers.set_lines("Route", routes)
        headers.add("Max-Forwards", "70")
        headers.add("From", self.local)
        headers.add("To", self.remote)
        headers.add("Call-ID", self.call_id)
        headers.add("CSeq", f"{cseq} {method}")
        return Request(method, uri, headers)

    def destination(self) -> Destination:
        """Where the next request goes. Raises InvalidUri when that needs DNS."""
        if self.route_set:
            return _route_uri(self.route_set[0]).destination()
        return SipUri.parse(self.remote_target).destination()

    def refresh_target(self, message: Message) -> None:
        """Takes the Contact of a re-INVITE or of its 2xx; an unusable one changes nothing."""
        try:
            self.remote_target = contact_of(message)
        except Malformed:
            return


def contact_of(message: Message) -> str:
    """The one Contact URI of an INVITE or its 2xx (section 8.1.1.8). Raises Malformed."""
    contacts = message.headers.values("Contact")
    if len(contacts) != 1:
        raise Malformed("One Contact is needed")
    uri = Address.parse(contacts[0]).uri
    try:
        SipUri.parse(uri)
    except InvalidUri as error:
        raise Malformed("Contact is not a SIP URI") from error
    return uri


def _routes(message: Message) -> tuple[str, ...]:
    routes = message.headers.values("Record-Route")
    try:
        for route in routes:
            _route_uri(route)
    except InvalidUri as error:
        raise Malformed("Record-Route is not a SIP URI") from error
    return tuple(routes)


def _route_uri(route: str) -> SipUri:
    return SipUri.parse(Address.parse(route).uri)
