"""Transfers of a call, from the document to the record."""

from __future__ import annotations

import pytest
import structlog

from tests.calls.applications import ending, logged, transfer
from tests.calls.fake_sip import FakeIncoming
from tests.calls.world import World, vxml
from vxml_server.calls import Conversation


async def test_a_bridge_is_part_of_the_record_and_the_caller_comes_back() -> None:
    world = World(transfer("bridge"))
    await world.ring()
    world.outgoing[0].answer()
    await world.elapse(10)
    assert world.engine.bridges
    world.outgoing[0].bye()
    assert ending(await world.end()) == ("exit", "application")
    assert logged(world) == ["t far_end_disconnect"]
    assert [(leg.outcome, leg.duration_s) for leg in world.store.legs] == [
        ("far_end_disconnect", 10.0)
    ]
    assert "vxml.transfer" in world.store.names()


async def test_a_caller_who_hangs_up_in_a_bridge() -> None:
    world = World(transfer("bridge"))
    call = await world.ring()
    world.outgoing[0].answer()
    await world.elapse(10)
    call.bye()
    assert ending(await world.end()) == ("hangup", "caller")
    assert logged(world) == ["hangup"]
    assert world.outgoing[0].sent == ["BYE"]
    assert [leg.outcome for leg in world.store.legs] == ["connection.disconnect.hangup"]


async def test_a_bridge_that_is_refused_is_a_leg_too() -> None:
    world = World(transfer("bridge").replace("sip:bob", "sip:forbidden"))
    await world.ring()
    assert ending(await world.end()) == ("error", "platform")
    assert [leg.outcome for leg in world.store.legs] == ["error.connection.noauthorization"]
    assert world.outgoing == []


TWO = vxml(
    '<form><transfer name="a" bridge="true" dest="sip:a@far.test"/>'
    '<transfer name="b" bridge="true" dest="sip:b@far.test"/></form>'
)


async def test_several_transfers_are_several_legs_in_their_order() -> None:
    world = World(TWO)
    await world.ring()
    world.outgoing[0].refuse(486)
    await world.clock.settle()
    world.outgoing[1].answer()
    await world.elapse(1)
    record = world.exchange.active()[0]
    assert [(leg.destination, leg.outcome) for leg in record.legs] == [("sip:a@far.test", "busy")]
    world.outgoing[1].bye()
    await world.end()
    assert [leg.destination for leg in world.store.legs] == ["sip:a@far.test", "sip:b@far.test"]


async def test_whether_a_caller_may_be_recorded_is_asked_once_a_call() -> None:
    asked: list[Conversation] = []

    def nobody(conversation: Conversation) -> None:
        asked.append(conversation)

    world = World(TWO, records=nobody)
    for _ in range(2):
        await world.ring()
        world.outgoing[-1].refuse(486)
        await world.clock.settle()
        world.outgoing[-1].refuse(486)
        await world.elapse(1)
    one, again, other, _ = (conversation.consent for conversation in asked)
    assert one is again
    assert one is not other


async def test_what_a_rule_may_know_of_a_caller_who_is_put_through() -> None:
    asked: list[Conversation] = []

    def nobody(conversation: Conversation) -> None:
        asked.append(conversation)

    document = vxml(
        '<form><transfer bridge="true" dest="tel:+331" aai="order 7"/>'
        '<transfer bridge="true" dest="sip:b@far.test"/></form>'
    )
    world = World(document, records=nobody)
    incoming = FakeIncoming()
    incoming.local_uri = "sip:5000@carrier.test"
    await world.ring(incoming)
    world.outgoing[0].refuse(486)
    await world.elapse(1)
    first, second = asked
    assert (first.direction, first.destination) == ("outbound", "+331")
    assert (first.called, first.number) == ("1000", "5000"), "he was diverted here"
    assert (first.data, second.data) == ({"aai": "order 7"}, {})


