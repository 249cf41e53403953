"""What ends a bridge, once the far end has answered (VoiceXML 2.0 section 2.3.7.2)."""

from __future__ import annotations

import pytest

from tests.calls.handing import DONE, STAR, TWO, Handing, heard
from vxml_server.asr import (
    Attention,
    SpeechPassedOver,
    VoiceFailed,
)
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import builtin, load
from vxml_server.interpreter import (
    ActiveGrammar,
    InputProperties,
)


async def test_a_far_end_that_hangs_up_ends_the_bridge() -> None:
    handing = await Handing().bridged()
    await handing.clock.elapse(12.5)
    handing.far.bye()
    await handing.clock.settle()
    result = await handing.result()
    assert (result.outcome, result.duration) == ("far_end_disconnect", pytest.approx(12.5))
    record = handing.transfer.record
    assert (record.answered_at - record.started_at).total_seconds() == 2
    assert (record.outcome, record.duration_s) == ("far_end_disconnect", 12.5)


async def test_a_far_end_that_is_lost_is_the_network_s() -> None:
    handing = await Handing().bridged()
    handing.far.lose()
    await handing.clock.settle()
    assert (await handing.result()).outcome == "network_disconnect"


async def test_a_caller_who_hangs_up_ends_the_bridge_and_the_other_leg() -> None:
    handing = await Handing().bridged()
    await handing.clock.elapse(3)
    handing.caller_call.bye()
    await handing.clock.settle()
    result = await handing.result()
    assert (result.outcome, result.duration) == (
        "connection.disconnect.hangup",
        pytest.approx(3.0),
    )
    assert handing.far.sent == ["BYE"]


async def test_a_bridge_lasts_no_longer_than_it_may() -> None:
    handing = await Handing(max_time=60.0).bridged()
    await handing.clock.elapse(59.9)
    assert not handing.running.done()
    result = await handing.result(0.2)
    assert (result.outcome, result.duration) == ("maxtime_disconnect", pytest.approx(60.0))


async def test_a_bridge_without_limit_lasts() -> None:
    handing = await Handing().bridged()
    await handing.clock.elapse(100_000)
    assert handing.is_bridged
    handing.far.bye()
    await handing.clock.settle()
    await handing.result()


async def test_a_key_of_the_transfer_s_grammar_ends_the_bridge() -> None:
    handing = await Handing(grammars=(STAR,)).bridged()
    await handing.press("123", after=1)
    assert handing.is_bridged
    await handing.press("*", after=1)
    result = await handing.result()
    assert result.outcome == "near_end_disconnect"
    assert result.recognition.utterance == "*"


async def test_an_input_that_could_go_on_ends_the_bridge_when_its_time_is_over() -> None:
    active = ActiveGrammar(
        builtin("builtin:dtmf/digits?minlength=1;maxlength=3"), "dtmf", "transfer", None
    )
    properties = InputProperties(interdigit_timeout=2.0)
    handing = await Handing(grammars=(active,), properties=properties).bridged()
    await handing.press("12")
    await handing.clock.elapse(1.9)
    assert handing.is_bridged
    assert (await handing.result(0.2)).recognition.utterance == "12"


async def test_keys_that_match_nothing_go_on_unheard() -> None:
    handing = await Handing(grammars=(TWO,)).bridged()
    await handing.press("1")
    await handing.clock.elapse(5)
    await handing.press("4*")
    assert handing.is_bridged
    await handing.press("56")
    assert (await handing.result()).recognition.utterance == "56"


@pytest.mark.parametrize(
    "request_",
    [{}, {"grammars": (STAR,), "properties": InputProperties(input_modes=frozenset({"voice"}))}],
)
async def test_without_keys_to_listen_to_none_ends_the_bridge(request_: dict[str, object]) -> None:
    handing = await Handing(**request_).bridged()
    await handing.press("*9")
    assert handing.is_bridged
    handing.far.bye()
    await handing.clock.settle()
    await handing.result()


async def test_a_tag_that_fails_ends_the_transfer_with_its_event() -> None:
    source = (
        '<grammar xmlns="http://www.w3.org/2001/06/grammar" version="1.0" mode="dtmf" root="r"'
        ' tag-format="semantics/1.0"><rule id="r">7<tag>out = nobody.home;</tag></rule></grammar>'
    )
    active = ActiveGrammar(load(source.encode()), "dtmf", "transfer", None)
    handing = await Handing(grammars=(active,)).bridged()
    await handing.press("7")
    assert (await handing.result()).outcome == "error.semantic"


async def test_words_of_the_transfer_s_grammar_end_the_bridge() -> None:
    handing = await Handing(grammars=(STAR, DONE)).bridged()
    listening = handing.recogniser.current
    # People talk on a bridge: what matches nothing is passed over.
    assert listening.attention is Attention.HOTWORD
    assert handing.world.caller.tapped_by is not None
    listening.tell(SpeechPassedOver(3.0))
    await handing.clock.elapse(3)
    assert handing.is_bridged
    listening.tell(heard("we are done"))
    await handing.clock.settle()
    result = await handing.result()
    assert (result.outcome, result.duration) == ("near_end_disconnect", 3.0)
    assert result.recognition is not None
    assert (result.recognition.utterance, result.recognition.active) == ("we are done", DONE)
    assert listening.is_closed
    assert handing.world.caller.tapped_by is None


async def test_a_bridge_goes_on_without_a_recogniser() -> None:
    handing = await Handing(grammars=(DONE,)).bridged()
    gone = VoiceXmlEvent("error.noresource", "the engine is gone")
    handing.recogniser.current.tell(VoiceFailed(gone))
    await handing.clock.elapse(3)
    assert handing.is_bridged
    handing.far.bye()
    await handing.clock.settle()
    assert (await handing.result()).outcome == "far_end_disconnect"


@pytest.mark.parametrize("request_", [{"type_": "consultation", "grammars": (DONE,)}, {}])
async def test_nobody_listens_where_words_end_nothing(request_: dict[str, object]) -> None:
    handing = await Handing(**request_).begin()
    assert handing.recogniser.waits == []
    handing.caller_call.bye()
    await handing.clock.settle()
    await handing.result()


async def test_keys_by_info_are_pressed_again_at_the_other_end() -> None:
    handing = await Handing().bridged()
    handing.caller_call.info("1")
    handing.far.info("2")
    await handing.press("3")  # the media pass these by themselves
    await handing.clock.settle()
    assert handing.world.callee.keys_sent == "1"
    assert handing.world.caller.keys_sent == "2"
    handing.far.bye()
    await handing.clock.settle()


async def test_the_end_of_the_call_ends_the_transfer() -> None:
    handing = await Handing().bridged()
    await handing.clock.elapse(4)
    handing.running.cancel()
    await handing.clock.settle()
    assert handing.running.cancelled()
    handing.assert_parted()
    record = handing.transfer.record
    assert (record.outcome, record.duration_s) == ("connection.disconnect.hangup", 4.0)
