"""What a scripted caller says, and what of a prompt he has heard."""

from __future__ import annotations

from dataclasses import replace

from tests.interpreter.calls import (
    CITIES,
    HOT,
    MARKED,
    PROPERTIES,
    TEN_WORDS,
    Call,
    prompt,
    utterance,
    voice,
)
from vxml_server.interpreter.platform import (
    InputKind,
)


def test_words_are_matched_against_the_active_grammars() -> None:
    call = Call("say: Boston")
    result = call.listen(TEN_WORDS)
    assert utterance(result) == "boston"
    assert result.nbest[0].active is CITIES[1]
    assert call.inputs == [(3.0, "Boston")]


def test_words_that_no_grammar_knows_are_a_nomatch() -> None:
    result = Call("say: paris").listen()
    assert result.kind is InputKind.NOMATCH
    assert result.nbest[0].utterance == "paris"
    assert result.nbest[0].active is None


def test_words_below_the_confidence_level_are_a_nomatch_that_tells_what_matched() -> None:
    result = Call("{say: boston, confidence: 0.4}").listen()
    assert result.kind is InputKind.NOMATCH
    assert result.nbest[0].active is CITIES[1]
    lower = replace(PROPERTIES, confidence_level=0.4)
    assert utterance(Call("{say: boston, confidence: 0.4}").listen(properties=lower)) == "boston"


NBEST = "{say: boston, confidence: 0.6, alternatives: [{say: chicago, confidence: 0.3}]}"


def test_alternatives_stand_behind_in_the_nbest_list() -> None:
    result = Call(NBEST).listen(properties=replace(PROPERTIES, max_nbest=3))
    found = [(each.utterance, each.confidence) for each in result.nbest]
    assert found == [("boston", 0.6), ("chicago", 0.3)]


def test_the_nbest_list_is_no_longer_than_the_document_allows() -> None:
    assert len(Call(NBEST).listen().nbest) == 1


def test_the_most_confident_hypothesis_that_matches_is_the_result() -> None:
    step = "{say: paris, confidence: 0.5, alternatives: [{say: boston, confidence: 0.7}]}"
    assert utterance(Call(step).listen()) == "boston"
    step = "{say: paris, confidence: 0.9, alternatives: [{say: boston, confidence: 0.7}]}"
    assert utterance(Call(step).listen()) == "boston"


def test_one_reading_is_listed_once_however_many_grammars_give_it() -> None:
    grammars = voice("boston") + voice("boston", scope="link")
    result = Call("say: boston").listen(
        grammars=grammars, properties=replace(PROPERTIES, max_nbest=5)
    )
    assert [found.active for found in result.nbest] == [grammars[0]]


def test_speech_stops_the_prompt_and_cancels_the_rest() -> None:
    call = Call("{say: boston, after: 500ms}")
    assert utterance(call.listen(TEN_WORDS, prompt("not heard"))) == "boston"
    assert (call.now, len(call.heard)) == (0.5, 1)


def test_after_zero_seconds_the_first_prompt_has_started() -> None:
    call = Call("{say: boston, after: 0s}")
    call.listen(TEN_WORDS, prompt("not heard"))
    assert (call.now, len(call.heard)) == (0.0, 1)


def test_speech_over_a_prompt_without_barge_in_is_lost() -> None:
    call = Call("{say: boston, after: 500ms}", "say: chicago")
    assert call.listen(replace(TEN_WORDS, bargein=False)).kind is InputKind.NOINPUT
    assert utterance(call.listen()) == "chicago"


def test_a_hotword_prompt_stops_at_a_match() -> None:
    call = Call("{say: boston, after: 1s}")
    assert utterance(call.listen(HOT, prompt("not heard"))) == "boston"
    assert (call.now, len(call.heard)) == (1.0, 1)


def test_a_hotword_prompt_goes_on_over_what_does_not_match() -> None:
    call = Call("{say: paris, after: 1s}")
    assert call.listen(HOT).kind is InputKind.NOINPUT
    assert call.now == 8.0
    assert call.inputs == [(1.0, "paris")]


def test_a_hotword_prompt_plays_on_while_keys_are_collected() -> None:
    call = Call('{dtmf: "1234", after: 2900ms}')
    hot = prompt("heard too", bargein_type="hotword")
    assert utterance(call.listen(HOT, hot, prompt("not heard"))) == "1234"
    assert len(call.heard) == 2


def test_unfinished_keys_under_a_hotword_prompt_are_forgotten() -> None:
    call = Call('{dtmf: "12", after: 100ms}')
    longer = prompt("word " * 20, bargein_type="hotword")
    assert call.listen(longer).kind is InputKind.NOINPUT
    assert call.inputs == [(3.2, "12")]
    assert call.now == 11.0


def test_no_nomatch_comes_after_a_hotword_prompt_either() -> None:
    call = Call("say: paris", "say: boston")
    assert call.listen(HOT).kind is InputKind.NOINPUT
    assert utterance(call.listen(HOT)) == "boston"


def test_keys_begun_under_a_prompt_with_hotword_are_lost_in_one_without_barge_in() -> None:
    call = Call('{dtmf: "1234", after: 2900ms}')
    result = call.listen(HOT, replace(TEN_WORDS, bargein=False))
    assert result.kind is InputKind.NOINPUT


def test_the_last_mark_played_and_the_time_since_come_with_the_result() -> None:
    result = Call("{say: boston, after: 500ms}").listen(MARKED)
    assert (result.mark_name, result.mark_time) == ("a", 0.2)


def test_the_time_since_a_mark_ends_with_the_prompts() -> None:
    result = Call("silence: 2s", "say: boston").listen(MARKED, prompt("five"))
    assert (result.mark_name, result.mark_time) == ("b", 0.6)


def test_without_a_mark_there_is_no_mark_time() -> None:
    result = Call("say: boston").listen(TEN_WORDS)
    assert (result.mark_name, result.mark_time) == (None, None)
