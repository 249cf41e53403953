"""One HTTP exchange: a request goes out, a whole response comes back, within the limits.

Redirects, cookies and the cache are decided above (`fetcher.py`); here are the connections, the
address policy, the size limit and the content codings. There are two pools: one connects to public
addresses only, the other anywhere, and serves the origins that the operator allows.
"""

from __future__ import annotations

import io
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import decoding
from vxml_server.fetch.addresses import any_socket, public_socket
from vxml_server.fetch.uri import origin

_PIECE = 64 * 1024
ANY_ORIGIN = "*"


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: `headers` with lower-case names, repeated ones joined; Set-Cookie apart."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    set_cookies: tuple[str, ...] = ()


class HttpClient:
    """The connections of the server. Use it on one event loop; `close()` ends them.

    `allow` are origins whose address may be private; `ANY_ORIGIN` among them means all.
    """

    def __init__(self, *, max_bytes: int, max_connections: int, allow: frozenset[str]) -> None:
        self._max_bytes = max_bytes
        self._max_connections = max_connections
        self._allow = allow
        self._pools: dict[bool, aiohttp.ClientSession] = {}
        self._closed = False

    async def exchange(
        self, method: str, uri: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        """Sends one request and reads the answer, whatever its status.

        `uri` is in the form of `http_uri`. Raises `VoiceXmlEvent` (`error.badfetch`) when there is
        no answer, or one that is too large or damaged. Has no time limit of its own.
        """
        if self._closed:
            raise VoiceXmlEvent("error.badfetch", "the server is stopping", uri=uri)
        # As a file, which aiohttp sends piece by piece: a recording is large.
        data = io.BytesIO(body) if body is not None else None
        try:
            async with self._pool(uri).request(
                method, URL(uri, encoded=True), headers=headers, data=data, allow_redirects=False
            ) as response:
                try:
                    content = await self._read(response)
                except BaseException:
                    response.close()  # the rest is never read, so the connection is of no use
                    raise
                return Reply(
                    response.status,
                    _headers(response.headers),
                    content,
                    tuple(response.headers.getall("Set-Cookie", ())),
                )
        except decoding.TooLarge:
            why = f"larger than {self._max_bytes} bytes"
        except decoding.BadCoding as error:
            why = str(error)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = _explain(error)
        raise VoiceXmlEvent("error.badfetch", why, uri=uri)

    async def close(self) -> None:
        self._closed = True
        for pool in self._pools.values():
            await pool.close()

    def _pool(self, uri: str) -> aiohttp.ClientSession:
        is_allowed = ANY_ORIGIN in self._allow or origin(uri) in self._allow
        pool = self._pools.get(is_allowed)
        if pool is None:
            pool = self._pools[is_allowed] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._max_connections,
                    socket_factory=any_socket if is_allowed else public_socket,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                skip_auto_headers=("Content-Type", "User-Agent", "Accept-Encoding"),
            )
        return pool

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        length = response.content_length
        if length is not None and length > self._max_bytes:
            raise decoding.TooLarge
        decoder = decoding.Decoder(response.headers.get("Content-Encoding", ""), self._max_bytes)
        async for piece in response.content.iter_chunked(_PIECE):
            decoder.feed(piece)
        return decoder.body()


def _headers(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        if key == "set-cookie":  # concerns one caller, so it never gets into the cache
            continue
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined


def _explain(error: Exception) -> str:
    """What went wrong, in words for a log; the chain of wrappers says it in none."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
