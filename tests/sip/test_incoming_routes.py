"""Where responses and requests of calls that came to us go."""

from __future__ import annotations

from tests.sip.peers import World, answer_at_once, last
from vxml_server.sip.session import CallState


def test_responses_over_udp_go_where_rport_or_the_via_says() -> None:
    world = World()
    world.phone.call(
        headers={"Via": "SIP/2.0/UDP 10.9.9.9:7777;rport;branch=z9hG4bKr"}, call_id="with"
    )
    assert world.phone.statuses() == [100]
    assert world.phone.responses[0].via.parameters["rport"] == "5080"
    assert world.phone.responses[0].via.parameters["received"] == "127.0.0.1"
    world.phone.call(
        headers={"Via": "SIP/2.0/UDP 10.9.9.9:7777;branch=z9hG4bKs"}, call_id="without"
    )
    assert world.network.sent[-1][1].port == 7777
    assert world.network.sent[-1][1].host == "127.0.0.1"


def test_responses_over_a_closed_connection_go_to_the_address_in_the_via() -> None:
    world = World("tcp")
    world.phone.call(headers={"Via": "SIP/2.0/TCP 127.0.0.1:6060;branch=z9hG4bKc"})
    world.network.connections.clear()
    world.call.ring()
    assert world.network.sent[-1][1].port == 6060


def test_record_route_makes_the_route_of_our_requests() -> None:
    world = World()
    world.board.policy = answer_at_once
    route = "<sip:127.0.0.1:5080;lr;p=1>, <sip:127.0.0.9;lr>"
    world.phone.call(headers={"Record-Route": route, "Contact": "<sip:ann@127.0.0.3:9>"})
    assert last(world).headers.get("Record-Route") == route
    world.phone.acknowledge()
    world.call.bye()
    world.clock.advance(0.01)
    bye = world.phone.requests[-1]
    assert bye.uri == "sip:ann@127.0.0.3:9"
    assert bye.headers.values("Route") == ["<sip:127.0.0.1:5080;lr;p=1>", "<sip:127.0.0.9;lr>"]


def test_a_strict_router_gets_its_own_uri_and_the_target_last() -> None:
    world = World()
    world.board.policy = answer_at_once
    world.phone.call(
        headers={
            "Record-Route": "<sip:127.0.0.1:5080>, <sip:127.0.0.9;lr>",
            "Contact": "<sip:ann@127.0.0.3:9>",
        }
    )
    world.phone.acknowledge()
    world.call.bye()
    world.clock.advance(0.01)
    bye = world.phone.requests[-1]
    assert bye.uri == "sip:127.0.0.1:5080"
    assert bye.headers.values("Route") == ["<sip:127.0.0.9;lr>", "<sip:ann@127.0.0.3:9>"]


def test_a_contact_that_is_a_name_is_replaced_by_where_the_invite_came_from() -> None:
    world = World()
    world.board.policy = answer_at_once
    world.phone.call(headers={"Contact": "<sip:ann@pc33.example.com>"})
    world.phone.acknowledge()
    world.call.bye()
    world.clock.advance(0.01)
    assert world.phone.requests[-1].uri == "sip:ann@pc33.example.com"


def test_an_open_connection_is_used_again_for_our_requests() -> None:
    world = World("tcp")
    world.board.policy = answer_at_once
    world.phone.call(headers={"Contact": "<sip:ann@127.0.0.1:6066;transport=tcp>"})
    world.phone.acknowledge()
    world.call.bye()
    assert world.call.state is CallState.TERMINATING
    world.clock.advance(0.01)
    assert world.phone.methods() == ["BYE"]


def test_after_a_connection_closed_our_requests_go_to_the_contact() -> None:
    world = World("tcp")
    world.board.policy = answer_at_once
    world.phone.call(headers={"Contact": "<sip:ann@127.0.0.1:6066;transport=tcp>"})
    world.phone.acknowledge()
    world.network.connections.clear()
    world.call.bye()
    world.clock.advance(0.01)
    assert world.network.sent[-1][1].port == 6066


def test_a_bye_that_cannot_leave_ends_the_call_all_the_same() -> None:
    world = World()
    world.board.policy = answer_at_once
    world.phone.call(headers={"Contact": "<sip:ann@[::1]:6066>"})
    world.phone.acknowledge()
    world.call.bye()
    world.clock.advance(0.01)
    assert world.call.state is CallState.TERMINATED
    assert world.owner.finals == 1
