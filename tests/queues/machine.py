"""Histories of a contact centre: any order of callers, agents, failures and time.

`QueueMachine` does what a dispatcher may do, in any order that the tables allow, and checks after
each step what must hold. `centre` may be replaced by one that keeps its rows elsewhere.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.queues.contact_centre import ONE_BY_ONE, ContactCentre, agent, queue
from vxml_server.queues.matching import Assignment, match
from vxml_server.queues.profiles import Agent, Group, Member, Queue, Relaxation, Strategy, TierRules
from vxml_server.queues.rows import Entry, EntryState, Exit, Offer, OfferState, Outcome, Presence
from vxml_server.queues.transitions import (
    OFFER_TABLE,
    IllegalTransition,
    OfferEvent,
    prioritise,
)

NAMES = ("ann", "bob", "cyd", "dan")
QUEUES: tuple[Queue, ...] = (
    queue("all", NAMES, strategy=Strategy.RING_ALL),
    queue("idle", ("ann", "bob"), tier_rules=TierRules(wait=15.0), priority=1.0),
    queue("robin", ("bob", "cyd", "dan"), strategy=Strategy.ROUND_ROBIN),
    queue(
        "skilled",
        members=(Member(group="first"), Member(group="second", tier=2, after=30.0)),
        strategy=Strategy.BEST_SKILLED,
        relaxations=(Relaxation(30.0, 50), Relaxation(90.0, 100)),
    ),
    queue("slowly", NAMES, strategy=Strategy.RING_PROGRESSIVELY),
)
GROUPS = (Group("first", ("ann",)), Group("second", ("cyd", "dan")))
AGENTS = (
    agent("ann", max_no_answer=1, skills={"x": 80}),
    agent("bob", max_no_answer=2, wrap_up_time=0.0),
    agent("cyd", capacity={"voice": 2}, skills={"x": 40}),
    agent("dan", max_no_answer=0),
)
CHANGED = {
    "ann": agent("ann", max_no_answer=0, skills={"x": 20}),
    "bob": agent("bob", refusal_delay=0.0, wrap_up_time=30.0),
    "cyd": agent("cyd", skills={"x": 100}),
    "dan": agent("dan", max_no_answer=1),
}
CAPACITY = {one.name: one.capacity["voice"] for one in AGENTS}
_ENDS_WITHOUT_BRIDGE = (
    OfferEvent.REFUSE,
    OfferEvent.BUSY,
    OfferEvent.NO_ANSWER,
    OfferEvent.FAIL,
    OfferEvent.AGENT_DROP,
    OfferEvent.WITHDRAW,
    OfferEvent.LOSE,
)


class QueueMachine(RuleBasedStateMachine):
    """Everything that can happen between callers and agents."""

    def __init__(self) -> None:
        super().__init__()
        self.centre = ContactCentre(AGENTS, QUEUES, GROUPS)
        self.entered = 0
        self.seen_generations: dict[str, int] = {}

    # What may happen ---------------------------------------------------------------------------

    @rule(
        name=st.sampled_from([one.name for one in QUEUES]),
        priority=st.integers(0, 2),
        level=st.sampled_from([0, 30, 60, 100]),
    )
    def a_caller_comes(self, name: str, priority: int, level: int) -> None:
        # The other queues never relax: who asks there for what nobody can waits for ever.
        skills = {"x": level} if level and name == "skilled" else {}
        if name in self.centre.board.queues:
            self.centre.call(name, priority=priority, skills=skills)
            self.entered += 1

    @rule(name=st.sampled_from(NAMES), presence=st.sampled_from(Presence))
    def an_agent_says_where_he_is(self, name: str, presence: Presence) -> None:
        self.centre.present(name, presence, "lunch" if presence is Presence.ON_BREAK else "")

    @rule()
    def everybody_comes(self) -> None:
        self.centre.sign_in(*NAMES)

    @rule(seconds=st.sampled_from([0.5, 5.0, 16.0, 31.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.centre.now += seconds

    @rule()
    def offers_are_made(self) -> None:
        before = {
            name: [one.entry.id for one in self.centre.board.waiting([name])]
            for name in self.centre.board.rosters
        }
        board = self.centre.board
        everything = (board.agents, board.waiting(board.rosters), board.rosters)
        found = match(*everything, self.centre.now, board.cursors)
        assert self.centre.look() == found, "what is looked at alone is what all would say"
        for assignment in found:
            self.centre.claim(assignment)
        self.centre.make_offers()
        after = {
            name: [one.entry.id for one in self.centre.board.waiting([name])] for name in before
        }
        assert before == after, "an offer does not take a caller out of the queue"

    @precondition(lambda self: self.centre.board.offers)
    @rule(data=st.data())
    def an_offer_goes_on(self, data: st.DataObject) -> None:
        offer = data.draw(st.sampled_from(sorted(self.centre.board.offers.values(), key=_by_id)))
        possible = sorted(OFFER_TABLE[offer.state].keys() - {OfferEvent.CALLER_GONE})
        if self._entry_of(offer).state is EntryState.CONNECTED:
            possible = [event for event in possible if event is not OfferEvent.BRIDGE]
        self._happen(offer, data.draw(st.sampled_from(possible)))

    @precondition(lambda self: self.centre.board.offers)
    @rule(data=st.data())
    def an_offer_is_answered_and_bridged(self, data: st.DataObject) -> None:
        ready = [
            offer
            for offer in self.centre.board.offers.values()
            if offer.state in {OfferState.RESERVED, OfferState.RINGING}
            and self._entry_of(offer).state is EntryState.WAITING
        ]
        if ready:
            offer = data.draw(st.sampled_from(sorted(ready, key=_by_id)))
            self._happen(offer, OfferEvent.ANSWER)
            self._happen(offer, OfferEvent.BRIDGE)

    @precondition(lambda self: self.centre.board.entries)
    @rule(data=st.data(), reason=st.sampled_from([Exit.ABANDONED, Exit.TIMED_OUT, Exit.KEY]))
    def a_caller_goes(self, data: st.DataObject, reason: Exit) -> None:
        entry = data.draw(st.sampled_from(sorted(self.centre.board.entries)))
        if self.centre.board.entries[entry].state is EntryState.WAITING:
            self.centre.leave(entry, reason)

    def _happen(self, offer: Offer, event: OfferEvent) -> None:
        entry = self._entry_of(offer)
        self.centre.happen(offer, event)
        if event is OfferEvent.BRIDGE:
            for other in self.centre.board.offers_of_entry(offer.entry):
                if other.id != offer.id and other.outcome is None:
                    self.centre.happen(other, OfferEvent.WITHDRAW)
        if event in _ENDS_WITHOUT_BRIDGE and entry.state is EntryState.WAITING:
            back = self.centre.board.entries[entry.id]
            assert (back.entered_at, back.state) == (entry.entered_at, EntryState.WAITING)

    def _entry_of(self, offer: Offer) -> Entry:
        known = self.centre.board.entries.get(offer.entry)
        return known or Entry(offer.entry, offer.queue, "", "main", 0.0, state=EntryState.LEFT)

    # What supervisors and operators do ---------------------------------------------------------

    @precondition(lambda self: self._waiting())
    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def a_supervisor_has_an_agent_take_a_caller(self, data: st.DataObject, name: str) -> None:
        """Whatever the strategy; what else is offered of the caller is withdrawn."""
        entry = data.draw(st.sampled_from(self._waiting()))
        others = self.centre.board.offers_of_entry(entry.id)
        if any(offer.agent == name for offer in others) or name not in self.centre.board.agents:
            return
        with suppress(IllegalTransition):
            self.centre.claim(Assignment(entry.id, name, entry.queue))
            for offer in others:
                self.centre.happen(offer, OfferEvent.WITHDRAW)

    @precondition(lambda self: self._waiting())
    @rule(data=st.data())
    def a_caller_is_moved_in_his_place(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(self._waiting()))
        name = data.draw(st.sampled_from(sorted(self.centre.board.queues)))
        self.centre.leave(entry.id, Exit.MOVED)
        self._comes_back(entry, name)

    @precondition(lambda self: self._talking())
    @rule(data=st.data())
    def a_caller_is_sent_back_to_his_place(self, data: st.DataObject) -> None:
        offer = data.draw(st.sampled_from(self._talking()))
        entry = self._entry_of(offer)
        self.centre.happen(offer, OfferEvent.HANG_UP)
        if entry.queue in self.centre.board.queues:
            self._comes_back(entry, entry.queue)

    @precondition(lambda self: self._waiting())
    @rule(data=st.data(), priority=st.sampled_from([0.0, 1.0, 5.0]))
    def a_caller_is_given_priority(self, data: st.DataObject, priority: float) -> None:
        entry = data.draw(st.sampled_from(self._waiting()))
        self.centre.do(prioritise(entry, priority, self.centre.now))

    @rule(name=st.sampled_from(NAMES), presence=st.sampled_from(Presence))
    def a_supervisor_forces_an_agent(self, name: str, presence: Presence) -> None:
        self.centre.present(name, presence, "meeting", by="eve")

    @rule(
        agents=st.tuples(*(st.sampled_from([one, CHANGED[one.name], None]) for one in AGENTS)),
        groups=st.lists(st.sampled_from(GROUPS), unique_by=lambda one: one.name),
        without=st.sampled_from(["", "", "robin", "skilled"]),
        weight=st.sampled_from([1.0, 3.0]),
    )
    def the_definitions_change(
        self,
        agents: tuple[Agent | None, ...],
        groups: list[Group],
        without: str,
        weight: float,
    ) -> None:
        """Agents, groups and queues go, come and are changed, whoever talks to whom."""
        for entry in self._waiting():
            if entry.queue == without:
                self.centre.leave(entry.id, Exit.REMOVED)
        queues = [replace(one, weight=weight) for one in QUEUES if one.name != without]
        self.centre.board.define([one for one in agents if one is not None], groups, queues)

    @rule(seconds=st.sampled_from([1.0, 20.0, 100.0]))
    def somebody_sets_the_clock_back(self, seconds: float) -> None:
        self.centre.now = max(1.0, self.centre.now - seconds)

    def _waiting(self) -> list[Entry]:
        every = sorted(self.centre.board.entries.values(), key=lambda one: int(one.id[1:]))
        return [one for one in every if one.state is EntryState.WAITING]

    def _talking(self) -> list[Offer]:
        every = sorted(self.centre.board.offers.values(), key=_by_id)
        return [one for one in every if one.state is OfferState.BRIDGED]

    def _comes_back(self, entry: Entry, name: str) -> None:
        skills = entry.skills if name == "skilled" else {}
        self.centre.call(name, entered_at=entry.entered_at, skills=skills)
        self.entered += 1

    # What must hold ----------------------------------------------------------------------------

    @invariant()
    def an_agent_has_no_more_offers_than_he_has_room(self) -> None:
        board = self.centre.board
        open_offers = Counter(offer.agent for offer in board.offers.values())
        for name in NAMES:
            assert board.row(name).busy.get("voice", 0) == open_offers[name]
            assert open_offers[name] <= CAPACITY[name]
            callers = [offer.entry for offer in board.offers_of_agent(name)]
            assert len(set(callers)) == len(callers), "two offers of one caller to one agent"

    @invariant()
    def a_caller_has_the_offers_that_are_counted(self) -> None:
        board = self.centre.board
        live = Counter(offer.entry for offer in board.offers.values() if offer.outcome is None)
        for entry in board.entries.values():
            assert entry.offers == live[entry.id]
            if entry.state is EntryState.WAITING and _is_offered_one_by_one(entry):
                assert live[entry.id] <= 1

    @invariant()
    def no_caller_is_lost(self) -> None:
        left = [fact for fact in self.centre.facts if fact.name == "queue.left"]
        assert len({fact.data["entry"] for fact in left}) == len(left)
        assert len(left) + len(self.centre.board.entries) == self.entered

    @invariant()
    def every_offer_has_one_outcome(self) -> None:
        made = [f.data["offer"] for f in self.centre.facts if f.name == "offer.reserved"]
        ended = [f.data["offer"] for f in self.centre.facts if "outcome" in f.data]
        # A conversation's outcome is told when it ends, and once more when the wrap-up is over.
        outcomes = {
            (f.data["offer"], f.data["outcome"]) for f in self.centre.facts if "outcome" in f.data
        }
        assert len(set(made)) == len(made)
        assert len(outcomes) == len(set(ended))
        open_ones = {o.id for o in self.centre.board.offers.values() if o.outcome is None}
        assert set(made) == set(ended) | open_ones

    @invariant()
    def generations_only_grow(self) -> None:
        board = self.centre.board
        for row in (*board.entries.values(), *board.offers.values()):
            assert row.generation >= self.seen_generations.get(row.id, 0)
            self.seen_generations[row.id] = row.generation

    def teardown(self) -> None:
        """In the end everybody can still be served: nothing is stuck."""
        centre = self.centre
        centre.board.define(AGENTS, GROUPS, QUEUES)
        for offer in list(centre.board.offers.values()):
            match offer.state:
                case OfferState.BRIDGED:
                    centre.happen(offer, OfferEvent.HANG_UP, OfferEvent.WRAPPED_UP)
                case OfferState.WRAPPING_UP:
                    centre.happen(offer, OfferEvent.WRAPPED_UP)
                case _:
                    centre.happen(offer, OfferEvent.WITHDRAW)
        centre.sign_in(*NAMES)
        centre.now = max(centre.now, *(entry.entered_at for entry in self._waiting()), 0.0) + 1000
        centre.board.touch(centre.board.rosters)
        rounds = 0
        while centre.board.waiting(centre.board.rosters):
            rounds += 1
            assert rounds <= self.entered, "a caller is never served"
            made = centre.make_offers()
            assert made, "callers wait, agents are free, and nobody is offered"
            for entry in made:
                first, *others = centre.board.offers_of_entry(entry)
                centre.happen(first, OfferEvent.ANSWER, OfferEvent.BRIDGE)
                for other in others:
                    centre.happen(other, OfferEvent.WITHDRAW)
                centre.happen(first, OfferEvent.HANG_UP, OfferEvent.WRAPPED_UP)
            centre.board.touch(centre.board.rosters)
        outcomes = {fact.data.get("outcome") for fact in centre.facts} - {None}
        assert outcomes <= set(Outcome)


def _by_id(offer: Offer) -> int:
    return int(offer.id[1:])


def _is_offered_one_by_one(entry: Entry) -> bool:
    (one,) = (queue for queue in QUEUES if queue.name == entry.queue)
    return one.strategy in ONE_BY_ONE
