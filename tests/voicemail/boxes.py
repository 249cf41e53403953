"""Boxes in memory, with the names and errors of `voicemail.Voicemail`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from vxml_server.audio import RATE, decode
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.scripted_recording import tone_of
from vxml_server.queues import Box, TooManyTries
from vxml_server.recording import Library
from vxml_server.store import Cursor, Json
from vxml_server.voicemail import (
    BadAudio,
    BadPin,
    BoxFull,
    Counts,
    Message,
    Messages,
    NoSuchBox,
    NoSuchMessage,
    TooShort,
)

NOW = datetime(2026, 3, 12, 15, 30, tzinfo=UTC)
PIN = "4711"


@dataclass
class Boxes:
    """The messages are in the order in which they were left."""

    defined: tuple[Box, ...]
    kept: list[Message] = field(default_factory=list)
    sounds: dict[str, bytes] = field(default_factory=dict)
    data: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    pins: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    trouble: Exception | None = None
    """What everything that is asked raises."""
    page: int = 2
    """Messages that one answer has at most."""

    counted: list[tuple[str, ...]] = field(default_factory=list)
    """The boxes whose messages were counted, of each question."""
    recordings: Library | None = None
    by: list[tuple[str, str, str]] = field(default_factory=list)
    """What was done to messages, and by whom."""

    @property
    def library(self) -> Library:
        assert self.recordings is not None, "the test has given it"
        return self.recordings

    def box(self, name: str) -> Box | None:
        return next((one for one in self.defined if one.name == name), None)

    def box_of_queue(self, queue: str) -> Box | None:
        return next((one for one in self.defined if queue and one.queue == queue), None)

    def box_of_agent(self, agent: str) -> Box | None:
        return next((one for one in self.defined if agent and one.agent == agent), None)

    def box_of_number(self, number: str) -> Box | None:
        return next((one for one in self.defined if number and one.number == number), None)

    def boxes(self) -> tuple[Box, ...]:
        return tuple(sorted(self.defined, key=lambda one: one.name))

    def put(self, box: str, caller: str = "", age: float = 0.0, seconds: float = 3.0) -> Message:
        """A message that was left `age` seconds ago."""
        made = Message(
            f"m{len(self.kept) + 1}", box, "call", caller, NOW - timedelta(seconds=age), seconds
        )
        self.kept.append(made)
        self.sounds[made.id] = tone_of(seconds, "audio/x-wav").data
        return made

    def there(self, box: str) -> list[Message]:
        self._answer()
        return [one for one in self.kept if one.box == box and not one.deleted]

    def _answer(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    async def leave(
        self,
        box: str,
        audio: bytes,
        media_type: str,
        *,
        caller: str,
        call_id: str,
        data: Mapping[str, Json] | None = None,
    ) -> Message:
        await asyncio.sleep(0)
        self._answer()
        found = self.box(box)
        if found is None:
            raise NoSuchBox(box)
        if len(self.there(box)) >= found.max_messages:
            raise BoxFull(box)
        try:
            seconds = len(decode(audio, media_type).pcm) / RATE
        except VoiceXmlEvent as error:
            raise BadAudio(error.message) from None
        if seconds < found.min_message:
            raise TooShort(box)
        made = self.put(box, caller, seconds=seconds)
        self.sounds[made.id] = audio
        self.data[made.id] = {**(data or {}), "call": call_id}
        return made

    async def counts(self, box: str) -> Counts:
        return (await self.counts_of([box]))[box]

    async def counts_of(self, boxes: Collection[str]) -> Mapping[str, Counts]:
        self.counted.append(tuple(boxes))
        heard = {box: [one.heard_at is not None for one in self.there(box)] for box in boxes}
        return {box: Counts(some.count(False), some.count(True)) for box, some in heard.items()}

    async def messages(
        self, box: str, *, new_only: bool = False, limit: int = 100, cursor: Cursor | None = None
    ) -> Messages:
        found = [one for one in self.there(box)[::-1] if not (new_only and one.heard_at)]
        if cursor is not None:
            found = [one for one in found if (one.left_at, one.id) < (cursor.started_at, cursor.id)]
        shown = found[: min(limit, self.page)]
        is_all = len(shown) == len(found)
        after = None if is_all else Cursor(shown[-1].left_at, shown[-1].id)
        return Messages(tuple(shown), after)

    async def message(self, id_: str) -> Message:
        self._answer()
        for one in self.kept:
            if one.id == id_ and not one.deleted and id_ not in self.gone:
                return one
        raise NoSuchMessage(id_)

    async def audio(self, message: str, by: str) -> bytes:
        self.by.append(("audio", message, by))
        return self.sounds[(await self.message(message)).id]

    async def heard(self, message: str, by: str, is_heard: bool = True) -> Message:
        found = await self.message(message)
        self.by.append(("heard", message, by))
        return self._change(replace(found, heard_at=NOW if is_heard else None))

    async def delete(self, message: str, by: str) -> Message:
        found = await self.message(message)
        self.by.append(("delete", message, by))
        return self._change(replace(found, deleted=True))

    def _change(self, changed: Message) -> Message:
        self.kept = [changed if one.id == changed.id else one for one in self.kept]
        return changed

    async def check_pin(self, box: str, pin: str) -> bool:
        self._answer()
        if pin == "locked":
            raise TooManyTries(60)
        return self.pins.get(box, PIN) == pin

    async def set_pin(self, box: str, pin: str) -> None:
        self._answer()
        if self.box(box) is None:
            raise NoSuchBox(box)
        if not pin.isdecimal():
            raise BadPin("expected digits")
        self.pins[box] = pin

    async def remove_pin(self, box: str) -> bool:
        return self.pins.pop(box, None) is not None
