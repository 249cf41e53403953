"""Messages in the database: rows beside those of their recordings, and the facts of them.

The rules that must hold: a row changes only together with the fact that says so; a message is there
as long as its recording is, and not longer; a box never has more messages than it may, whoever
leaves them at the same time; of several workers one tells of a message.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from vxml_server.recording import State
from vxml_server.store import (
    Cursor,
    Json,
    NewEvent,
    Store,
    append_facts,
    fit,
    queue_tables,
    recording_tables,
    voicemail_tables,
)
from vxml_server.voicemail.errors import BoxFull, NoSuchBox, NoSuchMessage
from vxml_server.voicemail.notices import Notice, NoticeState
from vxml_server.voicemail.records import Counts, Message, Messages, Notified

_MESSAGES, _NOTICES = voicemail_tables.messages, voicemail_tables.notices
_RECORDINGS, _BOXES = recording_tables.recordings, queue_tables.definitions
_BOTH = _MESSAGES.join(_RECORDINGS, _RECORDINGS.c.id == _MESSAGES.c.id)
_HAS_AUDIO = _RECORDINGS.c.state.in_((State.STOPPED, State.STORED))
_IS_THERE = _HAS_AUDIO & _MESSAGES.c.deleted_at.is_(None)
_IS_NEW = _MESSAGES.c.heard_at.is_(None)
_MESSAGE = (
    *(_MESSAGES.c.id, _MESSAGES.c.box, _MESSAGES.c.left_at, _MESSAGES.c.heard_at),
    *(_RECORDINGS.c.call_id, _RECORDINGS.c.caller, _RECORDINGS.c.duration_s),
    *(_RECORDINGS.c.queue, _RECORDINGS.c.agent, (~_IS_THERE).label("deleted")),
)
_NOTICE = tuple(_NOTICES.c[field.name] for field in fields(Notice))


class Ledger:
    """The messages of all processes that share a database. Raises `StoreError` as the store."""

    def __init__(self, store: Store, worker: str) -> None:
        self._store = store
        self._worker = worker

    # Messages ----------------------------------------------------------------------------------

    async def get(self, message: str) -> Message:
        """Raises `NoSuchMessage`."""
        found = await self._messages(select(*_MESSAGE).where(_MESSAGES.c.id == message))
        if not found:
            raise NoSuchMessage(message)
        return found[0]

    async def page(
        self, box: str, *, new_only: bool, limit: int, cursor: Cursor | None
    ) -> Messages:
        """At most `limit` messages, newest first, those after `cursor`."""
        at, id_ = _MESSAGES.c.left_at, _MESSAGES.c.id
        query = select(*_MESSAGE).where((_MESSAGES.c.box == box) & _IS_THERE)
        if new_only:
            query = query.where(_IS_NEW)
        if cursor is not None:
            older = and_(at == cursor.started_at, id_ < cursor.id)
            query = query.where(or_(at < cursor.started_at, older))
        found = await self._messages(query.order_by(at.desc(), id_.desc()).limit(limit + 1))
        more = len(found) > limit
        last = Cursor(found[limit - 1].left_at, found[limit - 1].id) if more else None
        return Messages(tuple(found[:limit]), last)

    async def counts(self, boxes: Collection[str]) -> dict[str, Counts]:
        """The messages that are there, of each of these boxes."""
        async with self._store.reading() as connection:
            return await _counts(connection, boxes)

    async def enter(
        self,
        connection: AsyncConnection,
        message: Message,
        most: int,
        notices: Sequence[Notice],
    ) -> list[NewEvent]:
        """Stores a message in the transaction that stores its recording; the facts for its end.

        Raises `NoSuchBox`, and `BoxFull` when there are `most` messages.
        """
        # The row of the box is held until the end: who counts its messages is alone with them.
        held = (_BOXES.c.kind == "box") & (_BOXES.c.name == message.box)
        query = select(_BOXES.c.name).where(held).with_for_update()
        if (await connection.execute(query)).first() is None:
            raise NoSuchBox(message.box)
        if (await _counts(connection, [message.box]))[message.box].all >= most:
            raise BoxFull(message.box)
        row = {"id": message.id, "box": message.box, "left_at": message.left_at}
        await connection.execute(insert(_MESSAGES), row)
        if notices:
            await connection.execute(insert(_NOTICES), [_row(notice) for notice in notices])
        return [fact(message, "left", message.left_at, {"duration_s": message.duration_s})]

    async def mark(self, message: Message, heard_at: datetime | None, told: NewEvent) -> Message:
        """Notes when a message was heard, or that it is new again; nothing happens when it is so
        already. Raises `NoSuchMessage`."""
        before = ~_IS_NEW if heard_at is None else _IS_NEW
        await self._change(message.id, before, {"heard_at": heard_at}, told)
        return await self.get(message.id)

    async def delete(self, message: Message, at: datetime, told: NewEvent) -> bool:
        """Nobody finds the message any more; False when somebody was faster."""
        return await self._change(message.id, true(), {"deleted_at": at}, told)

    async def _change(
        self, message: str, before: ColumnElement[bool], values: dict[str, Any], told: NewEvent
    ) -> bool:
        there = select(_RECORDINGS.c.id).where((_RECORDINGS.c.id == message) & _HAS_AUDIO)
        mine = (_MESSAGES.c.id == message) & _MESSAGES.c.deleted_at.is_(None) & there.exists()
        async with self._store.transaction() as connection:
            done = await connection.execute(update(_MESSAGES).where(mine & before).values(values))
            if done.rowcount == 1:
                await append_facts(connection, [told])
        return done.rowcount == 1

    async def forget(self, message: str, told: NewEvent) -> None:
        """Removes a message whose recording is gone; it is told unless it was deleted before.

        Once more is harmless.
        """
        mine = _MESSAGES.c.id == message
        gone = delete(_MESSAGES).where(mine).returning(_MESSAGES.c.deleted_at)
        async with self._store.transaction() as connection:
            found = (await connection.execute(gone)).first()
            await connection.execute(delete(_NOTICES).where(_NOTICES.c.message == message))
            if found is not None and found.deleted_at is None:
                await append_facts(connection, [told])

    async def deleted(self, after: str, limit: int = 100) -> list[Message]:
        """Messages that are deleted and still known, in the order of their ids."""
        query = select(*_MESSAGE).where(~_IS_THERE & (_MESSAGES.c.id > after))
        return await self._messages(query.order_by(_MESSAGES.c.id).limit(limit))

    async def _messages(self, query: Select[*tuple[Any, ...]]) -> list[Message]:
        async with self._store.reading() as connection:
            rows = (await connection.execute(query.select_from(_BOTH))).mappings().all()
            told = await _told(connection, [row["id"] for row in rows])
        return [Message(**row, notified=told.get(row["id"], "none")) for row in rows]

    # Notices -----------------------------------------------------------------------------------

    async def due(self, now: datetime, limit: int) -> list[Notice]:
        """Those that are to be tried now, of messages whose audio this worker can get."""
        mine = (_RECORDINGS.c.state == State.STOPPED) & (_RECORDINGS.c.worker == self._worker)
        pending = (_NOTICES.c.state == NoticeState.PENDING) & (_NOTICES.c.due_at <= now)
        query = (
            select(*_NOTICE)
            .select_from(_NOTICES.join(_MESSAGES, _MESSAGES.c.id == _NOTICES.c.message))
            .join(_RECORDINGS, _RECORDINGS.c.id == _MESSAGES.c.id)
            .where(pending & _IS_THERE & ((_RECORDINGS.c.state == State.STORED) | mine))
            .order_by(_NOTICES.c.due_at, _NOTICES.c.message, _NOTICES.c.number)
            .limit(limit)
        )
        async with self._store.reading() as connection:
            return [_notice(row) for row in await connection.execute(query)]

    async def claim(self, notice: Notice, until: datetime) -> Notice | None:
        """Puts a notice off until then and counts a try; None when another was faster."""
        claimed = replace(notice, due_at=until, tries=notice.tries + 1)
        return claimed if await self._replace(notice, claimed) else None

    async def settle(self, before: Notice, after: Notice, told: NewEvent | None = None) -> None:
        """Notes what became of a try; nothing happens when another has it by now."""
        await self._replace(before, after, told)

    async def _replace(self, before: Notice, after: Notice, told: NewEvent | None = None) -> bool:
        mine = (
            (_NOTICES.c.message == before.message)
            & (_NOTICES.c.number == before.number)
            & (_NOTICES.c.state == before.state)
            & (_NOTICES.c.tries == before.tries)
        )
        async with self._store.transaction() as connection:
            done = await connection.execute(update(_NOTICES).where(mine).values(_row(after)))
            if done.rowcount == 1 and told is not None:
                await append_facts(connection, [told])
        return done.rowcount == 1


def fact(message: Message, name: str, at: datetime, about: Mapping[str, Json]) -> NewEvent:
    """What is told of a message."""
    data = {"box": message.box, "message": message.id, **about}
    return NewEvent(message.call_id, at, f"voicemail.{name}", data, message.queue, message.agent)


async def _counts(connection: AsyncConnection, boxes: Collection[str]) -> dict[str, Counts]:
    query = (
        select(_MESSAGES.c.box, func.count(), func.count(_MESSAGES.c.heard_at))
        .select_from(_BOTH)
        .where(_MESSAGES.c.box.in_(boxes) & _IS_THERE)
        .group_by(_MESSAGES.c.box)
    )
    found = {
        box: Counts(every - heard, heard) for box, every, heard in await connection.execute(query)
    }
    return {box: found.get(box, Counts(0, 0)) for box in boxes}


async def _told(connection: AsyncConnection, messages: Sequence[str]) -> dict[str, Notified]:
    """How far the notices of messages have come; a message that has none is not there."""
    query = select(_NOTICES.c.message, _NOTICES.c.state).where(_NOTICES.c.message.in_(messages))
    states: dict[str, set[str]] = {}
    for message, state in await connection.execute(query) if messages else ():
        states.setdefault(message, set()).add(state)
    order: tuple[Notified, ...] = ("pending", "given_up", "sent")
    return {
        message: next(state for state in order if state in found)
        for message, found in states.items()
    }


def _row(notice: Notice) -> dict[str, object]:
    return fit(_NOTICES, {field.name: getattr(notice, field.name) for field in fields(Notice)})


def _notice(row: Row[*tuple[Any, ...]]) -> Notice:
    # A database row has no types of its own, hence Any; its columns are in the order of the fields.
    values = dict(zip((field.name for field in fields(Notice)), row, strict=True))
    return Notice(**{**values, "state": NoticeState(values["state"])})
