"""What the Whisper engine makes of scores, and of settings that cannot work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.asr.whisper_odds import ENDS, Model, says
from vxml_server.asr.engines import EngineSettings
from vxml_server.asr.recognition import Samples
from vxml_server.asr.whisper import LEAD_PART, MOST_LEAD, Ear, answers, build, written
from vxml_server.asr.whisper_files import CONFIG, TOKENIZER, VOCABULARY, WEIGHTS
from vxml_server.asr.whisper_model import Text, Tokens
from vxml_server.asr.whisper_search import Scored, search, tree_of
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import builtin


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


def text(said: str | None, tokens: Tokens, score: float) -> tuple[str | None, Text]:
    return said, Text(tokens, "as the model writes it", score)


def test_what_is_written_stands_in_the_order_of_the_model_that_wrote_it() -> None:
    heard = says((0, 1))
    found = written(
        [text("one two", (0, 1), -1.0), text("one", (0,), -3.0), text("two", (1,), -2.0)],
        *(heard, Model(), ENDS),
    )
    assert [one.text for one in found] == ["one two", "two", "one"]
    assert found[0].evidence > found[1].evidence > found[2].evidence


def test_what_is_written_is_believed_as_much_as_if_it_had_been_asked_for() -> None:
    heard, silence = says((0, 1)), Model({(): {0: 4.0}})
    asked = search(tree_of(["one two"], [[(0, 1)]]), heard, silence, ENDS)
    alone = written([text("one two", (0, 1), -1.0)], heard, silence, ENDS)
    assert alone == answers(asked, [-1.0])


def test_two_ways_to_write_a_sentence_are_one_result_and_the_likelier_counts() -> None:
    texts = [text("one two", (3,), -4.0), text("one two", (0, 1), -1.0)]
    heard = says((0, 1))
    found = written(texts, heard, Model(), ENDS)
    assert found == written(texts[1:], says((0, 1)), Model(), ENDS)
    assert heard.asked == [[(0, 1)]]


def test_what_no_grammar_has_is_no_result_and_costs_nothing() -> None:
    heard = Model()
    assert written([text(None, (0, 1), -1.0), text("", (), -2.0)], heard, Model(), ENDS) == []
    assert heard.asked == []


def test_the_model_is_asked_once_about_what_it_wrote() -> None:
    heard, silence = says((0, 1, 2)), Model()
    written([text(str(n), (0, 1, n), -float(n)) for n in range(5)], heard, silence, ENDS)
    assert heard.asked == silence.asked == [[(0, 1, 0)]]


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


class Pieces:
    """A model of which only what it can write is of interest."""

    name = "pieces"
    pieces = (" 5", " 25", "2025", ",", " five", " twenty", " minus", " nice")
    end = len(pieces)

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        return [tuple(n for n, piece in enumerate(self.pieces) if piece == f" {t}") for t in texts]

    def hear(self, pcm: Samples, lang: str, silence: float) -> Model:
        return Model()


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("digits", {" 5", ",", " five"}),
        ("number", {" 5", " 25", "2025", ",", " five", " twenty", " minus"}),
    ],
)
def test_figures_are_written_one_by_one_where_all_that_may_be_said_are_digits(
    kind: str, written: set[str]
) -> None:
    model = Pieces()
    question = Ear(model, "en").question([builtin(f"builtin:grammar/{kind}", "en")])
    allowed = {piece for n, piece in enumerate(model.pieces) if n not in question.suppressed}
    assert allowed == written
