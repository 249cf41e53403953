"""A child process for speech that crashes, hangs or cannot begin, and those who wait for it."""

from __future__ import annotations

import pytest

from vxml_server.clock import SystemClock, VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.tts import wire
from vxml_server.tts.child import Child

pytestmark = pytest.mark.integration

# Says what it is asked, but for what it is told to do.
SCRIPT = r"""
import json, os, struct, sys, tempfile, time
lengths = struct.Struct(">II")
requests, answers = sys.stdin.buffer, sys.stdout.buffer
while len(head := requests.read(lengths.size)) == lengths.size:
    text = json.loads(requests.read(lengths.unpack(head)[0]))["phonemize"]["texts"][0]
    if text == "crash":
        os.abort()
    if text == "hang":
        time.sleep(3600)
    header = json.dumps({"phonemized": {"texts": [[[text]]]}}).encode()
    answers.write(lengths.pack(len(header), 0) + header)
    answers.flush()
"""


def asked(text: str) -> wire.Frame:
    return wire.Frame(phonemize=wire.Phonemize("en", (text,)))


def child(greeting: str = "hello", clock: VirtualClock | None = None) -> Child:
    return Child("scripted", ("-c", SCRIPT), asked(greeting), clock or SystemClock(), 10.0)


async def heard(child: Child, text: str) -> str:
    answer, _ = await child.ask(asked(text))
    assert answer.phonemized is not None
    return answer.phonemized.texts[0][0][0]


async def test_crashes_in_a_row_cost_those_who_cause_them_and_nobody_else() -> None:
    speaker = child()
    try:
        for _ in range(3):
            with pytest.raises(VoiceXmlEvent, match="its process died"):
                await heard(speaker, "crash")
        assert await heard(speaker, "innocent") == "innocent"
        assert speaker.starts == 4
    finally:
        await speaker.close()


async def test_a_request_that_is_too_long_costs_no_process() -> None:
    speaker = child()
    try:
        assert await heard(speaker, "before") == "before"
        with pytest.raises(VoiceXmlEvent, match="too long"):
            await heard(speaker, "a" * 2**20)
        assert await heard(speaker, "innocent") == "innocent"
        assert speaker.starts == 1
    finally:
        await speaker.close()


async def test_a_process_that_dies_of_its_greeting_is_left_alone_longer_and_longer() -> None:
    clock = VirtualClock()
    speaker = child("crash", clock)
    try:
        for starts, rest in enumerate((0.5, 1.0, 2.0), 1):
            with pytest.raises(VoiceXmlEvent, match="its process died"):
                await speaker.start()
            clock.advance(rest - 0.1)
            with pytest.raises(VoiceXmlEvent, match="left alone"):
                await heard(speaker, "innocent")
            assert speaker.starts == starts
            clock.advance(0.2)
    finally:
        await speaker.close()
