"""A little of the fuzzer of speech; `python -m tests.fuzz.speech` is the whole of it."""

import asyncio
from random import Random

import pytest

from tests.fuzz import sounds, ssml
from tests.fuzz.speech import read, run
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import TtsSettings
from vxml_server.tts.plan import Text
from vxml_server.tts.ssml import MAX_TEXT, parse


def test_spoilt_documents_are_spoken_or_an_event_and_leave_nothing_behind() -> None:
    _, found = asyncio.run(run(0, 100, 0, TtsSettings(isolated=())))
    assert found == []


@pytest.mark.parametrize("block", range(4))
def test_any_document_is_a_plan_within_its_limits_or_a_semantic_error(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        try:
            plan = parse(ssml.request(Random(seed)))
        except VoiceXmlEvent as event:
            assert event.name == "error.semantic"
            continue
        assert sum(len(item.text) for item in plan.items if isinstance(item, Text)) <= MAX_TEXT


@pytest.mark.parametrize("file", sounds.seeds(), ids=lambda file: file.kind)
def test_every_kind_of_file_is_heard_while_it_is_whole(file: sounds.File) -> None:
    assert read(file.data, file.media_type) == "heard"


@pytest.mark.parametrize("block", range(3))
def test_damaged_files_are_heard_or_an_event(block: int) -> None:
    for seed in range(block * 40, block * 40 + 40):
        file = sounds.damaged(Random(seed))
        try:
            read(file.data, file.media_type)
        except Exception as failure:
            raise AssertionError(f"--seed {seed} --documents 0 --files 1: {file.kind}") from failure
