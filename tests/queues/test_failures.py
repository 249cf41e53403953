"""Contact centres whose database fails, whose clocks are set, whose definitions go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from tests.databases import BOTH, url_of
from tests.queues.histories import History
from tests.queues.killable import Caller, close_workers, open_workers
from vxml_server.queues.centre import ENTER_PATIENCE, LEAVE_PATIENCE, STOP_PATIENCE
from vxml_server.queues.rows import Change, Exit, Offer, Presence
from vxml_server.queues.telephony import Happening
from vxml_server.queues.transitions import OfferEvent, state_of
from vxml_server.store import EventRecord, StoreError

pytestmark = BOTH

H = Happening
FOR_EVER = 10**9


class World(History):
    """Three workers, one agent and one queue; the tests say what happens."""

    async def begin(self) -> None:
        await self._begin()
        first = self.workers[0].centre
        for name in ("bob", "cyd"):
            await first.undefine("agent", name)
        await first.present("ann", Presence.AVAILABLE)
        await self.quiet()

    async def caller(self, worker: int = 0, name: str = "idle") -> Caller:
        made = Caller(self.workers[worker], name, "call")
        self.workers[worker].callers.append(made)
        await made.enter()
        await self.quiet()
        return made

    async def facts(self) -> list[EventRecord]:
        return await self.shared.facts(self._began_at)

    def state(self, worker: int = 0) -> str:
        board = self.workers[worker].centre.board
        return state_of(board.row("ann"), board.offers_of_agent("ann"))

    async def until(self, task: asyncio.Task[object], seconds: float) -> None:
        """Lets time pass until a task has ended."""
        while not task.done() and seconds > 0:
            for worker in self._running():
                worker.clock.advance(0.5)
            seconds -= 0.5
            await self.shared.traffic.settle()
        assert task.done()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    workers = await open_workers(url_of(tmp_path))
    made = World(1, workers, calm=True)
    await made.begin()
    yield made
    for worker in workers:
        worker.thaw()
        worker.store.failures_before = worker.store.failures_after = 0
        await worker.centre.stop()
    await close_workers(workers)


async def test_what_was_stored_without_anybody_being_told_is_not_stored_twice(
    world: World,
) -> None:
    store = world.workers[0].store
    store.failures_after = 1
    entering = asyncio.ensure_future(world.caller())
    await world.quiet()
    assert store.failures_after == 0
    await world.elapse(2)
    await entering
    facts = [fact.name for fact in await world.facts()]
    assert facts.count("queue.entered") == facts.count("offer.reserved") == 1
    assert world.state() == "reserved"


async def test_a_worker_that_stood_still_hangs_up_what_others_have_put_right(world: World) -> None:
    caller = await world.caller()
    caller.telephone("ann").happen(H.ANSWERED)
    waiting = await world.caller()
    await world.quiet()
    assert world.state(1) == "talking"
    world.workers[0].freeze()
    await world.elapse(20)
    assert world.state(1) in {"wrapping_up", "available"}
    world.workers[0].thaw()
    world.workers[0].clock.advance(20)
    await world.quiet()
    await world.elapse(2)
    assert caller.heard == ["served by ann", "parted from ann"]
    assert caller.telephones["ann"][0].is_hung_up
    assert waiting.heard == ["lost"]
    # He is back in his place, and is offered once.
    assert len(waiting.telephones["ann"]) == 1
    assert world.workers[0].centre.counters.deaths == 1


async def test_a_database_that_was_away_makes_nobody_bury_anybody(world: World) -> None:
    caller = await world.caller()
    caller.telephone("ann").happen(H.ANSWERED)
    await world.quiet()
    for worker in world.workers:
        worker.store.failures_before = FOR_EVER
    await world.elapse(40)
    for worker in world.workers:
        worker.store.failures_before = 0
    await world.elapse(10)
    assert [worker.centre.counters.buried for worker in world.workers] == [0, 0, 0]
    assert world.state() == world.state(1) == "talking"
    assert caller.heard == ["served by ann"]


async def test_who_comes_while_the_database_is_away_is_told_in_time(world: World) -> None:
    centre = world.workers[0].centre
    world.workers[0].store.failures_before = FOR_EVER
    entering = asyncio.ensure_future(
        centre.enter(Caller(world.workers[0], "idle", "c"), "idle", "c")
    )
    await world.quiet()
    await world.elapse(ENTER_PATIENCE + 3)
    assert isinstance(entering.exception(), StoreError)
    assert not centre._callers and not centre._entering


async def test_who_leaves_while_the_database_is_away_does_not_wait_for_it(world: World) -> None:
    worker = world.workers[0]
    caller = await world.caller()
    caller.telephone("ann").happen(H.RINGING)
    await world.quiet()
    for one in world.workers:
        one.store.failures_before = FOR_EVER
    leaving = asyncio.ensure_future(worker.centre.leave(caller.entry, Exit.KEY))
    await world.until(leaving, LEAVE_PATIENCE + 1)
    assert caller.telephone("ann").is_hung_up
    again = asyncio.ensure_future(worker.centre.leave(caller.entry, Exit.ABANDONED))
    await world.until(again, LEAVE_PATIENCE + 1)
    await world.elapse(10)
    for one in world.workers:
        one.store.failures_before = 0
    await world.elapse(2)
    left = [fact for fact in await world.facts() if fact.name == "queue.left"]
    assert [fact.data["exit"] for fact in left] == ["key"]
    assert world.state(1) == "available"


async def test_an_offer_that_others_ended_before_its_maker_knew_of_it_rings_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He stood still between what he stored and the answer, and has read the log since."""
    replica, other = (one.centre._replica for one in world.workers[:2])
    stored = replica.stored
    ended: list[Offer] = []

    async def stored_and_ended(*changes: Change, patience: float | None = None) -> bool:
        done = await stored(*changes, patience=patience)
        reserved = [offer for one in changes for offer in one.offers if offer.generation == 1]
        if reserved and not ended:
            [offer] = reserved
            ended.append(offer)
            rows = {offer.agent}, {offer.entry}, {offer.id}
            await other._reread(*rows)
            assert await other.advance(offer.id, OfferEvent.WITHDRAW)
            await replica._reread(*rows)
        return done

    monkeypatch.setattr(replica, "stored", stored_and_ended)
    caller = await world.caller()
    await world.elapse(2)
    assert len(ended) == 1
    assert len(caller.telephones["ann"]) == 1
    assert len(world.workers[0].telephones()) == 1
    assert world.state() == "reserved"


