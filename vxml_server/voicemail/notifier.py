"""Tells people of messages: what is due in the database, by whichever worker comes first.

The rules that must hold: of several workers one is at a notice; one that dies at it leaves it to
another, so that a message may be told twice, but never not at all; whatever goes wrong with one
notice, the others are sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import structlog

from vxml_server.clock import Clock, deadline
from vxml_server.queues import Box
from vxml_server.recording import EnvelopeError, NotStored
from vxml_server.store import Json, StoreError
from vxml_server.voicemail.errors import NoSuchMessage
from vxml_server.voicemail.ledger import Ledger, fact
from vxml_server.voicemail.notices import (
    News,
    Notice,
    NoticeState,
    NotSent,
    Way,
    WayName,
    next_try,
    targets,
)
from vxml_server.voicemail.records import Message

_log = structlog.get_logger(__name__)

LOOK_EVERY = 10.0
"""Seconds between two looks at what is due."""
AT_ONCE = 8
"""Notices that a worker is at, at the same time."""
LONGEST_TRY = 240.0
"""Seconds that a try may take."""
CLAIM = timedelta(seconds=LONGEST_TRY + 60)
"""After so long another worker may take over a notice."""


class Notifier:
    """`start` it, `wake` it when there is something new, `close` it."""

    def __init__(
        self,
        ledger: Ledger,
        ways: Mapping[WayName, Way],
        clock: Clock,
        *,
        box: Callable[[str], Box | None],
        audio: Callable[[str, str], Awaitable[bytes]],
    ) -> None:
        """`box` gives a box by its name, `audio` a message by its id to somebody."""
        self._ledger = ledger
        self._ways = ways
        self._clock = clock
        self._box = box
        self._audio = audio
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="voicemail: notifier")

    def wake(self) -> None:
        """Something is due."""
        self._wake.set()

    async def close(self) -> None:
        """Stops; what it was at is tried again by whoever comes next."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for way in self._ways.values():
            await way.close()

    async def _run(self) -> None:
        while True:
            try:
                while await self.round():
                    pass
            except StoreError as error:
                _log.warning("the database does not answer", error=str(error))
            except Exception:
                # A defect in one round must not keep people from being told in the next.
                _log.exception("the notifier failed")
            timer = self._clock.call_later(LOOK_EVERY, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()
            self._wake.clear()

    async def round(self) -> bool:
        """Tries some of what is due; False when there is nothing (more) to be done now.

        Raises `StoreError`.
        """
        due = await self._ledger.due(self._clock.utc_now(), AT_ONCE)
        return any(await asyncio.gather(*map(self._try, due)))

    async def _try(self, notice: Notice) -> bool:
        """Whether it has come further."""
        try:
            claimed = await self._ledger.claim(notice, self._clock.utc_now() + CLAIM)
            if claimed is None:
                return False
            message = await self._ledger.get(claimed.message)
            try:
                await self._send(claimed, message)
            except NotSent as problem:
                await self._failed(claimed, message, problem)
            else:
                await self._end(claimed, message, NoticeState.SENT, "notified", {})
        except NoSuchMessage:
            pass  # its notices have gone with it
        except StoreError as error:
            # What was claimed is tried again when the claim is over.
            _log.warning("the database does not answer", error=str(error))
            return False
        return True

    async def _failed(self, notice: Notice, message: Message, problem: NotSent) -> None:
        now = self._clock.utc_now()
        due = None if problem.is_final else next_try(notice.tries, message.left_at, now)
        notice_after = replace(notice, trouble=str(problem))
        log = _log.bind(message=message.id, to=notice.recipient, tries=notice.tries)
        log.warning("somebody was not told of a message", reason=str(problem), again_at=due)
        if due is not None:
            await self._ledger.settle(notice, replace(notice_after, due_at=due))
        else:
            about: dict[str, Json] = {"reason": str(problem)}
            await self._end(notice_after, message, NoticeState.GIVEN_UP, "given_up", about)

    async def _end(
        self,
        notice: Notice,
        message: Message,
        state: NoticeState,
        name: str,
        about: Mapping[str, Json],
    ) -> None:
        told = {"way": notice.way, "to": notice.recipient, "tries": notice.tries, **about}
        now = self._clock.utc_now()
        await self._ledger.settle(
            notice, replace(notice, state=state), fact(message, name, now, told)
        )

    async def _send(self, notice: Notice, message: Message) -> None:
        """Raises `NotSent`."""
        box = self._box(message.box)
        way = self._ways.get(notice.way)
        if message.deleted:
            raise NotSent("the message is deleted", is_final=True)
        if box is None:
            # Other workers, or the next definitions, may know it.
            raise NotSent("there is no such box")
        if (notice.way, notice.address) not in targets(box, {notice.way}):
            raise NotSent("the box does not name this address any more", is_final=True)
        if way is None:
            raise NotSent(f"this server sends no {notice.way}")
        try:
            counts = (await self._ledger.counts([message.box]))[message.box]
            news = News(
                notice,
                message,
                box,
                new=counts.new,
                at=self._clock.utc_now(),
                audio=lambda: self._audio(message.id, f"{notice.way} to {notice.address}"),
            )
            async with deadline(self._clock, LONGEST_TRY):
                await way.send(news)
        except NotSent:
            raise
        except TimeoutError:
            raise NotSent("it took too long") from None
        except NotStored as error:
            raise NotSent(f"the recording is {error}") from None
        except (OSError, EnvelopeError) as error:
            raise NotSent(f"{type(error).__name__}: {error}") from error
        except Exception as error:
            _log.exception("a notice could not be made", message=message.id, way=notice.way)
            raise NotSent(f"{type(error).__name__}: {error}") from error
