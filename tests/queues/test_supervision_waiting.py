"""What a supervisor does with callers who wait, and how other workers obey."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from tests.databases import BOTH
from tests.queues.floor import Floor
from tests.queues.waiters import Switchboard, Tape, Waiter
from vxml_server.clock import VirtualClock
from vxml_server.queues.orders import PATIENCE, Action, Reason
from vxml_server.queues.rows import Presence
from vxml_server.queues.transitions import OfferEvent
from vxml_server.store.feed import Feed

pytestmark = BOTH

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


@pytest.fixture
async def elsewhere(floor: Floor) -> AsyncIterator[Floor]:
    """Another worker, and its supervision."""
    centre = await floor.world.worker("other")
    made = Floor(floor.world, Switchboard(floor.world.clock, centre), floor.world._stores[1])
    made.supervision.start()
    yield made
    await made.supervision.stop()


async def test_an_order_finds_the_worker_that_has_the_caller(
    floor: Floor, elsewhere: Floor
) -> None:
    caller = await floor.bridged()
    offer = floor.offer
    await floor.settle(1.0)
    assert offer in elsewhere.centre.board.offers
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


async def test_a_worker_that_does_not_answer_is_named_and_obeys_nothing_later(
    floor: Floor, elsewhere: Floor
) -> None:
    caller = await floor.bridged()
    offer = floor.offer
    await floor.settle(1.0)
    await floor.supervision.stop()

    assert await elsewhere.refused(Action.HANG_UP, offer) is Reason.NO_ANSWER
    assert caller.is_bridged


@pytest.mark.parametrize("ahead", [-600.0, 600.0])
async def test_an_order_does_not_depend_on_what_time_it_is_at_either_worker(
    floor: Floor, elsewhere: Floor, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    there = Elsewhere(floor.world.clock, ahead)
    monkeypatch.setattr(elsewhere.supervision._post, "_clock", there)
    caller = await floor.bridged()
    offer = floor.offer
    await floor.settle(1.0)

    await elsewhere.do(Action.HANG_UP, offer)
    assert await floor.outcome(caller) == "far_end_disconnect"


async def test_an_order_that_was_read_too_late_is_not_obeyed(
    floor: Floor, elsewhere: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = await floor.bridged()
    offer = floor.offer
    await floor.settle(1.0)
    with monkeypatch.context() as patch:
        patch.setattr(Feed, "age", PATIENCE + 0.1)
        assert await elsewhere.refused(Action.HANG_UP, offer) is Reason.NO_ANSWER
    assert caller.is_bridged
