"""Supervisors: what caller and agent hear of them, whom they take, how orders find the caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from tests.calls.fake_media import FakeChannel
from tests.calls.fake_sip import FakeOutgoing
from tests.databases import BOTH
from tests.queues.contact_centre import agent, queue
from tests.queues.hall import Hall
from tests.queues.waiters import Switchboard, Tape, Waiter, names
from tests.queues.workers import World
from vxml_server.clock import VirtualClock
from vxml_server.interpreter import TransferResult
from vxml_server.queues.orders import PATIENCE, Action, Order, Reason, Refused
from vxml_server.queues.rows import Presence
from vxml_server.queues.supervision import RING_TIME, Supervision
from vxml_server.queues.telephones import Dialler
from vxml_server.queues.transitions import OfferEvent
from vxml_server.store import Json, Store
from vxml_server.store.feed import Feed

pytestmark = BOTH

DEFINITIONS = [
    agent("ann", wrap_up_time=0.0),
    agent("bob"),
    agent("cyd"),
    queue("sales", ["ann", "bob"], strategy="top_down"),
    queue("all", ["ann", "bob", "cyd"], strategy="ring_all"),
    queue("late", ["cyd"]),
    queue("tiny", ["cyd"], max_waiting=1),
]


class Floor(Hall):
    """One worker's callers, with ann signed in, and its supervision."""

    def __init__(self, world: World, board: Switchboard, store: Store) -> None:
        super().__init__(world, board)
        self.supervision = Supervision(
            board.centre,
            store,
            world.clock,
            Random(1),
            ring=Dialler(board.line, lambda user: board.contacts.get(user, [f"sip:{user}@a"])).ring,
            tell=board.facts.extend,
        )

    async def settle(self, seconds: float = 0.0) -> None:
        """More patiently: much is stored one after the other."""
        await super().settle(seconds)
        for _ in range(3):
            await super().settle()

    async def do(self, action: Action, target: str = "", **values: Json) -> None:
        order = Order(action, target or self.offer, "eve", values)
        doing = asyncio.create_task(self.supervision.do(order))
        await self.settle()
        # The answer of another worker is a matter of time.
        await self.settle(0.0 if doing.done() else 3 * PATIENCE)
        assert doing.done()
        await doing

    async def refused(self, action: Action, target: str = "", **values: Json) -> Reason:
        with pytest.raises(Refused) as told:
            await self.do(action, target, **values)
        return told.value.reason

    @property
    def offer(self) -> str:
        """The one offer that is not wrapping up."""
        (found,) = (one for one in self.centre.board.offers.values() if one.outcome is None)
        return found.id

    @property
    def entry(self) -> str:
        (found,) = self.centre.board.entries
        return found

    @property
    def facts(self) -> list[str]:
        return names(self.board.facts)

    async def supervised(self, mode: str = "listen") -> tuple[Waiter, FakeOutgoing, FakeOutgoing]:
        """A caller, ann's telephone, and a supervisor who has answered."""
        caller = await self.bridged()
        ann = self.board.telephone("ann")
        await self.do(Action.SUPERVISE, line="eve", mode=mode)
        return caller, ann, await self.answers("eve")

    def who_hears(self, *channels: FakeChannel) -> list[set[int]]:
        """For each, the places in the same list of those whom it hears."""
        hears = self.board.engine.hears
        return [{channels.index(one) for one in hears.get(channel, ())} for channel in channels]


@pytest.fixture
async def floor(tmp_path: Path) -> AsyncIterator[Floor]:
    world = World(VirtualClock(), tmp_path)
    centre = await world.worker()
    await centre.declare(DEFINITIONS)
    await centre.present("ann", Presence.AVAILABLE)
    made = Floor(world, Switchboard(world.clock, centre), world._stores[0])
    made.supervision.start()
    yield made
    await made.supervision.stop()
    await world.close()


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


# Waiting callers ---------------------------------------------------------------------------------


async def test_a_waiting_caller_is_offered_to_who_takes_him_and_to_nobody_else(
    floor: Floor,
) -> None:
    await floor.waiter()
    assert floor.centre.board.offers[floor.offer].agent == "ann"
    await floor.centre.present("cyd", Presence.AVAILABLE)
    await floor.do(Action.TAKE, floor.entry, agent="cyd")
    assert floor.centre.board.offers[floor.offer].agent == "cyd", "who is no member of the queue"
    assert floor.board.telephone("ann").listener.channel.closed
    assert floor.facts == ["queue.taken"]
    floor.board.telephone("cyd").refuse(603)
    await floor.settle()
    assert floor.centre.board.offers[floor.offer].agent == "ann", "he is anybody's again"


