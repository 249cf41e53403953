"""What the Whisper engine makes of scores, and of settings that cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from vxml_server.asr.engines import EngineSettings
from vxml_server.asr.whisper import LEAD_PART, MOST_LEAD, answers, build
from vxml_server.asr.whisper_files import CONFIG, TOKENIZER, VOCABULARY, WEIGHTS
from vxml_server.asr.whisper_search import Scored
from vxml_server.events import VoiceXmlEvent


def scored(text: str, score: float, tokens: int = 1) -> Scored:
    return Scored(text, score, score, 0.0, tokens)


def model(folder: Path, vocabulary: str) -> str:
    folder.mkdir()
    for name in (WEIGHTS, CONFIG, TOKENIZER):
        (folder / name).write_bytes(b"{}")
    (folder / VOCABULARY).write_text(vocabulary)
    return str(folder)


def test_a_sentence_that_leads_by_much_is_believed_more() -> None:
    close = answers([scored("a", 2.0), scored("b", 1.9)], [2.0, 1.9])
    clear = answers([scored("a", 2.0), scored("b", -3.0)], [2.0, -3.0])
    assert clear[0].evidence > close[0].evidence
    assert [one.text for one in clear] == ["a", "b"]


def test_a_lead_counts_up_to_a_limit_and_a_sentence_alone_has_all_of_it() -> None:
    alone = answers([scored("a", 2.0)], [2.0])
    far = answers([scored("a", 2.0), scored("b", -90.0)], [2.0, -90.0])
    assert alone[0].evidence == far[0].evidence == pytest.approx(1.0 + LEAD_PART * MOST_LEAD)
    assert far[1].evidence == pytest.approx(-45.0 - LEAD_PART * MOST_LEAD)


def test_a_long_sentence_is_judged_by_its_mean() -> None:
    short, long = answers([scored("a", 2.0, 1)], [2.0]), answers([scored("b", 6.0, 5)], [6.0])
    assert short[0].evidence == long[0].evidence


def test_nothing_found_is_no_answer() -> None:
    assert answers([], []) == []


def test_an_engine_without_a_model_is_refused() -> None:
    with pytest.raises(VoiceXmlEvent, match=r"error\.noresource.*needs a model"):
        build(EngineSettings())


def test_an_engine_speaks_the_languages_of_its_models_before_they_are_loaded(
    tmp_path: Path,
) -> None:
    english = model(tmp_path / "english", "!\n<|en|>\n")
    many = model(tmp_path / "many", "!\n\n<|en|>\n<|fr|>\n<|de|>\n")
    engine = build(EngineSettings({"en-GB": english, "*": many}))
    assert [engine.speaks(lang) for lang in ("en-US", "FR", "de-CH", "it")] == [True] * 3 + [False]
    assert engine.identity in {"whisper english+many", "whisper many+english"}


def test_a_model_for_a_language_that_it_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VoiceXmlEvent, match="does not know the language 'fr'"):
        build(EngineSettings({"fr": model(tmp_path / "english", "!\n<|en|>\n")}))


def test_weights_that_are_none_are_refused_when_they_are_loaded(tmp_path: Path) -> None:
    engine = build(EngineSettings({"en": model(tmp_path / "empty", "!\n<|en|>\n")}))
    with pytest.raises(VoiceXmlEvent, match=r"error\.noresource.*cannot be used"):
        engine.load()
