"""Recordings on a local disk while they are made, and until the target has confirmed them.

Each process has a folder of its own below the operator's, which it holds locked: a folder that
nobody holds was left by a process that crashed, and what is in it is taken over by the next one
that starts. A file is stereo linear audio at 8 kHz: WAV, whose sizes are put right with every
write, or the samples alone in an encrypted file.

The rules that must hold: at any time the file is one that can be played, and holds all but the last
second of what was said; nothing is removed from here before somebody else has it.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from vxml_server.audio import RATE
from vxml_server.process_folder import ProcessFolder
from vxml_server.recording.envelope import (
    Keyring,
    Opened,
    SealedAppend,
    Sealer,
    Tampered,
    is_encrypted,
)

_log = structlog.get_logger(__name__)

CHANNELS = 2
SAMPLE_OCTETS = 2
FRAME_OCTETS = 160 * CHANNELS * SAMPLE_OCTETS
"""20 ms of both parties."""
BATCH = 25
"""Frames that are written at a time, and are a chunk of an encrypted file: half a second."""
ORPHANS = "orphans"
PLAIN, SEALED = ".wav", ".sealed"
_HEADER = 44
_PCM = 1


def wav_header(octets: int) -> bytes:
    """The header of a stereo WAV file with so many octets of 16 bit samples at 8 kHz."""
    block = CHANNELS * SAMPLE_OCTETS
    return struct.pack(
        "<4sI4s 4sIHHIIHH 4sI",
        *(b"RIFF", _HEADER - 8 + octets, b"WAVE"),
        *(b"fmt ", 16, _PCM, CHANNELS, RATE, RATE * block, block, 8 * SAMPLE_OCTETS),
        *(b"data", octets),
    )


class SpoolFile:
    """One recording as it grows; of one thread. Its methods raise OSError."""

    def __init__(self, path: Path, keyring: Keyring) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        self._place = 0
        self._octets = 0
        self._sealed: SealedAppend | None = None
        if keyring.first:
            sealer = Sealer(keyring, BATCH * FRAME_OCTETS)
            self._sealed = SealedAppend(self._write, sealer)
        else:
            self._write(wav_header(0))

    def append(self, samples: bytes) -> None:
        """Takes interleaved samples, little endian; those of a whole batch are in the file then."""
        if self._sealed is not None:
            self._sealed.append(samples)
            return
        self._write(samples)
        self._octets += len(samples)
        _write_all(self._file, wav_header(self._octets), 0)

    def close(self) -> None:
        """Ends the file. Twice is harmless."""
        if self._file < 0:
            return
        try:
            if self._sealed is not None:
                self._sealed.finish()
        finally:
            os.close(self._file)
            self._file = -1

    def _write(self, octets: bytes) -> None:
        _write_all(self._file, octets, self._place)
        self._place += len(octets)


def samples_of(path: Path, keyring: Keyring) -> Iterator[bytes]:
    """The interleaved samples of a file of the spool, as many as there are, in pieces.

    What a crash has left unfinished ends where it was cut off. Raises OSError and `EnvelopeError`.
    """
    with path.open("rb") as file:
        if is_encrypted(file.read(16)):
            try:
                yield from Opened(file, keyring, as_far_as_it_goes=True).read()
            except Tampered as error:
                _log.error("a recording is damaged from here on", path=str(path), error=str(error))
            return
        file.seek(_HEADER)
        while piece := file.read(BATCH * FRAME_OCTETS):
            yield piece[: len(piece) // (CHANNELS * SAMPLE_OCTETS) * CHANNELS * SAMPLE_OCTETS]


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
        """A file for a recording."""
        suffix = SEALED if self.keyring.first else PLAIN
        return SpoolFile(self.own / f"{recording}{suffix}", self.keyring)

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

    def _take_over(self, folder: Path) -> list[Path]:
        left = [path for path in sorted(folder.iterdir()) if path.suffix in {PLAIN, SEALED}]
        taken = [path.replace(self.own / path.name) for path in left]
        shutil.rmtree(folder, ignore_errors=True)
        return taken


def _write_all(file: int, octets: bytes, place: int) -> None:
    """Writes all of it at a place; a disk that is full takes a part, and then nothing."""
    view = memoryview(octets)
    while view:
        written = os.pwrite(file, view, place)
        view = view[written:]
        place += written
