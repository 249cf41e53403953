"""Recordings on a local disk while they are made, and until the target has confirmed them.

Each process has a folder of its own below the operator's, which it holds locked: a folder that
nobody holds was left by a process that crashed, and what is in it is taken over by the next one
that starts. A file is linear audio at 8 kHz, of both parties or of one: WAV, whose sizes are put
right with every write, or the same encrypted, where the sizes stay 0.

The rules that must hold: at any time the file is one that can be played, and holds all but the last
second of what was said; nothing is removed from here before somebody else has it.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import structlog

from vxml_server.audio import RATE
from vxml_server.process_folder import ProcessFolder, write_all
from vxml_server.recording.envelope import (
    Keyring,
    Opened,
    SealedAppend,
    Sealer,
    Tampered,
    is_encrypted,
)

_log = structlog.get_logger(__name__)

STEREO, MONO = 2, 1
"""Channels of a conversation, and of what one party has said."""
SAMPLE_OCTETS = 2
FRAME_OCTETS = 160 * STEREO * SAMPLE_OCTETS
"""20 ms of both parties."""
BATCH = 25
"""Frames that are written at a time, and are a chunk of an encrypted file: half a second."""
ORPHANS = "orphans"
PLAIN, SEALED = ".wav", ".sealed"
_HEADER = 44
_CHANNELS_AT = 22
_PCM = 1


def wav_header(octets: int, channels: int) -> bytes:
    """The header of a WAV file with so many octets of 16 bit samples at 8 kHz."""
    block = channels * SAMPLE_OCTETS
    return struct.pack(
        "<4sI4s 4sIHHIIHH 4sI",
        *(b"RIFF", _HEADER - 8 + octets, b"WAVE"),
        *(b"fmt ", 16, _PCM, channels, RATE, RATE * block, block, 8 * SAMPLE_OCTETS),
        *(b"data", octets),
    )


class SpoolFile:
    """One recording as it grows; of one thread. Its methods raise OSError."""

    def __init__(self, path: Path, keyring: Keyring, channels: int) -> None:
        self.path = path
        self._channels = channels
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        self._place = 0
        self._octets = 0
        self._sealed: SealedAppend | None = None
        if keyring.first:
            sealer = Sealer(keyring, BATCH * FRAME_OCTETS)
            self._sealed = SealedAppend(self._write, sealer)
            self._sealed.append(wav_header(0, channels))
        else:
            self._write(wav_header(0, channels))

    def append(self, samples: bytes) -> None:
        """Takes interleaved samples, little endian. Those of a whole batch are in the file then, of
        an encrypted one all but as many octets as a header has."""
        if self._sealed is not None:
            self._sealed.append(samples)
            return
        self._write(samples)
        self._octets += len(samples)
        write_all(self._file, wav_header(self._octets, self._channels), 0)

    def close(self, *, durably: bool = False) -> None:
        """Ends the file. Twice is harmless. One that is closed `durably` outlives a power cut."""
        if self._file < 0:
            return
        try:
            if self._sealed is not None:
                self._sealed.finish()
            if durably:
                os.fsync(self._file)
        finally:
            os.close(self._file)
            self._file = -1

    def _write(self, octets: bytes) -> None:
        write_all(self._file, octets, self._place)
        self._place += len(octets)


@dataclass(frozen=True, slots=True)
class Samples:
    """Interleaved samples, little endian, in pieces of whole ones, to be read once."""

    channels: int
    pieces: Iterable[bytes]

    def seconds(self) -> float:
        """How long they are, which reads them."""
        return sum(map(len, self.pieces)) / (self.channels * SAMPLE_OCTETS * RATE)


NOTHING = Samples(STEREO, ())


def samples_of(path: Path, keyring: Keyring) -> Samples:
    """The samples of a file of the spool, as many as there are.

    What a crash has left unfinished ends where it was cut off. Raises OSError and `EnvelopeError`,
    and so do the pieces.
    """
    pieces = _pieces_of(path, keyring)
    start = bytearray()
    while len(start) < _HEADER and (piece := next(pieces, b"")):
        start += piece
    if len(start) < _HEADER:
        return NOTHING
    channels = MONO if start[_CHANNELS_AT] == MONO else STEREO
    rest = chain([bytes(start[_HEADER:])], pieces)
    return Samples(channels, _whole(rest, channels * SAMPLE_OCTETS))


def _pieces_of(path: Path, keyring: Keyring) -> Iterator[bytes]:
    """What stands in a file, decrypted."""
    with path.open("rb") as file:
        if not is_encrypted(file.read(16)):
            file.seek(0)
            while piece := file.read(BATCH * FRAME_OCTETS):
                yield piece
            return
        try:
            yield from Opened(file, keyring, as_far_as_it_goes=True).read()
        except Tampered as error:
            _log.error("a recording is damaged from here on", path=str(path), error=str(error))


def _whole(pieces: Iterable[bytes], block: int) -> Iterator[bytes]:
    """The same octets in pieces of whole blocks; a part of one at the end is left out."""
    rest = b""
    for piece in pieces:
        rest += piece
        if whole := len(rest) // block * block:
            yield rest[:whole]
            rest = rest[whole:]


class Spool:
    """The folder of this process: `open` it, then `close`."""

    def __init__(self, folder: Path, worker: str, keyring: Keyring) -> None:
        self._folder = folder
        self.keyring = keyring
        self._own = ProcessFolder(folder, worker)

    @contextmanager
    def opening(self) -> Iterator[list[Path]]:
        """Takes a folder, and the recordings that processes have left which are no more.

        While this lasts no other process takes or looks for any. Raises OSError when the folder
        cannot be made or written to.
        """
        with self._own.take() as left:
            yield [path for folder in left for path in self._take_over(folder)]

    def close(self) -> None:
        """Lets go of the folder; what is in it is found by the next one to start."""
        if self._own.is_taken:
            with suppress(OSError):
                self.own.rmdir()
            self._own.let_go()

    def new(self, recording: str) -> SpoolFile:
        """A file for the recording of a conversation."""
        return SpoolFile(self._path(recording), self.keyring, STEREO)

    def put(self, recording: str, samples: bytes) -> None:
        """A whole file of what one party has said; a power cut does not take it any more.

        Raises OSError; then there is nothing, as after a crash on the way.
        """
        part = self.part(recording)
        try:
            file = SpoolFile(part, self.keyring, MONO)
            try:
                file.append(samples)
            finally:
                file.close(durably=True)
            part.replace(self._path(recording))
            _sync(self.own)
        except BaseException:
            self.remove(recording)
            raise

    def part(self, recording: str) -> Path:
        """Where to make what goes to the target."""
        return self.own / f"{recording}.part"

    def find(self, recording: str) -> Path | None:
        """The file of a recording, if it is here."""
        paths = (self.own / f"{recording}{suffix}" for suffix in (PLAIN, SEALED))
        return next((path for path in paths if path.exists()), None)

    def remove(self, recording: str) -> None:
        """Removes a recording: somebody else has it, or nobody may."""
        for suffix in (PLAIN, SEALED, ".part"):
            (self.own / f"{recording}{suffix}").unlink(missing_ok=True)

    def set_aside(self, path: Path) -> Path:
        """Moves a file that no recording is known for to where the operator finds it."""
        folder = self._folder / ORPHANS
        folder.mkdir(mode=0o700, exist_ok=True)
        return path.replace(folder / path.name)

    @property
    def own(self) -> Path:
        return self._own.path

    def _path(self, recording: str) -> Path:
        return self.own / f"{recording}{SEALED if self.keyring.first else PLAIN}"

    def _take_over(self, folder: Path) -> list[Path]:
        left = [path for path in sorted(folder.iterdir()) if path.suffix in {PLAIN, SEALED}]
        taken = [path.replace(self.own / path.name) for path in left]
        shutil.rmtree(folder, ignore_errors=True)
        return taken


def _sync(folder: Path) -> None:
    """What was put into a folder outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
