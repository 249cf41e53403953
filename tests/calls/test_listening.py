"""What a wait for input hears, plays and waits for (VoiceXML 2.0 sections 4.1.5 and 6.3.3)."""

from __future__ import annotations

import asyncio

import pytest

from tests.calls.line import OPEN, Line, ended, matched, matched_soon, prompt
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import load
from vxml_server.interpreter import (
    ActiveGrammar,
    InputKind,
    InputProperties,
)
from vxml_server.tts import Mark


@pytest.fixture
async def line() -> Line:
    return Line().up()


# Timers ------------------------------------------------------------------------------------------


async def test_silence_is_measured_from_the_end_of_the_last_prompt(line: Line) -> None:
    wait = line.listen(prompt("one"), prompt("two"))
    await line.at(6.9)
    assert not wait.done()
    await line.at(7.1)
    await ended(wait, InputKind.NOINPUT)
    assert [at for _, at in line.channel.played] == [0.0, 1.0]


async def test_without_prompts_silence_is_measured_from_the_beginning(line: Line) -> None:
    wait = line.listen()
    await line.at(4.9)
    assert not wait.done()
    await line.at(5.1)
    await ended(wait, InputKind.NOINPUT)


async def test_being_looked_at_does_not_shorten_the_silence(line: Line) -> None:
    wait = line.listen()
    await line.at(4.0)
    line.leg.events.nudge()
    await line.at(4.9)
    assert not wait.done()
    await line.at(5.1)
    await ended(wait, InputKind.NOINPUT)


async def test_without_grammars_prompts_are_played_and_the_timeout_waited_for(line: Line) -> None:
    wait = line.listen(prompt("one"), grammars=())
    await line.at(0.5, "1")
    assert line.channel.is_playing
    await line.at(5.9)
    assert not wait.done()
    await line.at(6.1)
    await ended(wait, InputKind.NOINPUT)


async def test_a_key_ends_the_silence(line: Line) -> None:
    wait = line.listen()
    await line.at(4.9, "1")
    await line.at(6.8)
    assert not wait.done()
    await line.at(6.8, "2")
    assert await matched(wait) == "12"


async def test_the_interdigit_timeout_ends_an_unfinished_input(line: Line) -> None:
    wait = line.listen()
    await line.at(1.0, "1")
    await line.at(2.9)
    assert not wait.done()
    await line.at(3.1)
    await ended(wait, InputKind.NOMATCH)
    assert line.inputs() == ["1"]


async def test_the_interdigit_timeout_ends_an_input_that_might_go_on(line: Line) -> None:
    wait = line.listen(grammars=(OPEN,))
    await line.at(0.0, "1")
    await line.at(1.0, "2")
    await line.at(2.9)
    assert not wait.done()
    await line.at(3.1)
    assert await matched(wait) == "12"


async def test_the_terminating_key_ends_the_input(line: Line) -> None:
    wait = line.listen(grammars=(OPEN,))
    await line.at(0.0, "12#")
    assert await matched(wait) == "12"
    assert line.inputs() == ["12#"]


async def test_a_full_input_waits_for_the_terminating_key_as_long_as_told(line: Line) -> None:
    properties = InputProperties(term_timeout=1.0)
    wait = line.listen(properties=properties)
    await line.at(0.0, "12")
    await line.at(0.9)
    assert not wait.done()
    await line.at(1.1)
    assert await matched(wait) == "12"


async def test_a_key_after_a_full_input_belongs_to_the_next(line: Line) -> None:
    properties = InputProperties(term_timeout=1.0)
    wait = line.listen(properties=properties)
    await line.at(0.0, "123")
    assert await matched(wait) == "12"
    wait = line.listen(properties=properties)
    await line.at(0.5, "4#")
    assert await matched(wait) == "34"


async def test_keys_of_no_use_are_passed_over_when_there_are_only_voice_modes(line: Line) -> None:
    wait = line.listen(prompt("one"), properties=InputProperties(input_modes=frozenset({"voice"})))
    await line.at(0.5, "12")
    assert not wait.done()
    assert line.channel.is_playing
    await line.at(6.1)
    await ended(wait, InputKind.NOINPUT)


