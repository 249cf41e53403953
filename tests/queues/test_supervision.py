"""Supervisors: what caller and agent hear of them, and whom they take."""

from __future__ import annotations

import pytest

from tests.databases import BOTH
from tests.queues.floor import Floor
from vxml_server.interpreter import TransferResult
from vxml_server.queues.orders import Action, Reason
from vxml_server.queues.rows import Presence
from vxml_server.queues.supervision import RING_TIME

pytestmark = BOTH

LISTEN: list[set[int]] = [{1}, {0}, {0, 1}]
WHISPER: list[set[int]] = [{1}, {0, 2}, {0, 1}]
BARGE: list[set[int]] = [{1, 2}, {0, 2}, {0, 1}]
ALONE: list[set[int]] = [{1}, {0}, set()]


# Listening, whispering, barging in ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "heard"), [("listen", LISTEN), ("whisper", WHISPER), ("barge", BARGE)]
)
async def test_a_supervisor_hears_both_and_is_heard_as_he_wishes(
    floor: Floor, mode: str, heard: list[set[int]]
) -> None:
    caller, ann, eve = await floor.supervised(mode)
    channels = (caller.leg.channel, ann.listener.channel, eve.listener.channel)
    assert floor.who_hears(*channels) == heard
    assert eve.headers == {"X-Queue": "sales", "X-Supervise": mode}
    eve.bye()
    await floor.settle()
    assert floor.who_hears(*channels) == ALONE
    assert caller.is_bridged
    assert floor.facts == ["supervision.started", "supervision.ended"]
    assert floor.board.facts[0].data["by"] == "eve"
    assert (floor.board.facts[0].queue, floor.board.facts[0].agent) == ("sales", "ann")
    assert floor.board.facts[1].data["why"] == "hung_up"


async def test_a_supervisor_changes_over_by_order_and_by_keys(floor: Floor) -> None:
    caller, ann, eve = await floor.supervised()
    channels = (caller.leg.channel, ann.listener.channel, eve.listener.channel)
    await floor.do(Action.SWITCH, mode="barge")
    assert floor.who_hears(*channels) == BARGE
    for key, heard in (("5", WHISPER), ("9", WHISPER), ("4", LISTEN), ("4", LISTEN), ("6", BARGE)):
        eve.listener.key(key, "rfc4733", floor.world.clock.monotonic())
        await floor.settle()
        assert floor.who_hears(*channels) == heard
    assert floor.facts == ["supervision.started"] + ["supervision.changed"] * 4
    assert ann.listener.channel.keys_sent == caller.leg.channel.keys_sent == ""


async def test_a_supervisor_is_put_out_by_order_and_may_come_back(floor: Floor) -> None:
    caller, ann, eve = await floor.supervised("barge")
    await floor.do(Action.END_SUPERVISION)
    assert eve.sent == ["BYE"]
    assert floor.who_hears(caller.leg.channel, ann.listener.channel, eve.listener.channel) == ALONE
    assert await floor.refused(Action.END_SUPERVISION) is Reason.NOT_FOUND
    await floor.do(Action.SUPERVISE, line="eve", mode="listen")
    again = await floor.answers("eve")
    channels = (caller.leg.channel, ann.listener.channel, again.listener.channel)
    assert floor.who_hears(*channels) == LISTEN


@pytest.mark.parametrize("who", ["caller", "agent"])
async def test_a_supervisor_goes_when_the_conversation_ends(floor: Floor, who: str) -> None:
    caller, ann, eve = await floor.supervised("barge")
    if who == "caller":
        caller.hang_up()
    else:
        ann.bye()
    await floor.settle()
    assert await floor.outcome(caller) in {"connection.disconnect.hangup", "far_end_disconnect"}
    assert not floor.board.engine.bridges
    left = [one for one in floor.board.engine.open_channels if one is not caller.leg.channel]
    assert not left
    assert eve.listener.channel.closed
    assert floor.facts == ["supervision.started", "supervision.ended"]


async def test_a_conversation_that_ends_while_the_supervisor_is_rung_hangs_him_up(
    floor: Floor,
) -> None:
    caller = await floor.bridged()
    await floor.do(Action.SUPERVISE, line="eve", mode="listen")
    caller.hang_up()
    await floor.settle()
    assert floor.board.telephone("eve").listener.channel.closed
    assert floor.facts == ["supervision.failed"]


async def test_a_supervisor_who_does_not_answer_disturbs_nobody(floor: Floor) -> None:
    caller = await floor.bridged()
    await floor.do(Action.SUPERVISE, line="eve", mode="listen")
    floor.board.telephone("eve").ring()
    await floor.settle(RING_TIME + 1)
    assert floor.board.facts[-1].data["why"] == "no_answer"
    assert floor.board.telephone("eve").listener.channel.closed
    assert caller.is_bridged


