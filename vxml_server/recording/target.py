"""Where recordings are kept: a folder, or anything that fsspec knows by a URL (`s3://bucket`).

The rule that must hold: `put` returns only when the target, asked again, has the file with its
length and its checksum.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast

import fsspec

from vxml_server.recording.packing import digest

# Whoever uses a target tries again; a library that does so too keeps a thread, and the end of the
# process, waiting for it (seconds).
_IMPATIENT: Mapping[str, object] = {
    "config_kwargs": {
        "connect_timeout": 10,
        "read_timeout": 60,
        "retries": {"total_max_attempts": 1},
    }
}
_OPTIONS: Mapping[str, Mapping[str, object]] = {"s3": _IMPATIENT, "s3a": _IMPATIENT}
"""What the library behind a URL is told besides, by scheme."""


class TargetError(OSError):
    """The target does not answer, refuses, or has something else than it was given."""


class Target:
    """A place by URL or path. Its methods wait: they are for threads. They raise `TargetError`."""

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        self.url = url
        try:
            given = {**_OPTIONS.get(url.partition("://")[0], {}), **(options or {})}
            self._files, self._root = fsspec.core.url_to_fs(url, **given)
        except (ValueError, ImportError) as error:
            raise TargetError(f"{_without_password(url)}: {error}") from error

    def put(self, source: Path, path: str, octets: int, checksum: str) -> None:
        """Copies a file there, over what may be there, and looks whether it has arrived."""
        place = self._place(path)
        try:
            self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(source), place)
            self._files.invalidate_cache()
            stored = self._files.info(place)["size"]
            if stored != octets:
                raise TargetError(f"{path}: {stored} octets arrived of {octets}")
            with self._files.open(place, "rb") as file:
                _, found = digest(file)
        except TargetError:
            raise
        except Exception as error:
            raise TargetError(f"{path}: {type(error).__name__}: {error}") from error
        if found != checksum:
            raise TargetError(f"{path}: what arrived is not what was sent")

    def open(self, path: str) -> BinaryIO:
        """The file, to be read from any place in it."""
        try:
            return cast(BinaryIO, self._files.open(self._place(path), "rb"))
        except Exception as error:
            raise TargetError(f"{path}: {type(error).__name__}: {error}") from error

    def remove(self, path: str) -> None:
        """Deletes the file; harmless if it is not there."""
        try:
            self._files.invalidate_cache()
            if self._files.exists(self._place(path)):
                self._files.rm_file(self._place(path))
        except Exception as error:
            raise TargetError(f"{path}: {type(error).__name__}: {error}") from error

    def _place(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"


def _without_password(url: str) -> str:
    scheme, found, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if found else url
