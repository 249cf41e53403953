"""The commands as a shell sees them: output and exit status."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import vxml_server
from vxml_server import cli
from vxml_server.cli import calling

DOCUMENTS = Path(__file__).parent / "interpreter" / "documents"
TRAVEL = str(DOCUMENTS / "travel.vxml")
ENDS = str(DOCUMENTS / "ends.vxml")

BOOKING = """
steps:
  - expect: "welcome"
  - say: boston
  - dtmf: "12#"
  - expect: "12 nights in boston"
  - expect_end: exit
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.yaml"
    path.write_text(BOOKING)
    return path


def write(script: Path, *steps: str) -> Path:
    script.write_text("steps:\n" + "".join(f"- {step}\n" for step in steps))
    return script


def vxml_server_command(*arguments: str | Path, typed: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, [str(each) for each in arguments], input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def call(*arguments: str | Path) -> tuple[int, list[dict[str, object]]]:
    status, output, _ = vxml_server_command("call", *arguments, "--json")
    return status, [json.loads(line) for line in output.splitlines()]


# call --script -----------------------------------------------------------------------------------


def test_json_is_one_object_a_line_that_ends_with_the_end(script: Path) -> None:
    status, records = call(TRAVEL, "--script", script)
    assert status == 0
    assert records[0] == {
        "t": 0.0,
        "event": "fetch",
        "uri": Path(TRAVEL).as_uri(),
        "method": "GET",
        "status": 200,
        "cached": False,
    }
    assert records[-1]["event"] == "end"
    assert records[-1]["reason"] == "exit"


def test_without_json_the_same_is_told_to_a_person(script: Path) -> None:
    status, output, _ = vxml_server_command("call", TRAVEL, "--script", script)
    assert status == 0
    lines = [line.split(maxsplit=1) for line in output.splitlines()]
    assert ["0.000", "< Welcome. Press one, or say a city."] in lines
    assert ["3.100", "> boston (voice, 1.0)"] in lines
    assert ["3.100", "match boston = boston (field grammar, line 12)"] in lines
    assert ["3.100", "log label city, text chosen boston"] in lines
    assert ["3.100", "expected welcome"] in lines
    assert lines[-1][1] == 'end: exit {"city": "boston", "nights": 12, "second": 1}'


def test_a_person_sees_what_went_wrong(script: Path) -> None:
    write(script, "say: paris", "expect: bye", "say: chicago")
    status, output, _ = vxml_server_command("call", TRAVEL, "--script", script)
    assert status == 1
    assert "! nomatch (line 10, handled by 19)" in output
    assert "EXPECTED bye BUT HEARD I do not know that city." in output
    write(script, "say: error")
    status, output, _ = vxml_server_command("call", ENDS, "--script", script)
    assert status == 3
    assert "! error.com.example.broken: it broke" in output
    assert "end: error: " in output


def test_a_person_sees_the_files_that_are_played(script: Path) -> None:
    write(script)
    _, output, _ = vxml_server_command("call", DOCUMENTS / "sound.vxml", "--script", script)
    assert f"< [{(DOCUMENTS / 'tone.wav').as_uri()}] Écoutez" in output


@pytest.mark.integration
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_two_runs_print_the_same_bytes(script: Path, options: list[str]) -> None:
    def run() -> bytes:
        command = [sys.executable, "-m", "vxml_server.cli", "call", TRAVEL, "--script", str(script)]
        return subprocess.run([*command, *options], capture_output=True, check=True).stdout

    first = run()
    assert first.count(b"\n") > 10
    assert run() == first


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        (["say: exit", "expect_end: exit"], 0),
        (["hangup:"], 0),
        (["say: exit", "expect_end: hangup"], 1),
        (["say: error"], 3),
        (["say: error", "expect: something else"], 1),
    ],
)
def test_the_exit_status_says_how_it_went(script: Path, steps: list[str], status: int) -> None:
    assert call(ENDS, "--script", write(script, *steps))[0] == status


def test_a_document_that_is_not_there_ends_in_an_error(script: Path) -> None:
    status, records = call(DOCUMENTS / "absent.vxml", "--script", script)
    assert status == 1
    status, records = call(DOCUMENTS / "absent.vxml", "--script", write(script))
    assert status == 3
    assert records[-1]["error"] == "error.badfetch"


def test_a_document_may_be_a_file_uri(script: Path) -> None:
    assert call(Path(TRAVEL).as_uri(), "--script", script)[0] == 0


def test_a_document_may_be_a_path_from_here(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DOCUMENTS)
    assert call("travel.vxml", "--script", script)[0] == 0


def test_a_step_that_was_not_used_is_noted(script: Path) -> None:
    write(script, "say: exit", "say: again")
    status, _, errors = vxml_server_command("call", ENDS, "--script", script)
    assert status == 0
    assert "note: the step on line 3 was never used" in errors


def test_variables_are_in_the_session_scope(script: Path, tmp_path: Path) -> None:
    document = tmp_path / "vars.vxml"
    document.write_text(
        '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml"><form><block>'
        'Hello <value expr="session.customer.name"/>, <value expr="session.count"/>'
        "</block></form></vxml>"
    )
    options = ["--var", 'customer={"name": "Ada"}', "--var", "count=3"]
    status, records = call(document, "--script", write(script), *options, "--lang", "fr")
    assert status == 0
    spoken = next(record for record in records if record["event"] == "prompt")
    assert (spoken["text"], spoken["lang"]) == ("Hello Ada, 3", "fr")


