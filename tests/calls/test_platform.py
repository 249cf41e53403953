"""What a wait for input hears, plays and waits for (VoiceXML 2.0 sections 4.1.5 and 6.3.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest

from tests.calls.world import FakeChannel, FakeEngine, FakeFetcher, FakeIncoming, FakeSynthesizer
from vxml_server.calls import CallPlatform, Leg, PromptRenderer, SoundCache, Spool
from vxml_server.calls.platform import LINGER
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import builtin, load
from vxml_server.interpreter import (
    ActiveGrammar,
    InputKind,
    InputProperties,
    InputResult,
    ListenRequest,
    Prompt,
    SpeechSegment,
    TransferRequest,
    TransferResult,
)
from vxml_server.sip import EndCause
from vxml_server.tts import Mark

DIGITS = ActiveGrammar(builtin("builtin:dtmf/digits?length=2"), "dtmf", "field", None)
OPEN = ActiveGrammar(builtin("builtin:dtmf/digits?minlength=1;maxlength=4"), "dtmf", "field", None)
FAST = InputProperties(timeout=5.0, interdigit_timeout=2.0, term_timeout=0.0)


def prompt(text: str, *, bargein: bool = True, hotword: bool = False) -> Prompt:
    segment = SpeechSegment(f"<speak>{text}</speak>", text, "en")
    return Prompt((segment,), "en", bargein, "hotword" if hotword else "speech")


class Line:
    """A platform on a leg that is up."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.engine = FakeEngine(self.clock)
        self.synthesizer = FakeSynthesizer(self.clock)
        self.call = FakeIncoming()
        self.leg = Leg(self.engine, self.clock, 1)
        self.call.listener = self.leg
        self.leg.accept(self.call)
        self.trace: list[tuple[str, dict]] = []
        self.transferred: list[TransferRequest] = []
        self.outcome = "far_end_disconnect"
        self.fetcher = FakeFetcher(self.clock)
        self.platform = CallPlatform(
            self.leg,
            clock=self.clock,
            renderer=PromptRenderer(self.fetcher, self.synthesizer, SoundCache(10_000_000)),
            observer=lambda kind, record: self.trace.append((kind, record)),
            answer=self.leg.answer,
            transfer=self._transfer,
            spool=Spool(Path("no-such-folder"), "main", self.clock).of_call("1"),
        )

    async def _transfer(self, request: TransferRequest) -> TransferResult:
        self.transferred.append(request)
        return TransferResult(self.outcome, 12.3456)

    @property
    def channel(self) -> FakeChannel:
        return self.engine.channels[0]

    def up(self) -> Line:
        self.leg.answer()
        self.call.ack()
        self.leg.events.take()
        return self

    def listen(
        self,
        *prompts: Prompt,
        grammars: tuple[ActiveGrammar, ...] = (DIGITS,),
        properties: InputProperties = FAST,
    ) -> asyncio.Task[InputResult]:
        request = ListenRequest(prompts, grammars, properties)
        return asyncio.create_task(self.platform.listen(request))

    async def at(self, seconds: float, keys: str = "", source: str = "rfc4733") -> None:
        """Lets time pass until `seconds`, and presses keys then."""
        await self.clock.elapse(seconds - self.clock.monotonic())
        if keys:
            self.channel.press(keys, source)
            await self.clock.settle()

    def said(self) -> list[str]:
        return [record["text"] for kind, record in self.trace if kind == "prompt"]

    def inputs(self) -> list[str]:
        return [record["utterance"] for kind, record in self.trace if kind == "input"]


@pytest.fixture
async def line() -> Line:
    return Line().up()


async def ended(task: Awaitable[InputResult], kind: InputKind) -> InputResult:
    assert isinstance(task, asyncio.Task)
    assert task.done()
    result = await task
    assert result.kind is kind
    return result


async def matched(task: Awaitable[InputResult]) -> str:
    return (await ended(task, InputKind.MATCH)).nbest[0].utterance


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


async def matched_soon(line: Line) -> str:
    wait = line.listen(prompt("one"))
    await line.clock.settle()
    return await matched(wait)


async def test_keys_pressed_while_prompts_are_only_played_are_kept(line: Line) -> None:
    playing = asyncio.create_task(line.platform.play([prompt("one")]))
    await line.at(0.5, "12")
    assert line.channel.is_playing
    await line.at(1.1)
    assert playing.done()
    assert await matched_soon(line) == "12"


# Rendering ---------------------------------------------------------------------------------------


async def test_prompts_are_rendered_side_by_side_and_played_in_order(line: Line) -> None:
    line.synthesizer.delays["one"] = 2.0
    line.synthesizer.delays["two"] = 1.0
    line.listen(prompt("one"), prompt("two"))
    await line.at(4.5)
    assert line.said() == ["one", "two"]
    assert [at for _, at in line.channel.played] == [2.0, 3.0]
    line.call.bye()
    await line.clock.settle()


async def test_silence_does_not_begin_while_a_prompt_is_rendered(line: Line) -> None:
    line.synthesizer.delays["one"] = 20.0
    wait = line.listen(prompt("one"))
    await line.at(25.9)
    assert not wait.done()
    await line.at(26.1)
    await ended(wait, InputKind.NOINPUT)


async def test_a_prompt_that_cannot_be_rendered_is_an_event(line: Line) -> None:
    line.synthesizer.failing.add("one")
    with pytest.raises(VoiceXmlEvent, match=r"error\.unsupported\.language"):
        await line.listen(prompt("one"))


