"""What is asked for and what comes back: plain data, independent of how it is brought.

VoiceXML 2.0 section 6.1 gives the attributes of a fetch; their values arrive here already
evaluated and in seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class FilePart:
    """A field whose value is bytes, such as a recording, sent as a file in multipart/form-data."""

    body: bytes
    media_type: str
    filename: str


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One fetch.

    `uri` is absolute (`http:`, `https:`, `file:`) or a plain path; its fragment is not sent.
    `fields` are name and value in the order of the namelist: with GET they are added to the query,
    with POST they are the body in `enctype`. A `FilePart` needs POST and multipart/form-data.
    `maxage` and `maxstale` are seconds (section 6.1.2), None when the document does not say.
    `timeout` is seconds for everything, None for the server's default. `accept` is the Accept
    header, empty for any. `base` is the URI of the document that asks, empty for the platform
    itself: an http document may not reach files.
    """

    uri: str
    method: Literal["GET", "POST"] = "GET"
    fields: tuple[tuple[str, str | FilePart], ...] = ()
    enctype: str = URLENCODED
    maxage: float | None = None
    maxstale: float | None = None
    timeout: float | None = None
    accept: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    base: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """What was fetched.

    `uri` is where it came from after redirects, without a fragment: the base of its references.
    `media_type` is in lower case without parameters, empty when the server said none; `charset` is
    the parameter of that name in lower case, empty when there is none. `headers` has lower-case
    names. `cached` says that the body came from the cache (validated or not). `digest` names the
    bytes of the body: equal digests, equal bytes, so a compiled form may be kept under it.
    """

    uri: str
    status: int
    media_type: str
    charset: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cached: bool = False
    digest: str = ""

    @property
    def content_type(self) -> str:
        """The media type as the server wrote it, with its parameters: samples without a header of
        their own tell their rate there (RFC 2586)."""
        return self.headers.get("content-type", self.media_type)


class ResourceFetcher(Protocol):
    """What the interpreter and its helpers fetch through."""

    async def fetch(self, request: FetchRequest) -> Resource:
        """The resource; raises `VoiceXmlEvent` (`error.badfetch…`) and nothing else."""


def digest(body: bytes) -> str:
    """The name of these bytes: BLAKE2b, 128 bits, in hexadecimal."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()
