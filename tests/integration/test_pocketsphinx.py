"""PocketSphinx in its child process, with real prompts and with garbage."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.integration.listeners import choice, hear
from vxml_server.asr import EngineSettings, RecognitionProperties, SpeechEngine, build
from vxml_server.audio import decode
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import builtin, load

pytestmark = pytest.mark.integration

SOUNDS = Path("/usr/share/asterisk/sounds/en")
DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
ENGLISH = "en-US"
LINE = np.random.default_rng(1).normal(0, 8, 2000)


@pytest.fixture(scope="module")
def engine() -> Iterator[SpeechEngine]:
    engine = build("pocketsphinx", EngineSettings(processes=1))
    engine.load()
    yield engine
    engine.close()


def prompt(name: str) -> np.ndarray:
    spoken = decode((SOUNDS / f"{name}.wav").read_bytes()).pcm
    return np.concatenate((LINE, spoken, LINE)).astype(np.int16)


def test_the_days_of_the_week_are_understood(engine: SpeechEngine) -> None:
    for number, day in enumerate(DAYS):
        best, *_ = hear(engine, ENGLISH, prompt(f"digits/day-{number}"), choice(*DAYS))
        assert best.text == day
        assert best.confidence > 0.5


def test_most_of_what_no_grammar_allows_is_not_believed(engine: SpeechEngine) -> None:
    months = [hear(engine, ENGLISH, prompt(f"digits/mon-{n}"), choice(*DAYS)) for n in range(12)]
    believed = [heard for heard in months if heard and heard[0].confidence >= 0.5]
    assert len(believed) <= 2


def test_a_result_may_be_asked_for_again_when_the_caller_goes_on(engine: SpeechEngine) -> None:
    days = choice(f"({' | '.join(DAYS)})+")
    utterance = engine.start([days], RecognitionProperties(ENGLISH))
    utterance.feed(prompt("digits/day-1"))
    first = utterance.result()
    utterance.feed(prompt("digits/day-6"))
    second = utterance.result()
    utterance.close()
    assert first[0].text == "monday"
    assert second[0].text == "monday saturday"


def test_an_invented_word_is_pronounced_as_it_is_read(engine: SpeechEngine) -> None:
    best, *_ = hear(engine, ENGLISH, prompt("digits/day-2"), choice("tyuzdey", "vxml", "42"))
    assert best.text == "tyuzdey"


def test_recursion_that_the_decoder_refuses_is_searched_as_a_loop(engine: SpeechEngine) -> None:
    recursive = load(b"#ABNF 1.0;\nlanguage en;\nroot $r;\n$r = $r one | two;")
    heard = hear(engine, ENGLISH, prompt("digits/2"), recursive)
    assert [one.text for one in heard] == ["two"]


def test_another_language_is_refused(engine: SpeechEngine) -> None:
    with pytest.raises(VoiceXmlEvent) as refused:
        engine.start([choice("oui")], RecognitionProperties("fr"))
    assert refused.value.name == "error.unsupported.language"


def test_garbage_is_no_more_than_misheard(engine: SpeechEngine) -> None:
    source, noise = random.Random(1), np.random.default_rng(1)
    grammars = [
        (builtin("boolean", "en"), builtin("digits", "en")),
        (choice("日本", "zürich", '"new york"'),),
        (choice("<NULL>"),),
        (choice("a*"),),
    ]
    for number in range(300):
        length = source.choice([0, 1, 80, 1000, 8000])
        garbage = (
            noise.integers(-32768, 32767, length),
            np.full(length, 32767),
            noise.normal(0, 3000, length),
        )[number % 3]
        heard = hear(engine, ENGLISH, garbage.astype(np.int16), *source.choice(grammars))
        assert all(0 <= one.confidence <= 1 for one in heard)
    assert hear(engine, ENGLISH, prompt("digits/day-1"), choice(*DAYS))[0].text == "monday"
