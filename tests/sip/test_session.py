"""What happens in a call that is up: new media from either side, INFO, failure."""

from __future__ import annotations

import pytest

from tests.sip.peers import OFFER, World, answer_at_once
from vxml_server.sip.errors import IllegalTransition, Rejection
from vxml_server.sip.interface import EndCause
from vxml_server.sip.message import Request
from vxml_server.sip.sdp import SessionDescription
from vxml_server.sip.session import CALL_STATES, CallState

HOLD = OFFER.replace(b"m=audio", b"a=sendonly\r\nm=audio").replace(b"phone 1 1", b"phone 1 2")


def test_the_far_end_puts_us_on_hold() -> None:
    world = World()
    _, owner = world.answered_call()
    world.phone.send(world.phone.within("INVITE", body=HOLD))
    assert owner.told[-1] == ("reoffered", SessionDescription.parse(HOLD))
    answer = SessionDescription.parse(world.phone.responses[-1].body)
    assert answer.media[0].attribute("recvonly") == ""
    assert owner.media.media is not None
    assert owner.media.media.direction == "recvonly"
    world.phone.acknowledge()
    assert owner.names() == ["acknowledged", "reoffered", "acknowledged"]


def test_a_reinvite_without_offer_gets_ours_and_the_ack_answers() -> None:
    world = World()
    _, owner = world.answered_call()
    world.phone.send(world.phone.within("INVITE"))
    assert owner.told[-1] == ("reoffered", None)
    assert world.phone.responses[-1].content_type == "application/sdp"
    world.phone.acknowledge(OFFER)
    assert owner.told[-1] == ("acknowledged", SessionDescription.parse(OFFER))


def test_a_reinvite_moves_the_remote_target() -> None:
    world = World()
    call, _ = world.answered_call()
    elsewhere = {"Contact": "<sip:ann@127.0.0.1:5080;line=2>"}
    world.phone.send(world.phone.within("INVITE", body=HOLD, headers=elsewhere))
    world.phone.acknowledge()
    call.bye()
    world.clock.advance(0.01)
    assert world.phone.requests[-1].uri == "sip:ann@127.0.0.1:5080;line=2"


def test_a_reinvite_with_an_unusable_contact_leaves_the_target() -> None:
    world = World()
    call, _ = world.answered_call()
    world.phone.send(world.phone.within("INVITE", body=HOLD, headers={"Contact": "<tel:1>"}))
    world.phone.acknowledge()
    call.bye()
    world.clock.advance(0.01)
    assert world.phone.requests[-1].uri == "sip:ann@127.0.0.1:5080"


def test_a_reinvite_that_moves_out_of_reach_is_still_answered() -> None:
    world = World()
    call, _ = world.answered_call()
    moved = {"Contact": "<sip:ann@[::1]:5080>"}
    world.phone.send(world.phone.within("INVITE", body=HOLD, headers=moved))
    assert world.phone.responses[-1].status == 200
    assert world.phone.responses[-1].headers.get("Contact") == "<sip:1000@127.0.0.1:5060>"
    world.phone.acknowledge()
    call.bye()
    world.run_out()


def test_a_bye_that_cannot_be_delivered_ends_the_call() -> None:
    world = World()
    call, owner = world.answered_call()
    world.network.unreachable.add(world.phone.at)
    call.bye()
    world.clock.advance(0.1)
    assert call.state is CallState.TERMINATED
    assert owner.finals == 1


@pytest.mark.parametrize(
    ("refusal", "status"), [(Rejection(488), 488), (RuntimeError("owner"), 500)]
)
def test_an_offer_that_the_owner_refuses_changes_nothing(refusal: Exception, status: int) -> None:
    world = World()
    call, owner = world.answered_call()
    owner.refuse_reoffer = refusal
    reinvite = world.phone.within("INVITE", body=HOLD)
    world.phone.send(reinvite)
    assert world.phone.responses[-1].status == status
    world.phone.acknowledge_failure(reinvite)
    assert call.state is CallState.CONFIRMED


def test_a_reinvite_with_an_unreadable_offer_is_refused() -> None:
    world = World()
    _, owner = world.answered_call()
    world.phone.send(world.phone.within("INVITE", body=b"v=0\r\nnonsense"))
    assert world.phone.responses[-1].status == 400
    assert owner.names() == ["acknowledged"]


def test_an_owner_may_hang_up_instead_of_answering_an_offer() -> None:
    world = World()
    call, owner = world.answered_call()
    owner.during = lambda name: call.bye() if name == "reoffered" else None
    world.phone.send(world.phone.within("INVITE", body=HOLD))
    assert 487 in world.phone.statuses()
    assert "BYE" in world.phone.methods()


def test_a_reinvite_whose_2xx_is_not_acknowledged_ends_the_call() -> None:
    world = World()
    _, owner = world.answered_call()
    world.phone.send(world.phone.within("INVITE", body=HOLD))
    world.clock.advance(33)
    assert owner.told[-1] == ("ended", EndCause.ACK_TIMEOUT, "no ACK")
    world.run_out()