async def test_where_all_are_rung_the_others_stop_until_who_takes_him_has_answered(
    floor: Floor,
) -> None:
    for name in ("bob", "cyd"):
        await floor.centre.present(name, Presence.AVAILABLE)
    caller = await floor.waiter("queue:all")
    assert len(floor.centre.board.offers) == 3
    await floor.do(Action.TAKE, floor.entry, agent="bob")
    await floor.settle(5.0)
    assert floor.centre.board.offers[floor.offer].agent == "bob"
    await floor.answers("bob")
    assert caller.is_bridged


async def test_who_is_not_free_takes_nobody(floor: Floor) -> None:
    await floor.waiter()
    assert await floor.refused(Action.TAKE, floor.entry, agent="bob") is Reason.CONFLICT
    assert floor.centre.board.offers[floor.offer].agent == "ann"
    assert await floor.refused(Action.TAKE, "none", agent="ann") is Reason.NOT_FOUND


@pytest.mark.parametrize("keep", [True, False])
async def test_a_moved_caller_waits_in_the_other_queue(floor: Floor, keep: bool) -> None:
    caller = await floor.waiter()
    old = floor.centre.board.entries[floor.entry].entered_at
    await floor.settle(10.0)
    await floor.do(Action.MOVE, floor.entry, queue="late", keep_place=keep)
    entry = floor.centre.board.entries[floor.entry]
    assert entry.queue == "late"
    assert (entry.entered_at == old) == keep
    assert caller.rounds[-1].queue["name"] == "late"
    assert caller.hears
    assert floor.board.telephone("ann").listener.channel.closed
    assert "queue.left" in await floor.world.facts()
    await floor.centre.present("cyd", Presence.AVAILABLE)
    await floor.settle()
    await floor.answers("cyd")
    assert caller.is_bridged


@pytest.mark.parametrize(
    ("recorded", "happened"),
    [
        (("sales", "late"), ["notice", "moved to late", "notice"]),
        (("late",), ["notice"]),
        (("sales",), ["notice", "moved to late", "notice"]),
    ],
)
async def test_a_moved_caller_is_told_that_he_is_recorded_there_before_he_waits(
    floor: Floor, recorded: tuple[str, ...], happened: list[str]
) -> None:
    tape = Tape(*recorded)
    waiter = Waiter(floor.board, "queue:sales", recorded=tape)
    await floor.settle()
    await floor.do(Action.MOVE, floor.entry, queue="late")
    assert floor.centre.board.entries[floor.entry].queue == "late"
    assert tape.happened == happened
    waiter.hang_up()


async def test_a_full_queue_takes_who_is_moved_there(floor: Floor) -> None:
    await floor.waiter("queue:tiny")
    (first,) = floor.centre.board.entries
    await floor.waiter()
    (second,) = floor.centre.board.entries.keys() - {first}
    await floor.do(Action.MOVE, second, queue="tiny", keep_place=False)
    assert len(floor.centre.board.waiting(["tiny"])) == 2


async def test_a_caller_is_not_moved_to_nowhere_nor_to_where_he_is(floor: Floor) -> None:
    await floor.waiter()
    for name in ("nowhere", "sales"):
        assert await floor.refused(Action.MOVE, floor.entry, queue=name) is Reason.CONFLICT


async def test_a_caller_who_is_answered_while_he_is_moved_has_his_agent(floor: Floor) -> None:
    caller = await floor.waiter()
    ann = floor.board.telephone("ann")
    ann.ring()
    ann.answer()
    await floor.do(Action.MOVE, floor.entry, queue="late")
    assert caller.is_bridged or caller.hears
    assert len(floor.centre.board.entries) == 1


