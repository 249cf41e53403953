"""A child process for speech that crashes, hangs or cannot begin, and those who wait for it."""

from __future__ import annotations

import asyncio
import importlib.resources
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tests.waiting import until
from vxml_server.clock import SystemClock, VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import TtsSettings
from vxml_server.tts import (
    Abilities,
    Offer,
    SpeechRequest,
    Spoken,
    Utterance,
    Voices,
    speech_of,
    wire,
)
from vxml_server.tts.child import Child, ChildEngine

pytestmark = pytest.mark.integration

# Says what it is asked, but for what it is told to do.
SCRIPT = r"""
import json, os, struct, sys, tempfile, time
lengths = struct.Struct(">II")
requests, answers = sys.stdin.buffer, sys.stdout.buffer
while len(head := requests.read(lengths.size)) == lengths.size:
    text = json.loads(requests.read(lengths.unpack(head)[0]))["phonemize"]["texts"][0]
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(text)
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


class Speaker:
    """An engine that says the words it is asked for in a child process, as long as they are."""

    name = identity = "scripted"
    abilities = Abilities(queues=True)

    def __init__(self, child: Child) -> None:
        self.child = child
        self.said: list[str] = []

    async def start(self) -> None:
        await self.child.start()

    async def close(self) -> None:
        await self.child.close()

    async def voice(self, lang: str, names: tuple[str, ...], gender: str) -> Offer | None:
        return Offer("scripted")

    async def speak(self, utterance: Utterance, voice: str) -> Spoken:
        self.said.append(await heard(self.child, utterance.text))
        return Spoken(np.ones(800, np.int16), 8000)


async def test_a_hang_costs_the_sentence_that_hangs_and_not_those_behind_it() -> None:
    clock = VirtualClock()
    engine = Speaker(child(clock=clock))
    voices = Voices([engine], clock, timeout=10.0)

    async def say(words: str) -> None:
        await speech_of(voices.stream(SpeechRequest(f"<speak>{words}</speak>", "en")))

    await voices.start()
    try:
        hanging = asyncio.create_task(say("hang"))
        await clock.elapse(0.2)
        behind = [asyncio.create_task(say(words)) for words in ("one", "two")]
        await clock.elapse(9.7)
        late = asyncio.create_task(say("three"))
        await clock.elapse(0.2)
        with pytest.raises(VoiceXmlEvent, match="longer than 10 s"):
            await hanging
        await asyncio.gather(*behind, late)
        assert engine.said == ["one", "two", "three"]
        assert engine.child.starts == 2
    finally:
        await voices.close()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the server and its children write what is not to last."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def written(temporary: Path) -> list[str]:
    """The texts that the scripted child has written down and that are still there."""
    return sorted(file.read_text() for file in temporary.rglob("*") if file.is_file())


def folders(temporary: Path, pattern: str = "vxml-server-*") -> list[str]:
    return [folder.name for folder in temporary.glob(pattern)]


async def test_nothing_stays_of_what_a_process_wrote_when_it_is_stopped_crashes_or_hangs(
    temporary: Path,
) -> None:
    clock = VirtualClock()
    speaker = child(clock=clock)
    assert await heard(speaker, "secret") == "secret"
    assert written(temporary) == ["hello", "secret"]
    with pytest.raises(VoiceXmlEvent, match="its process died"):
        await heard(speaker, "crash")
    assert folders(temporary) == written(temporary) == []
    await heard(speaker, "secret")
    hanging = asyncio.create_task(heard(speaker, "hang"))
    await until(lambda: "hang" in written(temporary))
    await clock.elapse(10.0)
    with pytest.raises(VoiceXmlEvent, match="longer than 10 s"):
        await hanging
    assert folders(temporary) == written(temporary) == []
    await heard(speaker, "secret")
    await speaker.close()
    assert folders(temporary) == written(temporary) == []


async def test_nothing_stays_of_an_engine_in_a_process_of_its_own(temporary: Path) -> None:
    engine = ChildEngine("espeak", TtsSettings(), SystemClock())
    await engine.start()
    assert len(folders(temporary, "*/vxml-server-espeak-*")) == 1
    await engine.close()
    assert folders(temporary) == []


CLIENT = """
import asyncio, sys
from pathlib import Path
from vxml_server.clock import SystemClock
from vxml_server.settings import TtsSettings
from vxml_server.tts.child import ChildEngine
from vxml_server.tts.phonemizer import Phonemizer

async def main():
    engine = ChildEngine("espeak", TtsSettings(), SystemClock())
    phonemizer = Phonemizer(Path(sys.argv[1]), SystemClock())
    await engine.start()
    await phonemizer.start()
    print(engine.pid, phonemizer.pid, flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


async def test_children_of_a_server_that_is_killed_leave_nothing(temporary: Path) -> None:
    piper = importlib.resources.files("piper")
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CLIENT, str(piper)), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    assert len((await server.stdout.readline()).split()) == 2
    assert len(folders(temporary)) == 2
    server.kill()
    await server.wait()
    await until(lambda: not folders(temporary))


async def test_what_lies_in_the_working_folder_is_not_run_by_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "calendar.py").write_text("open('ran', 'w')\n")
    monkeypatch.chdir(tmp_path)
    engine = ChildEngine("espeak", TtsSettings(), SystemClock())
    await engine.start()
    await engine.close()
    assert not (tmp_path / "ran").exists()


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
