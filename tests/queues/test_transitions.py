"""The life of an offer, and what it does to agents and callers."""

from __future__ import annotations

import pytest

from tests.queues.contact_centre import ContactCentre, agent, queue
from vxml_server.queues.rows import EntryState, Exit, OfferState, Outcome, Presence
from vxml_server.queues.transitions import (
    MISSED_BREAK,
    OFFER_TABLE,
    IllegalTransition,
    OfferEvent,
    leave,
    state_of,
)

E = OfferEvent


@pytest.fixture
def centre() -> ContactCentre:
    made = ContactCentre([agent("ann", max_no_answer=2), agent("bob")], [queue("sales", ["ann"])])
    made.sign_in("ann")
    made.call("sales")
    made.make_offers()
    return made


def test_every_state_has_a_row_and_only_closed_has_no_way_on() -> None:
    assert set(OFFER_TABLE) == set(OfferState)
    assert [state for state, row in OFFER_TABLE.items() if not row] == [OfferState.CLOSED]


def test_every_outcome_can_happen_and_nothing_leaves_without_one() -> None:
    outcomes = {outcome for row in OFFER_TABLE.values() for _, outcome in row.values()}
    assert outcomes == set(Outcome) | {None}
    ended = {OfferState.CLOSED, OfferState.WRAPPING_UP}
    for state, row in OFFER_TABLE.items():
        for event, (after, outcome) in row.items():
            if event is not E.WRAPPED_UP:
                assert (after in ended) == (outcome is not None), (state, event)


def test_a_conversation_makes_the_agent_wrap_up_and_the_caller_leave_served(
    centre: ContactCentre,
) -> None:
    offer = centre.offer("ann")
    centre.now += 3
    centre.happen(offer, E.RING, E.ANSWER)
    assert centre.board.entries["e1"].state is EntryState.WAITING, "not before the bridge"
    centre.happen(offer, E.BRIDGE)
    assert centre.board.entries["e1"].state is EntryState.CONNECTED
    centre.now += 60
    centre.happen(offer, E.HANG_UP)
    row = centre.board.row("ann")
    assert (row.calls, row.talk_time, row.busy["voice"]) == (1, 60.0, 1)
    assert state_of(row, centre.board.offers.values()) == "wrapping_up"
    assert centre.board.offers[offer.id].release_at == centre.now + 10.0
    assert "e1" not in centre.board.entries
    centre.now += 5
    centre.happen(offer, E.WRAPPED_UP)
    row = centre.board.row("ann")
    assert (row.busy["voice"], row.idle_since) == (0, centre.now)
    assert centre.names()[-7:] == [
        "offer.ringing",
        "offer.answered",
        "offer.bridged",
        "queue.connected",
        "offer.wrapping_up",
        "queue.left",
        "offer.closed",
    ]


@pytest.mark.parametrize(
    ("event", "outcome", "delay"),
    [
        (E.REFUSE, Outcome.REFUSED, 30.0),
        (E.BUSY, Outcome.BUSY, 30.0),
        (E.NO_ANSWER, Outcome.NO_ANSWER, 10.0),
        (E.FAIL, Outcome.FAILED, 30.0),
    ],
)
def test_an_offer_that_is_not_taken_keeps_the_caller_in_place_and_delays_the_agent(
    centre: ContactCentre, event: OfferEvent, outcome: Outcome, delay: float
) -> None:
    before = centre.board.entries["e1"]
    centre.now += 4
    centre.happen(centre.offer("ann"), E.RING, event)
    entry, row = centre.board.entries["e1"], centre.board.row("ann")
    assert (entry.entered_at, entry.state, entry.offers) == (before.entered_at, before.state, 0)
    assert (row.not_before, row.busy["voice"]) == (centre.now + delay, 0)
    assert centre.facts[-1].data["outcome"] == outcome
    assert centre.look() == ()
    centre.now += delay
    assert [one.agent for one in centre.look()] == ["ann"]


