"""Owners of boxes at the telephone: the sample application with the platform's object behind it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.apps.judging import complaints, errors_thrown
from tests.examples import examples
from tests.voicemail.boxes import NOW, PIN, Boxes
from vxml_server.app.voicemail_object import CLASSID, MAX_TRIES, VoicemailObject, number_of
from vxml_server.clock import SystemClock, VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import Fetcher
from vxml_server.interpreter import Json, ObjectCall, ObjectParameter, RecordedAudio
from vxml_server.interpreter.dialogue import DialogueResult, run_dialogue
from vxml_server.interpreter.script import Case, Script, parse_cases, parse_script
from vxml_server.interpreter.scripted_recording import tone_of
from vxml_server.queues import Agent, Board, Box
from vxml_server.recording import NotStored, State
from vxml_server.settings import FetchSettings
from vxml_server.store import StoreError

APPS = Path(__file__).parents[2] / "apps"
FILES = Path(__file__).parent / "voicemail"
LANGUAGES = ("en", "fr")
DAY = 86400.0


def boxes() -> Boxes:
    """Sales, 70, with an old message and two new ones; empty, 71; Ann's, 8, with an old one."""
    made = Boxes(
        (
            Box("sales", number="70", description="Sales"),
            Box("empty", number="71"),
            Box("ann", number="8", agent="anne", description="Ann"),
        )
    )
    for message in (
        made.put("sales", "0145678910", 11 * DAY),
        made.put("ann", "0145678910", 2 * DAY, 2.0),
    ):
        made._change(replace(message, heard_at=NOW))
    made.put("sales", "0612345678", DAY, 2.5)
    made.put("sales", "", 1500.0)
    return made


def board() -> Board:
    made = Board()
    made.define(
        [
            Agent("anne", line="ann"),
            Agent("bob", line="bob"),
            Agent("cyd", line="shared"),
            Agent("dan", line="shared"),
        ],
        [],
        [],
    )
    return made


def object_of(given: Boxes, line: str = "") -> VoicemailObject:
    return VoicemailObject(
        *(given, board(), VirtualClock(NOW), ZoneInfo("Europe/Paris")),
        call_id="call-1",
        caller="0612",
        line=line,
    )


async def ask(made: VoicemailObject, operation: str, **parameters: Json) -> dict[str, object]:
    given = {"operation": operation, **parameters}
    values = {name: ObjectParameter(value) for name, value in given.items()}
    answer = await made(ObjectCall(CLASSID, values))
    assert isinstance(answer, dict)
    return answer


async def hear(language: str, script: Script, given: Boxes) -> DialogueResult:
    fetcher = Fetcher(FetchSettings(files=(APPS,)), SystemClock())
    try:
        return await run_dialogue(
            str(APPS / f"voicemail/{language}/index.vxml"),
            script,
            fetcher.session(),
            objects={CLASSID: object_of(given, "ann" if "ann" in script.remote else "")},
        )
    finally:
        await fetcher.close()


def cases() -> list[tuple[str, Case]]:
    return [
        (language, case)
        for language in LANGUAGES
        for case in parse_cases((FILES / f"{language}.test.yaml").read_bytes(), language)
    ]


@pytest.mark.parametrize(
    ("language", "case"), cases(), ids=[f"{language}: {case.name}" for language, case in cases()]
)
async def test_the_application_answers_as_its_dialogue_says(language: str, case: Case) -> None:
    result = await hear(language, case.script, boxes())
    assert complaints(result) == []
    thrown = [str(record["name"]) for record in result.records if record["event"] == "throw"]
    assert [name for name in thrown if name.startswith("error.")] == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("steps", "is_heard", "is_deleted"),
    [
        ("- hangup:\n", False, False),
        ("- silence:\n- hangup:\n", True, False),
        ('- dtmf: "3"\n  after: 1s\n- hangup:\n', True, False),
        ('- dtmf: "2"\n  after: 1s\n- hangup:\n', True, True),
        ('- dtmf: "2"\n- dtmf: "4"\n- dtmf: "2"\n- hangup:\n', True, False),
    ],
    ids=["hangs up", "hears it", "the next", "deletes", "deletes and takes back"],
)
async def test_what_an_owner_does_with_his_message_is_so_after_the_call(
    language: str, steps: str, is_heard: bool, is_deleted: bool
) -> None:
    given = boxes()
    script = parse_script(f'steps:\n- dtmf: "70#"\n- dtmf: "{PIN}#"\n{steps}')
    assert (await hear(language, script, given)).outcome.reason == "hangup"
    message = given.kept[2]
    assert (message.heard_at is not None, message.deleted) == (is_heard, is_deleted)


async def test_a_message_is_heard_as_it_was_left() -> None:
    given = boxes()
    made = object_of(given)
    await ask(made, "identify", number="70", pin=PIN)
    assert await ask(made, "list", which="new") == {"count": 2}
    found = await ask(made, "message", position=1.0)
    audio = found.pop("audio")
    assert isinstance(audio, RecordedAudio)
    assert (audio.data, audio.media_type) == (given.sounds["m4"], "audio/x-wav")
    assert found == {
        "found": True,
        "new": True,
        "deleted": False,
        "caller": "",
        "date": "20260312",
        "time": "1605",
        "days_ago": 0,
        "duration": 3.0,
        "available": True,
    }


