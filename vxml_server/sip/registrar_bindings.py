"""Bindings of a user to his telephones: what a REGISTER makes of them (RFC 3261 section 10.3).

Pure functions over frozen data: the bindings that there are and a request in, those that there
will be out. The rule that must hold: a request is done whole or not at all, and one that was
overtaken by a later one (its CSeq says so) changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from vxml_server.sip.core import Hop
from vxml_server.sip.errors import InvalidUri, Malformed, Rejection
from vxml_server.sip.headers import Headers
from vxml_server.sip.message import Request
from vxml_server.sip.uri import Address, Destination, SipUri, ip_address

BINDING = "x-binding"
"""The parameter by which a URI that `Binding.uri` made says which binding it stands for."""
MAX_URI = 1024
MAX_TEXT = 256
_EXPIRES = re.compile(r"[0-9]{1,10}")
_Q = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_MALFORMED_EXPIRES = 3600
# Parameters that tell two URIs apart even where only one of them has it (section 19.1.4).
_TELLING = ("user", "ttl", "method", "maddr", "transport")


@dataclass(frozen=True, slots=True)
class RegistrarRules:
    """`min_expires`, `max_expires` and `default_expires` are seconds; `max_contacts` is the number
    of telephones that one user may have."""

    min_expires: int = 60
    max_expires: int = 3600
    default_expires: int = 3600
    max_contacts: int = 10


@dataclass(frozen=True, slots=True)
class Binding:
    """A telephone of `user`. `contact` is its URI, `source` where its REGISTER came from, `path`
    the proxies between (RFC 3327). Times are seconds since the epoch. `worker` is the process that
    took the REGISTER, and holds its connection if there is one; `reachable` is false while the
    telephone does not answer OPTIONS."""

    id: str
    user: str
    contact: str
    source: Destination
    expires_at: float
    call_id: str
    cseq: int
    q: float = 1.0
    path: tuple[str, ...] = ()
    worker: str = ""
    registered_at: float = 0.0
    user_agent: str = ""
    reachable: bool = True

    @property
    def uri(self) -> str:
        """What to call the telephone by: its contact, and which binding that is."""
        uri = SipUri.parse(self.contact)
        return str(replace(uri, parameters={**uri.parameters, BINDING: self.id}, headers=""))

    def hop(self) -> Hop:
        """Where it is to be found: by its path if it has one; where its REGISTER came from
        otherwise, at the port of its contact if that is the same address."""
        uri = replace(SipUri.parse(self.contact), headers="")
        if self.path:
            # Nobody has us send to whom he likes: the nearest proxy is who brought the REGISTER.
            first = SipUri.parse(Address.parse(self.path[0]).uri).destination()
            is_here = first.host == self.source.host
            return Hop(uri, first if is_here else self.source, self.path)
        try:
            said = uri.destination()
        except InvalidUri:
            said = self.source
        if said.host != self.source.host:
            return Hop(uri, self.source, pinned=True)
        if self.source.protocol == "udp":
            return Hop(uri, said)
        return Hop(uri, self.source, pinned=True, otherwise=said)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One Contact of a REGISTER; `expires` is in seconds."""

    uri: SipUri
    q: float
    expires: int


@dataclass(frozen=True, slots=True)
class Update:
    """What a REGISTER changes, and `bindings`, all that there are afterwards."""

    bindings: tuple[Binding, ...]
    stored: tuple[Binding, ...] = ()
    removed: tuple[Binding, ...] = ()


