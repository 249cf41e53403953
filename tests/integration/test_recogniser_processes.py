"""Engines in child processes: crashes, hangs and failures, and what is left of them."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.integration.fragile_engine import CRASH, FAIL, HANG, FragileEngine, audio
from tests.integration.waiting import until
from vxml_server.asr import RecognitionProperties, Utterance
from vxml_server.asr.child import ChildEngine
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import phrase

pytestmark = pytest.mark.integration

ENGLISH = RecognitionProperties("en")
LEFT, RIGHT = phrase("left", "en"), phrase("right", "en")


@pytest.fixture(scope="module")
def engine() -> Iterator[ChildEngine]:
    before = set(multiprocessing.active_children())
    made = ChildEngine(
        FragileEngine,
        identity="fragile",
        speaks=lambda lang: lang == "en",
        processes=2,
        patience=4.0,
    )
    made.load()
    yield made
    made.close()
    assert set(multiprocessing.active_children()) <= before


def process_of(utterance: Utterance) -> str:
    return utterance.result()[-1].text


def test_words_come_back_from_the_child(engine: ChildEngine) -> None:
    utterance = engine.start([LEFT, RIGHT], ENGLISH)
    utterance.feed(audio(0))
    utterance.feed(audio(0))
    heard = utterance.result()
    assert [one.text for one in heard[:3]] == ["left", "right", "en"]
    assert heard[0].confidence == pytest.approx(0.2)
    utterance.close()


def test_utterances_are_spread_over_the_children(engine: ChildEngine) -> None:
    utterances = [engine.start([LEFT], ENGLISH) for _ in range(4)]
    assert len({process_of(utterance) for utterance in utterances}) == 2
    for utterance in utterances:
        utterance.close()


def test_an_event_of_the_engine_is_an_event_here(engine: ChildEngine) -> None:
    with pytest.raises(VoiceXmlEvent, match=r"error\.unsupported\.language"):
        engine.start([LEFT], RecognitionProperties("fr"))


def test_what_fails_while_audio_is_taken_is_told_with_the_result(engine: ChildEngine) -> None:
    utterance = engine.start([LEFT], ENGLISH)
    utterance.feed(audio(FAIL))
    with pytest.raises(VoiceXmlEvent, match=r"error\.noresource.*no such sound"):
        utterance.result()
    utterance.close()
    assert engine.restarts == 0


@pytest.mark.parametrize("trouble", [CRASH, HANG])
def test_a_child_that_crashes_or_hangs_costs_its_utterance_and_is_replaced(
    engine: ChildEngine, trouble: int
) -> None:
    before = engine.restarts
    lost, other = (engine.start([LEFT], ENGLISH) for _ in range(2))
    lost.feed(audio(trouble))
    with pytest.raises(VoiceXmlEvent, match=r"error\.noresource.*(crashed|no answer)"):
        lost.result()
    lost.close()
    assert other.result()[0].text == "left"
    assert engine.restarts == before + 1
    again = engine.start([RIGHT], ENGLISH)
    assert again.result()[0].text == "right"
    for utterance in (other, again):
        utterance.close()


def test_more_audio_than_a_pipe_holds_does_not_block_before_a_child_that_hangs(
    engine: ChildEngine,
) -> None:
    utterance = engine.start([LEFT], ENGLISH)
    utterance.feed(audio(HANG))
    with pytest.raises(VoiceXmlEvent, match="no answer"):
        for _ in range(50):
            utterance.feed(audio(0, samples=80_000))
    utterance.close()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the server and its children write what is not to last."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def written(temporary: Path) -> int:
    """How many files there are of what children were fed."""
    return sum(path.name.startswith("tmp") for path in temporary.rglob("*") if path.is_file())


def folders(temporary: Path) -> list[str]:
    return [folder.name for folder in temporary.glob("vxml-server-*")]


def test_nothing_stays_of_what_a_child_wrote_when_it_is_stopped_crashes_or_hangs(
    temporary: Path,
) -> None:
    engine = ChildEngine(FragileEngine, identity="fragile", speaks=bool, processes=1, patience=1.0)
    for trouble in (CRASH, HANG):
        engine.load()
        utterance = engine.start([LEFT], ENGLISH)
        utterance.feed(audio(0))
        utterance.feed(audio(trouble))
        with pytest.raises(VoiceXmlEvent):
            utterance.result()
        assert written(temporary) == 0
    utterance = engine.start([LEFT], ENGLISH)
    utterance.feed(audio(0))
    assert utterance.result()
    assert written(temporary) == 1
    engine.close()
    assert written(temporary) == 0
    assert folders(temporary) == []


SERVER = """
import time
from vxml_server.asr import EngineSettings, build

if __name__ == "__main__":
    engine = build("pocketsphinx", EngineSettings(processes=2))
    engine.load()
    print("ready", flush=True)
    time.sleep(3600)
"""


def test_children_of_a_server_that_is_killed_leave_nothing(temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "server.py")], stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        assert folders(temporary)
        server.kill()
    until(lambda: not folders(temporary), 20.0, "the children have removed their folders")


def test_a_child_without_its_model_says_so_and_is_not_started_again_and_again() -> None:
    engine = ChildEngine(
        partial(FragileEngine, loads=False),
        identity="fragile",
        speaks=lambda lang: True,
        processes=1,
    )
    for _ in range(2):
        with pytest.raises(VoiceXmlEvent, match="the model is not there"):
            engine.load()
    engine.close()
    with pytest.raises(VoiceXmlEvent, match="closed"):
        engine.start([LEFT], ENGLISH)