async def test_a_caller_who_was_stored_after_he_had_been_told_no_is_taken_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = world.workers[0]
    await worker.centre.present("ann", Presence.ON_BREAK)

    async def is_not_known(mark: str, after: int) -> bool:
        raise StoreError("the database does not answer")

    monkeypatch.setattr(worker.centre._replica.ledger, "is_stored", is_not_known)
    worker.store.failures_after = 1
    caller = Caller(worker, "idle", "c")
    entering = asyncio.ensure_future(worker.centre.enter(caller, "idle", "c"))
    await world.quiet()
    assert worker.store.failures_after == 0
    await world.elapse(ENTER_PATIENCE + 1)
    assert isinstance(entering.exception(), StoreError)
    await world.elapse(8)
    left = [fact for fact in await world.facts() if fact.name == "queue.left"]
    assert [fact.data["exit"] for fact in left] == ["lost"]
    assert not world.workers[1].centre.board.entries


@pytest.mark.parametrize("doing", ["nothing", "ringing", "talking"])
async def test_stopping_without_a_database_ends_in_time(world: World, doing: str) -> None:
    worker = world.workers[0]
    if doing != "nothing":
        caller = await world.caller()
        if doing == "talking":
            caller.telephone("ann").happen(H.ANSWERED)
            await world.quiet()
    worker.store.failures_before = FOR_EVER
    stopping = asyncio.ensure_future(worker.centre.stop())
    await world.until(stopping, STOP_PATIENCE + 2)
    assert stopping.exception() is None
    worker.store.failures_before = 0
    await worker.start(Random(2))


