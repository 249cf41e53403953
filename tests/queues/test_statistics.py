"""What facts add up to, by hand and over any history."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.queues.contact_centre import ContactCentre, agent, queue
from tests.queues.machine import QueueMachine
from vxml_server.queues.rows import Exit, Fact, OfferState, Presence
from vxml_server.queues.statistics import (
    COUNTED,
    State,
    Statistics,
    Table,
    add,
    add_queue,
    of_agent,
    of_queue,
    service_level,
)
from vxml_server.queues.transitions import OfferEvent
from vxml_server.store import Json, queue_tables

START = 1_800_000_000 // 900 * 900.0
BRIDGED = (OfferEvent.RING, OfferEvent.ANSWER, OfferEvent.BRIDGE)


def centre(**agents: Any) -> ContactCentre:
    """One queue `sales` and `ann`, who is signed in; the time is the beginning of a quarter."""
    made = ContactCentre([agent("ann", **agents)], [queue("sales", ["ann"])])
    made.now = START
    made.sign_in("ann")
    return made


def counted(facts: list[Fact], state: State | None = None) -> Statistics:
    made = Statistics(state)
    for fact in facts:
        made.observe(fact)
    return made


def whole(table: Table, name: str) -> list[int]:
    """All intervals of one name."""
    of_it = [figures for (one, _), figures in table.items() if one == name]
    total = [0] * len(of_it[0])
    for figures in of_it:
        (add_queue if len(total) > 20 else add)(total, figures)
    return total


def sales(world: ContactCentre) -> dict[str, Any]:
    found: dict[str, Any] = of_queue(whole(counted(world.facts).queues, "sales"))
    return found


def ann(world: ContactCentre) -> dict[str, Any]:
    """Her figures up to now, what is not over included."""
    statistics = counted(world.facts)
    total = whole(statistics.agents, "ann") if statistics.agents else [0] * 14
    for (name, _), figures in statistics.unfinished(world.now).items():
        assert name == "ann"
        add(total, figures)
    found: dict[str, Any] = of_agent(total)
    return found


def test_a_caller_who_is_served_is_counted_with_his_wait_talk_and_wrap_up() -> None:
    world = centre()
    world.call("sales")
    world.now += 12
    world.make_offers()
    offer = world.offer("ann")
    world.happen(offer, *BRIDGED)
    world.now += 100
    world.happen(offer, OfferEvent.HANG_UP)
    world.now += 8
    world.happen(offer, OfferEvent.WRAPPED_UP)
    found = sales(world)
    assert {name: found[name] for name in ("offered", "answered", "answered_in_target")} == {
        "offered": 1,
        "answered": 1,
        "answered_in_target": 1,
    }
    assert (found["average_answer_s"], found["longest_wait_s"]) == (12.0, 12.0)
    assert (found["average_talk_s"], found["average_wrap_up_s"]) == (100.0, 8.0)
    assert found["average_handle_s"] == 108.0
    assert found["offers"]["completed"] == sum(found["offers"].values()) == 1
    assert found["answered_within_s"]["20"] == sum(found["answered_within_s"].values()) == 1
    assert ann(world) | {"offers": None} == {
        "handled": 1,
        "talk_s": 100.0,
        "wrap_up_s": 8.0,
        "signed_in_s": 120.0,
        "break_s": 0.0,
        "occupancy": 0.9,
        "offers": None,
    }


def test_the_service_level_counts_as_both_definitions_say() -> None:
    world = ContactCentre([], [queue("sales")])
    world.now = START
    for seconds, reason in (
        (5, Exit.ABANDONED),
        (20, Exit.ABANDONED),
        (21, Exit.ABANDONED),
        (60, Exit.TIMED_OUT),
        (1, Exit.KEY),
        (1, Exit.MOVED),
    ):
        entry = world.call("sales", entered_at=world.now - seconds)
        world.leave(entry, reason)
    world.facts.append(Fact("queue.refused", world.now, "sales"))
    for waited in (3.0, 20.0, 20.001, 400.0):
        data: dict[str, Json] = {"entry": "x", "waited": waited}
        world.facts.append(Fact("queue.entered", world.now, "sales", data=data))
        world.facts.append(Fact("queue.connected", world.now, "sales", "ann", data=data))
        world.facts.append(Fact("queue.left", world.now, "sales", data={**data, "exit": "served"}))
    found = sales(world)
    assert (found["offered"], found["refused"], found["abandoned_in_target"]) == (11, 1, 2)
    assert (found["answered"], found["abandoned"], found["answered_in_target"]) == (4, 3, 2)
    assert found["service_level"] == round(2 / 7, 4)
    # All ten who came but him who was moved and the two who gave up within the target.
    assert found["service_level_of_offered"] == round(2 / 8, 4)
    assert found["abandoned_within_s"] == {
        **dict.fromkeys(("10", "60", "120", "300", "longer"), 0),
        "5": 1,
        "20": 1,
        "30": 1,
    }
    assert found["answered_within_s"]["longer"] == 1
    assert found["longest_wait_s"] == 400.0


def test_the_target_is_the_one_that_held_when_it_happened() -> None:
    facts = []
    for target in (20.0, 5.0):
        definition: dict[str, Json] = {"service_level_target": target}
        facts.append(Fact("queue.defined", START, "sales", data={"definition": definition}))
        data: dict[str, Json] = {"entry": "x", "waited": 10.0}
        facts.append(Fact("queue.connected", START, "sales", "ann", data=data))
    figures = whole(counted(facts).queues, "sales")
    assert service_level(figures) == 0.5


def test_time_is_counted_in_the_quarters_in_which_it_passes() -> None:
    world = centre()
    world.now += 890
    world.call("sales")
    world.make_offers()
    offer = world.offer("ann")
    world.happen(offer, *BRIDGED)
    world.now += 920
    world.happen(offer, OfferEvent.HANG_UP)
    world.now += 30
    world.happen(offer, OfferEvent.WRAPPED_UP)
    world.now += 60
    world.present("ann", Presence.SIGNED_OUT)
    statistics = counted(world.facts)
    quarters = [of_agent(figures) for _, figures in sorted(statistics.agents.items())]
    assert [one["talk_s"] for one in quarters] == [10.0, 900.0, 10.0]
    assert [one["wrap_up_s"] for one in quarters] == [0.0, 0.0, 30.0]
    assert [one["signed_in_s"] for one in quarters] == [900.0, 900.0, 100.0]
    assert [one["handled"] for one in quarters] == [0, 0, 1]
    assert quarters[1]["occupancy"] == 1.0
    assert statistics.unfinished(world.now) == {}


def test_breaks_are_signed_in_and_counted_apart() -> None:
    world = centre()
    world.now += 50
    world.present("ann", Presence.ON_BREAK, "lunch")
    world.now += 30
    assert (ann(world)["signed_in_s"], ann(world)["break_s"]) == (80.0, 30.0)
    world.present("ann", Presence.SIGNED_OUT)
    world.now += 1000
    assert (ann(world)["signed_in_s"], ann(world)["break_s"]) == (80.0, 30.0)


def test_who_is_not_defined_any_more_is_not_signed_in_until_he_is_again() -> None:
    facts = [
        Fact("agent.presence", START, agent="ann", data={"presence": "available"}),
        Fact("agent.removed", START + 10, agent="ann"),
        Fact("agent.defined", START + 50, agent="ann", data={"definition": {}}),
        Fact("agent.presence", START + 60, agent="ann", data={"presence": "signed_out"}),
        Fact("agent.removed", START + 70, agent="ann"),
        Fact("agent.defined", START + 80, agent="ann", data={"definition": {}}),
    ]
    statistics = counted(facts)
    assert of_agent(whole(statistics.agents, "ann"))["signed_in_s"] == 20.0
    assert statistics.unfinished(START + 1000) == {}


def test_a_conversation_that_is_lost_was_answered_all_the_same() -> None:
    world = centre()
    world.call("sales")
    world.make_offers()
    offer = world.offer("ann")
    world.happen(offer, *BRIDGED)
    world.now += 5
    world.happen(offer, OfferEvent.LOSE)
    found = sales(world)
    assert (found["answered"], found["lost"], found["offers"]["lost"]) == (1, 0, 1)


def test_an_offer_without_a_bridge_is_an_outcome_and_no_conversation() -> None:
    world = centre()
    world.call("sales")
    world.make_offers()
    world.happen(world.offer("ann"), OfferEvent.RING, OfferEvent.NO_ANSWER)
    found = sales(world)
    assert (found["handled"], found["offers"]["no_answer"]) == (0, 1)
    assert found["average_talk_s"] is found["average_handle_s"] is None
    assert ann(world)["offers"]["no_answer"] == 1


def test_the_state_between_two_sums_survives_as_json() -> None:
    world = centre()
    for _ in range(2):
        world.call("sales")
    world.make_offers()
    world.happen(world.offer("ann"), *BRIDGED)
    world.facts.append(
        Fact("queue.defined", START, "x", data={"definition": {"service_level_target": 7.5}})
    )
    state = counted(world.facts).state
    assert State.from_json(state.to_json()) == state
    assert State.from_json({}) == State()
    assert state.targets == {"x": 7500} and state.talking and state.present


class _History(QueueMachine):
    """Any history, made by a list of numbers."""

    def play(self, choices: list[int]) -> list[Fact]:
        world = self.centre
        world.now = START
        world.sign_in("ann", "bob", "cyd", "dan")
        for choice in choices:
            world.now += choice % 7 * 137.25
            match choice % 5:
                case 0:
                    world.call(("all", "idle", "robin", "slowly")[choice % 4])
                case 1:
                    world.make_offers()
                case 2:
                    name = ("ann", "bob", "cyd", "dan")[choice % 4]
                    world.present(name, list(Presence)[choice % 3], "r" * (choice % 2))
                case 3:
                    for offer in list(world.board.offers.values())[:1]:
                        self._step(offer.id, choice)
                case _:
                    for entry in list(world.board.entries.values())[:1]:
                        if entry.state == "waiting":
                            world.leave(entry.id, (Exit.ABANDONED, Exit.KEY)[choice % 2])
        return world.facts

    def _step(self, offer_id: str, choice: int) -> None:
        world = self.centre
        offer = world.board.offers[offer_id]
        entry = world.board.entries.get(offer.entry)
        match offer.state:
            case OfferState.RESERVED:
                event = (OfferEvent.ANSWER, OfferEvent.BUSY, OfferEvent.RING)[choice % 3]
            case OfferState.RINGING:
                event = (OfferEvent.ANSWER, OfferEvent.NO_ANSWER)[choice % 2]
            case OfferState.ANSWERED:
                is_waiting = entry is not None and entry.state == "waiting"
                event = OfferEvent.BRIDGE if is_waiting else OfferEvent.WITHDRAW
            case OfferState.BRIDGED:
                event = OfferEvent.HANG_UP
            case _:
                event = OfferEvent.WRAPPED_UP
        self._happen(offer, event)


def histories() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 10_000), max_size=120)


def total(table: Table) -> list[list[int]]:
    return [whole(table, name) for name in sorted({name for name, _ in table})]


@given(histories())
@settings(max_examples=examples(60), deadline=None)
def test_who_came_has_been_counted_out_or_still_waits(choices: list[int]) -> None:
    machine = _History()
    facts = machine.play(choices)
    for name in {fact.queue for fact in facts if fact.name == "queue.entered"}:
        found = of_queue(whole(counted(facts).queues, name))
        ways = (
            "answered",
            "abandoned",
            "timed_out",
            "no_agents",
            "key",
            "moved",
            "removed",
            "lost",
        )
        waiting = len(machine.centre.board.waiting([name]))
        assert found["offered"] == sum(int(str(found[way])) for way in ways) + waiting


@given(histories(), st.lists(st.integers(0, 400), max_size=5))
@settings(max_examples=examples(60), deadline=None)
def test_parts_that_are_added_up_are_the_whole(choices: list[int], cuts: list[int]) -> None:
    machine = _History()
    facts = machine.play(choices)
    at_once = counted(facts)
    state = State()
    queues: Table = {}
    agents: Table = {}
    for first, after in itertools.pairwise([0, *sorted(cuts), len(facts)]):
        part = counted(facts[first:after], State.from_json(state.to_json()))
        state = part.state
        for into, more in ((queues, part.queues), (agents, part.agents)):
            for key, figures in more.items():
                kept = into.setdefault(key, [0] * len(figures))
                (add_queue if into is queues else add)(kept, figures)
    assert (queues, agents) == (at_once.queues, at_once.agents)
    assert state == at_once.state
    assert total(queues) == total(at_once.queues)


@given(histories())
@settings(max_examples=examples(40), deadline=None)
def test_what_does_not_count_changes_nothing_and_times_are_those_of_the_agents(
    choices: list[int],
) -> None:
    machine = _History()
    facts = machine.play(choices)
    some = [fact for fact in facts if fact.name in COUNTED]
    assert counted(some).queues == counted(facts).queues
    now = machine.centre.now
    statistics = counted(facts)
    open_time = statistics.unfinished(now)
    for name in ("ann", "bob", "cyd", "dan"):
        column = queue_tables.AGENT_FIGURES.index("signed_in_ms")
        signed_in = sum(
            figures[column]
            for table in (statistics.agents, open_time)
            for (one, _), figures in table.items()
            if one == name
        )
        row = machine.centre.board.row(name)
        lasted = sum(
            round(1000 * float(str(fact.data["lasted"])))
            for fact in facts
            if fact.name == "agent.presence"
            and fact.agent == name
            and fact.data["before"] != "signed_out"
        )
        if row.presence is not Presence.SIGNED_OUT:
            lasted += round(1000 * (now - row.since))
        assert signed_in == lasted


def test_a_target_beyond_all_time_that_the_log_has_from_before_stops_no_figures() -> None:
    facts = [
        Fact("queue.defined", START, "x", data={"definition": {"service_level_target": 1e306}}),
        Fact("queue.connected", START, "x", "ann", data={"entry": "e", "waited": 4.0}),
    ]
    made = counted(facts)
    assert service_level(whole(made.queues, "x")) == 1.0
    assert State.from_json(made.state.to_json()) == made.state
