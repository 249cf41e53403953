"""What recognisers ask of a grammar, and what they are told."""

from __future__ import annotations

import random

import pytest

from tests.grammar.conftest import document, refused, voice
from vxml_server.grammar import Grammar, Hypothesis, builtin, load


def abnf(body: str, head: str = "language en; root $r;") -> Grammar:
    return load(f"#ABNF 1.0 UTF-8;\n{head}\n{body}".encode(), base_uri="http://h/g")


CITIES = "$r = [to] $city {out = rules.city}; $city = boston {'BOS'} | austin {'AUS'} | a | b;"

# Sentences ---------------------------------------------------------------------------------------


def test_the_sentences_of_a_finite_grammar_are_as_it_writes_them() -> None:
    grammar = abnf('$r = ("New York" | 1.5 | e-mail) [please] | (x | x) <1-2> | $VOID y;')
    assert grammar.sentences() == (
        *("New York", "New York please", "1.5", "1.5 please", "e-mail", "e-mail please"),
        *("x", "x x"),
    )
    assert builtin("boolean", "en", "dtmf").sentences() == ("1", "2")
    assert abnf("$r = $VOID;").sentences() == ()


@pytest.mark.parametrize(
    "body",
    [
        *("$r = a <0->;", "$r = a <2->;", "$r = a [$r];", "$r = [$r] a;", "$r = $GARBAGE;"),
        *("$r = $s; $s = [$t] a; $t = [$s] b;", "$r = (a | b) <12>;", "$r = (a [b]) <2->;"),
    ],
)
def test_no_sentences_are_listed_where_there_is_no_end_of_them(body: str) -> None:
    assert abnf(body).sentences(1000) is None


def test_sentences_are_listed_up_to_a_limit() -> None:
    digits = builtin("digits?length=3", "", "dtmf")
    assert digits.sentences(999) is None
    assert digits.sentences(1000) == tuple(f"{n:03}" for n in range(1000))


def test_a_grammar_too_large_for_an_automaton_has_sentences_too() -> None:
    rules = "".join(f"$s{n} = $s{n + 1} | $empty $s{n + 1};" for n in range(40))
    grammar = abnf(f"$r = $s0; {rules} $s40 = a | b; $empty = ();")
    assert grammar.automaton is None
    assert sorted(grammar.sentences() or ()) == ["a", "b"]


def test_random_sentences_end_however_deep_the_recursion() -> None:
    grammar = abnf("$r = a | $r $r $r | ($r <3-5>) b;")
    source = random.Random(1)
    lengths = [len((grammar.random_sentence(source) or "").split()) for _ in range(50)]
    assert 1 <= min(lengths) < max(lengths) < 2000


def test_a_sentence_that_nobody_could_say_is_not_made() -> None:
    assert abnf("$r = a <999999>;").random_sentence(random.Random(1)) is None
    assert abnf("$r = a $VOID;").random_sentence(random.Random(1)) is None


def test_all_alternatives_come_up_in_random_sentences() -> None:
    grammar = abnf("$r = (a | b | c | d | [e] f | $s) [{1} g] <0-2> $GARBAGE; $s = h | i;")
    source = random.Random(1)
    said = {word for _ in range(400) for word in (grammar.random_sentence(source) or "").split()}
    assert said == set("abcdefghi")


# Vocabulary and JSGF -----------------------------------------------------------------------------


def test_the_vocabulary_is_what_the_root_can_reach() -> None:
    files = {"http://h/x": b"#ABNF 1.0;\nlanguage fr; root $x;\n$x = oui | non;"}
    source = b'#ABNF 1.0;\nlanguage en; root $r;\n$r = $<x> "New York" yes; $unused = never;'
    grammar = load(source, base_uri="http://h/g", read=files.__getitem__)
    assert set(grammar.vocabulary()) == {
        *(("New York", "en"), ("yes", "en"), ("oui", "fr"), ("non", "fr"))
    }


def test_a_grammar_of_several_documents_is_one_in_jsgf() -> None:
    files = {"http://h/x": b"#ABNF 1.0;\nlanguage en; root $r;\n$r = it's {a} | $s; $s = x;"}
    source = document(
        """<rule id="r"><one-of><item weight="2"><ruleref uri="x"/></item><item>&quot;a;b&quot;
        <item repeat="2-3">c</item><item repeat="1-99">d</item><item repeat="0-">e</item>
        <item repeat="0">f</item><tag>{1}</tag><ruleref special="GARBAGE"/>
        <ruleref special="NULL"/></item><item><ruleref special="VOID"/></item></one-of></rule>"""
    )
    grammar = load(source, base_uri="http://h/g", read=files.__getitem__)
    assert grammar.to_jsgf() == (
        "#JSGF V1.0 UTF-8;\ngrammar r;\n"
        'public <r> = /2.0/ <r_> | /1.0/ "a;b" (c c [c]) ((d)+) (e)* <NULL> '
        "<NULL> {\\{1\\}} <NULL> <NULL> | /1.0/ <VOID>;\n"
        "<r_> = it's <NULL> {a} | <s>;\n<s> = x;\n"
    )
    again = load(grammar.to_jsgf().encode())
    assert again.match("a;b c c d d d") is not None
    assert again.match("it's") is not None


