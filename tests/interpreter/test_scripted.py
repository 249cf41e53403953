"""What a scripted caller does to one wait for input, a transfer, or prompts without a wait."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.interpreter.calls import (
    CITIES,
    FOUR_DIGITS,
    HOT,
    MARKED,
    PROPERTIES,
    TEN_WORDS,
    Call,
    prompt,
    utterance,
)
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import load
from vxml_server.interpreter.platform import (
    ActiveGrammar,
    InputKind,
    Prompt,
    TransferRequest,
)
from vxml_server.interpreter.script import Keys
from vxml_server.interpreter.scripted import usual_outcome

# Keys --------------------------------------------------------------------------------------------


def test_keys_come_100_ms_apart_when_the_prompts_have_ended() -> None:
    call = Call('dtmf: "1234"')
    assert utterance(call.listen(TEN_WORDS)) == "1234"
    assert call.inputs == [(3.3, "1234")]


def test_an_unfinished_entry_is_a_nomatch_after_the_interdigit_timeout() -> None:
    call = Call('dtmf: "12"')
    result = call.listen()
    assert result.kind is InputKind.NOMATCH
    assert result.nbest[0].utterance == "12"
    assert call.now == 3.1


def test_keys_barge_in_after_the_first_prompt_starts() -> None:
    call = Call('{dtmf: "1234", after: 500ms}')
    assert utterance(call.listen(TEN_WORDS, prompt("not heard"))) == "1234"
    assert call.inputs == [(0.8, "1234")]
    assert call.heard == [TEN_WORDS.segments[0].text]  # type: ignore[union-attr]


def test_keys_that_were_not_needed_are_typed_ahead() -> None:
    call = Call('dtmf: "12345678"')
    assert utterance(call.listen(prompt("first"))) == "1234"
    assert utterance(call.listen(prompt("second"))) == "5678"
    assert call.listen(prompt("third")).kind is InputKind.NOINPUT


def test_keys_in_the_buffer_keep_a_prompt_from_starting() -> None:
    call = Call('dtmf: "12345678"')
    call.listen(prompt("first"))
    asyncio.run(call.platform.play([TEN_WORDS]))
    assert utterance(call.listen(prompt("not heard"))) == "5678"
    assert call.heard == ["first", TEN_WORDS.segments[0].text]  # type: ignore[union-attr]


def test_a_prompt_without_barge_in_deletes_the_buffer() -> None:
    call = Call('dtmf: "12345678"', 'dtmf: "9999"')
    call.listen()
    result = call.listen(replace(TEN_WORDS, bargein=False), prompt("then this"))
    assert utterance(result) == "9999"
    assert len(call.heard) == 2


def test_a_prompt_without_barge_in_is_heard_to_its_end_and_keys_are_lost() -> None:
    call = Call('{dtmf: "1234", after: 1s}')
    result = call.listen(replace(TEN_WORDS, bargein=False))
    assert result.kind is InputKind.NOINPUT
    assert call.now == 8.0
    assert call.inputs == []


def test_barge_in_cancels_the_prompts_that_follow_whatever_their_bargein() -> None:
    call = Call('{dtmf: "1234", after: 1s}')
    call.listen(TEN_WORDS, prompt("important", bargein=False))
    assert len(call.heard) == 1


def test_the_key_that_ended_an_input_begins_the_next() -> None:
    call = Call('dtmf: "12345678"')
    patient = replace(PROPERTIES, term_timeout=1.0)
    assert utterance(call.listen(properties=patient)) == "1234"
    assert utterance(call.listen(properties=patient)) == "5678"
    assert call.inputs[0] == (0.4, "1234")


def test_keys_are_not_noticed_where_the_input_mode_is_off() -> None:
    call = Call('dtmf: "1234"')
    only_voice = replace(PROPERTIES, input_modes=frozenset({"voice"}))
    assert call.listen(properties=only_voice).kind is InputKind.NOINPUT
    assert call.inputs == []


def test_without_any_grammar_the_wait_is_silent() -> None:
    assert Call('dtmf: "1"').listen(TEN_WORDS, grammars=()).kind is InputKind.NOINPUT


def test_keys_where_only_words_are_expected_are_a_nomatch() -> None:
    assert Call('dtmf: "1"').listen(grammars=CITIES).kind is InputKind.NOMATCH


def test_a_failing_tag_is_thrown_and_the_input_is_reported() -> None:
    source = (
        b'<grammar xmlns="http://www.w3.org/2001/06/grammar" version="1.0" mode="dtmf" root="r" '
        b'tag-format="semantics/1.0"><rule id="r">1<tag>out = no.such.thing</tag></rule></grammar>'
    )
    call = Call('dtmf: "1"')
    with pytest.raises(VoiceXmlEvent, match=r"error\.semantic"):
        call.listen(grammars=(ActiveGrammar(load(source), "dtmf", "field", None),))
    assert call.inputs == [(0.0, "1")]


# Silence -----------------------------------------------------------------------------------------


def test_silence_lasts_until_the_timeout_fires() -> None:
    call = Call("silence:", "say: boston")
    assert call.listen(TEN_WORDS).kind is InputKind.NOINPUT
    assert call.now == 8.0
    assert utterance(call.listen()) == "boston"


@pytest.mark.parametrize("length", ["5s", "12s"])
def test_silence_as_long_as_the_timeout_or_longer_is_a_noinput(length: str) -> None:
    call = Call(f"silence: {length}", "say: boston")
    assert call.listen().kind is InputKind.NOINPUT
    assert call.now == 5.0
    assert utterance(call.listen()) == "boston"


def test_a_shorter_silence_delays_the_next_step_within_the_same_wait() -> None:
    call = Call("silence: 2s", "silence: 1500ms", "say: boston")
    assert utterance(call.listen(TEN_WORDS)) == "boston"
    assert call.inputs == [(6.5, "boston")]


def test_silences_add_up_to_the_timeout() -> None:
    call = Call("silence: 3s", "silence: 2s", "say: boston")
    assert call.listen().kind is InputKind.NOINPUT
    assert call.now == 5.0
    assert utterance(call.listen()) == "boston"


def test_a_short_silence_and_nothing_behind_it_is_a_noinput() -> None:
    call = Call("silence: 2s")
    assert call.listen().kind is InputKind.NOINPUT
    assert call.now == 5.0


def test_a_pause_between_keys_shorter_than_the_interdigit_timeout_joins_them() -> None:
    call = Call('dtmf: "12"', "silence: 2s", 'dtmf: "34"')
    assert utterance(call.listen()) == "1234"
    assert call.now == 2.2


def test_a_pause_between_keys_longer_than_the_interdigit_timeout_parts_them() -> None:
    call = Call('dtmf: "12"', "silence: 4s", 'dtmf: "3456"')
    assert call.listen().kind is InputKind.NOMATCH
    assert call.now == 3.1
    assert utterance(call.listen()) == "3456"
    assert call.now == 7.4


def test_keys_of_two_steps_without_a_pause_are_two_entries() -> None:
    call = Call('dtmf: "12"', 'dtmf: "3456"')
    assert call.listen().kind is InputKind.NOMATCH
    assert utterance(call.listen()) == "3456"


def test_the_last_prompt_that_has_a_timeout_decides() -> None:
    call = Call()
    call.listen(prompt("a", timeout=1.0), prompt("b", timeout=2.0), prompt("c"))
    assert call.now == 2.9


def test_a_step_is_used_even_where_the_timeout_is_zero() -> None:
    call = Call("say: boston")
    at_once = replace(PROPERTIES, timeout=0.0)
    assert utterance(call.listen(properties=at_once)) == "boston"


def test_a_barge_in_that_comes_after_the_timeout_is_heard_in_the_next_wait() -> None:
    call = Call("{say: boston, after: 7s}")
    assert call.listen(prompt("first")).kind is InputKind.NOINPUT
    assert utterance(call.listen(TEN_WORDS)) == "boston"
    assert call.inputs == [(7.0, "boston")]


def test_a_barge_in_counts_from_the_prompts_of_its_own_wait() -> None:
    call = Call('dtmf: "12345678"', "{say: boston, after: 1s}")
    call.listen()
    call.listen(TEN_WORDS)
    began = call.now
    assert utterance(call.listen(TEN_WORDS)) == "boston"
    assert call.now == began + 1.0


def test_after_ten_silent_waits_the_caller_hangs_up() -> None:
    call = Call("say: boston")
    call.listen()
    kinds = [call.listen(prompt("hello")).kind for _ in range(11)]
    assert kinds == [InputKind.NOINPUT] * 10 + [InputKind.HANGUP]
    assert call.platform.hung_up
    assert len(call.heard) == 10


def test_a_caller_waits_silently_for_a_transfer_that_does_not_come() -> None:
    call = Call("transfer: busy", "say: boston")
    kinds = [call.listen().kind for _ in range(11)]
    assert kinds == [InputKind.NOINPUT] * 10 + [InputKind.HANGUP]


@pytest.mark.parametrize(
    ("request_", "outcome"),
    [
        (TransferRequest("tel:1", "bridge"), "far_end_disconnect"),
        (TransferRequest("tel:1", "bridge", max_time=3.0), "maxtime_disconnect"),
        (TransferRequest("voicemail:sales", "bridge", max_time=3.0), "voicemail_left"),
        (TransferRequest("voicemail:sales", "blind"), "connection.disconnect.transfer"),
    ],
)
def test_a_transfer_of_which_nobody_says_how_it_ends_ends_well(
    request_: TransferRequest, outcome: str
) -> None:
    assert usual_outcome(request_).outcome == outcome


# Any script --------------------------------------------------------------------------------------

STEPS = st.sampled_from(
    [
        'dtmf: "1"',
        'dtmf: "1234#56"',
        '{dtmf: "12", after: 500ms}',
        "say: boston",
        "{say: paris, after: 2s}",
        "{say: chicago, after: 30s}",
        "silence:",
        "silence: 1s",
        "silence: 20s",
        "transfer: busy",
        "record: 1s",
        "expect: one",
    ]
)
PROMPTS = st.sampled_from(
    [
        TEN_WORDS,
        HOT,
        MARKED,
        replace(TEN_WORDS, bargein=False),
        prompt("", "<break time='0s'/>", timeout=0.0),
    ]
)


@settings(max_examples=examples(50), deadline=None)
@given(
    st.lists(STEPS, max_size=8),
    st.lists(PROMPTS, max_size=3),
    st.sampled_from([(), CITIES, FOUR_DIGITS, CITIES + FOUR_DIGITS]),
    st.sampled_from([0.0, 2.0]),
)
def test_every_call_comes_to_its_end(
    steps: list[str],
    prompts: list[Prompt],
    grammars: tuple[ActiveGrammar, ...],
    term_timeout: float,
) -> None:
    call = Call(*steps)
    properties = replace(PROPERTIES, term_timeout=term_timeout)
    keys = sum(len(step.keys) for step in call.cues.steps if isinstance(step, Keys))
    # Every wait uses a step, or a key of one, or is silent; ten silent waits are the last.
    for _ in range((keys + len(steps) + 1) * 11):
        if call.listen(*prompts, grammars=grammars, properties=properties).kind is (
            InputKind.HANGUP
        ):
            break
    assert call.platform.hung_up
    times = [at for at, _, _ in call.seen]
    assert times == sorted(times)
