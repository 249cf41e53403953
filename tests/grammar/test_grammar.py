from __future__ import annotations

import pytest

from tests.grammar.conftest import dtmf, voice
from vxml_server.grammar import Status, builtin

DEAD, PARTIAL, OPEN, COMPLETE = Status.DEAD, Status.PARTIAL, Status.MATCH_OPEN, Status.COMPLETE


def statuses(grammar, keys):
    matcher = grammar.start()
    return [matcher.status, *(matcher.feed(key) for key in keys)]


def test_a_grammar_of_fixed_length_is_complete_at_its_last_key() -> None:
    grammar = dtmf('<rule id="r"><item repeat="3">1</item></rule>')
    assert statuses(grammar, "1111") == [PARTIAL, PARTIAL, PARTIAL, COMPLETE, DEAD]


def test_a_match_that_could_continue_is_open() -> None:
    grammar = dtmf('<rule id="r"><one-of><item>1</item><item>12</item></one-of></rule>')
    assert statuses(grammar, "12") == [PARTIAL, OPEN, COMPLETE]
    assert statuses(grammar, "2") == [PARTIAL, DEAD]


def test_an_optional_grammar_matches_before_any_key() -> None:
    grammar = dtmf('<rule id="r"><item repeat="0-1">#</item></rule>')
    assert statuses(grammar, "#") == [OPEN, COMPLETE]
    assert dtmf('<rule id="r"/>').start().status is COMPLETE


def test_a_prefix_that_only_leads_to_void_is_dead() -> None:
    grammar = dtmf(
        """<rule id="r"><one-of><item>1 <ruleref special="VOID"/></item><item>2
        <item repeat="0-"><ruleref uri="#forever"/></item> <item repeat="0-3"><ruleref
        special="VOID"/></item></item></one-of></rule>
        <rule id="forever">3 <ruleref uri="#forever"/></rule>"""
    )
    assert statuses(grammar, "1") == [PARTIAL, DEAD]
    assert statuses(grammar, "23") == [PARTIAL, COMPLETE, DEAD]
    assert dtmf('<rule id="r"><ruleref uri="#r"/></rule>').start().status is DEAD


def test_garbage_can_always_continue() -> None:
    assert statuses(dtmf('<rule id="r">1<ruleref special="GARBAGE"/></rule>'), "19") == [
        *(PARTIAL, OPEN, OPEN)
    ]


def test_the_dead_stay_dead_and_match_nothing() -> None:
    matcher = dtmf('<rule id="r">1</rule>').start()
    assert [matcher.feed(key) for key in "21"] == [DEAD, DEAD]
    assert matcher.match() is None


def test_a_matcher_gives_the_match_of_what_was_fed_so_far() -> None:
    matcher = builtin("digits", mode="dtmf").start()
    found = []
    for key in "123":
        matcher.feed(key)
        match = matcher.match()
        assert match is not None
        found.append(match.utterance)
    assert found == ["1", "12", "123"]


def test_a_matching_status_says_so() -> None:
    assert [status.matches for status in (DEAD, PARTIAL, OPEN, COMPLETE)] == [
        *(False, False, True, True)
    ]


def test_matchers_of_one_grammar_do_not_disturb_each_other() -> None:
    grammar = dtmf('<rule id="r">1 2</rule>')
    one, other = grammar.start(), grammar.start()
    one.feed("1")
    assert other.status is PARTIAL
    assert other.feed("2") is DEAD
    assert one.feed("2") is COMPLETE


def test_the_first_alternative_in_document_order_wins() -> None:
    grammar = voice(
        """<rule id="r"><one-of><item>a <tag>1</tag></item><item><ruleref uri="#x"/><tag>2</tag>
        </item><item>a <tag>3</tag></item><item>a b <tag>4</tag></item><item>a
        <item repeat="0-1">b</item><tag>5</tag></item></one-of></rule><rule id="x">a</rule>"""
    )
    for said, value in (("a", 1), ("a b", 4)):
        match = grammar.match(said)
        assert match is not None
        assert match.interpretation == value


def test_alternatives_with_a_common_beginning_keep_their_order() -> None:
    items = "".join(f"<item>a {word} <tag>{n}</tag></item>" for n, word in enumerate("bcdbcdbcd"))
    grammar = voice(f'<rule id="r"><one-of>{items}</one-of></rule>')
    values = [match and match.interpretation for match in map(grammar.match, ("a b", "a c", "a d"))]
    assert values == [0, 1, 2]


def test_alternatives_with_a_common_beginning_show_their_own_tokens() -> None:
    items = '<item>"New York" A</item><item>New York B</item><item>new york c</item><item>d</item>'
    grammar = voice(f'<rule id="r"><one-of>{items}</one-of></rule>')
    trees = [match and match.tree for match in map(grammar.match, ("new york a", "new york c"))]
    assert trees == ['$r["New York","A"]', '$r["new","york","c"]']


def test_a_repeat_takes_what_it_can_and_garbage_what_it_must() -> None:
    match = voice(
        """<rule id="r"><item repeat="0-">a<tag>1</tag></item><item repeat="0-">a<tag>2</tag></item>
        <ruleref special="GARBAGE"/><item repeat="0-2">b<tag>3</tag></item></rule>"""
    ).match("a a b b b")
    assert match is not None
    assert match.tree == '$r["a",{!{1}!},"a",{!{1}!},"b",{!{3}!},"b",{!{3}!}]'


