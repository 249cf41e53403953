"""What a server core checks before it acts on a request (RFC 3261 section 8.2), in its order.

Pure functions: a request in, a `Rejection` out as an exception. The rule: nothing here knows about
calls; what passes is acceptable to any user agent of our abilities.
"""

from __future__ import annotations

import re

from vxml_server.sip.core import ACCEPT, ALLOW
from vxml_server.sip.errors import InvalidSdp, Rejection
from vxml_server.sip.message import Message, Request
from vxml_server.sip.sdp import SessionDescription

_ALLOWED = set(ALLOW.split(", "))
# Methods that are known (so: 405 and not 501), and the two of RFC 6665, whose way of saying that
# no event package is spoken is 489.
_KNOWN = {"REGISTER", "MESSAGE", "PUBLISH", "REFER", "PRACK", "UPDATE"}
_EVENTS = {"SUBSCRIBE", "NOTIFY"}
_SCHEMES = {"sip", "sips", "tel"}
_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_SDP = "application/sdp"


def inspect(request: Request, also: frozenset[str] = frozenset()) -> None:
    """Sections 8.2.1 to 8.2.3; `also` are methods and extensions beside those of calls. Raises
    Rejection."""
    if request.method not in _ALLOWED | also:
        if request.method in _EVENTS:
            raise Rejection(489, headers={"Allow-Events": ""})
        raise Rejection(405 if request.method in _KNOWN else 501, headers={"Allow": ALLOW})
    if request.uri.partition(":")[0].lower() not in _SCHEMES:
        raise Rejection(416)
    required = [tag for tag in request.headers.values("Require") if tag not in also]
    if required and request.method != "CANCEL":
        # We have no extension that anybody could require (100rel, timer, replaces, ...).
        raise Rejection(420, headers={"Unsupported": ", ".join(required)})
    if request.body and set(request.headers.tokens("Content-Encoding")) - {"identity"}:
        raise Rejection(415, headers={"Accept-Encoding": "identity"})
    if request.method == "INVITE":
        accepted = {value.partition(";")[0].strip() for value in request.headers.tokens("Accept")}
        if accepted and not accepted & {_SDP, "application/*", "*/*"}:
            raise Rejection(406)


def session_description(message: Message) -> SessionDescription | None:
    """The description that an INVITE, its 2xx or ACK carries, alone or in a multipart body; None
    when there is no body. Raises Rejection: 415 for a body of another type that may not be
    ignored, 400 for a description that cannot be read."""
    body = _sdp_body(message)
    if body is None:
        return None
    try:
        return SessionDescription.parse(body)
    except InvalidSdp as error:
        raise Rejection(400, f"Bad SDP: {error}") from error


def _sdp_body(message: Message) -> bytes | None:
    if not message.body:
        return None
    if message.content_type == _SDP:
        return message.body
    if message.content_type.startswith("multipart/"):
        for kind, content in _parts(message):
            if kind == _SDP:
                return content
    if "handling=optional" in message.headers.get("Content-Disposition").lower():
        return None
    raise Rejection(415, headers={"Accept": ACCEPT})


def _parts(message: Message) -> list[tuple[str, bytes]]:
    """Type and content of the parts of a multipart body (RFC 2046 section 5.1)."""
    match = _BOUNDARY.search(message.headers.get("Content-Type"))
    if match is None:
        raise Rejection(400, "Multipart without boundary")
    delimiter = b"\r\n--" + (match[1] or match[2]).encode()
    parts: list[tuple[str, bytes]] = []
    for chunk in (b"\r\n" + message.body).split(delimiter)[1:]:
        if chunk.startswith(b"--"):
            break
        head, _, content = chunk.partition(b"\r\n\r\n")
        kind = ""
        for line in head.decode("latin-1").split("\r\n"):
            name, _, value = line.partition(":")
            if name.strip().lower() in {"content-type", "c"}:
                kind = value.partition(";")[0].strip().lower()
        parts.append((kind, content))
    return parts