def update(
    bindings: Sequence[Binding],
    request: Request,
    *,
    user: str,
    source: Destination,
    now: float,
    rules: RegistrarRules,
    worker: str = "",
) -> Update:
    """Steps 6 and 7 of section 10.3: `bindings` are those of the user that have not expired.

    Raises `Rejection`: 400, 403 (too many contacts), 423 with Min-Expires, or 500 (overtaken).
    """
    contacts = request.headers.values("Contact")
    if "*" in contacts:
        if contacts != ["*"] or request.headers.get("Expires") != "0":
            raise Rejection(400, "Contact: * needs to be alone, with Expires: 0")
        for binding in bindings:
            _check_order(binding, request)
        return Update((), (), tuple(bindings))
    wanted = [_asked(contact, request, rules) for contact in contacts]
    path = tuple(_path(request))
    kept = list(bindings)
    stored: set[str] = set()
    for asked in wanted:
        known = next((one for one in kept if same_uri(SipUri.parse(one.contact), asked.uri)), None)
        if known is not None:
            if known.id not in stored:
                _check_order(known, request)
            kept.remove(known)
        if asked.expires == 0:
            continue
        binding = Binding(
            id=known.id if known is not None else _id(user, str(asked.uri)),
            user=user,
            contact=str(asked.uri),
            source=source,
            expires_at=now + asked.expires,
            call_id=request.call_id[:MAX_TEXT],
            cseq=request.cseq[0],
            q=asked.q,
            path=path,
            worker=worker,
            registered_at=now if known is None else known.registered_at,
            user_agent=request.headers.get("User-Agent")[:MAX_TEXT],
        )
        kept.append(binding)
        stored.add(binding.id)
    if len(kept) > max(rules.max_contacts, len(bindings)):
        raise Rejection(403, "Too many contacts")
    left = {one.id for one in kept}
    return Update(
        ordered(kept),
        stored=tuple(one for one in kept if one.id in stored),
        removed=tuple(one for one in bindings if one.id not in left),
    )


def ordered(bindings: Sequence[Binding]) -> tuple[Binding, ...]:
    """The preferred first (section 20.10: the higher q); the latest first of those."""
    return tuple(sorted(bindings, key=lambda one: (-one.q, -one.registered_at, one.id)))


def answer(bindings: Sequence[Binding], request: Request, now: float) -> Headers:
    """The headers of the 200: every binding with the time that is left (step 8)."""
    headers = Headers()
    for one in bindings:
        left = max(0, round(one.expires_at - now))
        q = f";q={one.q:g}" if one.q != 1.0 else ""
        headers.add("Contact", f"<{one.contact}>;expires={left}{q}")
    headers.set_lines("Path", request.headers.lines("Path"))
    headers.add("Supported", "path")
    return headers


def same_uri(one: SipUri, other: SipUri) -> bool:
    """Whether two URIs are the same (section 19.1.4)."""
    if (
        one.scheme != other.scheme
        or unquote(one.user) != unquote(other.user)
        or (ip_address(one.host) or one.host) != (ip_address(other.host) or other.host)
        or one.port != other.port
        or sorted(one.headers.lower().split("&")) != sorted(other.headers.lower().split("&"))
    ):
        return False
    return all(
        _folded(one.parameters, name) == _folded(other.parameters, name)
        for name in {*_TELLING, *(one.parameters.keys() & other.parameters.keys())}
    )


def _folded(parameters: Mapping[str, str], name: str) -> str | None:
    value = parameters.get(name)
    return None if value is None else unquote(value).lower()


def _check_order(binding: Binding, request: Request) -> None:
    """Within one Call-ID only what is later than what we know is done."""
    if binding.call_id == request.call_id[:MAX_TEXT] and request.cseq[0] <= binding.cseq:
        raise Rejection(500, "CSeq out of order")


def _asked(contact: str, request: Request, rules: RegistrarRules) -> _Asked:
    try:
        address = Address.parse(contact)
        uri = SipUri.parse(address.uri)
    except (Malformed, InvalidUri) as error:
        raise Rejection(400, "Contact is not a SIP URI") from error
    if len(address.uri) > MAX_URI or BINDING in uri.parameters:
        raise Rejection(400, "Contact cannot be used")
    expires = rules.default_expires
    for given in (request.headers.get("Expires"), address.parameters.get("expires", "")):
        if given:
            is_number = _EXPIRES.fullmatch(given) and int(given) < 2**32
            expires = int(given) if is_number else _MALFORMED_EXPIRES
    if 0 < expires < rules.min_expires:
        raise Rejection(423, headers={"Min-Expires": str(rules.min_expires)})
    q = address.parameters.get("q", "")
    return _Asked(uri, float(q) if _Q.fullmatch(q) else 1.0, min(expires, rules.max_expires))


def _path(request: Request) -> list[str]:
    """The Path values, checked. Raises Rejection."""
    path = request.headers.values("Path")
    for value in path:
        try:
            uri = SipUri.parse(Address.parse(value).uri)
            uri.destination()
        except (Malformed, InvalidUri) as error:
            raise Rejection(400, "Path is not a SIP URI with an IP address") from error
        if not uri.loose_router or len(value) > MAX_URI or len(path) > 8:
            raise Rejection(400, "Path cannot be used")
    return path


def _id(user: str, contact: str) -> str:
    return hashlib.sha256(f"{user} {contact}".encode()).hexdigest()[:32]
