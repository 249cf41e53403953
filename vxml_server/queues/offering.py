"""One offer on a telephone: dial, wait for the answer, bridge, wait for the end.

The rules that must hold: the offer is moved on by what really happened, in that order; it is
bridged only when the agent has answered and the caller is still there; whatever ends it, and
whoever, its telephone is hung up and the offer has an outcome. What is stored may take long: the
two talk meanwhile, and neither waits for it when the other has gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any

import structlog

from vxml_server.queues.profiles import Agent
from vxml_server.queues.rows import Offer
from vxml_server.queues.telephony import Caller, CannotRing, Happening, Telephone
from vxml_server.queues.transitions import OfferEvent
from vxml_server.store import StoreError

_log = structlog.get_logger(__name__)

# How a telephone's refusal ends an offer that is not bridged.
_REFUSALS: Mapping[Happening, OfferEvent] = MappingProxyType(
    {
        Happening.BUSY: OfferEvent.BUSY,
        Happening.REFUSED: OfferEvent.REFUSE,
        Happening.NO_ANSWER: OfferEvent.NO_ANSWER,
        Happening.FAILED: OfferEvent.FAIL,
        Happening.HUNG_UP: OfferEvent.FAIL,
    }
)

Advance = Callable[[str, OfferEvent], Awaitable[bool]]
"""Moves an offer on and stores it; False when the offer does not stand so any more."""


class Offering:
    """One offer being made. `run` it in a task of its own; `stop` ends it from outside."""

    def __init__(
        self,
        offer: Offer,
        agent: Agent,
        caller: Caller,
        advance: Advance,
        now: Callable[[], float],
    ) -> None:
        self.offer = offer
        self.caller = caller
        self.is_bridged = False
        """Whether it is a conversation, and stored as one."""
        self._agent = agent
        self._advance = advance
        self._now = now
        self._stopped: asyncio.Future[OfferEvent] = asyncio.get_running_loop().create_future()
        self._telephone: Telephone | None = None
        """Until the caller is connected with it."""
        self._is_served = False
        self._is_parted = False
        """What the caller has been told."""
        self._task: asyncio.Task[None] | None = None

    def start(self, done: Callable[[], None]) -> None:
        """Begins; `done` is called when all is over."""
        self._task = asyncio.create_task(self._run(), name=f"offer {self.offer.id}")
        self._task.add_done_callback(partial(self._over, done))

    def _over(self, done: Callable[[], None], task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            # The worker's audit ends the offer.
            _log.error("an offer has no end", offer=self.offer.id, exc_info=error)
        done()

    async def ended(self) -> None:
        """Returns when it has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def end(self, event: OfferEvent) -> None:
        """Ends the offer with this event (`CALLER_GONE`, `WITHDRAW`, `LOSE`), a conversation as one
        that was hung up. One that has ended already stays as it ended."""
        if self._stopped.done():
            return
        self._stopped.set_result(event)
        if self._telephone is not None:
            # What is being stored may take long; the agent does not wait for it.
            self._telephone.hang_up()

    async def stop(self, event: OfferEvent) -> None:
        """As `end`; returns when it has ended."""
        self.end(event)
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        # Never cancelled: what is being stored is stored, and then it is known.
        telephone: Telephone | None = None
        event = OfferEvent.FAIL
        try:
            telephone = self._telephone = self.caller.ring(self._agent, self.offer)
            event = await self._until_over(telephone)
        except CannotRing as error:
            _log.info("agent cannot be rung", agent=self._agent.name, error=str(error))
        except _Stopped:
            event = self._stopped.result()
        except StoreError as error:
            _log.warning("an offer cannot go on", offer=self.offer.id, error=str(error))
        except Exception:
            # A defect of ours costs this offer and no other.
            _log.exception("an offer failed", offer=self.offer.id, agent=self._agent.name)
        if telephone is not None:
            telephone.hang_up()
        if self.is_bridged:
            event, self.is_bridged = OfferEvent.HANG_UP, False
            self._part()
        try:
            await self._advance(self.offer.id, event)
        except StoreError as error:
            # This worker stops without its database; another one puts right what it leaves.
            _log.warning("an offer's end is not stored", offer=self.offer.id, error=str(error))

    async def _until_over(self, telephone: Telephone) -> OfferEvent:
        """From dialling to the end; the answer is how it ended."""
        if (refused := await self._until_answered(telephone)) is not None:
            return refused
        if not await self._advance(self.offer.id, OfferEvent.ANSWER):
            return OfferEvent.WITHDRAW
        if self._stopped.done():
            raise _Stopped
        self._telephone = None
        if not await self.caller.connect(telephone, self.offer):
            return OfferEvent.WITHDRAW
        try:
            # An agent who has gone in the gap must not be taken for one who talks.
            if await self._hear(telephone, 0.0) is Happening.HUNG_UP:
                return OfferEvent.AGENT_DROP
            await self._converse(telephone)
        finally:
            if not self._is_served:
                self.caller.disconnect()
        return OfferEvent.WITHDRAW

    async def _converse(self, telephone: Telephone) -> None:
        """From the bridge to the end of the conversation, of which it is stored that it began.

        It may be over before that: then it was one all the same, but for those that others have
        ended, because they took this worker for dead.
        """
        storing = asyncio.ensure_future(self._advance(self.offer.id, OfferEvent.BRIDGE))
        over = asyncio.ensure_future(self._until_hung_up(telephone))
        try:
            await asyncio.wait({storing, over}, return_when=asyncio.FIRST_COMPLETED)
            if not storing.done():
                telephone.hang_up()
                if not self._is_lost:
                    self._serve()
                    self._part()
            self.is_bridged = await storing
            if self.is_bridged:
                self._serve()
                await over
        finally:
            over.cancel()
            await asyncio.gather(over, return_exceptions=True)

    async def _until_hung_up(self, telephone: Telephone) -> None:
        """Returns when the agent has hung up, or is to."""
        with suppress(_Stopped):
            while await self._hear(telephone, None) is not Happening.HUNG_UP:
                pass

    @property
    def _is_lost(self) -> bool:
        return self._stopped.done() and self._stopped.result() is OfferEvent.LOSE

    def _serve(self) -> None:
        if not self._is_served:
            self._is_served = True
            self.caller.served(self.offer)

    def _part(self) -> None:
        if not self._is_parted:
            self._is_parted = True
            self.caller.parted(self.offer)

    async def _until_answered(self, telephone: Telephone) -> OfferEvent | None:
        """None once the agent has answered; otherwise how the offer ends."""
        deadline = self._now() + self._agent.ring_time
        while True:
            happened = await self._hear(telephone, max(0.0, deadline - self._now()))
            match happened:
                case Happening.ANSWERED:
                    return None
                case Happening.RINGING:
                    # Told once; if the offer does not stand so any more, `end` has been called or
                    # is about to be.
                    await self._advance(self.offer.id, OfferEvent.RING)
                case None:
                    return OfferEvent.NO_ANSWER
                case _:
                    return _REFUSALS[happened]

    async def _hear(self, telephone: Telephone, seconds: float | None) -> Happening | None:
        """What happens next on the telephone; raises `_Stopped` when the offer is to end."""
        hearing = asyncio.ensure_future(telephone.next(seconds))
        either: set[asyncio.Future[Any]] = {hearing, self._stopped}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not self._stopped.done():
                return hearing.result()
        finally:
            if not hearing.done():
                hearing.cancel()
                await asyncio.wait([hearing])
        # It may have been hung up by us: what it tells then has not happened to the offer.
        raise _Stopped


class _Stopped(Exception):
    """The offer is to end from our side."""
