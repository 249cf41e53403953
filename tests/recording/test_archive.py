"""What becomes of recordings behind the bridge: away, over a crash, with keys, until their time."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from structlog.testing import capture_logs

from tests.databases import BOTH
from tests.media.world import ramp
from tests.recording.world import KEY, SECOND, World, accepted, recorded, target_is_away, world_of
from tests.waiting import until
from vxml_server.recording import (
    EnvelopeError,
    Held,
    NotStored,
    TooLate,
    Wanted,
    decrypt,
    keyring,
)
from vxml_server.recording.journal import Journal
from vxml_server.recording.spool import Spool, samples_of
from vxml_server.recording.target import Target, TargetError, Targets, _name
from vxml_server.settings import RecordingSettings

pytestmark = BOTH

OLD = {"id": "old", "key": "//////////////////////////////////////////8="}


async def crash(world: World, seconds: float = 2.0) -> None:
    """A process that dies in the middle: nothing is closed, and its lock is gone."""
    one = await accepted(world)
    a, b, far_a, far_b = world.parties()
    one.start(a, b)
    world.talk(far_a, far_b, ramp(round(seconds * SECOND)), ramp(round(seconds * SECOND)))
    await world.recordings.recorder._shared.journal.settled()
    # 16000 octets are half a second
    await until(lambda: world.spooled() and world.spooled()[0].stat().st_size > seconds * 31_000)


@pytest.mark.parametrize("keys", [[], [KEY]], ids=["plain", "encrypted"])
@pytest.mark.parametrize("torn", [0, 1, 7001])
async def test_what_a_crash_has_left_is_brought_to_its_end_by_the_next_process(
    tmp_path: Path, keys: list[dict[str, str]], torn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world_of(tmp_path, keys=keys) as world:
        await crash(world)
        [path] = world.spooled()
        octets = path.read_bytes()
        row = (await world.recordings.library.search(Wanted())).recordings[0]
        left = path.parent
        # From now on the database hears nothing of it.
        monkeypatch.setattr(Journal, "put", lambda self, write: None)
    monkeypatch.undo()
    # As the kill left it: the folder that nobody holds, the row that says "recording".
    for found in world.spooled():
        found.unlink()
    left.mkdir(parents=True, exist_ok=True)
    path.write_bytes(octets[: len(octets) - torn])
    async with world_of(tmp_path, keys=keys) as world:
        recording = await world.settled()
        assert recording.id == row.id
        assert recording.interrupted
        assert 1.0 <= recording.duration_s <= 2.0
        assert recording.duration_s == pytest.approx(2.0, abs=0.51 if torn else 0.01)
        samples, _ = await world.audio(recording)
        assert len(samples) == pytest.approx(recording.duration_s * 8000, abs=8)
        await until(lambda: world.spooled() == [])
        assert "interrupted" in await world.told()


async def test_what_a_worker_has_taken_over_stays_his_when_its_first_one_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target_is_away(monkeypatch)
    async with world_of(tmp_path) as main:
        one = await accepted(main)
        a, b, far_a, far_b = main.parties()
        one.start(a, b)
        main.talk(far_a, far_b, ramp(SECOND), ramp(SECOND))
        one.close()
        assert (await main.settled("stopped")).worker == "main"
    async with world_of(tmp_path, worker="other") as other:
        assert (await other.settled("stopped")).worker == "other"
        async with world_of(tmp_path, clock=other.clock) as main:
            assert (await main.settled("stopped")).worker == "other"
        await until(lambda: other.clock.next_due() == pytest.approx(1))
        monkeypatch.undo()
        other.clock.advance(1)
        stored = await other.settled()
        assert stored.trouble == ""
        assert len((await other.audio(stored))[0]) == SECOND
        assert await other.told() == [
            *("announced", "started", "stopped", "taken_over", "stored", "accessed")
        ]


async def test_a_record_whose_process_is_gone_with_its_disk_is_closed(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        await accepted(world)
        await world.recordings.recorder._shared.journal.settled()
        world.recordings.recorder._running.clear()
    async with world_of(tmp_path) as world:
        assert (await world.settled("failed")).trouble == "lost with the process that made it"


async def test_a_file_that_no_record_knows_is_set_aside_and_not_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "main-abcdefgh"
    folder.mkdir(parents=True)
    (folder / "unknown.wav").write_bytes(b"RIFF")
    (folder / "unknown.part").write_bytes(b"")
    async with world_of(tmp_path) as world:
        assert [path.relative_to(tmp_path) for path in world.spooled()] == [
            Path("spool/orphans/unknown.wav")
        ]
        assert not folder.exists()


def _has_tried(world: World, attempts: list[float], number: int, delay: float) -> bool:
    """Whether that is the last attempt, and the next one comes after so many seconds."""
    return len(attempts) == number and world.clock.next_due() == pytest.approx(delay)


async def test_a_target_that_is_away_is_tried_again_and_nothing_leaves_the_spool_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world_of(tmp_path) as world:
        attempts: list[float] = []
        put = Target.put

        def away(self: Target, *arguments: Any) -> None:
            attempts.append(world.clock.monotonic())
            if len(attempts) < 5:
                raise TargetError("away")
            put(self, *arguments)

        monkeypatch.setattr(Target, "put", away)
        one = await accepted(world)
        a, b, far_a, far_b = world.parties()
        one.start(a, b)
        world.talk(far_a, far_b, ramp(SECOND), ramp(SECOND))
        one.stop()
        for number, delay in enumerate((1, 2, 4, 8), 1):
            await until(partial(_has_tried, world, attempts, number, delay))
            assert (await world.settled("stopped")).path == ""
            assert any(path.suffix == ".wav" for path in world.spooled())
            world.clock.advance(delay)
        await world.settled()
        assert np.diff(attempts) == pytest.approx([1, 2, 4, 8])
        await until(lambda: world.spooled() == [])


@pytest.mark.parametrize("damage", ["shorter", "changed"])
def test_a_target_that_has_something_else_than_it_was_given_is_not_believed(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"audio")
    target = Target(str(tmp_path / "target"))

    def copies(source: str, place: str) -> None:
        Path(place).write_bytes(b"audi" if damage == "shorter" else b"Audio")

    monkeypatch.setattr(target._files, "put_file", copies)
    checksum = "6ed8919ce20490a5e3ad8630a4fab69475297abd07db73918dd5f36fcafbab14"
    with pytest.raises(TargetError, match="arrived"):
        target.put(source, "a/b", 5, checksum)


def test_a_target_in_memory_is_written_read_and_emptied(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"")
    target = Target("memory://recordings")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    target.put(source, "2026/01/x.flac", 0, empty)
    with target.open("2026/01/x.flac") as file:
        assert file.read() == b""
    for _ in range(2):
        target.remove("2026/01/x.flac")
    with pytest.raises(TargetError):
        target.open("2026/01/x.flac")
    with pytest.raises(TargetError, match=r"x\.flac"):
        target.put(source, "2026/01/x.flac", 5, empty)


@pytest.mark.parametrize("keys", [[], [KEY]], ids=["plain", "encrypted"])
def test_what_one_party_has_said_is_a_whole_file_of_one_channel(
    tmp_path: Path, keys: list[dict[str, str]]
) -> None:
    settings = RecordingSettings.model_validate({"keys": keys})
    spool = Spool(tmp_path / "spool", "main", keyring(settings))
    said = ramp(12_345)
    with spool.opening():
        spool.put("one", said.astype("<i2").tobytes())
    path = spool.find("one")
    assert path is not None
    found = samples_of(path, spool.keyring)
    assert (found.channels, found.seconds()) == (1, 12_345 / 8000)
    if keys:
        decrypt(path, tmp_path / "one.wav", spool.keyring)
        path = tmp_path / "one.wav"
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == 8000
    assert np.array_equal(samples, said)


def test_a_disk_that_fails_in_the_middle_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool", "main", keyring(RecordingSettings()))

    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with spool.opening():
        monkeypatch.setattr("os.fsync", fails)
        with pytest.raises(OSError, match="Input/output"):
            spool.put("one", b"\0" * 8000)
        assert list(spool.own.iterdir()) == []


def test_a_target_that_nobody_knows_is_told_without_its_password() -> None:
    with pytest.raises(TargetError) as error:
        Target("nosuch://me:secret@host/folder")
    assert "secret" not in str(error.value)


async def test_recordings_are_deleted_when_their_time_is_over_but_not_those_on_hold(
    tmp_path: Path,
) -> None:
    async with world_of(tmp_path, retention_days=60, retention={"short": 7}) as world:
        library, archive = world.recordings.library, world.recordings.archive
        usual = await recorded(world)
        short = await recorded(world, queue="short", call_id="call-2")
        held = await recorded(world, queue="short", call_id="call-3")
        await library.hold(held.id, "eve", "case 12", held=True)
        assert usual.ended_at is not None
        assert usual.expires_at == usual.ended_at + timedelta(days=60)
        world.clock.advance(8 * 86400)
        await archive.sweep()
        states = {one.id: one.state for one in (await library.search(Wanted())).recordings}
        assert states == {usual.id: "stored", short.id: "deleted", held.id: "stored"}
        world.clock.advance(60 * 86400)
        await archive.sweep()
        assert [path.name.partition(".")[0] for path in world.kept()] == [held.id]
        with pytest.raises(Held):
            await library.delete(held.id, "mallory", "")
        await library.hold(held.id, "eve", "settled", held=False)
        await archive.sweep()
        assert world.kept() == []
        told = [fact for fact in await world.facts() if fact.data["recording"] == held.id]
        assert [fact.name.partition(".")[2] for fact in told[-5:]] == [
            *("stored", "held", "released", "deleted", "erased")
        ]
        assert told[-4].data["by"] == "eve"
        assert told[-4].data["reason"] == "case 12"
        assert told[-2].data["by"] == "retention"


async def test_a_hold_that_is_set_while_the_two_talk_is_kept_whatever_happens_to_the_recording(
    tmp_path: Path,
) -> None:
    async with world_of(tmp_path, retention_days=1) as world:
        library = world.recordings.library
        one = await accepted(world)
        a, b, far_a, far_b = world.parties()
        one.start(a, b)
        running = await world.settled("recording")
        held = await library.hold(running.id, "eve", "case 12", held=True)
        assert (held.held, held.state) == (True, "recording")
        one.pause()
        await world.settled("paused")
        one.resume()
        await world.settled("recording")
        await library.hold(running.id, "eve", "case 12", held=True)
        world.talk(far_a, far_b, ramp(SECOND), ramp(SECOND))
        one.close()
        stored = await world.settled()
        assert stored.held
        assert stored.duration_s == pytest.approx(1, abs=0.05)
        with pytest.raises(Held):
            await library.delete(stored.id, "mallory", "")
        world.clock.advance(2 * 86400)
        await world.recordings.archive.sweep()
        assert len(world.kept()) == 1
        assert await world.told() == [
            *("announced", "started", "held", "paused", "resumed", "held", "stopped", "stored")
        ]


@pytest.mark.parametrize("held", [True, False])
async def test_who_read_a_recording_before_it_was_held_does_not_delete_it(
    tmp_path: Path, held: bool
) -> None:
    async with world_of(tmp_path) as world:
        library, archive = world.recordings.library, world.recordings.archive
        read = await recorded(world)
        await library.hold(read.id, "eve", "case 12", held=True)
        if held:
            with pytest.raises(Held):
                await archive.delete(read, {"by": "mallory"})
            assert (await library.get(read.id)).state == "stored"
            return
        # Held and released in the meantime: nothing keeps it.
        await library.hold(read.id, "eve", "case 12", held=False)
        assert (await archive.delete(read, {"by": "bob"})).state == "deleted"
        with pytest.raises(NotStored):
            await library.hold(read.id, "eve", "case 13", held=True)
        with pytest.raises(TooLate):
            await archive.ledger.hold(read, True, world.clock.utc_now(), {})
        assert not (await library.get(read.id)).held


async def test_the_sweeper_looks_by_itself(tmp_path: Path) -> None:
    async with world_of(tmp_path, retention_days=1) as world:
        await recorded(world)
        for _ in range(26):
            await until(lambda: world.clock.next_due() is not None)
            world.clock.advance(3600)
            await world.clock.settle()
        await world.settled("deleted")


async def test_what_is_deleted_is_gone_for_everybody_though_the_target_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world_of(tmp_path) as world:
        recording = await recorded(world)
        with monkeypatch.context() as patch:
            target_is_away(patch, "remove")
            deleted = await world.recordings.library.delete(recording.id, "bob", "asked for")
            assert deleted.state == "deleted"
        with pytest.raises(NotStored):
            await world.recordings.library.audio(recording.id, "bob")
        assert len(world.kept()) == 1
        await world.recordings.archive.sweep()
        assert world.kept() == []
        assert (await world.told())[-2:] == ["deleted", "erased"]


async def test_what_is_in_a_folder_that_was_the_target_is_heard_and_erased_there(
    tmp_path: Path,
) -> None:
    async with world_of(tmp_path, retention_days=1) as world:
        made = [await recorded(world, call_id=f"call-{number}") for number in range(2)]
    async with world_of(tmp_path, target=str(tmp_path / "elsewhere")) as world:
        for one in made:
            assert len((await world.audio(one))[0]) == SECOND
        deleted = await world.recordings.library.delete(made[0].id, "eve", "asked for")
        assert deleted.path == ""
        assert [path.name.partition(".")[0] for path in world.kept()] == [made[1].id]
        world.clock.advance(2 * 86400)
        await world.recordings.archive.sweep()
        assert world.kept() == []


async def test_what_is_at_a_target_that_the_settings_do_not_know_is_not_said_to_be_erased(
    tmp_path: Path,
) -> None:
    old = "memory://of-old"
    async with world_of(tmp_path, target=old) as world:
        one = await recorded(world)
        assert one.target == old
    async with world_of(tmp_path) as world:
        with pytest.raises(TargetError, match=f"do not know the target '{old}'"):
            await world.recordings.library.audio(one.id, "eve")
        deleted = await world.recordings.library.delete(one.id, "eve", "asked for")
        assert (deleted.state, deleted.path) == ("deleted", one.path)
        with capture_logs() as logs:
            await world.recordings.archive.sweep()
        [trouble] = [line for line in logs if line["log_level"] == "error"]
        assert trouble["event"] == "deleted recordings are still there"
        assert (trouble["target"], trouble["recordings"]) == (old, 1)
        assert (await world.told())[-1] == "deleted"
        with Target(old).open(one.path) as file:
            assert len(file.read()) == one.octets
    async with world_of(tmp_path, former_targets=[{"target": old}]) as world:
        await world.recordings.archive.sweep()
        assert (await world.told())[-1] == "erased"
        with pytest.raises(TargetError):
            Target(old).open(one.path)


async def test_a_disk_that_is_not_mounted_is_not_taken_for_one_from_which_all_is_erased(
    tmp_path: Path,
) -> None:
    async with world_of(tmp_path) as world:
        made = [await recorded(world, call_id=f"call-{number}") for number in range(2)]
        disk = (tmp_path / "target").rename(tmp_path / "unmounted")
        for is_there in (False, True):
            if is_there:
                (tmp_path / "target").mkdir()
            await world.recordings.library.delete(made[is_there].id, "eve", "asked for")
            await world.recordings.archive.sweep()
        assert "erased" not in await world.told()
        disk.replace(tmp_path / "target")
        # One that somebody has removed by hand is gone.
        world.kept()[0].unlink()
        await world.recordings.archive.sweep()
        assert (await world.told())[-2:] == ["erased", "erased"]
        assert world.kept() == []


async def test_one_file_that_cannot_be_erased_keeps_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world_of(tmp_path) as world:
        made = [await recorded(world, call_id=f"call-{number}") for number in range(3)]
        locked, *others = sorted(made, key=lambda one: one.id)
        remove = Target.remove
        is_away = True

        def refuses(self: Target, path: str) -> None:
            if is_away or locked.id in path:
                raise TargetError("AccessDenied: object lock")
            remove(self, path)

        monkeypatch.setattr(Target, "remove", refuses)
        for one in made:
            await world.recordings.library.delete(one.id, "eve", "asked for")
        ledger = world.recordings.archive.ledger
        assert [one.id for one in await ledger.not_erased(limit=1)] == [locked.id]
        left = await ledger.not_erased(after=locked.id)
        assert [one.id for one in left] == [one.id for one in others]
        is_away = False
        with capture_logs() as logs:
            await world.recordings.archive.sweep()
        assert [one.id for one in await ledger.not_erased()] == [locked.id]
        assert len(world.kept()) == 1
        assert [line["recordings"] for line in logs if line["log_level"] == "error"] == [1]


def test_a_target_is_known_by_its_url_without_the_password() -> None:
    assert _name("ftp://me:secret@host:21/a@b/c") == "ftp://me@host:21/a@b/c"
    for url in ("s3://bucket/a@b:c", "/srv/re:cord@ings", "memory://x", "ftp://me@host"):
        assert _name(url) == url
    here = Target("memory://here")
    targets = Targets(here, [Target("memory://there")])
    assert targets.of("memory://here") is here
    assert targets.of("memory://there").name == "memory://there"
    for unknown in ("memory://elsewhere", ""):
        with pytest.raises(TargetError, match="do not know"):
            targets.of(unknown)


async def test_keys_are_rotated_and_old_recordings_are_still_heard(tmp_path: Path) -> None:
    async with world_of(tmp_path, keys=[OLD]) as world:
        before = await recorded(world)
    async with world_of(tmp_path, keys=[KEY, OLD]) as world:
        after = await recorded(world, call_id="call-2")
        assert (before.key_id, after.key_id) == ("old", "one")
        for recording in (before, after):
            assert len((await world.audio(recording))[0]) == SECOND
    async with world_of(tmp_path, keys=[KEY]) as world:
        with pytest.raises(EnvelopeError, match="old"):
            await world.recordings.library.audio(before.id, "eve")


async def test_audio_that_was_tampered_with_is_refused_and_told(tmp_path: Path) -> None:
    async with world_of(tmp_path, keys=[KEY], format="wav") as world:
        recording = await recorded(world, seconds=4)
        [path] = world.kept()
        octets = bytearray(path.read_bytes())
        octets[100_000] ^= 1
        path.write_bytes(octets)
        first = await world.recordings.library.audio(recording.id, "eve", 0, 60_000)
        assert len(b"".join([piece async for piece in first.pieces])) == 60_000
        with pytest.raises(EnvelopeError):
            await world.recordings.library.audio(recording.id, "eve", 90_000, 90_001)
        assert (await world.told())[-1] == "tampered"


@pytest.mark.parametrize(
    ("caller", "asked", "is_found"),
    [
        ("Alice.Smith", "alice.SMITH", True),
        ("Alice.Smith", "lice.s", True),
        ("Alice.Smith", "alice_smith", False),
        ("50%", "0%", True),
        ("500", "50%", False),
        ("Élise", "Élise", True),
    ],
)
async def test_a_number_is_found_however_its_letters_are_written(
    tmp_path: Path, caller: str, asked: str, is_found: bool
) -> None:
    async with world_of(tmp_path) as world:
        await accepted(world, caller=caller)
        await world.settled("announced")
        found = await world.recordings.library.search(Wanted(number=asked))
        assert len(found.recordings) == is_found


async def test_before_anybody_hears_a_recording_the_log_says_who(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        recording = await recorded(world)
        await world.recordings.library.audio(recording.id, "eve", 10, 20)
        fact = (await world.facts())[-1]
        assert (fact.name, fact.call_id) == ("recording.accessed", "call-1")
        assert {**fact.data, "recording": ""} == {
            "recording": "",
            "by": "eve",
            "start": 10,
            "end": 20,
            "length": recording.octets,
        }


async def test_a_file_of_the_target_is_decrypted_by_itself(tmp_path: Path) -> None:
    settings = RecordingSettings.model_validate({"keys": [KEY]})
    async with world_of(tmp_path, keys=[KEY]) as world:
        recording = await recorded(world)
        [path] = world.kept()
        out = tmp_path / "out.flac"
        assert decrypt(path, out, keyring(settings)) == recording.octets == out.stat().st_size
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(EnvelopeError):
            decrypt(path, tmp_path / "other.flac", keyring(settings))
        assert not (tmp_path / "other.flac").exists()
