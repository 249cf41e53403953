"""The board of a worker: what it forgets, and when it looks again."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from tests.queues.contact_centre import ContactCentre, agent, queue
from vxml_server.queues.board import REMEMBERED
from vxml_server.queues.profiles import TierRules
from vxml_server.queues.rows import Change
from vxml_server.queues.transitions import OfferEvent


def test_nothing_grows_with_the_number_of_callers_who_were_there() -> None:
    centre = ContactCentre([agent("ann", wrap_up_time=0.0)], [queue("sales", ["ann"])])
    centre.sign_in("ann")
    board = centre.board
    for number in range(300):
        entry = centre.call("sales")
        centre.make_offers()
        centre.converse("ann", 1.0)
        centre.facts.clear()
        centre.changes.clear()
        # What other workers' callers leave behind is forgotten without having been known.
        board.forget(
            [f"theirs{number}.{one}" for one in range(200)],
            [f"offer{number}.{one}" for one in range(200)],
        )
        assert entry not in board.entries
    kept = [
        board.entries,
        board.offers,
        board.wrap_ups,
        board._waiting["sales"],
        board._offers_of_agent["ann"],
        board._offers_of_entry,
    ]
    assert [len(one) for one in kept] == [0] * len(kept)
    assert len(board._over) == REMEMBERED


def test_an_older_form_of_a_row_that_is_over_does_not_bring_it_back() -> None:
    centre = ContactCentre([agent("ann")], [queue("sales", ["ann"])])
    entry_id = centre.call("sales")
    entry = centre.board.entries[entry_id]
    centre.board.forget([entry_id], [])
    centre.board.apply(Change(entries=(entry, replace(entry, generation=entry.generation + 5))))
    assert entry_id not in centre.board.entries


def test_a_queue_that_is_removed_is_not_waited_for() -> None:
    sales = queue("sales", ["ann", "bob"], tier_rules=TierRules(wait=10.0))
    sales = replace(sales, members=(sales.members[0], replace(sales.members[1], tier=2)))
    centre = ContactCentre([agent("ann"), agent("bob")], [sales])
    centre.sign_in("bob")
    centre.present("ann", centre.board.row("bob").presence)
    ann = centre.call("sales")
    centre.make_offers()
    centre.happen(centre.offer("ann"), OfferEvent.RING, OfferEvent.REFUSE)
    centre.look()
    assert ann in centre.board.entries
    assert 0.0 < centre.board.next_wake() < inf
    centre.board.define([agent("ann"), agent("bob")], [], [])
    centre.look()
    assert centre.board.next_wake() == inf
