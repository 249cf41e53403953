"""The shipped documents in which a caller leaves a message, in the interpreter."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.apps.judging import complaints, errors_thrown
from tests.examples import examples
from tests.voicemail.boxes import Boxes
from vxml_server.app.contact_centre import DOCUMENTS as HOLD_MUSIC
from vxml_server.app.voicemail_object import CLASSID, VoicemailObject
from vxml_server.clock import SystemClock, VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import Fetcher
from vxml_server.interpreter import DocumentStore
from vxml_server.interpreter.dialogue import DialogueResult, run_dialogue
from vxml_server.interpreter.platform import Prompt, RecordRequest, RecordResult
from vxml_server.interpreter.playback import Playback
from vxml_server.interpreter.script import Case, parse_cases, parse_script
from vxml_server.interpreter.scripted import ScriptedPlatform
from vxml_server.queues import Board, Box
from vxml_server.settings import FetchSettings
from vxml_server.store import StoreError
from vxml_server.voicemail import DOCUMENTS, BoxFull, Message

FILES = Path(__file__).parent / "leaving"
APPS = Path(__file__).parents[2] / "apps"
LANGUAGES = ("en", "fr")
BOX = Box("sales", description="Sales", max_message=10.0, max_messages=3)


class Caller:
    """Somebody who is let into the box `sales`."""

    def __init__(self, fetcher: Fetcher) -> None:
        self.boxes = Boxes((BOX,))
        self._fetcher = fetcher
        self._object = VoicemailObject(
            *(self.boxes, Board(), VirtualClock(), ZoneInfo("Europe/Paris")),
            call_id="call-1",
            caller="0612",
            line="",
        )

    async def hear(
        self, language: str, case: Case | str, *, strict: bool = False, box: str = "sales"
    ) -> DialogueResult:
        script = case.script if isinstance(case, Case) else parse_script(f"steps:\n{case}")
        return await run_dialogue(
            (DOCUMENTS / f"leave.{language}.vxml").as_uri(),
            script,
            self._fetcher.session(),
            objects={CLASSID: self._object},
            variables={"voicemail": {"box": box, "data": {"aai": "42"}}},
            documents=DocumentStore(strict=strict),
        )

    def lengths(self) -> list[float]:
        """Of the messages that are kept, in seconds."""
        return [one.duration_s for one in self.boxes.kept]


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    fetcher = Fetcher(FetchSettings(files=(DOCUMENTS, HOLD_MUSIC)), SystemClock())
    yield Caller(fetcher)
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
async def test_the_document_answers_as_its_dialogue_says(
    caller: Caller, language: str, case: Case
) -> None:
    if "full" in case.name:
        for _ in range(BOX.max_messages):
            caller.boxes.put("sales")
    before = len(caller.boxes.kept)
    result = await caller.hear(language, case, strict=True)
    assert complaints(result) == []
    assert errors_thrown(result) == []
    is_left = result.outcome.value == "left"
    assert len(caller.boxes.kept) - before == is_left


@pytest.mark.parametrize("language", LANGUAGES)
async def test_what_is_left_has_the_caller_the_call_and_what_came_with_it(
    caller: Caller, language: str
) -> None:
    result = await caller.hear(language, '- record: 4s\n- dtmf: "#"\n- dtmf: "1"\n')
    (message,) = caller.boxes.kept
    assert (message.caller, message.duration_s) == ("0612", 4.0)
    assert caller.boxes.data[message.id] == {"aai": "42", "call": "call-1"}
    assert result.outcome.value == "left"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "steps",
    ["- record: 4s\n  hangup:\n", '- record: 4s\n  dtmf: "#"\n- hangup:\n'],
    ids=["while he speaks", "instead of a key"],
)
async def test_who_hangs_up_after_speaking_has_left_a_message(
    caller: Caller, language: str, steps: str
) -> None:
    result = await caller.hear(language, steps)
    assert caller.lengths() == [4.0]
    assert (result.outcome.reason, result.outcome.value) == ("hangup", "left")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_who_hangs_up_before_speaking_has_left_none(caller: Caller, language: str) -> None:
    for steps in ("- hangup:\n", '- dtmf: "1"\n- hangup:\n'):
        result = await caller.hear(language, steps)
        assert (result.outcome.reason, result.outcome.value) == ("hangup", "none")
    assert caller.boxes.kept == []


async def test_who_hangs_up_too_early_has_left_none(caller: Caller) -> None:
    result = await caller.hear("en", "- record: 0.4s\n  hangup:\n")
    assert (result.outcome.reason, result.outcome.value) == ("hangup", "none")
    assert caller.boxes.kept == []


async def test_a_message_ends_where_the_box_says_so(caller: Caller) -> None:
    result = await caller.hear(
        "en", '- record: 30s\n- expect: "reached the longest time"\n- dtmf: "1"\n'
    )
    assert complaints(result) == []
    assert caller.lengths() == [BOX.max_message]


async def test_a_greeting_that_cannot_be_fetched_is_spoken(caller: Caller) -> None:
    caller.boxes.defined = (replace(BOX, greeting="file:///nowhere/hello.wav"),)
    result = await caller.hear("en", '- expect: "voicemail of Sales"\n- record: 3s\n')
    assert complaints(result) == []
    assert result.outcome.value == "left"


async def test_a_greeting_of_the_boxs_own_is_heard_instead_of_ours(
    caller: Caller,
) -> None:
    greeting = HOLD_MUSIC / "hold.wav"
    caller.boxes.defined = (replace(BOX, greeting=greeting.as_uri()),)
    result = await caller.hear("en", "- record: 3s\n")
    (audio,) = [record["audio"] for record in result.records if record.get("audio")]
    assert audio == [greeting.as_uri()]


@pytest.mark.parametrize("trouble", [StoreError("away"), OSError("the disk is full")])
async def test_trouble_is_told_and_returned(caller: Caller, trouble: Exception) -> None:
    caller.boxes.trouble = trouble
    result = await caller.hear("fr", '- expect: "^Désolé, votre message n.a pas pu être"\n')
    assert complaints(result) == []
    assert result.outcome.value == "failed"


async def test_a_box_that_is_gone_is_trouble(caller: Caller) -> None:
    assert (await caller.hear("en", "", box="nobody")).outcome.value == "failed"


def test_both_languages_have_the_same_dialogues() -> None:
    names = [[case.name for of, case in cases() if of == language] for language in LANGUAGES]
    assert names[0] == names[1] != []


STEPS = st.one_of(
    st.sampled_from("0123456789*#").map(lambda key: f'- dtmf: "{key}"\n'),
    st.sampled_from(["0.2s", "3s", "30s"]).map(lambda time: f"- record: {time}\n"),
    st.sampled_from("15*#").map(lambda key: f'- record: 2s\n  dtmf: "{key}"\n'),
    st.sampled_from(["- silence:\n", "- hangup:\n", "- record: 2s\n  hangup:\n"]),
)


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(LANGUAGES), st.lists(STEPS, max_size=12).map("".join))
def test_whatever_a_caller_does_it_ends_and_says_truly_whether_a_message_is_kept(
    language: str, steps: str
) -> None:
    asyncio.run(_leave(language, steps))


async def _leave(language: str, steps: str) -> None:
    fetcher = Fetcher(FetchSettings(files=(DOCUMENTS,)), SystemClock())
    try:
        caller = Caller(fetcher)
        result = await caller.hear(language, steps or "- silence:\n")
    finally:
        await fetcher.close()
    assert errors_thrown(result) == []
    assert result.outcome.reason in {"exit", "hangup"}
    assert result.outcome.value in {"left", "none", None}
    assert len(caller.boxes.kept) == (result.outcome.value == "left")


@pytest.mark.parametrize(
    ("english", "french"),
    [
        (DOCUMENTS / "leave.en.vxml", DOCUMENTS / "leave.fr.vxml"),
        (APPS / "voicemail/en/index.vxml", APPS / "voicemail/fr/index.vxml"),
    ],
)
def test_what_is_said_is_all_that_the_languages_differ_in(english: Path, french: Path) -> None:
    assert shape(english) == shape(french)


def shape(document: Path) -> list[tuple[str, dict[str, str]]]:
    """The elements in order, with the attributes that have no words in them."""
    found = []
    for node in etree.parse(document).getroot().iter("{*}*"):
        name = etree.QName(node).localname
        is_spoken = name in {"value", "var"}
        kept = {key: text for key, text in node.items() if not is_spoken and "lang" not in key}
        found.append((name, kept))
    return found


def fail_to_say(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts that have one of these cannot be spoken."""
    start = ScriptedPlatform._start

    async def fails(platform: ScriptedPlatform, prompt: Prompt) -> Playback:
        if re.search(words, repr(prompt)):
            raise VoiceXmlEvent("error.noresource", "the voice is gone")
        return await start(platform, prompt)

    monkeypatch.setattr(ScriptedPlatform, "_start", fails)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("unspoken", ["étoile|star.", "Merci|Thank you"])