async def test_the_log_is_told_in_which_call_a_message_was_heard_and_deleted() -> None:
    given = boxes()
    made = object_of(given)
    await ask(made, "identify", number="70", pin=PIN)
    await ask(made, "list", which="new")
    for operation in ("message", "heard", "heard", "delete"):
        await ask(made, operation, position=0)
    await ask(made, "close")
    who = "call:call-1"
    assert given.by == [("audio", "m3", who), ("heard", "m3", who), ("delete", "m3", who)]


async def test_nothing_is_told_or_changed_before_the_pin() -> None:
    given = boxes()
    made = object_of(given, "ann")
    for operation in ("counts", "list", "message", "heard", "delete", "undelete"):
        with pytest.raises(VoiceXmlEvent, match="nobody has said") as raised:
            await ask(made, operation, position=0, which="new")
        assert raised.value.name == "error.vxml-server.voicemail.unidentified"


async def test_a_wrong_pin_takes_the_identity_away_again() -> None:
    made = object_of(boxes())
    assert await ask(made, "identify", number="70", pin=PIN) == {"ok": True, "reason": ""}
    assert await ask(made, "identify", number="8", pin="0") == {"ok": False, "reason": "wrong"}
    with pytest.raises(VoiceXmlEvent):
        await ask(made, "counts")


async def test_who_opens_another_box_sees_nothing_of_the_first_one() -> None:
    made = object_of(boxes())
    await ask(made, "identify", number="70", pin=PIN)
    await ask(made, "list", which="new")
    await ask(made, "identify", number="8", pin=PIN)
    assert await ask(made, "message", position=0) == {"found": False}
    assert await ask(made, "counts") == {"new": 0, "heard": 1}


async def test_after_three_wrong_tries_the_right_pin_does_not_help_in_this_call() -> None:
    made = object_of(boxes(), "ann")
    for reason in ("wrong", "wrong", "locked", "locked"):
        assert await ask(made, "identify", pin="0000") == {"ok": False, "reason": reason}
    assert await ask(made, "identify", pin=PIN) == {"ok": False, "reason": "locked"}


async def test_a_box_that_is_locked_everywhere_is_locked_here() -> None:
    found = await ask(object_of(boxes()), "identify", number="70", pin="locked")
    assert found == {"ok": False, "reason": "locked"}


@pytest.mark.parametrize("line", ["", "bob", "shared", "nobody"])
async def test_a_line_without_a_box_of_its_own_has_to_name_one(line: str) -> None:
    made = object_of(boxes(), line)
    assert await ask(made, "who") == {"known": False, "description": ""}
    assert await ask(made, "identify", pin=PIN) == {"ok": False, "reason": "wrong"}
    assert await ask(made, "identify", number="70", pin=PIN) == {"ok": True, "reason": ""}


async def test_what_is_gone_meanwhile_does_not_stop_the_call() -> None:
    given = boxes()
    made = object_of(given)
    await ask(made, "identify", number="70", pin=PIN)
    await ask(made, "list", which="new")
    for position in (0, 1):
        await ask(made, "delete", position=position)
    given.gone.add("m4")
    assert await ask(made, "message", position=1) == {"found": False}
    assert await ask(made, "heard", position=1) == {"found": False}
    assert await ask(made, "close") == {"deleted": 1}
    assert [one.id for one in given.kept if one.deleted] == ["m3"]


async def test_audio_that_cannot_be_had_now_is_said_to_be_so() -> None:
    class Away(Boxes):
        async def audio(self, message: str, by: str) -> bytes:
            raise NotStored(State.STOPPED)

    given = boxes()
    away = Away(given.defined, given.kept)
    script = parse_script(
        f'steps:\n- dtmf: "70#"\n- dtmf: "{PIN}#"\n'
        '- expect: "This message cannot be heard at the moment. To hear it again, press 1."\n'
    )
    result = await hear("en", script, away)
    assert complaints(result) == []
    assert [one.heard_at for one in away.kept[2:]] == [None, None]


async def test_what_cannot_be_done_is_an_event_of_the_document() -> None:
    given = boxes()
    made = object_of(given)
    for operation, parameters, words in (
        ("dance", {}, "operation: expected box"),
        ("leave", {"box": "sales", "said": "words"}, "said: expected a recording"),
    ):
        with pytest.raises(VoiceXmlEvent, match=words):
            await ask(made, operation, **parameters)
    await ask(made, "identify", number="70", pin=PIN)
    for parameters, words in (
        ({"which": "all"}, "which: expected new or heard"),
        ({"which": 1}, "which: expected new or heard"),
    ):
        with pytest.raises(VoiceXmlEvent, match=words):
            await ask(made, "list", **parameters)
    for position in (None, "0", True, 0.5):
        with pytest.raises(VoiceXmlEvent, match="position: expected a number"):
            await ask(made, "message", position=position)
    for position in (-1, 0, 10**12):
        assert await ask(made, "delete", position=position) == {"found": False}
    given.trouble = StoreError("away")
    with pytest.raises(VoiceXmlEvent) as raised:
        await ask(made, "counts")
    assert raised.value.name == "error.vxml-server.voicemail.unavailable"


