"""How long a pause ends the speech, and what the result is: VoiceXML 2.0, 6.3.2 and appendix D."""

from __future__ import annotations

import pytest

from vxml_server.asr import Understood, VoiceEnding, VoiceRequest
from vxml_server.asr.decision import decide, patience
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, Hypothesis, builtin, load, phrase

COMPLETE, INCOMPLETE = 0.4, 1.1


def request(*grammars: Grammar, confidence_level: float = 0.5, max_nbest: int = 5) -> VoiceRequest:
    return VoiceRequest(
        grammars,
        "en",
        confidence_level=confidence_level,
        complete_timeout=COMPLETE,
        incomplete_timeout=INCOMPLETE,
        max_nbest=max_nbest,
    )


def digits(length: int) -> Grammar:
    return builtin(f"digits?length={length}", "en", "voice")


def heard(*texts: str) -> list[Hypothesis]:
    return [Hypothesis(text, 0.9 - 0.1 * place) for place, text in enumerate(texts)]


def test_a_sentence_that_nothing_can_continue_needs_the_complete_timeout() -> None:
    assert patience(heard("one two three"), request(digits(3))) == COMPLETE


def test_the_beginning_of_a_sentence_needs_the_incomplete_timeout() -> None:
    assert patience(heard("one two"), request(digits(3))) == INCOMPLETE


def test_a_sentence_that_could_go_on_needs_the_incomplete_timeout() -> None:
    assert patience(heard("one two"), request(builtin("digits", "en", "voice"))) == INCOMPLETE


def test_what_another_grammar_could_continue_is_not_complete() -> None:
    one, longer = phrase("one", "en"), phrase("one moment please", "en")
    assert patience(heard("one"), request(one)) == COMPLETE
    assert patience(heard("one"), request(one, longer)) == INCOMPLETE
    assert patience(heard("one moment please"), request(one, longer)) == COMPLETE


def test_words_that_are_not_sure_enough_may_be_the_beginning_of_others() -> None:
    unsure = [Hypothesis("one two three", 0.3)]
    assert patience(unsure, request(digits(3))) == INCOMPLETE
    assert patience(unsure, request(digits(3), confidence_level=0.3)) == COMPLETE


def test_what_no_grammar_knows_needs_the_incomplete_timeout_and_so_does_nothing() -> None:
    assert patience(heard("good grief"), request(digits(3))) == INCOMPLETE
    assert patience([], request(digits(3))) == INCOMPLETE


def test_the_best_hypothesis_that_matches_decides() -> None:
    assert patience(heard("good grief", "one two three"), request(digits(3))) == COMPLETE


def test_a_match_says_which_grammar_it_was_and_what_it_means() -> None:
    found = decide(heard("yes"), request(phrase("help", "en"), builtin("boolean", "en", "voice")))
    assert found == (VoiceEnding.MATCH, (Understood("yes", 0.9, True, 1),))


def test_of_two_grammars_that_match_the_nearer_wins() -> None:
    near, far = phrase("operator", "en"), phrase("operator", "en")
    _, nbest = decide(heard("operator"), request(near, far))
    assert [one.grammar for one in nbest] == [0]


def test_the_likelier_words_of_a_farther_grammar_win() -> None:
    _, nbest = decide(
        [Hypothesis("left", 0.5), Hypothesis("right", 0.7)],
        request(phrase("left", "en"), phrase("right", "en")),
    )
    assert [(one.utterance, one.grammar) for one in nbest] == [("right", 1), ("left", 0)]


def test_the_list_is_as_long_as_was_asked_for() -> None:
    grammars = (phrase("left", "en"), phrase("right", "en"))
    _, nbest = decide(heard("left", "right"), request(*grammars, max_nbest=1))
    assert [one.utterance for one in nbest] == ["left"]


def test_an_ambiguous_sentence_has_its_interpretations_in_the_list() -> None:
    ambiguous = load(
        b"#ABNF 1.0;\nlanguage en; mode voice; root $a; tag-format <semantics/1.0-literals>;"
        b"$a = paris {France} | paris {Texas};"
    )
    _, nbest = decide(heard("paris"), request(ambiguous))
    assert [one.interpretation for one in nbest] == ["France", "Texas"]
    _, nbest = decide(heard("paris"), request(ambiguous, max_nbest=1))
    assert [one.interpretation for one in nbest] == ["France"]


def test_too_little_confidence_is_a_nomatch_that_tells_what_matched() -> None:
    ending, nbest = decide([Hypothesis("left", 0.4)], request(phrase("left", "en")))
    assert ending is VoiceEnding.NOMATCH
    assert nbest == (Understood("left", 0.4, "left", 0),)


def test_confidence_that_is_just_enough_is_enough() -> None:
    ending, _ = decide([Hypothesis("left", 0.5)], request(phrase("left", "en")))
    assert ending is VoiceEnding.MATCH


def test_what_no_grammar_takes_is_a_nomatch_that_tells_what_was_heard() -> None:
    found = decide(heard("good grief", "good beef"), request(phrase("left", "en")))
    assert found == (VoiceEnding.NOMATCH, (Understood("good grief", 0.9, None, None),))


def test_nothing_understood_is_a_nomatch_without_words() -> None:
    found = decide([], request(phrase("left", "en")))
    assert found == (VoiceEnding.NOMATCH, (Understood("", 0.0, None, None),))


def test_dictation_takes_what_it_hears() -> None:
    ending, nbest = decide(heard("dear sir"), request())
    assert ending is VoiceEnding.MATCH
    assert nbest == (Understood("dear sir", 0.9, "dear sir", None),)
    assert decide([Hypothesis(" ", 0.9)], request())[0] is VoiceEnding.NOMATCH


def test_a_tag_that_fails_leaves_as_an_event() -> None:
    broken = load(
        b"#ABNF 1.0;\nlanguage en; mode voice; root $a; tag-format <semantics/1.0>;"
        b"$a = left {out = nothing.at.all};"
    )
    with pytest.raises(VoiceXmlEvent, match=r"error\.semantic"):
        decide(heard("left"), request(broken))
