"""What a scripted caller does to one wait for input, a transfer, or prompts without a wait."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest, Resource
from vxml_server.grammar import builtin, load, phrase
from vxml_server.interpreter.cues import Cues
from vxml_server.interpreter.platform import (
    ActiveGrammar,
    AudioSegment,
    InputKind,
    InputProperties,
    InputResult,
    Json,
    ListenRequest,
    Prompt,
    SpeechSegment,
    TransferRequest,
    TransferResult,
)
from vxml_server.interpreter.script import Keys, parse_script
from vxml_server.interpreter.scripted import ScriptedPlatform

PROPERTIES = InputProperties(timeout=5.0, interdigit_timeout=3.0)


class NoFetcher:
    async def fetch(self, request: FetchRequest) -> Resource:
        raise VoiceXmlEvent("error.badfetch", "there is nothing here", uri=request.uri)


def prompt(text: str, ssml: str = "", **others: object) -> Prompt:
    segment = SpeechSegment(f"<speak>{ssml or text}</speak>", text, "en")
    return replace(Prompt((segment,), "en"), **others)  # type: ignore[arg-type]


def voice(*phrases: str, scope: str = "field") -> tuple[ActiveGrammar, ...]:
    return tuple(ActiveGrammar(phrase(text, "en"), "voice", scope, text) for text in phrases)


def digits(parameters: str) -> ActiveGrammar:
    return ActiveGrammar(builtin(f"builtin:dtmf/digits?{parameters}"), "dtmf", "field", None)


TEN_WORDS = prompt("one two three four five six seven eight nine ten")  # three seconds
FOUR_DIGITS = (digits("length=4"),)
CITIES = voice("chicago", "boston")


class Call:
    """A scripted call and what was seen of it."""

    def __init__(self, *steps: str) -> None:
        lines = "".join(f"- {step}\n" for step in steps)
        self.seen: list[tuple[float, str, dict[str, Json]]] = []
        self.cues = Cues(parse_script(f"steps:\n{lines}").steps, self.see)
        self.platform = ScriptedPlatform(self.cues, NoFetcher(), self.observe)

    def observe(self, kind: str, record: dict[str, Json]) -> None:
        self.cues.observe(kind, record)
        self.see(kind, record)

    def see(self, kind: str, record: dict[str, Json]) -> None:
        self.seen.append((round(self.platform.now(), 3), kind, record))

    def listen(
        self,
        *prompts: Prompt,
        grammars: tuple[ActiveGrammar, ...] = CITIES + FOUR_DIGITS,
        properties: InputProperties = PROPERTIES,
    ) -> InputResult:
        return asyncio.run(self.platform.listen(ListenRequest(prompts, grammars, properties)))

    def transfer(self, kind: str = "bridge", **others: object) -> TransferResult:
        request = TransferRequest("tel:1", "bridge")
        request = replace(request, type=kind, **others)  # type: ignore[arg-type]
        return asyncio.run(self.platform.transfer(request))

    @property
    def now(self) -> float:
        return round(self.platform.now(), 3)

    @property
    def heard(self) -> list[Json]:
        return [record["text"] for _, kind, record in self.seen if kind == "prompt"]

    @property
    def inputs(self) -> list[tuple[float, Json]]:
        return [(at, record["utterance"]) for at, kind, record in self.seen if kind == "input"]


def utterance(result: InputResult) -> str:
    assert result.kind is InputKind.MATCH
    return result.nbest[0].utterance


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


# Words -------------------------------------------------------------------------------------------


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


# Hotword -----------------------------------------------------------------------------------------

HOT = replace(TEN_WORDS, bargein_type="hotword")


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


# Marks -------------------------------------------------------------------------------------------

MARKED = prompt("one two three four", 'one <mark name="a"/> two three <mark name="b"/> four')


def test_the_last_mark_played_and_the_time_since_come_with_the_result() -> None:
    result = Call("{say: boston, after: 500ms}").listen(MARKED)
    assert (result.mark_name, result.mark_time) == ("a", 0.2)


def test_the_time_since_a_mark_ends_with_the_prompts() -> None:
    result = Call("silence: 2s", "say: boston").listen(MARKED, prompt("five"))
    assert (result.mark_name, result.mark_time) == ("b", 0.6)


def test_without_a_mark_there_is_no_mark_time() -> None:
    result = Call("say: boston").listen(TEN_WORDS)
    assert (result.mark_name, result.mark_time) == (None, None)


# Hanging up --------------------------------------------------------------------------------------


def test_the_caller_hangs_up_when_the_prompts_have_ended() -> None:
    call = Call("hangup:")
    assert call.listen(TEN_WORDS).kind is InputKind.HANGUP
    assert call.now == 3.0
    assert call.platform.hung_up


@pytest.mark.parametrize("bargein", [True, False])
def test_the_caller_may_hang_up_during_any_prompt(bargein: bool) -> None:
    call = Call("{hangup: , after: 1s}")
    assert call.listen(replace(TEN_WORDS, bargein=bargein)).kind is InputKind.HANGUP
    assert call.now == 1.0


def test_nothing_is_heard_after_the_call() -> None:
    call = Call("hangup:")
    call.listen()
    asyncio.run(call.platform.play([TEN_WORDS]))
    assert call.listen(TEN_WORDS).kind is InputKind.HANGUP
    assert call.transfer().outcome == "connection.disconnect.hangup"
    assert call.heard == []


def test_disconnecting_ends_the_call() -> None:
    call = Call()
    asyncio.run(call.platform.disconnect({}))
    assert call.platform.hung_up


def test_prompts_played_without_a_wait_take_their_time() -> None:
    call = Call()
    asyncio.run(call.platform.play([TEN_WORDS, prompt("more")]))
    assert call.now == 3.3
    assert [at for at, _, _ in call.seen] == [0.0, 3.0]


# Transfers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["blind", "consultation"])
def test_a_transfer_away_succeeds_and_takes_the_caller_along(kind: str) -> None:
    call = Call()
    assert call.transfer(kind).outcome == "connection.disconnect.transfer"
    assert call.platform.hung_up


def test_a_bridge_ends_after_ten_seconds() -> None:
    call = Call()
    assert call.transfer(prompts=(TEN_WORDS,)) == TransferResult("far_end_disconnect", 10.0)
    assert call.now == 13.0
    assert call.seen[-1] == (
        13.0,
        "transfer",
        {"dest": "tel:1", "type": "bridge", "outcome": "far_end_disconnect", "duration": 10.0},
    )


def test_a_bridge_is_cut_at_its_maxtime() -> None:
    assert Call().transfer(max_time=4.0) == TransferResult("maxtime_disconnect", 4.0)


@pytest.mark.parametrize(
    ("step", "result", "passed"),
    [
        ("transfer: busy", TransferResult("busy"), 0.0),
        ("{transfer: busy, duration: 12s}", TransferResult("busy", 12.0), 12.0),
        ("transfer: noanswer", TransferResult("noanswer"), 30.0),
        ("transfer: near_end_disconnect", TransferResult("near_end_disconnect", 10.0), 10.0),
        ("transfer: maxtime_disconnect", TransferResult("maxtime_disconnect", 60.0), 60.0),
        (
            "{transfer: connection.disconnect.hangup, duration: 3s}",
            TransferResult("connection.disconnect.hangup", 3.0),
            3.0,
        ),
        (
            "transfer: error.connection.baddestination",
            TransferResult("error.connection.baddestination"),
            0.0,
        ),
    ],
)
def test_a_transfer_ends_as_the_script_says(
    step: str, result: TransferResult, passed: float
) -> None:
    call = Call(step)
    assert call.transfer(max_time=60.0) == result
    assert call.now == passed
    assert call.platform.hung_up == (result.outcome == "connection.disconnect.hangup")


def test_an_input_step_is_not_used_by_a_transfer() -> None:
    call = Call("say: boston")
    assert call.transfer().outcome == "far_end_disconnect"
    assert utterance(call.listen()) == "boston"


def test_keys_typed_before_a_bridge_are_not_heard_after_it() -> None:
    call = Call('dtmf: "12345678"')
    call.listen()
    call.transfer()
    assert call.listen().kind is InputKind.NOINPUT


def test_a_caller_who_is_connected_for_ever_hangs_up() -> None:
    call = Call()
    outcomes = [call.transfer().outcome for _ in range(11)]
    assert outcomes[9:] == ["far_end_disconnect", "connection.disconnect.hangup"]


# Audio -------------------------------------------------------------------------------------------


def test_a_prompt_that_is_not_played_is_not_fetched() -> None:
    call = Call("{say: boston, after: 1s}")
    sound = Prompt((AudioSegment(FetchRequest("http://127.0.0.1/a.wav")),), "en")
    call.listen(TEN_WORDS, sound)
    assert [record["audio"] for _, kind, record in call.seen if kind == "prompt"] == [[]]


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


@settings(max_examples=50, deadline=None)
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
