"""Expected waits, against the model's formula and against a simulated contact centre."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.queues.contact_centre import ContactCentre, agent, queue
from vxml_server.queues.estimate import (
    FIRST_HANDLING_TIME,
    Experience,
    Told,
    expected_wait,
    standing,
)
from vxml_server.queues.rows import Presence
from vxml_server.queues.transitions import OfferEvent as E

HANDLING = 120.0
PATIENCE = 400.0
PROBES = 0.25  # the share of callers who never give up, and are measured
ALIKE = 30.0  # seconds in which what two callers are told may differ


def test_the_next_in_line_waits_for_the_first_agent_who_is_done() -> None:
    assert expected_wait(0, 4, 120) == 30
    assert expected_wait(3, 4, 120) == 120
    assert expected_wait(2, 0, 120) == inf


def test_those_who_give_up_ahead_shorten_the_wait() -> None:
    assert expected_wait(2, 1, 100, 0.01) == pytest.approx(100 + 50 + 100 / 3)


@given(
    st.floats(0, 50),
    st.floats(0.5, 50),
    st.floats(1, 1000),
    st.floats(0, 0.1),
    st.floats(0, 5),
)
def test_more_ahead_is_longer_and_more_agents_shorter(
    ahead: float, agents: float, handling: float, rate: float, more: float
) -> None:
    seconds = expected_wait(ahead, agents, handling, rate)
    assert expected_wait(ahead + more, agents, handling, rate) >= seconds * (1 - 1e-9)
    assert expected_wait(ahead, agents + more, handling, rate) <= seconds * (1 + 1e-9)


def estimate(centre: ContactCentre, experience: Experience, entry: str) -> float:
    board = centre.board
    waiting = {name: board.waiting([name]) for name in board.rosters}
    (caller,) = (one for some in waiting.values() for one in some if one.entry.id == entry)
    found = standing(caller, waiting, board.agents, board.rosters, centre.now)
    rate = experience.abandonment_rate
    return expected_wait(found.ahead, found.calls, experience.handling_time, rate)


def test_it_does_not_grow_while_nothing_happens() -> None:
    centre = ContactCentre([agent("ann")], [queue("q", ["ann"])])
    centre.sign_in("ann")
    for _ in range(3):
        centre.call("q")
        centre.make_offers()
    found = []
    for _ in range(10):
        found.append(estimate(centre, Experience(), "e3"))
        centre.now += 30
    assert set(found) == {2 * FIRST_HANDLING_TIME}


def test_callers_of_other_queues_count_by_the_agents_that_are_shared() -> None:
    centre = ContactCentre(
        [agent("ann"), agent("bob")], [queue("p", ["ann", "bob"]), queue("q", ["ann"])]
    )
    centre.sign_in("ann", "bob")
    for _ in range(2):
        centre.call("p")
        centre.make_offers()
    centre.call("p")
    centre.call("p")
    mine = centre.call("q")
    assert estimate(centre, Experience(), mine) == 2 * FIRST_HANDLING_TIME


def test_agents_who_are_away_do_not_count() -> None:
    centre = ContactCentre([agent("ann"), agent("bob")], [queue("q", ["ann", "bob"])])
    centre.sign_in("ann", "bob")
    for _ in range(2):
        centre.call("q")
        centre.make_offers()
    mine = centre.call("q")
    assert estimate(centre, Experience(), mine) == FIRST_HANDLING_TIME / 2
    centre.present("bob", Presence.ON_BREAK, "lunch")
    assert estimate(centre, Experience(), mine) == FIRST_HANDLING_TIME


def test_who_can_have_several_calls_at_a_time_counts_as_many() -> None:
    made = [agent("ann", capacity={"voice": 3}), agent("bob"), agent("cyd", capacity={"chat": 8})]
    centre = ContactCentre(
        made, [queue("q", ["ann", "bob", "cyd"]), queue("p", ["ann"]), queue("o", ["bob"])]
    )
    centre.sign_in("ann", "bob", "cyd")
    for _ in range(4):
        centre.call("q")
        centre.make_offers()
    mine = centre.call("q")
    assert estimate(centre, Experience(), mine) == FIRST_HANDLING_TIME / 4
    others = [centre.call("p"), centre.call("o")]
    found = [estimate(centre, Experience(), one) for one in others]
    assert found == pytest.approx(
        [(1 + 3 / 4) * FIRST_HANDLING_TIME / 3, (1 + 1 / 4) * FIRST_HANDLING_TIME]
    )


def test_nobody_is_told_more_than_before_while_nothing_happens() -> None:
    told = Told()
    assert [told.at_most("a", seconds, 1) for seconds in (180.0, inf, 60.0, 120.0)] == [
        *(180.0, 180.0, 60.0, 60.0)
    ]
    assert told.at_most("b", 90.0, 1) == 90.0
    assert told.at_most("a", 120.0, 2) == 120.0
    assert told.at_most("a", inf, 3) == inf


def simulate(load: float, agents: int, callers: int, seed: int) -> Iterator[tuple[float, float]]:
    """(expected, real) seconds of callers who never give up, among others who do.

    Real agents, queue and matching; arrivals, handling times and patience are exponential.
    """
    chance = random.Random(seed)
    names = [f"a{number}" for number in range(agents)]
    centre = ContactCentre([agent(name, wrap_up_time=0.0) for name in names], [queue("q", names)])
    centre.sign_in(*names)
    experience = Experience()
    order = itertools.count()
    agenda: list[tuple[float, int, str, str]] = []
    expected: dict[str, float] = {}
    entered: dict[str, float] = {}
    seen = 0

    def plan(after: float, what: str, whom: str) -> None:
        heapq.heappush(agenda, (centre.now + after, next(order), what, whom))

    plan(0.0, "arrival", "")
    came = 0
    while agenda:
        centre.now, _, what, whom = heapq.heappop(agenda)
        if what == "arrival":
            came += 1
            entry = centre.call("q")
            if came < callers:
                plan(chance.expovariate(load * agents / HANDLING), "arrival", "")
            if chance.random() < PROBES:
                entered[entry] = centre.now
            else:
                plan(chance.expovariate(1 / PATIENCE), "patience", entry)
        elif what == "done":
            centre.happen(centre.board.offers[whom], E.HANG_UP, E.WRAPPED_UP)
        elif any(one.entry.id == whom for one in centre.board.waiting(["q"])):
            centre.leave(whom)
        for entry, (name,) in centre.make_offers().items():
            offer = centre.offer(name)
            centre.happen(offer, E.ANSWER, E.BRIDGE)
            plan(chance.expovariate(1 / HANDLING), "done", offer.id)
            if entry in expected:
                yield expected[entry], centre.now - entered[entry]
        for fact in centre.facts[seen:]:
            experience.observe(fact)
        seen = len(centre.facts)
        still = {one.entry.id for one in centre.board.waiting(["q"])}
        if what == "arrival" and came > callers // 10 and entry in entered.keys() & still:
            expected[entry] = estimate(centre, experience, entry)


@pytest.mark.parametrize("load", [0.5, 0.8, 1.0, 1.1])
def test_expected_waits_agree_with_a_simulation(load: float) -> None:
    """For callers who were told alike, what they really waited is on the mean within a quarter.

    (What one caller waits is a matter of chance: the next in line of one agent has an exponential
    wait, of which nobody knows more than the mean.)
    """
    told: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for seed in range(3):
        for expected, real in simulate(load, agents=5, callers=1000, seed=seed):
            told[int(expected // ALIKE)].append((expected, real))
    waits = [pair for pairs in told.values() for pair in pairs]
    mean = sum(real for _, real in waits) / len(waits)
    error = sum(
        abs(sum(expected - real for expected, real in pairs)) for pairs in told.values()
    ) / len(waits)
    assert len(waits) > 50
    assert error / mean < 0.25
