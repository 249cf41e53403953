"""A folder that belongs to one running process, below one that processes share.

The process holds its folder locked for as long as it lives, and the system lets go of the lock
however it dies: a folder that nobody holds was left by a process that is no more, and whoever finds
it may have what is in it. The rule that must hold: no process takes the folder of another that
lives, nor of one that is just starting.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


class ProcessFolder:
    """`take` it, use its `path`, `let_go` of it."""

    def __init__(self, shared: Path, worker: str) -> None:
        self._shared = shared
        self._worker = worker
        self._path: Path | None = None
        self._lock = -1

    @contextmanager
    def take(self) -> Iterator[list[Path]]:
        """Makes the folder, and gives those that processes have left which are no more.

        They are the caller's, to be emptied and removed, while this lasts; no other process takes a
        folder or looks for one meanwhile. Raises OSError when no folder can be made.
        """
        self._shared.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ExitStack() as held:
            held.callback(os.close, _locked(self._shared))
            self._path = Path(tempfile.mkdtemp(prefix=f"{self._worker}-", dir=self._shared))
            self._lock = _locked(self._path)
            left = []
            for folder in sorted(self._shared.glob(f"*-{'?' * 8}")):
                if folder == self._path or not folder.is_dir():
                    continue
                lock = _locked(folder, wait=False)
                if lock >= 0:
                    held.callback(os.close, lock)
                    left.append(folder)
            yield left

    @property
    def path(self) -> Path:
        """The folder of this process."""
        assert self._path is not None, "take comes first"
        return self._path

    @property
    def is_taken(self) -> bool:
        """Whether this process has its folder."""
        return self._path is not None

    def let_go(self) -> None:
        """Gives the lock back; what is still in the folder is for the next process that starts."""
        if self._path is not None:
            os.close(self._lock)
            self._path = None


def _locked(folder: Path, *, wait: bool = True) -> int:
    """A descriptor that holds the lock on a folder until it is closed; -1 if another has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return -1
    return descriptor


def write_all(file: int, octets: bytes, place: int) -> None:
    """Writes all of it at a place; a disk that is full takes a part, and then nothing."""
    view = memoryview(octets)
    while view:
        written = os.pwrite(file, view, place)
        view = view[written:]
        place += written
