"""Calls that we make, as the phone sees them that we call."""

from __future__ import annotations

import pytest

from tests.sip.dialling import TARGET, Dialling
from tests.sip.peers import OFFER
from vxml_server.sip.errors import InvalidUri
from vxml_server.sip.interface import Credentials, EndCause
from vxml_server.sip.sdp import SessionDescription
from vxml_server.sip.session import CallState


def test_a_call_is_made_answered_and_hung_up_by_us() -> None:
    world = Dialling()
    call = world.dial(headers={"X-Data": "1", "Via": "no"})
    invite = world.bob.requests[0]
    assert (invite.method, invite.uri) == ("INVITE", TARGET)
    assert (invite.from_.display_name, invite.from_.uri) == ("IVR 1", "sip:ivr@127.0.0.1")
    assert invite.to.tag == ""
    assert invite.headers.get("Contact") == "<sip:ivr@127.0.0.1:5060>"
    assert invite.headers.get("X-Data") == "1"
    assert invite.headers.lines("Via") == [str(invite.via)]
    assert "100rel" not in invite.headers.tokens("Supported")
    assert (call.local_uri, call.remote_uri, call.sip_call_id) == (
        "sip:ivr@127.0.0.1",
        TARGET,
        invite.call_id,
    )
    world.reply(100)
    world.reply(180)
    world.reply(183, body=OFFER)
    world.reply(200, body=OFFER)
    answer = SessionDescription.parse(OFFER)
    assert world.ear.told == [
        ("progress", 180, None),
        ("progress", 183, answer),
        ("answered", answer),
    ]
    assert world.bob.methods() == ["INVITE", "ACK"]
    assert world.bob.requests[-1].to.tag == "bob"
    assert call.state is CallState.CONFIRMED
    call.hang_up()
    world.clock.advance(0.01)
    assert world.ear.told[-1] == ("ended", EndCause.LOCAL, "")
    bye = world.bob.requests[-1]
    assert (bye.method, bye.cseq[0]) == ("BYE", 2)
    world.bob.send(bye.response(200))
    world.run_out()


def test_the_far_end_hangs_up() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(200, body=OFFER)
    bye = world.bob.request(
        "BYE",
        to_tag=world.bob.requests[0].from_.tag,
        call_id=call.sip_call_id,
        from_tag="bob",
        headers={"From": "<sip:bob@127.0.0.1>;tag=bob"},
    )
    world.bob.send(bye)
    assert world.bob.statuses() == [200]
    assert world.ear.told[-1] == ("ended", EndCause.REMOTE_BYE, "")
    world.run_out()


@pytest.mark.parametrize("status", [302, 404, 486, 603])
def test_a_refusal_is_told_with_status_reason_and_headers(status: int) -> None:
    world = Dialling()
    call = world.dial()
    world.reply(status, Retry_After="5")
    name, got, reason, headers = world.ear.told[0]
    assert (name, got) == ("rejected", status)
    assert reason == world.bob.requests[0].response(status).reason
    assert headers is not None
    assert call.state is CallState.TERMINATED
    assert world.bob.methods() == ["INVITE", "ACK"]
    call.cancel()
    call.hang_up()
    world.run_out()


def test_silence_is_a_408() -> None:
    world = Dialling()
    world.dial()
    world.clock.advance(33)
    assert world.bob.methods() == ["INVITE"] * 7
    assert world.ear.told[0][:3] == ("rejected", 408, "No response")
    world.run_out()


def test_an_unreachable_phone_is_a_503() -> None:
    world = Dialling("tcp")
    world.network.unreachable.add(world.bob.at)
    world.dial()
    world.clock.advance(0.1)
    assert world.ear.told[0][:3] == ("rejected", 503, "unreachable")
    world.run_out()


@pytest.mark.parametrize(
    ("target", "from_"),
    [
        ("nonsense", "sip:a@b"),
        ("sip:bob@example.com", "sip:a@b"),
        ("sip:bob@127.0.0.1;transport=tls", "sip:a@b"),
        ("sip:bob@[::1]", "sip:a@b"),
        ("sip:bob@192.0.2.1", "sip:a@b"),
        (TARGET, "nonsense"),
    ],
)
def test_a_target_that_cannot_be_called_is_refused_at_once(target: str, from_: str) -> None:
    world = Dialling()
    with pytest.raises(InvalidUri):
        world.dial(target, from_=from_)
    assert world.agent.idle
    assert world.ear.told == []


def test_a_caller_may_be_a_telephone_number() -> None:
    world = Dialling()
    world.dial(from_="tel:+33123456789")
    assert world.bob.requests[0].headers.get("Contact") == "<sip:127.0.0.1:5060>"


