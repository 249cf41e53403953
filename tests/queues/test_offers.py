"""Offers of several workers, and of supervisors, that come into each other's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest

from tests.queues.histories import History
from tests.queues.killable import Caller, workers_in_memory
from vxml_server.queues.offers import THEIR_TIME
from vxml_server.queues.rows import Presence
from vxml_server.queues.telephony import Happening

H = Happening


class World(History):
    """Three workers on a database in memory; ann, bob and cyd (who takes two) are signed out.

    Their queues are `idle` (all of them), `robin` (bob and cyd) and `all` (all are rung).
    """

    async def begin(self) -> None:
        await self._begin()

    async def caller(self, queue: str, worker: int = 0) -> Caller:
        made = Caller(self.workers[worker], queue, f"to {queue}")
        self.workers[worker].callers.append(made)
        await made.enter()
        await self.elapse(1.0)
        return made

    async def sign_in(self, *names: str, worker: int = 1) -> None:
        for name in names:
            await self.workers[worker].centre.present(name, Presence.AVAILABLE)
        await self.quiet()

    async def offer_to(self, caller: Caller, *agents: str) -> list[bool]:
        """Several orders at the same moment."""
        offers = caller.worker.centre.offers
        done = await asyncio.gather(*(offers.offer_to(caller.entry, one) for one in agents))
        await self.quiet()
        return done


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World(1, workers_in_memory(1), calm=True)
    await made.begin()
    yield made
    for worker in made.workers:
        worker.thaw()
    await made.elapse(12.0)
    alive = [worker.centre for worker in made.workers if worker.is_alive]
    assert all(centre.counters.restarts == 0 for centre in alive)
    for centre in alive:
        await centre.stop()


def ringing(caller: Caller) -> set[str]:
    return {name for name, some in caller.telephones.items() if not some[-1].is_hung_up}


async def test_an_agent_is_not_kept_for_the_caller_of_a_worker_that_stands_still(
    world: World,
) -> None:
    first = await world.caller("idle", worker=0)
    second = await world.caller("robin", worker=1)
    world.workers[0].freeze()
    await world.sign_in("bob")
    assert (ringing(first), ringing(second)) == (set(), set()), "it is the turn of the first"
    await world.elapse(THEIR_TIME + 0.1)
    assert ringing(second) == {"bob"}


async def test_an_agent_is_not_kept_for_a_caller_who_is_promised_to_somebody_else(
    world: World,
) -> None:
    await world.sign_in("ann")
    first = await world.caller("all")
    assert await world.offer_to(first, "ann") == [True]
    second = await world.caller("robin")
    await world.sign_in("bob")
    assert (ringing(first), ringing(second)) == ({"ann"}, {"bob"})


async def test_who_was_passed_over_has_his_turn_again(world: World) -> None:
    await world.sign_in("ann")
    first = await world.caller("all")
    assert await world.offer_to(first, "ann") == [True]
    second = await world.caller("robin")
    await world.sign_in("bob")
    await second.leave()
    first.telephone("ann").happen(H.BUSY)
    await world.quiet()
    assert ringing(first) == {"bob"}


async def test_a_caller_whom_two_supervisors_take_at_once_goes_to_one_of_them(
    world: World,
) -> None:
    caller = await world.caller("robin")
    world.workers[0].centre.offers.promise(caller.entry, "bob")
    await world.sign_in("ann", "cyd")
    assert ringing(caller) == set()
    done = await world.offer_to(caller, "ann", "cyd")
    assert True in done
    assert len(ringing(caller)) == 1
    ((name, telephones),) = [one for one in caller.telephones.items() if not one[1][-1].is_hung_up]
    telephones[-1].happen(H.ANSWERED)
    await world.quiet()
    assert caller.with_agent == name


async def test_a_take_that_is_given_up_promises_the_caller_to_nobody(world: World) -> None:
    """He is just being offered to another when the supervisor's request has run out of time."""
    caller = await world.caller("robin")
    worker = world.workers[0]
    offers = worker.centre.offers
    offers.promise(caller.entry, "bob")
    await world.sign_in("cyd")
    worker.freeze()
    worker.do(offers.offer_to(caller.entry, "cyd"))
    for _ in range(20):
        await asyncio.sleep(0)
    take = worker.do(offers.offer_to(caller.entry, "ann"))
    await asyncio.sleep(0)
    take.cancel()
    await asyncio.wait([take])
    worker.thaw()
    await world.quiet()
    assert ringing(caller) == {"cyd"}
    caller.telephone("cyd").happen(H.REFUSED)
    await world.sign_in("bob")
    assert ringing(caller) == {"bob"}


