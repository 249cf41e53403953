"""Calls that come to us, as a phone sees them."""

from __future__ import annotations

import pytest

from tests.sip.peers import OFFER, Owner, World, answer_at_once, last
from vxml_server.sip.errors import IllegalTransition
from vxml_server.sip.headers import Headers
from vxml_server.sip.incoming import IncomingCall
from vxml_server.sip.interface import EndCause
from vxml_server.sip.sdp import SessionDescription
from vxml_server.sip.session import CallState


def test_a_call_is_told_to_the_handler_with_what_its_invite_says() -> None:
    world = World()
    world.phone.call(headers={"X-Data": "ticket=42"})
    call = world.call
    assert (call.remote_uri, call.remote_display_name) == ("sip:ann@127.0.0.1", "Ann Other")
    assert (call.local_uri, call.request_uri) == ("sip:1000@127.0.0.1", "sip:1000@127.0.0.1:5060")
    assert (call.sip_call_id, call.headers.get("x-data")) == ("call-1", "ticket=42")
    assert call.remote_offer == SessionDescription.parse(OFFER)
    assert (call.source, call.local_address) == (("127.0.0.1", 5080), "127.0.0.1")
    assert call.state is CallState.CALLING
    assert world.phone.statuses() == [100]


def test_a_call_is_answered_acknowledged_and_hung_up_by_the_caller() -> None:
    world = World()
    call, owner = world.answered_call()
    assert world.phone.statuses() == [100, 200]
    answer = last(world)
    assert answer.headers.get("Contact") == "<sip:1000@127.0.0.1:5060>"
    assert answer.content_type == "application/sdp"
    assert owner.names() == ["acknowledged"]
    assert call.state is CallState.CONFIRMED
    world.phone.send(
        world.phone.within("BYE", headers={"Reason": 'Q.850;cause=16;text="so \\"long\\""'})
    )
    assert last(world).status == 200
    assert owner.told[-1] == ("ended", EndCause.REMOTE_BYE, 'so "long"')
    assert call.state is CallState.TERMINATED
    world.run_out()


def test_a_reason_without_text_is_told_whole() -> None:
    world = World()
    _, owner = world.answered_call()
    world.phone.send(world.phone.within("BYE", headers={"Reason": "SIP;cause=200"}))
    assert owner.told[-1] == ("ended", EndCause.REMOTE_BYE, "SIP;cause=200")


def test_ringing_and_early_media_come_before_the_answer() -> None:
    world = World()
    world.phone.call()
    early = world.owner.media.answer(SessionDescription.parse(OFFER))
    world.call.ring()
    world.call.ring(183, early)
    world.call.answer(early)
    world.clock.advance(0.01)
    assert world.phone.statuses() == [100, 180, 183, 200]
    assert {response.to.tag for response in world.phone.responses[1:]} == {last(world).to.tag}
    assert world.phone.responses[2].body == last(world).body


def test_a_ringing_call_says_so_every_minute() -> None:
    world = World()
    world.phone.call()
    world.call.ring(182)
    world.clock.advance(121)
    assert world.phone.statuses() == [100, 182, 182, 182]
    world.call.reject(480)
    world.clock.advance(0.1)
    world.phone.acknowledge_failure(world.phone.request("INVITE", cseq=1))
    world.run_out()


def test_a_retransmitted_invite_is_answered_once() -> None:
    world = World()
    invite = world.phone.call()
    world.phone.send(invite)
    world.call.ring()
    world.phone.send(invite)
    assert world.phone.statuses() == [100, 100, 180, 180]
    assert len(world.board.calls) == 1
    assert world.agent.counters.retransmissions_received == 2


def test_the_2xx_is_repeated_until_its_ack() -> None:
    world = World()
    world.board.policy = answer_at_once
    world.phone.call()
    world.clock.advance(3.6)
    assert world.phone.statuses() == [100, 200, 200, 200, 200]
    world.phone.acknowledge()
    world.clock.advance(10)
    assert world.phone.statuses().count(200) == 4
    assert world.owner.names() == ["acknowledged"]
    world.phone.acknowledge()
    assert world.owner.names() == ["acknowledged"]


