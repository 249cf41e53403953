"""The dialogue format: what each step of a script does, and what is printed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from vxml_server.clock import SystemClock
from vxml_server.fetch import Fetcher
from vxml_server.interpreter.cues import same_json
from vxml_server.interpreter.dialogue import DialogueResult, run_dialogue
from vxml_server.interpreter.platform import Json
from vxml_server.interpreter.script import (
    Script,
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