async def test_a_caller_is_not_offered_twice_to_an_agent_who_could_take_two(world: World) -> None:
    caller = await world.caller("robin")
    world.workers[0].centre.offers.promise(caller.entry, "cyd")
    await world.sign_in("cyd")
    assert await world.offer_to(caller, "cyd", "cyd") == [True, True]
    assert len(caller.telephones["cyd"]) == 1
    assert world.workers[1].centre.board.row("cyd").busy == {"voice": 1}


@pytest.mark.parametrize("being_stored", ["another offer", "that it rings"])
async def test_the_telephones_of_a_caller_who_leaves_stop_at_once_whatever_is_being_stored(
    world: World, being_stored: str
) -> None:
    await world.sign_in("ann")
    caller = await world.caller("all")
    assert await world.offer_to(caller, "ann") == [True]
    await world.sign_in("bob")
    worker = world.workers[0]
    worker.freeze()
    if being_stored == "another offer":
        worker.do(worker.centre.offers.offer_to(caller.entry, "bob"))
    else:
        caller.telephone("ann").happen(H.RINGING)
    for _ in range(20):
        await asyncio.sleep(0)
    leaving = worker.do(caller.leave())
    for _ in range(20):
        await asyncio.sleep(0)
    assert ringing(caller) == set()
    worker.thaw()
    await world.quiet()
    assert leaving.done()
    assert ringing(caller) == set()
    facts = await world.shared.facts(world._began_at)
    outcomes = {fact.data["outcome"] for fact in facts if "outcome" in fact.data}
    assert outcomes == {"caller_gone"}
    assert not worker.centre.board.offers


async def test_a_worker_whose_clock_is_ahead_ends_nobodys_wrap_up(world: World) -> None:
    ahead = world.workers[1]
    await ahead.kill()
    ahead.clock.ahead = 600.0
    await ahead.start(Random(1))
    await world.sign_in("cyd", worker=0)
    caller = await world.caller("robin", worker=0)
    caller.telephone("cyd").happen(H.ANSWERED)
    await world.quiet()
    caller.telephone("cyd").happen(H.HUNG_UP)
    await world.quiet()
    await world.elapse(2.5)
    assert ahead.centre.board.wrap_ups, "three seconds are not over"
    await world.elapse(1.0)
    assert not ahead.centre.board.wrap_ups


@pytest.mark.parametrize("ahead", [600.0, -600.0])
async def test_a_delay_lasts_as_long_for_a_worker_whose_clock_is_another(
    world: World, ahead: float
) -> None:
    other = world.workers[1]
    await other.kill()
    other.clock.ahead = ahead
    await other.start(Random(1))
    await world.sign_in("cyd", worker=0)
    talks = await world.caller("robin", worker=0)
    talks.telephone("cyd").happen(H.ANSWERED)
    await world.quiet()
    refused = await world.caller("robin", worker=0)
    refused.telephone("cyd").happen(H.REFUSED)
    await world.quiet()
    await refused.leave()
    waits = await world.caller("robin", worker=1)
    # What else happens to the agent meanwhile neither ends the delay nor begins it anew.
    await world.elapse(10.0)
    talks.telephone("cyd").happen(H.HUNG_UP)
    await world.elapse(18.0)
    assert ringing(waits) == set(), "thirty seconds are not over"
    await world.elapse(2.0)
    assert ringing(waits) == {"cyd"}


async def test_who_wraps_up_when_his_worker_dies_is_free_within_ten_seconds(world: World) -> None:
    await world.sign_in("cyd")
    caller = await world.caller("robin", worker=0)
    caller.telephone("cyd").happen(H.ANSWERED)
    await world.quiet()
    caller.telephone("cyd").happen(H.HUNG_UP)
    await world.quiet()
    await world.workers[0].kill()
    await world.elapse(10.0)
    assert world.workers[1].centre.board.row("cyd").busy == {"voice": 0}


async def test_a_conversation_that_is_lost_to_a_worker_whose_clock_is_behind_lasted_no_time(
    world: World,
) -> None:
    for behind in world.workers[1:]:
        await behind.kill()
        behind.clock.ahead = -600.0
        await behind.start(Random(1))
    await world.sign_in("cyd")
    caller = await world.caller("robin", worker=0)
    caller.telephone("cyd").happen(H.ANSWERED)
    await world.quiet()
    await world.workers[0].kill()
    await world.elapse(10.0)
    row = world.workers[1].centre.board.row("cyd")
    assert (row.calls, row.talk_time) == (1, 0.0)
