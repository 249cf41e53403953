from __future__ import annotations

import pytest

from vxml_server.grammar import Grammar, JsonValue, load

TRAVEL = """;GSL2.0
; where to, and how many
.Travel:public (?[(i want) please] *to City:c {<city $c>} ?(for Count:n [person people] {<n $n>}))
City [ ([paris (city of light)] {return(paris)})
       (new york) {return("New York")} london~0.2 {return(London)} ]
Count [ one {return(1)} +two {return(strcat(t wo))} ]
"""


def gsl(text: str, **options: str) -> Grammar:
    return load(text.encode(), **options)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("i want to city of light", {"city": "paris"}),
        ("new york for one person", {"city": "New York", "n": 1}),
        ("please to to london for two two people", {"city": "London", "n": "two"}),
    ],
)
def test_slots_are_properties_of_the_interpretation(said: str, value: JsonValue) -> None:
    grammar = gsl(TRAVEL)
    assert grammar.root == ".Travel"
    match = grammar.match(said)
    assert match is not None
    assert match.interpretation == value


def test_a_rule_hands_its_slots_on() -> None:
    grammar = gsl(
        "Top (Call ?Extra)\nCall [(call bob) {<who bob> <what call>} (call nobody)]\n"
        "Extra (now {<when now>})\n"
    )
    for said, value in (
        ("call bob now", {"who": "bob", "what": "call", "when": "now"}),
        ("call nobody", {}),
    ):
        match = grammar.match(said)
        assert match is not None
        assert match.interpretation == value


def test_a_rule_without_commands_is_its_text() -> None:
    match = gsl('[yes no ("not now" ?please)]').match("not now please")
    assert match is not None
    assert match.tree == '$grammar["not now","please"]'
    assert match.interpretation == "not now please"


def test_the_text_that_a_rule_matched_may_fill_a_slot() -> None:
    match = gsl("Top (Name {<name $return>})\nName ([ann (bob smith)] {return($string)})").match(
        "bob smith"
    )
    assert match is not None
    assert match.interpretation == {"name": "bob smith"}


def test_keys() -> None:
    grammar = gsl("[(dtmf-1 dtmf-star) {<x 1>} dtmf-pound]")
    assert grammar.mode == "dtmf"
    match = grammar.match("1*")
    assert match is not None
    assert match.interpretation == {"x": 1}


def test_it_may_stand_inside_a_voicexml_grammar_element() -> None:
    for element in (
        "<grammar>[yes (of course)]</grammar>",
        '<grammar type="text/gsl">[yes (of course)]</grammar>',
        '<grammar type="application/x-nuance-gsl" mode="voice">Yes [yes (of course)]</grammar>',
    ):
        assert load(element.encode(), lang="en").match("of course") is not None
