"""A contact centre without telephones or database: a board, changed by transitions alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import UTC
from typing import Any

from vxml_server.queues.board import Board
from vxml_server.queues.matching import Assignment
from vxml_server.queues.profiles import Agent, Group, Member, Queue, Strategy
from vxml_server.queues.rows import (
    Change,
    Entry,
    Exit,
    Fact,
    Offer,
    OfferState,
    Presence,
    day_of,
)
from vxml_server.queues.transitions import OfferEvent, advance, claim, enter, leave, present

BEGINNING = 1000.0
TODAY = day_of(BEGINNING, UTC)


def agent(name: str, **values: Any) -> Agent:
    """An agent with a telephone of the same name; `values` as in `Agent`, hence of any type."""
    return Agent(name, line=name, **values)


def queue(name: str, agents: Iterable[str] = (), **values: Any) -> Queue:
    """A queue of these agents in this order, all in one tier."""
    if isinstance(values.get("strategy"), str):
        values["strategy"] = Strategy(values["strategy"])
    members = values.pop("members", None) or tuple(
        Member(agent=one, position=number) for number, one in enumerate(agents, start=1)
    )
    return Queue(name, members, **values)


class ContactCentre:
    """The board and what happened; `now` is moved by hand."""

    def __init__(
        self, agents: Iterable[Agent], queues: Iterable[Queue], groups: Iterable[Group] = ()
    ) -> None:
        self.now = BEGINNING
        self.board = Board()
        self.board.define(agents, groups, queues)
        self.facts: list[Fact] = []
        self.changes: list[Change] = []
        self._entries = itertools.count(1)
        self._offers = itertools.count(1)

    def do(self, change: Change) -> None:
        self.board.apply(change)
        self.changes.append(change)
        self.facts += change.facts

    def sign_in(self, *names: str) -> None:
        for name in names:
            self.present(name, Presence.AVAILABLE)

    def present(self, name: str, presence: Presence, reason: str = "", by: str = "") -> None:
        self.do(present(self.board.row(name), presence, self.now, reason, by))

    def call(self, queue: str, **values: Any) -> str:
        """A caller enters; the answer is the id of the entry."""
        number = next(self._entries)
        values.setdefault("entered_at", self.now)
        entry = Entry(f"e{number}", queue, f"call{number}", "main", **values)
        self.do(enter(entry, self.now))
        return entry.id

    def look(self) -> tuple[Assignment, ...]:
        """The assignments that are due now, not made."""
        return self.board.assignments(self.now)

    def make_offers(self) -> dict[str, list[str]]:
        """Makes offers until none is due; the agents by caller."""
        made: dict[str, list[str]] = {}
        while self.board.next_wake() <= self.now:
            for assignment in self.look():
                self.claim(assignment)
                made.setdefault(assignment.entry, []).append(assignment.agent)
        return made

    def claim(self, assignment: Assignment) -> Offer:
        candidate = self.board.agents[assignment.agent]
        entry = self.board.entries[assignment.entry]
        offer_id = f"o{next(self._offers)}"
        self.do(claim(candidate.row, candidate.profile, entry, offer_id, self.now))
        return self.board.offers[offer_id]

    def offer(self, agent: str) -> Offer:
        """The one offer of an agent that is not wrapping up."""
        (found,) = (
            offer
            for offer in self.board.offers_of_agent(agent)
            if offer.state is not OfferState.WRAPPING_UP
        )
        return found

    def happen(self, offer: Offer, *events: OfferEvent) -> None:
        for event in events:
            one = self.board.offers[offer.id]
            known = self.board.agents.get(one.agent)
            profile = agent(one.agent) if known is None else known.profile
            entry = self.board.entries.get(one.entry)
            self.do(
                advance(
                    *(one, event, self.board.row(one.agent), profile, entry),
                    now=self.now,
                    today=day_of(self.now, UTC),
                )
            )

    def converse(self, agent: str, seconds: float) -> None:
        """The agent answers, talks and wraps up."""
        offer = self.offer(agent)
        self.happen(offer, OfferEvent.RING, OfferEvent.ANSWER, OfferEvent.BRIDGE)
        self.now += seconds
        self.happen(offer, OfferEvent.HANG_UP, OfferEvent.WRAPPED_UP)

    def release(self, agent: str) -> bool:
        """Ends an agent's wrap-up before its time; False when there is none."""
        wrapping = [
            offer
            for offer in self.board.offers_of_agent(agent)
            if offer.state is OfferState.WRAPPING_UP
        ]
        for offer in wrapping:
            self.happen(offer, OfferEvent.WRAPPED_UP)
        return bool(wrapping)

    def leave(self, entry: str, reason: Exit = Exit.ABANDONED) -> None:
        gone = OfferEvent.CALLER_GONE if reason is Exit.ABANDONED else OfferEvent.WITHDRAW
        for offer in self.board.offers_of_entry(entry):
            self.happen(offer, gone)
        self.do(leave(self.board.entries[entry], reason, self.now))

    def names(self) -> list[str]:
        """The facts so far, by name."""
        return [fact.name for fact in self.facts]


ONE_BY_ONE = tuple(
    one for one in Strategy if one not in {Strategy.RING_ALL, Strategy.RING_PROGRESSIVELY}
)
"""Those that offer a caller to one agent at a time."""
