"""URI references (RFC 3986): resolving against a base, parting from the fragment."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SUB_DELIMITERS = "!$&'()*+,;="
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


def resolve_uri(base: str, reference: str) -> str:
    """The absolute form of `reference` as it stands in the document at `base`.

    A base without a scheme is a path of this machine and counts as its `file:` URI. A fragment of
    the reference is kept. An empty reference is the base without its fragment (RFC 3986, 5.2.2).
    With no base, a reference without a scheme is a path, relative to the working directory. Never
    raises: a reference that cannot be resolved is returned as it is, and fetching it says why.
    """
    reference = reference.strip()
    if scheme(reference):
        return reference
    if not base:
        return path_uri(reference)
    base = base if scheme(base) else path_uri(base)
    base, _ = split_fragment(base)
    if not reference:
        return base
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference


def split_fragment(uri: str) -> tuple[str, str]:
    """The URI without its fragment, and the fragment without `#` (empty when there is none)."""
    before, _, fragment = uri.partition("#")
    return before, fragment


def scheme(uri: str) -> str:
    """The scheme in lower case; empty for a relative reference or a path (`C:/x` is a path)."""
    match = _SCHEME.match(uri)
    return match[1].lower() if match else ""


def path_uri(path: str) -> str:
    """The `file:` URI of a path that may carry a fragment."""
    before, hash_, fragment = path.partition("#")
    absolute = Path(before).absolute().as_posix()
    return f"file://{quote(absolute)}{hash_}{fragment}"


def http_uri(uri: str) -> str:
    """The `http:` or `https:` URI in the one form that is sent, cached and compared.

    Lower-case scheme and host, a path, no fragment, no default port, everything else ASCII and as
    written. Characters that may not stand in a URI are percent-encoded, as authors expect of spaces
    and accents. Raises `ValueError` saying what is wrong.
    """
    parts = urlsplit(split_fragment(uri)[0].strip())
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("neither an http: nor an https: URI")
    host, port = _host(parts.hostname or ""), parts.port
    userinfo, at, _ = parts.netloc.rpartition("@")
    authority = quote(userinfo, safe=_SUB_DELIMITERS + ":%") + at + host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        authority += f":{port}"
    path = quote(parts.path or "/", safe=_SUB_DELIMITERS + ":@/%")
    query = "?" + quote(parts.query, safe=_SUB_DELIMITERS + ":@/?%") if parts.query else ""
    return f"{parts.scheme}://{authority}{path}{query}"


def origin(uri: str) -> str:
    """`scheme://host:port` in lower case, the port always written; the key of the allow list."""
    parts = urlsplit(uri)
    host = parts.hostname or ""
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _host(host: str) -> str:
    if ":" in host:
        return f"[{ipaddress.IPv6Address(host)}]"
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    if not _HOST.fullmatch(host):
        raise ValueError(f"{host[:80]!r} is not a host")
    return host.lower()