def test_a_2xx_without_ack_is_given_up_after_64_t1_with_a_bye() -> None:
    world = World()
    world.board.policy = answer_at_once
    world.phone.call()
    world.clock.advance(33)
    assert world.phone.statuses().count(200) == 11
    assert world.owner.told == [("ended", EndCause.ACK_TIMEOUT, "no ACK")]
    assert world.phone.methods()[0] == "BYE"
    world.run_out()


def test_the_2xx_is_repeated_over_a_stream_too() -> None:
    world = World("tcp")
    world.board.policy = answer_at_once
    world.phone.call()
    world.clock.advance(1.6)
    assert world.phone.statuses() == [100, 200, 200, 200]


def test_an_ack_with_the_branch_of_its_invite_is_taken_as_well() -> None:
    world = World()
    world.board.policy = answer_at_once
    invite = world.phone.call()
    world.phone.acknowledge(headers={"Via": invite.headers.get("Via")})
    assert world.owner.names() == ["acknowledged"]


def test_an_ack_for_another_invite_is_not_ours() -> None:
    world = World()
    world.board.policy = answer_at_once
    world.phone.call()
    world.phone.acknowledge(cseq=99)
    assert world.owner.told == []


def test_without_an_offer_we_offer_and_the_ack_answers() -> None:
    world = World()
    world.board.policy = answer_at_once
    world.phone.call(body=b"")
    assert world.call.remote_offer is None
    offered = SessionDescription.parse(last(world).body)
    assert offered.media[0].formats == ("8", "0", "101")
    world.phone.acknowledge(OFFER)
    name, sdp = world.owner.told[-1]
    assert name == "acknowledged"
    assert isinstance(sdp, SessionDescription)
    assert world.owner.media.accept(sdp).codec == "PCMU"


def test_an_unreadable_answer_in_the_ack_is_told_as_none() -> None:
    world = World()
    world.board.policy = answer_at_once
    world.phone.call(body=b"")
    world.phone.acknowledge(b"nonsense")
    assert world.owner.told == [("acknowledged", None)]


def test_a_cancel_before_the_answer_ends_the_call() -> None:
    world = World()
    invite = world.phone.call()
    world.call.ring()
    world.phone.cancel(invite)
    assert world.phone.statuses() == [100, 180, 200, 487]
    assert world.phone.responses[2].to.tag == world.phone.responses[1].to.tag
    assert world.owner.told == [("cancelled",)]
    world.call.answer(world.owner.media.offer())
    world.call.ring()
    world.call.reject(486)
    world.call.hang_up()
    world.phone.acknowledge_failure(invite)
    assert world.phone.statuses() == [100, 180, 200, 487]
    world.run_out()


def test_a_cancel_after_the_answer_is_too_late() -> None:
    world = World()
    world.board.policy = answer_at_once
    invite = world.phone.call()
    world.phone.cancel(invite)
    assert world.phone.statuses()[-1] == 200
    assert world.phone.responses[-1].cseq[1] == "CANCEL"
    world.phone.responses.pop()
    world.phone.acknowledge()
    assert world.owner.names() == ["acknowledged"]


def test_a_bye_before_the_answer_ends_the_call_like_a_cancel() -> None:
    world = World()
    world.phone.call()
    world.call.ring()
    world.clock.advance(0.01)
    world.phone.send(world.phone.within("BYE"))
    assert world.phone.statuses() == [100, 180, 200, 487]
    assert world.owner.told == [("cancelled",)]


def test_a_call_is_rejected_with_status_reason_and_headers() -> None:
    world = World()
    invite = world.phone.call()
    world.call.reject(486, "Nobody Home", {"Retry-After": "60"})
    world.clock.advance(0.01)
    assert (last(world).status, last(world).reason) == (486, "Nobody Home")
    assert last(world).headers.get("Retry-After") == "60"
    assert world.owner.told == [("rejected", 486, "Nobody Home", Headers({"Retry-After": "60"}))]
    world.phone.acknowledge_failure(invite)
    world.run_out()


