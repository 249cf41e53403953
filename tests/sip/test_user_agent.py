"""What the user agent decides before and beside calls: who may ask, what is refused, its life."""

from __future__ import annotations

import random

import pytest

from tests.sip.peers import OFFER, PHONE, SERVER, Owner, Phone, World, answer_at_once
from vxml_server.sip.core import UserAgentSettings
from vxml_server.sip.digest import digest_response, parse_digest
from vxml_server.sip.errors import InvalidUri
from vxml_server.sip.interface import EndCause
from vxml_server.sip.message import Request
from vxml_server.sip.uri import Destination
from vxml_server.sip.user_agent import UserAgent

STRANGER = Destination("udp", "127.0.0.66", 5080)
ONLY_PHONE = ("127.0.0.1/32",)
USERS = {"alice": "secret"}


def stranger_in(world: World) -> Phone:
    return Phone(world.network, STRANGER, world.server)


def test_options_says_what_we_can_do() -> None:
    world = World()
    world.phone.send(world.phone.request("OPTIONS"))
    response = world.phone.responses[-1]
    assert response.status == 200
    assert response.headers.get("Allow") == "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"
    assert "application/sdp" in response.headers.get("Accept")
    assert response.headers.get("Supported", "absent") == ""
    assert response.to.tag


def test_a_draining_agent_takes_no_new_call_and_goes_on_with_the_others() -> None:
    world = World()
    _, owner = world.answered_call()
    world.agent.drain(30)
    for method in ("INVITE", "OPTIONS"):
        world.phone.send(
            world.phone.request(method, call_id=f"late-{method}", body=OFFER, from_tag="x")
        )
        assert world.phone.responses[-1].status == 503
        assert world.phone.responses[-1].headers.get("Retry-After") == "30"
    world.phone.responses = world.phone.responses[:2]
    world.phone.send(world.phone.within("INVITE", body=OFFER))
    assert world.phone.responses[-1].status == 200
    assert owner.names()[-1] == "reoffered"


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("BYE", 481),
        ("INFO", 481),
        ("CANCEL", 481),
        ("UPDATE", 405),
        ("REFER", 405),
        ("PRACK", 405),
        ("SUBSCRIBE", 489),
        ("NOTIFY", 489),
        ("DANCE", 501),
    ],
)
def test_a_request_outside_a_call_is_refused_by_its_method(method: str, status: int) -> None:
    world = World()
    world.phone.send(world.phone.request(method))
    assert world.phone.statuses() == [status]
    world.run_out()


def test_a_request_in_a_dialog_that_is_not_there_is_a_481() -> None:
    world = World()
    for method in ("INVITE", "OPTIONS", "BYE"):
        world.phone.send(world.phone.request(method, to_tag="gone"))
        assert world.phone.statuses()[-1] == 481


def test_a_stray_ack_and_a_stray_response_are_dropped() -> None:
    world = World()
    world.phone.send(world.phone.request("ACK", to_tag="gone"))
    world.phone.send(world.phone.request("INVITE").response(200))
    assert world.phone.responses == []
    assert world.agent.counters.responses_received == 1


def test_a_request_that_came_by_two_paths_is_merged() -> None:
    world = World()
    first = world.phone.call()
    again = world.phone.request("INVITE", body=OFFER, cseq=first.cseq[0])
    world.phone.send(again)
    assert world.phone.statuses() == [100, 482]
    assert len(world.board.calls) == 1


def test_extensions_that_are_required_are_named_as_unsupported() -> None:
    world = World()
    world.phone.call(headers={"Require": "100rel, timer"})
    assert world.phone.responses[-1].status == 420
    assert world.phone.responses[-1].headers.get("Unsupported") == "100rel, timer"


def test_an_unknown_protocol_version_is_505_and_a_malformed_ack_gets_nothing() -> None:
    world = World()
    world.phone.send(bytes(world.phone.request("ACK")).replace(b"SIP/2.0\r\n", b"SIP/3.0\r\n"))
    assert world.phone.responses == []
    world.phone.send(bytes(world.phone.request("BYE")).replace(b"SIP/2.0\r\n", b"SIP/3.0\r\n"))
    assert world.phone.responses[-1].reason == "Version Not Supported"


