"""`<transfer>` on telephones: every way in which it can end (VoiceXML 2.0 section 2.3.7)."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.calls.handing import DONE, STAR, Handing, heard
from tests.calls.world import World
from vxml_server.audio import encode_wav
from vxml_server.calls import Leg, PromptRenderer, Transfer
from vxml_server.calls.ringback import ringback
from vxml_server.calls.transfer import refusal
from vxml_server.calls.voice import Ear
from vxml_server.fetch import FetchRequest
from vxml_server.interpreter import (
    AudioSegment,
    TransferRequest,
    TransferResult,
)

# Dialling ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (486, "busy"),
        (600, "busy"),
        (603, "busy"),
        (408, "noanswer"),
        (480, "noanswer"),
        (487, "noanswer"),
        (500, "network_busy"),
        (503, "network_busy"),
        (404, "error.connection.baddestination"),
        (484, "error.connection.baddestination"),
        (401, "error.connection.noauthorization"),
        (403, "error.connection.noauthorization"),
        (407, "error.connection.noauthorization"),
        (488, "error.connection.noresource"),
        (302, "unknown"),
        (482, "unknown"),
        (699, "unknown"),
    ],
)
def test_a_final_response_has_its_outcome(status: int, outcome: str) -> None:
    assert refusal(status) == outcome


async def test_a_far_end_that_refuses_is_the_outcome() -> None:
    handing = await Handing().begin()
    await handing.clock.elapse(3)
    handing.far.refuse(486, "Busy Here")
    result = await handing.result()
    assert result == TransferResult("busy", message="486 Busy Here")
    record = handing.transfer.record
    assert (record.destination, record.type, record.outcome) == (
        "sip:bob@far.test",
        "bridge",
        "busy",
    )
    assert (record.ended_at - record.started_at).total_seconds() == 3
    assert (record.answered_at, record.duration_s) == (None, 0)


async def test_nobody_who_answers_in_time_is_noanswer_and_the_invite_is_cancelled() -> None:
    handing = await Handing(connect_timeout=10.0).begin()
    handing.far.ring()
    await handing.clock.elapse(9.9)
    assert not handing.running.done()
    assert (await handing.result(0.2)).outcome == "noanswer"
    assert handing.far.sent == ["CANCEL"]


async def test_an_answer_at_the_last_moment_counts() -> None:
    handing = await Handing(connect_timeout=10.0).begin()
    await handing.clock.elapse(9.99)
    handing.far.answer()
    await handing.clock.elapse(1)
    assert handing.is_bridged
    handing.far.bye()
    await handing.result()


async def test_a_destination_that_no_rule_allows_is_not_dialled() -> None:
    handing = Handing("sip:forbidden@far.test")
    assert handing.refused.outcome == "error.connection.noauthorization"
    assert handing.world.outgoing == []
    assert handing.transfer.record.outcome == "error.connection.noauthorization"
    assert await handing.transfer.connected() == handing.refused
    assert len(handing.world.engine.open_channels) == 1


async def test_a_destination_that_cannot_be_reached_is_a_bad_one() -> None:
    handing = Handing("sip:unreachable@far.test")
    assert handing.refused.outcome == "error.connection.baddestination"
    assert handing.transfer.record is not None
    assert len(handing.world.engine.open_channels) == 1


async def test_without_media_ports_there_is_no_resource() -> None:
    world = World()
    world.engine.most_channels = 1
    caller = Leg(world.engine, world.clock, 1)
    renderer = PromptRenderer(world.fetcher, world.synthesizer, world.resources.sounds)
    request = TransferRequest("sip:b@far.test", "bridge")
    transfer = Transfer(world.line, caller, renderer, Ear(caller, None), request)
    assert transfer.dial().outcome == "error.connection.noresource"
    assert transfer.record is not None


async def test_a_far_end_that_answers_without_media_is_no_resource() -> None:
    handing = await Handing().begin()
    handing.far.answer_without_description()
    await handing.clock.settle()
    assert (await handing.result()).outcome == "error.connection.noresource"
    assert handing.far.sent == ["BYE"]


async def test_a_leg_that_we_end_while_dialling_is_not_answered() -> None:
    handing = await Handing().begin()
    handing.far.final("cancelled")
    await handing.clock.settle()
    assert (await handing.result()).outcome == "noanswer"


async def test_a_caller_who_hangs_up_while_dialling_cancels_the_call() -> None:
    handing = await Handing().begin()
    handing.caller_call.bye()
    await handing.clock.settle()
    assert (await handing.result()).outcome == "connection.disconnect.hangup"
    assert handing.far.sent == ["CANCEL"]


async def test_a_caller_who_has_gone_before_dialling_is_noticed() -> None:
    handing = Handing()
    handing.caller_call.bye()
    await handing.clock.settle()
    handing.caller.events.take()
    await handing.begin()
    assert (await handing.result()).outcome == "connection.disconnect.hangup"


async def test_the_caller_may_give_up_dialling_by_a_key() -> None:
    handing = await Handing(grammars=(STAR,)).begin()
    await handing.press("1")
    assert not handing.running.done()
    await handing.press("*")
    result = await handing.result()
    assert result.outcome == "near_end_disconnect"
    assert result.recognition is not None
    assert result.recognition.utterance == "*"


async def test_the_request_carries_credentials_and_what_the_application_adds() -> None:
    handing = await Handing(aai="déjà; vu").begin()
    assert handing.far.target == "sip:bob@far.test"
    assert handing.far.credentials.username == "ivr"
    value = handing.far.headers["User-to-User"]
    assert bytes.fromhex(value.partition(";")[0]).decode() == "déjà; vu"
    assert value.endswith(";encoding=hex")
    handing.far.refuse(486)
    await handing.clock.settle()
    assert Handing().far.headers == {}


# What the caller hears ---------------------------------------------------------------------------


async def test_the_caller_hears_ringing_until_the_answer() -> None:
    handing = await Handing(lang="fr-FR").begin()
    assert handing.world.caller.sounding is ringback("fr")
    handing.far.answer()
    await handing.clock.settle()
    assert not handing.world.caller.is_playing
    handing.far.bye()
    await handing.clock.settle()


@pytest.mark.parametrize(("body", "seconds"), [(b"no audio", 6.0), (None, 6.0), ("wav", 0.5)])
async def test_the_document_s_audio_is_heard_if_it_can_be_had(body: object, seconds: float) -> None:
    audio = AudioSegment(FetchRequest("http://apps.test/wait.wav"))
    handing = Handing(transfer_audio=audio, lang="en")
    if body is not None:
        content = encode_wav(np.ones(4000, np.int16)) if body == "wav" else body
        handing.world.fetcher.files["http://apps.test/wait.wav"] = content
    await handing.begin()
    # Decoding takes place beside the loop.
    await asyncio.gather(*(t for t in asyncio.all_tasks() if t.get_name() == "transfer audio"))
    assert handing.world.caller.sounding.seconds == seconds
    handing.far.refuse(486)
    await handing.clock.settle()


async def test_audio_that_comes_after_the_answer_is_not_played() -> None:
    audio = AudioSegment(FetchRequest("http://apps.test/wait.wav"))
    handing = Handing(transfer_audio=audio)
    handing.world.fetcher.delay = 5.0
    await handing.bridged()
    await handing.clock.elapse(10)
    assert handing.world.caller.played == []
    handing.far.bye()
    await handing.clock.settle()
    await handing.result()


async def test_early_media_of_the_far_end_is_heard_instead_of_ringing() -> None:
    handing = await Handing().begin()
    handing.far.early_media()
    await handing.clock.settle()
    assert handing.is_bridged
    assert not handing.world.caller.is_playing
    handing.far.ring(180)
    await handing.clock.elapse(1)
    assert not handing.world.caller.is_playing
    handing.far.refuse(486)
    await handing.clock.settle()
    assert (await handing.result()).outcome == "busy"


async def test_early_media_and_the_answer_are_one_bridge() -> None:
    handing = await Handing().begin()
    handing.far.early_media()
    await handing.clock.elapse(5)
    handing.far.answer()
    await handing.clock.elapse(7)
    assert len(handing.world.engine.bridges) == 1
    handing.far.bye()
    await handing.clock.settle()
    assert (await handing.result()).duration == pytest.approx(7.0)


async def test_the_caller_may_give_up_dialling_by_words() -> None:
    handing = await Handing(grammars=(DONE,)).begin()
    handing.recogniser.current.tell(heard("we are done"))
    await handing.clock.settle()
    assert (await handing.result()).outcome == "near_end_disconnect"


async def test_the_end_of_the_call_while_dialling_cancels_the_invite() -> None:
    handing = await Handing().begin()
    handing.running.cancel()
    await handing.clock.settle()
    handing.assert_parted()
    assert handing.far.sent == ["CANCEL"]
    assert handing.transfer.record.duration_s == 0


# Consultation ------------------------------------------------------------------------------------


async def test_a_consultation_is_told_of_the_answer() -> None:
    handing = await Handing(type_="consultation").begin()
    connected = asyncio.create_task(handing.transfer.connected())
    await handing.clock.elapse(5)
    assert not connected.done()
    handing.far.answer()
    await handing.clock.settle()
    assert await connected is None
    assert handing.is_bridged
    handing.far.bye()
    await handing.clock.settle()
    await handing.result()


async def test_a_consultation_is_told_of_its_failure() -> None:
    handing = await Handing(type_="consultation").begin()
    handing.far.refuse(486)
    assert (await handing.transfer.connected()).outcome == "busy"
    await handing.clock.settle()
    await handing.result()
