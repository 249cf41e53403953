"""Histories of boxes: messages left, heard, deleted, held and outlived, over crashes, with a target
that comes and goes. None is lost, none comes back, and the counts are right."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.voicemail.world import World, heard, tone, world_of
from vxml_server.clock import VirtualClock
from vxml_server.queues import Box
from vxml_server.recording import NotStored, Recording
from vxml_server.recording.target import Target, TargetError
from vxml_server.voicemail import BoxFull, Message, NoSuchMessage

Result = TypeVar("Result")
HISTORIES = int(os.environ.get("HISTORIES", "2"))
DAYS = 2.0
MOST = 4
BOXES = (
    Box("one", max_messages=MOST, min_message=0.0, retention_days=DAYS, email=("a@h", "b@h")),
    Box("two", max_messages=MOST, min_message=0.0, retention_days=DAYS, webhook="http://h/"),
)
# From the shortest on, so that each is known by its sound.
FIRST = 0.1


@dataclass
class Known:
    """What the model knows of a message."""

    message: Message
    seconds: float
    ends_at: datetime
    is_heard: bool = False
    is_held: bool = False
    is_deleted: bool = False
    is_kept: bool = False
    """At the target."""


class History(RuleBasedStateMachine):
    """A worker, what happens to its boxes, and what must be so then."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.patch = pytest.MonkeyPatch()
        self.known: dict[str, Known] = {}
        self.is_away = False
        self.left = 0
        self.clock = VirtualClock()
        self.told: list[str] = []

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    @initialize()
    def begin(self) -> None:
        put = Target.put

        def perhaps(target: Target, *arguments: Any) -> None:
            if self.is_away:
                raise TargetError("away")
            put(target, *arguments)

        self.patch.setattr(Target, "put", perhaps)
        self._start()

    def _start(self) -> None:
        self.context: AbstractAsyncContextManager[World] = world_of(
            Path(self.folder.name), *BOXES, clock=self.clock, runs=False
        )
        self.world = self.do(self.context.__aenter__())

    def _stop(self) -> None:
        self.do(self.context.__aexit__(None, None, None))
        listeners = (self.world.mail, self.world.webhook)
        self.told += [news.notice.id for one in listeners for news in one.told]

    def there(self, box: str) -> list[Known]:
        """The messages of a box, newest first."""
        mine = [one for one in self.known.values() if one.message.box == box]
        here = [one for one in mine if not one.is_deleted]
        return sorted(here, key=lambda one: (one.message.left_at, one.message.id), reverse=True)

    def everywhere(self) -> list[Known]:
        return [one for box in BOXES for one in self.there(box.name)]

    # What happens ------------------------------------------------------------------------------

    @rule(box=st.sampled_from(BOXES))
    def leave(self, box: Box) -> None:
        seconds, is_full = self._next(box)
        try:
            message = self.do(self.world.leave(box.name, seconds))
        except BoxFull:
            assert is_full
            return
        assert not is_full
        self._enter(message, seconds)
        self.do(self._settle())

    def _next(self, box: Box) -> tuple[float, bool]:
        """How long the next message is, and whether the box is full."""
        self.left += 1
        # No two at the same time: the order is known.
        self.clock.advance(0.001)
        return FIRST + self.left / 100, len(self.there(box.name)) == MOST

    def _enter(self, message: Message, seconds: float) -> None:
        ends_at = message.left_at + timedelta(days=DAYS)
        self.known[message.id] = Known(message, seconds, ends_at)

    async def _settle(self) -> None:
        """What can come to the target does: no step depends on how fast a thread is."""
        if self.is_away:
            return
        for one in self.known.values():
            if not one.is_kept:
                await self.world.stored(one.message)
                one.is_kept = True

    @rule(box=st.sampled_from(BOXES), is_stored=st.booleans())
    def crash_while_leaving(self, box: Box, is_stored: bool) -> None:
        """The file is on the disk; the process dies before or after the row is stored."""
        seconds, is_full = self._next(box)

        async def leave() -> Message | None:
            archive = self.world.archive
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(archive, "keep", lambda recording: None)
                if not is_stored:
                    patch.setattr(archive, "_deposited", die)
                try:
                    return await self.world.leave(box.name, seconds)
                except (asyncio.CancelledError, BoxFull):
                    return None

        async def die(recording: Recording, beside: object) -> None:
            raise asyncio.CancelledError

        message = self.do(leave())
        assert (message is not None) == (is_stored and not is_full)
        if message is not None:
            self._enter(message, seconds)
        self.crash()

    @rule()
    def crash(self) -> None:
        self._stop()
        self._start()
        self.do(self._settle())

    @precondition(lambda self: self.everywhere())
    @rule(data=st.data(), is_heard=st.booleans())
    def hear(self, data: st.DataObject, is_heard: bool) -> None:
        one = data.draw(st.sampled_from(self.everywhere()))
        found = self.do(self.world.voicemail.heard(one.message.id, "ann", is_heard))
        assert (found.heard_at is not None) == is_heard
        one.is_heard = is_heard

    @precondition(lambda self: self.everywhere())
    @rule(data=st.data())
    def listen(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.everywhere()))
        wav = heard(self.do(self.world.voicemail.audio(one.message.id, "ann")))
        assert np.array_equal(wav, tone(one.seconds))

    @precondition(lambda self: self.everywhere())
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.everywhere()))
        self.do(self.world.voicemail.delete(one.message.id, "ann"))
        one.is_deleted = True

    @precondition(lambda self: self.everywhere())
    @rule(data=st.data())
    def delete_the_recording(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.everywhere()))
        if one.is_held:
            return
        try:
            self.do(self.world.voicemail.library.delete(one.message.id, "operator", ""))
            one.is_deleted = True
        except NotStored:
            assert not one.is_kept

    @precondition(lambda self: self.everywhere())
    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.everywhere()))
        self.do(self._hold(one, not one.is_held))
        one.is_held = not one.is_held

    async def _hold(self, one: Known, held: bool) -> None:
        await self.world.voicemail.library.hold(one.message.id, "judge", "", held=held)

    @rule()
    def the_target_goes(self) -> None:
        self.is_away = True

    @precondition(lambda self: self.is_away)
    @rule()
    def the_target_comes_back(self) -> None:
        """What waited for it is brought by the next process: when a running one tries again is
        another test's matter."""
        self.is_away = False
        self.crash()

    @rule(hours=st.sampled_from([1, 20, 30]), fails=st.integers(0, 3))
    def time_passes(self, hours: int, fails: int) -> None:
        self.world.mail.troubles.clear()
        self.world.webhook.troubles.clear()
        self.world.mail.fail(fails)
        self.world.webhook.fail(fails)
        self.do(self._pass(hours))
        now = self.clock.utc_now()
        for one in self.everywhere():
            if one.ends_at <= now and one.is_kept and not one.is_held:
                one.is_deleted = True

    async def _pass(self, hours: int) -> None:
        """All that goes on by itself, in one order."""
        self.clock.advance(hours * 3600)
        await self.world.tell()
        await self.world.archive.sweep()
        await self.world.voicemail.sweep()

    # What must be so ---------------------------------------------------------------------------

    @invariant()
    def the_boxes_have_what_was_left_and_not_deleted(self) -> None:
        if hasattr(self, "world"):
            self.do(self._check())

    async def _check(self) -> None:
        voicemail = self.world.voicemail
        for box in BOXES:
            expected = self.there(box.name)
            found = (await voicemail.messages(box.name)).messages
            assert [one.id for one in found] == [one.message.id for one in expected]
            assert [one.heard_at is not None for one in found] == [one.is_heard for one in expected]
            counts = await voicemail.counts(box.name)
            assert counts.all == len(expected) <= MOST
            assert counts.heard == sum(one.is_heard for one in expected)
        for one in self.known.values():
            if one.is_deleted:
                with pytest.raises(NoSuchMessage):
                    await voicemail.heard(one.message.id, "ann")

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.the_target_comes_back()
            self.do(self._the_end())
            self._stop()
            assert len(set(self.told)) == len(self.told), "nobody is told twice"
        self.patch.undo()
        self.runner.close()
        self.folder.cleanup()

    async def _the_end(self) -> None:
        """When everything has run its course there is a file for each message, and no other but
        those that are held; and everybody has been told, or it was given up."""
        self.world.mail.troubles.clear()
        self.world.webhook.troubles.clear()
        await self.world.voicemail.sweep()
        here = {path.name.partition(".")[0] for path in self.world.kept()}
        assert here == {
            one.message.id for one in self.known.values() if not one.is_deleted or one.is_held
        }
        for _ in range(26):
            await self.world.tell(after=3600)
        for one in self.everywhere():
            assert await self.world.notified(one.message) in {"sent", "given_up"}
        facts = [fact for fact in await self.world.facts() if fact.name == "voicemail.left"]
        assert [fact.data["message"] for fact in facts] == list(self.known)


def test_no_history_loses_a_message() -> None:
    few = settings(
        max_examples=HISTORIES,
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(History, settings=few)