def test_a_rule_reference_takes_the_longest_that_lets_the_rest_match() -> None:
    match = voice(
        """<rule id="r"><ruleref uri="#x"/><ruleref uri="#y"/></rule>
        <rule id="x"><one-of><item>a</item><item>a a</item><item>a a a</item></one-of></rule>
        <rule id="y">a</rule>"""
    ).match("a a a")
    assert match is not None
    assert match.tree == '$r[$x["a","a"],$y["a"]]'


def test_left_recursion_groups_to_the_left() -> None:
    match = voice(
        """<rule id="r"><one-of><item><ruleref uri="#r"/> minus <ruleref uri="#n"/></item>
        <item><ruleref uri="#n"/></item></one-of></rule><rule id="n">x</rule>"""
    ).match("x minus x minus x")
    assert match is not None
    assert match.tree == '$r[$r[$r[$n["x"]],"minus",$n["x"]],"minus",$n["x"]]'


def test_a_rule_that_may_be_itself_is_so_no_more_than_it_must() -> None:
    grammar = voice(
        """<rule id="r"><one-of><item><ruleref uri="#s"/></item><item>x</item></one-of></rule>
        <rule id="s"><one-of><item><ruleref uri="#r"/></item><item/></one-of></rule>"""
    )
    match, empty = grammar.match("x"), grammar.match("")
    assert match is not None
    assert empty is not None
    assert match.tree in {'$r["x"]', '$r[$s[$r["x"]]]'}
    assert empty.tree == "$r[$s[]]"


def test_an_empty_turn_of_a_repeat_is_taken_once_and_only_if_needed() -> None:
    grammar = voice(
        '<rule id="r"><item repeat="3-4"><item repeat="0-1">a</item><tag>t</tag></item></rule>'
    )
    trees = {said: match.tree for said in ("", "a", "a a a a") if (match := grammar.match(said))}
    assert trees == {
        "": "$r[{!{t}!}]",
        "a": '$r["a",{!{t}!},{!{t}!}]',
        "a a a a": '$r["a",{!{t}!},"a",{!{t}!},"a",{!{t}!},"a",{!{t}!}]',
    }


@pytest.mark.parametrize("count", [1, 30])
def test_repeats_within_repeats_do_not_blow_up(count: int) -> None:
    repeats = '<item repeat="1-1000">' * 4
    grammar = dtmf(f'<rule id="r">{repeats}1{"</item>" * 4}</rule>')
    assert len(grammar.network.nodes) < 20
    match = grammar.match("1" * count)
    assert match is not None
    assert match.utterance == "1" * count


def test_a_deep_parse_is_not_too_deep() -> None:
    grammar = voice('<rule id="r">a <item repeat="0-1"><ruleref uri="#r"/></item></rule>')
    match = grammar.match("a " * 400)
    assert match is not None
    assert match.tree.count("$r[") == 400
    assert match.interpretation == "a"


def test_what_would_take_too_long_is_given_up() -> None:
    inside = '<rule id="r">a <item repeat="0-1"><ruleref uri="#r"/></item>{}</rule>'
    bracketed = voice(inside.format('<item repeat="0-1">b</item>'))
    assert bracketed.match("a " * 1000) is None
    assert voice(inside.format("")).match("a " * 1000) is not None


def test_ten_thousand_alternatives_are_a_tree_of_keys() -> None:
    items = "".join(f"<item>{n:05}<tag>{n:05}</tag></item>" for n in range(2000))
    matcher = dtmf(f'<rule id="r"><one-of>{items}</one-of></rule>').start()
    assert [matcher.feed(key) for key in "01731"] == [*(PARTIAL,) * 4, COMPLETE]
    match = matcher.match()
    assert match is not None
    assert match.interpretation == "01731"


def test_look_ahead_through_rules_repeats_and_choices_changes_nothing() -> None:
    rules = """<rule id="r"><one-of>
        <item><ruleref uri="#many"/> z <tag>1</tag></item>
        <item><item repeat="0-1">q</item> b <tag>2</tag></item>
        <item><item repeat="2-9">c</item><tag>3</tag></item>
        <item><ruleref uri="#none"/> d <tag>4</tag></item>
        <item><tag>5</tag> e</item>
        <item><ruleref special="GARBAGE"/> f <tag>6</tag></item>
        <item/></one-of></rule>
        <rule id="none"><item repeat="0-2">n</item></rule>
        <rule id="many"><one-of><item>g</item><item>h</item><item>i</item><item>j</item>
        <item><ruleref special="GARBAGE"/> k</item></one-of></rule>"""
    grammar = voice(rules)
    said = {"g z": 1, "j z": 1, "x k z": 1, "b": 2, "q b": 2, "c c c": 3, "d": 4, "n n d": 4}
    for words, value in {**said, "e": 5, "f": 6, "z f": 6, "": ""}.items():
        match = grammar.match(words)
        assert match is not None, words
        assert match.interpretation == value
    assert grammar.match("c") is None
    assert repr(grammar.match("e")) == '<Match $r[{!{5}!},"e"]>'


def test_what_words_alone_tell_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("vxml_server.grammar.automaton._Walk", None)
        match = builtin("digits?length=4", mode="dtmf").match("1234")
        assert match is not None
        assert match.interpretation == "1234"
    assert match.tree == '$digits["1","2","3","4"]'


def test_two_tokens_that_sound_alike_are_told_apart_by_the_parse() -> None:
    match = voice('<rule id="r"><item>May</item><item repeat="0-1">may</item></rule>').match(
        "may may"
    )
    assert match is not None
    assert match.tokens == ("May", "may")