async def leave(made: VoicemailObject, box: str, audio: RecordedAudio) -> dict[str, object]:
    answer = await made(
        ObjectCall(
            CLASSID,
            {
                "operation": ObjectParameter("leave"),
                "box": ObjectParameter(box),
                "said": ObjectParameter({}, audio=audio),
                "data": ObjectParameter("no object"),
            },
        )
    )
    assert isinstance(answer, dict)
    return answer


async def test_why_a_message_is_not_kept_is_a_word() -> None:
    given = boxes()
    given.defined = (*given.defined, Box("small", max_messages=1))
    made, good = object_of(given), tone_of(2.0, "audio/x-wav")
    for box, audio, reason in (
        ("nowhere", good, "unknown"),
        ("small", tone_of(0.2, "audio/x-wav"), "short"),
        ("small", RecordedAudio(b"nothing", "audio/x-wav", 5.0), "unusable"),
        ("small", good, ""),
        ("small", good, "full"),
    ):
        assert await leave(made, box, audio) == {"ok": not reason, "reason": reason}
    assert (await ask(made, "box", box="small"))["full"] is True
    assert await ask(made, "box", box="nowhere") == {"known": False}


NUMBERS = {"70": "sales", "71": "empty", "8": "ann"}
STEPS = st.one_of(
    st.tuples(st.just("identify"), st.sampled_from([*NUMBERS, "99"]), st.sampled_from([PIN, "0"])),
    st.tuples(st.just("list"), st.sampled_from(["new", "heard"])),
    st.tuples(st.sampled_from(["message", "heard", "delete", "undelete"]), st.integers(-1, 3)),
    st.tuples(st.sampled_from(["counts", "close", "who"])),
)


@given(st.lists(STEPS, max_size=25))
def test_whatever_is_asked_only_messages_of_the_box_that_was_opened_are_told_or_changed(
    steps: list[tuple[object, ...]],
) -> None:
    asyncio.run(_ask_all(steps))


async def _ask_all(steps: list[tuple[object, ...]]) -> None:
    given_boxes = boxes()
    made = object_of(given_boxes)
    opened, wrong = "", 0
    for operation, *rest in steps:
        before = {one.id: one for one in given_boxes.kept}
        was_open = opened
        if operation == "identify":
            number, pin = rest
            answer = await ask(made, "identify", number=number, pin=pin)
            is_right = wrong < MAX_TRIES and pin == PIN and number in NUMBERS
            assert answer["ok"] is is_right
            wrong += not is_right
            opened = NUMBERS[str(number)] if is_right else ""
        elif operation in {"close", "who"} or opened:
            name = "which" if operation == "list" else "position"
            answer = await ask(made, str(operation), **({name: rest[0]} if rest else {}))
            if operation == "message" and answer["found"]:
                audio = answer["audio"]
                assert isinstance(audio, RecordedAudio)
                here = {given_boxes.sounds[one.id] for one in before.values() if one.box == opened}
                assert audio.data in here
        else:
            with pytest.raises(VoiceXmlEvent, match="nobody has said"):
                await ask(made, str(operation))
        changed = {one.box for one in given_boxes.kept if one != before[one.id]}
        assert changed <= {was_open}


KEYS = st.one_of(
    st.sampled_from("0123456789*#").map(lambda key: f'- dtmf: "{key}"\n'),
    st.sampled_from("12349#").map(lambda key: f'- dtmf: "{key}"\n  after: 1s\n'),
    st.sampled_from(["- silence:\n", "- hangup:\n"]),
)


@settings(max_examples=examples(30), deadline=None)
@given(st.sampled_from(LANGUAGES), st.lists(KEYS, max_size=15).map("".join))
def test_whatever_an_owner_presses_the_call_ends_without_an_error(
    language: str, steps: str
) -> None:
    start = f'steps:\n- dtmf: "70#"\n- dtmf: "{PIN}#"\n'
    result = asyncio.run(hear(language, parse_script(start + steps), boxes()))
    assert errors_thrown(result) == []
    assert result.outcome.reason in {"disconnect", "hangup"}


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:+33612345678@10.0.0.1;user=phone", "+33612345678"),
        ("sip:anonymous@anonymous.invalid", ""),
        ("sip:Restricted@10.0.0.1", ""),
        ("sip:10.0.0.1", ""),
    ],
)
def test_a_number_that_is_withheld_is_none(uri: str, number: str) -> None:
    assert number_of(uri) == number


def test_both_languages_have_the_same_documents_and_dialogues() -> None:
    names = [[case.name for of, case in cases() if of == language] for language in LANGUAGES]
    assert names[0] == names[1] != []
    folders = [{path.name for path in (APPS / "voicemail" / of).iterdir()} for of in LANGUAGES]
    assert folders[0] == folders[1]