def test_built_in_types_can_be_written_as_jsgf() -> None:
    for kind in ("boolean", "digits", "number", "date", "time", "currency", "phone"):
        for lang in ("en", "fr"):
            again = load(builtin(kind, lang).to_jsgf().encode())
            source = random.Random(2)
            for _ in range(20):
                said = again.random_sentence(source)
                assert said is not None
                assert builtin(kind, lang).match(said) is not None


# What was heard ----------------------------------------------------------------------------------


def test_an_n_best_list_becomes_interpretations() -> None:
    found = abnf(CITIES).interpret(
        [
            *(Hypothesis("to houston", 0.9), Hypothesis("to boston", 0.8)),
            *(Hypothesis("boston", 0.5), Hypothesis("austin", 0.4)),
        ]
    )
    assert [(each.interpretation, each.confidence) for each in found] == [
        *(("BOS", 0.8), ("AUS", 0.4))
    ]
    assert found[0].match.utterance == "to boston"


def test_no_more_interpretations_are_made_than_are_asked_for() -> None:
    said = ["a", "b", "boston", "austin"]
    assert [each.interpretation for each in abnf(CITIES).interpret(said, 2)] == ["a", "b"]
    assert abnf(CITIES).interpret(["x"]) == ()


def test_an_ambiguous_hypothesis_has_several_interpretations_by_weight() -> None:
    grammar = abnf(
        "$r = /1/ call ann {1} | /3/ call $x {out = rules.x} | /2/ call ann {1};$x = ann;"
    )
    assert [each.interpretation for each in grammar.interpret(["call ann"])] == ["ann", 1]


def test_true_and_1_are_different_interpretations() -> None:
    found = abnf("$r = a {1} | a {true} | a {1.5};").interpret(["a"])
    assert [each.interpretation for each in found] == [1, True, 1.5]


def test_a_tag_that_fails_is_an_error_of_the_hypothesis() -> None:
    grammar = abnf("$r = a {nowhere()};", "language en; tag-format <semantics/1.0>;")
    assert refused(lambda: grammar.interpret(["a"])).name == "error.semantic"


def test_all_parses_are_given_in_the_order_of_preference() -> None:
    grammar = abnf("$r = $x <1->; $x = a {1} | a a {2} | a {3};")
    found = grammar.matches("a a", 20)
    assert [match.tree for match in found] == [
        '$r[$x["a","a",{!{2}!}]]',
        '$r[$x["a",{!{1}!}],$x["a",{!{1}!}]]',
        '$r[$x["a",{!{1}!}],$x["a",{!{3}!}]]',
        '$r[$x["a",{!{3}!}],$x["a",{!{1}!}]]',
        '$r[$x["a",{!{3}!}],$x["a",{!{3}!}]]',
    ]
    assert [match.tree for match in grammar.matches("a a", 2)] == [m.tree for m in found[:2]]
    assert grammar.matches("b") == grammar.matches("a", 0) == ()


@pytest.mark.parametrize(
    "body",
    [
        "$r = $r $r | a | ();",
        "$r = [a] [a] [a] [a] [a] [a] [a] [a] [a] [a] [a] {1} [a] a <0-> {2} a <0-> (a <0->) <0->;",
        "$r = $s <0->; $s = $t $t | $t; $t = $u $u | $u; $u = a | a | a;",
    ],
)
def test_what_is_endlessly_ambiguous_is_matched_in_time(body: str) -> None:
    grammar = abnf(body)
    match = grammar.match("a " * 40)
    assert match is not None
    found = grammar.matches("a " * 40, 5)
    assert found[0].tree == match.tree
    assert len({each.tree for each in found}) == 5


def test_states_of_an_automaton_are_forgotten_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vxml_server.grammar.automaton.MAX_KEPT", 30)
    grammar = voice(
        '<rule id="r"><item repeat="0-">a</item><item repeat="8">b</item>'
        '<ruleref special="GARBAGE"/> c</rule>'
    )
    for said in ("a a b b b b b b b b c", "b b b b b b b b x y c c", "b b b b b b b b x y x y c"):
        for _ in range(2):
            assert grammar.match(said) is not None
            assert grammar.match(said + " d") is None
    assert grammar.automaton is not None
    assert len(grammar.automaton._states) < 30
