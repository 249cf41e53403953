"""Encrypted files: AES-256-GCM in chunks, so that they grow, are read from any place, and can be
cut off by a crash without being lost.

The layout is the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-
Encryption and its Nonce-Reuse Misuse-Resistance, 2015): every file has a key of its own, derived
with HKDF (RFC 5869) from one of the operator's and a random salt; the nonce of a chunk is a random
prefix of the file, the chunk's number, and whether it is the last one.

    header   "VXRC" | version 1 | length of the key's name (1) | the name | chunk size (4) |
             salt (32) | nonce prefix (7)
    chunk    ciphertext of `chunk size` octets, of the last one 0 to `chunk size` | tag (16)

The rules that must hold: a nonce is used once; the header is authenticated by every chunk, and the
order and the number of chunks by their nonces, so that what was changed, moved, cut off or
appended is seen; a file without its last chunk is `Truncated`, but what is there can be read.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"VXRC\x01"
KEY_OCTETS = 32
TAG = 16
_SALT, _PREFIX = 32, 7
_MOST_CHUNKS = 2**32
_LARGEST_CHUNK = 1 << 20
_INFO = b"vxml-server recording"


class EnvelopeError(Exception):
    """A file cannot be decrypted."""


class Tampered(EnvelopeError):
    """What is in the file is not what was written there."""


class Truncated(EnvelopeError):
    """The file was cut off, or is still being written."""


class UnknownKey(EnvelopeError):
    """The key that the file was encrypted with is not among those that are known."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by name, 32 octets each. The first encrypts; the others still decrypt."""

    keys: Mapping[str, bytes]

    @property
    def first(self) -> str:
        """The name of the key that encrypts; "" when nothing is encrypted."""
        return next(iter(self.keys), "")

    def key(self, name: str) -> bytes:
        try:
            return self.keys[name]
        except KeyError:
            raise UnknownKey(f"there is no key {name!r}") from None


class Sealer:
    """One file's cipher: its header, and each of its chunks once."""

    def __init__(
        self, keyring: Keyring, chunk: int, randomness: Callable[[int], bytes] = os.urandom
    ) -> None:
        salt, self._prefix = randomness(_SALT), randomness(_PREFIX)
        self.key_id = keyring.first
        self.chunk = chunk
        name = self.key_id.encode()
        self.header = b"".join(
            (MAGIC, bytes([len(name)]), name, struct.pack(">I", chunk), salt, self._prefix)
        )
        self._cipher = _cipher(keyring.key(self.key_id), salt)

    def seal(self, number: int, data: bytes, *, last: bool) -> bytes:
        """A chunk as it stands in the file. Each number may be given once."""
        if number >= _MOST_CHUNKS:
            raise OverflowError("the file has as many chunks as it may have")
        nonce = _nonce(self._prefix, number, last=last)
        return self._cipher.encrypt(nonce, data, self.header)


class SealedAppend:
    """Encrypts a file that only grows: what was written is in the file chunk by whole chunk."""

    def __init__(self, write: Callable[[bytes], object], sealer: Sealer) -> None:
        self._write = write
        self._sealer = sealer
        self._waiting = bytearray()
        self._number = 0
        write(sealer.header)

    def append(self, data: bytes) -> None:
        """Takes what comes next. Raises OSError as the file does."""
        self._waiting += data
        size = self._sealer.chunk
        while len(self._waiting) >= size:
            self._seal(bytes(self._waiting[:size]), last=False)
            del self._waiting[:size]

    def finish(self) -> None:
        """Ends the file with its last chunk, which may be empty."""
        self._seal(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _seal(self, data: bytes, *, last: bool) -> None:
        self._write(self._sealer.seal(self._number, data, last=last))
        self._number += 1


class SealedFile:
    """Encrypts what a library writes as a file: it grows, and its beginning is put right later.

    Encoders of audio write a header first and its figures last. So the first chunk stays in memory
    until `close`, and no chunk is encrypted twice. Of the rest nothing can be changed.
    """

    def __init__(self, file: BinaryIO, sealer: Sealer) -> None:
        self._file = file
        self._sealer = sealer
        self._first = bytearray()
        self._waiting = bytearray()
        self._number = 1
        self._place = 0
        self.length = 0
        file.write(sealer.header)

    def write(self, data: bytes | memoryview) -> int:
        """Writes at the current place; OSError where that cannot be changed any more."""
        octets = bytes(data)
        size = self._sealer.chunk
        first = octets[: max(0, size - self._place)]
        if first:
            if self._place > len(self._first):
                self._first.extend(bytes(self._place - len(self._first)))
            self._first[self._place : self._place + len(first)] = first
        rest = octets[len(first) :]
        if rest and self._place + len(first) != max(self.length, size):
            raise OSError("only the beginning of an encrypted file can be changed")
        self._place += len(octets)
        self.length = max(self.length, self._place)
        self._waiting += rest
        # The last chunk must not be empty unless the file is.
        while len(self._waiting) > size:
            self._append(bytes(self._waiting[:size]), last=False)
            del self._waiting[:size]
        return len(octets)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.length}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def close(self) -> None:
        """Writes what was held back. The file itself stays open."""
        if self._waiting:
            self._append(bytes(self._waiting), last=True)
        self._file.seek(len(self._sealer.header))
        is_all = self.length <= self._sealer.chunk
        self._file.write(self._sealer.seal(0, bytes(self._first), last=is_all))

    def _append(self, data: bytes, *, last: bool) -> None:
        size = self._sealer.chunk + TAG
        self._file.seek(len(self._sealer.header) + self._number * size)
        self._file.write(self._sealer.seal(self._number, data, last=last))
        self._number += 1


