"""What the interpreter's platform does on a leg beside waiting for input."""

from __future__ import annotations

import asyncio

import pytest

from tests.calls.line import Line, ended, matched, matched_soon, prompt
from vxml_server.calls.platform import LINGER
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import (
    InputKind,
    TransferRequest,
)
from vxml_server.sip import EndCause


@pytest.fixture
async def line() -> Line:
    return Line().up()


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
