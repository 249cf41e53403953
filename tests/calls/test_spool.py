"""Recordings on disk: what is there while they are made, after them, and after a crash."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.media.world import sine
from vxml_server.audio import decode, encode_ulaw, rms_dbfs
from vxml_server.calls import Spool
from vxml_server.calls.spool import MOST_WAITING, RECOVERED, SpooledAudio
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent

TALK = sine(2.0)


def made(folder: Path, worker: str = "main") -> Spool:
    return Spool(folder, worker, VirtualClock())


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = made(tmp_path)
    assert spool.start() == []
    yield spool
    spool.stop()


def say(file: SpooledAudio, pcm: NDArray[np.int16]) -> None:
    for start in range(0, len(pcm), 160):
        file.append(pcm[start : start + 160])


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def written(spool: Spool) -> None:
    """Waits for the thread."""
    await asyncio.get_running_loop().run_in_executor(spool.writer, lambda: None)


async def test_while_it_is_made_the_file_plays_and_lacks_less_than_a_second(spool: Spool) -> None:
    file = spool.of_call("a").record("audio/x-wav")
    for seconds in range(2, 7, 2):
        say(file, TALK)
        await written(spool)
        audio = decode(file.path.read_bytes())
        assert seconds - 0.4 <= audio.duration <= seconds
        assert rms_dbfs(audio.pcm) == pytest.approx(rms_dbfs(TALK), abs=0.1)


@pytest.mark.parametrize("media_type", ["audio/x-wav", "audio/wav", "audio/basic"])
async def test_the_end_is_cut_where_it_is_told(spool: Spool, media_type: str) -> None:
    file = spool.of_call("a").record(media_type)
    say(file, TALK)
    audio = await file.finish(8000)
    assert (audio.media_type, audio.duration) == (media_type, 1.0)
    assert file.path.read_bytes() == audio.data
    told = "audio/basic" if media_type == "audio/basic" else ""
    assert np.array_equal(encode_ulaw(decode(audio.data, told).pcm), encode_ulaw(TALK[:8000]))


async def test_recordings_are_nobody_elses_and_go_when_the_call_is_over(
    spool: Spool, tmp_path: Path
) -> None:
    kept = spool.of_call("a")
    files = [kept.record("audio/basic"), kept.record("audio/x-alaw-basic")]
    for file in files:
        say(file, TALK)
    await files[0].finish(8000)
    await written(spool)
    assert [file.path.name.partition("-")[2] for file in files] == ["a-1.ulaw", "a-2.alaw"]
    assert {file.path.stat().st_mode & 0o777 for file in files} == {0o600}
    assert spool.own.stat().st_mode & 0o777 == 0o700
    kept.close()
    await written(spool)
    assert left_in(spool.own) == []
    spool.stop()
    assert left_in(tmp_path) == []


async def test_a_recording_without_speech_is_no_file(spool: Spool) -> None:
    kept = spool.of_call("a")
    kept.record("audio/x-wav")
    kept.close()
    await written(spool)
    assert left_in(spool.own) == []


async def test_an_unknown_type_is_refused(spool: Spool) -> None:
    with pytest.raises(VoiceXmlEvent, match=r"error\.unsupported\.format"):
        spool.of_call("a").record("audio/mp3")


async def test_what_a_crashed_process_left_is_kept_for_the_operator(tmp_path: Path) -> None:
    crashed = made(tmp_path)
    crashed.start()
    file = crashed.of_call("lost").record("audio/x-wav")
    say(file, TALK)
    await written(crashed)
    # The kernel lets go of the locks of a process that dies.
    crashed._own.let_go()

    again = made(tmp_path)
    [recovered] = again.start()
    assert recovered == tmp_path / RECOVERED / file.path.name
    assert decode(recovered.read_bytes()).duration == pytest.approx(2.0, abs=0.4)
    assert not file.path.exists()
    again.stop()
    # Told once; kept until the operator takes it.
    third = made(tmp_path)
    assert third.start() == []
    third.stop()
    assert recovered.exists()
    crashed.writer.shutdown()


async def test_processes_that_run_share_a_folder(spool: Spool, tmp_path: Path) -> None:
    file = spool.of_call("a").record("audio/x-wav")
    say(file, TALK)
    await written(spool)
    other = made(tmp_path, "other")
    assert other.start() == []
    other.stop()
    assert file.path.exists()


async def test_a_disk_that_is_full_is_error_noresource(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    file = spool.of_call("a").record("audio/x-wav")
    say(file, TALK[:4800])
    await written(spool)
    monkeypatch.setattr(os, "pwrite", full)
    say(file, TALK[:4800])
    await written(spool)
    with pytest.raises(VoiceXmlEvent, match="No space left") as caught:
        say(file, TALK)
    assert caught.value.name == "error.noresource"
    with pytest.raises(VoiceXmlEvent):
        await file.finish(8000)


async def test_a_disk_that_does_not_keep_up_takes_no_memory(spool: Spool) -> None:
    stuck = asyncio.Event()
    loop = asyncio.get_running_loop()
    spool.writer.submit(asyncio.run_coroutine_threadsafe(stuck.wait(), loop).result)
    file = spool.of_call("a").record("audio/x-wav")
    seconds = 0
    with pytest.raises(VoiceXmlEvent, match="does not keep up"):
        while seconds < 2 * MOST_WAITING:
            say(file, TALK)
            seconds += 2
    assert seconds <= MOST_WAITING + 4
    stuck.set()
    await written(spool)


def test_a_folder_that_cannot_be_made_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    spool = made(tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        spool.start()
    spool.stop()