# Bad usage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--json"],
        [TRAVEL, "--var", "x"],
        [TRAVEL, "--var", "1x=1"],
        [TRAVEL, "--var", "x=one"],
        [TRAVEL, "--var", "x=" + "[" * 100_000],
        [TRAVEL, "--lang", "français"],
        [TRAVEL, "--script", "absent.yaml"],
        [TRAVEL, "--nonsense"],
    ],
)
def test_bad_usage_is_status_2(arguments: list[str]) -> None:
    status, output, errors = vxml_server_command("call", *arguments)
    assert (status, output) == (2, "")
    assert errors


def test_a_bad_script_is_status_2_and_names_the_line(script: Path) -> None:
    write(script, "say: boston", "dtfm: 1")
    status, output, errors = vxml_server_command("call", TRAVEL, "--script", script)
    assert (status, output) == (2, "")
    assert f"{script}:3: expected one of `dtmf`" in errors


# call at the keyboard ----------------------------------------------------------------------------


def at_the_keyboard(
    monkeypatch: pytest.MonkeyPatch, typed: bytes, *arguments: str
) -> tuple[int, list[dict[str, object]]]:
    """A call whose standard input is a pipe, closed after `typed`."""
    reader, writer = os.pipe()
    os.write(writer, typed)
    os.close(writer)
    monkeypatch.setattr(calling, "StandardInput", partial(calling.StandardInput, reader))
    try:
        return call(*arguments)
    finally:
        os.close(reader)


def test_what_is_typed_is_keys_or_words_or_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    status, records = at_the_keyboard(monkeypatch, "Zürich\n\nboston\n12#\n".encode(), TRAVEL)
    assert status == 0
    inputs = [record["utterance"] for record in records if record["event"] == "input"]
    assert inputs == ["Zürich", "boston", "12#"]
    thrown = [record["name"] for record in records if record["event"] == "throw"]
    assert thrown == ["nomatch", "noinput"]
    assert records[-1]["value"] == {"city": "boston", "nights": 12, "second": 1}


def test_the_end_of_input_hangs_up_after_the_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    status, records = at_the_keyboard(monkeypatch, b"boston", TRAVEL)
    assert status == 0
    assert [r["utterance"] for r in records if r["event"] == "input"] == ["boston"]
    assert records[-1]["reason"] == "hangup"


def test_an_error_at_the_keyboard_is_status_3(monkeypatch: pytest.MonkeyPatch) -> None:
    assert at_the_keyboard(monkeypatch, b"error\n", ENDS)[0] == 3


def test_a_closed_standard_input_is_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "StandardInput", partial(calling.StandardInput, -1))
    status, records = call(TRAVEL)
    assert status == 0
    assert records[-1]["reason"] == "hangup"


async def test_lines_that_come_after_the_call_are_dropped() -> None:
    reader, writer = os.pipe()
    standard_input = calling.StandardInput(reader)
    os.write(writer, b"one\n")
    assert await standard_input.read_line() == "one"
    loop = asyncio.new_event_loop()
    loop.close()
    os.write(writer, b"two\n")
    os.close(writer)
    # What the thread does when the loop that it serves has been closed.
    await asyncio.to_thread(standard_input._read, loop)
    os.close(reader)


@pytest.mark.integration
def test_the_command_at_a_real_keyboard_says_what_any_terminal_can_show() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vxml_server.cli", "call", TRAVEL],
        input="Zürich\n".encode(),
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert "> Zürich (voice, 1.0)" in done.stdout.decode()


# serve -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "config"), [([], None), (["--config", "my.toml"], Path("my.toml"))]
)
def test_serve_runs_the_server_and_returns_its_status(
    arguments: list[str], config: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ModuleType("vxml_server.app")
    asked: list[Path | None] = []

    def serve(path: Path | None) -> int:
        asked.append(path)
        return 2

    monkeypatch.setattr(server, "serve", serve, raising=False)
    monkeypatch.setitem(sys.modules, "vxml_server.app", server)
    monkeypatch.setattr(vxml_server, "app", server, raising=False)
    assert vxml_server_command("serve", *arguments) == (2, "", "")
    assert asked == [config]


def test_without_a_command_there_is_help() -> None:
    _, output, errors = vxml_server_command()
    assert "call" in output + errors
    assert "serve" in output + errors


def test_a_trace_has_the_steps_with_their_lines(script: Path) -> None:
    status, output, _ = vxml_server_command("call", TRAVEL, "--script", script, "--trace")
    assert status == 0
    assert "select     line" in output
    assert "process    line" in output
    _, without, _ = vxml_server_command("call", TRAVEL, "--script", script)
    assert "select     line" not in without


# prompts render ----------------------------------------------------------------------------------


def test_prompts_are_rendered_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "a.vxml").write_text(
        '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml" xml:lang="fr">'
        "<form><block>Bonjour.</block></form></vxml>"
    )
    status, output, _ = vxml_server_command(
        "prompts", "render", tmp_path, "--out", tmp_path / "out"
    )
    assert status == 0
    assert "Bonjour." in output
    assert len(list((tmp_path / "out").rglob("*.speech"))) == 11


def test_prompts_need_documents_and_a_folder(tmp_path: Path) -> None:
    assert vxml_server_command("prompts", "render", tmp_path, "--out", tmp_path)[0] == 2
    status, output, errors = vxml_server_command("prompts", "render", tmp_path / "a.vxml")
    assert (status, output) == (2, "")
    assert "cache_folder" in errors