async def test_a_tag_that_fails_is_an_event_and_the_keys_are_seen(line: Line) -> None:
    source = (
        '<grammar xmlns="http://www.w3.org/2001/06/grammar" version="1.0" mode="dtmf" root="r"'
        ' tag-format="semantics/1.0"><rule id="r">7<tag>out = nobody.home;</tag></rule></grammar>'
    )
    active = ActiveGrammar(load(source.encode()), "dtmf", "field", None)
    wait = line.listen(prompt("one"), grammars=(active,))
    await line.at(0.5, "7")
    with pytest.raises(VoiceXmlEvent, match=r"error\.semantic"):
        await wait
    assert line.inputs() == ["7"]
    assert not line.channel.is_playing


# Barge-in ----------------------------------------------------------------------------------------


async def test_a_key_stops_the_prompt_and_those_behind_it(line: Line) -> None:
    wait = line.listen(prompt("one"), prompt("two", bargein=False))
    await line.at(0.4, "1")
    assert not line.channel.is_playing
    await line.at(1.0, "2")
    assert await matched(wait) == "12"
    assert len(line.channel.played) == 1


async def test_a_key_by_info_stops_the_prompt_too(line: Line) -> None:
    wait = line.listen(prompt("one"))
    await line.at(0.4)
    line.call.info("1")
    await line.clock.settle()
    assert not line.channel.is_playing
    line.call.info("2")
    await line.clock.settle()
    assert await matched(wait) == "12"


async def test_the_tone_of_an_info_does_not_cut_the_next_prompt(line: Line) -> None:
    wait = line.listen(prompt("one"))
    await line.at(0.4)
    for key in "12":
        line.call.info(key)
    await line.clock.settle()
    assert await matched(wait) == "12"
    wait = line.listen(prompt("two"))
    await line.at(0.45, "12", "inband")
    assert line.channel.is_playing
    await line.at(6.5)
    await ended(wait, InputKind.NOINPUT)


async def test_keys_during_a_prompt_without_barge_in_are_lost(line: Line) -> None:
    wait = line.listen(prompt("one", bargein=False))
    await line.at(0.5, "12")
    assert line.channel.is_playing
    await line.at(1.5, "34")
    assert await matched(wait) == "34"


async def test_barge_in_is_each_prompt_s_own(line: Line) -> None:
    wait = line.listen(prompt("one", bargein=False), prompt("two"))
    await line.at(0.5, "1")
    assert line.channel.is_playing
    await line.at(1.5, "2")
    assert not line.channel.is_playing
    await line.at(1.6, "3")
    assert await matched(wait) == "23"


async def test_a_key_counts_by_the_prompt_that_it_stopped(line: Line) -> None:
    line.synthesizer.delays["two"] = 3.0
    wait = line.listen(prompt("one"), prompt("two", bargein=False))
    await line.at(0.5, "12")
    assert await matched(wait) == "12"


async def test_a_key_between_prompts_counts_by_the_prompt_to_come(line: Line) -> None:
    line.synthesizer.delays |= {"two": 3.0, "four": 3.0}
    wait = line.listen(prompt("one"), prompt("two", bargein=False))
    await line.at(2.0, "12")
    assert not wait.done()
    await line.at(3.5)
    assert line.channel.is_playing
    await line.at(4.5, "34")
    assert await matched(wait) == "34"
    wait = line.listen(prompt("three", bargein=False), prompt("four"))
    await line.at(6.0, "56")
    assert await matched(wait) == "56"
    await line.at(9.0)
    assert len(line.channel.played) == 3


async def test_a_prompt_that_a_key_cut_is_not_followed_by_one_that_came_in_between(
    line: Line,
) -> None:
    line.synthesizer.delays["two"] = 0.5
    wait = line.listen(prompt("one"), prompt("two"))
    await line.at(0.49)
    # The key empties the queue in the media thread; before its word reaches the loop, the second
    # prompt is queued.
    channel = line.channel
    stopped = channel._empty()
    await line.at(0.5)
    assert channel.is_playing
    channel._tell(stopped)
    line.leg.key("1", "rfc4733", 0.49)
    await line.clock.settle()
    assert not channel.is_playing
    await line.at(0.6, "2")
    assert await matched(wait) == "12"


# Hotword -----------------------------------------------------------------------------------------


async def test_a_hotword_prompt_is_stopped_by_a_match_alone(line: Line) -> None:
    line.synthesizer.seconds["one"] = 10.0
    wait = line.listen(prompt("one", hotword=True))
    await line.at(0.5, "1")
    assert line.channel.is_playing
    await line.at(2.6)  # a nomatch by the interdigit timeout is not heard
    assert line.channel.is_playing
    await line.at(3.0, "12")
    assert await matched(wait) == "12"
    assert not line.channel.is_playing