def test_a_second_invite_before_the_first_is_answered_has_to_wait() -> None:
    world = World()
    world.phone.call()
    world.call.ring()
    world.clock.advance(0.01)
    world.phone.send(world.phone.within("INVITE", body=OFFER))
    refused = world.phone.responses[-1]
    assert refused.status == 500
    assert 0 <= int(refused.headers.get("Retry-After")) <= 10


def test_a_reinvite_before_the_ack_of_the_last_2xx_is_glare() -> None:
    world = World()
    world.board.policy = answer_at_once
    world.phone.call()
    world.phone.send(world.phone.within("INVITE", body=HOLD))
    assert world.phone.statuses()[-1] == 491


def test_a_reinvite_in_a_call_that_we_hang_up_finds_no_call() -> None:
    world = World()
    call, _ = world.answered_call()
    call.bye()
    world.phone.send(world.phone.within("INVITE", body=HOLD))
    assert world.phone.statuses()[-1] == 481


def test_update_is_not_supported_and_says_what_is() -> None:
    world = World()
    world.answered_call()
    world.phone.send(world.phone.within("UPDATE", body=HOLD))
    assert world.phone.statuses()[-1] == 405
    assert "UPDATE" not in world.phone.responses[-1].headers.get("Allow")


def our_reinvite(world: World) -> Request:
    """The call's owner puts the far end on hold; the request as the phone got it."""
    world.call.reinvite(world.owner.media.offer("sendonly"))
    world.clock.advance(0.01)
    assert world.phone.methods()[-1] == "INVITE"
    return world.phone.requests[-1]


def accepted(request: Request) -> bytes:
    response = request.response(200)
    response.headers.add("Contact", "<sip:ann@127.0.0.1:5080;moved>")
    response.headers.add("Content-Type", "application/sdp")
    response.body = OFFER
    return bytes(response)


def test_our_offer_is_answered_and_acknowledged_each_time() -> None:
    world = World()
    call, owner = world.answered_call()
    reinvite = our_reinvite(world)
    assert reinvite.headers.get("Contact") == "<sip:1000@127.0.0.1:5060>"
    world.phone.send(reinvite.response(100))
    world.phone.send(accepted(reinvite))
    world.phone.send(accepted(reinvite))
    assert world.phone.methods() == ["INVITE", "ACK", "ACK"]
    ack = world.phone.requests[-1]
    assert (ack.cseq[0], ack.uri) == (reinvite.cseq[0], "sip:ann@127.0.0.1:5080;moved")
    assert owner.told[-1] == ("reinvite_answered", SessionDescription.parse(OFFER))
    assert owner.names().count("reinvite_answered") == 1
    assert call.state is CallState.CONFIRMED
    world.clock.advance(40)
    our_reinvite(world)


def test_an_unreadable_answer_to_our_offer_is_told_as_none() -> None:
    world = World()
    _, owner = world.answered_call()
    world.phone.send(accepted(our_reinvite(world)).replace(b"v=0", b"v=9"))
    assert owner.told[-1] == ("reinvite_answered", None)


def test_an_offer_of_ours_that_is_refused_changes_nothing() -> None:
    world = World()
    call, owner = world.answered_call()
    reinvite = our_reinvite(world)
    world.phone.send(reinvite.response(488))
    assert owner.told[-1] == ("reinvite_rejected", 488, "Not Acceptable Here")
    assert call.state is CallState.CONFIRMED
    our_reinvite(world)


def test_only_one_reinvite_runs_at_a_time_and_only_in_a_confirmed_call() -> None:
    world = World()
    world.board.policy = answer_at_once
    world.phone.call()
    offer = world.owner.media.offer()
    with pytest.raises(IllegalTransition):
        world.call.reinvite(offer)
    with pytest.raises(IllegalTransition):
        world.call.info("a/b", b"")
    world.phone.acknowledge()
    world.call.reinvite(offer)
    with pytest.raises(IllegalTransition):
        world.call.reinvite(offer)


def test_reinvites_that_cross_are_both_refused_and_ours_is_tried_again() -> None:
    world = World()
    _, owner = world.answered_call()
    reinvite = our_reinvite(world)
    world.phone.send(world.phone.within("INVITE", body=HOLD))
    assert world.phone.statuses()[-1] == 491
    world.phone.send(reinvite.response(491))
    world.clock.advance(2.1)
    assert world.phone.methods()[:3] == ["INVITE", "ACK", "INVITE"]
    again = world.phone.requests[-1]
    assert again.cseq[0] == reinvite.cseq[0] + 1
    world.phone.send(accepted(again))
    assert owner.told[-1][0] == "reinvite_answered"


def test_glare_without_end_is_given_up() -> None:
    world = World()
    _, owner = world.answered_call()
    world.phone.react = lambda message: (
        world.phone.transport.send(bytes(message.response(491)), "127.0.0.1", 5060, print)
        if isinstance(message, Request) and message.method == "INVITE"
        else None
    )
    world.call.reinvite(owner.media.offer())
    world.clock.advance(20)
    assert world.phone.methods().count("INVITE") == 5
    assert owner.told[-1] == ("reinvite_rejected", 491, "Request Pending")