def test_an_agent_who_drops_in_the_gap_returns_the_caller_to_his_place(
    centre: ContactCentre,
) -> None:
    centre.call("sales")
    offer = centre.offer("ann")
    centre.happen(offer, E.RING, E.ANSWER, E.AGENT_DROP)
    centre.now += 10
    assert centre.make_offers() == {"e1": ["ann"]}, "and not the one who came later"


def test_too_many_missed_calls_in_a_row_are_a_break_with_a_reason(centre: ContactCentre) -> None:
    centre.happen(centre.offer("ann"), E.RING, E.NO_ANSWER)
    assert centre.board.row("ann").presence is Presence.AVAILABLE
    centre.now += 10
    centre.make_offers()
    centre.happen(centre.offer("ann"), E.RING, E.NO_ANSWER)
    row = centre.board.row("ann")
    assert (row.presence, row.reason) == (Presence.ON_BREAK, MISSED_BREAK)
    centre.present("ann", Presence.AVAILABLE)
    assert centre.board.row("ann").not_before == 0.0, "who is back is asked at once"


def test_an_answered_call_ends_the_run_of_missed_ones(centre: ContactCentre) -> None:
    centre.happen(centre.offer("ann"), E.RING, E.NO_ANSWER)
    centre.now += 10
    centre.make_offers()
    centre.converse("ann", 30)
    assert centre.board.row("ann").missed == 0


def test_counters_survive_a_break_and_begin_again_on_another_day(centre: ContactCentre) -> None:
    centre.converse("ann", 30)
    centre.present("ann", Presence.SIGNED_OUT)
    centre.present("ann", Presence.AVAILABLE)
    row = centre.board.row("ann")
    assert (row.calls, row.talk_time) == (1, 30.0)


def test_a_caller_leaves_once_and_not_while_an_offer_is_open(centre: ContactCentre) -> None:
    with pytest.raises(IllegalTransition):
        leave(centre.board.entries["e1"], Exit.ABANDONED, centre.now)
    centre.now += 7
    centre.leave("e1")
    assert "e1" not in centre.board.entries
    assert centre.facts[-1].data == {"entry": "e1", "exit": "abandoned", "waited": 7.0}
    assert centre.board.row("ann").busy["voice"] == 0


def test_an_event_that_does_not_fit_changes_nothing(centre: ContactCentre) -> None:
    offer = centre.offer("ann")
    with pytest.raises(IllegalTransition):
        centre.happen(offer, E.BRIDGE)
    assert centre.board.offers[offer.id] == offer


def test_signing_out_in_a_conversation_lets_it_end(centre: ContactCentre) -> None:
    offer = centre.offer("ann")
    centre.happen(offer, E.RING, E.ANSWER, E.BRIDGE)
    centre.present("ann", Presence.SIGNED_OUT)
    assert state_of(centre.board.row("ann"), centre.board.offers.values()) == "talking"
    centre.call("sales")
    centre.happen(offer, E.HANG_UP, E.WRAPPED_UP)
    assert centre.look() == ()


def test_the_second_who_answers_a_caller_of_all_cannot_be_bridged_too() -> None:
    centre = ContactCentre(
        [agent("ann"), agent("bob")], [queue("all", ["ann", "bob"], strategy="ring_all")]
    )
    centre.sign_in("ann", "bob")
    centre.call("all")
    assert centre.make_offers() == {"e1": ["ann", "bob"]}
    ann, bob = centre.offer("ann"), centre.offer("bob")
    centre.happen(ann, E.RING, E.ANSWER)
    centre.happen(bob, E.RING, E.ANSWER)
    centre.happen(ann, E.BRIDGE)
    with pytest.raises(IllegalTransition):
        centre.happen(bob, E.BRIDGE)
    centre.happen(bob, E.WITHDRAW)
    assert centre.board.row("bob").busy["voice"] == 0