def test_a_final_failure_that_nobody_acknowledges_is_forgotten() -> None:
    world = World()
    world.phone.call()
    world.call.hang_up()
    assert world.owner.finals == 0  # told only after the method has returned
    world.clock.advance(40)
    assert world.phone.statuses().count(603) == 11
    assert world.owner.names() == ["rejected"]
    world.run_out()


def test_what_is_answered_cannot_be_rejected_or_answered_again() -> None:
    world = World()
    call, owner = world.answered_call()
    with pytest.raises(IllegalTransition):
        call.reject(486)
    with pytest.raises(IllegalTransition):
        call.answer(owner.media.offer())
    with pytest.raises(IllegalTransition):
        call.ring()
    assert call.state is CallState.CONFIRMED


def test_an_unanswered_call_has_no_bye() -> None:
    world = World()
    world.phone.call()
    with pytest.raises(IllegalTransition):
        world.call.bye()
    assert world.call.state is CallState.CALLING


def test_we_hang_up_and_the_far_end_confirms() -> None:
    world = World()
    call, owner = world.answered_call()
    call.hang_up({"Reason": 'SIP;text="done"', "Via": "never"})
    call.bye()
    assert owner.names() == ["acknowledged"]
    world.clock.advance(0.01)
    assert owner.told[-1] == ("ended", EndCause.LOCAL, "")
    bye = world.phone.requests[-1]
    assert (bye.method, bye.uri) == ("BYE", "sip:ann@127.0.0.1:5080")
    assert bye.headers.get("Reason") == 'SIP;text="done"'
    assert (bye.from_.tag, bye.to.tag) == (last(world).to.tag, "phone")
    assert call.state is CallState.TERMINATING
    world.phone.send(bye.response(200))
    assert call.state is CallState.TERMINATED
    world.run_out()


def test_a_bye_waits_for_the_ack_of_the_2xx() -> None:
    world = World()
    world.board.policy = answer_at_once
    world.phone.call()
    world.call.bye()
    world.clock.advance(0.1)
    assert world.owner.names() == ["ended"]
    assert world.phone.methods() == []
    world.phone.acknowledge()
    assert world.phone.methods() == ["BYE"]
    assert world.owner.names() == ["ended"]


def test_a_bye_that_waits_for_an_ack_goes_when_the_ack_is_given_up() -> None:
    world = World()
    world.board.policy = answer_at_once
    world.phone.call()
    world.call.bye()
    world.clock.advance(33)
    assert world.phone.methods()[0] == "BYE"
    assert world.owner.told == [("ended", EndCause.LOCAL, "")]
    world.run_out()


def test_byes_that_cross_are_both_answered() -> None:
    world = World()
    call, owner = world.answered_call()
    call.bye()
    world.phone.send(world.phone.within("BYE"))
    assert last(world).status == 200
    assert owner.told[-1] == ("ended", EndCause.LOCAL, "")
    world.run_out()


def test_a_bye_that_nobody_answers_is_forgotten_after_64_t1() -> None:
    world = World()
    call, owner = world.answered_call()
    world.phone.react = lambda message: None
    call.bye()
    world.clock.advance(31)
    assert call.state is CallState.TERMINATING
    world.clock.advance(2)
    assert call.state is CallState.TERMINATED
    assert owner.finals == 1


def test_a_number_that_nobody_owns_does_not_exist() -> None:
    world = World()
    world.board.nobody = True
    world.phone.call()
    assert world.phone.statuses() == [100, 404]


def test_a_handler_that_fails_costs_one_call(caplog: pytest.LogCaptureFixture) -> None:
    def fail(call: IncomingCall, owner: Owner) -> None:
        raise RuntimeError("handler")

    world = World()
    world.board.policy = fail
    world.phone.call()
    assert world.phone.statuses() == [100, 500]
    assert "listener failed" in caplog.text
    world.clock.advance(40)
    world.run_out()


