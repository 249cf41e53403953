from __future__ import annotations

import pytest

from tests.grammar.conftest import dtmf, voice
from vxml_server.grammar.tokens import are_keys, words


@pytest.mark.parametrize(
    "said",
    ["New York", "new york", "  NEW \n york ", "New York!", "« new york »", "new-york"],
)
def test_case_space_hyphens_and_punctuation_around_words_do_not_count(said: str) -> None:
    assert voice('<rule id="r">New York</rule>').match(said) is not None


def test_accents_count_but_not_how_they_are_encoded() -> None:
    grammar = voice('<rule id="r">été</rule>')
    assert grammar.match("e\u0301te\u0301") is not None
    assert grammar.match("ETÉ") is None


def test_an_apostrophe_is_part_of_its_word_however_it_is_written() -> None:
    assert voice('<rule id="r">c\'est ça</rule>').match("C’est ça.") is not None


def test_bare_punctuation_in_the_input_is_not_a_word() -> None:
    match = voice('<rule id="r">hello world</rule>').match("hello , world - ")
    assert match is not None
    assert match.utterance == "hello world"


def test_bare_punctuation_in_a_grammar_is_nothing_to_hear_but_shows_in_the_tree() -> None:
    match = voice('<rule id="r">Paris - Lyon</rule>').match("paris lyon")
    assert match is not None
    assert match.tree == '$r["Paris","-","Lyon"]'


def test_a_numeral_matches_figure_by_figure() -> None:
    grammar = voice('<rule id="r">1 2 <item>34</item></rule>')
    assert grammar.match("1234") is not None
    assert grammar.match("12 3 4") is not None
    assert grammar.match("124") is None


def test_a_numeral_keeps_its_sign_and_its_separators() -> None:
    assert words("-12,5. 3.4", "voice") == (
        *(("-", "-12,5."), ("1", ""), ("2", ""), (",", ""), ("5", "")),
        *(("3", "3.4"), (".", ""), ("4", "")),
    )


def test_keys_may_be_written_together_apart_or_by_name() -> None:
    grammar = dtmf('<rule id="r">1 star <token>#</token> pound a</rule>')
    assert grammar.match("1*##A") is not None
    assert grammar.match(["1", "star", "#", "hash", "a"]) is not None
    match = grammar.match("1 * # # a")
    assert match is not None
    assert match.tree == '$r["1","*","#","#","A"]'
    assert match.utterance == "1*##A"


def test_what_is_no_key_is_known_as_such() -> None:
    assert are_keys("0123456789*#ABCD star")
    assert not are_keys("12e")


def test_the_utterance_is_what_the_grammar_writes() -> None:
    match = voice('<rule id="r">Chicago</rule>').match("CHICAGO")
    assert match is not None
    assert (match.utterance, match.tokens) == ("Chicago", ("Chicago",))
