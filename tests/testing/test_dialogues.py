"""`vxml-server test`: what is found, what passes, and what is said about what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from vxml_server.interpreter.script import ScriptError
from vxml_server.testing import Result, Verdict, find_cases, run_cases

DOCUMENT = """<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml" xml:lang="en">
<form>
  <field name="n" type="digits?length=1"><prompt>a digit</prompt></field>
  <block>
    <if cond="n == '9'"><throw event="error.custom" message="nine"/></if>
    thank you
  </block>
</form>
</vxml>"""

CASES = """
- name: a digit is asked for
  document: ask.vxml
  steps:
    - expect: "a digit"
    - dtmf: "1"
    - expect: "thank you"
    - expect_end: exit
- name: a digit is refused
  document: ask.vxml
  steps:
    - expect: "a letter"
    - dtmf: "1"
    - expect_not: "thank"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ask.vxml").write_text(DOCUMENT)
    (tmp_path / "ask.test.yaml").write_text(CASES)
    return tmp_path


def ran(folder: Path, steps: str) -> Result:
    """The result of one test of the document."""
    (folder / "one.test.yaml").write_text(f"- name: one\n  document: ask.vxml\n  steps:\n{steps}")
    return next(run_cases(find_cases([folder / "one.test.yaml"])))


def test_files_are_found_below_a_folder_in_the_order_of_their_names(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "a.test.yaml").write_text("- {name: deep, document: ../ask.vxml}")
    (folder / "not-a-test.yaml").write_text("- never read")
    names = [case.case.name for case in find_cases([folder])]
    assert names == ["a digit is asked for", "a digit is refused", "deep"]


def test_a_file_that_is_named_need_not_be_called_a_test(folder: Path) -> None:
    (folder / "other.yaml").write_text("- {name: other, document: ask.vxml}")
    assert [case.case.name for case in find_cases([folder / "other.yaml"])] == ["other"]


def test_a_file_given_twice_is_run_once(folder: Path) -> None:
    assert len(find_cases([folder, folder / "ask.test.yaml"])) == 2


@pytest.mark.parametrize(("word", "number"), [("REFUSED", 1), ("ask.test", 2), ("nothing", 0)])
def test_a_word_chooses_by_file_or_name(folder: Path, word: str, number: int) -> None:
    assert len(find_cases([folder], word)) == number


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="expected a file"):
        find_cases([tmp_path / "missing"])


def test_results_come_in_the_order_of_the_tests(folder: Path) -> None:
    good, bad = run_cases(find_cases([folder]))
    assert (good.verdict, good.reason) == (Verdict.PASS, "")
    assert good.id.endswith("ask.test.yaml: a digit is asked for")
    assert bad.verdict is Verdict.FAIL


def test_a_failure_says_what_was_heard_and_where_the_document_was(folder: Path) -> None:
    *_, bad = run_cases(find_cases([folder]))
    asked, thanked = bad.reason.splitlines()
    assert asked == "ask.vxml:3: expected 'a letter', heard 'a digit'"
    assert thanked == "ask.vxml:4: expected anything but 'thank', heard 'thank you'"


@pytest.mark.slow
@pytest.mark.integration
def test_the_same_in_other_processes_is_the_same(folder: Path) -> None:
    cases = find_cases([folder]) * 15

    def seen(results: list[Result]) -> list[tuple[str, Verdict, str, tuple[str, ...]]]:
        return [(r.id, r.verdict, r.reason, r.transcript) for r in results]

    assert seen(list(run_cases(cases, workers=2))) == seen(list(run_cases(cases, workers=1)))


def test_a_step_that_is_never_used_fails_a_test(folder: Path) -> None:
    result = ran(folder, '    - dtmf: "1"\n    - say: "more"\n    - hangup:\n')
    assert result.verdict is Verdict.FAIL
    assert result.reason == "the call ended before the caller's step on line 5, 6"


def test_an_error_that_is_not_expected_fails_a_test(folder: Path) -> None:
    result = ran(folder, '    - dtmf: "9"\n')
    assert result.verdict is Verdict.FAIL
    assert result.reason.startswith("ended in error.custom:")


def test_an_error_that_is_expected_does_not(folder: Path) -> None:
    assert ran(folder, '    - dtmf: "9"\n    - expect_end: error\n').verdict is Verdict.PASS


def test_a_document_that_is_not_there_fails_a_test(tmp_path: Path) -> None:
    (tmp_path / "x.test.yaml").write_text("- {name: x, document: missing.vxml}")
    (result,) = run_cases(find_cases([tmp_path]))
    assert result.verdict is Verdict.FAIL
    assert "missing.vxml" in result.reason


def test_the_length_of_a_call_is_that_of_the_caller(folder: Path) -> None:
    result = ran(folder, '    - silence: 4s\n    - dtmf: "1"\n')
    assert result.seconds == pytest.approx(0.6 + 4 + 0.6)
    assert result.elapsed < 4
