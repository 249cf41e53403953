"""Messages are left, counted, heard and deleted; and what becomes of them on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.recording.world import target_is_away
from tests.voicemail.world import ANN, KEY, SALES, World, heard, said, tone, true_at_last, world_of
from tests.waiting import until
from vxml_server.audio import encode
from vxml_server.queues import Box
from vxml_server.recording import NotStored, Recording, State
from vxml_server.store import Store, StoreError
from vxml_server.voicemail import (
    BadAudio,
    BoxFull,
    Counts,
    Message,
    NoSuchBox,
    NoSuchMessage,
    TooShort,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(tmp_path) as made:
        yield made


@pytest.mark.parametrize("form", ["flac", "wav", "opus"])
@pytest.mark.parametrize("keys", [[], [KEY]], ids=["plain", "encrypted"])
async def test_what_a_caller_has_left_is_what_the_owner_hears(
    tmp_path: Path, keys: list[dict[str, str]], form: str
) -> None:
    async with world_of(tmp_path, keys=keys, format=form) as world:
        left = await world.leave(seconds=1.5, data={"order": 17})
        recording = await world.stored(left)
        assert recording.duration_s == left.duration_s == 1.5
        assert (recording.rule, recording.destination) == ("voicemail", "voicemail:sales")
        assert (recording.queue, recording.data) == ("sales", {"order": 17})
        assert bool(recording.key_id) == bool(keys)
        wav = heard(await world.voicemail.audio(left.id, "ann"))
        if form == "opus":
            assert abs(len(wav) - 12_000) < 200
        else:
            assert np.array_equal(wav, tone(1.5))
        assert [path.suffixes[0] for path in world.kept()] == [f".{form}"]
        accessed = (await world.facts("recording.accessed"))[-1]
        assert accessed.data["by"] == "ann"


@pytest.mark.parametrize("keys", [[], [KEY]], ids=["plain", "encrypted"])
async def test_a_message_is_heard_while_the_target_is_away(
    tmp_path: Path, keys: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world_of(tmp_path, keys=keys) as world:
        target_is_away(monkeypatch)
        left = await world.leave()
        wav = heard(await world.voicemail.audio(left.id, "ann"))
        assert np.array_equal(wav, tone(2.0))
        path = world.archive.spool.find(left.id)
        assert path is not None
        is_secret = tone(2.0)[:100].tobytes() not in path.read_bytes()
        assert is_secret == bool(keys)
        assert (await world.facts("recording.accessed"))[0].data["by"] == "ann"


async def test_a_message_on_the_disk_of_another_worker_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        world_of(tmp_path) as one,
        world_of(tmp_path, clock=one.clock, worker="other") as other,
    ):
        target_is_away(monkeypatch)
        left = await one.leave()
        assert (await other.voicemail.messages("sales")).messages == (left,)
        with pytest.raises(NotStored):
            await other.voicemail.audio(left.id, "ann")
        monkeypatch.undo()
        one.clock.advance(1.0)
        await one.stored(left)
        assert len(heard(await other.voicemail.audio(left.id, "ann"))) == 16_000


async def test_a_message_that_another_worker_has_taken_over_is_not_lost_with_the_first_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target_is_away(monkeypatch)
    async with world_of(tmp_path) as main:
        left = await main.leave()
    async with world_of(tmp_path, worker="other") as other:
        # The first one starts again, finds nothing of its own, and looks for what is gone.
        async with world_of(tmp_path, clock=other.clock) as main:
            await main.voicemail.sweep()
            assert await main.voicemail.counts("sales") == Counts(1, 0)
        assert np.array_equal(heard(await other.voicemail.audio(left.id, "ann")), tone(2.0))


@pytest.mark.parametrize("media_type", ["audio/x-wav", "audio/basic", "audio/x-alaw-basic"])
async def test_audio_comes_in_all_the_types_that_calls_record(
    world: World, media_type: str
) -> None:
    audio = encode(tone(1.0), media_type)
    left = await world.voicemail.leave("sales", audio, media_type, caller="", call_id="c")
    wav = heard(await world.voicemail.audio(left.id, "ann")).astype(float)
    assert np.corrcoef(wav, tone(1.0))[0, 1] > 0.99


@pytest.mark.parametrize(
    ("audio", "media_type", "error"),
    [
        (b"", "audio/x-wav", BadAudio),
        (b"<html>", "text/html", BadAudio),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/x-wav", BadAudio),
        (said(0.5), "audio/x-wav", TooShort),
    ],
)
async def test_what_is_no_message_is_refused_and_leaves_nothing(
    world: World, audio: bytes, media_type: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await world.voicemail.leave("sales", audio, media_type, caller="", call_id="c")
    assert await world.voicemail.counts("sales") == Counts(0, 0)
    assert world.spooled() == []
    assert await world.told() == []


async def test_of_a_long_message_the_beginning_is_kept(tmp_path: Path) -> None:
    async with world_of(tmp_path, Box("sales", max_message=1.5)) as world:
        left = await world.leave(seconds=4)
        assert left.duration_s == 1.5
        wav = heard(await world.voicemail.audio(left.id, "ann"))
        assert np.array_equal(wav, tone(1.5))


async def test_there_is_no_message_in_a_box_that_does_not_exist(world: World) -> None:
    with pytest.raises(NoSuchBox):
        await world.leave("nobody")
    # Another worker has removed it, and this one does not know it yet.
    boxes = world.board.boxes
    await world.define(ANN)
    world.board.boxes = boxes
    with pytest.raises(NoSuchBox):
        await world.leave()
    assert world.spooled() == []


async def test_a_full_box_takes_no_message_until_one_is_deleted(tmp_path: Path) -> None:
    async with world_of(tmp_path, Box("sales", max_messages=2)) as world:
        first = await world.leave()
        await world.leave()
        await world.voicemail.heard(first.id, "ann")
        with pytest.raises(BoxFull):
            await world.leave()
        assert await world.voicemail.counts_of(["ann", "sales"]) == {
            "ann": Counts(0, 0),
            "sales": Counts(1, 1),
        }
        await world.voicemail.delete(first.id, "ann")
        await world.leave()
        assert await world.voicemail.counts("sales") == Counts(2, 0)


async def test_of_many_messages_at_a_time_a_box_takes_as_many_as_it_may(tmp_path: Path) -> None:
    box = Box("sales", max_messages=3)
    async with (
        world_of(tmp_path, box) as one,
        world_of(tmp_path, box, clock=one.clock, worker="other") as other,
    ):
        leaving = [world.leave(seconds=1) for world in (one, other) for _ in range(4)]
        results = await asyncio.gather(*leaving, return_exceptions=True)
        assert sum(isinstance(result, Message) for result in results) == 3
        assert sum(isinstance(result, BoxFull) for result in results) == 5
        assert await one.voicemail.counts("sales") == Counts(3, 0)


async def test_messages_come_newest_first_in_pages(world: World) -> None:
    left = []
    for number in range(5):
        left.append(await world.leave(caller=f"{number}"))
        world.clock.advance(1.0)
    await world.leave("ann")
    await world.voicemail.heard(left[3].id, "ann")
    found: list[Message] = []
    cursor = None
    for expected in (2, 2, 1):
        page = await world.voicemail.messages("sales", limit=2, cursor=cursor)
        assert len(page.messages) == expected
        found += page.messages
        cursor = page.cursor
    assert cursor is None
    assert [message.caller for message in found] == ["4", "3", "2", "1", "0"]
    new = (await world.voicemail.messages("sales", new_only=True)).messages
    assert [message.caller for message in new] == ["4", "2", "1", "0"]


async def test_a_message_is_heard_and_made_new_again(world: World) -> None:
    left = await world.leave()
    assert left == await world.voicemail.message(left.id)
    world.clock.advance(60)
    at = world.clock.utc_now()
    once = await world.voicemail.heard(left.id, "ann")
    assert once.heard_at == at
    world.clock.advance(60)
    assert await world.voicemail.heard(left.id, "bob") == once, "the first time counts"
    assert await world.voicemail.counts("sales") == Counts(0, 1)
    again = await world.voicemail.heard(left.id, "ann", is_heard=False)
    assert again.heard_at is None
    await world.voicemail.heard(left.id, "ann", is_heard=False)
    facts = await world.facts()
    assert [fact.name for fact in facts] == [
        "voicemail.left",
        "voicemail.heard",
        "voicemail.unheard",
    ]
    for fact in facts:
        assert (fact.data["box"], fact.data["message"]) == ("sales", left.id)
        assert (fact.call_id, fact.queue, fact.agent) == ("call-1", "sales", "")
    assert facts[1].data["by"] == "ann"


async def test_a_deleted_message_is_gone_and_so_is_its_file(world: World) -> None:
    left = await world.leave()
    await world.stored(left)
    deleted = await world.voicemail.delete(left.id, "ann")
    assert deleted.deleted
    assert world.kept() == []
    assert await world.voicemail.counts("sales") == Counts(0, 0)
    for ask in (
        world.voicemail.message(left.id),
        world.voicemail.audio(left.id, "ann"),
        world.voicemail.heard(left.id, "ann"),
        world.voicemail.delete(left.id, "ann"),
    ):
        with pytest.raises(NoSuchMessage):
            await ask
    recording = await world.voicemail.library.get(left.id)
    assert recording.state is State.DELETED
    assert await world.told() == ["left", "deleted"]
    assert (await world.facts("recording.deleted"))[0].data["by"] == "ann"


async def test_a_message_is_heard_and_erased_where_it_was_brought_to(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        left = await world.leave()
        await world.stored(left)
    async with world_of(tmp_path, target=str(tmp_path / "elsewhere")) as world:
        assert np.array_equal(heard(await world.voicemail.audio(left.id, "ann")), tone(2.0))
        assert len(world.kept()) == 1
        await world.voicemail.delete(left.id, "ann")
        assert world.kept() == []


async def test_a_message_that_is_deleted_before_it_is_stored_is_erased_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    target_is_away(monkeypatch)
    left = await world.leave()
    await world.voicemail.delete(left.id, "ann")
    assert await world.voicemail.counts("sales") == Counts(0, 0)
    assert (await world.voicemail.messages("sales")).messages == ()
    assert (await world.voicemail.message(left.id)).deleted
    with pytest.raises(NoSuchMessage):
        await world.voicemail.audio(left.id, "ann")
    await world.voicemail.sweep()
    assert (await world.voicemail.message(left.id)).deleted, "it cannot be erased yet"
    monkeypatch.undo()
    world.clock.advance(1.0)
    await world.stored(left)
    await world.voicemail.sweep()
    assert world.kept() == []
    with pytest.raises(NoSuchMessage):
        await world.voicemail.message(left.id)
    assert await world.told() == ["left", "deleted"]


async def test_a_message_under_a_legal_hold_leaves_its_box_and_stays_in_the_archive(
    world: World,
) -> None:
    left = await world.leave()
    await world.stored(left)
    await world.voicemail.library.hold(left.id, "judge", "a case", held=True)
    await world.voicemail.delete(left.id, "ann")
    assert await world.voicemail.counts("sales") == Counts(0, 0)
    world.clock.advance(100 * 86_400)
    await world.voicemail.sweep()
    await world.archive.sweep()
    assert len(world.kept()) == 1
    await world.voicemail.library.hold(left.id, "judge", "", held=False)
    await world.clock.elapse(600)
    await until(lambda: world.kept() == [])
    assert await world.told() == ["left", "deleted"]


@pytest.mark.parametrize(("box", "days"), [(SALES, 60.0), (Box("sales", retention_days=2), 2.0)])
async def test_a_message_is_gone_when_the_time_of_its_box_is_over(
    tmp_path: Path, box: Box, days: float
) -> None:
    async with world_of(tmp_path, box) as world:
        left = await world.leave()
        recording = await world.stored(left)
        assert recording.expires_at == left.left_at + timedelta(days=days)
        world.clock.advance(days * 86_400 - 1)
        await world.archive.sweep()
        assert (await world.voicemail.counts("sales")).all == 1
        world.clock.advance(2)
        await world.archive.sweep()
        assert (await world.voicemail.counts("sales")).all == 0
        assert (await world.voicemail.message(left.id)).deleted
        await world.voicemail.sweep()
        with pytest.raises(NoSuchMessage):
            await world.voicemail.message(left.id)
        assert await world.told() == ["left", "deleted"]
        assert (await world.facts())[-1].data["by"] == "recordings"


async def test_a_message_whose_recording_is_deleted_is_gone(world: World) -> None:
    left = await world.leave()
    await world.stored(left)
    await world.voicemail.library.delete(left.id, "operator", "asked for")
    assert (await world.voicemail.messages("sales")).messages == ()
    with pytest.raises(NoSuchMessage):
        await world.voicemail.heard(left.id, "ann")


async def test_a_caller_who_hangs_up_does_not_take_his_message_with_him(world: World) -> None:
    leaving = asyncio.create_task(world.leave())
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await true_at_last(lambda: _has(world, 1))


async def _has(world: World, messages: int) -> bool:
    return (await world.voicemail.counts("sales")).all == messages


async def test_a_disk_that_takes_nothing_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(OSError, match="No space") as error:
        await world.leave()
    assert not isinstance(error.value, StoreError)
    monkeypatch.undo()
    assert world.spooled() == []
    assert await world.voicemail.counts("sales") == Counts(0, 0)


class AwayStore(Store):
    """A database that can be away, and may have stored what it did not say."""

    is_away = False
    forgets = 0
    refused = 0
    """Transactions that were asked for while it was away."""

    def transaction(self) -> Any:
        context = super().transaction()
        return _Failing(self, context)


class _Failing:
    def __init__(self, store: AwayStore, context: Any) -> None:
        self._store = store
        self._context = context

    async def __aenter__(self) -> Any:
        if self._store.is_away:
            self._store.refused += 1
            raise StoreError("away")
        return await self._context.__aenter__()

    async def __aexit__(self, *exception: Any) -> Any:
        result = await self._context.__aexit__(*exception)
        if self._store.forgets:
            self._store.forgets -= 1
            raise StoreError("nobody knows what became of it")
        return result


async def test_a_message_is_kept_when_the_database_comes_back(tmp_path: Path) -> None:
    async with world_of(tmp_path, store_type=AwayStore) as world:
        store = world.store
        assert isinstance(store, AwayStore)
        store.is_away = True
        leaving = asyncio.create_task(world.leave())
        await until(lambda: store.refused > 0)
        for _ in range(8):
            await world.clock.elapse(1.0)
        with pytest.raises(StoreError):
            await leaving
        world.store.is_away = False
        await world.clock.elapse(1.0)
        await true_at_last(lambda: _has(world, 1))
        [message] = (await world.voicemail.messages("sales")).messages
        await world.stored(message)


async def test_a_message_that_was_stored_without_an_answer_is_one_message(tmp_path: Path) -> None:
    async with world_of(tmp_path, store_type=AwayStore) as world:
        store = world.store
        assert isinstance(store, AwayStore)
        store.forgets = 1
        leaving = asyncio.create_task(world.leave())
        await until(lambda: world.spooled() and not store.forgets)
        await world.clock.settle()
        await world.clock.elapse(1.0)
        left = await leaving
        assert (await world.voicemail.messages("sales")).messages == (left,)
        assert await world.told() == ["left"]


@pytest.mark.parametrize("keys", [[], [KEY]], ids=["plain", "encrypted"])
@pytest.mark.parametrize("is_stored", [True, False])
async def test_after_a_crash_there_is_all_of_a_message_or_nothing(
    tmp_path: Path,
    keys: list[dict[str, str]],
    is_stored: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process dies when the file is on the disk: before, or after, the row is stored."""
    async with world_of(tmp_path, keys=keys) as world:
        monkeypatch.setattr(world.archive, "keep", lambda recording: None)
        if not is_stored:
            monkeypatch.setattr(world.archive, "_deposited", _never)
        leaving = asyncio.create_task(world.leave(seconds=1.5))
        await until(lambda: any(path.suffix != ".part" for path in world.spooled()))
        if is_stored:
            await leaving
        else:
            leaving.cancel()
            for task in list(world.voicemail._leaving):
                task.cancel()
    monkeypatch.undo()
    async with world_of(tmp_path, keys=keys) as world:
        messages = (await world.voicemail.messages("sales")).messages
        assert len(messages) == is_stored
        if is_stored:
            await world.stored(messages[0])
            wav = heard(await world.voicemail.audio(messages[0].id, "ann"))
            assert np.array_equal(wav, tone(1.5))
        else:
            [path] = world.spooled()
            assert path.parent.name == "orphans"


