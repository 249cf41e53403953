"""The contact centre of a server: from settings to who takes callers of `queue:`, `agent:`
and `voicemail:`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
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
    Reception,
    Treatments,
    read,
)
from vxml_server.store import NewEvent
from vxml_server.voicemail import VOICEMAIL, Voicemail, VoicemailTransfer, destination_of

_TABLES: Mapping[str, Kind] = {
    "agents": "agent",
    "boxes": "box",
    "groups": "group",
    "queues": "queue",
}
DOCUMENTS = Path(str(resources.files("vxml_server.queues"))) / "documents"
"""Where the shipped documents of waiting callers are."""
LANGUAGES = frozenset(path.name.split(".")[1] for path in DOCUMENTS.glob("waiting.*.vxml"))
"""Those that they are in."""


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
    """The shipped documents in a language, in English when there are none in it."""
    primary = language.partition("-")[0].lower()
    chosen = primary if primary in LANGUAGES else "en"
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
    tell: Callable[[Iterable[NewEvent]], None],
    language: str,
    voicemail: Voicemail,
) -> Mapping[str, MakeTransferral]:
    """Who takes callers, by the scheme of the destination; `language` is that of documents that
    have none."""

    def follows(queue: str) -> bool:
        roster = centre.board.roster(queue)
        return roster is not None and roster.queue.follow_forwarding

    def box(queue: str) -> str:
        found = voicemail.box_of_queue(queue)
        return "" if found is None else destination_of(found)

    reception = Reception(
        centre=centre,
        engine=engine,
        clock=clock,
        dial=Dialler(line, contacts, follows).dial,
        treatments=lambda wanted: treatments(wanted or language),
        tell=tell,
        box=box,
    )

    def wait(handover: Handover, request: TransferRequest) -> Transferral:
        return QueueTransfer(reception, handover, request)

    def leave(handover: Handover, request: TransferRequest) -> Transferral:
        return VoicemailTransfer(voicemail, clock, handover, request, language)

    return {"queue": wait, "agent": wait, VOICEMAIL: leave}
