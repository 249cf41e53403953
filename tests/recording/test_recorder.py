"""A conversation from the notice to the file, and every way in which none comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.media.tones import dialled, tone_milliseconds
from tests.media.world import heard_through, ramp
from tests.recording.world import (
    KEY,
    SECOND,
    Notice,
    accepted,
    conversation,
    world_of,
)
from tests.waiting import until
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import Json, Outcome
from vxml_server.media.stream import FRAME
from vxml_server.recording import (
    IllegalTransition,
    NoConversation,
    NotAnnounced,
    Retention,
    State,
    Wanted,
)


@pytest.mark.parametrize("form", ["flac", "wav"])
@pytest.mark.parametrize("keys", [[], [KEY]])
async def test_a_conversation_is_kept_sample_by_sample_with_the_caller_on_the_left(
    tmp_path: Path, form: str, keys: list[Mapping[str, str]]
) -> None:
    async with world_of(tmp_path, format=form, keys=keys) as world:
        one = await accepted(world)
        a, b, far_a, far_b = world.parties()
        one.start(a, b)
        said = ramp(2 * SECOND + 3 * FRAME)
        world.talk(far_a, far_b, said, -said)
        world.media.run(10)
        one.stop()
        one.close()
        recording = await world.settled()
        left, right = await world.audio(recording)
        start = int(np.flatnonzero(np.abs(left) > 500)[0])
        assert start == int(np.flatnonzero(np.abs(right) > 500)[0])
        assert np.array_equal(left[start : start + len(said)], heard_through(said))
        assert np.array_equal(right[start : start + len(said)], heard_through(-said))
        assert recording.duration_s == len(left) / 8000
        assert recording.key_id == ("one" if keys else "")
        assert recording.checksum
        [kept] = world.kept()
        assert kept.stat().st_size == recording.stored_octets
        assert world.spooled() == []
        assert await world.told() == ["announced", "started", "stopped", "stored", "accessed"]
        assert {fact.call_id for fact in await world.facts()} == {"call-1"}


async def test_opus_is_kept_too(tmp_path: Path) -> None:
    async with world_of(tmp_path, format="opus", keys=[KEY]) as world:
        one = await accepted(world)
        a, b, far_a, far_b = world.parties()
        one.start(a, b)
        tone = (8000 * np.sin(np.arange(SECOND) * 0.4)).astype(np.int16)
        world.talk(far_a, far_b, tone, np.zeros(SECOND, np.int16))
        one.stop()
        left, right = await world.audio(await world.settled())
        assert len(left) >= SECOND
        assert np.abs(left).max() > 4000
        assert np.abs(right).max() < 500


@pytest.mark.parametrize(
    ("notice", "state", "facts"),
    [
        (Notice("refused"), State.REFUSED, ["announced", "refused"]),
        (Notice(reason="hangup"), State.FAILED, ["announced", "failed"]),
        (Notice(reason="error"), State.FAILED, ["announced", "failed"]),
        (Notice("whatever"), State.FAILED, ["announced", "failed"]),
    ],
)
async def test_nothing_is_kept_of_a_caller_who_was_not_told_or_has_refused(
    tmp_path: Path, notice: Notice, state: State, facts: list[str]
) -> None:
    async with world_of(tmp_path) as world:
        one = world.recordings.recorder.for_call(conversation())
        assert one is not None
        assert not await one.notice(notice)
        assert not await one.notice(Notice())  # the first answer counts
        a, b, far_a, far_b = world.parties()
        one.start(a, b)
        world.talk(far_a, far_b, ramp(SECOND), ramp(SECOND))
        one.stop()
        with pytest.raises(NotAnnounced):
            world.recordings.recorder.command("call-1", "start")
        one.close()
        recording = await world.settled(state)
        assert await world.told() == facts
        assert (world.spooled(), world.kept()) == ([], [])
        assert recording.path == ""


async def test_a_notice_that_cannot_be_played_costs_the_recording_and_not_the_call(
    tmp_path: Path,
) -> None:
    async def fails(uri: str, variables: Mapping[str, Json]) -> Outcome:
        raise VoiceXmlEvent("error.badfetch", "no such document")

    async with world_of(tmp_path) as world:
        one = world.recordings.recorder.for_call(conversation())
        assert one is not None
        assert not await one.notice(fails)
        recording = await world.settled("failed")
        assert recording.trouble == "the notice was not played: error.badfetch"


async def test_a_caller_who_is_gone_during_the_notice_leaves_no_open_record(tmp_path: Path) -> None:
    async def waits(uri: str, variables: Mapping[str, Json]) -> Outcome:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody ends it")

    async with world_of(tmp_path) as world:
        one = world.recordings.recorder.for_call(conversation())
        assert one is not None
        task = asyncio.create_task(one.notice(waits))
        await world.clock.settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        one.close()
        assert (await world.settled("failed")).trouble == "the caller has gone"


async def test_the_notice_is_in_the_callers_language_and_knows_the_key(tmp_path: Path) -> None:
    own = {"de": "https://h/hinweis.vxml", "it": "avviso.vxml"}
    async with world_of(tmp_path, notices=own, refuse_key="*") as world:
        for lang, name in (
            ("", "en.vxml"),
            ("fr-CA", "fr.vxml"),
            ("de-AT", "https://h/hinweis.vxml"),
            ("it", "avviso.vxml"),
        ):
            one = world.recordings.recorder.for_call(conversation(language=lang))
            assert one is not None
            notice = Notice()
            await one.notice(notice)
            [(uri, variables)] = notice.played
            assert uri.endswith(name)
            assert uri.startswith(("file:///", "https:"))
            assert variables == {"recording": {"refuse_key": "*"}}
            one.close()


async def test_the_last_words_of_who_waits_for_the_other_are_kept(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        one = await accepted(world)
        a, b, far_a, far_b = world.parties()
        for _ in range(4):  # the agent's network brings a lot at once, and he waits for long
            far_b.send(far_b.packet(bytes([0xFF]) * FRAME))
        one.start(a, b)
        said = ramp(SECOND)
        world.talk(far_a, far_b, said, np.zeros(SECOND, np.int16))
        world.media.run(2)
        one.stop()
        left, _ = await world.audio(await world.settled())
        start = int(np.flatnonzero(np.abs(left) > 500)[0])
        assert np.array_equal(left[start : start + len(said)], heard_through(said))


async def test_what_is_said_in_a_pause_is_silence_and_the_record_has_its_place(
    tmp_path: Path,
) -> None:
    async with world_of(tmp_path, mask_keys=True) as world:
        one = await accepted(world)
        a, b, far_a, far_b = world.parties()
        one.start(a, b)
        loud = np.full(SECOND, 5000, np.int16)
        world.talk(far_a, far_b, loud, loud)
        assert world.recordings.recorder.command("call-1", "pause").state == "paused"
        secret = np.full(SECOND, -9000, np.int16)
        world.talk(far_a, far_b, secret, secret)
        world.recordings.recorder.command("call-1", "resume")
        world.talk(far_a, far_b, loud, loud)
        one.stop()
        recording = await world.settled()
        left, right = await world.audio(recording)
        assert left.min() > -8000
        assert right.min() > -8000
        [(start, end)] = recording.pauses
        assert (start, end) == pytest.approx((1.0, 2.34), abs=0.05)
        assert not left[round(start * 8000) : round(end * 8000)].any()
        assert left[round(end * 8000) + FRAME :].max() > 4000
        assert recording.duration_s == 3.0
        assert (await world.told())[1:5] == ["started", "paused", "resumed", "stopped"]


async def test_an_agent_pauses_with_keys_that_come_in_time(tmp_path: Path) -> None:
    async with world_of(tmp_path, pause_keys="*7") as world:
        one = await accepted(world)
        a, b, _, _ = world.parties()
        one.start(a, b)
        world.media.run(5)
        one.key("*")
        world.clock.advance(4)
        one.key("7")
        assert world.recordings.recorder.command("call-1", "pause").state == "paused"
        for key in "1*7":
            one.key(key)
        with pytest.raises(IllegalTransition):
            world.recordings.recorder.command("call-1", "resume")
        for key in "*7":
            one.key(key)
        with pytest.raises(IllegalTransition):
            world.recordings.recorder.command("call-1", "pause")


async def test_keys_are_not_in_the_recording(tmp_path: Path) -> None:
    async with world_of(tmp_path, mask_keys=True) as world:
        one = await accepted(world)
        a, b, far_a, far_b = world.parties()
        one.start(a, b)
        sound = dialled("5")
        world.talk(far_a, far_b, sound, sound)
        world.media.run(5)
        one.stop()
        for side in await world.audio(await world.settled()):
            assert tone_milliseconds(side, "5") <= 20


async def test_each_bridge_of_a_caller_is_a_recording_after_one_notice(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        one = await accepted(world, queue="sales")
        for agent in ("alice", "bob"):
            a, b, _, _ = world.parties()
            one.agent(agent, {"ticket": "A-17"})
            one.start(a, b)
            world.media.run(30)
            one.stop()
            a.close()
            b.close()
            world.media.run()
            await until(lambda: world.recordings.recorder.active == 0)
            world.clock.advance(1)
        one.close()
        await world.settled()
        found = await world.recordings.library.search(Wanted(text="a-17"))
        assert [each.agent for each in found.recordings] == ["bob", "alice"]
        assert {fact.agent for fact in await world.facts()} == {"", "alice", "bob"}


async def test_a_rule_for_agents_is_decided_when_one_has_answered(tmp_path: Path) -> None:
    rules = [{"name": "alice", "agents": ["alice"]}]
    async with world_of(tmp_path, rules=rules) as world:
        one = await accepted(world, queue="sales")
        a, b, _, _ = world.parties()
        one.agent("bob")
        one.start(a, b)
        world.media.run(30)
        one.close()
        assert (await world.settled("failed")).trouble == "the conversation was not begun"
        assert world.spooled() == []


async def test_who_is_moved_to_another_queue_is_recorded_by_its_rules_and_not_asked_again(
    tmp_path: Path,
) -> None:
    rules = [{"name": "first", "queues": ["sales"]}, {"name": "second", "queues": ["late"]}]
    async with world_of(tmp_path, rules=rules) as world:
        one = await accepted(world, queue="sales")
        a, b, _, _ = world.parties()
        for queue in ("late", "nowhere"):
            one.moved(queue)
            assert await one.notice(Notice("refused"))
            one.agent("bob")
            one.start(a, b)
            world.media.run(30)
            one.stop()
        one.close()
        recording = await world.settled()
        assert (recording.queue, recording.rule) == ("late", "second")
        assert len((await world.recordings.library.search(Wanted())).recordings) == 1


@pytest.mark.parametrize("answer", ["accepted", "refused"])
async def test_what_a_caller_has_answered_holds_for_whomever_he_is_sent_on_to_in_his_call(
    tmp_path: Path, answer: str
) -> None:
    async with world_of(tmp_path) as world:
        call = conversation(queue="sales")
        again = Notice()
        for about in (call, replace(call, queue="", destination="bob")):
            one = world.recordings.recorder.for_call(about)
            assert one is not None
            notice = Notice(answer) if about is call else again
            assert await one.notice(notice) is (answer == "accepted")
            world.clock.advance(1)
        a, b, _, _ = world.parties()
        one.start(a, b)
        world.media.run(30)
        one.close()
        assert again.played == []
        if answer == "accepted":
            assert (await world.settled()).destination == "bob"
        else:
            await world.settled("refused")
            assert await world.told() == ["announced", "refused"], "once"


async def test_who_could_not_be_told_is_told_when_he_is_sent_on(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        call = conversation()
        for notice in (Notice("whatever"), Notice()):
            one = world.recordings.recorder.for_call(call)
            assert one is not None
            told = await one.notice(notice)
            one.close()
        assert told


async def test_the_api_reaches_a_caller_who_came_back_from_where_he_was_sent_on_to(
    tmp_path: Path,
) -> None:
    async with world_of(tmp_path) as world:
        recorder = world.recordings.recorder
        queued = await accepted(world, queue="sales")
        a, b, _, _ = world.parties()
        queued.start(a, b)
        queued.stop()
        onwards = recorder.for_call(conversation(destination="+331"))
        assert onwards is not None
        with pytest.raises(NotAnnounced):
            recorder.command("call-1", "start")
        onwards.close()
        queued.start(a, b)
        assert recorder.command("call-1", "pause").state == "paused"
        queued.close()
        with pytest.raises(NoConversation):
            recorder.command("call-1", "resume")
        assert recorder._running == {}


async def test_what_is_recorded_on_request_is_told_before_and_begins_when_it_is_asked_for(
    tmp_path: Path,
) -> None:
    async with world_of(tmp_path, rules=[{"name": "asked", "on_request": True}]) as world:
        command = world.recordings.recorder.command
        with pytest.raises(NoConversation):
            command("call-1", "start")
        one = await accepted(world)
        with pytest.raises(NoConversation):
            command("call-1", "start")
        a, b, _, _ = world.parties()
        one.start(a, b)
        world.media.run(30)
        with pytest.raises(IllegalTransition):
            command("call-1", "stop")
        first = command("call-1", "start")
        with pytest.raises(IllegalTransition):
            command("call-1", "start")
        world.media.run(30)
        command("call-1", "stop")
        second = command("call-1", "start")
        assert first.id != second.id
        world.media.run(10)
        one.close()
        one.close()
        await world.settled()
        found = (await world.recordings.library.search(Wanted())).recordings
        assert sorted(each.duration_s for each in found) == pytest.approx([0.2, 0.6], abs=0.04)


async def test_a_bridge_of_no_time_leaves_no_audio(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        one = await accepted(world)
        a, b, _, _ = world.parties()
        one.start(a, b)
        one.close()
        assert (await world.settled("failed")).trouble == "nothing was recorded"
        await until(lambda: world.spooled() == [])


async def test_a_disk_that_fails_ends_the_recording_with_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world_of(tmp_path) as world:
        one = await accepted(world)
        a, b, _, _ = world.parties()
        one.start(a, b)
        world.media.run(60)
        await until(lambda: world.spooled() and world.spooled()[0].stat().st_size > 32000)

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("os.pwrite", full)
            world.media.run(60)
            recording = await world.settled()
        assert recording.interrupted
        assert recording.trouble == "No space left on device"
        assert recording.duration_s == 1.0
        one.close()


async def test_a_recording_that_cannot_be_written_down_keeps_no_process_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Retention, *_: object) -> None:
        raise OverflowError("date value out of range")

    async with world_of(tmp_path) as world:
        one = await accepted(world)
        a, b, _, _ = world.parties()
        one.start(a, b)
        world.media.run(30)
        monkeypatch.setattr(Retention, "end", fails)
        one.close()
        recorder = world.recordings.recorder
        try:
            await until(lambda: recorder.active == 0)
        finally:
            # Or this test would be what it keeps.
            recorder._ending.clear()


async def test_what_is_running_when_the_server_stops_is_ended_and_kept(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        one = await accepted(world)
        a, b, _, _ = world.parties()
        one.start(a, b)
        world.media.run(40)
    async with world_of(tmp_path) as world:
        recording = await world.settled()
        assert recording.duration_s == pytest.approx(0.8, abs=0.02)
        assert not recording.interrupted
