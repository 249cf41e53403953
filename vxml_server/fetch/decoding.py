"""Content codings (RFC 9110 section 8.4.1), undone as the bytes come and never past a limit.

A compressed kilobyte can hold a megabyte, so the limit counts what comes out, and no more than
that is ever produced. What goes in is held to the same limit.
"""

from __future__ import annotations

import zlib

ACCEPTED = "gzip, deflate"

_GZIP = 16 + zlib.MAX_WBITS


class TooLarge(Exception):
    """More than the limit."""


class BadCoding(Exception):
    """A coding that we do not know, or bytes that are not what their coding says."""


class Decoder:
    """Takes the bytes of a body piece by piece; `body()` gives the whole at the end."""

    def __init__(self, coding: str, limit: int) -> None:
        self._coding = coding.strip().lower().removeprefix("x-")
        if self._coding not in {"", "identity", "gzip", "deflate"}:
            raise BadCoding(f"unsupported content coding {coding[:40]!r}")
        self._is_plain = self._coding in {"", "identity"}
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0
        self._taken = 0
        self._inflate = zlib.decompressobj(_GZIP if self._coding == "gzip" else zlib.MAX_WBITS)
        self._begun = False

    def feed(self, data: bytes) -> None:
        """Raises `TooLarge` as soon as the limit is passed, `BadCoding` for damaged bytes."""
        self._taken += len(data)
        if self._taken > self._limit:  # also bounds rubbish that decodes to nothing
            raise TooLarge
        if self._is_plain:
            self._add(data)
            return
        if self._coding == "deflate" and not self._begun and data and data[0] & 0x0F != 8:
            # Some servers send deflate without its zlib wrapper.
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._begun = self._begun or bool(data)
        try:
            while data:
                self._add(self._inflate.decompress(data, self._limit - self._size + 1))
                data = self._inflate.unconsumed_tail
                if self._inflate.eof:
                    data = self._next_member()
        except zlib.error as error:
            raise BadCoding(f"damaged {self._coding} body: {error}") from None

    def body(self) -> bytes:
        """The decoded whole; `BadCoding` if it ended too early."""
        if not self._is_plain and self._begun and not self._inflate.eof:
            raise BadCoding(f"the {self._coding} body ends too early")
        return b"".join(self._pieces)

    def _next_member(self) -> bytes:
        """gzip may hold several members; what follows the only deflate stream is ignored."""
        rest = self._inflate.unused_data
        if self._coding != "gzip" or not rest.startswith(b"\x1f\x8b"):
            return b""
        self._inflate = zlib.decompressobj(_GZIP)
        return rest

    def _add(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise TooLarge
        if data:
            self._pieces.append(data)
