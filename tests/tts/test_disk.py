"""Speech in a folder: what is found again, what is not, and how much there is of it."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import numpy as np
import pytest

from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.tts import CachingSynthesizer, Chunk, Mark, Speech, SpeechRequest, speech_of
from vxml_server.tts.disk import STALE, VERSION, DiskCache
from vxml_server.tts.key import key_of

KEYS = [f"{number:064x}" for number in range(20)]


def speech(samples: int = 1000, value: int = 5) -> Speech:
    pcm = np.full(samples, value, np.int16)
    return Speech(pcm, (Mark("début", 0.0625),), ("a warning",))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def disk(tmp_path: Path, clock: VirtualClock) -> DiskCache:
    return DiskCache(tmp_path / "cache", clock, max_bytes=10_000)


def total(disk: DiskCache) -> int:
    return sum(path.stat().st_size for path in disk.folder.rglob("*.speech"))


def test_what_was_written_is_read_again_by_another_process(disk: DiskCache) -> None:
    assert disk.write(KEYS[0], speech())
    again = DiskCache(disk.folder, VirtualClock()).read(KEYS[0])
    assert again is not None
    assert np.array_equal(again.pcm, speech().pcm)
    assert (again.marks, again.warnings) == ((Mark("début", 0.0625),), ("a warning",))


def test_what_was_never_written_is_not_there(disk: DiskCache) -> None:
    assert disk.read(KEYS[0]) is None
    assert disk.errors == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:40],
        lambda data: data + b"\0",
        lambda data: data[:-100] + b"\1" + data[-99:],
        lambda data: data.replace(b'"version": %d' % VERSION, b'"version": 9'),
        lambda data: b"\n" * 100,
        lambda data: b"GIF89a" + bytes(1000),
    ],
)
def test_a_damaged_file_counts_as_not_there_and_is_replaced(
    disk: DiskCache, damage: Callable[[bytes], bytes]
) -> None:
    disk.write(KEYS[0], speech())
    path = disk.path(KEYS[0])
    path.write_bytes(damage(path.read_bytes()))
    assert disk.read(KEYS[0]) is None
    assert not path.exists()
    disk.write(KEYS[0], speech())
    assert disk.read(KEYS[0]) is not None


def test_a_file_under_a_wrong_name_is_not_believed(disk: DiskCache) -> None:
    disk.write(KEYS[0], speech())
    disk.path(KEYS[0]).rename(disk.path(KEYS[1]))
    assert disk.read(KEYS[1]) is None


def test_the_least_recently_used_go_when_the_folder_is_full(
    disk: DiskCache, clock: VirtualClock
) -> None:
    for key in KEYS[:4]:
        disk.write(key, speech())
        clock.advance(60)
    assert disk.read(KEYS[0]) is not None
    clock.advance(60)
    for key in KEYS[4:8]:
        disk.write(key, speech())
        clock.advance(60)
    assert total(disk) <= 10_000
    there = {key for key in KEYS if disk.path(key).exists()}
    assert KEYS[7] in there
    assert KEYS[1] not in there
    assert KEYS[0] not in there or KEYS[2] not in there


def test_what_another_process_wrote_counts_too(disk: DiskCache, clock: VirtualClock) -> None:
    other = DiskCache(disk.folder, clock, max_bytes=10_000)
    for number, key in enumerate(KEYS):
        (disk if number % 2 else other).write(key, speech())
        clock.advance(1)
    for key in KEYS[:5]:
        disk.write(key, speech())
        other.write(key, speech())
    # Each knows of the other's what there was when it last looked.
    assert total(disk) <= 2 * 10_000


def test_what_is_larger_than_the_folder_may_be_is_not_written(disk: DiskCache) -> None:
    assert not disk.write(KEYS[0], speech(6000))
    assert not disk.folder.exists()


def test_files_of_others_are_left_alone(disk: DiskCache, clock: VirtualClock) -> None:
    disk.write(KEYS[0], speech())
    foreign = [
        disk.folder / "README.txt",
        disk.path(KEYS[0]).parent / "notes.txt",
        disk.path(KEYS[0]).parent / "short.speech",
    ]
    for path in foreign:
        path.write_bytes(bytes(50_000))
        os.utime(path, (0, 0))
    for key in KEYS:
        clock.advance(1)
        disk.write(key, speech())
    assert all(path.exists() for path in foreign)


def test_what_a_crash_left_unfinished_is_removed_when_it_is_old(
    disk: DiskCache, clock: VirtualClock
) -> None:
    disk.write(KEYS[0], speech())
    now = clock.utc_now().timestamp()
    old, young = (disk.path(KEYS[0]).parent / name for name in ("old.part", "young.part"))
    for path, age in ((old, STALE + 10), (young, 10)):
        path.write_bytes(b"x")
        os.utime(path, (now - age, now - age))
    DiskCache(disk.folder, clock, max_bytes=10_000).write(KEYS[1], speech())
    assert (old.exists(), young.exists()) == (False, True)


def test_a_folder_that_cannot_be_used_costs_nothing_but_the_speech_in_it(
    tmp_path: Path, clock: VirtualClock
) -> None:
    (tmp_path / "file").write_bytes(b"")
    disk = DiskCache(tmp_path / "file", clock)
    assert disk.read(KEYS[0]) is None
    assert not disk.write(KEYS[0], speech())
    assert disk.errors == 2


def test_many_writers_and_readers_see_whole_files_or_none(disk: DiskCache) -> None:
    wrong: list[object] = []

    def work(value: int) -> None:
        for _ in range(30):
            disk.write(KEYS[0], speech(800, value))
            found = disk.read(KEYS[0])
            if found is not None and len(set(found.pcm.tolist())) != 1:
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert disk.errors == 0
    assert not list(disk.folder.rglob("*.part"))


# Behind the cache in memory ----------------------------------------------------------------------


class Engine:
    identity = "test 1"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.substitute = False

    async def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
        self.asked.append(request.ssml)
        yield Chunk(np.full(500, 3, np.int16), (Mark("m", 0.01),))
        yield Chunk(np.full(500, 4, np.int16), substitute=self.substitute)


def request(text: str, *, is_fixed: bool = True) -> SpeechRequest:
    return SpeechRequest(f"<speak>{text}</speak>", "fr", is_fixed=is_fixed)


async def ask(cache: CachingSynthesizer, *requests: SpeechRequest) -> None:
    for one in requests:
        await speech_of(cache.stream(one))
    await cache.close()


def files(disk: DiskCache) -> int:
    return len(list(disk.folder.rglob("*.speech")))


async def test_a_prompt_asked_for_twice_outlasts_the_process(disk: DiskCache) -> None:
    await ask(CachingSynthesizer(Engine(), disk=disk), request("a"))
    assert files(disk) == 0
    cache = CachingSynthesizer(Engine(), disk=disk)
    await ask(cache, request("a"), request("a"))
    assert files(disk) == 1
    engine = Engine()
    cache = CachingSynthesizer(engine, disk=disk)
    (chunk,) = [chunk async for chunk in cache.stream(request("a"))]
    assert chunk.is_last
    assert chunk.marks == (Mark("m", 0.01),)
    assert len(chunk.pcm) == 1000
    assert engine.asked == []
    assert (cache.hits, cache.disk_hits, cache.misses) == (0, 1, 0)


async def test_what_a_caller_alone_is_told_is_never_written(disk: DiskCache) -> None:
    cache = CachingSynthesizer(Engine(), disk=disk)
    await ask(cache, *[request("Il vous reste 12 euros", is_fixed=False)] * 5)
    assert files(disk) == 0


async def test_calls_do_not_write_where_they_may_not(tmp_path: Path, clock: VirtualClock) -> None:
    disk = DiskCache(tmp_path, clock, takes_calls=False)
    cache = CachingSynthesizer(Engine(), disk=disk)
    await ask(cache, *[request("a")] * 3)
    assert files(disk) == 0
    assert [(await cache.preserve(request("b")))[1] for _ in range(2)] == [False, True]
    assert files(disk) == 1


async def test_what_an_engine_of_second_choice_said_is_not_preserved(disk: DiskCache) -> None:
    engine = Engine()
    engine.substitute = True
    cache = CachingSynthesizer(engine, disk=disk)
    with pytest.raises(VoiceXmlEvent):
        await cache.preserve(request("b"))
    await ask(cache, *[request("b")] * 3)
    assert (files(disk), cache.bytes) == (0, 0)
    with pytest.raises(VoiceXmlEvent):
        await CachingSynthesizer(Engine()).preserve(request("b"))


async def test_names_of_files_say_nothing_of_what_is_spoken(disk: DiskCache) -> None:
    cache = CachingSynthesizer(Engine(), disk=disk)
    await cache.preserve(request("secret"))
    (path,) = disk.folder.rglob("*.speech")
    assert path.stem == key_of(request("secret"), "test 1")
    assert b"secret" not in path.read_bytes()


async def test_another_voice_another_engine_or_another_rate_is_another_file() -> None:
    one = request("a")
    keys = {
        key_of(one, "test 1"),
        key_of(one, "test 2"),
        key_of(SpeechRequest(one.ssml, "en"), "test 1"),
        key_of(SpeechRequest(one.ssml, "fr", voice="x"), "test 1"),
        key_of(SpeechRequest(one.ssml, "fr", gender="female"), "test 1"),
        key_of(SpeechRequest('<speak><prosody rate="fast">a</prosody></speak>', "fr"), "test 1"),
    }
    assert len(keys) == 6