def test_a_repeated_2xx_is_acknowledged_again_and_told_once() -> None:
    world = Dialling()
    world.dial()
    world.reply(200, body=OFFER)
    world.reply(200, body=OFFER)
    acks = [request for request in world.bob.requests if request.method == "ACK"]
    assert len(acks) == 2
    assert bytes(acks[0]) == bytes(acks[1])
    assert world.ear.names() == ["answered"]


def test_a_second_phone_that_answers_is_hung_up() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(200, body=OFFER)
    world.reply(200, tag="carol", body=OFFER)
    world.reply(200, tag="carol", body=OFFER)
    forked = [r for r in world.bob.requests if r.to.tag == "carol"]
    assert [request.method for request in forked] == ["ACK", "BYE", "ACK"]
    assert world.ear.names() == ["answered"]
    assert call.state is CallState.CONFIRMED
    world.bob.send(forked[1].response(200))
    world.reply(200, tag="dora", body=OFFER)
    world.clock.advance(40)
    call.bye()
    world.run_out()


def test_a_second_phone_that_we_have_no_way_to_is_left_alone() -> None:
    world = Dialling()
    world.dial()
    world.reply(200, body=OFFER)
    sent = len(world.network.sent)
    world.reply(200, tag="carol", body=OFFER, Contact="<sip:carol@[::1]>")
    assert len(world.network.sent) == sent + 1


def test_the_far_end_offers_and_the_ack_answers() -> None:
    world = Dialling()
    call = world.dial(late=True)
    assert world.bob.requests[0].body == b""
    world.reply(200, body=OFFER)
    ack = world.bob.requests[-1]
    assert ack.content_type == "application/sdp"
    assert SessionDescription.parse(ack.body).media[0].formats == ("0", "101")
    assert call.state is CallState.CONFIRMED


def test_an_offer_in_the_2xx_that_is_not_answered_is_hung_up() -> None:
    world = Dialling()
    world.ear.late_answer = False
    world.dial(late=True)
    world.reply(200, body=OFFER)
    assert world.bob.methods() == ["INVITE", "ACK", "BYE"]
    assert world.ear.told[-1][:2] == ("ended", EndCause.LOCAL)


def test_an_owner_may_hang_up_when_told_of_the_answer() -> None:
    for late in (False, True):
        world = Dialling()
        call = world.dial(late=late)
        world.ear.during = lambda name, call=call: call.bye() if name == "answered" else None  # type: ignore[misc]
        world.reply(200, body=OFFER)
        assert world.bob.methods() == ["INVITE", "ACK", "BYE"]
        assert world.ear.names() == ["answered", "ended"]


def test_an_answer_without_contact_goes_where_the_invite_went() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(200, body=OFFER, Contact="<mailto:x>")
    assert call.state is CallState.CONFIRMED
    assert world.bob.requests[-1].uri == TARGET


def test_the_route_of_the_call_is_the_record_route_backwards() -> None:
    world = Dialling()
    world.dial()
    world.reply(
        200,
        body=OFFER,
        Record_Route="<sip:127.0.0.9;lr>, <sip:127.0.0.1:5080;lr>",
        Contact="<sip:bob@127.0.0.7>",
    )
    ack = world.bob.requests[-1]
    assert ack.method == "ACK"
    assert ack.uri == "sip:bob@127.0.0.7"
    assert ack.headers.values("Route") == ["<sip:127.0.0.1:5080;lr>", "<sip:127.0.0.9;lr>"]


CHALLENGE = 'Digest realm="pbx", nonce="n1", qop="auth", algorithm=SHA-256'
ALICE = Credentials("alice", "secret")


def test_a_challenge_is_answered_with_credentials() -> None:
    world = Dialling()
    call = world.dial(credentials=ALICE)
    world.reply(407, Proxy_Authenticate=CHALLENGE)
    assert world.bob.methods() == ["INVITE", "ACK", "INVITE"]
    first, again = world.bob.requests[0], world.bob.requests[2]
    assert again.cseq[0] == first.cseq[0] + 1
    assert (again.call_id, again.from_.tag) == (first.call_id, first.from_.tag)
    assert again.via.branch != first.via.branch
    assert 'username="alice"' in again.headers.get("Proxy-Authorization")
    world.reply(200, body=OFFER)
    ack = world.bob.requests[-1]
    assert ack.headers.get("Proxy-Authorization") == again.headers.get("Proxy-Authorization")
    assert ack.cseq[0] == again.cseq[0]
    call.bye()
    world.clock.advance(0.01)
    bye = world.bob.requests[-1]
    assert "nc=00000002" in bye.headers.get("Proxy-Authorization")
    challenged = bye.response(401)
    challenged.headers.set("WWW-Authenticate", 'Digest realm="phone", nonce="n2"')
    world.bob.send(challenged)
    again = world.bob.requests[-1]
    assert again.method == "BYE"
    assert 'nonce="n2"' in again.headers.get("Authorization")
    world.bob.send(again.response(200))
    assert call.state is CallState.TERMINATED
    assert world.ear.names() == ["answered", "ended"]
    world.run_out()


