"""A worker's contact centre: offers on telephones, with a real database, on virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.databases import BOTH
from tests.queues.contact_centre import agent, queue
from tests.queues.telephones import FakeCaller
from tests.queues.workers import World, state
from vxml_server.clock import VirtualClock
from vxml_server.queues.centre import ContactCentre, NoSuchAgent, NoSuchQueue, QueueIsFull
from vxml_server.queues.definitions import Kind
from vxml_server.queues.estimate import FIRST_HANDLING_TIME
from vxml_server.queues.ledger import IsDeclared
from vxml_server.queues.profiles import LONGEST_TIME, Box, Group
from vxml_server.queues.replica import BEAT, DEAD_AFTER
from vxml_server.queues.rows import Exit, Presence
from vxml_server.queues.telephony import Happening
from vxml_server.store import queue_tables

pytestmark = BOTH

AGENTS = [agent("ann", max_no_answer=2), agent("bob")]
QUEUES = [queue("sales", ["ann", "bob"], strategy="top_down"), queue("all", ["ann", "bob"])]

H = Happening


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(VirtualClock(), tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def centre(world: World) -> ContactCentre:
    made = await world.worker()
    await made.declare([*AGENTS, *QUEUES])
    await made.present("ann", Presence.AVAILABLE)
    return made


async def test_a_caller_is_offered_answered_bridged_and_served(
    world: World, centre: ContactCentre
) -> None:
    caller = FakeCaller(world.clock)
    entry = await centre.enter(caller, "sales", "call1")
    await world.settle()
    assert state(centre, "ann") == "reserved"
    caller.telephone("ann").happen(H.RINGING)
    await world.settle()
    assert state(centre, "ann") == "ringing"
    assert centre.standing(entry) is not None, "he has his place until the bridge"
    caller.telephone("ann").happen(H.ANSWERED)
    await world.settle()
    assert (state(centre, "ann"), caller.with_agent) == ("talking", "ann")
    assert centre.standing(entry) is None
    caller.telephone("ann").hang_up_there()
    await world.settle()
    assert caller.heard == ["served by ann", "parted from ann"]
    assert state(centre, "ann") == "wrapping_up"
    await world.settle(9.0)
    assert state(centre, "ann") == "wrapping_up"
    await world.settle(1.5)
    assert state(centre, "ann") == "available"
    assert not centre.board.entries and not centre.board.offers


async def test_a_wrap_up_may_be_ended_before_its_time(world: World, centre: ContactCentre) -> None:
    caller = FakeCaller(world.clock)
    await centre.enter(caller, "sales", "call1")
    await world.settle()
    caller.telephone("ann").happen(H.ANSWERED, H.RINGING)
    await world.settle()
    caller.telephone("ann").hang_up_there()
    await world.settle()
    assert await centre.release("ann")
    assert state(centre, "ann") == "available"
    assert not await centre.release("ann")


async def test_who_does_not_answer_is_hung_up_on_and_the_next_one_is_asked(
    world: World, centre: ContactCentre
) -> None:
    await centre.present("bob", Presence.AVAILABLE)
    caller = FakeCaller(world.clock)
    entry = await centre.enter(caller, "sales", "call1")
    await world.settle()
    ann = caller.telephone("ann")
    ann.happen(H.RINGING)
    await world.settle(19.0)
    assert not ann.is_hung_up
    await world.settle(1.5)
    assert ann.is_hung_up
    assert state(centre, "bob") == "reserved"
    standing = centre.standing(entry)
    assert standing is not None and (standing.position, standing.elapsed) == (1, 20.5)


@pytest.mark.parametrize("refusal", [H.BUSY, H.REFUSED, H.NO_ANSWER, H.FAILED, H.HUNG_UP])
async def test_a_telephone_that_refuses_leaves_the_caller_in_his_place(
    world: World, centre: ContactCentre, refusal: H
) -> None:
    caller = FakeCaller(world.clock)
    entry = await centre.enter(caller, "sales", "call1")
    await world.settle()
    caller.telephone("ann").happen(refusal)
    await world.settle()
    assert state(centre, "ann") == "available"
    assert centre.standing(entry) is not None
    assert len(caller.telephones["ann"]) == 1, "not at once again"
    await world.settle(31.0)
    assert len(caller.telephones["ann"]) == 2


async def test_a_telephone_that_cannot_be_dialled_is_a_failure_and_nothing_hangs(
    world: World, centre: ContactCentre
) -> None:
    caller = FakeCaller(world.clock)
    caller.unreachable.add("ann")
    await centre.enter(caller, "sales", "call1")
    await world.settle()
    assert state(centre, "ann") == "available"
    assert "offer.closed" in await world.facts()


async def test_an_agent_who_drops_in_the_gap_gives_the_caller_back(
    world: World, centre: ContactCentre
) -> None:
    caller = FakeCaller(world.clock)
    entry = await centre.enter(caller, "sales", "call1")
    await world.settle()
    caller.telephone("ann").happen(H.ANSWERED, H.HUNG_UP)
    await world.settle()
    assert caller.with_agent is None
    assert caller.heard == []
    assert centre.standing(entry) is not None
    assert "offer.bridged" not in await world.facts()


async def test_a_caller_who_goes_while_it_rings_frees_the_agent_at_once(
    world: World, centre: ContactCentre
) -> None:
    caller = FakeCaller(world.clock)
    entry = await centre.enter(caller, "sales", "call1")
    await world.settle()
    ann = caller.telephone("ann")
    ann.happen(H.RINGING)
    await world.settle()
    await centre.leave(entry, Exit.ABANDONED)
    assert ann.is_hung_up
    assert state(centre, "ann") == "available"
    assert not centre.board.entries
    assert (await world.facts())[-1] == "queue.left"


async def test_a_caller_who_hangs_up_in_a_conversation_leaves_served(
    world: World, centre: ContactCentre
) -> None:
    caller = FakeCaller(world.clock)
    entry = await centre.enter(caller, "sales", "call1")
    await world.settle()
    caller.telephone("ann").happen(H.ANSWERED)
    await world.settle()
    await centre.leave(entry, Exit.ABANDONED)
    assert caller.telephone("ann").is_hung_up
    assert state(centre, "ann") == "wrapping_up"


async def test_of_all_who_ring_the_first_who_answers_has_him_and_the_others_stop(
    world: World, centre: ContactCentre
) -> None:
    await centre.declare([*AGENTS, queue("all", ["ann", "bob"], strategy="ring_all")])
    await centre.present("bob", Presence.AVAILABLE)
    caller = FakeCaller(world.clock)
    await centre.enter(caller, "all", "call1")
    await world.settle()
    caller.telephone("bob").happen(H.ANSWERED)
    caller.telephone("ann").happen(H.ANSWERED)
    await world.settle()
    assert caller.with_agent is not None
    talking = {name for name in ("ann", "bob") if state(centre, name) == "talking"}
    assert talking == {caller.with_agent}
    (other,) = {"ann", "bob"} - talking
    assert state(centre, other) == "available"
    assert caller.telephone(other).is_hung_up


async def test_callers_are_served_in_their_order_as_agents_become_free(
    world: World, centre: ContactCentre
) -> None:
    callers = [FakeCaller(world.clock) for _ in range(3)]
    for number, caller in enumerate(callers):
        await centre.enter(caller, "sales", f"call{number}")
        await world.clock.elapse(1.0)
    for caller in callers:
        await world.settle(11.0)
        caller.telephone("ann").happen(H.ANSWERED)
        await world.settle()
        caller.telephone("ann").hang_up_there()
    await world.settle()
    assert [caller.heard for caller in callers] == [["served by ann", "parted from ann"]] * 3


async def test_whoever_overtakes_him_a_caller_is_told_no_more_while_nothing_happens(
    world: World, centre: ContactCentre
) -> None:
    await centre.declare(
        [agent("ann"), queue("slow", ["ann"]), queue("fast", ["ann"], weight=10.0, max_wait=60.0)]
    )
    await centre.enter(FakeCaller(world.clock), "slow", "rings")
    await world.settle()
    first = await centre.enter(FakeCaller(world.clock), "slow", "call1")
    await world.settle(10.0)
    await centre.enter(FakeCaller(world.clock), "fast", "call2")
    told = []
    for _ in range(4):
        standing = centre.standing(first)
        assert standing is not None and standing.estimated_wait is not None
        told.append(standing.estimated_wait)
        await world.settle(2.0)
    assert told == [FIRST_HANDLING_TIME] * 4
    await centre.prioritise(first, 0.5)
    standing = centre.standing(first)
    assert standing is not None and standing.estimated_wait == 2 * FIRST_HANDLING_TIME


async def test_what_cannot_be_is_refused(world: World, centre: ContactCentre) -> None:
    caller = FakeCaller(world.clock)
    with pytest.raises(NoSuchQueue):
        await centre.enter(caller, "nowhere", "call1")
    with pytest.raises(NoSuchAgent):
        await centre.present("nobody", Presence.AVAILABLE)
    await centre.declare([*AGENTS, queue("small", ["bob"], max_waiting=1)])
    first = await centre.enter(caller, "small", "call1")
    with pytest.raises(QueueIsFull):
        await centre.enter(FakeCaller(world.clock), "small", "call2")
    await centre.leave(first, Exit.TIMED_OUT)
    await centre.enter(FakeCaller(world.clock), "small", "call2")


async def test_what_the_settings_do_not_say_any_more_is_gone(centre: ContactCentre) -> None:
    await centre.define(agent("dan"))
    await centre.declare([AGENTS[0], QUEUES[0]])
    assert set(centre.board.agents) == {"ann", "dan"}
    assert set(centre.board.rosters) == {"sales"}
    assert centre.is_declared("agent", "ann")
    assert not centre.is_declared("agent", "dan")


@pytest.mark.parametrize(
    ("name", "more"), [("a" * 64, {}), ("dan", {"wrap_up_time": 1e12}), ("dan", {"what": 1})]
)
async def test_a_definition_from_before_that_is_one_no_more_stops_nobody(
    world: World, centre: ContactCentre, name: str, more: dict[str, object]
) -> None:
    store = world._stores[0]
    async with store.transaction() as connection:
        body = {"name": name, "line": "a", **more}
        row = {"kind": "agent", "name": name, "body": body, "declared": False}
        await connection.execute(queue_tables.definitions.insert(), row)
        row = {"name": name, "presence": "available", "day": "", "reason": "", "busy": {}}
        row |= dict.fromkeys(("since", "idle_since", "not_before", "talk_time"), 0.0)
        row |= dict.fromkeys(("missed", "calls", "generation"), 1)
        await connection.execute(queue_tables.agents.insert(), row)
    other = await world.worker("other")
    assert set(other.board.agents) == {"ann", "bob"}
    await other.enter(FakeCaller(world.clock), "sales", "call")
    await world.settle()
    assert state(other, "ann") == "reserved"
    if name == "dan":
        assert not await other.define(agent("dan"))
    else:
        assert await other.undefine("agent", name)


async def test_who_wraps_up_for_ever_since_before_does_so_for_a_year_at_most(
    world: World, centre: ContactCentre
) -> None:
    caller = FakeCaller(world.clock)
    await centre.enter(caller, "sales", "call")
    await world.settle()
    caller.telephone("ann").happen(H.ANSWERED)
    await world.settle()
    caller.telephone("ann").hang_up_there()
    await world.settle()
    async with world._stores[0].transaction() as connection:
        await connection.execute(queue_tables.offers.update().values(release_at=1e12))
        await connection.execute(queue_tables.agents.update().values(not_before=1e12, delay=1e12))
    other = await world.worker("other")
    (offer,) = other.board.offers.values()
    ends = other.now() + LONGEST_TIME
    assert offer.release_at == pytest.approx(ends, abs=1.0)
    assert other.board.row("ann").not_before == pytest.approx(ends, abs=1.0)


async def test_who_is_defined_anew_under_an_old_name_has_no_old_pin(centre: ContactCentre) -> None:
    await centre.define(agent("dan"))
    for name in ("ann", "bob", "dan"):
        await centre.set_pin(name, "4711")
    await centre.undefine("agent", "dan")
    await centre.define(agent("dan"))
    # Bob leaves the file, and another one comes.
    for definitions in (AGENTS[:1], AGENTS):
        await centre.declare([*definitions, *QUEUES])
    known = [name for name in ("ann", "bob", "dan") if await centre.check_pin(name, "4711")]
    assert known == ["ann"]


# Several workers ---------------------------------------------------------------------------------


async def test_an_agent_who_signs_in_at_one_worker_takes_the_caller_of_another(
    world: World, centre: ContactCentre
) -> None:
    other = await world.worker("other")
    caller = FakeCaller(world.clock)
    await other.enter(caller, "sales", "call1")
    await world.settle(0.5)
    assert state(centre, "ann") == "reserved"
    caller.telephone("ann").happen(H.ANSWERED)
    await world.settle(0.5)
    assert state(centre, "ann") == state(other, "ann") == "talking"


@pytest.mark.parametrize(
    ("kind", "definition"), [("group", Group("night", ("ann",))), ("box", Box("night"))]
)
async def test_what_is_defined_at_one_worker_is_known_to_the_other(
    world: World, centre: ContactCentre, kind: Kind, definition: Group | Box
) -> None:
    other = await world.worker("other")
    known = {"group": lambda: other.board.groups, "box": lambda: other.board.boxes}[kind]
    await centre.define(definition)
    await world.settle(1.0)
    assert known()["night"] == definition
    await centre.undefine(kind, "night")
    await world.settle(1.0)
    assert "night" not in known()


async def test_what_is_stored_counts_and_not_what_a_worker_knows_of_it(
    world: World, centre: ContactCentre
) -> None:
    """The other may or may not have heard of what has just been done here."""
    other = await world.worker("other")
    dan, night = agent("dan"), Group("night", ("ann",))
    await centre.define(night)
    await world.settle()
    await centre.undefine("group", "night")
    assert await other.define(night)
    await centre.define(dan)
    assert not await other.define(dan)
    await centre.define(agent("eve"))
    await centre.present("eve", Presence.AVAILABLE)
    assert await other.undefine("agent", "eve")
    await world.settle()
    assert centre.board.groups["night"] == night
    assert centre.board.row("eve").presence is Presence.SIGNED_OUT
    with pytest.raises(IsDeclared):
        await other.undefine("agent", "ann")
    assert state(centre, "ann") == "available"


async def test_all_workers_have_learned_the_same_whenever_they_began(
    world: World, centre: ContactCentre
) -> None:
    other = await world.worker("other")
    await centre.present("bob", Presence.AVAILABLE)
    for number in range(6):
        one = (centre, other)[number % 2]
        callers = [FakeCaller(world.clock), FakeCaller(world.clock)]
        for caller in callers:
            await one.enter(caller, "sales", f"call{number}")
        await world.settle()
        # Each at a worker of its own at the same moment, and one gives up.
        for caller, name in zip(callers, ("ann", "bob"), strict=True):
            caller.telephone(name).happen(H.ANSWERED)
        waits = await one.enter(FakeCaller(world.clock), "sales", "waits")
        await world.settle(3.0 + 1.7 * number)
        await one.leave(waits, Exit.ABANDONED)
        for caller, name in zip(callers, ("ann", "bob"), strict=True):
            caller.telephone(name).hang_up_there()
        await world.settle(11.0)
    last = await world.worker("last")
    learned = [one._replica.experience("sales") for one in (centre, other, last)]
    assert {one.handling_time for one in learned} == {learned[0].handling_time}
    assert learned[0].handling_time == pytest.approx(10.0 + 3.0 + 1.7 * 2.5, abs=0.5)
    assert {one.abandonment_rate for one in learned} == {learned[0].abandonment_rate}
    assert learned[0].abandonment_rate > 0.0


async def test_a_queue_that_is_removed_teaches_the_next_of_its_name_nothing(
    world: World, centre: ContactCentre
) -> None:
    await centre.define(queue("short", ["bob"]))
    for _ in range(2):
        gone = await centre.enter(FakeCaller(world.clock), "short", "call")
        await world.settle(5.0)
        await centre.leave(gone, Exit.ABANDONED)
    await world.settle()
    assert centre._replica.experience("short").abandonment_rate == pytest.approx(0.2)
    await centre.undefine("queue", "short")
    await centre.define(queue("short", ["ann"]))
    await world.settle()
    last = await world.worker("last")
    for one in (centre, last):
        assert one._replica.experience("short").abandonment_rate == 0.0


async def test_two_workers_never_offer_to_one_agent_twice(
    world: World, centre: ContactCentre
) -> None:
    await centre.declare([*AGENTS, queue("sales", ["ann"], wrap_up_time=0.0)])
    other = await world.worker("other")
    callers = [FakeCaller(world.clock) for _ in range(4)]
    for number, caller in enumerate(callers):
        await (centre, other)[number % 2].enter(caller, "sales", f"call{number}")
    for _ in callers:
        await world.settle(0.5)
        rung = [caller for caller in callers if "ann" in caller.telephones and not caller.heard]
        assert len(rung) == 1
        rung[0].telephone("ann").happen(H.ANSWERED)
        await world.settle()
        rung[0].telephone("ann").hang_up_there()
    assert all(len(caller.telephones["ann"]) == 1 for caller in callers)


async def killed(world: World, centre: ContactCentre) -> None:
    """The process is gone, in the middle of whatever it did."""
    world.centres.remove(centre)
    for task in (*centre._tasks, *centre._replica._tasks):
        assert task is not None
        task.cancel()
    for offering in centre.offers._offerings.values():
        assert offering._task is not None
        offering._task.cancel()


@pytest.mark.parametrize("happened", [(), (H.RINGING,), (H.ANSWERED,)])
async def test_a_worker_that_is_killed_is_put_right_within_ten_seconds(
    world: World, centre: ContactCentre, happened: tuple[H, ...]
) -> None:
    other = await world.worker("other")
    await centre.present("bob", Presence.ON_BREAK)
    caller, waiting = FakeCaller(world.clock), FakeCaller(world.clock)
    await other.enter(caller, "sales", "call1")
    await world.settle()
    await other.enter(waiting, "sales", "call2")
    caller.telephone("ann").happen(*happened)
    await world.settle(1.0)
    await killed(world, other)
    await world.settle(10.0)
    assert not centre.board.entries
    wrapping = ["wrapping_up"] if H.ANSWERED in happened else []
    assert state(centre, "ann") in [*wrapping, "available"]
    await world.settle(15.0)
    assert state(centre, "ann") == "available"
    mine = FakeCaller(world.clock)
    await centre.enter(mine, "sales", "call3")
    await world.settle()
    assert "ann" in mine.telephones


async def test_a_worker_that_stood_still_has_its_callers_begin_again(
    world: World, centre: ContactCentre
) -> None:
    other = await world.worker("other")
    caller = FakeCaller(world.clock)
    await centre.present("ann", Presence.ON_BREAK)
    await other.enter(caller, "sales", "call1")
    await world.settle()
    ledger = centre._replica.ledger
    await ledger.bury(other.worker)
    await centre._replica._put_right(await ledger.abandoned())
    await world.settle(BEAT * 2)
    assert caller.heard == ["lost"]
    assert DEAD_AFTER + 2 * BEAT <= 10.0