@pytest.mark.parametrize("ahead", [-600.0, 600.0])
async def test_a_wrap_up_lasts_as_long_as_it_should_whatever_the_clock_says(
    world: World, ahead: float
) -> None:
    caller = await world.caller()
    caller.telephone("ann").happen(H.ANSWERED)
    await world.quiet()
    caller.telephone("ann").hang_up_there()
    await world.quiet()
    for worker in world.workers:
        worker.clock.ahead = ahead
    await world.elapse(9.0)
    assert world.state() == "wrapping_up"
    await world.elapse(2.0)
    assert world.state() == "available"


async def test_after_a_start_with_an_earlier_clock_nobody_is_held_for_longer_than_he_could_be(
    world: World,
) -> None:
    caller = await world.caller()
    caller.telephone("ann").happen(H.REFUSED)
    await world.quiet()
    await caller.leave()
    for worker in world.workers:
        await worker.centre.stop()
        worker.clock.ahead = -3600.0
        await worker.start(Random(3))
    await world.quiet()
    again = await world.caller()
    await world.elapse(34.0)
    assert len(again.telephones["ann"]) == 1


async def test_who_waits_in_a_queue_that_is_removed_is_told(world: World) -> None:
    await world.workers[0].centre.present("ann", Presence.ON_BREAK)
    caller = await world.caller(1)
    await world.workers[0].centre.undefine("queue", "idle")
    await world.quiet()
    await world.elapse(1)
    assert caller.heard == ["put out"]
    left = [fact for fact in await world.facts() if fact.name == "queue.left"]
    assert [fact.data["exit"] for fact in left] == ["removed"]


async def test_who_talks_when_his_agent_and_his_queue_are_removed_talks_on(world: World) -> None:
    caller = await world.caller()
    caller.telephone("ann").happen(H.ANSWERED)
    await world.quiet()
    await world.workers[1].centre.undefine("queue", "idle")
    await world.workers[1].centre.undefine("agent", "ann")
    await world.elapse(4)
    assert caller.heard == ["served by ann"]
    caller.telephone("ann").hang_up_there()
    await world.elapse(14)
    assert caller.heard[-1] == "parted from ann"
    assert world.state() == "signed_out", "and does not come back as one who is available"
    assert not world.workers[0].centre.board.offers


async def test_an_offer_of_an_agent_who_is_removed_meanwhile_ends(world: World) -> None:
    centre = world.workers[0].centre
    caller = await world.caller()
    assert world.state() == "reserved"
    await world.workers[1].centre.undefine("agent", "ann")
    await world.quiet()
    caller.telephone("ann").happen(H.NO_ANSWER)
    await world.quiet()
    assert not centre.board.offers
    assert centre.standing(caller.entry) is not None


async def test_what_no_column_can_hold_is_cut_and_keeps_nobody_waiting(world: World) -> None:
    worker = world.workers[0]
    caller = Caller(worker, "idle", "c")
    entry = await worker.centre.enter(
        *(caller, "idle", "c"), language="x" * 500, data={"aai": "\0\ud800"}
    )
    await worker.centre.leave(entry, Exit.ABANDONED)
    await worker.centre.present("ann", Presence.ON_BREAK, "long" * 100)
    await world.quiet()
    assert world.state(1) == "on_break"


async def test_who_leaves_while_he_is_being_offered_leaves_for_his_own_reason(
    world: World,
) -> None:
    centre = world.workers[0].centre
    await centre.present("ann", Presence.ON_BREAK)
    caller = await world.caller()
    for number in range(20):
        await centre.present("ann", Presence.AVAILABLE)
        for _ in range(number):
            await asyncio.sleep(0)
        await centre.leave(caller.entry, Exit.TIMED_OUT)
        assert caller.entry not in centre.board.entries
        await world.quiet()
        assert world.state() == "available"
        await centre.present("ann", Presence.ON_BREAK)
        caller = await world.caller()
    exits = {f.data["exit"] for f in await world.facts() if f.name == "queue.left"}
    assert exits == {"timed_out"}
