"""A message as data, and what of a box people are told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from vxml_server.store import Cursor

Notified = Literal["none", "pending", "sent", "given_up"]
"""Nobody is to be told; somebody has not been told yet; everybody has been; somebody never was."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a caller has left. Times are aware and in UTC; `id` is that of its recording.

    `queue` and `agent` are those that the box belonged to. `deleted` is one that was deleted, or
    whose recording was, or could not be kept: no list has it.
    """

    id: str
    box: str
    call_id: str
    caller: str
    left_at: datetime
    duration_s: float
    heard_at: datetime | None = None
    deleted: bool = False
    notified: Notified = "none"
    queue: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """Messages of a box."""

    new: int
    heard: int

    @property
    def all(self) -> int:
        return self.new + self.heard


@dataclass(frozen=True, slots=True)
class Messages:
    """Some messages, newest first; `cursor` asks for those after them."""

    messages: tuple[Message, ...]
    cursor: Cursor | None
