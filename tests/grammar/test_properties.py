"""Random small grammars: the parser against a set of sentences made without it."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.grammar.conftest import SRGS
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, JointMatcher, Status, builtin, load
from vxml_server.grammar.chart import Chart
from vxml_server.grammar.rules import (
    Expansion,
    OneOf,
    Repeat,
    RuleRef,
    Sequence,
    Special,
    Tag,
    Token,
)

WORDS = "ab"
LENGTH = 4
NAMES = ("r", "s", "t")

Sentence = tuple[str, ...]
Rules = Mapping[str, Expansion]


def expansions(depth: int = 3) -> st.SearchStrategy[Expansion]:
    tokens: st.SearchStrategy[Expansion] = st.sampled_from([Token(word) for word in WORDS])
    leaves: st.SearchStrategy[Expansion] = st.one_of(
        tokens,
        st.sampled_from([RuleRef("", name, f"${name}") for name in NAMES]),
        st.sampled_from([Tag("x"), Special.NULL, Special.VOID, Token("a"), Token("b")]),
    )
    if depth == 0:
        return leaves
    inner = expansions(depth - 1)
    counts = st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 2)))
    probabilities = st.sampled_from([None, 0.0, 0.25, 0.5, 1.0])
    return st.one_of(
        leaves,
        st.lists(inner, max_size=3).map(lambda parts: Sequence(tuple(parts))),
        alternatives(inner, 1),
        st.builds(
            lambda body, c, p: Repeat(body, c[0], None if c[1] is None else c[0] + c[1], p),
            *(inner, counts, probabilities),
        ),
    )


def alternatives(inner: st.SearchStrategy[Expansion], least: int) -> st.SearchStrategy[Expansion]:
    weighted = st.tuples(inner, st.sampled_from([1.0, 1.0, 0.5, 2.0]))
    return st.lists(weighted, min_size=least, max_size=6).map(
        lambda parts: OneOf(tuple(part for part, _ in parts), tuple(weight for _, weight in parts))
    )


grammars = st.fixed_dictionaries(
    {"r": alternatives(expansions(), 3)} | {name: expansions() for name in NAMES[1:]}
)


def as_xml(expansion: Expansion) -> str:
    match expansion:
        case Token(text):
            return f" {text} "
        case Tag(text):
            return f"<tag>{text}</tag>"
        case RuleRef(rule=rule):
            return f'<ruleref uri="#{rule}"/>'
        case Special():
            return f'<ruleref special="{expansion.value}"/>'
        case Sequence(items):
            return f"<item>{''.join(map(as_xml, items))}</item>"
        case OneOf(alternatives, weights):
            items = (
                f'<item weight="{weight}">{as_xml(branch)}</item>'
                for branch, weight in zip(alternatives, weights, strict=True)
            )
            return f"<one-of>{''.join(items)}</one-of>"
        case Repeat(body, least, most, probability):
            likely = "" if probability is None else f' repeat-prob="{probability}"'
            counts = f"{least}-{'' if most is None else most}"
            return f'<item repeat="{counts}"{likely}>{as_xml(body)}</item>'


def as_abnf(expansion: Expansion) -> str:
    match expansion:
        case Token(text):
            return text
        case Tag(text):
            return f"{{{text}}}"
        case RuleRef(rule=rule):
            return f"${rule}"
        case Special():
            return f"${expansion.value}"
        case Sequence(items):
            return f"({' '.join(map(as_abnf, items))})"
        case OneOf(alternatives, weights):
            pairs = zip(alternatives, weights, strict=True)
            return f"({'|'.join(f'/{weight}/ {as_abnf(branch)}' for branch, weight in pairs)})"
        case Repeat(body, least, most, probability):
            likely = "" if probability is None else f" /{probability}/"
            return f"({as_abnf(body)}) <{least}-{'' if most is None else most}{likely}>"


def xml_form(rules: Rules) -> Grammar:
    inside = "".join(f'<rule id="{name}">{as_xml(body)}</rule>' for name, body in rules.items())
    head = f'<grammar xmlns="{SRGS}" version="1.0" xml:lang="en" root="r">'
    return load(f"{head}{inside}</grammar>".encode())


def abnf_form(rules: Rules) -> Grammar:
    inside = "".join(f"${name} = {as_abnf(body)};\n" for name, body in rules.items())
    return load(f"#ABNF 1.0;\nlanguage en; root $r;\n{inside}".encode())


def join(left: set[Sentence], right: set[Sentence]) -> set[Sentence]:
    return {a + b for a in left for b in right if len(a) + len(b) <= LENGTH}


def sentences(expansion: Expansion, known: Mapping[str, set[Sentence]]) -> set[Sentence]:
    """The sentences of an expansion up to LENGTH, given those of the rules."""
    match expansion:
        case Token(text):
            return {(text,)}
        case RuleRef(rule=rule):
            return known[rule]
        case Special.VOID:
            return set()
        case Sequence(items):
            found: set[Sentence] = {()}
            for item in items:
                found = join(found, sentences(item, known))
            return found
        case OneOf(alternatives):
            return set().union(*(sentences(branch, known) for branch in alternatives))
        case Repeat(body, least, most):
            turn = sentences(body, known)
            found, total = {()}, set()
            for count in range((most if most is not None else least + LENGTH) + 1):
                total |= found if count >= least else set()
                found = join(found, turn)
            return total
        case _:
            return {()}


def language(rules: Rules) -> set[Sentence]:
    """All sentences of the root up to LENGTH: the least fixed point."""
    known: dict[str, set[Sentence]] = {name: set() for name in rules}
    while True:
        better = {name: sentences(body, known) for name, body in rules.items()}
        if better == known:
            return known["r"]
        known = better


ALL = [s for n in range(LENGTH + 1) for s in itertools.product(WORDS, repeat=n)]


@given(grammars)
@settings(max_examples=examples(150), deadline=None)
def test_a_grammar_accepts_exactly_its_sentences(rules: Rules) -> None:
    grammar, expected = xml_form(rules), language(rules)
    for sentence in ALL:
        match = grammar.match(sentence)
        assert (match is not None) == (sentence in expected), sentence
        if match is not None:
            assert match.tokens == sentence


@given(grammars)
@settings(max_examples=examples(100), deadline=None)
def test_the_matcher_agrees_with_the_sentences_at_every_prefix(rules: Rules) -> None:
    grammar, expected = xml_form(rules), language(rules)
    prefixes = {sentence[:n] for sentence in expected for n in range(len(sentence) + 1)}
    continued = {sentence[:n] for sentence in expected for n in range(len(sentence))}
    for sentence in ALL:
        matcher = grammar.start()
        for word in sentence:
            matcher.feed(word)
        status, found, whole = matcher.status, matcher.match(), grammar.match(sentence)
        assert status.matches == (sentence in expected)
        assert (found and found.tree) == (whole and whole.tree)
        if sentence in prefixes:
            assert status is not Status.DEAD
        if sentence in continued:
            assert status in {Status.PARTIAL, Status.MATCH_OPEN}
        if status is Status.DEAD:
            assert all(matcher.feed(word) is Status.DEAD for word in WORDS)
        if status is Status.COMPLETE:
            assert all(grammar.match((*sentence, word)) is None for word in WORDS)


@given(grammars)
@settings(max_examples=examples(100), deadline=None)
def test_what_is_not_dead_can_still_match(rules: Rules) -> None:
    """From any live prefix some word leads on, or the prefix is a match already."""
    grammar = xml_form(rules)
    for sentence in ALL:
        status = grammar_status(grammar, sentence)
        onward = [grammar_status(grammar, (*sentence, word)) for word in WORDS]
        alive = any(following is not Status.DEAD for following in onward)
        assert alive == (status in {Status.PARTIAL, Status.MATCH_OPEN})


def grammar_status(grammar: Grammar, sentence: Sentence) -> Status:
    matcher = grammar.start()
    for word in sentence:
        matcher.feed(word)
    return matcher.status


@given(grammars)
@settings(max_examples=examples(100), deadline=None)
def test_the_xml_and_the_abnf_form_are_the_same_grammar(rules: Rules) -> None:
    xml, abnf = xml_form(rules), abnf_form(rules)
    for sentence in ALL:
        one, other = xml.match(sentence), abnf.match(sentence)
        assert (one and one.tree) == (other and other.tree)
        assert (one and one.interpretation) == (other and other.interpretation)


@given(grammars)
@settings(max_examples=examples(150), deadline=None)
def test_the_automaton_agrees_with_the_parser(rules: Rules) -> None:
    automaton = xml_form(rules)
    parser = replace(automaton, automaton=None)
    for sentence in ALL:
        one, other = automaton.start(), parser.start()
        for word in sentence:
            assert one.feed(word) is other.feed(word)
        assert one.status is other.status
        found, expected = one.match(), other.match()
        assert (found and found.tree) == (expected and expected.tree)
        assert (found and found.tokens) == (expected and expected.tokens)
        assert (found and found.interpretation) == (expected and expected.interpretation)


@given(st.lists(grammars, min_size=1, max_size=3), st.lists(st.booleans(), min_size=3, max_size=3))
@settings(max_examples=examples(60), deadline=None)
def test_grammars_that_listen_together_match_what_they_match_alone(
    several: list[Rules], without_automaton: list[bool]
) -> None:
    together = [
        replace(xml_form(rules), automaton=None) if plain else xml_form(rules)
        for rules, plain in zip(several, without_automaton, strict=False)
    ]
    for sentence in ALL:
        alone = [grammar.start() for grammar in together]
        joint = JointMatcher(together)
        for word in sentence:
            for matcher in alone:
                matcher.feed(word)
            joint.feed(word)
        going_on = {Status.PARTIAL, Status.MATCH_OPEN}
        assert joint.status.matches == any(matcher.status.matches for matcher in alone)
        assert (joint.status in going_on) == any(matcher.status in going_on for matcher in alone)
        expected = [(n, match.tree) for n, m in enumerate(alone) if (match := m.match())]
        assert [(number, match.tree) for number, match in joint.matches()] == expected


def test_no_grammar_at_all_matches_nothing() -> None:
    joint = JointMatcher([])
    assert joint.feed("1") is Status.DEAD
    assert joint.matches() == []


def test_joint_states_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vxml_server.grammar.joint.MAX_STATES", 3)
    joint = JointMatcher([builtin("digits?length=12", mode="dtmf"), builtin("date", mode="dtmf")])
    statuses = [joint.feed(key) for key in "202612241234"]
    assert statuses[-1] is Status.COMPLETE
    assert [match.utterance for _, match in joint.matches()] == ["202612241234"]


def test_most_of_the_grammars_above_have_an_automaton() -> None:
    """Otherwise the property before this one would say nothing."""
    with_automaton = []

    @given(grammars)
    @settings(max_examples=examples(200), deadline=None, database=None)
    def count(rules: Rules) -> None:
        with_automaton.append(xml_form(rules).automaton is not None)

    count()
    assert len(with_automaton) / 3 < sum(with_automaton) < len(with_automaton)


@given(grammars)
@settings(max_examples=examples(100), deadline=None)
def test_all_parses_begin_with_the_preferred_and_differ(rules: Rules) -> None:
    grammar = xml_form(rules)
    for sentence in ALL:
        best = grammar.match(sentence)
        found = grammar.matches(sentence, 4)
        assert (best is None) == (not found)
        assert len({match.tree for match in found}) == len(found) <= 4
        assert all(match.tokens == sentence for match in found)
        if best is not None:
            assert found[0].tree == best.tree


@given(grammars, st.randoms(use_true_random=False))
@settings(max_examples=examples(150), deadline=None)
def test_generated_sentences_are_accepted(rules: Rules, source: random.Random) -> None:
    grammar, expected = xml_form(rules), language(rules)
    for _ in range(10):
        sentence = grammar.random_sentence(source)
        if sentence is None:
            assert not expected
            return
        if len(sentence) < 80:  # recursion may make it long, and only that
            match = grammar.match(sentence)
            assert match is not None
            assert match.utterance == sentence


@given(grammars)
@settings(max_examples=examples(150), deadline=None)
def test_the_sentences_of_a_finite_grammar_are_all_of_them(rules: Rules) -> None:
    found = xml_form(rules).sentences(2000)
    if found is None:
        return
    assert len(set(found)) == len(found)
    short = {tuple(text.split()) for text in found if len(text.split()) <= LENGTH}
    assert short == language(rules)


@given(grammars)
@settings(max_examples=examples(100), deadline=None)
def test_a_grammar_written_as_jsgf_accepts_the_same(rules: Rules) -> None:
    grammar = xml_form(rules)
    again = load(grammar.to_jsgf().encode())
    for sentence in ALL:
        assert (grammar.match(sentence) is None) == (again.match(sentence) is None)
    assert {word for word, _ in again.vocabulary()} == {word for word, _ in grammar.vocabulary()}


@given(grammars)
@settings(max_examples=examples(100), deadline=None)
def test_no_ambiguity_makes_the_work_exponential(rules: Rules) -> None:
    """Twice the words are eight times the items at most; a careless parser would square them."""
    network = xml_form(rules).network
    sizes = []
    for length in (8, 16):
        chart = Chart(network)
        for _ in range(length):
            chart.feed("a", "a")
        sizes.append(chart._size)
    assert sizes[1] <= 8 * sizes[0] + 100


XML_SAMPLE = f"""<grammar xmlns="{SRGS}" version="1.0" xml:lang="en" root="r" xml:base="x/">
<tag>var n</tag><rule id="r" scope="public">go <item repeat="0-2" repeat-prob="0.5">to</item>
<one-of><item weight="1">"New York"<tag>out = 1</tag></item><item><ruleref uri="#s"/></item>
</one-of></rule><rule id="s"><ruleref special="GARBAGE"/>
<ruleref uri="builtin:grammar/digits?length=2"/></rule></grammar>"""
ABNF_SAMPLE = """#ABNF 1.0 UTF-8;
language en; mode voice; root $r; base <x/>; meta "a" is "b"; {var n};
public $r = go [to] <0-2 /0.5/> ("New York" {out = 1} | /2/ $s!en);
$s = $GARBAGE $<builtin:grammar/digits?length=2> {!{x}!};
"""
JSGF_SAMPLE = """#JSGF V1.0 UTF-8 en;
grammar a.b; public <r> = go [to]+ {out = 1} (/2/ "New York" | /1/ <s>*) // x
; <s> = <NULL> a\\; b {c\\}};
"""
GSL_SAMPLE = """;GSL2.0
Go:public (go ?to +To:x {<place $x> <n 3>} *[please (new york)~0.3])
To [ york {return("York")} paris {return(strcat(a $string))} ]
"""
SCRAPS = [
    "",
    "<",
    ">",
    '"',
    "&",
    "$",
    "{",
    "}",
    "(",
    "|",
    ";",
    "#",
    "http://[",
    "<item>",
    "</item>",
]

edits = st.lists(
    st.tuples(st.integers(0, 700), st.integers(0, 9), st.sampled_from(SCRAPS)), max_size=4
)


@given(st.sampled_from([XML_SAMPLE, ABNF_SAMPLE, JSGF_SAMPLE, GSL_SAMPLE]), edits)
@settings(max_examples=examples(300), deadline=None)
def test_no_damage_to_a_grammar_raises_anything_but_an_event(
    text: str, damage: list[tuple[int, int, str]]
) -> None:
    for at, length, scrap in damage:
        text = text[:at] + scrap + text[at + length :]
    only_an_event(text.encode())


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: f"#ABNF 1.0;\n{t}".encode()))
@settings(max_examples=examples(200), deadline=None)
def test_no_content_raises_anything_but_an_event(source: bytes) -> None:
    only_an_event(source)


def only_an_event(source: bytes) -> None:
    with contextlib.suppress(VoiceXmlEvent):
        match = load(source, lang="en", base_uri="http://h/").match("go to new york")
        assert match is None or match.interpretation != "no JSON"
