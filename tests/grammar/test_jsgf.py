from __future__ import annotations

import pytest

from tests.grammar.conftest import refused
from vxml_server.grammar import Grammar, load

COFFEE = r"""#JSGF V1.0 ISO8859-1 en;
/** Orders. */
grammar shop.coffee;  // a package
public <order> = [please] <polite>* I want <count> <drink>+ [<NULL> | <VOID>];
<polite> = kindly | "if you would";
<count> = /3/ one {1} | /1/ (two | a couple of) {2};
<drink> = coffee | tea\; | espresso {short \{black\}};
"""


def jsgf(text: str, **options: str) -> Grammar:
    return load(text.encode("latin-1"), **options)


def test_every_kind_of_expansion() -> None:
    grammar = jsgf(COFFEE)
    assert (grammar.root, grammar.lang, grammar.mode) == ("order", "en", "voice")
    match = grammar.match("please if you would I want a couple of tea coffee")
    assert match is not None
    assert match.tree == (
        '$order["please",$polite["if you would"],"I","want",$count["a","couple","of",{!{2}!}],'
        '$drink["tea;"],$drink["coffee"]]'
    )
    short = grammar.match("i want one espresso")
    assert short is not None
    assert short.interpretation == "short {black}"
    assert grammar.match("i want one") is None


def test_the_first_public_rule_is_the_root_and_any_public_one_may_be_chosen() -> None:
    text = "#JSGF V1.0;\n<a> = x;\npublic <b-1> = y;\npublic <c> = z;"
    assert jsgf(text).match("y") is not None
    assert load(text.encode(), rule="c").match("z") is not None
    assert refused(lambda: load(text.encode(), rule="a")).name == "error.badfetch"
    assert jsgf("#JSGF V1.0;\n<a> = x;").match("x") is not None
    assert jsgf("#JSGF V1.0;").match("") is None


def test_keys() -> None:
    grammar = load(b"#JSGF V1.0;\npublic <k> = (1 2 | star) #;", mode="dtmf")
    assert grammar.match("12#") is not None
    assert grammar.match("*#") is not None


@pytest.mark.parametrize(
    "element",
    [
        "<grammar>yes [please] | no {false}</grammar>",
        '<grammar type="application/x-jsgf">yes [please] | no {false};</grammar>',
        '<grammar type="application/x-jsgf">public &lt;a&gt; = &lt;b&gt; | no {false};'
        "&lt;b&gt; = yes [please];</grammar>",
        "<grammar><![CDATA[#JSGF V1.0;\npublic <a> = yes [please] | no {false};]]></grammar>",
    ],
)
def test_it_may_stand_inside_a_voicexml_grammar_element(element: str) -> None:
    grammar = load(element.encode(), lang="en")
    assert grammar.lang == "en"
    assert grammar.match("yes please") is not None
    match = grammar.match("no")
    assert match is not None
    assert match.interpretation is False


def test_weights_order_what_is_ambiguous() -> None:
    match = jsgf("#JSGF V1.0;\npublic <a> = /1/ x {1} | /5/ x {2} | /5/ x {3};").match("x")
    assert match is not None
    assert match.interpretation == 2
