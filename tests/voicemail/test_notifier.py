"""People are told of messages: once, by one worker, until they are told or it is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recording.world import target_is_away
from tests.voicemail.world import ANN, SALES, World, heard, true_at_last, world_of
from tests.waiting import until
from vxml_server.queues import Box
from vxml_server.recording import EnvelopeError
from vxml_server.store import Store, StoreError
from vxml_server.voicemail import Message
from vxml_server.voicemail.notices import GIVEN_UP_AFTER, Notice, next_try
from vxml_server.voicemail.notifier import CLAIM, LONGEST_TRY, LOOK_EVERY

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MAIL_ONLY = Box("ann", agent="ann", email=("ann@example.org",))
BOTH = replace(MAIL_ONLY, name="both", webhook="https://h.example/hook")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(tmp_path, MAIL_ONLY, SALES, BOTH, runs=False) as made:
        yield made


async def comes_to(world: World, message: Message, notified: str) -> None:
    async def is_so() -> bool:
        return await world.notified(message) == notified

    await true_at_last(is_so)


async def until_it_waits(world: World) -> None:
    """The notifier has done what it could, and waits for time."""
    wake = world.voicemail._notifier._wake.set
    timers = world.clock._timers
    await until(lambda: any(one.callback == wake and not one.cancelled for *_, one in timers))


async def in_time_comes_to(world: World, message: Message, notified: str) -> None:
    while await world.notified(message) != notified:
        assert world.clock.monotonic() < GIVEN_UP_AFTER.total_seconds()
        await until_it_waits(world)
        await world.clock.elapse(LOOK_EVERY)


async def test_everybody_whom_the_box_names_is_told_once(world: World) -> None:
    left = await world.leave("both")
    assert left.notified == "pending"
    await world.tell()
    assert await world.notified(left) == "sent"
    await world.tell(after=3600)
    [mail], [webhook] = world.mail.told, world.webhook.told
    assert mail.notice.address == "ann@example.org"
    assert webhook.notice.address == "https://h.example/hook"
    assert mail.notice.id != webhook.notice.id
    assert mail.message.id == webhook.message.id == left.id
    assert (mail.box, mail.new, mail.at) == (BOTH, 1, left.left_at)
    facts = [fact for fact in await world.facts() if fact.name == "voicemail.notified"]
    assert {(fact.data["way"], fact.data["to"], fact.data["tries"]) for fact in facts} == {
        ("mail", "ann@example.org", 1),
        ("webhook", "https://h.example", 1),
    }


async def test_the_audio_of_a_mail_is_in_the_log_as_every_access(world: World) -> None:
    await world.leave("ann", seconds=1.0)
    await world.tell()
    assert len(heard(await world.mail.told[0].audio())) == 8000
    [fact] = await world.facts("recording.accessed")
    assert fact.data["by"] == "mail to ann@example.org"


async def test_where_nobody_is_to_be_told_nobody_is(world: World) -> None:
    left = await world.leave("sales")
    await world.tell()
    assert await world.notified(left) == left.notified == "none"
    assert world.mail.tries == world.webhook.tries == 0


async def test_it_is_tried_again_after_one_two_four_minutes(world: World) -> None:
    world.mail.fail(4)
    left = await world.leave("ann")
    await world.tell()
    for number, minutes in enumerate((1, 2, 4, 8), 1):
        await world.tell(after=minutes * 60 - 1)
        assert world.mail.tries == number
        assert await world.notified(left) == "pending"
        await world.tell(after=1)
    assert await world.notified(left) == "sent"
    assert await world.told() == ["left", "notified"]
    assert (await world.facts())[-1].data["tries"] == 5


async def test_after_a_day_it_is_given_up(world: World) -> None:
    world.mail.fail(1000, "out of order")
    left = await world.leave("ann")
    end = left.left_at + GIVEN_UP_AFTER
    while waiting := await world.voicemail._ledger.due(end, 1):
        delay = waiting[0].due_at - world.clock.utc_now()
        await world.tell(after=delay.total_seconds())
    assert await world.notified(left) == "given_up"
    assert world.clock.utc_now() == end
    fact = (await world.facts())[-1]
    assert fact.name == "voicemail.given_up"
    assert fact.data["reason"] == "out of order"
    assert fact.data["to"] == "ann@example.org"
    assert world.mail.tries == 7 + 23, "1 to 32 minutes, then hourly, then at the end of the day"
    await world.tell(after=86_400)
    assert world.mail.tries == 30


async def test_what_is_refused_for_good_is_given_up_at_once(world: World) -> None:
    world.mail.fail(1, "550 no such user", is_final=True)
    left = await world.leave("both")
    await world.tell()
    assert await world.notified(left) == "given_up"
    assert len(world.webhook.told) == 1
    await world.tell(after=86_400)
    assert world.mail.tries == 1


@pytest.mark.parametrize(
    "error", [RuntimeError("a defect"), OSError("away"), EnvelopeError("no key"), TimeoutError()]
)
async def test_whatever_goes_wrong_the_others_are_told_and_it_is_tried_again(
    world: World, error: Exception
) -> None:
    world.mail.troubles = [error]
    left = await world.leave("both")
    await world.tell()
    assert len(world.webhook.told) == 1
    assert await world.notified(left) == "pending"
    await world.tell(after=60)
    assert await world.notified(left) == "sent"


async def test_a_way_that_does_not_come_back_is_left_after_its_time(world: World) -> None:
    world.mail.gate = asyncio.Event()
    left = await world.leave("both")
    telling = asyncio.create_task(world.tell())
    await until(lambda: world.mail.tries)
    world.clock.advance(LONGEST_TRY)
    await telling
    assert await world.notified(left) == "pending"
    world.mail.gate.set()
    await world.tell(after=60)
    assert await world.notified(left) == "sent"


async def test_of_two_workers_one_tells(tmp_path: Path) -> None:
    async with (
        world_of(tmp_path, MAIL_ONLY, runs=False) as one,
        world_of(tmp_path, MAIL_ONLY, clock=one.clock, worker="other", runs=False) as other,
    ):
        left = [await one.leave("ann", seconds=1) for _ in range(6)]
        for message in left:
            await one.stored(message)
        for world in (one, other) * 2:
            await asyncio.gather(one.tell(), other.tell())
            await world.tell()
        told = [news.message.id for news in (*one.mail.told, *other.mail.told)]
        assert sorted(told) == sorted(message.id for message in left)


async def test_a_message_is_told_by_who_can_get_its_audio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose target is away has the message on his own disk."""
    target_is_away(monkeypatch)
    async with (
        world_of(tmp_path, MAIL_ONLY, runs=False) as one,
        world_of(tmp_path, MAIL_ONLY, clock=one.clock, worker="other", runs=False) as other,
    ):
        left = await one.leave("ann")
        await other.tell()
        assert await one.notified(left) == "pending"
        await one.tell()
        assert await one.notified(left) == "sent"
        assert (len(one.mail.told), other.mail.tries) == (1, 0)


