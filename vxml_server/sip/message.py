"""SIP messages: bytes in, `Request` or `Response` out, and back (RFC 3261 section 7).

A message that reached the rest of the room is a well-formed one: start line, Via, From, To,
Call-ID and CSeq have been read and fit each other. What is wrong with a request that can still be
answered travels in `MalformedRequest`, so that it gets its 400 or 505 with the reason. Nothing but
`Malformed` is raised, and each message costs linear time.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from vxml_server.sip.errors import Malformed
from vxml_server.sip.headers import Headers, canonical
from vxml_server.sip.uri import TOKEN, Address, Via

MAX_MESSAGE = 65536
MAX_HEADERS = 128

_FOLD = re.compile(r"\r\n[ \t]+")
_REQUEST_LINE = re.compile(r"(\S+) (\S+) SIP/(\d{1,3}\.\d{1,3})")
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6]\d\d)(?: (.*))?", re.DOTALL)
_CSEQ = re.compile(r"(\d{1,10})[ \t]+(\S+)")
_URI_SHAPE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^<>\"]+")
_SINGLE = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type", "Expires")

PHRASES = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    469: "Bad Info Package",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}


def phrase(status: int) -> str:
    """The reason phrase of section 21, or the class's word for a status it does not know."""
    return PHRASES.get(status) or PHRASES[status // 100 * 100]


class Message(ABC):
    """What requests and responses share: headers, body, and the fields that route them."""

    __slots__ = ("_cseq", "_from", "_to", "_via", "body", "headers")

    def __init__(self, headers: Headers, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self._via: Via | None = None
        self._from: Address | None = None
        self._to: Address | None = None
        self._cseq: tuple[int, str] | None = None

    @property
    def via(self) -> Via:
        """The topmost Via."""
        if self._via is None:
            self._via = Via.parse(next(iter(self.headers.values("Via")), ""))
        return self._via

    @property
    def from_(self) -> Address:
        if self._from is None:
            self._from = Address.parse(self.headers.get("From"))
        return self._from

    @property
    def to(self) -> Address:
        if self._to is None:
            self._to = Address.parse(self.headers.get("To"))
        return self._to

    @property
    def cseq(self) -> tuple[int, str]:
        """Number and method of CSeq."""
        if self._cseq is None:
            match = _CSEQ.fullmatch(self.headers.get("CSeq"))
            if match is None or int(match[1]) >= 2**31:
                raise Malformed("bad CSeq")
            self._cseq = int(match[1]), match[2]
        return self._cseq

    @property
    def call_id(self) -> str:
        return self.headers.get("Call-ID")

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters; "" without a body type."""
        return self.headers.get("Content-Type").partition(";")[0].strip().lower()

    def replace_top_via(self, via: Via) -> None:
        vias = self.headers.values("Via")
        self.headers.set_lines("Via", [str(via), *vias[1:]])
        self._via = via

    def check_fields(self) -> None:
        """Reads every field that the rest of the room relies on. Raises Malformed."""
        headers = self.headers
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            if name not in headers:
                raise Malformed(f"Missing {name}")
        if not headers.get("Call-ID"):
            raise Malformed("Empty Call-ID")
        for name in _SINGLE:
            if len(headers.lines(name)) > 1:
                raise Malformed(f"More than one {name}")
        _ = self.via, self.from_, self.to, self.cseq

    @abstractmethod
    def _start_line(self) -> str:
        """The line before the header fields."""

    def __bytes__(self) -> bytes:
        """The wire format, with the Content-Length that fits the body."""
        lines = [self._start_line()]
        lines += [
            f"{name}: {value}" for name, value in self.headers.items() if name != "Content-Length"
        ]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode("utf-8", "replace") + self.body


class Request(Message):
    """A request; `uri` is the Request-URI as it came."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri = uri

    def _start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri} {self.headers.get('CSeq')}>"

    def check_fields(self) -> None:
        super().check_fields()
        if self.cseq[1] != self.method:
            raise Malformed("CSeq method does not match")
        hops = self.headers.get("Max-Forwards", "70")
        if not (hops.isdecimal() and len(hops) <= 3 and int(hops) <= 255):
            raise Malformed("Bad Max-Forwards")

    def response(self, status: int, reason: str = "", *, tag: str = "") -> Response:
        """A response to this request (section 8.2.6): Via, From, To, Call-ID, CSeq copied, and
        `tag` put on To when it has none."""
        headers = Headers()
        for name in ("Via", "From", "To", "Call-ID", "CSeq", "Timestamp"):
            if name in self.headers:
                headers.set_lines(name, self.headers.lines(name))
        if tag and not self.to.tag:
            headers.set("To", f"{self.headers.get('To')};tag={tag}")
        return Response(status, reason or phrase(status), headers)


class Response(Message):
    """A response; `reason` is only for people."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    def _start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.headers.get('CSeq')}>"


class MalformedRequest(Malformed):
    """A request that is wrong but can be answered: with `status` and the reason of `str()`."""

    def __init__(self, reason: str, request: Request, status: int = 400) -> None:
        super().__init__(reason)
        self.request = request
        self.status = status


def parse_message(data: bytes) -> Request | Response:
    """Reads one message: a datagram, or what `StreamFramer` cut out of a stream.

    Raises MalformedRequest when the sender can be told, Malformed when the bytes have to be
    dropped."""
    if len(data) > MAX_MESSAGE:
        raise Malformed("longer than 64 KiB")
    head_bytes, end, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not end:
        raise Malformed("no empty line after the header")
    try:
        head = head_bytes.decode()
    except UnicodeDecodeError:
        head = head_bytes.decode("latin-1")  # what old exchanges send in display names
    if "\0" in head:
        raise Malformed("NUL in the header")
    if "\r\n " in head or "\r\n\t" in head:
        head = _FOLD.sub(" ", head)
    start_line, *lines = head.split("\r\n")
    if start_line.startswith("SIP/"):
        return _parse_response(start_line, lines, body)
    return _parse_request(start_line, lines, body)


def _parse_headers(lines: list[str]) -> tuple[Headers, str]:
    """The header fields, and the first thing that is wrong with them ("" when nothing is)."""
    fields: dict[str, list[str]] = {}
    problem = ""
    if len(lines) > MAX_HEADERS:
        problem = "Too many header fields"
        del lines[MAX_HEADERS:]
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or "\r" in line or "\n" in line or not TOKEN.fullmatch(name := name.rstrip()):
            problem = problem or "Bad header line"
            continue
        fields.setdefault(canonical(name), []).append(value.strip())
    return Headers.of(fields), problem


def _cut_body(headers: Headers, body: bytes) -> bytes:
    """The body as long as Content-Length says (section 18.3). Raises Malformed."""
    lengths = set(headers.lines("Content-Length"))
    if not lengths:
        return body
    length = lengths.pop()
    if lengths or not length.isdecimal() or len(length) > 9:
        raise Malformed("Bad Content-Length")
    if int(length) > len(body):
        raise Malformed("Body shorter than Content-Length")
    return body[: int(length)]


def _parse_response(start_line: str, lines: list[str], body: bytes) -> Response:
    match = _STATUS_LINE.fullmatch(start_line)
    if match is None:
        raise Malformed("bad status line")
    headers, problem = _parse_headers(lines)
    if problem:
        raise Malformed(problem)
    response = Response(int(match[1]), match[2] or "", headers, _cut_body(headers, body))
    response.check_fields()
    return response


def _parse_request(start_line: str, lines: list[str], body: bytes) -> Request:
    headers, problem = _parse_headers(lines)
    method, _, rest = start_line.partition(" ")
    if not TOKEN.fullmatch(method):
        raise Malformed("bad request line")
    match = _REQUEST_LINE.fullmatch(start_line)
    request = Request(method, match[2] if match else rest.strip(), headers)
    try:
        super(Request, request).check_fields()
    except Malformed as error:
        # Without these fields there is nobody to answer to; with them the sender is told.
        if any(name not in headers for name in ("Via", "From", "To", "Call-ID", "CSeq")):
            raise
        raise MalformedRequest(str(error), request) from error
    if match is None or not _URI_SHAPE.fullmatch(request.uri):
        raise MalformedRequest("Bad Request-Line", request)
    if match[3] != "2.0":
        raise MalformedRequest("Version Not Supported", request, 505)
    try:
        if problem:
            raise Malformed(problem)
        request.check_fields()
        request.body = _cut_body(headers, body)
    except Malformed as error:
        raise MalformedRequest(str(error), request) from error
    return request
