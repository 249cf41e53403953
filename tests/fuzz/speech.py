"""python -m tests.fuzz.speech [--documents 1000] [--files 300] [--seed N]

Speaks mutated SSML documents as a server without settings does, by the real espeak in its child
process and with the cache before it, and decodes damaged audio files. Each has a seed; one is
repeated with `--seed N --documents 1 --files 0`. What may come of one is what it says or an event
that the recommendation has for it, and the child must live. After every hundred documents a known
prompt must sound to the sample as it did before the first, made anew, and neither process must have
grown beyond what it was. Exit status 1 if anything is found.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import sys
import time
from collections import Counter
from contextlib import aclosing
from random import Random

import numpy as np

from tests.fuzz.__main__ import memory
from tests.fuzz.sounds import damaged
from tests.fuzz.ssml import request
from vxml_server.audio import RATE, decode
from vxml_server.clock import SystemClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import TtsSettings
from vxml_server.tts import Speech, SpeechRequest, Synthesizer, speech_of, synthesizer, voices
from vxml_server.tts.child import ChildEngine

# A document may ask for half an hour of speech; nobody needs all of it to find out.
LONGEST_HEARD = 60.0  # seconds of speech
LONGEST_FILE = 30.0  # seconds of audio that a file may have
SLOWEST = 20.0  # seconds that one may take
GROWTH = 96 * 2**20  # bytes that a process may grow by after the first hundred
DOCUMENT_EVENTS = frozenset({"error.semantic", "error.unsupported.language"})
FILE_EVENTS = frozenset({"error.badfetch", "error.unsupported.format"})
REFERENCE = SpeechRequest(
    "<speak>Un, deux, <mark name='x'/><say-as interpret-as='number'>21</say-as> fois.</speak>", "fr"
)


async def speak(engine: Synthesizer, asked: SpeechRequest) -> str:
    """What came of it: 'spoken' or the name of an event. Anything else is raised."""
    seconds = 0.0
    names: list[str] = []
    try:
        async with aclosing(engine.stream(asked)) as chunks:
            async for chunk in chunks:
                assert chunk.pcm.dtype == np.int16
                names += [mark.name for mark in chunk.marks]
                seconds += len(chunk.pcm) / RATE
                if seconds > LONGEST_HEARD:
                    return "spoken at length"
    except VoiceXmlEvent as event:
        assert event.name in DOCUMENT_EVENTS, f"{event.name}: {event.message}"
        return event.name
    assert all(f'"{name}"' in asked.ssml or "&" in asked.ssml for name in names)
    return "spoken"


def read(data: bytes, media_type: str) -> str:
    """What came of it: 'heard' or the name of an event. Anything else is raised."""
    try:
        audio = decode(data, media_type, max_duration=LONGEST_FILE)
    except VoiceXmlEvent as event:
        assert event.name in FILE_EVENTS, f"{event.name}: {event.message}"
        return event.name
    assert audio.pcm.dtype == np.int16
    assert 0 < audio.duration <= LONGEST_FILE
    return "heard"


def same(one: Speech, other: Speech) -> bool:
    return np.array_equal(one.pcm, other.pcm) and one.marks == other.marks


async def run(
    seed: int, documents: int, files: int, settings: TtsSettings
) -> tuple[Counter[str], list[str]]:
    """How they ended, and what was found."""
    ended, found = read_files(seed, files)
    if documents:
        ended_too, found_too = await speak_documents(seed, documents, settings)
        ended, found = ended + ended_too, found_too + found
    return ended, found


async def speak_documents(
    seed: int, documents: int, settings: TtsSettings
) -> tuple[Counter[str], list[str]]:
    ended: Counter[str] = Counter()
    found: list[str] = []
    engines = voices(settings, SystemClock())
    await engines.start()
    cache = synthesizer(engines, settings, SystemClock())
    children = [engine for engine in engines.engines if isinstance(engine, ChildEngine)]
    pids = [child.pid for child in children]
    before = await speech_of(engines.stream(REFERENCE))
    settled: list[int] = []
    kept = 0
    for number in range(seed, seed + documents):
        faulthandler.dump_traceback_later(3 * SLOWEST, exit=True)
        started = time.monotonic()
        try:
            ended[await speak(cache, request(Random(number)))] += 1
        except Exception as error:  # what is being looked for
            found.append(f"document, seed {number}: {type(error).__name__}: {error}")
        if (took := time.monotonic() - started) > SLOWEST:
            found.append(f"document, seed {number}: took {took:.0f} s")
        if any(child.starts > 1 for child in children):
            found.append(f"document, seed {number}: the child process died")
            break
        done = number - seed + 1
        if done % 100 == 0:
            if not same(before, await speech_of(engines.stream(REFERENCE))):
                found.append(f"documents before seed {number}: heard in the next prompt")
            settled = settled or [memory(), *map(memory, pids)]
            kept = kept or cache.bytes
    faulthandler.cancel_dump_traceback_later()
    if settled:
        # What the cache keeps it is told to.
        sizes = (memory() - (cache.bytes - kept), *map(memory, pids))
        for size, before_all in zip(sizes, settled, strict=True):
            if size - before_all > GROWTH:
                found.append(f"a process grew from {before_all >> 20} to {size >> 20} MB")
    await cache.close()
    await engines.close()
    return ended, found


def read_files(seed: int, files: int) -> tuple[Counter[str], list[str]]:
    ended: Counter[str] = Counter()
    found: list[str] = []
    for number in range(seed, seed + files):
        faulthandler.dump_traceback_later(3 * SLOWEST, exit=True)
        started = time.monotonic()
        file = damaged(Random(number))
        try:
            ended[f"file {read(file.data, file.media_type)}"] += 1
        except Exception as error:  # what is being looked for
            found.append(f"{file.kind}, seed {number}: {type(error).__name__}: {error}")
        if (took := time.monotonic() - started) > SLOWEST:
            found.append(f"{file.kind}, seed {number}: took {took:.0f} s")
    faulthandler.cancel_dump_traceback_later()
    return ended, found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.speech")
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.monotonic()
    ended, found = asyncio.run(
        run(arguments.seed, arguments.documents, arguments.files, TtsSettings())
    )
    lines = [f"{name}: {count}" for name, count in ended.most_common()]
    lines += [f"FOUND {what}" for what in found] + [f"{time.monotonic() - started:.0f} s"]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