async def test_a_blind_transfer_outlives_the_session_and_the_call_lasts_as_long() -> None:
    world = World(transfer("blind"))
    call = await world.ring()
    await world.elapse(5)
    assert [name for name in world.store.names() if name == "vxml.end"] == ["vxml.end"]
    world.outgoing[0].answer()
    await world.elapse(100)
    assert world.engine.bridges
    assert len(world.exchange.active()) == 1
    world.outgoing[0].bye()
    end = await world.end()
    assert ending(end) == ("disconnect", "application")
    assert end.duration_s == pytest.approx(105.2, abs=0.1)
    assert [(leg.outcome, leg.duration_s) for leg in world.store.legs] == [
        ("far_end_disconnect", 100.0)
    ]
    assert call.sent[-1] == "BYE"


async def test_a_caller_who_hangs_up_after_a_blind_transfer() -> None:
    world = World(transfer("blind"))
    call = await world.ring()
    world.outgoing[0].answer()
    await world.elapse(10)
    call.bye()
    assert ending(await world.end()) == ("disconnect", "caller")
    assert [leg.outcome for leg in world.store.legs] == ["connection.disconnect.hangup"]
    assert world.outgoing[0].sent == ["BYE"]


async def test_a_blind_transfer_that_is_refused_here_is_an_event() -> None:
    handler = '<catch event="error.connection"><log>no</log><exit/></catch></transfer>'
    world = World(
        transfer("blind").replace("sip:bob", "sip:forbidden").replace("</transfer>", handler)
    )
    await world.ring()
    assert ending(await world.end()) == ("exit", "application")
    assert logged(world) == ["no"]
    assert world.outgoing == []


async def test_dialling_again_whenever_it_is_refused_leaves_the_loop_to_others() -> None:
    handler = '<catch event="error.connection"><log>no</log></catch></transfer>'
    world = World(
        transfer("bridge").replace("sip:bob", "sip:forbidden").replace("</transfer>", handler)
    )
    call = await world.ring()
    await world.elapse(10)
    assert len(world.store.legs) in {50, 51}
    call.bye()
    assert ending(await world.end()) == ("hangup", "caller")


async def test_a_consultation_waits_for_the_answer_alone() -> None:
    world = World(transfer("consultation"))
    await world.ring()
    await world.elapse(5)
    assert "vxml.end" not in world.store.names()
    world.outgoing[0].answer()
    await world.elapse(1)
    assert "vxml.end" in world.store.names()
    await world.elapse(50)
    world.outgoing[0].bye()
    assert ending(await world.end()) == ("disconnect", "application")


async def test_a_consultation_that_fails_gives_the_caller_back() -> None:
    world = World(transfer("consultation"))
    await world.ring()
    world.outgoing[0].refuse(486)
    assert ending(await world.end()) == ("exit", "application")
    assert logged(world) == ["t busy"]


async def test_a_caller_who_hangs_up_during_a_consultation() -> None:
    world = World(transfer("consultation"))
    call = await world.ring()
    call.bye()
    assert ending(await world.end()) == ("hangup", "caller")
    assert logged(world) == ["hangup"]
    assert world.outgoing[0].sent == ["CANCEL"]
    assert [leg.outcome for leg in world.store.legs] == ["connection.disconnect.hangup"]


@pytest.mark.parametrize("type_", ["bridge", "blind", "consultation"])
@pytest.mark.parametrize("answered", [False, True])
async def test_abandoning_a_call_ends_its_transfer(type_: str, answered: bool) -> None:
    world = World(transfer(type_))
    call = await world.ring()
    if answered:
        world.outgoing[0].answer()
        await world.elapse(7)
    await world.exchange.hang_up_all()
    end = await world.end()
    assert end.hung_up_by == "platform"
    assert call.sent[-1] == "BYE"
    assert world.outgoing[0].sent == ["BYE" if answered else "CANCEL"]
    assert [(leg.outcome, leg.duration_s) for leg in world.store.legs] == [
        ("connection.disconnect.hangup", 7.0 if answered else 0.0)
    ]


async def test_a_defect_in_a_transfer_is_logged_and_the_call_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(transfer("blind"))

    async def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("vxml_server.calls.transfer.Transfer._await_answer", fail)
    with structlog.testing.capture_logs() as logs:
        await world.ring()
        await world.end()
    assert "a transfer failed" in [entry["event"] for entry in logs]
    assert [leg.outcome for leg in world.store.legs] == ["unknown"]
