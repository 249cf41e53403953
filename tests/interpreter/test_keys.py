"""Keys become an input by the rules of VoiceXML 2.0 section 6.3.3 and appendix D."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import builtin, load, phrase
from vxml_server.interpreter.keys import KeyCollector, KeyOutcome
from vxml_server.interpreter.platform import ActiveGrammar, InputKind, InputProperties

DEFAULTS = InputProperties(interdigit_timeout=3.0, term_timeout=0.0, term_char="#")


def digits(parameters: str, scope: str = "field") -> ActiveGrammar:
    return ActiveGrammar(builtin(f"builtin:dtmf/digits?{parameters}"), "dtmf", scope, None)


def exactly(keys: str, scope: str = "field") -> ActiveGrammar:
    return ActiveGrammar(phrase(keys, mode="dtmf"), "dtmf", scope, None)


def srgs(rule: str, tag_format: str = "semantics/1.0") -> ActiveGrammar:
    source = (
        '<grammar xmlns="http://www.w3.org/2001/06/grammar" version="1.0" mode="dtmf" root="r" '
        f'tag-format="{tag_format}"><rule id="r">{rule}</rule></grammar>'
    )
    return ActiveGrammar(load(source.encode()), "dtmf", "field", None)


def press(collector: KeyCollector, keys: str, at: float = 0.0) -> KeyOutcome | None:
    """Feeds keys 100 ms apart, of which none but the last may end the input."""
    outcome = None
    for index, key in enumerate(keys):
        assert outcome is None, f"ended before {key!r}"
        outcome = collector.feed(key, at + index * 0.1)
    return outcome


def matched(outcome: KeyOutcome | None) -> str:
    assert outcome is not None
    assert outcome.kind is InputKind.MATCH
    return outcome.nbest[0].utterance


def unmatched(outcome: KeyOutcome | None) -> str:
    assert outcome is not None
    assert outcome.kind is InputKind.NOMATCH
    assert outcome.nbest[0].active is None
    return outcome.nbest[0].utterance


def test_a_match_that_cannot_go_on_is_accepted_at_once() -> None:
    outcome = press(KeyCollector([digits("length=4")], DEFAULTS), "1234")
    assert matched(outcome) == "1234"
    assert outcome is not None
    assert outcome.nbest[0].interpretation == "1234"
    assert outcome.nbest[0].confidence == 1.0


def test_before_the_first_key_nothing_expires() -> None:
    assert KeyCollector([digits("length=4")], DEFAULTS).deadline is None


def test_each_key_starts_the_interdigit_timeout_again() -> None:
    collector = KeyCollector([digits("length=4")], DEFAULTS)
    collector.feed("1", 10.0)
    assert collector.deadline == 13.0
    collector.feed("2", 12.5)
    assert collector.deadline == 15.5


def test_an_unfinished_input_is_a_nomatch_after_the_interdigit_timeout() -> None:
    collector = KeyCollector([digits("length=4")], DEFAULTS)
    assert press(collector, "12") is None
    assert unmatched(collector.expire()) == "12"


def test_a_match_that_can_go_on_is_accepted_after_the_interdigit_timeout() -> None:
    collector = KeyCollector([digits("minlength=2;maxlength=4")], DEFAULTS)
    assert press(collector, "12") is None
    assert collector.deadline == pytest.approx(3.1)
    assert matched(collector.expire()) == "12"


def test_without_a_terminating_key_the_interdigit_timeout_still_runs() -> None:
    collector = KeyCollector([digits("minlength=2")], replace(DEFAULTS, term_char=""))
    assert press(collector, "12") is None
    assert matched(collector.expire()) == "12"


def test_the_terminating_key_ends_a_match_and_is_no_part_of_it() -> None:
    outcome = press(KeyCollector([digits("minlength=2")], DEFAULTS), "12#")
    assert matched(outcome) == "12"
    assert outcome is not None
    assert outcome.pressed == "12#"


def test_the_terminating_key_after_an_unfinished_input_is_a_nomatch() -> None:
    assert unmatched(press(KeyCollector([digits("length=4")], DEFAULTS), "12#")) == "12"


def test_the_terminating_key_alone_is_a_nomatch() -> None:
    outcome = press(KeyCollector([digits("length=4")], DEFAULTS), "#")
    assert unmatched(outcome) == ""
    assert outcome is not None
    assert outcome.pressed == "#"


def test_the_terminating_key_alone_matches_a_grammar_of_nothing() -> None:
    grammar = srgs('<item repeat="0-2">1</item>')
    assert matched(press(KeyCollector([grammar], DEFAULTS), "#")) == ""


def test_a_grammar_that_goes_on_with_the_terminating_key_has_it() -> None:
    assert matched(press(KeyCollector([exactly("12#")], DEFAULTS), "12#")) == "12#"


def test_one_grammar_s_terminating_key_is_another_s_token() -> None:
    collector = KeyCollector([digits("minlength=2"), exactly("12#4")], DEFAULTS)
    assert press(collector, "12#") is None
    assert unmatched(collector.expire()) == "12#"


def test_another_terminating_key_may_be_chosen() -> None:
    star = replace(DEFAULTS, term_char="*")
    assert matched(press(KeyCollector([digits("minlength=1")], star), "7*")) == "7"
    assert unmatched(press(KeyCollector([digits("minlength=1")], star), "7#")) == "7#"


def test_a_key_that_nothing_begins_with_is_a_nomatch_at_once() -> None:
    assert unmatched(press(KeyCollector([exactly("1"), exactly("2")], DEFAULTS), "3")) == "3"


def test_any_key_is_a_nomatch_where_no_key_grammar_is_active() -> None:
    voice = ActiveGrammar(phrase("yes", "en"), "voice", "field", None)
    assert unmatched(press(KeyCollector([voice], DEFAULTS), "1")) == "1"


def test_a_match_waits_while_another_grammar_can_go_on() -> None:
    collector = KeyCollector([exactly("1"), exactly("12", "link")], DEFAULTS)
    assert press(collector, "1") is None
    assert matched(collector.expire()) == "1"
    longer = press(KeyCollector([exactly("1"), exactly("12", "link")], DEFAULTS), "12")
    assert matched(longer) == "12"
    assert longer is not None
    assert longer.nbest[0].active is not None
    assert longer.nbest[0].active.scope == "link"


def test_of_two_equal_matches_the_nearer_grammar_wins() -> None:
    outcome = press(KeyCollector([digits("length=1"), exactly("1", "link")], DEFAULTS), "1")
    assert outcome is not None
    assert [found.active and found.active.scope for found in outcome.nbest] == ["field"]


def test_the_others_follow_in_the_nbest_list_when_they_mean_something_else() -> None:
    one, two = srgs("1<tag>out = 'yes';</tag>"), srgs("1<tag>out = 'no';</tag>")
    collector = KeyCollector([one, two, one], replace(DEFAULTS, max_nbest=5))
    outcome = press(collector, "1")
    assert outcome is not None
    assert [found.interpretation for found in outcome.nbest] == ["yes", "no"]


# The terminating timeout -------------------------------------------------------------------------

PATIENT = replace(DEFAULTS, term_timeout=2.0)


def test_with_a_term_timeout_a_complete_match_waits_for_the_terminating_key() -> None:
    collector = KeyCollector([digits("length=2")], PATIENT)
    assert press(collector, "12") is None
    assert collector.deadline == pytest.approx(2.1)
    outcome = collector.feed("#", 1.0)
    assert matched(outcome) == "12"
    assert outcome is not None
    assert (outcome.pressed, outcome.unused) == ("12#", "")


def test_the_term_timeout_accepts_the_match() -> None:
    collector = KeyCollector([digits("length=2")], PATIENT)
    press(collector, "12")
    assert matched(collector.expire()) == "12"


def test_another_key_than_the_terminating_one_belongs_to_the_next_input() -> None:
    collector = KeyCollector([digits("length=2")], PATIENT)
    press(collector, "12")
    outcome = collector.feed("3", 1.0)
    assert matched(outcome) == "12"
    assert outcome is not None
    assert (outcome.pressed, outcome.unused) == ("12", "3")


def test_without_a_terminating_key_there_is_no_term_timeout() -> None:
    collector = KeyCollector([digits("length=2")], replace(PATIENT, term_char=""))
    assert matched(press(collector, "12")) == "12"


# What may go wrong -------------------------------------------------------------------------------


def test_an_input_that_has_ended_takes_no_more() -> None:
    collector = KeyCollector([exactly("1")], DEFAULTS)
    collector.feed("1", 0.0)
    with pytest.raises(ValueError, match="ended"):
        collector.feed("1", 0.1)
    with pytest.raises(ValueError, match="ended"):
        collector.expire()
    assert collector.deadline is None


def test_a_tag_that_fails_is_an_error_semantic() -> None:
    collector = KeyCollector([srgs("1<tag>out = nothing.at.all;</tag>")], DEFAULTS)
    with pytest.raises(VoiceXmlEvent, match=r"error\.semantic"):
        collector.feed("1", 0.0)
    assert collector.pressed == "1"


KEYS = st.text("0123456789*#ABCD", min_size=1, max_size=8)
GRAMMARS = (
    digits("length=2"),
    digits("minlength=3;maxlength=5"),
    exactly("12#"),
    exactly("*"),
    srgs('<item repeat="0-">A</item>'),
)


@given(KEYS, st.sets(st.integers(0, len(GRAMMARS) - 1)), st.sampled_from(["", "#", "*"]))
def test_a_match_is_what_some_grammar_matches_whole(
    keys: str, chosen: set[int], term_char: str
) -> None:
    active = [GRAMMARS[index] for index in sorted(chosen)]
    collector = KeyCollector(active, replace(DEFAULTS, term_char=term_char))
    outcome = None
    for index, key in enumerate(keys):
        outcome = collector.feed(key, index * 0.1)
        if outcome is not None:
            break
    outcome = outcome or collector.expire()
    utterance = outcome.nbest[0].utterance
    first = next((one for one in active if one.grammar.match(utterance) is not None), None)
    assert keys.startswith(outcome.pressed)
    assert outcome.pressed in {utterance, utterance + term_char}
    assert outcome.kind is (InputKind.MATCH if first else InputKind.NOMATCH)
    assert outcome.nbest[0].active is first
