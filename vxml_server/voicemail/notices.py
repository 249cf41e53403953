"""Who is to be told of a message, and when it is tried again.

The rules that must hold: each notice comes to one end, sent or given up; after 1, 2, 4 ... minutes
it is tried again, once an hour at the latest, and for the last time a day after the message was
left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, Protocol

from vxml_server.queues import Box, without_secrets
from vxml_server.voicemail.records import Message

WayName = Literal["mail", "webhook"]
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=1)
GIVEN_UP_AFTER = timedelta(hours=24)


class NoticeState(StrEnum):
    """How far a notice has come."""

    PENDING = "pending"
    SENT = "sent"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Notice:
    """One that is to be told: an address of mail, or the URL of a webhook.

    `tries` counts those that were begun; `due_at` is when the next may begin.
    """

    message: str
    number: int
    way: WayName
    address: str
    due_at: datetime
    state: NoticeState = NoticeState.PENDING
    tries: int = 0
    trouble: str = ""

    @property
    def recipient(self) -> str:
        """Who it is for, as logs may have it."""
        return self.address if self.way == "mail" else without_secrets(self.address)

    @property
    def id(self) -> str:
        """The same at every try, so that a second one can be told from another notice."""
        return f"{self.message}.{self.number}"


@dataclass(frozen=True, slots=True)
class News:
    """What there is to tell. `audio` gives the message as WAV, for somebody, and raises what
    `Voicemail.audio` does."""

    notice: Notice
    message: Message
    box: Box
    new: int
    """Messages in the box that nobody has heard."""
    at: datetime
    audio: Callable[[], Awaitable[bytes]]


class NotSent(Exception):
    """It was not taken; the text says why. `is_final` is one that never will be."""

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


class Way(Protocol):
    """How people, or programs, are told."""

    async def send(self, news: News) -> None:
        """Returns when it was taken; raises `NotSent`."""

    async def close(self) -> None: ...


def targets(box: Box, ways: Collection[WayName]) -> list[tuple[WayName, str]]:
    """Who is to be told of a message in a box, by the ways that there are."""
    found: list[tuple[WayName, str]] = [("mail", address) for address in box.email]
    if box.webhook:
        found.append(("webhook", box.webhook))
    return [(way, address) for way, address in found if way in ways]


def next_try(tries: int, left_at: datetime, now: datetime) -> datetime | None:
    """When it is tried again after so many tries; None when it is given up."""
    last = left_at + GIVEN_UP_AFTER
    if now >= last:
        return None
    delay = min(FIRST_RETRY * 2.0 ** min(tries - 1, 16), LONGEST_RETRY)
    return min(now + delay, last)