class Opened:
    """An encrypted file to read: whole, in part, and as much as there is of it.

    `length` is that of the plaintext. Raises `EnvelopeError` for what is no encrypted file, or has
    a key that is unknown. Not for several threads at a time.
    """

    def __init__(
        self, file: BinaryIO, keyring: Keyring, *, as_far_as_it_goes: bool = False
    ) -> None:
        self._file = file
        header = _Header.read(file)
        self._header = header
        self.key_id = header.key_id
        self._cipher = _cipher(keyring.key(header.key_id), header.salt)
        body = file.seek(0, os.SEEK_END) - len(header.octets)
        whole, rest = divmod(body, header.chunk + TAG)
        self._chunks, self.length = whole, whole * header.chunk
        self._ends = not as_far_as_it_goes or self._is_last(whole, rest)
        if not self._ends:
            return  # what a crash has cut off: a chunk that was not written whole is not there
        if rest >= TAG:
            self._chunks, self.length = whole + 1, self.length + rest - TAG
        elif rest or not whole:
            raise Truncated("the file ends in the middle of a chunk")

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The plaintext from `start` up to `end`, chunk by chunk.

        Raises `Tampered`, and `Truncated` at the end of a file that lacks its last chunk.
        """
        end = self.length if end is None else min(end, self.length)
        size = self._header.chunk
        for number in range(start // size, -(-end // size)):
            data = self._open(number)
            first = number * size
            yield data[max(0, start - first) : end - first]
        if self._ends and not self.length:
            self._open(0)

    def _open(self, number: int) -> bytes:
        last = self._ends and number == self._chunks - 1
        try:
            return self._unseal(self._sealed(number), number, last=last)
        except InvalidTag:
            pass
        if last:
            # A whole chunk that is not marked as the last: the file was cut there.
            try:
                self._unseal(self._sealed(number), number, last=False)
            except InvalidTag:
                pass
            else:
                raise Truncated("the last chunk is missing")
        raise Tampered(f"chunk {number} is not what was written")

    def _is_last(self, whole: int, rest: int) -> bool:
        """Whether what is there ends with a chunk that is marked as the last."""
        number = whole if rest else whole - 1
        if number < 0 or 0 < rest < TAG:
            return False
        try:
            self._unseal(self._sealed(number), number, last=True)
        except InvalidTag:
            return False
        return True

    def _sealed(self, number: int) -> bytes:
        size = self._header.chunk + TAG
        self._file.seek(len(self._header.octets) + number * size)
        return self._file.read(size)

    def _unseal(self, sealed: bytes, number: int, *, last: bool) -> bytes:
        if len(sealed) < TAG:
            raise InvalidTag
        nonce = _nonce(self._header.prefix, number, last=last)
        return self._cipher.decrypt(nonce, sealed, self._header.octets)


@dataclass(frozen=True, slots=True)
class _Header:
    octets: bytes
    key_id: str
    chunk: int
    salt: bytes
    prefix: bytes

    @classmethod
    def read(cls, file: BinaryIO) -> _Header:
        file.seek(0)
        start = file.read(len(MAGIC) + 1)
        if len(start) <= len(MAGIC) or not is_encrypted(start):
            raise EnvelopeError("this is no encrypted recording")
        name = file.read(start[-1])
        rest = file.read(4 + _SALT + _PREFIX)
        if len(name) < start[-1] or len(rest) < 4 + _SALT + _PREFIX:
            raise Truncated("the file ends in its header")
        (chunk,) = struct.unpack(">I", rest[:4])
        if not 0 < chunk <= _LARGEST_CHUNK:
            raise EnvelopeError(f"a chunk of {chunk} octets")
        return cls(
            start + name + rest,
            name.decode("utf-8", "replace"),
            chunk,
            rest[4 : 4 + _SALT],
            rest[4 + _SALT :],
        )


def is_encrypted(start: bytes) -> bool:
    """Whether a file that begins so is one of these."""
    return start.startswith(MAGIC)


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), KEY_OCTETS, salt, _INFO).derive(key))


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    return prefix + struct.pack(">IB", number, last)
