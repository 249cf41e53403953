from __future__ import annotations

import pytest

from tests.grammar.conftest import refused
from vxml_server.grammar import Status, phrase


def test_a_phrase_is_matched_as_it_is() -> None:
    grammar = phrase("Sales department, please", "en")
    match = grammar.match("sales DEPARTMENT please")
    assert match is not None
    assert match.interpretation == match.utterance == "Sales department, please"
    assert grammar.match("sales") is None


def test_an_approximate_phrase_is_any_of_its_words_in_their_order() -> None:
    grammar = phrase("the sales department", "en", approximate=True)
    for said in ("the sales department", "sales", "department", "the department"):
        match = grammar.match(said)
        assert match is not None
        assert match.utterance == said
    for said in ("", "department sales", "sales sales", "the purchase department"):
        assert grammar.match(said) is None


@pytest.mark.parametrize("keys", ["12#", "1 2 #", "1 2 pound"])
def test_keys_may_be_written_in_any_way(keys: str) -> None:
    grammar = phrase(keys, mode="dtmf", approximate=True)
    matcher = grammar.start()
    assert [matcher.feed(key) for key in "12#"] == [
        *(Status.PARTIAL, Status.PARTIAL, Status.COMPLETE)
    ]
    match = matcher.match()
    assert match is not None
    assert match.interpretation == "12#"


@pytest.mark.parametrize(
    ("text", "mode"), [("", "voice"), ("...", "voice"), ("one", "dtmf"), ("", "dtmf")]
)
def test_a_phrase_without_words_or_with_wrong_keys_is_a_bad_fetch(text, mode) -> None:
    assert refused(lambda: phrase(text, "en", mode=mode)).name == "error.badfetch"


def test_a_phrase_of_a_book_is_a_bad_fetch() -> None:
    assert refused(lambda: phrase("word " * 1000, "en")).name == "error.badfetch"
