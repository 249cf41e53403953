"""The fetcher: request in, resource out, by way of the cache, the cookies and the redirects.

`Fetcher` holds what all calls share, a `FetchSession` what belongs to one call. Time runs on the
injected clock. The rule that must hold: nothing but `VoiceXmlEvent` (and cancellation) leaves
`fetch()`, and every redirect is held to the same policy as the first request.
"""

from __future__ import annotations

import asyncio
import itertools
from http import HTTPStatus

import aiohttp
from yarl import URL

from vxml_server import __version__
from vxml_server.clock import Clock, deadline
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import cache as http_cache
from vxml_server.fetch import decoding
from vxml_server.fetch.cache import COMMON, Cache, Entry, is_private, is_sendable, is_usable
from vxml_server.fetch.files import FilePolicy
from vxml_server.fetch.forms import add_query, encode_body
from vxml_server.fetch.http import HttpClient, Reply
from vxml_server.fetch.resource import FetchRequest, Resource, digest
from vxml_server.fetch.uri import http_uri, origin, path_uri, resolve_uri, scheme, split_fragment
from vxml_server.settings import FetchSettings

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_KEEP_METHOD = frozenset({307, 308})
# RFC 6265 section 6.1 asks for 50 a domain at least; a call meets few domains.
_MAX_COOKIES = 300


