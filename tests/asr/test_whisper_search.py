"""The search for sentences, with a model that says what the tests want it to."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.asr.whisper_odds import END, ENDS, WORDS, Model, says
from vxml_server.asr.whisper_model import Tokens
from vxml_server.asr.whisper_search import (
    LOOKS,
    PRIOR_PART,
    WIDTH,
    Node,
    learn_priors,
    search,
    tree_of,
)


def test_the_sentence_that_was_said_is_the_likeliest() -> None:
    tree = tree_of(["a b", "a c", "d"], [[(0, 1)], [(0, 2)], [(3,)]])
    found = search(tree, says((0, 2)), Model(), ENDS)
    assert found[0].text == "a c"
    assert found[0].gap == pytest.approx(0.0)
    assert all(one.score >= other.score for one, other in pairwise(found))


def test_a_sentence_that_begins_another_needs_its_end() -> None:
    tree = tree_of(["six", "sixty"], [[(0,)], [(0, 1)]])
    assert search(tree, says((0,)), Model(), ENDS)[0].text == "six"
    assert search(tree, says((0, 1)), Model(), ENDS)[0].text == "sixty"


def test_the_spellings_of_a_sentence_count_together() -> None:
    tree = tree_of(["both", "one"], [[(0,), (1,)], [(2,)]])
    alike = Model({(): {0: 5.0, 1: 5.0, 2: 5.4}})
    assert search(tree, alike, Model(), ENDS)[0].text == "both"
    assert search(tree_of(["both", "one"], [[(0,)], [(2,)]]), alike, Model(), ENDS)[0].text == "one"


def test_what_silence_makes_likely_counts_less() -> None:
    heard = Model({(): {0: 5.5, 1: 5.0}})
    ways = ["usual", "rare"], [[(0,)], [(1,)]]
    assert search(tree_of(*ways), heard, Model(), ENDS)[0].text == "usual"
    assert search(tree_of(*ways), heard, Model({(): {0: 4.0}}), ENDS)[0].text == "rare"


def test_a_full_stop_is_an_end_as_well() -> None:
    tree = tree_of(["a"], [[(0,)]])
    silent, stop = Model({(): {0: 9.0}}), Model({(): {0: 9.0}, (0,): {END + 1: 9.0}})
    score = {model: search(tree, model, Model(), ENDS)[0].score for model in (silent, stop)}
    assert score[stop] > score[silent] + 1


def test_silence_is_listened_to_once_only() -> None:
    tree = tree_of(["a b", "a c"], [[(0, 1)], [(0, 2)]])
    silence = Model()
    learn_priors(tree, silence, 50)
    asked = len(silence.asked)
    search(tree, says((0, 1)), silence, ENDS)
    search(tree, says((0, 2)), silence, ENDS)
    assert asked and len(silence.asked) == asked


def test_a_great_tree_is_not_listened_to_beforehand() -> None:
    ways = list(product(range(WORDS), repeat=3))
    tree = tree_of([str(way) for way in ways], [[way] for way in ways])
    silence = Model()
    learn_priors(tree, silence, 50)
    assert not silence.asked


def test_a_search_ends_even_where_all_is_alike() -> None:
    ways = list(product(range(WORDS), repeat=4))
    tree = tree_of([str(way) for way in ways], [[way] for way in ways])
    model = Model()
    search(tree, model, Model(), ENDS)
    assert len(model.asked) <= LOOKS
    assert max(map(len, model.asked)) <= WIDTH


def test_of_ten_thousand_sentences_few_are_looked_at() -> None:
    ways = [(a, b, c, d, e) for a, b, c, d, e in product(range(WORDS), repeat=5)][:10_000]
    tree = tree_of([str(way) for way in ways], [[way] for way in ways])
    model = says(ways[4711], odds=12.0)
    assert search(tree, model, Model(), ENDS)[0].text == str(ways[4711])
    assert sum(map(len, model.asked)) < 100


def test_two_sentences_that_are_written_alike_are_one_result() -> None:
    tree = tree_of(["dix sept", "dix-sept"], [[(0, 1)], [(0, 1)]])
    assert [one.text for one in search(tree, says((0, 1)), Model(), ENDS)] == ["dix sept"]


@given(
    st.lists(
        st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=4).map(tuple),
        min_size=1,
        max_size=12,
        unique=True,
    ),
    st.data(),
)
def test_a_search_finds_what_scoring_every_sentence_would(
    ways: list[Tokens], data: st.DataObject
) -> None:
    said = data.draw(st.sampled_from(ways))
    model, silence = says(said, odds=4.0), Model({(): {0: 1.0}})
    tree = tree_of([str(way) for way in ways], [[way] for way in ways])
    best = search(tree, model, silence, ENDS)[0]
    scores = {str(way): whole_score(way, model, silence) for way in ways}
    assert best.score == pytest.approx(max(scores.values()), abs=1e-4)
    assert best.score == pytest.approx(scores[best.text], abs=1e-4)


def whole_score(way: Tokens, model: Model, silence: Model) -> float:
    def log_odds(one: Model, at: int) -> np.ndarray:
        row = one.after(way[:at]).astype(np.float64)
        return row - np.log(np.exp(row).sum())

    tokens = sum(
        log_odds(model, at)[token] - PRIOR_PART * log_odds(silence, at)[token]
        for at, token in enumerate(way)
    )
    return float(tokens + np.logaddexp.reduce(log_odds(model, len(way))[ENDS]))


def test_a_tree_shares_the_beginnings_of_sentences() -> None:
    def size(node: Node) -> int:
        return 1 + sum(map(size, node.children.values()))

    assert size(tree_of(["a", "b"], [[(0, 1, 2)], [(0, 1, 3)]]).root) == 5
