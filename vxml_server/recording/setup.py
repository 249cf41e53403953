"""The room put together from the settings."""

from __future__ import annotations

import random
from pathlib import Path

from vxml_server.clock import Clock
from vxml_server.media import MediaEngine
from vxml_server.recording.archive import Archive, Retention
from vxml_server.recording.envelope import Keyring
from vxml_server.recording.ledger import Ledger
from vxml_server.recording.library import Library
from vxml_server.recording.recorder import Recorder
from vxml_server.recording.spool import Spool
from vxml_server.recording.target import Target, Targets
from vxml_server.settings import FormerTarget, RecordingSettings, parse_key
from vxml_server.store import Store


class CannotRecord(Exception):
    """Something of the operator's is not as it has to be; the text says what."""


def keyring(settings: RecordingSettings) -> Keyring:
    """The keys of the settings. Raises `CannotRecord` for a file that has none."""
    keys = {}
    for key in settings.keys:
        try:
            if key.file is not None:
                keys[key.id] = parse_key(key.file.read_bytes())
            elif key.key is not None:
                keys[key.id] = parse_key(key.key.get_secret_value().encode())
        except (OSError, ValueError) as error:
            raise CannotRecord(f"recording: key {key.id}: {error}") from error
    return Keyring(keys)


class Recordings:
    """The recorder, the archive and the library of one process. `start`, then `close`."""

    def __init__(
        self,
        settings: RecordingSettings,
        *,
        store: Store,
        worker: str,
        clock: Clock,
        random: random.Random,
        engine: MediaEngine,
        language: str,
    ) -> None:
        """Raises `CannotRecord`."""
        self.archive = make_archive(settings, store, worker, clock)
        self.library = Library(self.archive, clock)
        self.recorder = Recorder(
            settings,
            engine=engine,
            ledger=self.archive.ledger,
            archive=self.archive,
            clock=clock,
            random=random,
            language=language,
        )

    async def start(self) -> None:
        """Takes over what a crash has left. Raises OSError when the spool cannot be used."""
        await self.archive.start()
        self.recorder.start()

    async def close(self) -> None:
        """Ends what is running; what is not at the target by then is found at the next start."""
        await self.recorder.close()
        await self.archive.close()


def make_archive(settings: RecordingSettings, store: Store, worker: str, clock: Clock) -> Archive:
    """The archive alone. Raises `CannotRecord`."""
    try:
        targets = Targets(_target(settings), map(_target, settings.former_targets))
    except OSError as error:
        raise CannotRecord(f"recording: target: {error}") from error
    return Archive(
        Ledger(store, worker),
        Spool(settings.spool, worker, keyring(settings)),
        targets,
        clock,
        form=settings.format,
        retention=Retention(settings.retention_days, settings.retention),
    )


def _target(settings: RecordingSettings | FormerTarget) -> Target:
    options = settings.target_options
    return Target(
        _place(settings.target),
        {name: secret.get_secret_value() for name, secret in options.items()},
    )


def _place(target: str) -> str:
    """A URL as it is; a path from the working directory of now."""
    return target if ":" in target else str(Path(target).absolute())