class Fetcher:
    """Fetches for the whole server: connections, cache and policy, made from `[fetch]`.

    It may be made anywhere, and is used on one event loop. `fetch()` itself keeps no cookies.
    """

    def __init__(self, settings: FetchSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.cache = Cache(settings.cache_bytes)
        self.files = FilePolicy(settings.files)
        self.http = HttpClient(
            max_bytes=settings.max_bytes,
            max_connections=settings.max_connections,
            allow=frozenset(settings.allow),
        )
        self.flights: dict[tuple[object, ...], asyncio.Event] = {}
        self._partitions = itertools.count(COMMON + 1)
        self._anonymous = FetchSession(self, next(self._partitions), has_cookies=False)

    def session(self) -> FetchSession:
        """A view for one call, with its own cookies; `close()` it when the call is over."""
        return FetchSession(self, next(self._partitions), has_cookies=True)

    async def fetch(self, request: FetchRequest) -> Resource:
        """As `FetchSession.fetch`, without cookies."""
        return await self._anonymous.fetch(request)

    async def close(self) -> None:
        """Closes the connections; what is under way ends in `error.badfetch`."""
        await self.http.close()


class FetchSession:
    """Fetches for one call."""

    def __init__(self, shared: Fetcher, partition: int, *, has_cookies: bool) -> None:
        self._shared = shared
        self._partition = partition
        self._has_cookies = has_cookies
        self._jar: aiohttp.CookieJar | None = None

    async def fetch(self, request: FetchRequest) -> Resource:
        """The resource; raises `VoiceXmlEvent` and nothing else.

        `error.badfetch.http.<status>` for a status of 400 and more, `error.badfetch` for all else:
        time-out, refused address or file, too large, bad URI, no answer. A success without content
        (204, 205) is a resource with an empty body.
        """
        timeout = self._shared.settings.timeout if request.timeout is None else request.timeout
        uri, _ = split_fragment(request.uri)
        try:
            async with deadline(self._shared.clock, timeout):
                return await self._bring(request)
        except TimeoutError:
            raise VoiceXmlEvent(
                "error.badfetch", f"no complete answer in {timeout:g} s", uri=uri
            ) from None

    def close(self) -> None:
        """Forgets the cookies and what the cache holds for this call alone."""
        self._jar = None
        self._shared.cache.drop(self._partition)

    async def _bring(self, request: FetchRequest) -> Resource:
        uri, _ = split_fragment(request.uri.strip())
        if not scheme(uri):
            uri = path_uri(uri)
        if scheme(uri) == "file":
            if request.method != "GET":
                raise VoiceXmlEvent("error.badfetch", "cannot submit to a file", uri=uri)
            return await asyncio.to_thread(
                self._shared.files.read, uri, request.base, self._shared.settings.max_bytes
            )
        if scheme(uri) not in {"http", "https"}:
            raise VoiceXmlEvent("error.badfetch", f"cannot fetch {scheme(uri)}: URIs", uri=uri)
        return await self._follow(request, uri)

    async def _follow(self, request: FetchRequest, uri: str) -> Resource:
        """The exchange at `uri` and at wherever it is redirected to."""
        method: str = request.method
        body, headers = None, dict(_request_headers(request, self._shared.settings.user_agent))
        if method == "GET":
            uri = add_query(uri, request.fields)
        else:
            body, headers["content-type"] = encode_body(request.fields, request.enctype)
        uri = _checked(uri)
        for _ in range(self._shared.settings.max_redirects + 1):
            if method == "GET":
                reply, cached = await self._get(uri, headers, request)
            else:
                reply, cached = await self._post(method, uri, headers, body), None
            if reply.status not in _REDIRECTS or "location" not in reply.headers:
                return _resource(uri, reply, cached)
            target = _checked(resolve_uri(uri, reply.headers["location"]))
            if method != "GET" and reply.status not in _KEEP_METHOD:
                method, body = "GET", None
                headers.pop("content-type", None)
            if origin(target) != origin(uri):
                # What the caller of fetch() added was meant for the first server.
                for name, _value in request.headers:
                    headers.pop(name.lower(), None)
            uri = target
        raise VoiceXmlEvent(
            "error.badfetch", f"more than {self._shared.settings.max_redirects} redirects", uri=uri
        )

    async def _post(
        self, method: str, uri: str, headers: dict[str, str], body: bytes | None
    ) -> Reply:
        reply = await self._exchange(method, uri, self._with_cookies(uri, headers), body)
        if reply.status < 400:
            self._shared.cache.invalidate(self._partition, uri)
            for name in ("location", "content-location"):
                if name in reply.headers:
                    self._invalidate_beside(uri, resolve_uri(uri, reply.headers[name]))
        return reply

    def _invalidate_beside(self, uri: str, other: str) -> None:
        """Invalidates `other` too, but one server may not do so to another's resources."""
        try:
            other = http_uri(other)
        except ValueError:
            return
        if origin(other) == origin(uri):
            self._shared.cache.invalidate(self._partition, other)

    async def _get(
        self, uri: str, headers: dict[str, str], request: FetchRequest
    ) -> tuple[Reply, Entry | None]:
        """The reply, and the cache entry that it was served from if it was.

        Identical requests at the same time go out once: the others wait and then look into the
        cache. If the answer could not be kept they ask for themselves, since an answer that may
        not be stored may not be shared either.
        """
        sent = self._with_cookies(uri, headers)
        if (entry := self._usable(uri, sent, request)) is not None:
            return _reply_of(entry), entry
        key = (uri, *sorted(sent.items()))
        under_way = self._shared.flights.get(key)
        if under_way is not None:
            await under_way.wait()
            if (entry := self._usable(uri, sent, request)) is not None:
                return _reply_of(entry), entry
            return await self._get_from_server(uri, sent, request)
        landed = self._shared.flights[key] = asyncio.Event()
        try:
            return await self._get_from_server(uri, sent, request)
        finally:
            del self._shared.flights[key]
            landed.set()

    async def _get_from_server(
        self, uri: str, sent: dict[str, str], request: FetchRequest
    ) -> tuple[Reply, Entry | None]:
        clock, cache = self._shared.clock, self._shared.cache
        partition, entry = self._lookup(uri, sent)
        conditions = http_cache.conditional_headers(entry) if entry is not None else {}
        began = clock.monotonic()
        reply = await self._exchange("GET", uri, {**sent, **_age_limits(request), **conditions})
        moment = http_cache.Moment(
            clock.monotonic(), clock.utc_now(), delay=clock.monotonic() - began
        )
        if reply.status == 304 and entry is not None and conditions:
            entry = http_cache.freshened(entry, reply.headers, moment)
            cache.put(self._partition if is_private(entry.headers) else partition, entry)
            return _reply_of(entry), entry
        if http_cache.is_storable(reply.status, reply.headers):
            is_personal = bool(reply.set_cookies) or http_cache.is_personal(reply.headers, sent)
            name = digest(reply.body)
            entry = http_cache.make_entry(
                uri, reply.status, reply.headers, reply.body, name, sent, moment
            )
            cache.put(self._partition if is_personal else COMMON, entry)
        elif reply.status < 500:  # a server in trouble says nothing about what it answered before
            cache.invalidate(self._partition, uri)
        return reply, None

    def _usable(self, uri: str, sent: dict[str, str], request: FetchRequest) -> Entry | None:
        _, entry = self._lookup(uri, sent)
        now = self._shared.clock.monotonic()
        if entry is None or not is_usable(entry, now, request.maxage, request.maxstale):
            return None
        return entry

    def _lookup(self, uri: str, sent: dict[str, str]) -> tuple[int, Entry | None]:
        """The entry of this call, or else the common one, and the partition it is in."""
        for partition in (self._partition, COMMON):
            entry = self._shared.cache.get(partition, uri, sent)
            if entry is not None:
                return partition, entry
        return COMMON, None

    async def _exchange(
        self, method: str, uri: str, headers: dict[str, str], body: bytes | None = None
    ) -> Reply:
        reply = await self._shared.http.exchange(method, uri, headers, body)
        if self._has_cookies and reply.set_cookies:
            self._jar = self._jar or aiohttp.CookieJar(unsafe=True)  # hosts may be IPs
            if len(self._jar) < _MAX_COOKIES:
                self._jar.update_cookies_from_headers(
                    list(reply.set_cookies), URL(uri, encoded=True)
                )
        return reply

    def _with_cookies(self, uri: str, headers: dict[str, str]) -> dict[str, str]:
        if self._jar is None:
            return headers
        cookies = self._jar.filter_cookies(URL(uri, encoded=True)).values()
        pairs = (f"{cookie.key}={cookie.coded_value}" for cookie in cookies)
        line = "; ".join(pair for pair in pairs if is_sendable(pair))
        return {**headers, "cookie": line} if line else headers


def _checked(uri: str) -> str:
    try:
        return http_uri(uri)
    except ValueError as error:
        raise VoiceXmlEvent("error.badfetch", f"malformed URI: {error}", uri=uri) from None


def _request_headers(request: FetchRequest, user_agent: str | None) -> dict[str, str]:
    return {
        "user-agent": user_agent or f"vxml-server/{__version__}",
        "accept": request.accept or "*/*",
        "accept-encoding": decoding.ACCEPTED,
        **{name.lower(): value for name, value in request.headers},
    }


def _age_limits(request: FetchRequest) -> dict[str, str]:
    """The document's limits for the caches on the way (RFC 9111 section 5.2.1)."""
    limits = {"max-age": request.maxage, "max-stale": request.maxstale}
    said = [f"{name}={_whole(value)}" for name, value in limits.items() if value is not None]
    return {"cache-control": ", ".join(said)} if said else {}


def _whole(seconds: float) -> int:
    """As HTTP writes seconds (RFC 9111 section 1.2.2): whole, and within 31 bits."""
    return int(min(max(0.0, seconds), 2.0**31))


def _reply_of(entry: Entry) -> Reply:
    return Reply(entry.status, entry.headers, entry.body)


def _resource(uri: str, reply: Reply, entry: Entry | None) -> Resource:
    # We ask for no ranges, so 206 is as unexpected as a 3xx that leads nowhere.
    if not 200 <= reply.status < 300 or reply.status == 206:
        reason = _REASONS.get(reply.status, "")
        raise VoiceXmlEvent(
            f"error.badfetch.http.{reply.status}", f"{reply.status} {reason}".strip(), uri=uri
        )
    media_type, charset = _content_type(reply.headers.get("content-type", ""))
    return Resource(
        uri=uri,
        status=reply.status,
        media_type=media_type,
        charset=charset,
        body=reply.body,
        headers=reply.headers,
        cached=entry is not None,
        digest=entry.digest if entry is not None else digest(reply.body),
    )


def _content_type(header: str) -> tuple[str, str]:
    """Media type and charset, both in lower case (RFC 9110 section 8.3)."""
    media_type, *parameters = header.split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return media_type.strip().lower(), value.strip().strip("\"'").lower()
    return media_type.strip().lower(), ""
