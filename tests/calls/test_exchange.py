from __future__ import annotations

import asyncio

import pytest
import structlog

from tests.calls.fake_sip import FakeIncoming
from tests.calls.world import World, vxml
from vxml_server.calls.recorded import user_part
from vxml_server.sip import MediaDescription, SessionDescription

ASK = vxml('<form><field name="pin" type="digits"><prompt>Your pin?</prompt></field></form>')


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("sip:1000@192.0.2.1", "1000"),
        ("sips:1000@192.0.2.1:5061;transport=tls", "1000"),
        ("sip:%2B331;phone-context=fr@192.0.2.1", "+331"),
        ("sip:1000:secret@192.0.2.1", "1000"),
        ("sip:192.0.2.1", ""),
        ("tel:1000", ""),
        ("", ""),
    ],
)
def test_the_number_is_the_user_part(uri: str, user: str) -> None:
    assert user_part(uri) == user


async def test_a_number_that_nobody_has_is_not_found() -> None:
    world = World(ASK)
    call = FakeIncoming("2000")
    await world.offer(call)
    assert call.refused == (404, {})
    assert world.exchange.counters.refused == {404: 1}
    assert world.store.started == []
    world.assert_nothing_left()


def no_codec() -> SessionDescription:
    offer = FakeIncoming().remote_offer
    assert offer is not None
    media = MediaDescription("audio", 4000, "RTP/AVP", ("18",), "198.51.100.7")
    return SessionDescription(offer.origin, offer.address, (media,))


async def test_a_call_without_a_codec_of_ours_is_not_acceptable_here() -> None:
    world = World(ASK)
    call = FakeIncoming(offer=no_codec())
    await world.offer(call)
    assert call.refused == (488, {})
    assert world.exchange.counters.refused == {488: 1}
    world.assert_nothing_left()


async def test_without_media_ports_calls_are_to_come_later() -> None:
    world = World(ASK)
    world.engine.most_channels = 0
    call = FakeIncoming()
    with structlog.testing.capture_logs():
        await world.offer(call)
    assert call.refused == (503, {"Retry-After": "5"})
    assert world.exchange.counters.refused == {503: 1}
    world.assert_nothing_left()


async def test_a_defect_while_a_call_is_taken_costs_no_port() -> None:
    world = World(ASK)
    call = FakeIncoming()
    call.remote_offer = "no description"
    with pytest.raises(AttributeError):
        world.exchange.incoming(call)
    world.assert_nothing_left()


async def test_running_calls_are_in_the_directory_the_oldest_first() -> None:
    world = World(ASK)
    calls = [await world.ring() for _ in range(3)]
    records = world.exchange.active()
    assert len({record.id for record in records}) == 3
    assert [world.exchange.get(record.id) for record in records] == records
    calls[0].bye()
    await world.clock.settle()
    assert world.exchange.active() == records[1:]
    assert world.exchange.get(records[0].id) is None
    await world.exchange.hang_up_all()
    world.assert_nothing_left()


async def test_who_is_not_there_is_not_hung_up() -> None:
    assert not World().exchange.hang_up("nobody")


async def test_the_exchange_is_drained_when_the_last_call_has_ended() -> None:
    world = World(ASK)
    await world.exchange.drained()
    calls = [await world.ring() for _ in range(2)]
    drained = asyncio.create_task(world.exchange.drained())
    calls[0].bye()
    await world.clock.settle()
    assert not drained.done()
    calls[1].bye()
    await drained
    assert len(world.store.ended) == 2
    world.assert_nothing_left()


async def test_hanging_up_all_completes_all_records() -> None:
    world = World(ASK)
    calls = [await world.ring() for _ in range(5)]
    await world.exchange.hang_up_all()
    assert len(world.store.ended) == 5
    assert {end.hung_up_by for end in world.store.ended} == {"platform"}
    assert [call.sent[-1] for call in calls] == ["BYE"] * 5
    await world.clock.settle()
    world.assert_nothing_left()


async def test_ended_calls_are_counted_by_their_reasons() -> None:
    world = World(ASK)
    for _ in range(2):
        call = await world.ring()
        call.bye()
        await world.clock.settle()
    assert world.exchange.counters.ended == {"hangup": 2}
