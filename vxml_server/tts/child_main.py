"""The child process of `child.ChildEngine`: an engine that answers frames until its input ends.

    python -P -m vxml_server.tts.child_main <folder for what it writes>

Whatever libraries print goes nowhere: standard output is the pipe to the server.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from typing import BinaryIO

from vxml_server.events import VoiceXmlEvent
from vxml_server.tts import wire
from vxml_server.tts.engine import Engine
from vxml_server.tts.engines import build

MAX_MESSAGE = 1000  # characters


def main() -> None:
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        with asyncio.Runner() as runner:
            serve(requests, answers, runner)
    finally:
        shutil.rmtree(sys.argv[1], ignore_errors=True)


def serve(requests: BinaryIO, answers: BinaryIO, runner: asyncio.Runner) -> None:
    """Answers each request in its turn."""
    engine: Engine | None = None
    while len(head := requests.read(wire.LENGTHS.size)) == wire.LENGTHS.size:
        length, size = wire.lengths(head)
        request = wire.decode(requests.read(length))
        requests.read(size)
        try:
            if request.start is not None:
                engine = build(request.start.engine, request.start.settings)
            if engine is None:
                raise VoiceXmlEvent("error.noresource", "no engine was started")
            answer, payload = runner.run(_answer(engine, request))
            frame = wire.encode(answer, payload)
        except VoiceXmlEvent as event:
            frame = _failed(event.name, event.message)
        except Exception as error:  # a plug-in's own
            frame = _failed("error.noresource", f"{type(error).__name__}: {error}")
        answers.write(frame)
        answers.flush()


def _failed(event: str, message: str) -> bytes:
    return wire.encode(wire.Frame(failed=wire.Failed(event, message[:MAX_MESSAGE])))


async def _answer(engine: Engine, request: wire.Frame) -> tuple[wire.Frame, bytes]:
    if request.find is not None:
        offer = await engine.voice(request.find.lang, request.find.names, request.find.gender)
        return wire.Frame(found=wire.Found(offer)), b""
    if request.speak is not None:
        spoken = await engine.speak(request.speak.utterance, request.speak.voice)
        return wire.Frame(said=wire.Said(spoken.rate, spoken.marks)), spoken.pcm.tobytes()
    await engine.start()
    return wire.Frame(started=wire.Started(engine.identity, engine.abilities)), b""


if __name__ == "__main__":
    main()
