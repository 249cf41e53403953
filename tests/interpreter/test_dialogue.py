"""The dialogue format: what a script may say, what it means, and what is printed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.clock import SystemClock
from vxml_server.fetch import Fetcher
from vxml_server.interpreter.cues import same_json
from vxml_server.interpreter.dialogue import DialogueResult, run_dialogue
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
from vxml_server.settings import FetchSettings

DOCUMENTS = Path(__file__).parent / "documents"

Run = Callable[..., Awaitable[DialogueResult]]


@pytest_asyncio.fixture
async def run() -> AsyncIterator[Run]:
    """Runs a dialogue of a document in `documents/` with the steps of a script."""
    fetcher = Fetcher(FetchSettings(files=(DOCUMENTS,)), SystemClock())

    async def dialogue(document: str, *steps: str, session: str = "{}") -> DialogueResult:
        lines = "".join(f"- {step}\n" for step in steps)
        script = parse_script(f"session: {session}\nsteps:\n{lines}")
        return await run_dialogue(str(DOCUMENTS / document), script, fetcher)

    yield dialogue
    await fetcher.close()


def only(result: DialogueResult, kind: str) -> list[dict[str, Json]]:
    """The records of a kind, without their time and kind."""
    return [
        {key: value for key, value in record.items() if key not in {"t", "event"}}
        for record in result.records
        if record["event"] == kind
    ]


def heard(result: DialogueResult) -> list[Json]:
    return [record["text"] for record in only(result, "prompt")]


# Reading a script --------------------------------------------------------------------------------


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


# Every example of the format ---------------------------------------------------------------------


async def test_keys_are_an_input_at_the_next_wait(run: Run) -> None:
    result = await run("travel.vxml", 'dtmf: "1"', 'dtmf: "12#"', "expect_end: exit")
    assert result.exit_status == 0
    assert result.outcome.value == {"city": "chicago", "nights": 12, "second": 1}
    assert only(result, "input") == [
        {"mode": "dtmf", "utterance": "1", "confidence": 1.0},
        {"mode": "dtmf", "utterance": "12#", "confidence": 1.0},
    ]


async def test_words_are_matched_against_the_active_voice_grammars(run: Run) -> None:
    result = await run("travel.vxml", 'say: "chicago"', "hangup:")
    assert only(result, "input") == [{"mode": "voice", "utterance": "chicago", "confidence": 1.0}]
    assert only(result, "match") == [
        {
            "utterance": "chicago",
            "interpretation": "chicago",
            "confidence": 1.0,
            "grammar": "field",
            "line": 12,
        }
    ]
    assert only(result, "log") == [{"label": "city", "text": "chosen chicago"}]


async def test_low_confidence_is_a_nomatch(run: Run) -> None:
    result = await run("travel.vxml", "{say: chicago, confidence: 0.4}", "expect_event: nomatch")
    assert result.exit_status == 0
    assert only(result, "match") == []


async def test_alternatives_reach_the_document(run: Run) -> None:
    words = "{say: boston, confidence: 0.8, alternatives: [{say: chicago, confidence: 0.3}]}"
    result = await run("travel.vxml", words, "silence:", "hangup:")
    document_sees = only(result, "match")
    assert document_sees[0]["utterance"] == "boston"
    assert document_sees[0]["confidence"] == 0.8


async def test_barge_in_comes_that_long_after_the_first_prompt_starts(run: Run) -> None:
    result = await run(
        "travel.vxml", "{say: operator, after: 0.5s}", "expect_event: help",
        "expect: an agent cannot help",
    )  # fmt: skip
    assert result.exit_status == 0
    spoken = [record for record in result.records if record["event"] == "input"]
    assert spoken == [
        {"t": 0.5, "event": "input", "mode": "voice", "utterance": "operator", "confidence": 1.0}
    ]


async def test_silence_until_the_timeout_is_a_noinput(run: Run) -> None:
    result = await run("travel.vxml", "silence:", "expect_event: noinput", "expect: nothing")
    assert result.exit_status == 0
    # Seven words, a second of break, five of silence.
    assert next(r["t"] for r in result.records if r["event"] == "throw") == 8.1


async def test_a_long_silence_is_a_noinput_and_a_short_one_a_delay(run: Run) -> None:
    result = await run("travel.vxml", "silence: 12s", "silence: 2s", "say: boston", "hangup:")
    assert only(result, "throw")[0]["name"] == "noinput"
    spoken = [record["t"] for record in result.records if record["event"] == "input"]
    # The noinput, then "I heard nothing." and the question, then two seconds.
    assert spoken == [pytest.approx(8.1 + 0.9 + 3.1 + 2.0)]


async def test_hanging_up_ends_the_session(run: Run) -> None:
    result = await run("travel.vxml", "hangup:", "expect_event: connection.disconnect.hangup",
                       "expect_end: hangup")  # fmt: skip
    assert result.exit_status == 0
    assert result.outcome.reason == "hangup"


@pytest.mark.parametrize(
    "outcome",
    [
        "busy",
        "noanswer",
        "network_busy",
        "near_end_disconnect",
        "far_end_disconnect",
        "network_disconnect",
        "maxtime_disconnect",
        "unknown",
    ],
)
async def test_a_bridge_ends_as_the_script_says(run: Run, outcome: str) -> None:
    result = await run(
        "transfer.vxml",
        "expect: please hold",
        f"{{transfer: {outcome}, duration: 12s}}",
        f"expect: the call ended {outcome}",
        f"{{expect_end: exit, value: {{outcome: {outcome}, seconds: 12}}}}",
        session="{aai: bridge}",
    )
    assert result.exit_status == 0, only(result, "expect")
    assert only(result, "transfer") == [
        {"dest": "tel:+33123456789", "type": "bridge", "outcome": outcome, "duration": 12.0}
    ]


@pytest.mark.parametrize(
    ("aai", "steps"),
    [
        ("bridge", ["{expect_end: exit, value: {outcome: far_end_disconnect, seconds: 10}}"]),
        ("blind", ["{expect_end: disconnect, value: handed on}"]),
        ("consultation", ["{expect_end: disconnect, value: handed on}"]),
        (
            "consultation",
            ["transfer: busy", "{expect_end: exit, value: busy}"],
        ),
        (
            "bridge",
            ["transfer: connection.disconnect.hangup", "{expect_end: hangup, value: left}"],
        ),
        (
            "bridge",
            [
                "transfer: error.connection.baddestination",
                "expect_event: error.connection",
                "expect: no line, error.connection.baddestination",
                "{expect_end: exit, value: error.connection.baddestination}",
            ],
        ),
    ],
)
async def test_transfers_end_in_values_and_events(run: Run, aai: str, steps: list[str]) -> None:
    result = await run("transfer.vxml", *steps, session=f"{{aai: {aai}}}")
    assert result.exit_status == 0, only(result, "expect")


async def test_expectations_are_about_what_came_since_the_last_input(run: Run) -> None:
    result = await run(
        "travel.vxml",
        "expect: 'welcome. *press  ?one'",
        "expect_not: nights",
        "say: boston",
        "expect: HOW MANY",
        "expect_not: welcome",
        "dtmf: 3",
        "expect: 3 nights in boston",
        "expect_end: exit",
    )
    assert result.exit_status == 0, only(result, "expect")
    assert only(result, "expect")[0] == {
        "ok": True,
        "pattern": "welcome. *press  ?one",
        "heard": "Welcome. Press one, or say a city.",
    }


async def test_an_expectation_that_fails_is_told_with_what_was_heard(run: Run) -> None:
    result = await run("travel.vxml", "expect: goodbye", "expect_not: welcome",
                       "expect_event: nomatch", "say: paris", "expect_event: error",
                       "{expect_end: exit, value: 1}")  # fmt: skip
    assert result.exit_status == 1
    assert result.failed == 5
    told = [(record["ok"], record["pattern"], record["heard"]) for record in only(result, "expect")]
    question = "Welcome. Press one, or say a city."
    assert told == [
        (False, "goodbye", question),
        (False, "welcome", question),
        (False, "nomatch", ""),
        (False, "error", told[3][2]),
        (False, "exit 1", "hangup null"),
    ]
    assert str(told[3][2]).startswith("nomatch noinput")


@pytest.mark.parametrize(
    ("word", "end", "status"),
    [
        ("exit", "{expect_end: exit, value: {how: exit}}", 0),
        ("disconnect", "expect_end: disconnect", 0),
        ("error", "expect_end: error", 3),
        ("exit", "expect_end: error", 1),
    ],
)
async def test_the_end_may_be_expected(run: Run, word: str, end: str, status: int) -> None:
    assert (await run("ends.vxml", f"say: {word}", end)).exit_status == status


async def test_when_the_steps_run_out_the_caller_waits_ten_times_and_hangs_up(run: Run) -> None:
    result = await run("deaf.vxml", "expect_end: hangup")
    assert result.exit_status == 0
    thrown = [record["name"] for record in only(result, "throw")]
    assert thrown == ["noinput"] * 10 + ["connection.disconnect.hangup"]
    assert heard(result) == ["Yes or no?"] * 10


async def test_sound_files_take_their_time_and_fallbacks_are_heard(run: Run) -> None:
    result = await run("sound.vxml")
    tone = (DOCUMENTS / "tone.wav").as_uri()
    assert only(result, "prompt") == [
        {"text": "Écoutez", "lang": "fr", "bargein": True, "audio": [tone], "marks": []},
        {"text": "Pas de son.", "lang": "fr", "bargein": True, "audio": [], "marks": []},
    ]
    assert [r["t"] for r in result.records if r["event"] == "prompt"] == [0.0, 0.55]
    assert result.records[-1]["t"] == 1.45


async def test_steps_that_were_never_used_are_told(run: Run) -> None:
    result = await run("ends.vxml", "say: exit", "dtmf: 1", "expect_end: exit")
    assert [step.line for step in result.unused] == [4]
    assert result.exit_status == 0


# Records -----------------------------------------------------------------------------------------

KEYS_OF = {
    "fetch": ["uri", "method", "status", "cached"],
    "enter": ["item", "name", "form", "line"],
    "prompt": ["text", "lang", "bargein", "audio", "marks"],
    "input": ["mode", "utterance", "confidence"],
    "match": ["utterance", "interpretation", "confidence", "grammar", "line"],
    "throw": ["name", "message", "line", "handled_by"],
    "log": ["label", "text"],
    "transfer": ["dest", "type", "outcome", "duration"],
    "expect": ["ok", "pattern", "heard"],
    "end": ["reason", "value", "error", "message"],
}

EVERYTHING = (
    "expect: welcome", "say: paris", "{say: boston, after: 500ms}", "silence: 1s", 'dtmf: "12"',
    "{expect_end: exit, value: {city: boston, nights: 12, second: 1}}",
)  # fmt: skip


async def test_every_record_has_time_and_kind_and_the_keys_of_its_kind(run: Run) -> None:
    records = (await run("travel.vxml", *EVERYTHING)).records
    records += (await run("transfer.vxml", session="{aai: bridge}")).records
    assert {record["event"] for record in records} == set(KEYS_OF)
    for record in records:
        assert list(record) == ["t", "event", *KEYS_OF[str(record["event"])]]


async def test_time_never_goes_back_and_the_end_is_last(run: Run) -> None:
    records = (await run("travel.vxml", *EVERYTHING)).records
    times = [record["t"] for record in records]
    assert times == sorted(times, key=lambda at: float(str(at)))
    assert [record["event"] for record in records].index("end") == len(records) - 1


async def test_two_runs_of_a_script_give_the_same_records(run: Run) -> None:
    first = await run("travel.vxml", *EVERYTHING)
    second = await run("travel.vxml", *EVERYTHING)
    assert first.exit_status == 0, only(first, "expect")
    assert json.dumps(first.records) == json.dumps(second.records)


async def test_records_are_given_as_they_come() -> None:
    fetcher = Fetcher(FetchSettings(files=(DOCUMENTS,)), SystemClock())
    seen: list[dict[str, Json]] = []
    result = await run_dialogue(
        str(DOCUMENTS / "ends.vxml"), Script(), fetcher, on_record=seen.append
    )
    await fetcher.close()
    assert tuple(seen) == result.records


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (False, False, True),
        (None, False, False),
        ([1, "a"], [1, "a"], True),
        ([1], [1, 2], False),
        ({"a": [True]}, {"a": [1]}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"b": 1}, False),
        ("1", 1, False),
    ],
)
def test_values_are_compared_as_json(one: Json, other: Json, same: bool) -> None:
    assert same_json(one, other) is same
