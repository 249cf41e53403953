"""A recording as data: what it is of, how far it has come, where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vxml_server.recording.transitions import State
from vxml_server.store import Cursor, Json


@dataclass(frozen=True, slots=True)
class Recording:
    """A row of the table. Times are aware and in UTC.

    `pauses` are in seconds from the beginning of the audio, which is silent there. `octets` is the
    length of the audio file, `stored_octets` and `checksum` (SHA-256) are of the file at the target
    (`path` below `target`), which is encrypted if there is a `key_id`. `interrupted` is true of one
    whose end was a crash or a failing disk.
    """

    id: str
    call_id: str
    worker: str
    rule: str
    direction: str
    caller: str
    number: str
    announced_at: datetime
    state: State = State.ANNOUNCED
    destination: str = ""
    application: str = ""
    queue: str = ""
    agent: str = ""
    data: Mapping[str, Json] = field(default_factory=dict)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None
    duration_s: float = 0.0
    pauses: Sequence[Sequence[float]] = ()
    interrupted: bool = False
    format: str = ""
    key_id: str = ""
    target: str = ""
    path: str = ""
    octets: int = 0
    stored_octets: int = 0
    checksum: str = ""
    held: bool = False
    trouble: str = ""
    generation: int = 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What recordings are asked for: those for which all holds that is given.

    `number` is part of the caller's or the dialled number, `text` of the attached data; neither
    minds upper and lower case.
    """

    since: datetime | None = None
    until: datetime | None = None
    number: str = ""
    queue: str = ""
    agent: str = ""
    call_id: str = ""
    state: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Some recordings, newest first; `cursor` asks for those after them."""

    recordings: tuple[Recording, ...]
    cursor: Cursor | None