async def test_after_a_hotword_prompt_a_nomatch_is_not_heard_either(line: Line) -> None:
    wait = line.listen(prompt("one", hotword=True))
    await line.at(1.5, "1")
    await line.at(3.6)
    assert not wait.done()
    await line.at(6.1)
    await ended(wait, InputKind.NOINPUT)


async def test_typed_ahead_keys_do_not_skip_a_hotword_prompt(line: Line) -> None:
    line.channel.press("1")
    wait = line.listen(prompt("one", hotword=True))
    await line.at(0.1)
    assert line.channel.is_playing
    await line.at(0.2, "2")
    assert await matched(wait) == "12"


async def test_a_key_that_stops_a_later_prompt_makes_the_input_an_ordinary_one(line: Line) -> None:
    wait = line.listen(prompt("one", hotword=True), prompt("two"))
    await line.at(0.9, "1")
    await line.at(1.5, "*")
    await ended(wait, InputKind.NOMATCH)


# Type-ahead --------------------------------------------------------------------------------------


async def test_keys_typed_ahead_count_and_the_prompt_is_not_begun(line: Line) -> None:
    line.channel.press("12")
    wait = line.listen(prompt("one"))
    await line.at(0.0)
    assert await matched(wait) == "12"
    assert line.said() == []


async def test_too_few_keys_typed_ahead_still_stop_the_prompt(line: Line) -> None:
    line.channel.press("1")
    wait = line.listen(prompt("one"))
    await line.at(1.9)
    assert line.channel.played == []
    await line.at(1.9, "2")
    assert await matched(wait) == "12"


async def test_the_timers_of_keys_typed_ahead_run_from_when_they_are_looked_at(line: Line) -> None:
    line.channel.press("1")
    await line.at(10.0)
    wait = line.listen()
    await line.at(11.9, "2")
    assert await matched(wait) == "12"


async def test_a_prompt_without_barge_in_discards_keys_typed_ahead(line: Line) -> None:
    line.channel.press("12")
    wait = line.listen(prompt("one", bargein=False))
    await line.at(1.5, "34")
    assert await matched(wait) == "34"


async def test_more_keys_than_needed_are_kept_for_the_next_wait(line: Line) -> None:
    line.channel.press("1234")
    assert await matched_soon(line) == "12"
    assert await matched_soon(line) == "34"


async def test_keys_pressed_while_prompts_are_only_played_are_kept(line: Line) -> None:
    playing = asyncio.create_task(line.platform.play([prompt("one")]))
    await line.at(0.5, "12")
    assert line.channel.is_playing
    await line.at(1.1)
    assert playing.done()
    assert await matched_soon(line) == "12"


# Marks -------------------------------------------------------------------------------------------


async def test_the_last_mark_heard_is_told_with_the_time_since(line: Line) -> None:
    line.synthesizer.marks["one"] = (Mark("a", 0.2), Mark("b", 0.7))
    line.synthesizer.marks["two"] = (Mark("c", 0.5),)
    wait = line.listen(prompt("one"), prompt("two"))
    await line.at(1.25, "12")
    result = await ended(wait, InputKind.MATCH)
    assert (result.mark_name, result.mark_time) == ("b", pytest.approx(0.55))


async def test_marks_are_told_when_a_hotword_or_an_info_stops_the_prompt(line: Line) -> None:
    line.synthesizer.marks["two"] = (Mark("c", 0.5),)
    wait = line.listen(prompt("one", hotword=True), prompt("two", hotword=True))
    await line.at(1.75, "12")
    result = await ended(wait, InputKind.MATCH)
    assert (result.mark_name, result.mark_time) == ("c", pytest.approx(0.25))


async def test_silence_after_the_prompts_does_not_count_for_a_mark(line: Line) -> None:
    line.synthesizer.marks["one"] = (Mark("a", 0.25),)
    wait = line.listen(prompt("one"))
    await line.at(6.1)
    result = await ended(wait, InputKind.NOINPUT)
    assert (result.mark_name, result.mark_time) == ("a", pytest.approx(0.75))


async def test_a_mark_that_was_not_reached_is_not_told(line: Line) -> None:
    line.synthesizer.marks["one"] = (Mark("a", 0.75),)
    wait = line.listen(prompt("one"))
    await line.at(0.5, "12")
    result = await ended(wait, InputKind.MATCH)
    assert (result.mark_name, result.mark_time) == (None, None)