def test_wrong_credentials_are_refused_once_and_for_all() -> None:
    world = Dialling()
    world.dial(credentials=ALICE)
    world.reply(401, WWW_Authenticate=CHALLENGE)
    world.reply(401, WWW_Authenticate=CHALLENGE.replace("n1", "n2"))
    assert world.ear.told[0][:2] == ("rejected", 401)
    assert world.bob.methods().count("INVITE") == 2


def test_a_challenge_without_credentials_is_a_refusal() -> None:
    world = Dialling()
    world.dial()
    world.reply(401, WWW_Authenticate=CHALLENGE)
    assert world.ear.told[0][:2] == ("rejected", 401)


def test_a_challenge_after_cancel_ends_the_call() -> None:
    world = Dialling()
    world.dial(credentials=ALICE).cancel()
    world.reply(401, WWW_Authenticate=CHALLENGE)
    assert world.ear.told == [("cancelled",)]
    assert world.bob.methods() == ["INVITE", "ACK"]


def test_a_reinvite_is_answered_to_a_challenge_too() -> None:
    world = Dialling()
    call = world.dial(credentials=ALICE)
    world.reply(200, body=OFFER)
    call.reinvite(world.ear.media.offer("inactive"))
    world.clock.advance(0.01)
    world.reply(401, WWW_Authenticate=CHALLENGE)
    assert "Authorization" in world.bob.requests[-1].headers
    world.reply(200, body=OFFER)
    assert world.ear.names() == ["answered", "reinvite_answered"]


def test_glare_makes_the_owner_of_the_call_id_wait_longer() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(200, body=OFFER)
    call.reinvite(world.ear.media.offer("inactive"))
    world.clock.advance(0.01)
    world.reply(491)
    world.clock.advance(2.05)
    assert world.bob.methods().count("INVITE") == 2
    world.clock.advance(2)
    assert world.bob.requests[-1].cseq == (3, "INVITE")


def test_an_ack_in_an_outgoing_call_acknowledges_the_far_ends_reinvite() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(200, body=OFFER)
    ours = world.bob.requests[0].from_.tag
    more = {"call_id": call.sip_call_id, "from_tag": "bob", "to_tag": ours}
    reinvite = world.bob.request("INVITE", body=OFFER, **more)  # type: ignore[arg-type]
    world.bob.send(reinvite)
    assert world.bob.statuses() == [200]
    via = {"Via": reinvite.headers.get("Via")}
    ack = world.bob.request("ACK", cseq=reinvite.cseq[0], headers=via, **more)  # type: ignore[arg-type]
    world.bob.send(ack)
    assert world.ear.names() == ["answered", "reoffered", "acknowledged"]


def test_a_response_to_the_far_ends_reinvite_that_cannot_be_sent_is_no_end() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(200, body=OFFER)
    world.network.unreachable.add(world.bob.at)
    world.bob.send(
        world.bob.request(
            "INFO",
            body=b"x",
            call_id=call.sip_call_id,
            from_tag="bob",
            to_tag=world.bob.requests[0].from_.tag,
        )
    )
    assert world.ear.names() == ["answered", "info"]
    assert call.state is CallState.CONFIRMED


def test_a_stopping_agent_hangs_up_calls_it_made() -> None:
    world = Dialling()
    world.dial()
    world.reply(200, body=OFFER)
    world.agent.stop_calls()
    assert world.ear.told[-1] == ("ended", EndCause.LOCAL, "")
    world.clock.advance(0.01)
    assert world.bob.methods() == ["INVITE", "ACK", "BYE"]
    assert world.agent.idle


def test_a_2xx_to_the_far_ends_reinvite_that_cannot_be_sent_ends_with_the_ack_time_out() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(200, body=OFFER)
    world.network.unreachable.add(world.bob.at)
    ours = world.bob.requests[0].from_.tag
    world.bob.send(
        world.bob.request(
            "INVITE", body=OFFER, call_id=call.sip_call_id, from_tag="bob", to_tag=ours
        )
    )
    assert call.state is CallState.CONFIRMED
    world.clock.advance(33)
    assert world.ear.told[-1][:2] == ("ended", EndCause.ACK_TIMEOUT)
    world.run_out()


def test_an_answer_whose_contact_is_out_of_reach_is_told_and_ends_when_we_hang_up() -> None:
    world = Dialling()
    call = world.dial()
    world.reply(200, body=OFFER, Contact="<sip:bob@127.0.0.1;transport=tls>")
    assert world.ear.names() == ["answered"]
    call.bye()
    world.run_out()
    assert world.ear.names() == ["answered", "ended"]
