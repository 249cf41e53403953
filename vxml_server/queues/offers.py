"""The offers that one worker makes of its callers, from the reservation to the end.

The rules that must hold: an offer that was stored is made, and one that is made was stored; a
caller who is about to be offered is not let go before that is known; of several offers of a caller
one is bridged, and that ends the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from vxml_server.queues.matching import Assignment
from vxml_server.queues.offering import Offering
from vxml_server.queues.replica import Replica
from vxml_server.queues.rows import Change, Offer
from vxml_server.queues.tasks import to_the_end
from vxml_server.queues.telephony import Caller
from vxml_server.queues.transitions import IllegalTransition, OfferEvent, claim

THEIR_TIME = 2.0
"""Seconds for which an agent is kept for another worker's caller whose turn it is."""


class Offers:
    """The offers and conversations of this worker that have not ended. Used on one loop."""

    def __init__(
        self,
        replica: Replica,
        callers: dict[str, Caller],
        new_id: Callable[[], str],
        monotonic: Callable[[], float],
    ) -> None:
        """`callers` are this worker's by their entries; who is bridged is taken out.

        `monotonic` is the clock (seconds) by which telephones ring.
        """
        self._replica = replica
        self._board = replica.board
        self._callers = callers
        self._new_id = new_id
        self._monotonic = monotonic
        self._offerings: dict[str, Offering] = {}
        self._claiming: dict[str, asyncio.Future[None]] = {}
        """Entries that are about to be offered: who leaves meanwhile waits until it is known."""
        self._promised: dict[str, str] = {}
        """Agents by the entries that are offered to them and to nobody else until that is over."""

    def get(self, offer_id: str) -> Offering | None:
        """An offer or a conversation of this worker that has not ended."""
        return self._offerings.get(offer_id)

    # Making ------------------------------------------------------------------------------------

    async def make(self, now: float) -> None:
        """Makes the offers that are due, in their order; when another worker was faster than one of
        them, what is left is decided anew, for that caller may now be the next for an agent of the
        others."""
        left = list(self._board.assignments(now))
        while left:
            if not self._is_ours(left[0]):
                self._leave_to_others(left[0], now)
            elif not await to_the_end(self._offer(left[0])):
                for one in left:
                    self._board.touch({one.queue, *self._board.queues_of(one.agent)})
                return
            del left[0]

    def _leave_to_others(self, assignment: Assignment, now: float) -> None:
        """What is not ours to offer: another worker's caller, or one who is about to leave or is
        promised to somebody. The agent must not be kept for him for longer than that takes."""
        entry = self._board.entries.get(assignment.entry)
        if entry is not None and entry.worker != self._replica.ledger.worker:
            self._board.pass_over(assignment, now + THEIR_TIME)
            return
        self._board.pass_over(assignment, now)
        self._board.touch(self._board.queues_of(assignment.agent))

    async def offer_to(self, entry_id: str, agent: str) -> bool:
        """Offers a waiting caller of this worker to an agent, whatever the strategy; what else was
        offered of him is withdrawn, and nobody else is asked until the agent has answered or not.

        False when he does not wait here, or the agent cannot take him now: then nothing changes.
        """
        self.promise(entry_id, agent)
        try:
            await self._claimed(entry_id)
            others = [one for one in self._offerings_of(entry_id) if one.offer.agent != agent]
            entry = self._board.entries.get(entry_id)
            if entry is not None and not self._is_offered_to(entry_id, agent):
                await to_the_end(self._offer(Assignment(entry_id, agent, entry.queue)))
        finally:
            if not self._is_offered_to(entry_id, agent):
                self._redeem(entry_id, agent)
        if not self._is_offered_to(entry_id, agent):
            return False
        await asyncio.gather(*(one.stop(OfferEvent.WITHDRAW) for one in others))
        return True

    def promise(self, entry_id: str, agent: str) -> None:
        """Until `offer_to` has offered him to the agent the caller is offered to nobody."""
        self._promised[entry_id] = agent

    def break_promise(self, entry_id: str) -> None:
        """The caller whom an agent was promised does not come to wait."""
        self._promised.pop(entry_id, None)

    def _redeem(self, entry_id: str, agent: str) -> None:
        """The agent has been asked: the caller is anybody's again."""
        if self._promised.get(entry_id) == agent:
            del self._promised[entry_id]
            self._board.consider(entry_id)
            if (entry := self._board.entries.get(entry_id)) is not None:
                self._board.touch([entry.queue])
                self._replica.news.set()

    async def _offer(self, assignment: Assignment) -> bool:
        """Reserves the agent and rings him: both, or neither. False when it came too late."""
        entry_id = assignment.entry
        while entry_id in self._claiming:
            await self._claimed(entry_id)
        change = self._claim(assignment)
        if change is None:
            return False
        self._claiming[entry_id] = asyncio.get_running_loop().create_future()
        try:
            done = await self._replica.stored(change)
            if done:
                await self._ring(change.offers[0])
        finally:
            self._claiming.pop(entry_id).set_result(None)
        return done

    def _is_ours(self, assignment: Assignment) -> bool:
        """Whether this worker has the caller, and he is neither about to leave nor promised to
        somebody else."""
        entry = self._board.entries.get(assignment.entry)
        return (
            entry is not None
            and entry.worker == self._replica.ledger.worker
            and entry.id in self._callers
            and entry.queue in self._board.rosters
            and self._promised.get(entry.id, assignment.agent) == assignment.agent
        )

    def _claim(self, assignment: Assignment) -> Change | None:
        """None when the agent or the caller is not free (any more)."""
        entry = self._board.entries.get(assignment.entry)
        agent = self._board.agents.get(assignment.agent)
        if entry is None or agent is None or not self._is_ours(assignment):
            return None
        if self._is_offered_to(entry.id, agent.name):
            return None
        try:
            return claim(agent.row, agent.profile, entry, self._new_id(), self._replica.now())
        except IllegalTransition:
            return None

    async def _ring(self, offer: Offer) -> None:
        if offer.id not in self._board.offers:
            # This worker stood still: others took it for dead and have ended the offer, which it
            # read in the log before it knew that the offer was stored.
            return
        caller = self._callers.get(offer.entry)
        candidate = self._board.agents.get(offer.agent)
        if caller is None or candidate is None:
            # Gone while he was being reserved: the caller, or the agent's definition.
            gone = OfferEvent.CALLER_GONE if caller is None else OfferEvent.WITHDRAW
            await self._replica.advance(offer.id, gone)
            return
        made = Offering(offer, candidate.profile, caller, self._advance, self._monotonic)
        self._offerings[offer.id] = made

        def done() -> None:
            del self._offerings[offer.id]
            self._redeem(offer.entry, offer.agent)

        made.start(done)

    async def _advance(self, offer_id: str, event: OfferEvent) -> bool:
        """Moves an offer that is being made; the first who is bridged ends the others."""
        done = await self._replica.advance(offer_id, event)
        if done and event is OfferEvent.BRIDGE:
            entry_id = self._offerings[offer_id].offer.entry
            self._callers.pop(entry_id, None)
            others = [one for one in self._offerings_of(entry_id) if one.offer.id != offer_id]
            await asyncio.gather(*(one.stop(OfferEvent.WITHDRAW) for one in others))
        return done

    # Ending ------------------------------------------------------------------------------------

    async def part(self, offer_id: str) -> bool:
        """Ends an offer or a conversation of this worker; False when it is not one."""
        offering = self._offerings.get(offer_id)
        if offering is None:
            return False
        await offering.stop(OfferEvent.WITHDRAW)
        return True

    async def withdraw(self, entry_id: str, event: OfferEvent) -> None:
        """Ends all that is offered of a caller with this event, also what is about to be.

        Telephones are hung up at once, whatever is still being stored.
        """
        for offering in self._offerings_of(entry_id):
            offering.end(event)
        await self._claimed(entry_id)
        for offering in self._offerings_of(entry_id):
            await offering.stop(event)

    async def stop(self) -> None:
        """Ends every offer and conversation."""
        offerings = list(self._offerings.values())
        await asyncio.gather(*(one.stop(OfferEvent.WITHDRAW) for one in offerings))

    def were_moved(self, offers: Collection[str]) -> None:
        """Others may have changed these: who is not reserved any more is let go."""
        for offer_id in offers:
            offering = self._offerings.get(offer_id)
            offer = self._board.offers.get(offer_id)
            if offering is not None and (offer is None or offer.outcome is not None):
                # Nobody may go on ringing or talking as if nothing had happened.
                offering.end(OfferEvent.LOSE)

    def forsaken(self) -> set[str]:
        """Offers of this worker on the board that it does not make; there should be none."""
        return {
            offer.id
            for offer in self._board.offers.values()
            if offer.worker == self._replica.ledger.worker
            and offer.outcome is None
            and offer.id not in self._offerings
        }

    async def _claimed(self, entry_id: str) -> None:
        """Returns when it is known whether a caller who is about to be offered is."""
        if (claiming := self._claiming.get(entry_id)) is not None:
            await asyncio.wait([claiming])

    def _offerings_of(self, entry_id: str) -> list[Offering]:
        return [one for one in self._offerings.values() if one.offer.entry == entry_id]

    def _is_offered_to(self, entry_id: str, agent: str) -> bool:
        return any(one.offer.agent == agent for one in self._offerings_of(entry_id))
