"""Recording conversations: the notice, the bridge, pauses, the end.

The rules that must hold: nothing is recorded of a caller who was not told or has refused; a
recording begins with the bridge and not before; whatever goes wrong with it, the conversation does
not notice.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import structlog

from vxml_server.calls import Conversation, Converse
from vxml_server.catalogue import language
from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import Json as Variable
from vxml_server.media import Channel, MediaEngine
from vxml_server.recording.archive import Archive
from vxml_server.recording.journal import Journal
from vxml_server.recording.ledger import Ledger, changed
from vxml_server.recording.records import Recording
from vxml_server.recording.rules import decide
from vxml_server.recording.transitions import TABLE, Event, IllegalTransition, State
from vxml_server.recording.writer import Capture, Taken, Writer
from vxml_server.settings import RecordingRule, RecordingSettings
from vxml_server.store import Json

_log = structlog.get_logger(__name__)

NOTICES = Path(__file__).parent / "notices"
"""The documents of the notice, by language."""
KEYS_WITHIN = 3.0
"""Seconds in which an agent presses the keys for a pause."""

Action = Literal["start", "pause", "resume", "stop"]
_EVENTS: Mapping[Action, Event] = {
    "pause": Event.PAUSE,
    "resume": Event.RESUME,
    "stop": Event.STOP,
}


class NoConversation(Exception):
    """The call is not one that can be recorded here now."""


class NotAnnounced(Exception):
    """The caller was not told, or has refused."""


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all conversations share."""

    settings: RecordingSettings
    engine: MediaEngine
    ledger: Ledger
    archive: Archive
    journal: Journal
    writer: Writer
    clock: Clock
    random: random.Random
    language: str
    loop: asyncio.AbstractEventLoop

    def new_id(self) -> str:
        return uuid.UUID(int=self.random.getrandbits(128), version=4).hex

    def call_soon(self, callback: Callable[[], None]) -> None:
        """On the loop, from the writer's thread; a loop that is closed listens to nobody."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(callback)


class Recorder:
    """All recordings of this process. `start` it after the archive, then `close` it before."""

    def __init__(
        self,
        settings: RecordingSettings,
        *,
        engine: MediaEngine,
        ledger: Ledger,
        archive: Archive,
        clock: Clock,
        random: random.Random,
        language: str,
    ) -> None:
        self._shared = _Shared(
            settings,
            engine,
            ledger,
            archive,
            Journal(clock),
            Writer(),
            clock,
            random,
            language,
            asyncio.get_running_loop(),
        )
        self._running: dict[str, list[ConversationRecorder]] = {}
        """By calls. Who is sent on from one conversation has another in it, and may come back."""
        self._ending: set[_Take] = set()

    def start(self) -> None:
        self._shared.journal.start()
        self._shared.writer.start()

    async def close(self) -> None:
        """Ends what is running, and returns when it is on disk and in the database."""
        for one in [one for some in self._running.values() for one in some]:
            one.close()
        while self._ending:
            await asyncio.wait([asyncio.ensure_future(take.ended.wait()) for take in self._ending])
        await asyncio.to_thread(self._shared.writer.stop)
        await self._shared.journal.close()

    @property
    def active(self) -> int:
        """Recordings that are being made."""
        return len(self._ending)

    def for_call(self, conversation: Conversation) -> ConversationRecorder | None:
        """The recorder of a conversation, if a rule wants one; `calls.Records`."""
        draw = self._shared.random.random()
        if decide(self._shared.settings.rules, conversation, draw) is None:
            return None
        made = ConversationRecorder(self._shared, conversation, draw, self._ending)
        call_id = conversation.call_id
        self._running.setdefault(call_id, []).append(made)

        def forget() -> None:
            self._running[call_id].remove(made)
            if not self._running[call_id]:
                del self._running[call_id]

        made.when_closed = forget
        return made

    def command(self, call_id: str, action: Action) -> Recording:
        """What the API wants of a running call; the recording that it happened to, as it will be.

        Raises `NoConversation`, `NotAnnounced`, `IllegalTransition`.
        """
        running = self._running.get(call_id)
        if running is None:
            raise NoConversation("no conversation of this call can be recorded")
        return running[-1].command(action)


class _Take:
    """One recording: its row, its way to disk."""

    def __init__(self, shared: _Shared, row: Recording, ending: set[_Take]) -> None:
        self._shared = shared
        self.row = row
        self.ended = asyncio.Event()
        self._ending = ending
        self._is_stopping = False
        self._capture: Capture | None = None

    def announce(self) -> None:
        row = self.row
        self._shared.journal.put(lambda: self._shared.ledger.announce(row))

    def advance(
        self, event: Event, about: Mapping[str, Json] | None = None, **changes: object
    ) -> None:
        """Changes the row at once, and the database after what came before."""
        before, at = self.row, self._shared.clock.utc_now()
        after = self.row = changed(before, event, **changes)
        ledger = self._shared.ledger
        self._shared.journal.put(lambda: ledger.write(before, after, event, at, about))

    def begin(self, caller: Channel, agent: Channel) -> None:
        shared = self._shared
        recording, spool = self.row.id, shared.archive.spool
        capture = self._capture = Capture(
            shared.writer,
            lambda: spool.new(recording),
            lambda: shared.call_soon(self.stop),
        )
        self._ending.add(self)
        shared.engine.tap_pair(caller, agent, capture, without_keys=shared.settings.mask_keys)

    def pause(self) -> None:
        assert self._capture is not None
        self.advance(Event.PAUSE, pauses=self._capture.pause())

    def resume(self) -> None:
        assert self._capture is not None
        self.advance(Event.RESUME, pauses=self._capture.resume())

    def stop(self) -> None:
        """Ends it. Twice is harmless."""
        if self._capture is None or self._is_stopping:
            return
        self._is_stopping = True
        shared = self._shared
        capture, ended = self._capture, shared.clock.utc_now()

        def taken(found: Taken) -> None:
            shared.call_soon(lambda: self._taken(found, ended))

        shared.engine.untap_pair(capture, lambda: capture.finish(taken))

    def _taken(self, taken: Taken, ended: datetime) -> None:
        try:
            self._finish(taken, ended)
        finally:
            # Whatever is wrong with its row, the process ends without it.
            self._ending.discard(self)
            self.ended.set()

    def _finish(self, taken: Taken, ended: datetime) -> None:
        shared = self._shared
        started = self.row.started_at or ended
        ended = max(ended, started + timedelta(seconds=taken.seconds))
        about: dict[str, Json] = {"duration_s": round(taken.seconds, 3)}
        if taken.trouble:
            about["trouble"] = taken.trouble
        if not taken.seconds:
            trouble = taken.trouble or "nothing was recorded"
            self.advance(Event.FAIL, about, trouble=trouble, ended_at=ended)
            recording, archive = self.row.id, shared.archive
            shared.journal.put(lambda: archive.in_thread(lambda: archive.spool.remove(recording)))
        else:
            self.advance(
                Event.INTERRUPT if taken.trouble else Event.STOP,
                about,
                ended_at=ended,
                expires_at=shared.archive.retention.end(self.row, ended),
                duration_s=round(taken.seconds, 3),
                pauses=taken.pauses,
                interrupted=bool(taken.trouble),
                trouble=taken.trouble,
            )
            row = self.row

            async def keep() -> None:
                shared.archive.keep(row)

            shared.journal.put(keep)


class ConversationRecorder:
    """One caller's conversation: `calls.Recorded`, and what the API may ask."""

    def __init__(
        self, shared: _Shared, conversation: Conversation, draw: float, ending: set[_Take]
    ) -> None:
        self.when_closed: Callable[[], None] = lambda: None
        self._shared = shared
        self._conversation = conversation
        self._draw = draw
        self._ending = ending
        self._answer: bool | None = None
        self._announced: _Take | None = None
        """Told to the caller, and not begun."""
        self._take: _Take | None = None
        self._bridge: tuple[Channel, Channel] | None = None
        self._pressed: list[tuple[float, str]] = []
        self._is_closed = False

    async def notice(self, converse: Converse) -> bool:
        consent = self._conversation.consent
        if self._answer is None:
            self._answer = consent.answer
        if self._answer is None and not self._is_closed:
            self._answer = False
            take = self._announced = self._new()
            take.announce()
            try:
                said, trouble = await self._ask(converse)
            except asyncio.CancelledError:
                self._not_begun("the caller has gone")
                raise
            if said == "accepted" and not self._is_closed:
                self._answer = consent.answer = True
            elif said == "refused":
                consent.answer = False
                self._announced = None
                take.advance(Event.REFUSE, {"key": self._shared.settings.refuse_key})
            else:
                self._not_begun(trouble or "the conversation was over")
        return bool(self._answer)

    def moved(self, queue: str) -> None:
        self._conversation = replace(self._conversation, queue=queue, agent="")

    def agent(self, name: str, data: Mapping[str, Variable] | None = None) -> None:
        merged = {**self._conversation.data, **(data or {})}
        self._conversation = replace(self._conversation, agent=name, data=merged)

    def start(self, caller: Channel, agent: Channel) -> None:
        self.stop()
        rule = self._rule()
        if not self._answer or self._is_closed or rule is None:
            return
        self._bridge = caller, agent
        if not rule.on_request:
            self._begin(rule)

    def key(self, key: str) -> None:
        wanted = self._shared.settings.pause_keys
        now = self._shared.clock.monotonic()
        self._pressed = [one for one in self._pressed if one[0] > now - KEYS_WITHIN]
        self._pressed.append((now, key))
        if not wanted or not "".join(key for _, key in self._pressed).endswith(wanted):
            return
        self._pressed.clear()
        if self._take is not None:
            if self._take.row.state is State.RECORDING:
                self.pause()
            elif self._take.row.state is State.PAUSED:
                self.resume()

    def pause(self) -> None:
        """From the next 20 ms on nothing is kept. Raises `IllegalTransition`."""
        self._current(Event.PAUSE).pause()

    def resume(self) -> None:
        """Goes on. Raises `IllegalTransition`."""
        self._current(Event.RESUME).resume()

    def stop(self) -> None:
        self._bridge = None
        self._end_take()

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self.stop()
        self._not_begun("the conversation was not begun")
        self.when_closed()

    def command(self, action: Action) -> Recording:
        """See `Recorder.command`."""
        if not self._answer:
            raise NotAnnounced("the caller has not been told that he is recorded")
        if action == "start":
            rule = self._rule()
            if self._bridge is None or rule is None:
                raise NoConversation("the caller is not talking to anybody")
            if self._take is not None:
                raise IllegalTransition(self._take.row.state, Event.START)
            return self._begin(rule).row
        take = self._current(_EVENTS[action])
        if action == "pause":
            take.pause()
        elif action == "resume":
            take.resume()
        else:
            self._end_take()
        return take.row

    # Inside ------------------------------------------------------------------------------------

    def _rule(self) -> RecordingRule | None:
        return decide(self._shared.settings.rules, self._conversation, self._draw)

    async def _ask(self, converse: Converse) -> tuple[Variable, str]:
        """What the notice returned, and what went wrong."""
        settings = self._shared.settings
        variables: dict[str, Variable] = {"recording": {"refuse_key": settings.refuse_key}}
        try:
            outcome = await converse(self._document(), variables)
        except VoiceXmlEvent as event:
            return None, f"the notice was not played: {event.name}"
        except Exception:
            # Whatever is wrong with a notice, the call goes on: without a recording.
            _log.exception("the notice of a recording failed", call=self._conversation.call_id)
            return None, "the notice was not played"
        if outcome.reason == "error":
            _log.error("the notice of a recording failed", error=outcome.error)
            return None, f"the notice was not played: {outcome.error}"
        return outcome.value, f"the notice ended with {outcome.reason}"

    def _document(self) -> str:
        notices = self._shared.settings.notices
        wanted = self._conversation.language or self._shared.language
        for lang in (wanted, wanted.partition("-")[0]):
            if lang in notices:
                uri = notices[lang]
                return uri if ":" in uri[2:] else Path(uri).absolute().as_uri()
        return (NOTICES / f"{language(wanted)}.vxml").as_uri()

    def _new(self) -> _Take:
        shared, conversation = self._shared, self._conversation
        rule = self._rule()
        row = Recording(
            id=shared.new_id(),
            call_id=conversation.call_id,
            worker=shared.ledger.worker,
            rule=rule.name if rule is not None else "",
            direction=conversation.direction,
            caller=conversation.caller,
            number=conversation.number,
            destination=conversation.destination,
            application=conversation.application,
            queue=conversation.queue,
            agent=conversation.agent,
            data=conversation.data,
            announced_at=shared.clock.utc_now(),
        )
        return _Take(shared, row, self._ending)

    def _begin(self, rule: RecordingRule) -> _Take:
        assert self._bridge is not None
        take, self._announced = self._announced, None
        if take is None:
            take = self._new()
            take.announce()
        take.advance(
            Event.START,
            rule=rule.name,
            queue=self._conversation.queue,
            agent=self._conversation.agent,
            data=self._conversation.data,
            started_at=self._shared.clock.utc_now(),
        )
        self._take = take
        take.begin(*self._bridge)
        return take

    def _end_take(self) -> None:
        take, self._take = self._take, None
        if take is not None:
            take.stop()

    def _not_begun(self, trouble: str) -> None:
        take, self._announced = self._announced, None
        if take is not None:
            take.advance(Event.FAIL, {"trouble": trouble}, trouble=trouble)

    def _current(self, event: Event) -> _Take:
        """What is being recorded, if that may happen to it."""
        state = State.STOPPED if self._take is None else self._take.row.state
        if self._take is None or event not in TABLE[state]:
            raise IllegalTransition(state, event)
        return self._take