async def test_what_a_dead_worker_was_at_another_tells(tmp_path: Path) -> None:
    async with world_of(tmp_path, MAIL_ONLY) as one:
        one.mail.gate = asyncio.Event()
        left = await one.leave("ann")
        await one.stored(left)
        await until(lambda: one.mail.tries)
    async with world_of(tmp_path, MAIL_ONLY, clock=one.clock, worker="other", runs=False) as other:
        await other.tell(after=CLAIM.total_seconds() - 1)
        assert other.mail.tries == 0
        await other.tell(after=1)
        assert await other.notified(left) == "sent"
        [news] = other.mail.told
        assert news.notice.id == f"{left.id}.0", "by which a second one is known"


async def test_who_was_slow_does_not_undo_what_another_has_done(world: World) -> None:
    """A try outlives its claim, and fails when another is at it already."""
    ledger = world.voicemail._ledger
    world.mail.gate = asyncio.Event()
    world.mail.fail(1)
    left = await world.leave("ann")
    telling = asyncio.create_task(world.tell())
    await until(lambda: world.mail.tries)
    later = world.clock.utc_now() + CLAIM
    [mine] = await ledger.due(later, 10)
    his = await ledger.claim(mine, later + CLAIM)
    assert his is not None
    assert await ledger.claim(mine, later) is None
    world.mail.gate.set()
    await telling
    assert await ledger.due(later + CLAIM, 10) == [his]
    assert await world.notified(left) == "pending"