def test_a_reinvite_of_the_far_end_overtakes_ours_that_waits() -> None:
    world = World()
    _, owner = world.answered_call()
    world.phone.send(our_reinvite(world).response(491))
    world.phone.send(world.phone.within("INVITE", body=HOLD))
    assert world.phone.statuses()[-1] == 200
    assert owner.names()[-2:] == ["reoffered", "reinvite_rejected"]
    world.phone.acknowledge()
    world.clock.advance(5)
    assert world.phone.methods().count("INVITE") == 1


@pytest.mark.parametrize(("status", "byes"), [(481, 0), (408, 1)])
def test_a_reinvite_that_finds_no_call_ends_it(status: int, byes: int) -> None:
    world = World()
    _, owner = world.answered_call()
    world.phone.send(our_reinvite(world).response(status))
    world.clock.advance(0.1)
    assert owner.told[-1] == ("ended", EndCause.TRANSPORT, f"re-INVITE: {status}")
    assert world.phone.methods().count("BYE") == byes
    world.run_out()


def test_a_reinvite_that_nobody_answers_ends_the_call() -> None:
    world = World()
    _, owner = world.answered_call()
    our_reinvite(world)
    world.clock.advance(33)
    assert owner.told[-1] == ("ended", EndCause.TRANSPORT, "re-INVITE: no response")
    world.run_out()


def test_a_reinvite_that_cannot_be_sent_ends_the_call() -> None:
    world = World()
    _, owner = world.answered_call()
    world.network.unreachable.add(world.phone.at)
    world.call.reinvite(owner.media.offer())
    world.clock.advance(0.1)
    assert owner.told[-1] == ("ended", EndCause.TRANSPORT, "re-INVITE: unreachable")
    world.run_out()


def test_a_reinvite_or_info_with_no_way_ends_the_call() -> None:
    for attempt in ("reinvite", "info"):
        world = World()
        world.board.policy = answer_at_once
        world.phone.call(headers={"Contact": "<sip:ann@[::1]:6066>"})
        world.phone.acknowledge()
        if attempt == "reinvite":
            world.call.reinvite(world.owner.media.offer())
        else:
            world.call.info("a/b", b"c")
        world.clock.advance(0.1)
        assert world.owner.told[-1][:2] == ("ended", EndCause.TRANSPORT)
        world.run_out()


def test_a_2xx_to_our_reinvite_is_acknowledged_after_we_hung_up() -> None:
    world = World()
    call, owner = world.answered_call()
    reinvite = our_reinvite(world)
    call.bye()
    world.clock.advance(0.01)
    world.phone.send(accepted(reinvite))
    assert "ACK" in world.phone.methods()
    assert owner.names()[-1] == "ended"
    bye = next(request for request in world.phone.requests if request.method == "BYE")
    world.phone.send(bye.response(200))
    world.run_out()


def test_a_failure_of_our_reinvite_after_the_call_is_not_told() -> None:
    world = World()
    _, owner = world.answered_call()
    reinvite = our_reinvite(world)
    world.phone.send(world.phone.within("BYE"))
    world.phone.send(reinvite.response(487))
    assert owner.names()[-1] == "ended"
    world.run_out()


def test_our_info_is_sent_in_the_dialog() -> None:
    world = World()
    call, owner = world.answered_call()
    call.info("application/dtmf-relay", b"Signal=1\r\n")
    world.clock.advance(0.01)
    info = world.phone.requests[-1]
    assert (info.method, info.content_type, info.body) == (
        "INFO",
        "application/dtmf-relay",
        b"Signal=1\r\n",
    )
    world.phone.send(info.response(100))
    world.phone.send(info.response(200))
    assert call.state is CallState.CONFIRMED
    assert owner.names() == ["acknowledged"]


@pytest.mark.parametrize("status", [408, 481])
def test_an_info_that_finds_no_call_ends_it(status: int) -> None:
    world = World()
    call, owner = world.answered_call()
    call.info("a/b", b"x")
    world.clock.advance(0.01)
    world.phone.send(world.phone.requests[-1].response(status))
    assert owner.told[-1] == ("ended", EndCause.TRANSPORT, f"INFO: {status}")


def test_an_info_that_fails_after_the_call_is_over_changes_nothing() -> None:
    world = World()
    call, owner = world.answered_call()
    call.info("a/b", b"x")
    call.bye()
    world.run_out()
    assert owner.told[-1] == ("ended", EndCause.LOCAL, "")


def test_an_info_that_is_refused_changes_nothing() -> None:
    world = World()
    call, owner = world.answered_call()
    call.info("a/b", b"x")
    world.clock.advance(0.01)
    world.phone.send(world.phone.requests[-1].response(415))
    assert (call.state, owner.finals) == (CallState.CONFIRMED, 0)


def test_every_state_of_a_call_ends() -> None:
    ends = {CallState.TERMINATED}
    for _ in CALL_STATES:
        ends |= {state for state, steps in CALL_STATES.items() if ends & set(steps.values())}
    assert ends == set(CallState)
