"""Where recordings are kept: a folder, or anything that fsspec knows by a URL (`s3://bucket`).

A recording knows by name the target that it was brought to: the operator may choose another one,
and has what is at the first read and removed there. The rules that must hold: `put` returns only
when the target, asked again, has the file with its length and its checksum; `remove` returns only
when the file is known not to be at this target, and not because the target was not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

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
        self.name = _name(url)
        """What recordings that are there have in their rows."""
        try:
            given = {**_OPTIONS.get(url.partition("://")[0], {}), **(options or {})}
            self._files, self._root = fsspec.core.url_to_fs(url, **given)
        except (ValueError, ImportError) as error:
            raise TargetError(f"{self.name}: {error}") from error

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
                with suppress(FileNotFoundError):  # another process was faster
                    self._files.rm_file(self._place(path))
            elif isinstance(self._files, LocalFileSystem) and not _has_anything(self._root):
                # The folders of days stay, so this is a disk that is not mounted, or another's.
                raise TargetError(f"{path}: {self.name} is not there, or is empty")
        except TargetError:
            raise
        except Exception as error:
            raise TargetError(f"{path}: {type(error).__name__}: {error}") from error

    def _place(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"


class Targets:
    """The target of now, and those where recordings may still be from before."""

    def __init__(self, now: Target, former: Iterable[Target] = ()) -> None:
        self.now = now
        self._known = {target.name: target for target in (*former, now)}

    def of(self, name: str) -> Target:
        """The target of this name: one of the settings, or a folder, which needs none.

        Raises `TargetError` for any other: how it is reached, and by whom, is not guessed.
        """
        name = _name(name)
        known = self._known.get(name)
        if known is not None:
            return known
        if not name or "://" in name:
            raise TargetError(f"the settings do not know the target {name!r} any more")
        return Target(name)


def _name(url: str) -> str:
    """A URL without its password, a path as it is."""
    scheme, found, rest = url.partition("://")
    if not found:
        return url
    place, slash, path = rest.partition("/")
    user, at, host = place.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{host}{slash}{path}"


def _has_anything(folder: str) -> bool:
    try:
        return next(Path(folder).iterdir(), None) is not None
    except FileNotFoundError:
        return False