async def test_a_mode_chosen_while_the_telephone_rings_holds_from_the_answer(floor: Floor) -> None:
    caller = await floor.bridged()
    await floor.do(Action.SUPERVISE, line="eve", mode="listen")
    await floor.do(Action.SWITCH, mode="whisper")
    eve = await floor.answers("eve")
    ann = floor.board.telephone("ann")
    channels = (caller.leg.channel, ann.listener.channel, eve.listener.channel)
    assert floor.who_hears(*channels) == WHISPER


async def test_what_cannot_be_supervised_is_refused(floor: Floor) -> None:
    assert await floor.refused(Action.SUPERVISE, "none", line="eve", mode="listen") is (
        Reason.NOT_FOUND
    )
    caller = await floor.waiter()
    assert await floor.refused(Action.SUPERVISE, line="eve", mode="listen") is Reason.CONFLICT
    await floor.answers()
    floor.board.contacts["nobody"] = []
    for line in ("nobody", "sip:forbidden@x", "sip:unreachable@x"):
        assert await floor.refused(Action.SUPERVISE, line=line, mode="listen") is Reason.CONFLICT
    await floor.do(Action.SUPERVISE, line="eve", mode="listen")
    assert await floor.refused(Action.SUPERVISE, line="eve", mode="listen") is Reason.CONFLICT
    assert caller.is_bridged


# Conversations -----------------------------------------------------------------------------------


async def test_a_conversation_is_hung_up(floor: Floor) -> None:
    caller = await floor.bridged()
    await floor.do(Action.HANG_UP)
    assert await floor.outcome(caller) == "far_end_disconnect"
    assert floor.facts == ["offer.hung_up"]


async def test_an_offer_that_is_hung_up_leaves_the_caller_in_his_place(floor: Floor) -> None:
    caller = await floor.waiter()
    entry = floor.entry
    await floor.do(Action.HANG_UP)
    assert floor.entry == entry
    assert caller.running is not None
    assert not caller.running.done()


async def test_a_caller_who_is_given_back_stands_in_his_old_place(floor: Floor) -> None:
    caller = await floor.bridged()
    place = floor.centre.board.entries[floor.entry].entered_at
    await floor.centre.present("ann", Presence.ON_BREAK)
    later = await floor.waiter()
    await floor.settle(100.0)
    await floor.do(Action.GIVE_BACK)
    assert not caller.is_bridged
    assert caller.hears
    waiting = floor.centre.board.waiting(["sales"])
    assert place in {one.entry.entered_at for one in waiting}
    assert floor.board.telephone("ann").listener.channel.closed
    await floor.centre.present("bob", Presence.AVAILABLE)
    await floor.settle()
    await floor.answers("bob")
    assert caller.is_bridged, "he came first"
    assert not later.is_bridged
    floor.board.telephone("bob").bye()
    await floor.settle()
    assert caller.running is not None and caller.running.done()
    assert floor.facts == ["conversation.returned"]


async def test_a_caller_is_sent_on_and_the_agent_is_free(floor: Floor) -> None:
    caller = await floor.bridged()
    await floor.do(Action.SEND_ON, dest="queue:late?priority=1")
    assert [request.dest for request in caller.sent_on] == ["queue:late?priority=1"]
    assert await floor.outcome(caller) == "busy", "what came of him there"
    assert caller.transfer.record is not None
    assert caller.transfer.record.outcome == "queue_sent_on"


async def test_who_cannot_be_had_where_he_is_sent_waits_where_he_was(floor: Floor) -> None:
    caller = await floor.bridged()
    for dest in ("queue:nowhere", "agent:nobody", "queue:", "queue:late?x=1"):
        assert await floor.refused(Action.SEND_ON, dest=dest) is Reason.CONFLICT
    assert caller.is_bridged
    caller.elsewhere = TransferResult("error.connection.noroute")
    await floor.centre.present("ann", Presence.ON_BREAK)
    await floor.do(Action.SEND_ON, dest="sip:old@office")
    assert caller.hears
    assert len(floor.centre.board.waiting(["sales"])) == 1


async def test_another_agent_takes_over_a_conversation(floor: Floor) -> None:
    caller = await floor.bridged("queue:all")
    await floor.centre.present("bob", Presence.AVAILABLE)
    await floor.centre.present("cyd", Presence.AVAILABLE)
    await floor.do(Action.TAKE_OVER, agent="cyd")
    offers = [one for one in floor.centre.board.offers.values() if one.outcome is None]
    assert [offer.agent for offer in offers] == ["cyd"], "and nobody else is rung"
    await floor.answers("cyd")
    assert caller.is_bridged
    assert floor.facts == ["conversation.taken"]


async def test_a_conversation_is_not_parted_for_an_agent_who_is_not_free(floor: Floor) -> None:
    caller = await floor.bridged()
    assert await floor.refused(Action.TAKE_OVER, agent="bob") is Reason.CONFLICT
    assert await floor.refused(Action.TAKE_OVER, agent="nobody") is Reason.CONFLICT
    assert caller.is_bridged
