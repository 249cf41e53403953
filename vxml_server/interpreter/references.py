"""References that documents make, resolved against their base (RFC 3986)."""

from __future__ import annotations

from functools import lru_cache

from vxml_server.fetch import resolve_uri

# Pages are gone through again and again, and a URI takes longer to resolve than to look up.
_known = lru_cache(maxsize=2000)(resolve_uri)
# Long ones, of which some would fill the memory, are not kept.
_LONG = 1000


def resolved(base: str, reference: str) -> str:
    """`resolve_uri`, which is not worked out again for what came up before."""
    if len(base) + len(reference) > _LONG:
        return resolve_uri(base, reference)
    return _known(base, reference)
