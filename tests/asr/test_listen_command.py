"""`vxml-server listen`, from the command line to the recogniser and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.asr.scripted import ScriptedEngine
from vxml_server import cli
from vxml_server.asr import inspect

SEVEN = Path(__file__).parents[1] / "voices" / "seven.wav"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    engine = ScriptedEngine()
    monkeypatch.setattr(inspect, "build", lambda name, settings: engine)
    return engine


def listen(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, ["listen", *map(str, arguments)])
    return result.exit_code, result.stdout


def test_a_match_is_printed_with_its_meaning(engine: ScriptedEngine) -> None:
    engine.hear("seven", confidence=0.8)
    status, printed = listen(SEVEN, "--grammar", "builtin:grammar/digits", "--json")
    record = json.loads(printed)
    assert (status, record["outcome"]) == (0, "match")
    assert record["grammars"][0]["nbest"][0]["interpretation"] == "7"
    assert record["speech"][0] < record["speech"][1] <= record["duration"]


def test_a_person_reads_what_was_heard_and_how_sure_that_is(engine: ScriptedEngine) -> None:
    engine.hear("seven", confidence=0.2)
    status, printed = listen(SEVEN, "--grammar", "builtin:grammar/digits")
    assert status == 1
    assert "0.20  seven" in printed
    assert "builtin:grammar/digits: rejected" in printed


@pytest.mark.usefixtures("engine")
def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    status, printed = listen(tmp_path / "none.wav")
    assert status == 2
    assert printed.startswith("error: ")
    status, printed = listen(SEVEN, "--grammar", "builtin:grammar/nothing")
    assert status == 2
    assert printed.startswith("error: ")
