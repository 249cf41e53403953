"""A dialogue's script: what may be written, and what is told of what may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.interpreter.cues import same_json
from vxml_server.interpreter.platform import Json
from vxml_server.interpreter.script import (
    Case,
    ExpectEnd,
    ExpectEvent,
    ExpectHeard,
    HangUp,
    Hypothesis,
    Keys,
    Say,
    Script,
    ScriptError,
    Silence,
    Speak,
    Step,
    Transfer,
    parse_cases,
    parse_script,
)


def step(text: str) -> Step:
    return parse_script(f"steps:\n- {text}\n").steps[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('dtmf: "12#"', Keys("12#", line=2)),
        ("dtmf: 0123", Keys("0123", line=2)),
        ("{dtmf: 1a, after: .5s}", Keys("1A", 0.5, line=2)),
        ('say: "chicago"', Say((Hypothesis("chicago"),), line=2)),
        ("say: yes", Say((Hypothesis("yes"),), line=2)),
        ("say: '  new   york '", Say((Hypothesis("new york"),), line=2)),
        (
            "{say: a, confidence: 0.4, alternatives: [{say: b, confidence: 0.3}, {say: c}]}",
            Say((Hypothesis("a", 0.4), Hypothesis("b", 0.3), Hypothesis("c")), line=2),
        ),
        ("{say: operator, after: 500ms}", Say((Hypothesis("operator"),), 0.5, line=2)),
        ("silence: 12s", Silence(12.0, line=2)),
        ("silence:", Silence(line=2)),
        ("hangup:", HangUp(line=2)),
        ("{hangup: , after: 1s}", HangUp(1.0, line=2)),
        ("record: 4s", Speak(4.0, line=2)),
        ('{record: 4s, dtmf: "#"}', Speak(4.0, "#", line=2)),
        ("transfer: busy", Transfer("busy", line=2)),
        (
            "{transfer: connection.disconnect.hangup, duration: 12s}",
            Transfer("connection.disconnect.hangup", 12.0, line=2),
        ),
        ("transfer: error.connection.noauthorization",
            Transfer("error.connection.noauthorization", line=2)),
        ('expect: "welcome.*one"', ExpectHeard("welcome.*one", line=2)),
        ("expect_not: error", ExpectHeard("error", negated=True, line=2)),
        ("expect_event: nomatch", ExpectEvent("nomatch", line=2)),
        ("expect_end: exit", ExpectEnd("exit", line=2)),
        (
            "{expect_end: exit, value: {city: chicago}}",
            ExpectEnd("exit", {"city": "chicago"}, has_value=True, line=2),
        ),
        ("{expect_end: exit, value: }", ExpectEnd("exit", None, has_value=True, line=2)),
    ],
)  # fmt: skip
def test_each_kind_of_step_is_understood(text: str, expected: Step) -> None:
    assert step(text) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1.5", -1.5),
        ("1e3", "1e3"),  # YAML 1.1 takes it for a text
        ("1.0e+3", 1000.0),
        ("true", True),
        ("no", "no"),
        ("null", None),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("0x1F", "0x1F"),
        (".inf", ".inf"),
        ('"1"', "1"),
        ("[1, {a: [b]}]", [1, {"a": ["b"]}]),
    ],
)
def test_a_value_is_json(text: str, value: Json) -> None:
    read = step(f"{{expect_end: exit, value: {text}}}")
    assert isinstance(read, ExpectEnd)
    assert same_json(read.value, value)


def test_the_session_becomes_the_connection() -> None:
    script = parse_script('session: {remote: "tel:+33612345678", local: "tel:1", aai: "ticket=42"}')
    assert script == Script((), "tel:+33612345678", "tel:1", "ticket=42")
    assert parse_script("steps:") == Script()
    assert parse_script(b"\xef\xbb\xbfsteps: []") == Script()


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("", 1, "a mapping with `steps`"),
        ("- dtmf: 1", 1, "a mapping with `steps`"),
        ("\nstep: []", 2, "`session`, `steps` in a script, not `step`"),
        ("steps: []\nsteps: []", 2, "`steps` only once"),
        ("? [a]\n: b", 1, "a word as key"),
        ("steps: {dtmf: 1}", 1, "a list of steps"),
        ("session: x", 1, "a mapping with `remote`"),
        ("session:\n  from: x", 2, "`remote`, `local`, `aai` in `session`, not `from`"),
        ("session: {remote: [x]}", 1, "a text"),
        ("steps:\n- hangup", 2, "a step: a mapping"),
        ("steps:\n- dtfm: 1", 2, "one of `dtmf`, `say`"),
        ("steps:\n- {}", 2, "not nothing"),
        ("steps:\n- dtmf: 1\n  say: one", 2, "not `dtmf` and `say`"),
        ("steps:\n- dtmf: 1\n  confidence: 1", 3, "`dtmf`, `after` in a `dtmf` step"),
        ("steps:\n- dtmf:", 2, 'keys such as "12#"'),
        ("steps:\n- dtmf: 12E", 2, 'keys such as "12#"'),
        ("steps:\n- dtmf: 1\n  after: soon", 3, "a time such as 4s or 500ms, not `soon`"),
        ("steps:\n- silence: 12", 2, "a time such as"),
        ("steps:\n- silence: " + "1" * 30 + "s", 2, "a time such as"),
        ("steps:\n- record:", 2, "a time such as"),
        ("steps:\n- hangup: now", 2, "nothing after `hangup:`"),
        ("steps:\n- say:", 2, "the words"),
        ("steps:\n- say: ' '", 2, "the words"),
        ("steps:\n- say: a\n  confidence: 2", 3, "a confidence from 0.0 to 1.0"),
        ("steps:\n- say: a\n  confidence: much", 3, "a confidence from 0.0 to 1.0"),
        ("steps:\n- say: a\n  alternatives: b", 3, "a list of"),
        ("steps:\n- say: a\n  alternatives: [b]", 3, "`{say: …, confidence: …}`"),
        ("steps:\n- say: a\n  alternatives: [{confidence: 1}]", 3, "`say` in an alternative"),
        ("steps:\n- say: a\n  alternatives: [{say: b, after: 1s}]", 3, "in an alternative"),
        ("steps:\n- transfer: engaged", 2, "busy, noanswer"),
        ("steps:\n- transfer: error.semantic", 2, "as the outcome of a transfer"),
        ("steps:\n- expect: '['", 2, "a regular expression"),
        ("steps:\n- expect_event: '*'", 2, "the name of an event"),
        ("steps:\n- expect_end: over", 2, "one of exit, disconnect, hangup, error"),
        ("steps:\n- expect_end: exit\n- dtmf: 1", 2, "the last step"),
        ("steps:\n- expect_end: exit\n  value: &a [*a]", 3, "a smaller value"),
        ("steps:\n- dtmf: [1", 2, "YAML"),
        ("steps: \t- a\n\x07", 2, "YAML"),
        ("[" * 100_000, 1, "YAML nested less deeply"),
        (b"steps:\n# \xff\n", 2, "text in UTF-8"),
    ],
)  # fmt: skip
def test_a_bad_script_names_the_line_and_what_was_expected(
    text: str | bytes, line: int, expected: str
) -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script(text, "my.yaml")
    assert str(caught.value).startswith(f"my.yaml:{line}: ")
    assert expected in str(caught.value)
    assert caught.value.name == "my.yaml"


def test_a_value_that_aliases_make_huge_is_refused() -> None:
    doubled = ["    - &a0 [x, x]", *(f"    - &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))]
    text = "\n".join(["steps:", "- expect_end: exit", "  value:", *doubled])
    with pytest.raises(ScriptError, match="a smaller value"):
        parse_script(text)


@given(st.text() | st.binary())
def test_any_text_is_a_script_or_a_script_error(text: str | bytes) -> None:
    try:
        parse_script(text)
    except ScriptError as error:
        assert error.line >= 1


PIECES = st.sampled_from(
    ["steps:", "- dtmf: 1", "- say: a", "  after: 1s", "  value: [", "- expect: (", "- &a", "*a",
     "  confidence: .9", "session: {", "}", "  - ", "\t", "- hangup:", "|", ">", "!!int", "? "]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("\n".join))
def test_any_heap_of_pieces_is_a_script_or_a_script_error(text: str) -> None:
    try:
        parse_script(text)
    except ScriptError as error:
        assert error.line >= 1


def test_a_file_of_tests_is_a_list_of_scripts_with_names() -> None:
    text = """
- name: one
  document: &shared a.vxml
  session: {aai: x}
  steps:
    - dtmf: "1"
- name: two
  document: *shared
"""
    assert parse_cases(text) == (
        Case("one", "a.vxml", Script((Keys("1", line=6),), aai="x"), 2),
        Case("two", "a.vxml", Script(), 7),
    )


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("steps: []", 1, "a list of tests"),
        ("- one", 1, "a test: a mapping"),
        ("\n- name: one", 2, "`document` in a test"),
        ("- document: one", 1, "`name` in a test"),
        ("- name: one\n  documents: one", 2, "in a test, not `documents`"),
    ],
)
def test_a_bad_file_of_tests_names_the_line_too(text: str, line: int, expected: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse_cases(text, "a.test.yaml")
    assert str(caught.value).startswith(f"a.test.yaml:{line}: ")
    assert expected in str(caught.value)