async def test_who_is_no_address_of_the_box_any_more_is_not_told(world: World) -> None:
    world.mail.fail(1)
    world.webhook.fail(1)
    left = await world.leave("both")
    await world.tell()
    await world.define(SALES, replace(BOTH, email=("new@example.org",)))
    await world.tell(after=60)
    assert await world.notified(left) == "given_up"
    assert world.mail.told == []
    assert len(world.webhook.told) == 1


async def test_a_box_that_is_not_known_for_a_while_is_told_of_later(world: World) -> None:
    world.mail.fail(1)
    left = await world.leave("ann")
    await world.tell()
    await world.define(SALES)
    await world.tell(after=60)
    assert await world.notified(left) == "pending"
    await world.define(SALES, ANN)
    await world.tell(after=120)
    assert await world.notified(left) == "sent"


async def test_nobody_is_told_of_what_is_deleted(world: World) -> None:
    world.mail.fail(1)
    left = await world.leave("ann")
    await world.tell()
    await world.stored(left)
    await world.voicemail.library.hold(left.id, "judge", "", held=True)
    await world.voicemail.delete(left.id, "ann")
    await world.tell(after=3600)
    assert world.mail.tries == 1


async def test_a_running_server_tells_at_once_and_looks_for_what_is_due(tmp_path: Path) -> None:
    async with world_of(tmp_path, MAIL_ONLY) as world:
        world.mail.gate = asyncio.Event()
        left = [await world.leave("ann", seconds=1) for _ in range(12)]
        await until(lambda: world.mail.tries)
        world.mail.gate.set()
        for message in left:
            await comes_to(world, message, "sent")
        assert len(world.mail.told) == 12
        world.mail.fail(1)
        left = [await world.leave("ann")]
        await until(lambda: not world.mail.troubles)
        await in_time_comes_to(world, left[0], "sent")


async def test_a_database_that_is_away_ends_no_notifier(tmp_path: Path) -> None:
    async with world_of(tmp_path, MAIL_ONLY, store_type=DeafStore) as world:
        store = world.store
        assert isinstance(store, DeafStore)
        left = await world.leave("ann")
        await comes_to(world, left, "sent")
        await until_it_waits(world)
        for error in (StoreError("away"), RuntimeError("a defect")):
            store.errors = [error]
            await world.clock.elapse(LOOK_EVERY)
            await until(lambda: not store.errors)
            await until_it_waits(world)
        await comes_to(world, await world.leave("ann"), "sent")


async def test_what_was_sent_and_could_not_be_noted_is_sent_again(world: World) -> None:
    left = await world.leave("ann")
    settle = world.voicemail._ledger.settle
    with pytest.MonkeyPatch.context() as patch:

        async def away(*arguments: object) -> None:
            raise StoreError("away")

        patch.setattr(world.voicemail._ledger, "settle", away)
        await world.tell()
    assert world.voicemail._ledger.settle == settle
    assert await world.notified(left) == "pending"
    await world.tell(after=CLAIM.total_seconds())
    assert await world.notified(left) == "sent"
    first, second = world.mail.told
    assert first.notice.id == second.notice.id


class DeafStore(Store):
    """A database that does not answer so many times."""

    errors: list[Exception]

    def reading(self) -> Any:  # the type of what contextlib makes has no public name
        if errors := getattr(self, "errors", []):
            raise errors.pop(0)
        return super().reading()


async def test_ways_are_closed_with_the_room(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        pass
    assert world.mail.is_closed
    assert world.webhook.is_closed


@given(st.integers(1, 100), st.floats(0, 2 * 86_400))
def test_a_next_try_comes_within_the_hour_and_never_after_a_day(tries: int, age: float) -> None:
    now = NOON + timedelta(seconds=age)
    at = next_try(tries, NOON, now)
    if now >= NOON + GIVEN_UP_AFTER:
        assert at is None
    else:
        assert at is not None
        assert now < at <= min(NOON + GIVEN_UP_AFTER, now + timedelta(hours=1))


def test_the_recipient_of_a_webhook_is_told_without_what_may_be_secret() -> None:
    address = "https://me:secret@h.example:8443/hook/secret?key=secret"
    assert Notice("m", 0, "webhook", address, NOON).recipient == "https://h.example"
