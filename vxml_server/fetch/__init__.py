"""Fetching: documents, grammars, scripts and audio by URI, safely and once.

One `Fetcher` for the server holds the connections and the cache; each call takes a
`Fetcher.session()`, which adds its own cookies. All that goes wrong leaves as a `VoiceXmlEvent`
(`error.badfetch…`).
"""

from vxml_server.fetch.fetcher import Fetcher, FetchSession
from vxml_server.fetch.files import media_type_of
from vxml_server.fetch.http import HttpClient, Reply
from vxml_server.fetch.prefetch import Prefetcher
from vxml_server.fetch.resource import FetchRequest, FilePart, Resource, ResourceFetcher
from vxml_server.fetch.uri import http_uri, resolve_uri, split_fragment

__all__ = [
    "FetchRequest",
    "FetchSession",
    "Fetcher",
    "FilePart",
    "HttpClient",
    "Prefetcher",
    "Reply",
    "Resource",
    "ResourceFetcher",
    "http_uri",
    "media_type_of",
    "resolve_uri",
    "split_fragment",
]
