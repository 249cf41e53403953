"""Calls that we give up before they are answered (RFC 3261 section 9.1)."""

from __future__ import annotations

from tests.sip.dialling import Dialling
from tests.sip.peers import OFFER
from vxml_server.sip.session import CallState


def test_a_cancel_waits_for_a_provisional_response() -> None:
    world = Dialling()
    call = world.dial()
    call.cancel()
    world.clock.advance(0.1)
    assert world.bob.methods() == ["INVITE"]
    world.reply(100)
    assert world.bob.methods() == ["INVITE", "CANCEL"]
    cancel = world.bob.requests[-1]
    assert cancel.via.branch == world.bob.requests[0].via.branch
    world.bob.send(cancel.response(200, tag="bob"))
    assert world.ear.told == []
    world.reply(180)
    world.reply(487)
    assert world.ear.told == [("cancelled",)]
    assert world.bob.methods() == ["INVITE", "CANCEL", "ACK"]
    world.run_out()


def test_a_cancel_after_ringing_leaves_at_once_and_only_once() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(180)
    call.hang_up()
    call.cancel()
    world.clock.advance(0.01)
    assert world.bob.methods() == ["INVITE", "CANCEL"]
    world.reply(180)
    assert world.bob.methods() == ["INVITE", "CANCEL"]


def test_a_cancelled_invite_that_nobody_answers_is_over_with_timer_b() -> None:
    world = Dialling()
    world.dial().cancel()
    world.clock.advance(33)
    assert world.ear.told == [("cancelled",)]
    world.run_out()


def test_a_cancel_that_has_no_effect_is_over_after_64_t1() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(180)
    call.cancel()
    world.clock.advance(0.01)
    world.bob.send(world.bob.requests[-1].response(200))
    world.clock.advance(31)
    assert world.ear.names() == ["progress"]
    world.clock.advance(1.1)
    assert world.ear.names() == ["progress", "cancelled"]
    world.run_out()


def test_a_cancel_that_nobody_answers_is_over_after_64_t1() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(180)
    call.cancel()
    world.clock.advance(33)
    assert world.ear.names() == ["progress", "cancelled"]
    world.run_out()


def test_a_cancel_that_cannot_be_sent_is_over_at_once() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(180)
    world.network.unreachable.add(world.bob.at)
    call.cancel()
    world.clock.advance(0.1)
    assert world.ear.names() == ["progress", "cancelled"]
    world.run_out()


def test_an_answer_that_crosses_our_cancel_is_acknowledged_and_hung_up() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(180)
    call.cancel()
    world.reply(200, body=OFFER)
    world.clock.advance(0.01)
    assert world.bob.methods() == ["INVITE", "CANCEL", "ACK", "BYE"]
    world.reply(200, body=OFFER)
    assert world.bob.methods()[-1] == "ACK"
    assert world.ear.names() == ["progress", "cancelled"]
    bye = next(request for request in world.bob.requests if request.method == "BYE")
    world.bob.send(bye.response(200))
    world.run_out()


def test_an_answer_that_comes_although_the_cancel_waits_is_hung_up() -> None:
    world = Dialling()
    world.dial().cancel()
    world.reply(200, body=OFFER)
    assert world.bob.methods() == ["INVITE", "ACK", "BYE"]
    assert world.ear.told == [("cancelled",)]


def test_a_cancel_after_the_answer_changes_nothing() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(200, body=OFFER)
    call.cancel()
    assert call.state is CallState.CONFIRMED
