"""Reading `file:` URIs: only below the folders that the operator allows, never for a web document.

The rule that must hold: the path is compared after symbolic links are followed, and only regular
files are read, so that neither `..`, a link nor a device leads outside.
"""

from __future__ import annotations

import mimetypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch.resource import Resource, digest
from vxml_server.fetch.uri import scheme

_MEDIA_TYPES = {
    ".vxml": "application/voicexml+xml",
    ".txml": "application/voicexml+xml",
    ".grxml": "application/srgs+xml",
    ".gram": "application/srgs",
    ".ssml": "application/ssml+xml",
    ".pls": "application/pls+xml",
    ".js": "text/javascript",
    ".es": "text/javascript",
    ".json": "application/json",
    ".xml": "application/xml",
    ".wav": "audio/x-wav",
    ".au": "audio/basic",
    ".ulaw": "audio/basic",
    ".alaw": "audio/x-alaw-basic",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".mp3": "audio/mpeg",
}


def media_type_of(name: str) -> str:
    """The media type that a file's name promises; empty when it promises none."""
    suffix = Path(name).suffix.lower()
    return _MEDIA_TYPES.get(suffix) or mimetypes.types_map.get(suffix, "")


class FilePolicy:
    """Reads files below `roots`; without roots there are no files."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = tuple(Path(root).resolve() for root in roots)

    def read(self, uri: str, base: str, max_bytes: int) -> Resource:
        """The file that `uri` (a `file:` URI without fragment) names, asked for by `base`.

        Blocks on the disk. Raises `VoiceXmlEvent` alone.
        """
        if scheme(base) not in {"", "file"}:
            raise _refused(uri, "a document from the web may not read files")
        path = self._path(uri)
        try:
            body = _read(path, max_bytes)
        except OSError as error:
            raise _refused(uri, error.strerror or str(error)) from None
        if body is None:
            raise _refused(uri, "not a regular file")
        if len(body) > max_bytes:
            raise _refused(uri, f"larger than {max_bytes} bytes")
        return Resource(
            uri=uri,
            status=200,
            media_type=media_type_of(path.name),
            charset="",
            body=body,
            digest=digest(body),
        )

    def _path(self, uri: str) -> Path:
        try:
            parts = urlsplit(uri)
            if parts.netloc not in {"", "localhost"}:
                raise _refused(uri, "a file URI of another host")
            path = Path(unquote(parts.path, errors="strict")).resolve()
        except (ValueError, OSError, RuntimeError):  # zero bytes, bad escapes, loops of links
            raise _refused(uri, "malformed file URI") from None
        if not any(path.is_relative_to(root) for root in self._roots):
            raise _refused(uri, "outside the folders that may be read")
        return path


def _read(path: Path, max_bytes: int) -> bytes | None:
    """The content, one byte more than allowed at most; None if it is no regular file."""
    # Not blocking on a pipe or a device is why this opens before it looks.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123  # Path.open takes no descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(max_bytes + 1)


def _refused(uri: str, why: str) -> VoiceXmlEvent:
    return VoiceXmlEvent("error.badfetch", why, uri=uri)