async def test_what_was_said_is_kept_though_speech_fails_after_it(
    caller: Caller, language: str, unspoken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_say(unspoken, monkeypatch)
    result = await caller.hear(language, '- record: 4s\n- dtmf: "#"\n- silence:\n')
    assert errors_thrown(result) != [] or result.outcome.reason == "error"
    assert caller.lengths() == [4.0]
    assert result.outcome.value == "left"


@pytest.mark.parametrize(
    ("keys", "unspoken", "outcome"),
    [("*", "cancelled", "none"), ("1", "full", "full"), ("1", "Sorry", "failed")],
)
async def test_what_became_of_it_is_said_truly_though_nothing_can_be_spoken(
    caller: Caller, keys: str, unspoken: str, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_say(unspoken, monkeypatch)
    leave = caller.boxes.leave

    async def refused(*args: object, **more: object) -> Message:
        raise BoxFull("sales") if outcome == "full" else StoreError("away")

    monkeypatch.setattr(caller.boxes, "leave", leave if outcome == "none" else refused)
    result = await caller.hear("en", f'- record: 4s\n- dtmf: "#"\n- dtmf: "{keys}"\n')
    assert result.outcome.value == outcome
    assert caller.lengths() == []


AGAIN = '- record: 4s\n- dtmf: "#"\n- dtmf: "3"\n'
"""A message, and then another one is wanted."""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ("- hangup:\n", [4.0]),
        ("- record: 0.4s\n  hangup:\n", [4.0]),
        ("- record: 6s\n  hangup:\n", [6.0]),
        ('- record: 0.4s\n  dtmf: "#"\n- hangup:\n', [4.0]),
        ('- record: 0.4s\n  dtmf: "#"\n' * 3 + '- dtmf: "1"\n', [4.0]),
        ('- silence:\n- silence:\n- dtmf: "1"\n', [4.0]),
        ('- silence:\n- silence:\n- dtmf: "*"\n', []),
        ('- record: 6s\n  dtmf: "#"\n- dtmf: "*"\n', []),
    ],
)
async def test_of_several_messages_the_last_that_was_complete_counts(
    caller: Caller, language: str, steps: str, kept: list[float]
) -> None:
    result = await caller.hear(language, AGAIN + steps)
    assert complaints(result) == []
    assert caller.lengths() == kept
    assert result.outcome.value == ("left" if kept else "none")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_message_is_kept_though_another_cannot_be_recorded(
    caller: Caller, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = ScriptedPlatform.record
    records: list[object] = []

    async def fails(platform: ScriptedPlatform, request: RecordRequest) -> RecordResult:
        records.append(request)
        if len(records) > 1:
            raise VoiceXmlEvent("error.noresource", "the disk is full")
        return await record(platform, request)

    monkeypatch.setattr(ScriptedPlatform, "record", fails)
    result = await caller.hear(language, AGAIN)
    assert caller.lengths() == [4.0]
    assert result.outcome.value == "left"