def test_strangers_meet_silence() -> None:
    world = World(settings=UserAgentSettings(trusted=ONLY_PHONE))
    stranger = stranger_in(world)
    for method in ("INVITE", "OPTIONS", "CANCEL", "BYE", "REGISTER"):
        stranger.send(stranger.request(method))
    stranger.send(bytes(stranger.request("OPTIONS")).replace(b"Max-Forwards: 70", b"Max-Forwards"))
    assert stranger.responses == []
    assert world.agent.counters.refused_sources == 5
    assert world.agent.idle


def test_a_network_of_the_other_family_trusts_nobody_else() -> None:
    world = World(settings=UserAgentSettings(trusted=("::/0",)))
    world.phone.call()
    assert world.phone.responses == []


def credentials(challenge: str, request: Request, password: str = "secret", nc: str = "1") -> str:
    parts = parse_digest(challenge)
    assert parts is not None
    nc = nc.zfill(8)
    response = digest_response(
        parts["algorithm"],
        username="alice",
        realm=parts["realm"],
        password=password,
        method=request.method,
        uri=request.uri,
        nonce=parts["nonce"],
        qop="auth",
        nc=nc,
        cnonce="c",
    )
    return (
        f'Digest username="alice", realm="{parts["realm"]}", nonce="{parts["nonce"]}", '
        f'uri="{request.uri}", response="{response}", algorithm={parts["algorithm"]}, '
        f'qop=auth, nc={nc}, cnonce="c"'
    )


@pytest.mark.parametrize("which", [0, 1])
def test_strangers_with_a_password_may_call(which: int) -> None:
    world = World(settings=UserAgentSettings(trusted=ONLY_PHONE, users=USERS))
    world.board.policy = answer_at_once
    stranger = stranger_in(world)
    stranger.call()
    stranger.call(cseq=1)
    challenged = stranger.responses[0]
    assert stranger.statuses() == [401, 401]
    assert world.agent.idle  # a challenge costs no memory
    algorithms = [
        (parse_digest(line) or {})["algorithm"]
        for line in challenged.headers.lines("WWW-Authenticate")
    ]
    assert algorithms == ["MD5", "SHA-256"]
    challenge = challenged.headers.lines("WWW-Authenticate")[which]
    again = stranger.request("INVITE", body=OFFER)
    again.headers.add("Authorization", credentials(challenge, again))
    stranger.send(again)
    assert stranger.statuses() == [401, 401, 100, 200]
    stranger.acknowledge()
    stranger.send(stranger.within("BYE"))
    assert stranger.statuses()[-1] == 200
    replayed = stranger.request("INVITE", call_id="replay", body=OFFER)
    replayed.headers.add("Authorization", credentials(challenge, replayed))
    stranger.send(replayed)
    assert stranger.statuses()[-1] == 401
    world.run_out()


def test_a_wrong_password_is_challenged_again() -> None:
    world = World(settings=UserAgentSettings(trusted=ONLY_PHONE, users=USERS))
    stranger = stranger_in(world)
    stranger.call()
    challenge = stranger.responses[0].headers.get("WWW-Authenticate")
    again = stranger.request("INVITE", body=OFFER)
    again.headers.add("Authorization", credentials(challenge, again, password="guess"))
    stranger.send(again)
    assert stranger.statuses() == [401, 401]
    assert "stale" not in stranger.responses[-1].headers.get("WWW-Authenticate")
    assert world.board.calls == []


def test_an_old_nonce_is_stale_and_not_a_wrong_password() -> None:
    world = World(settings=UserAgentSettings(trusted=ONLY_PHONE, users=USERS))
    stranger = stranger_in(world)
    stranger.call()
    challenge = stranger.responses[0].headers.get("WWW-Authenticate")
    world.clock.advance(400)
    again = stranger.request("INVITE", body=OFFER)
    again.headers.add("Authorization", credentials(challenge, again))
    stranger.send(again)
    assert "stale=true" in stranger.responses[-1].headers.get("WWW-Authenticate")


