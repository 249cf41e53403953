"""The steps of the form interpretation algorithm, for whoever debugs a document."""

from __future__ import annotations

import pytest

from tests.interpreter.harness import HOME, MAIN, Web, field, records, vxml
from vxml_server.interpreter.dialogue import DialogueResult, run_dialogue
from vxml_server.interpreter.platform import Json
from vxml_server.interpreter.script import parse_script
from vxml_server.interpreter.trace import described

FILLED = '<filled>\n<assign name="n" expr="n + 1"/></filled>'
DOCUMENT = vxml(
    f"<form id='one'>\n{field(FILLED)}\n"
    '<var name="n" expr="0"/>\n<block cond="false">never</block>\n'
    '<block>Thanks<goto next="#two"/></block></form>\n'
    '<form id="two"><block><exit/></block></form>'
)


async def run(document: str, *, trace: bool) -> DialogueResult:
    script = parse_script("steps: [{say: 'yes'}]")
    return await run_dialogue(MAIN, script, Web({"main.vxml": document}), trace=trace)


def steps(result: DialogueResult) -> list[Json]:
    return [
        [step["phase"], step["line"], str(step["element"])[:12], step["detail"]]
        for step in records(result, "step")
    ]


async def test_every_step_is_told_with_its_line() -> None:
    result = await run(DOCUMENT, trace=True)
    assert steps(result) == [
        ["initialise", 1, '<form id="on', ""],
        ["select", 2, "<field name=", "selected"],
        ["collect", 2, "<prompt>", "queued, count 1"],
        ["collect", 2, "<field name=", "1 grammars are active"],
        ["process", 2, "<field name=", "filled with yes"],
        ["execute", 3, "<assign name", ""],
        ["select", 2, "<field name=", "is filled"],
        ["select", 5, "<block cond=", "cond is false"],
        ["select", 6, "<block>", "selected"],
        ["execute", 6, "(text)", ""],
        ["execute", 6, '<goto next="', ""],
        ["initialise", 7, '<form id="tw', ""],
        ["select", 7, "<block>", "selected"],
        ["execute", 7, "<exit>", ""],
    ]
    assert {step["uri"] for step in records(result, "step")} == {HOME + "main.vxml"}


async def test_without_being_asked_for_there_are_no_steps() -> None:
    assert steps(await run(DOCUMENT, trace=False)) == []


async def test_a_document_may_ask_for_some_of_its_dialogs() -> None:
    trace = '<property name="vxml-server.trace" value="true"/>'
    document = DOCUMENT.replace('<form id="two">', f'<form id="two">{trace}')
    assert [step[0] for step in steps(await run(document, trace=False))] == [
        "initialise",
        "select",
        "execute",
    ]


async def test_handlers_are_told_with_the_event() -> None:
    document = vxml(
        '<form><block><throw event="my.event"/></block>\n<catch event="my"><exit/></catch></form>'
    )
    found = steps(await run(document, trace=True))
    assert ["handle", 2, "<catch event", "my.event"] in found


async def test_long_attributes_are_cut() -> None:
    long = "x" * 1000
    document = vxml(f"<form><block><log expr=\"'{long}'\"/></block></form>")
    result = await run(document, trace=True)
    assert max(len(str(step["element"])) for step in records(result, "step")) < 250


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ({"event": "prompt", "audio": ["a.wav"], "text": "one"}, "< [a.wav] one"),
        (
            {"event": "input", "utterance": "1#", "mode": "dtmf", "confidence": 1.0},
            "> 1# (dtmf, 1.0)",
        ),
        (
            {"event": "match", "utterance": "1", "interpretation": True, "grammar": "f", "line": 3}
            | {"confidence": 1.0},
            "  match 1 = true (f grammar, line 3)",
        ),
        (
            {"event": "throw", "name": "help", "message": "", "line": 2, "handled_by": "default"},
            "! help (line 2, handled by default)",
        ),
        ({"event": "expect", "ok": True, "pattern": "a", "heard": "a"}, "  expected a"),
        (
            {"event": "expect", "ok": False, "pattern": "a", "heard": "b"},
            "  EXPECTED a BUT HEARD b",
        ),
        (
            {"event": "end", "reason": "exit", "value": {"n": 1}, "error": None, "message": None},
            '  end: exit {"n": 1}',
        ),
        ({"t": 0.0, "event": "log", "label": "a", "text": "b"}, "  log label a, text b"),
    ],
)
def test_a_record_is_a_line_that_a_person_reads(record: dict[str, Json], line: str) -> None:
    assert described(record) == line
