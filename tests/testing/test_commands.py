"""`vxml-server test` and `vxml-server conformance` as a shell sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree
from typer.testing import CliRunner

from vxml_server import cli

DOCUMENT = (
    '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml" xml:lang="en">'
    "<form><block>hello</block></form></vxml>"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hello.vxml").write_text(DOCUMENT)
    (tmp_path / "hello.test.yaml").write_text(
        "- {name: greets, document: hello.vxml, steps: [{expect: hello}]}\n"
        "- {name: parts, document: hello.vxml, steps: [{expect: goodbye}]}\n"
    )
    return tmp_path


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    for name, expected in (("good", "hello"), ("bad", "goodbye")):
        (tmp_path / "suite" / name).mkdir(parents=True)
        (tmp_path / "suite" / name / "index.vxml").write_text(DOCUMENT)
        (tmp_path / "suite" / name / "assertion.yaml").write_text(
            f'section: "1"\ntext: It says {expected}.\n---\nsteps: [{{expect: {expected}}}]\n'
        )
    return tmp_path / "suite"


def command(*arguments: str | Path) -> tuple[int, list[str], str]:
    result = CliRunner().invoke(cli.app, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout.splitlines(), result.stderr


def test_test_prints_a_line_a_test_and_returns_one_when_one_failed(folder: Path) -> None:
    status, lines, _ = command("test", folder)
    assert status == 1
    assert lines == [
        f"ok      {folder}/hello.test.yaml: greets",
        f"FAILED  {folder}/hello.test.yaml: parts",
        "        hello.vxml:1: expected 'goodbye', heard 'hello'",
        "2 run: 1 pass, 1 fail",
    ]


def test_test_returns_zero_when_all_passed(folder: Path) -> None:
    assert command("test", folder, "-k", "greets")[0] == 0


def test_test_writes_junit(folder: Path) -> None:
    command("test", folder, "--junit", folder / "out.xml")
    assert etree.parse(folder / "out.xml").getroot().get("failures") == "1"


@pytest.mark.parametrize(
    ("content", "said"),
    [("- {name: x}", "`document` in a test"), ("{", "expected YAML"), ("[]", "no test to run")],
)
def test_tests_that_cannot_be_used_return_two(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "x.test.yaml").write_text(content)
    status, lines, complaint = command("test", tmp_path)
    assert (status, lines) == (2, [])
    assert said in complaint


def test_test_of_what_is_not_there_returns_two(tmp_path: Path) -> None:
    assert command("test", tmp_path / "missing")[0] == 2


def test_conformance_prints_a_line_an_assertion(suite: Path) -> None:
    status, lines, _ = command("conformance", suite)
    assert status == 1
    assert lines[0] == "FAILED  bad"
    assert lines[2:] == ["ok      good", "2 run: 1 pass, 1 fail"]


def test_conformance_writes_a_page_and_junit(suite: Path, tmp_path: Path) -> None:
    page, junit = tmp_path / "page.html", tmp_path / "out.xml"
    command("conformance", suite, "--report", page, "--junit", junit)
    assert "It says goodbye." in page.read_text()
    assert etree.parse(junit).getroot().get("tests") == "2"


def test_conformance_can_run_a_part(suite: Path) -> None:
    assert command("conformance", suite, "-k", "good")[0] == 0


def test_conformance_of_nothing_returns_two(suite: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert command("conformance", tmp_path / "empty")[0] == 2
    assert command("conformance", tmp_path / "missing")[0] == 2
    (suite / "bad" / "assertion.yaml").write_text("nothing")
    status, _, complaint = command("conformance", suite)
    assert status == 2
    assert "a line of `---`" in complaint


def test_a_report_that_cannot_be_written_returns_two(suite: Path, tmp_path: Path) -> None:
    status, _, complaint = command("conformance", suite, "--report", tmp_path / "no" / "page.html")
    assert status == 2
    assert "page.html" in complaint
