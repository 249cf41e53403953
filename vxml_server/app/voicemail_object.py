"""`<object classid="vxml-server:voicemail">`: callers leave messages, and owners hear theirs.

Anybody may leave a message. Who wants to hear those of a box has first to name it, by its number,
and to give its PIN; a telephone that is registered as the line of an agent with a box has named it
already. The rules that must hold: of messages nothing is told or changed before that, and
afterwards only of those in that box; what is deleted may be taken back until the list is left.

The parameter `operation`, the others that it takes, and the value of the item:

    box       box                   {known, name, description, greeting, max_message, min_message,
                                     full}
    leave     box said data         {ok, reason}     "", "full", "short", "unusable", "unknown"
    who                             {known, description}   whose line the call comes from
    identify  number pin            {ok, reason}     "", "wrong", "locked"
    counts                          {new, heard}
    list      which                 {count}                "new", the oldest first, or "heard"
    message   position              {found, new, deleted, caller, date, time, days_ago, duration,
                                     available, audio}
    heard     position              {found}
    delete    position              {found}
    undelete  position              {found}
    close                           {deleted}              makes what was deleted final

`said` is a recording of the call, `data` an object that the message keeps; `position` counts from 0
in the last list. `date` is `20260131` and `time` `1405`, where the server is. `counts`, `list` and
`identify` make final what was deleted before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias
from zoneinfo import ZoneInfo

import structlog

from vxml_server.calls import user_part
from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import Json, ObjectCall, ObjectValue, RecordedAudio
from vxml_server.queues import Agent, Board, Box, TooManyTries
from vxml_server.recording import EnvelopeError, NotStored
from vxml_server.store import Cursor, StoreError
from vxml_server.voicemail import (
    BadAudio,
    BoxFull,
    Counts,
    Message,
    Messages,
    NoSuchBox,
    NoSuchMessage,
    TooShort,
)

_log = structlog.get_logger(__name__)
CLASSID = "vxml-server:voicemail"
MAX_TRIES = 3
"""Wrong numbers or PINs in one call."""
MAX_LISTED = 1000
"""Messages that one list has at most."""
WAV = "audio/x-wav"
_PAGE = 100
_WITHHELD = frozenset({"anonymous", "restricted", "unavailable", "unknown"})
_Fields: TypeAlias = "Mapping[str, Json | RecordedAudio]"
_OPEN = frozenset({"box", "leave", "who", "identify", "close"})


class Boxes(Protocol):
    """What is needed of `Voicemail`."""

    def box(self, name: str) -> Box | None: ...
    def box_of_agent(self, agent: str) -> Box | None: ...
    def box_of_number(self, number: str) -> Box | None: ...
    async def leave(
        self,
        box: str,
        audio: bytes,
        media_type: str,
        *,
        caller: str,
        call_id: str,
        data: Mapping[str, Json] | None = None,
    ) -> Message: ...
    async def counts(self, box: str) -> Counts: ...
    async def messages(
        self, box: str, *, new_only: bool = False, limit: int = 100, cursor: Cursor | None = None
    ) -> Messages: ...
    async def audio(self, message: str, by: str) -> bytes: ...
    async def heard(self, message: str, by: str, is_heard: bool = True) -> Message: ...
    async def delete(self, message: str, by: str) -> Message: ...
    async def check_pin(self, box: str, pin: str) -> bool: ...


class VoicemailObject:
    """The object of one call: its id, and the caller's number ("" when it is not known). `line` is
    the user whose telephone calls, "" when nobody knows."""

    def __init__(
        self,
        boxes: Boxes,
        board: Board,
        clock: Clock,
        zone: ZoneInfo,
        *,
        call_id: str,
        caller: str,
        line: str,
    ) -> None:
        self._boxes = boxes
        self._board = board
        self._clock = clock
        self._zone = zone
        self._call_id = call_id
        self._caller = caller
        # Who hears and deletes, in the log; the record of the call says the rest.
        self._by = f"call:{call_id}"
        self._line = line
        self._box = ""
        self._wrong = 0
        self._listed: list[Message] = []
        self._heard_now: set[str] = set()
        self._deleted: set[str] = set()
        self._operations: Mapping[str, Callable[[ObjectCall], Awaitable[_Fields]]] = {
            "box": self._facts,
            "leave": self._leave,
            "who": self._who,
            "identify": self._identify,
            "counts": self._counts,
            "list": self._list,
            "message": self._message,
            "heard": self._heard,
            "delete": self._delete,
            "undelete": self._undelete,
            "close": self._close,
        }

    async def __call__(self, call: ObjectCall, /) -> ObjectValue:
        operation = call.choice("operation", self._operations)
        if call.text("operation") not in _OPEN and not self._box:
            message = "nobody has said whose messages these are"
            raise VoiceXmlEvent("error.vxml-server.voicemail.unidentified", message)
        try:
            return await operation(call)
        except (StoreError, OSError) as error:
            raise VoiceXmlEvent("error.vxml-server.voicemail.unavailable", str(error)) from None

    # Leaving -----------------------------------------------------------------------------------

    async def _facts(self, call: ObjectCall) -> _Fields:
        box = self._boxes.box(call.text("box"))
        if box is None:
            return {"known": False}
        counts = await self._boxes.counts(box.name)
        return {
            "known": True,
            "name": box.name,
            "description": box.description,
            "greeting": box.greeting,
            "max_message": box.max_message,
            "min_message": box.min_message,
            "full": counts.all >= box.max_messages,
        }

    async def _leave(self, call: ObjectCall) -> _Fields:
        said = call.parameters.get("said")
        if said is None or said.audio is None:
            raise VoiceXmlEvent("error.semantic", "said: expected a recording of this call")
        data = call.parameters.get("data")
        about = data.value if data is not None and isinstance(data.value, dict) else {}
        reason = ""
        try:
            await self._boxes.leave(
                call.text("box"),
                said.audio.data,
                said.audio.media_type,
                caller=self._caller,
                call_id=self._call_id,
                data=about,
            )
        except NoSuchBox:
            reason = "unknown"
        except BoxFull:
            reason = "full"
        except TooShort:
            reason = "short"
        except BadAudio as error:
            _log.warning("a message cannot be kept", call=self._call_id, why=str(error))
            reason = "unusable"
        return {"ok": not reason, "reason": reason}

    # Whose messages ----------------------------------------------------------------------------

    async def _who(self, call: ObjectCall) -> _Fields:
        box = self._own()
        if box is None:
            return {"known": False, "description": ""}
        return {"known": True, "description": box.description or box.name}

    async def _identify(self, call: ObjectCall) -> _Fields:
        await self._forget()
        self._box = ""
        if self._wrong >= MAX_TRIES:
            return {"ok": False, "reason": "locked"}
        number = call.text("number")
        box = self._boxes.box_of_number(number) if number else self._own()
        try:
            is_right = box is not None and await self._boxes.check_pin(box.name, call.text("pin"))
        except TooManyTries:
            return {"ok": False, "reason": "locked"}
        if box is None or not is_right:
            self._wrong += 1
            return {"ok": False, "reason": "locked" if self._wrong >= MAX_TRIES else "wrong"}
        self._box = box.name
        return {"ok": True, "reason": ""}

    def _own(self) -> Box | None:
        """The box of the agent whose line calls; None when he or it is none, or not one."""
        fitting = [agent for agent in self._board.agents if self._is_line_of(agent)]
        return self._boxes.box_of_agent(fitting[0]) if len(fitting) == 1 else None

    def _is_line_of(self, name: str) -> bool:
        profile: Agent = self._board.agents[name].profile
        return bool(self._line) and profile.line == self._line

    # Messages ----------------------------------------------------------------------------------

    async def _counts(self, call: ObjectCall) -> _Fields:
        await self._forget()
        counts = await self._boxes.counts(self._box)
        return {"new": counts.new, "heard": counts.heard}

    async def _list(self, call: ObjectCall) -> _Fields:
        await self._forget()
        is_new = _one_of(call, "which", "new", "heard") == "new"
        found: list[Message] = []
        cursor: Cursor | None = None
        while True:
            page = await self._boxes.messages(
                self._box, new_only=is_new, limit=_PAGE, cursor=cursor
            )
            found += [one for one in page.messages if (one.heard_at is None) is is_new]
            cursor = page.cursor
            if cursor is None or len(found) >= MAX_LISTED:
                break
        self._listed = found[::-1]
        return {"count": len(self._listed)}

    async def _message(self, call: ObjectCall) -> _Fields:
        listed = self._at(call)
        if listed is None:
            return {"found": False}
        audio: RecordedAudio | None = None
        try:
            octets = await self._boxes.audio(listed.id, self._by)
            audio = RecordedAudio(octets, WAV, listed.duration_s)
        except NoSuchMessage:
            return {"found": False}
        except (NotStored, EnvelopeError, OSError) as error:
            _log.warning("a message cannot be heard", message=listed.id, why=str(error))
        left = listed.left_at.astimezone(self._zone)
        today = self._clock.utc_now().astimezone(self._zone).date()
        return {
            "found": True,
            "new": listed.heard_at is None and listed.id not in self._heard_now,
            "deleted": listed.id in self._deleted,
            "caller": listed.caller,
            "date": f"{left:%Y%m%d}",
            "time": f"{left:%H%M}",
            "days_ago": (today - left.date()).days,
            "duration": listed.duration_s,
            "available": audio is not None,
            "audio": audio,
        }

    async def _heard(self, call: ObjectCall) -> _Fields:
        listed = self._at(call)
        if listed is None:
            return {"found": False}
        try:
            if listed.id not in self._heard_now and listed.heard_at is None:
                await self._boxes.heard(listed.id, self._by)
                self._heard_now.add(listed.id)
        except NoSuchMessage:
            return {"found": False}
        return {"found": True}

    async def _delete(self, call: ObjectCall) -> _Fields:
        if (listed := self._at(call)) is not None:
            self._deleted.add(listed.id)
        return {"found": listed is not None}

    async def _undelete(self, call: ObjectCall) -> _Fields:
        if (listed := self._at(call)) is not None:
            self._deleted.discard(listed.id)
        return {"found": listed is not None}

    async def _close(self, call: ObjectCall) -> _Fields:
        return {"deleted": await self._forget()}

    async def _forget(self) -> int:
        """Deletes what is to be deleted, and forgets the list; how many messages are gone."""
        count = 0
        for message in sorted(self._deleted):
            try:
                await self._boxes.delete(message, self._by)
                count += 1
            except NoSuchMessage:
                pass
            self._deleted.discard(message)
        self._listed = []
        self._heard_now.clear()
        return count

    def _at(self, call: ObjectCall) -> Message | None:
        """The message at `position` of the list."""
        parameter = call.parameters.get("position")
        value = None if parameter is None else parameter.value
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise VoiceXmlEvent("error.semantic", f"position: expected a number, got {value!r}")
        return self._listed[int(value)] if 0 <= value < len(self._listed) else None


def number_of(uri: str) -> str:
    """The number of who calls from a URI; "" when it is withheld (RFC 3323 section 4.1.1.3)."""
    number = user_part(uri)
    return "" if number.lower() in _WITHHELD else number


def _one_of(call: ObjectCall, name: str, *known: str) -> str:
    text = call.text(name)
    if text not in known:
        expected = " or ".join(known)
        raise VoiceXmlEvent("error.semantic", f"{name}: expected {expected}, got {text!r}")
    return text
