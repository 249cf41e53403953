"""`vxml-server recordings export`: one recording from where it is kept to a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from vxml_server.clock import Clock
from vxml_server.recording import (
    CannotRecord,
    EnvelopeError,
    Library,
    NoRecording,
    NotStored,
    make_archive,
)
from vxml_server.settings import SettingsError, load
from vxml_server.store import Store

EXPORTED, FAILED, BAD_USAGE = 0, 1, 2
WORKER = "export"
"""The name among the processes that share the database: two exports wait for each other's end."""

Write = Callable[[str], object]


async def export_recording(
    recording: str,
    out: Path,
    write: Write,
    complain: Write,
    *,
    clock: Clock,
    by: str,
    config: Path | None = None,
) -> int:
    """Writes the audio to `out`, which must not be there, and who got it to the log. The status."""
    try:
        settings = load(config, os.environ)
    except SettingsError as error:
        complain(str(error))
        return BAD_USAGE
    try:
        store = await Store.open(settings.store.url, clock, worker=WORKER)
        try:
            archive = make_archive(settings.recording, store, WORKER, clock)
            audio = await Library(archive, clock).audio(recording, by)
            with out.open("xb") as file:
                async for piece in audio.pieces:
                    file.write(piece)
        finally:
            await store.close()
    except NoRecording:
        complain(f"there is no recording {recording}")
        return FAILED
    except NotStored as error:
        complain(f"the recording is {error}")
        return FAILED
    except (OSError, EnvelopeError, CannotRecord) as error:
        complain(str(error))
        return FAILED
    write(f"{out}: {audio.length} octets")
    return EXPORTED