def test_a_phone_that_we_call_may_answer_in_the_dialog_from_anywhere() -> None:
    world = World(settings=UserAgentSettings(trusted=()))
    stranger = stranger_in(world)
    far = world.network.bind(Destination("udp", "127.0.0.2", 5060), world.agent)
    world.agent.attach(far)
    ear = Owner()
    made = world.agent.invite(
        "sip:bob@127.0.0.66:5080", from_="sip:ivr@x", offer=ear.media.offer(), listener=ear
    )
    world.clock.advance(0.1)
    invite = stranger.requests[0]
    answer = invite.response(200, tag="bob")
    answer.headers.add("Contact", "<sip:bob@127.0.0.66:5080>")
    stranger.send(answer)
    bye = stranger.request("BYE", call_id=made.sip_call_id, from_tag="bob", to_tag=invite.from_.tag)
    stranger.send(bye)
    assert stranger.statuses() == [200]
    assert ear.told[-1] == ("ended", EndCause.REMOTE_BYE, "")


async def test_listening_addresses_are_bound_and_told_with_their_ports() -> None:
    world = World()
    agent = UserAgent(
        clock=world.clock,
        random=random.Random(1),
        handler=world.board,
        network=world.network,
    )
    await agent.start(["udp://127.0.0.5:5061", "tcp://[::1]"])
    assert agent.addresses == ("udp://127.0.0.5:5061", "tcp://[::1]:5060")
    await agent.stop()
    assert agent.addresses == ()
    assert Destination("udp", "127.0.0.5", 5061) not in world.network.transports


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "pigeon://127.0.0.1",
        "udp://example.com:5060",
        "udp://127.0.0.1:70000",
        "udp://127.0.0.1:5060/x",
    ],
)
async def test_an_address_that_is_none_is_refused(address: str) -> None:
    world = World()
    with pytest.raises(InvalidUri):
        await world.agent.start([address])


async def test_when_one_address_cannot_be_bound_none_stays_bound() -> None:
    world = World()
    taken = f"udp://{SERVER.host}:{SERVER.port}"
    agent = UserAgent(
        clock=world.clock, random=random.Random(1), handler=world.board, network=world.network
    )
    with pytest.raises(OSError, match="in use"):
        await agent.start(["udp://127.0.0.5:5061", taken])
    assert Destination("udp", "127.0.0.5", 5061) not in world.network.transports


async def test_stopping_ends_every_call_and_leaves_nothing() -> None:
    world = World()
    _, answered = world.answered_call()
    world.board.policy = lambda call, owner: None
    world.phone.call(call_id="ringing", from_tag="r")
    ringing = world.owner
    dialled = Owner()
    world.agent.invite(
        f"sip:bob@{PHONE.host}:{PHONE.port}",
        from_="sip:ivr@127.0.0.1",
        offer=dialled.media.offer(),
        listener=dialled,
    )
    world.clock.advance(0.01)
    world.phone.send(world.phone.requests[-1].response(180, tag="bob"))
    assert world.agent.active_dialogs == 3
    assert world.agent.active_transactions == 3
    await world.agent.stop()
    assert answered.told[-1] == ("ended", EndCause.LOCAL, "")
    assert ringing.told[-1][:2] == ("rejected", 603)
    assert dialled.told[-1] == ("cancelled",)
    assert world.agent.idle
    assert world.agent.active_dialogs == 0
    world.clock.advance(0.1)
    assert {"BYE", "CANCEL"} <= set(world.phone.methods())
    assert 603 in world.phone.statuses()
    statuses = len(world.phone.responses)
    world.agent.received(
        bytes(world.phone.request("OPTIONS")), world.phone.transport, "127.0.0.1", 5080
    )
    world.clock.advance(0.1)
    assert len(world.phone.responses) == statuses


def test_a_mistake_of_our_own_costs_one_message(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    monkeypatch.setattr(
        "vxml_server.sip.user_agent.inspect",
        lambda request: 1 / 0,  # an uncaught mistake
    )
    world.phone.send(world.phone.request("OPTIONS"))
    assert "could not be handled" in caplog.text
    assert world.phone.responses == []


def test_counters_tell_what_went_by() -> None:
    world = World()
    world.answered_call()
    counters = world.agent.counters
    assert (counters.requests_received, counters.responses_sent) == (2, 2)
    world.call.bye()
    world.clock.advance(1)
    assert counters.requests_sent == 1
    assert counters.retransmissions_sent == 1
