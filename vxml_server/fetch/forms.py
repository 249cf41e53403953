"""The fields of a submit as a query or a body (VoiceXML 2.0 section 5.3.8, HTML form submission).

Text is UTF-8. Names and values keep their order and may repeat.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from urllib.parse import urlencode

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch.resource import MULTIPART, URLENCODED, FilePart
from vxml_server.fetch.uri import split_fragment

Fields = tuple[tuple[str, str | FilePart], ...]


def add_query(uri: str, fields: Fields) -> str:
    """`uri` with the fields after the query it has; a fragment is dropped, as it is never sent."""
    uri, _ = split_fragment(uri)
    if not fields:
        return uri
    joint = "&" if "?" in uri else "?"
    return uri + ("" if uri.endswith(("?", "&")) else joint) + _urlencoded(fields)


def encode_body(fields: Fields, enctype: str) -> tuple[bytes, str]:
    """The body of a POST and its Content-Type; `error.badfetch` for an enctype that is neither."""
    kind = enctype.strip().lower()
    if kind in {"", URLENCODED}:
        return _urlencoded(fields).encode("ascii"), URLENCODED
    if kind == MULTIPART:
        return _multipart(fields)
    raise VoiceXmlEvent("error.badfetch", f"cannot submit with enctype {enctype[:80]!r}")


def _urlencoded(fields: Fields) -> str:
    pairs = []
    for name, value in fields:
        if isinstance(value, FilePart):
            raise VoiceXmlEvent(
                "error.badfetch", f"{name!r} holds audio: submit it by POST as {MULTIPART}"
            )
        pairs.append((name, value))
    return urlencode(pairs, errors="replace")


def _multipart(fields: Fields) -> tuple[bytes, str]:
    parts = [_part(name, value) for name, value in fields]
    boundary = _boundary(parts)
    body = b"".join(
        b"--" + boundary + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    return body + b"--" + boundary + b"--\r\n", f"{MULTIPART}; boundary={boundary.decode()}"


def _part(name: str, value: str | FilePart) -> tuple[bytes, bytes]:
    head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    if isinstance(value, str):
        return head.encode("utf-8", "replace"), value.encode("utf-8", "replace")
    head += f'; filename="{_quoted(value.filename)}"\r\nContent-Type: {_quoted(value.media_type)}'
    return head.encode("utf-8", "replace"), value.body


def _quoted(text: str) -> str:
    """As HTML says: what could end the quoted string or the line is percent-encoded."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _boundary(parts: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A boundary that occurs in no part: named after the content, so the same body is the same."""
    contents = [content for _, content in parts]
    digest = hashlib.blake2b(digest_size=16)
    for content in contents:
        digest.update(content)
    boundary = b"vxml-" + digest.hexdigest().encode()
    while any(boundary in content for content in contents):
        digest.update(b"+")
        boundary = b"vxml-" + digest.hexdigest().encode()
    return boundary
