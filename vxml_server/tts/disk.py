"""Speech in a folder: what was rendered before is not rendered again after a restart.

A file a speech, named by its key (`key_of`), so names say nothing of what is spoken. A file is one
line of JSON, which says the version of the format, the key, marks, warnings and a checksum, and
then the samples, 16 bit little endian.

The rules: a file is there whole or not at all (it is written beside and renamed); what is damaged,
of another version or under a wrong name counts as not there, is removed and may be written anew;
files of other names are left alone. Several processes may share a folder. What was not read for the
longest goes first when there are more than `max_bytes`.

All methods may be called from any thread, wait for the disk, and do not raise: a folder that cannot
be used costs time, no calls.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numpy as np
import structlog

from vxml_server.clock import Clock
from vxml_server.tts.speech import Mark, Speech

_log = structlog.get_logger(__name__)
VERSION = 1
MAX_BYTES = 1024 * 2**20
SUFFIX = ".speech"
UNFINISHED = ".part"
STALE = 3600.0  # seconds after which nobody is writing an unfinished file any more
# When room is made, some more of it, so that not every file that is written looks for it.
ROOM = 0.1
_NAME = re.compile(r"[0-9a-f]{64}")


class DiskCache:
    """A folder of speech.

    `takes_calls`: whether calls may write to it too, and not only `prompts render`.
    """

    def __init__(
        self, folder: Path, clock: Clock, *, max_bytes: int = MAX_BYTES, takes_calls: bool = True
    ) -> None:
        self.folder = folder
        self.takes_calls = takes_calls
        self.errors = 0
        self._clock = clock
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None  # what there is, but for what other processes wrote since

    def path(self, key: str) -> Path:
        """Where the speech of a key is; not too many in one folder."""
        return self.folder / key[:2] / f"{key}{SUFFIX}"

    def has(self, key: str) -> bool:
        """Whether there is a file for a key, good or not; quick enough for the event loop."""
        return self.path(key).is_file()

    def read(self, key: str) -> Speech | None:
        """The speech of a key, which is then the last to go; None if it is not there."""
        path = self.path(key)
        try:
            speech = _parsed(key, path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            self._failed("read", error)
            return None
        if speech is None:
            _log.warning("a file of speech is damaged", path=str(path))
            with suppress(OSError):
                path.unlink()
            return None
        now = self._clock.utc_now().timestamp()
        with suppress(OSError):
            os.utime(path, (now, now))
        return speech

    def write(self, key: str, speech: Speech) -> bool:
        """Whether it was written, or larger than the whole folder may be."""
        data = _written(key, speech)
        if len(data) > self._max_bytes:
            return False
        path = self.path(key)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(path, data)
            now = self._clock.utc_now().timestamp()
            os.utime(path, (now, now))
            self._make_room(len(data))
        except OSError as error:
            self._failed("write", error)
            return False
        return True

    def _failed(self, what: str, error: OSError) -> None:
        self.errors += 1
        _log.warning("the folder of speech cannot be used", what=what, error=str(error))

    def _make_room(self, added: int) -> None:
        with self._lock:
            if self._bytes is not None:
                self._bytes += added
                if self._bytes <= self._max_bytes:
                    return
            files = sorted(self._files())
            self._bytes = sum(size for _, size, _ in files)
            if self._bytes <= self._max_bytes:
                return
            for _, size, path in files[:-1]:
                if self._bytes <= self._max_bytes * (1 - ROOM):
                    break
                with suppress(FileNotFoundError):
                    path.unlink()
                self._bytes -= size

    def _files(self) -> list[tuple[float, int, Path]]:
        """(last used, bytes, path) of all that is ours; what was left unfinished is removed."""
        found = []
        oldest = self._clock.utc_now().timestamp() - STALE
        for path in self.folder.glob("[0-9a-f][0-9a-f]/*"):
            with suppress(OSError):
                status = path.stat()
                if path.suffix == UNFINISHED and status.st_mtime < oldest:
                    path.unlink()
                elif path.suffix == SUFFIX and _NAME.fullmatch(path.stem):
                    found.append((status.st_mtime, status.st_size, path))
        return found


def _replace(path: Path, data: bytes) -> None:
    """Puts `data` in the place of what was there, if anything was, in one step."""
    descriptor, name = tempfile.mkstemp(UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _written(key: str, speech: Speech) -> bytes:
    samples = speech.pcm.astype("<i2").tobytes()
    header = {
        "version": VERSION,
        "key": key,
        "samples": len(speech.pcm),
        "marks": [[mark.name, mark.seconds] for mark in speech.marks],
        "warnings": list(speech.warnings),
    }
    line = json.dumps(header).encode()
    checksum = sha256(line + samples).hexdigest()
    return f"{checksum} ".encode() + line + b"\n" + samples


def _parsed(key: str, data: bytes) -> Speech | None:
    """What `_written` wrote under this key; None for anything else."""
    line, newline, samples = data.partition(b"\n")
    checksum, _, line = line.partition(b" ")
    if not newline or checksum != sha256(line + samples).hexdigest().encode():
        return None
    # The checksum vouches that this was written by some version of this module.
    header = json.loads(line)
    if header["version"] != VERSION or header["key"] != key:
        return None
    return Speech(
        np.frombuffer(samples, "<i2").astype(np.int16),
        tuple(Mark(name, seconds) for name, seconds in header["marks"]),
        tuple(header["warnings"]),
    )
