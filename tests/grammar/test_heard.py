"""N-best lists out of several grammars: likelihood, then precedence, and nothing twice."""

from __future__ import annotations

from vxml_server.grammar import Hypothesis, load, nbest, phrase

LEFT, RIGHT = phrase("left", "en"), phrase("right", "en")


def said(*texts: str) -> list[Hypothesis]:
    return [Hypothesis(text, 0.5 + 0.1 * place) for place, text in enumerate(texts)]


HEAD = "#ABNF 1.0;\nlanguage en; mode voice; root $a; tag-format <semantics/1.0>;\n"


def abnf(rule: str) -> bytes:
    return (HEAD + rule).encode()


def test_the_likeliest_words_come_first_whatever_their_order() -> None:
    found = nbest(said("left", "right"), (LEFT, RIGHT), 5)
    assert [(one.match.utterance, one.grammar) for one in found] == [("right", 1), ("left", 0)]


def test_the_same_words_are_the_nearer_grammar_s() -> None:
    assert [one.grammar for one in nbest(said("left"), (RIGHT, LEFT, LEFT), 5)] == [1]


def test_words_that_mean_something_else_elsewhere_are_there_twice() -> None:
    one, other = load(abnf("$a = left {out = 1};")), load(abnf("$a = left {out = true};"))
    found = nbest(said("left"), (one, other), 5)
    assert [heard.match.interpretation for heard in found] == [1, True]


def test_an_ambiguous_sentence_counts_as_often_as_the_list_is_long() -> None:
    twice = load(abnf("$a = paris {out = 'France'} | paris {out = 'Texas'};"))
    for limit, expected in ((1, ["France"]), (2, ["France", "Texas"])):
        found = nbest(said("paris"), (twice,), limit)
        assert [heard.match.interpretation for heard in found] == expected


def test_what_nobody_knows_is_not_in_the_list() -> None:
    assert nbest(said("up", "down"), (LEFT, RIGHT), 5) == ()
    assert nbest((), (LEFT,), 5) == ()
    assert nbest(said("left"), (), 5) == ()