async def _never(recording: Recording, beside: object) -> None:
    await asyncio.Event().wait()


async def test_a_crash_in_the_middle_of_writing_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "main-abcdefgh"
    folder.mkdir(parents=True)
    (folder / "half.part").write_bytes(b"RIFF")
    async with world_of(tmp_path) as world:
        assert world.spooled() == []


async def test_boxes_are_found_by_what_they_belong_to(world: World) -> None:
    voicemail = world.voicemail
    assert voicemail.box("sales") == voicemail.box_of_queue("sales") == SALES
    assert voicemail.box_of_number("800") == SALES
    assert voicemail.box_of_agent("ann") == ANN
    nobody = (voicemail.box(""), voicemail.box_of_queue(""), voicemail.box_of_number(""))
    assert nobody == (None, None, None)
    assert voicemail.boxes() == (ANN, SALES)
    first, second = Box("801"), Box("a", number="801")
    await world.define(second, first)
    assert voicemail.box_of_number("801") == first, "the first by name"
    assert voicemail.box_of_number("800") is None
    assert voicemail.boxes() == (first, second)


async def test_a_message_whose_disk_is_lost_is_not_in_the_box_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world_of(tmp_path) as world:
        target_is_away(monkeypatch)
        left = await world.leave()
    monkeypatch.undo()
    for path in world.spooled():
        path.unlink()
    async with world_of(tmp_path, runs=False) as world:
        assert await world.voicemail.counts("sales") == Counts(0, 0)
        await world.voicemail.sweep()
        assert await world.told() == ["left", "deleted"]
        recording = await world.voicemail.library.get(left.id)
        assert recording.trouble == "lost with the process that made it"


async def test_stopping_does_not_wait_for_a_database_that_is_away(tmp_path: Path) -> None:
    async with world_of(tmp_path, store_type=AwayStore, runs=False) as world:
        store = world.store
        assert isinstance(store, AwayStore)
        store.is_away = True
        leaving = asyncio.create_task(world.leave())
        await until(lambda: store.refused > 0)
        closing = asyncio.create_task(world.voicemail.close())
        await world.clock.elapse(5)
        await closing
        with pytest.raises(asyncio.CancelledError):
            await leaving
        store.is_away = False
    async with world_of(tmp_path) as world:
        [path] = world.spooled()
        assert path.parent.name == "orphans", "the caller was not told that it is kept"


async def test_a_message_is_deleted_also_when_its_recording_cannot_be_now(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = await world.leave()
    await world.stored(left)

    async def away(*arguments: object) -> Recording:
        raise StoreError("away")

    monkeypatch.setattr(world.archive, "delete", away)
    assert (await world.voicemail.delete(left.id, "ann")).deleted
    assert (await world.voicemail.messages("sales")).messages == ()
    monkeypatch.undo()
    await world.voicemail.sweep()
    assert world.kept() == []
    assert await world.told() == ["left", "deleted"]