async def test_what_comes_before_a_prompt_that_fails_is_heard(line: Line) -> None:
    line.synthesizer.failing.add("two")
    wait = line.listen(prompt("one"), prompt("two"), prompt("three"))
    await line.at(0.9)
    assert not wait.done()
    await line.at(1.1)
    with pytest.raises(VoiceXmlEvent, match=r"error\.unsupported\.language"):
        await wait
    assert line.said() == ["one"]


async def test_a_key_before_a_prompt_that_fails_is_heard_instead(line: Line) -> None:
    line.synthesizer.failing.add("two")
    wait = line.listen(prompt("one"), prompt("two"))
    await line.at(0.5, "12")
    assert await matched(wait) == "12"


async def test_playing_a_prompt_that_fails_is_an_event(line: Line) -> None:
    line.synthesizer.failing.add("two")
    playing = asyncio.create_task(line.platform.play([prompt("one"), prompt("two")]))
    await line.at(0.9)
    assert not playing.done()
    await line.at(1.1)
    with pytest.raises(VoiceXmlEvent):
        await playing


async def test_nothing_of_a_prompt_goes_on_after_its_wait(line: Line) -> None:
    line.synthesizer.delays["one"] = 60.0
    wait = line.listen(prompt("one"), prompt("two"))
    await line.at(0.1, "12")
    assert await matched(wait) == "12"
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert line.clock.next_due() is None


async def test_a_wait_that_is_cancelled_leaves_nothing_behind(line: Line) -> None:
    line.synthesizer.delays["two"] = 60.0
    wait = line.listen(prompt("one"), prompt("two"))
    await line.at(0.5)
    wait.cancel()
    await line.clock.settle()
    assert wait.cancelled()
    assert not line.channel.is_playing
    assert asyncio.all_tasks() == {asyncio.current_task()}


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


# Hanging up --------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0.0, 0.5, 1.5, 3.0])
async def test_a_wait_ends_when_the_caller_hangs_up(line: Line, at: float) -> None:
    line.synthesizer.delays["two"] = 2.0
    wait = line.listen(prompt("one"), prompt("two"))
    await line.at(at)
    line.call.bye()
    await line.clock.settle()
    await ended(wait, InputKind.HANGUP)
    assert line.platform.hung_up
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_after_the_caller_has_gone_nothing_is_waited_for(line: Line) -> None:
    line.call.bye()
    await line.clock.settle()
    assert (await line.listen(prompt("one"))).kind is InputKind.HANGUP
    await line.platform.play([prompt("one")])
    result = await line.platform.transfer(TransferRequest("sip:b@far.test", "bridge"))
    assert result.outcome == "connection.disconnect.hangup"
    await line.platform.disconnect({})
    assert line.said() == []
    assert line.transferred == []
    assert line.clock.monotonic() == 0.0


async def test_a_caller_who_hangs_up_ends_what_is_played(line: Line) -> None:
    playing = asyncio.create_task(line.platform.play([prompt("one")]))
    await line.at(0.5)
    line.call.bye()
    await line.clock.settle()
    assert playing.done()


async def test_before_we_hang_up_the_far_end_hears_the_last_of_it(line: Line) -> None:
    ending = asyncio.create_task(line.platform.disconnect({}))
    await line.at(LINGER - 0.01)
    assert line.call.sent == ["200"]
    await line.at(LINGER + 0.01)
    assert line.call.sent == ["200", "BYE"]
    assert ending.done()
    assert line.platform.hung_up


# Answering ---------------------------------------------------------------------------------------


async def test_the_call_is_answered_once_and_the_ack_waited_for() -> None:
    line = Line()
    answering = asyncio.create_task(line.platform.answer())
    await line.clock.settle()
    assert line.call.sent == ["200"]
    assert not answering.done()
    line.call.ack()
    await answering
    await line.platform.answer()
    assert line.call.sent == ["200"]


async def test_keys_that_overtake_the_ack_are_kept() -> None:
    line = Line()
    answering = asyncio.create_task(line.platform.answer())
    await line.clock.settle()
    line.channel.press("12")
    await line.clock.settle()
    line.call.ack()
    await answering
    assert await matched_soon(line) == "12"


async def test_a_lost_ack_ends_the_waiting_with_the_leg() -> None:
    line = Line()
    answering = asyncio.create_task(line.platform.answer())
    await line.at(32.0)
    line.leg.ended(EndCause.ACK_TIMEOUT, "no ACK")
    await answering
    assert line.platform.hung_up


async def test_a_caller_who_gave_up_is_not_answered() -> None:
    line = Line()
    line.call.cancel()
    await line.clock.settle()
    await line.platform.answer()
    assert line.call.sent == []


async def test_the_time_of_a_call_begins_with_its_platform(line: Line) -> None:
    await line.at(3.0)
    assert line.platform.now() == pytest.approx(3.0)


# Transfers ---------------------------------------------------------------------------------------


async def test_prompts_are_heard_before_a_transfer_and_keys_are_dropped(line: Line) -> None:
    request = TransferRequest("sip:b@far.test", "bridge", prompts=(prompt("one"),))
    transferring = asyncio.create_task(line.platform.transfer(request))
    await line.at(0.9, "12")
    assert line.transferred == []
    await line.at(1.1)
    assert (await transferring).outcome == "far_end_disconnect"
    assert not line.platform.hung_up
    assert line.leg.events.take_keys() == []
    assert line.trace[-1] == (
        "transfer",
        {
            "dest": "sip:b@far.test",
            "type": "bridge",
            "outcome": "far_end_disconnect",
            "duration": 12.346,
        },
    )


async def test_a_caller_who_was_handed_on_is_out_of_reach(line: Line) -> None:
    line.outcome = "connection.disconnect.transfer"
    await line.platform.transfer(TransferRequest("sip:b@far.test", "blind"))
    assert line.platform.hung_up
    assert line.leg.end is None
