"""What has happened is written, once and in order, however long the database is away."""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.recording.world import KEY, Notice, World, accepted, conversation, world_of
from tests.waiting import until
from vxml_server.clock import VirtualClock
from vxml_server.recording import CannotRecord, TooLate, keyring
from vxml_server.recording.journal import Journal
from vxml_server.recording.ledger import Ledger
from vxml_server.settings import RecordingSettings
from vxml_server.store import StoreError


async def test_a_database_that_is_away_is_tried_again_and_the_order_stays() -> None:
    clock, done = VirtualClock(), list[str]()
    journal = Journal(clock)
    journal.start()
    failures = 3

    async def first() -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreError("away")
        done.append("first")

    async def too_late() -> None:
        raise TooLate("x")

    async def defect() -> None:
        raise RuntimeError("a defect")

    async def last() -> None:
        done.append("last")

    for write in (first, too_late, defect, last):
        journal.put(write)
    await clock.elapse(2.5)
    assert done == []
    await clock.elapse(1)
    await journal.settled()
    assert done == ["first", "last"]
    await journal.close()


def _has_broken(world: World, broken: list[str], times: int) -> bool:
    return len(broken) == times and world.clock.next_due() == pytest.approx(1)


async def test_a_change_whose_first_writing_may_have_succeeded_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks when the transaction is committed, and before we are told."""
    async with world_of(tmp_path) as world:
        broken: list[str] = []
        for name in ("announce", "write"):
            real = getattr(Ledger, name)

            async def breaks(self: Ledger, *arguments: object, real: object = real) -> None:
                assert callable(real)
                await real(self, *arguments)
                if len(broken) < 3:
                    broken.append("")
                    raise StoreError("connection reset")

            monkeypatch.setattr(Ledger, name, breaks)
        one = await accepted(world)
        a, b, _, _ = world.parties()
        one.start(a, b)
        world.media.run(30)
        one.close()
        for times in (1, 2, 3):
            await until(partial(_has_broken, world, broken, times))
            world.clock.advance(1)
        await world.settled()
        assert await world.told() == ["announced", "started", "stopped", "stored"]


async def test_the_conversation_goes_on_while_the_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: Ledger, *_: object) -> None:
        raise StoreError("away")

    async with world_of(tmp_path) as world:
        one = world.recordings.recorder.for_call(conversation())
        assert one is not None
        with monkeypatch.context() as patch:
            for name in ("announce", "write"):
                patch.setattr(Ledger, name, away)
            assert await one.notice(Notice())
            a, b, _, _ = world.parties()
            one.start(a, b)
            world.media.run(30)
            one.close()
            await until(lambda: world.clock.next_due() == pytest.approx(1))
        world.clock.advance(1)
        assert (await world.settled()).duration_s == pytest.approx(0.6, abs=0.03)


def test_keys_come_from_the_settings_or_from_files_as_they_are_or_in_base64(
    tmp_path: Path,
) -> None:
    octets = bytes(range(32))
    (tmp_path / "raw").write_bytes(octets)
    (tmp_path / "text").write_bytes(b64encode(octets) + b"\n")
    files = [{"id": name, "file": str(tmp_path / name)} for name in ("raw", "text")]
    ring = keyring(RecordingSettings.model_validate({"keys": [KEY, *files]}))
    assert ring.first == "one"
    assert list(ring.keys.values()) == [octets] * 3
    assert keyring(RecordingSettings()).first == ""


@pytest.mark.parametrize("content", [b"", b"short", bytes(31), bytes(33), b"=" * 44])
def test_a_file_without_a_key_is_told_by_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    keys = [{"id": "mine", "file": str(tmp_path / "key")}]
    with pytest.raises(CannotRecord, match="mine"):
        keyring(RecordingSettings.model_validate({"keys": keys}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"keys": [{"id": "a"}]},
        {"keys": [{"id": "a", "key": "c2hvcnQ="}]},
        {"keys": [KEY, KEY]},
        {"rules": [{"name": "a"}, {"name": "a"}]},
        {"rules": [{"name": "a", "percent": 101}]},
        {"rules": [{"name": ""}]},
        {"refuse_key": "12"},
        {"pause_keys": "x"},
        {"retention": {"sales": 0}},
        {"retention": {"sales": 36_501}},
        {"retention_days": 1e7},
        {"retention_days": float("inf")},
        {"retention_days": float("nan")},
        {"format": "mp3"},
        {"notices": {"fr": "ftp://h/x"}},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as error:
        RecordingSettings.model_validate(wrong)
    assert KEY["key"] not in str(error.value).replace("input_value", "")
