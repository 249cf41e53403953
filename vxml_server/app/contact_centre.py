"""The contact centre of a server: from settings to who takes callers of `queue:` and `agent:`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from vxml_server.app.errors import CannotStart
from vxml_server.calls import Handover, Line, MakeTransferral, Transferral
from vxml_server.clock import Clock
from vxml_server.interpreter import TransferRequest
from vxml_server.media import MediaEngine
from vxml_server.queues import (
    BadDefinition,
    ContactCentre,
    Contacts,
    Definition,
    Dialler,
    Kind,
    QueueTransfer,
    Treatments,
    read,
)

_TABLES: Mapping[str, Kind] = {"agents": "agent", "groups": "group", "queues": "queue"}
DOCUMENTS = Path(str(resources.files("vxml_server.queues"))) / "documents"
"""Where the shipped documents of waiting callers are."""


def definitions(path: Path | None) -> list[Definition]:
    """What the file of `[queues] definitions` says; raises `CannotStart`."""
    if path is None:
        return []
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CannotStart(f"{path}: {error}") from error
    found = []
    for name, items in tables.items():
        kind = _TABLES.get(name)
        if kind is None or not isinstance(items, list):
            known = ", ".join(f"[[{table}]]" for table in _TABLES)
            raise CannotStart(f"{path}: {name}: expected {known}")
        for number, item in enumerate(items, start=1):
            try:
                found.append(read(kind, item))
            except BadDefinition as error:
                raise CannotStart(f"{path}: {name} {number}: {error}") from None
    return found


def treatments(language: str) -> Treatments:
    """The shipped documents in the language of the platform, in English when there is none."""
    primary = language.partition("-")[0].lower()
    chosen = primary if (DOCUMENTS / f"waiting.{primary}.vxml").exists() else "en"
    return Treatments(
        waiting=(DOCUMENTS / f"waiting.{chosen}.vxml").as_uri(),
        announcement=(DOCUMENTS / f"announcement.{chosen}.vxml").as_uri(),
    )


def destinations(
    centre: ContactCentre,
    engine: MediaEngine,
    clock: Clock,
    line: Line,
    contacts: Contacts,
    language: str,
) -> Mapping[str, MakeTransferral]:
    """Who takes callers, by the scheme of the destination."""
    dialler = Dialler(line, contacts)
    heard = treatments(language)

    def make(handover: Handover, request: TransferRequest) -> Transferral:
        return QueueTransfer(centre, engine, clock, dialler.dial, heard, handover, request)

    return {"queue": make, "agent": make}