def test_a_listener_that_fails_is_logged_and_the_call_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(name: str) -> None:
        raise RuntimeError(name)

    world = World()

    def policy(call: IncomingCall, owner: Owner) -> None:
        owner.during = fail
        answer_at_once(call, owner)

    world.board.policy = policy
    world.phone.call()
    world.phone.acknowledge()
    assert world.call.state is CallState.CONFIRMED
    assert "acknowledged" in caplog.text


def test_a_2xx_that_cannot_be_sent_ends_the_call() -> None:
    world = World()
    world.phone.call()
    world.network.unreachable.add(world.phone.at)
    answer_at_once(world.call, world.owner)
    world.clock.advance(0.1)
    assert world.owner.told == [("ended", EndCause.TRANSPORT, "unreachable")]
    assert world.agent.counters.transport_errors == 1
    world.run_out()


def test_a_provisional_response_that_cannot_be_sent_changes_nothing() -> None:
    world = World()
    world.phone.call()
    world.network.unreachable.add(world.phone.at)
    world.call.ring()
    world.clock.advance(0.1)
    assert world.owner.told == []


def test_a_telephone_number_may_be_the_request_uri() -> None:
    world = World()
    world.board.policy = answer_at_once
    world.phone.call(uri="tel:+33123456789")
    assert world.call.request_uri == "tel:+33123456789"
    assert last(world).headers.get("Contact") == "<sip:127.0.0.1:5060>"


def test_a_body_of_two_parts_may_hold_the_offer() -> None:
    world = World()
    body = (
        b"preamble\r\n--edge\r\nContent-Type: application/isup\r\n\r\n\x00\x01\r\n"
        b"--edge\r\nc: application/sdp\r\n\r\n" + OFFER + b"\r\n--edge--\r\n"
    )
    world.phone.call(body=body, content_type='multipart/mixed; boundary="edge"')
    assert world.call.remote_offer is not None
    assert world.call.remote_offer.media[0].port == 30000


def test_a_body_that_may_be_ignored_is() -> None:
    world = World()
    world.phone.call(
        body=b"<x/>",
        content_type="application/x+xml",
        headers={"Content-Disposition": "render;handling=optional"},
    )
    assert world.call.remote_offer is None


def test_a_multipart_body_without_description_is_refused() -> None:
    world = World()
    world.phone.call(
        body=b"--e\r\nSubject: x\r\n\r\nhello\r\n--e\r\n", content_type="multipart/mixed;boundary=e"
    )
    assert last(world).status == 415
    assert "application/sdp" in last(world).headers.get("Accept")


def test_requests_of_a_call_that_is_up_keep_their_order() -> None:
    world = World()
    world.answered_call()
    world.phone.send(world.phone.within("INFO", cseq=50, body=b"x"))
    world.phone.send(world.phone.within("INFO", cseq=49, body=b"x"))
    assert world.phone.statuses()[-2:] == [200, 500]


def test_an_info_is_handed_up_raw_and_answered_with_what_the_owner_says() -> None:
    world = World()
    _, owner = world.answered_call()
    owner.info_status = 415
    info = world.phone.within(
        "INFO", body=b"Signal=5\r\nDuration=160\r\n", content_type="application/dtmf-relay"
    )
    world.phone.send(info)
    assert owner.told[-1] == ("info", "application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n")
    assert last(world).status == 415
    world.phone.send(info)
    assert owner.names().count("info") == 1
    owner.info_status = 0
    world.phone.send(world.phone.within("INFO", body=b"x"))
    assert last(world).status == 500


def test_an_info_after_the_call_was_hung_up_finds_no_call() -> None:
    world = World()
    call, _ = world.answered_call()
    call.bye()
    world.phone.send(world.phone.within("INFO", body=b"x"))
    assert last(world).status == 481


def test_options_within_a_call_is_answered() -> None:
    world = World()
    world.answered_call()
    world.phone.send(world.phone.within("OPTIONS"))
    assert last(world).status == 200
    assert "INVITE" in last(world).headers.get("Allow")
