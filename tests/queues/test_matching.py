"""Who is offered to whom: strategies, tiers, groups, skills, order, and what holds of all of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.queues.contact_centre import ONE_BY_ONE, ContactCentre, agent, queue
from vxml_server.queues.matching import (
    Candidate,
    Waiting,
    could_take,
    in_order,
    match,
    next_change,
)
from vxml_server.queues.profiles import (
    Agent,
    Group,
    Member,
    Queue,
    Relaxation,
    Roster,
    Strategy,
    TierRules,
    roster,
)
from vxml_server.queues.rows import AgentRow, Entry, Presence
from vxml_server.queues.transitions import OfferEvent as E

NAMES = ("ann", "bob", "cyd")
DAY = 86_400.0


def centre_of(strategy: Strategy, **values: object) -> ContactCentre:
    made = ContactCentre(map(agent, NAMES), [queue("q", NAMES, strategy=strategy, **values)])
    for name in NAMES:
        made.sign_in(name)
        made.now += 1
    return made


def served(centre: ContactCentre, seconds: float = 10.0) -> str:
    """One caller is served; by whom."""
    centre.call("q")
    ((name,),) = centre.make_offers().values()
    centre.converse(name, seconds)
    return name


# Strategies --------------------------------------------------------------------------------------


def test_longest_idle_asks_who_has_been_free_for_longest() -> None:
    centre = centre_of(Strategy.LONGEST_IDLE)
    assert [served(centre) for _ in range(4)] == ["ann", "bob", "cyd", "ann"]


def test_round_robin_goes_on_behind_who_was_asked_last_even_if_he_did_not_answer() -> None:
    centre = centre_of(Strategy.ROUND_ROBIN)
    assert served(centre) == "ann"
    centre.call("q")
    centre.make_offers()
    centre.happen(centre.offer("bob"), E.RING, E.NO_ANSWER)
    ((name,),) = centre.make_offers().values()
    assert name == "cyd"
    centre.converse("cyd", 5)
    assert served(centre) == "ann"


def test_fewest_calls_counts_the_day_and_not_the_time_since_signing_in() -> None:
    centre = centre_of(Strategy.FEWEST_CALLS)
    assert sorted(served(centre) for _ in range(3)) == list(NAMES)
    centre.present("bob", Presence.SIGNED_OUT)
    served(centre)
    centre.present("bob", Presence.AVAILABLE)
    calls = {name: centre.board.row(name).calls for name in NAMES}
    assert calls == {"ann": 2, "bob": 1, "cyd": 1}
    assert served(centre) == "cyd", "of equals who has been idle longer: bob has just come"


def test_least_talk_time_asks_who_has_talked_least() -> None:
    centre = centre_of(Strategy.LEAST_TALK_TIME)
    assert served(centre, 100) == "ann"
    assert served(centre, 5) == "bob"
    assert served(centre, 50) == "cyd"
    assert served(centre, 60) == "bob"
    assert served(centre, 1) == "cyd"


@pytest.mark.parametrize("strategy", [Strategy.FEWEST_CALLS, Strategy.LEAST_TALK_TIME])
def test_what_an_agent_did_yesterday_does_not_count_today(strategy: Strategy) -> None:
    centre = centre_of(strategy)
    for name in ("ann", "bob"):
        centre.present(name, Presence.SIGNED_OUT)
    assert [served(centre, 100) for _ in range(3)] == ["cyd", "cyd", "cyd"]
    centre.now += DAY
    centre.sign_in("ann", "bob")
    assert [served(centre) for _ in range(3)] == ["cyd", "ann", "bob"], "none has had any today"


def test_the_day_begins_where_the_contact_centre_is() -> None:
    rows = (
        AgentRow("ann", Presence.AVAILABLE, day="1970-01-02", calls=9),
        AgentRow("bob", Presence.AVAILABLE, day="1970-01-03", calls=1),
    )
    agents = {row.name: Candidate(agent(row.name), row) for row in rows}
    rosters = {"q": roster(queue("q", ("ann", "bob"), strategy=Strategy.FEWEST_CALLS), {})}
    evening = 2 * DAY - 1800.0
    caller = Waiting(Entry("e", "q", "call", "main", evening))
    for zone, name in ((ZoneInfo("Europe/Paris"), "ann"), (UTC, "bob")):
        (found,) = match(agents, [caller], rosters, evening, {}, zone=zone)
        assert found.agent == name


def test_top_down_asks_in_member_order_whoever_is_free() -> None:
    centre = centre_of(Strategy.TOP_DOWN)
    assert served(centre) == served(centre) == "ann"
    centre.call("q")
    centre.make_offers()
    centre.call("q")
    assert centre.make_offers() == {"e4": ["bob"]}


def test_ring_all_offers_a_caller_to_everybody_and_only_to_who_is_free() -> None:
    centre = centre_of(Strategy.RING_ALL)
    centre.call("q")
    assert centre.make_offers() == {"e1": ["ann", "bob", "cyd"]}
    centre.call("q")
    assert centre.make_offers() == {}
    centre.happen(centre.offer("bob"), E.RING, E.REFUSE)
    centre.now += 30
    assert centre.make_offers() == {"e1": ["bob"]}, "who is first is rung by all who are free"


def test_ring_progressively_adds_an_agent_with_each_interval() -> None:
    centre = centre_of(Strategy.RING_PROGRESSIVELY, progress_interval=5.0)
    centre.call("q")
    assert centre.make_offers() == {"e1": ["ann"]}
    assert centre.board.next_wake() == centre.now + 5
    centre.now += 4.9
    assert centre.make_offers() == {}
    centre.now += 0.1
    assert centre.make_offers() == {"e1": ["bob"]}
    centre.now += 5
    assert centre.make_offers() == {"e1": ["cyd"]}


def test_random_is_even_and_weighted_random_goes_by_the_weights() -> None:
    agents = {name: Candidate(agent(name), AgentRow(name, Presence.AVAILABLE)) for name in NAMES}
    members = tuple(
        Member(agent=name, weight=weight) for name, weight in zip(NAMES, (1, 2, 5), strict=True)
    )
    shares = {}
    for strategy in (Strategy.RANDOM, Strategy.WEIGHTED_RANDOM):
        rosters = {"q": roster(Queue("q", members, strategy=strategy), {})}
        found = Counter(
            match(
                agents,
                [Waiting(Entry("e", "q", "c", "main", 0.0, draw=number / 4000))],
                rosters,
                0.0,
                {},
            )[0].agent
            for number in range(4000)
        )
        shares[strategy] = [found[name] / 4000 for name in NAMES]
    assert shares[Strategy.RANDOM] == pytest.approx([1 / 3] * 3, abs=0.03)
    assert shares[Strategy.WEIGHTED_RANDOM] == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.03)


def test_best_skilled_asks_for_the_highest_levels_in_what_is_needed() -> None:
    agents = [
        agent("ann", skills={"loans": 60, "cards": 90}),
        agent("bob", skills={"loans": 80}),
        agent("cyd", skills={"loans": 70, "cards": 30}),
    ]
    centre = ContactCentre(agents, [queue("q", NAMES, strategy=Strategy.BEST_SKILLED)])
    centre.sign_in(*NAMES)
    centre.call("q", skills={"loans": 50})
    centre.call("q", skills={"loans": 50, "cards": 20})
    assert centre.make_offers() == {"e1": ["bob"], "e2": ["ann"]}


# Tiers, groups, requirements ---------------------------------------------------------------------


def test_a_lower_tier_is_asked_first_whatever_the_strategy() -> None:
    members = (Member(agent="ann", tier=2), Member(agent="bob", tier=1))
    for strategy in ONE_BY_ONE:
        centre = ContactCentre(
            [agent("ann", skills={"x": 100}), agent("bob")],
            [queue("q", members=members, strategy=strategy)],
        )
        centre.sign_in("ann")
        centre.now += 100
        centre.sign_in("bob")
        centre.call("q")
        assert centre.make_offers() == {"e1": ["bob"]}, strategy


def test_tier_rules_open_later_tiers_one_by_one() -> None:
    members = tuple(Member(agent=name, tier=tier) for tier, name in enumerate(NAMES, start=1))
    rules = TierRules(wait=15.0)
    centre = ContactCentre(map(agent, NAMES), [queue("q", members=members, tier_rules=rules)])
    centre.sign_in("ann", "bob", "cyd")
    for _ in NAMES:
        centre.call("q")
        centre.make_offers()
    assert [offer.agent for offer in centre.board.offers.values()] == ["ann"]
    assert centre.board.next_wake() == centre.now + 15
    centre.now += 15
    assert centre.make_offers() == {"e2": ["bob"]}
    centre.now += 15
    assert centre.make_offers() == {"e3": ["cyd"]}


def test_a_tier_where_nobody_is_signed_in_is_not_waited_for() -> None:
    members = (Member(agent="ann", tier=1), Member(agent="bob", tier=2))
    for skip, expected in ((True, {"e1": ["bob"]}), (False, {})):
        rules = TierRules(wait=15.0, skip_absent=skip)
        centre = ContactCentre(map(agent, NAMES), [queue("q", members=members, tier_rules=rules)])
        centre.sign_in("bob")
        centre.call("q")
        assert centre.make_offers() == expected


def test_groups_join_after_their_times_and_those_before_stay() -> None:
    groups = [Group("first", ("ann",)), Group("second", ("bob",)), Group("third", ("cyd",))]
    members = tuple(
        Member(group=name, after=after)
        for name, after in (("first", 0.0), ("second", 30.0), ("third", 90.0))
    )
    centre = ContactCentre(map(agent, NAMES), [queue("q", members=members)], groups)
    centre.sign_in("cyd")
    centre.now += 1
    centre.sign_in("bob")
    centre.call("q")
    assert centre.make_offers() == {}
    centre.now += 30
    assert centre.make_offers() == {"e1": ["bob"]}
    centre.happen(centre.offer("bob"), E.RING, E.REFUSE)
    centre.now += 60
    assert centre.make_offers() == {"e1": ["cyd"]}, "cyd has been idle for longer than bob"
    centre.sign_in("ann")
    centre.call("q")
    assert centre.make_offers() == {"e2": ["ann"]}


def test_requirements_relax_with_time_until_there_are_none() -> None:
    steps = (Relaxation(30, 20), Relaxation(90, 50), Relaxation(600, 100))
    agents = [agent("ann", skills={"loans": 30}), agent("bob", skills={"loans": 60}), agent("cyd")]
    found = []
    for waited in (0, 29, 30, 90, 600):
        centre = ContactCentre(
            agents, [queue("q", NAMES, relaxations=steps, strategy=Strategy.RING_ALL)]
        )
        centre.sign_in(*NAMES)
        centre.call("q", skills={"loans": 75}, entered_at=centre.now - waited)
        found.append(centre.make_offers().get("e1", []))
    assert found == [[], [], ["bob"], ["ann", "bob"], ["ann", "bob", "cyd"]]


def test_a_language_is_served_by_who_speaks_it_whatever_the_region() -> None:
    agents = [
        agent("ann", languages=frozenset({"en-GB"})),
        agent("bob", languages=frozenset({"fr"})),
        agent("cyd"),
    ]
    centre = ContactCentre(agents, [queue("q", NAMES, strategy=Strategy.RING_ALL)])
    centre.sign_in(*NAMES)
    centre.call("q", language="fr-CA")
    assert centre.make_offers() == {"e1": ["bob", "cyd"]}


# The order of callers ----------------------------------------------------------------------------


def test_who_waits_longer_comes_first_and_nobody_is_held_up_by_one_who_cannot_be_served() -> None:
    centre = centre_of(Strategy.TOP_DOWN)
    centre.call("q", skills={"loans": 10})
    centre.now += 1
    centre.call("q")
    centre.now += 1
    centre.call("q")
    assert centre.make_offers() == {"e2": ["ann"], "e3": ["bob"]}


def test_priority_goes_before_waiting_until_waiting_has_caught_up() -> None:
    centre = ContactCentre([agent("ann")], [queue("q", ["ann"], ageing=60.0)])
    centre.call("q")
    centre.now += 100
    centre.call("q", priority=1)
    centre.sign_in("ann")
    assert centre.look()[0].entry == "e1", "100 s are more than one point"
    centre.now += 1
    centre.call("q", priority=2)
    centre.board.touch(["q"])
    assert centre.look()[0].entry == "e3"
    centre.now += 10_000
    centre.call("q", priority=100)
    centre.call("q", priority=200)
    centre.board.touch(["q"])
    assert centre.look()[0].entry == "e5"


def test_a_queue_of_more_weight_and_priority_is_served_first_by_who_takes_both() -> None:
    queues = [queue("low", ["ann"]), queue("high", ["ann"], priority=3.0, weight=2.0)]
    centre = ContactCentre([agent("ann")], queues)
    centre.call("low")
    centre.now += 60
    centre.call("high")
    centre.sign_in("ann")
    assert centre.look()[0].queue == "high"


def test_an_agent_takes_as_many_calls_as_his_capacity_says() -> None:
    centre = ContactCentre([agent("ann", capacity={"voice": 2})], [queue("q", ["ann"])])
    centre.sign_in("ann")
    for _ in range(3):
        centre.call("q")
    assert centre.make_offers() == {"e1": ["ann"], "e2": ["ann"]}
    first = centre.board.offers_of_entry("e1")[0]
    centre.happen(first, E.RING, E.ANSWER, E.BRIDGE, E.HANG_UP)
    assert centre.make_offers() == {}, "wrapping up counts"
    centre.happen(first, E.WRAPPED_UP)
    assert centre.make_offers() == {"e3": ["ann"]}


# What holds of everything ------------------------------------------------------------------------


@st.composite
def situations(
    draw: st.DrawFn,
) -> tuple[dict[str, Candidate], list[Waiting], dict[str, Roster], float]:
    now = 1000.0
    names = [f"a{number}" for number in range(draw(st.integers(1, 6)))]
    times = st.sampled_from([0.0, 500.0, 940.0, 970.0, 990.0, 1000.0])
    agents = {}
    for name in names:
        profile = Agent(
            name,
            line=name,
            capacity={"voice": draw(st.integers(1, 2))},
            skills=draw(st.dictionaries(st.sampled_from("xy"), st.integers(0, 100), max_size=2)),
        )
        row = AgentRow(
            name,
            presence=draw(st.sampled_from(Presence)),
            idle_since=draw(times),
            busy={"voice": draw(st.integers(0, 2))},
            not_before=draw(st.sampled_from([0.0, 1000.0, 1010.0])),
            calls=draw(st.integers(0, 3)),
            talk_time=draw(st.sampled_from([0.0, 10.0, 20.0])),
        )
        agents[name] = Candidate(profile, row)
    rosters = {}
    for name in ("p", "q", "r"):
        members = [
            Member(
                agent=one,
                tier=draw(st.integers(1, 3)),
                position=draw(st.integers(1, 3)),
                after=draw(st.sampled_from([0.0, 30.0])),
            )
            for one in draw(st.lists(st.sampled_from(names), max_size=6))
        ]
        rosters[name] = roster(
            Queue(
                name,
                tuple(members),
                strategy=draw(st.sampled_from(Strategy)),
                tier_rules=TierRules(
                    draw(st.sampled_from([0.0, 15.0])), draw(st.booleans()), draw(st.booleans())
                ),
                relaxations=(Relaxation(30, 50),),
                priority=draw(st.integers(0, 2)),
                weight=draw(st.sampled_from([1.0, 2.0])),
            ),
            {},
        )
    waiting = []
    for number in range(draw(st.integers(0, 8))):
        entry = Entry(
            f"e{number}",
            draw(st.sampled_from(["p", "q", "r"])),
            "call",
            "main",
            entered_at=draw(times),
            priority=draw(st.integers(0, 2)),
            skills=draw(st.dictionaries(st.sampled_from("xy"), st.integers(0, 100), max_size=1)),
            draw=draw(st.floats(0, 1, exclude_max=True)),
        )
        offered = frozenset(draw(st.lists(st.sampled_from(names), max_size=2)))
        waiting.append(Waiting(entry, offered, 980.0 if offered else 0.0))
    return agents, waiting, rosters, now


@given(situations())
def test_an_assignment_is_always_of_an_agent_who_may_take_the_caller_now(
    situation: tuple[dict[str, Candidate], list[Waiting], dict[str, Roster], float],
) -> None:
    agents, waiting, rosters, now = situation
    found = match(agents, waiting, rosters, now, {})
    by_id = {one.entry.id: one for one in waiting}
    load = Counter(one.agent for one in found)
    for name, count in load.items():
        row, profile = agents[name].row, agents[name].profile
        assert row.presence is Presence.AVAILABLE
        assert row.not_before <= now
        assert row.busy["voice"] + count <= profile.capacity["voice"]
    assert len({(one.entry, one.agent) for one in found}) == len(found)
    for one in found:
        caller = by_id[one.entry]
        assert one.queue == caller.entry.queue
        assert one.agent not in caller.offered
        relaxed = 50 if now - caller.entry.entered_at >= 30 else 0
        for skill, level in caller.entry.skills.items():
            needed = level - relaxed
            assert needed <= 0 or agents[one.agent].profile.skills.get(skill, 0) >= needed
        strategy = rosters[one.queue].queue.strategy
        if strategy in ONE_BY_ONE:
            assert not caller.offered
            assert sum(other.entry == one.entry for other in found) == 1


@given(situations())
def test_the_order_of_the_arguments_does_not_matter(
    situation: tuple[dict[str, Candidate], list[Waiting], dict[str, Roster], float],
) -> None:
    agents, waiting, rosters, now = situation
    found = match(agents, waiting, rosters, now, {})
    assert match(agents, waiting[::-1], rosters, now, {}) == found
    assert match(dict(reversed(agents.items())), waiting, rosters, now, {}) == found


@given(situations())
def test_nobody_is_passed_over_for_one_with_fewer_points_who_needs_the_same(
    situation: tuple[dict[str, Candidate], list[Waiting], dict[str, Roster], float],
) -> None:
    agents, waiting, rosters, now = situation
    plain = [
        replace(one, entry=replace(one.entry, skills={}), offered=frozenset()) for one in waiting
    ]
    assigned = {one.entry for one in match(agents, plain, rosters, now, {})}
    for name in rosters:
        ranked = [one for one in in_order(plain, rosters, now) if one.entry.queue == name]
        flags = [one.entry.id in assigned for one in ranked if now - one.entry.entered_at >= 60]
        assert flags == sorted(flags, reverse=True)


@given(situations())
def test_after_all_offers_are_made_nothing_is_left_to_match(
    situation: tuple[dict[str, Candidate], list[Waiting], dict[str, Roster], float],
) -> None:
    agents, waiting, rosters, now = situation
    found = match(agents, waiting, rosters, now, {})
    for one in found:
        row = agents[one.agent].row
        busy = {"voice": row.busy["voice"] + 1}
        agents[one.agent] = replace(agents[one.agent], row=replace(row, busy=busy))
        waiting = [
            replace(each, offered=each.offered | {one.agent}, rung_at=each.rung_at or now)
            if each.entry.id == one.entry
            else each
            for each in waiting
        ]
    assert match(agents, waiting, rosters, now, {}) == ()


@given(situations(), st.floats(0, 100))
def test_before_the_next_change_time_alone_brings_no_new_agent(
    situation: tuple[dict[str, Candidate], list[Waiting], dict[str, Roster], float], later: float
) -> None:
    agents, waiting, rosters, now = situation
    if match(agents, waiting, rosters, now, {}):
        return
    if now + later < next_change(agents, waiting, rosters, now):
        assert match(agents, waiting, rosters, now + later, {}) == ()


@given(situations(), st.randoms(use_true_random=False), st.floats(0, 100))
def test_nothing_is_missed_by_looking_only_at_who_could_take_a_call(
    situation: tuple[dict[str, Candidate], list[Waiting], dict[str, Roster], float],
    random: Random,
    later: float,
) -> None:
    agents, waiting, rosters, now = situation
    able = [name for name, candidate in agents.items() if could_take(candidate)]
    random.shuffle(able)
    seats = {
        queue: [seat for name in able for seat in one.seats if seat.agent == name]
        for queue, one in rosters.items()
    }
    cursors = {queue: random.choice(list(agents)) for queue in rosters}
    found = match(agents, waiting, rosters, now, cursors, seats)
    assert found == match(agents, waiting, rosters, now, cursors)
    if not found and now + later < next_change(agents, waiting, rosters, now, seats):
        assert match(agents, waiting, rosters, now + later, cursors) == ()
