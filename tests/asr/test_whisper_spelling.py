"""How sentences of grammars may be written, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.asr.whisper_spelling import MOST, in_words, most_figures, readings, spellings
from vxml_server.grammar import builtin, phrase


@pytest.mark.parametrize(
    ("sentence", "lang", "expected"),
    [
        ("twenty one", "en", {"twenty one", "Twenty one", "twenty-one", "21"}),
        ("seventeenth", "en", {"seventeenth", "Seventeenth", "17th"}),
        ("press 1", "en", {"press 1", "Press 1", "press one", "Press one"}),
        ("one two oh", "en", {"one two oh", "1 2 0"}),
        ("soixante dix", "fr", {"soixante dix", "soixante-dix", "70"}),
        ("dix-sept", "fr", {"dix-sept", "dix sept", "17"}),
        ("premier", "fr", {"premier", "1er"}),
        ("d’accord", "fr", {"d'accord", "D'accord"}),
        ("I am sorry", "en", {"I am sorry"}),
    ],
)
def test_a_sentence_is_known_in_each_of_its_spellings(
    sentence: str, lang: str, expected: set[str]
) -> None:
    assert expected <= set(spellings(sentence, lang))


@pytest.mark.parametrize("lang", ["ko", "xx", ""])
def test_a_language_without_number_words_has_the_plain_spellings(lang: str) -> None:
    assert spellings("hana dul", lang)[:2] == ("hana dul", "Hana dul")


@given(st.text(max_size=40), st.sampled_from(["en", "fr", "ko", "zz"]))
def test_any_text_has_few_spellings_and_some_reading(text: str, lang: str) -> None:
    assert len(spellings(text, lang)) <= MOST
    assert readings(text, lang)


@given(
    st.lists(
        st.sampled_from(["zero", "one", "two", "three", "four", "five"]), min_size=1, max_size=8
    )
)
def test_a_spelling_still_says_the_sentence(digits: list[str]) -> None:
    grammar = builtin("builtin:grammar/digits", "en")
    said = grammar.match(" ".join(digits))
    assert said is not None
    for way in spellings(" ".join(digits), "en"):
        match = grammar.match(way)
        assert match is not None and match.interpretation == said.interpretation


def test_what_a_model_writes_in_figures_is_read_in_the_words_of_a_grammar() -> None:
    grammar = phrase("seventeen two three", "en")
    assert any(grammar.match(reading) for reading in readings("17, 2, 3.", "en"))
    grammar = phrase("un deux trois", "fr")
    assert any(grammar.match(reading) for reading in readings("123", "fr"))


def test_what_a_model_writes_in_words_is_read_in_figures() -> None:
    assert any(phrase("press 2").match(reading) for reading in readings("Press two.", "en"))


@pytest.mark.parametrize(
    ("written", "lang", "number"),
    [
        ("60 15", "fr", "75"),
        ("20 5.", "fr", "25"),
        ("80 10", "fr", "90"),
        ("4, 20, 14", "fr", "94"),
        ("50-2", "en", "52"),
        ("20,5", "fr", "20.5"),
        ("20 5", "en", "25"),
        ("205", "fr", "205"),
        ("3 712", "fr", "3712"),
        ("3.712", "fr", "3712"),
        ("3.712", "en", "3.712"),
        ("3,5", "fr", "3.5"),
        ("- 18", "fr", "-18"),
        ("-18", "en", "-18"),
    ],
)
def test_a_number_that_is_written_in_parts_is_the_one_that_was_said(
    written: str, lang: str, number: str
) -> None:
    assert understood(written, lang, "number") == number


def test_a_telephone_number_keeps_its_digits_however_they_are_grouped() -> None:
    for text in ("06 12 34 56 78", "06 12 34 56 70 8", "0612345678", "0 6 1 2 3 4 5 6 7 8"):
        assert understood(text, "fr", "phone") == "0612345678"


def understood(text: str, lang: str, kind: str) -> str | None:
    """What the grammar makes of the first reading that it takes, as an engine asks it."""
    grammar = builtin(f"builtin:grammar/{kind}", lang)
    found = (grammar.match(reading) for reading in readings(text, lang))
    return next((str(match.interpretation) for match in found if match is not None), None)


def test_numbers_in_figures_are_said_in_words() -> None:
    assert in_words("les 7 premiers, le 1er", "fr") == "les sept premiers, le premier"
    assert in_words("2024", "en") == "2024"


@pytest.mark.parametrize(
    ("words", "lang", "figures"),
    [
        (["one", "two", "oh"], "en", 1),
        (["4"], "en", 1),
        (["zéro", "une"], "fr", 1),
        (["deux", "vingt"], "fr", 2),
        (["press", "Twenty one"], "en", 2),
        (["fourth"], "en", 1),
        (["2024"], "ko", 4),
        (["yes", "no"], "en", 0),
        ([], "en", 0),
    ],
)
def test_words_that_are_numbers_may_be_written_in_so_many_figures(
    words: list[str], lang: str, figures: int
) -> None:
    assert most_figures(words, lang) == figures
