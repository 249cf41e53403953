"""The boxes of a server: messages are left, counted, heard and deleted, and PINs are judged.

The rules that must hold: when `leave` has returned, the message is kept, whatever happens to the
process, and people will be told; when it has raised, it is not, or the caller was told too early
that it is not; who hears a message is in the log by name before he has it.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import structlog

from vxml_server.audio import RATE, decode, encode_wav
from vxml_server.clock import Clock, deadline
from vxml_server.events import VoiceXmlEvent
from vxml_server.queues import Board, Box, Pins
from vxml_server.recording import (
    Archive,
    Held,
    Library,
    NoRecording,
    NotStored,
    Recording,
    State,
    TooLate,
)
from vxml_server.store import Cursor, Json, Store, StoreError, queue_tables, voicemail_tables
from vxml_server.voicemail.directory import Directory
from vxml_server.voicemail.errors import BadAudio, BoxFull, NoSuchBox, NoSuchMessage, TooShort
from vxml_server.voicemail.ledger import Ledger, fact
from vxml_server.voicemail.notices import Notice, Way, WayName, targets
from vxml_server.voicemail.notifier import Notifier
from vxml_server.voicemail.records import Counts, Message, Messages

_log = structlog.get_logger(__name__)

RULE = "voicemail"
"""The rule of a recording that is a message."""
PATIENCE = 8.0
"""Seconds that a caller waits for the database."""
LAST_WAIT = 5.0
"""Seconds that closing waits for messages that are being left."""
SWEEP_EVERY = 600.0
"""Seconds between two looks at what is deleted and still kept."""


class Voicemail:
    """`start` it after the recordings and the contact centre, then `close` it before them."""

    def __init__(
        self,
        board: Board,
        store: Store,
        archive: Archive,
        clock: Clock,
        random: random.Random,
        *,
        retention_days: float,
        ways: Mapping[WayName, Way],
    ) -> None:
        """`board` knows the boxes; `ways` are those by which people are told."""
        self.library = Library(archive, clock)
        """Gives the audio out in ranges: a message's id is that of its recording."""
        self._board = board
        self._directory = Directory(board)
        self._archive = archive
        self._clock = clock
        self._random = random
        self._retention_days = retention_days
        self._ways = ways
        self._ledger = Ledger(store, archive.ledger.worker)
        self._notifier = Notifier(self._ledger, ways, clock, box=self.box, audio=self.audio)
        self._pins = Pins(store, clock, random.randbytes, voicemail_tables.pins)
        self._pins_of_agents = Pins(store, clock, random.randbytes, queue_tables.pins)
        self._leaving: set[asyncio.Task[Message]] = set()
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to tell people of messages."""
        self._notifier.start()
        self._sweeping = asyncio.create_task(self._sweep(), name="voicemail: sweep")

    async def close(self) -> None:
        """Stops; what is not told by then is told after the next start."""
        if self._leaving:
            try:
                async with deadline(self._clock, LAST_WAIT):
                    await asyncio.wait(self._leaving)
            except TimeoutError:
                _log.error("messages are left undecided", messages=len(self._leaving))
        tasks = [*self._leaving, *([self._sweeping] if self._sweeping else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._notifier.close()

    # Boxes -------------------------------------------------------------------------------------

    def box(self, name: str) -> Box | None:
        """The box of that name."""
        return self._directory.boxes.get(name)

    def box_of_queue(self, queue: str) -> Box | None:
        """The box of a queue; of several the first by name."""
        return self._directory.of_queue(queue)

    def box_of_agent(self, agent: str) -> Box | None:
        """The box of an agent; of several the first by name."""
        return self._directory.of_agent(agent)

    def box_of_number(self, number: str) -> Box | None:
        """The box that is named by dialling `number`; of several the first by name."""
        return self._directory.of_number(number)

    def boxes(self) -> tuple[Box, ...]:
        """All of them, by name."""
        return tuple(self._directory.boxes.values())

    # Messages ----------------------------------------------------------------------------------

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
        """Keeps what a caller has said; when this returns, it is kept.

        It goes on to its end when whoever waits for it is cancelled: callers hang up. Raises
        `NoSuchBox`, `BoxFull`, `TooShort`, `BadAudio`; OSError when the disk does not take it.
        When the database does not answer for long it raises `StoreError`, and goes on: the message
        is kept when the database is back.
        """
        chosen = self._box(box)
        work = self._leave(chosen, audio, media_type, caller, call_id, data or {})
        task = asyncio.create_task(work, name=f"voicemail: a message for {box}")
        self._leaving.add(task)
        task.add_done_callback(self._left)
        try:
            async with deadline(self._clock, PATIENCE):
                await asyncio.wait([task])
        except TimeoutError:
            raise StoreError("the message is not stored yet") from None
        return task.result()

    async def _leave(
        self,
        box: Box,
        audio: bytes,
        media_type: str,
        caller: str,
        call_id: str,
        data: Mapping[str, Json],
    ) -> Message:
        with suppress(StoreError):
            # Looked at again with the box to oneself; this spares the disk.
            if (await self.counts(box.name)).all >= box.max_messages:
                raise BoxFull(box.name)
        samples = await asyncio.to_thread(_samples, audio, media_type, box)
        seconds = len(samples) / (2 * RATE)
        recording = self._recording(box, seconds, caller, call_id, data)
        assert recording.ended_at is not None
        message = Message(
            id=recording.id,
            box=box.name,
            call_id=call_id,
            caller=caller,
            left_at=recording.ended_at,
            duration_s=recording.duration_s,
            queue=box.queue,
            agent=box.agent,
        )
        notices = [
            Notice(message.id, number, way, address, due_at=message.left_at)
            for number, (way, address) in enumerate(targets(box, self._ways.keys()))
        ]
        await self._archive.deposit(
            recording,
            samples,
            lambda connection: self._ledger.enter(connection, message, box.max_messages, notices),
        )
        self._notifier.wake()
        return replace(message, notified="pending" if notices else "none")

    def _recording(
        self, box: Box, seconds: float, caller: str, call_id: str, data: Mapping[str, Json]
    ) -> Recording:
        now = self._clock.utc_now()
        days = self._retention_days if box.retention_days is None else box.retention_days
        began = now - timedelta(seconds=seconds)
        return Recording(
            id=uuid.UUID(int=self._random.getrandbits(128), version=4).hex,
            call_id=call_id,
            worker=self._archive.ledger.worker,
            rule=RULE,
            direction="inbound",
            caller=caller,
            number="",
            destination=f"voicemail:{box.name}",
            queue=box.queue,
            agent=box.agent,
            data=data,
            state=State.STOPPED,
            announced_at=began,
            started_at=began,
            ended_at=now,
            expires_at=now + timedelta(days=days),
            duration_s=round(seconds, 3),
        )

    def _left(self, task: asyncio.Task[Message]) -> None:
        self._leaving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Whoever has waited until now is told as well.
            _log.info("a message was not kept", task=task.get_name(), error=repr(error))

    async def counts(self, box: str) -> Counts:
        """How many messages there are. Raises `StoreError`, as all below."""
        return (await self._ledger.counts([box]))[box]

    async def counts_of(self, boxes: Collection[str]) -> Mapping[str, Counts]:
        """How many messages there are in each of these boxes."""
        return await self._ledger.counts(boxes)

    async def messages(
        self, box: str, *, new_only: bool = False, limit: int = 100, cursor: Cursor | None = None
    ) -> Messages:
        """At most `limit`, newest first, those after `cursor`."""
        return await self._ledger.page(box, new_only=new_only, limit=limit, cursor=cursor)

    async def message(self, id_: str) -> Message:
        """Raises `NoSuchMessage`."""
        return await self._ledger.get(id_)

    async def audio(self, message: str, by: str) -> bytes:
        """All of it, as WAV (16 bits, 8 kHz, mono), for somebody, which is written down.

        Raises `NoSuchMessage`, `recording.NotStored` (it is still on another worker's disk),
        OSError, `recording.EnvelopeError`.
        """
        found = await self._there(message)
        try:
            file = await self.library.whole(found.id, by)
        except NoRecording:
            raise NoSuchMessage(message) from None
        return await asyncio.to_thread(_wav, file)

    async def heard(self, message: str, by: str, is_heard: bool = True) -> Message:
        """Marks a message as heard, or as new. Raises `NoSuchMessage`."""
        found = await self._there(message)
        now = self._clock.utc_now()
        told = fact(found, "heard" if is_heard else "unheard", now, {"by": by})
        return await self._ledger.mark(found, now if is_heard else None, told)

    async def delete(self, message: str, by: str) -> Message:
        """Deletes a message. Raises `NoSuchMessage`.

        Nobody finds it any more. Its recording is deleted too, at once, or when it has come to the
        target, or when it is not held any longer.
        """
        found = await self._there(message)
        now = self._clock.utc_now()
        if not await self._ledger.delete(found, now, fact(found, "deleted", now, {"by": by})):
            raise NoSuchMessage(message)
        try:
            await self._erase(found, by)
        except OSError as error:
            _log.warning("a deleted message stays for now", message=found.id, error=str(error))
        return replace(found, deleted=True)

    async def _erase(self, message: Message, by: str) -> None:
        """Deletes the recording of a deleted message, if that can be now, and forgets it then."""
        try:
            await self.library.delete(message.id, by, "the message was deleted")
        except (Held, TooLate):
            return
        except NotStored as error:
            if error.args[0] is State.STOPPED:
                return
        except NoRecording:
            pass
        now = self._clock.utc_now()
        about = {"by": "recordings"}
        await self._ledger.forget(message.id, fact(message, "deleted", now, about))

    async def _sweep(self) -> None:
        while True:
            try:
                await self.sweep()
            except OSError as error:
                _log.warning("deleted messages stay for now", error=str(error))
            await self._clock.sleep(SWEEP_EVERY)

    async def sweep(self) -> None:
        """Deletes the recordings of deleted messages, and forgets messages without a recording."""
        after = ""
        while some := await self._ledger.deleted(after):
            after = some[-1].id
            for message in some:
                await self._erase(message, "voicemail")

    async def _there(self, message: str) -> Message:
        found = await self._ledger.get(message)
        if found.deleted:
            raise NoSuchMessage(message)
        return found

    # PINs --------------------------------------------------------------------------------------

    async def check_pin(self, box: str, pin: str) -> bool:
        """Whether this is the PIN of the box, or of an agent who is one of its owners.

        Tries are counted for the box. Raises `TooManyTries`.
        """
        chosen = self.box(box)
        if chosen is None:
            return False
        owners = [owner for owner in chosen.owners if owner in self._board.agents]
        return await self._pins.check(box, pin, await self._pins_of_agents.keys(owners))

    async def set_pin(self, box: str, pin: str) -> None:
        """Makes or replaces the PIN of a box. Raises `NoSuchBox`, `BadPin`."""
        await self._pins.set(self._box(box).name, pin)

    async def remove_pin(self, box: str) -> bool:
        """Removes the PIN of a box; False when there is none."""
        return await self._pins.remove(box)

    def _box(self, name: str) -> Box:
        found = self.box(name)
        if found is None:
            raise NoSuchBox(name)
        return found


def _samples(audio: bytes, media_type: str, box: Box) -> bytes:
    """What a message keeps of a file: mono samples, little endian."""
    try:
        pcm = decode(audio, media_type).pcm
    except VoiceXmlEvent as event:
        raise BadAudio(event.message) from None
    if len(pcm) < box.min_message * RATE:
        raise TooShort(f"{len(pcm) / RATE:.1f} s")
    return pcm[: int(box.max_message * RATE)].astype("<i2").tobytes()


def _wav(file: bytes) -> bytes:
    """A file of a recording as WAV."""
    try:
        return encode_wav(decode(file).pcm)
    except VoiceXmlEvent as event:
        raise OSError(f"the recording cannot be read: {event.message}") from None
