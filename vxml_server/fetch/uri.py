"""URI references (RFC 3986): resolving against a base, parting from the fragment."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


def resolve_uri(base: str, reference: str) -> str:
    """The absolute form of `reference` as it stands in the document at `base`.

    A base without a scheme is a path of this machine and counts as its `file:` URI. A fragment of
    the reference is kept. An empty reference is the base without its fragment (RFC 3986, 5.2.2).
    With no base, a reference without a scheme is a path, relative to the working directory.
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
    if scheme(base) in {"http", "https", "file"}:
        resolved = urljoin(base, reference)
        # urljoin drops the empty authority of "file:///x" for references that are bare fragments.
        return resolved if not base.startswith("file:///") else _with_authority(resolved)
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


def origin(uri: str) -> str:
    """`scheme://host:port` in lower case, the port always written; the key of the allow list."""
    parts = urlsplit(uri)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _with_authority(uri: str) -> str:
    rest = uri.removeprefix("file:")
    return uri if rest.startswith("//") else f"file://{rest}"