async def test_a_caller_who_was_moved_while_an_agent_answered_who_drops_waits_where_he_was_moved(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await floor.waiter()
    replica = floor.centre._replica
    advance = replica.advance

    async def late(offer_id: str, event: OfferEvent) -> bool:
        if event is not OfferEvent.BRIDGE:
            return await advance(offer_id, event)
        caller = floor.centre.caller(floor.entry)
        assert caller is not None
        caller.move("late", keeps_place=True)
        await floor.world.settle()
        return False

    monkeypatch.setattr(replica, "advance", late)
    ann = floor.board.telephone("ann")
    ann.ring()
    ann.answer()
    entries = floor.centre.board.entries
    # He leaves and enters, each of which is stored.
    for _ in range(20):
        await floor.settle()
        if [one.queue for one in entries.values()] == ["late"]:
            return
    raise AssertionError(f"he waits in {entries}")


async def test_a_caller_who_is_taken_out_goes_on_in_his_application(floor: Floor) -> None:
    caller = await floor.waiter()
    entry = floor.entry
    await floor.do(Action.TAKE_OUT, entry)
    assert await floor.outcome(caller) == "queue_removed"
    assert floor.facts == ["queue.taken_out"]
    assert floor.board.facts[0].data["by"] == "eve"
    assert await floor.refused(Action.TAKE_OUT, entry) is Reason.NOT_FOUND


async def test_a_priority_puts_a_caller_before_others(floor: Floor) -> None:
    await floor.centre.present("ann", Presence.ON_BREAK)
    await floor.waiter()
    (first,) = floor.centre.board.entries
    await floor.waiter()
    (second,) = floor.centre.board.entries.keys() - {first}
    await floor.do(Action.PRIORITISE, second, priority=1000.0)
    await floor.centre.present("ann", Presence.AVAILABLE)
    await floor.settle()
    assert floor.centre.board.offers[floor.offer].entry == second
    assert floor.facts == ["queue.prioritised"]
    assert "queue.priority" in await floor.world.facts()


# Other workers -----------------------------------------------------------------------------------


class Elsewhere:
    """The same time with another time of day."""

    def __init__(self, clock: VirtualClock, ahead: float) -> None:
        self._clock = clock
        self._ahead = timedelta(seconds=ahead)
        self.call_later = clock.call_later
        self.sleep = clock.sleep
        self.monotonic = clock.monotonic

    def utc_now(self) -> datetime:
        return self._clock.utc_now() + self._ahead


async def test_an_order_finds_the_worker_that_has_the_caller(floor: Floor) -> None:
    centre = await floor.world.worker("other")
    elsewhere = Floor(floor.world, Switchboard(floor.world.clock, centre), floor.world._stores[1])
    elsewhere.supervision.start()
    caller = await floor.bridged()
    offer = floor.offer
    await floor.settle(1.0)
    assert offer in centre.board.offers
    await elsewhere.do(Action.SUPERVISE, offer, line="eve", mode="listen")
    await floor.answers("eve")
    assert floor.facts == ["supervision.started"]
    assert floor.board.facts[0].data["by"] == "eve"
    assert await elsewhere.refused(Action.SUPERVISE, offer, line="eve", mode="listen") is (
        Reason.CONFLICT
    )
    await elsewhere.do(Action.HANG_UP, offer)
    assert await floor.outcome(caller) == "far_end_disconnect"
    waiting = await floor.waiter()
    (entry,) = floor.centre.board.entries
    await floor.settle(1.0)
    await elsewhere.do(Action.TAKE_OUT, entry)
    assert await floor.outcome(waiting) == "queue_removed"
    await elsewhere.supervision.stop()


async def test_a_worker_that_does_not_answer_is_named_and_obeys_nothing_later(
    floor: Floor,
) -> None:
    centre = await floor.world.worker("other")
    elsewhere = Floor(floor.world, Switchboard(floor.world.clock, centre), floor.world._stores[1])
    elsewhere.supervision.start()
    caller = await floor.bridged()
    offer = floor.offer
    await floor.settle(1.0)
    await floor.supervision.stop()

    assert await elsewhere.refused(Action.HANG_UP, offer) is Reason.NO_ANSWER
    assert caller.is_bridged
    await elsewhere.supervision.stop()


@pytest.mark.parametrize("ahead", [-600.0, 600.0])
async def test_an_order_does_not_depend_on_what_time_it_is_at_either_worker(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    centre = await floor.world.worker("other")
    elsewhere = Floor(floor.world, Switchboard(floor.world.clock, centre), floor.world._stores[1])
    elsewhere.supervision.start()
    there = Elsewhere(floor.world.clock, ahead)
    monkeypatch.setattr(elsewhere.supervision._post, "_clock", there)
    caller = await floor.bridged()
    offer = floor.offer
    await floor.settle(1.0)

    await elsewhere.do(Action.HANG_UP, offer)
    assert await floor.outcome(caller) == "far_end_disconnect"
    await elsewhere.supervision.stop()


async def test_an_order_that_was_read_too_late_is_not_obeyed(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = await floor.world.worker("other")
    elsewhere = Floor(floor.world, Switchboard(floor.world.clock, centre), floor.world._stores[1])
    elsewhere.supervision.start()
    caller = await floor.bridged()
    offer = floor.offer
    await floor.settle(1.0)
    with monkeypatch.context() as patch:
        patch.setattr(Feed, "age", PATIENCE + 0.1)
        assert await elsewhere.refused(Action.HANG_UP, offer) is Reason.NO_ANSWER
    assert caller.is_bridged
    await elsewhere.supervision.stop()
