"""Whether registered telephones are still there: OPTIONS as a keep-alive (RFC 3261 section 11).

Each binding that this process took is asked once a period, which also keeps a NAT's mapping and a
connection open. Any final response is an answer. One that does not answer twice is not rung any
more, and asked on: it is rung again when it answers. Its next REGISTER counts as an answer too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from vxml_server.clock import Clock, Timer
from vxml_server.sip.errors import InvalidUri
from vxml_server.sip.message import Response
from vxml_server.sip.registrar_bindings import Binding
from vxml_server.sip.registrar_location import LocationService
from vxml_server.sip.standalone import StandaloneRequest
from vxml_server.store import StoreError

logger = logging.getLogger(__name__)

MISSES = 2
"""Unanswered requests after which a telephone counts as gone."""
_NO_ANSWER = frozenset({408, 503})


class Ask(Protocol):
    """Sends a request to a URI (`UserAgent.request`)."""

    def __call__(
        self, method: str, target: str, *, done: Callable[[Response], None]
    ) -> StandaloneRequest: ...


@dataclass(slots=True)
class _Watched:
    timer: Timer
    misses: int = 0
    asking: StandaloneRequest | None = None


class Watch:
    """Asks the telephones of `location` that are this process's every `period` seconds."""

    def __init__(
        self, location: LocationService, ask: Ask, clock: Clock, random: Random, period: float
    ) -> None:
        self._location = location
        self._ask = ask
        self._clock = clock
        self._random = random
        self._period = period
        self._watched: dict[str, _Watched] = {}
        self._of_user: dict[str, set[str]] = {}
        self._marking: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Watches what is registered already; a period of 0 watches nothing."""
        for user in {binding.user for binding in self._location.all()}:
            self.changed(user)

    def changed(self, user: str) -> None:
        """The bindings of `user` are others now."""
        if not self._period:
            return
        own = {
            one.id: one
            for one in self._location.bindings(user)
            if one.worker == self._location.worker
        }
        for binding_id in self._of_user.pop(user, set()) - own.keys():
            self._forget(binding_id)
        if own:
            self._of_user[user] = set(own)
        for binding in own.values():
            watched = self._watched.get(binding.id)
            if watched is None:
                # Spread out, so that not all are asked at once after a restart.
                self._later(binding.id, self._period * (0.5 + self._random.random() / 2))
            elif binding.reachable:
                watched.misses = min(watched.misses, MISSES - 1)

    async def stop(self) -> None:
        """Asks nobody any more."""
        for binding_id in list(self._watched):
            self._forget(binding_id)
        self._of_user.clear()
        if self._marking:
            await asyncio.wait(self._marking)

    def _later(self, binding_id: str, delay: float) -> None:
        timer = self._clock.call_later(delay, lambda: self._question(binding_id))
        watched = self._watched.get(binding_id)
        if watched is None:
            self._watched[binding_id] = _Watched(timer)
        else:
            watched.timer = timer

    def _forget(self, binding_id: str) -> None:
        watched = self._watched.pop(binding_id, None)
        if watched is not None:
            watched.timer.cancel()
            if watched.asking is not None:
                watched.asking.abandon()

    def _question(self, binding_id: str) -> None:
        binding = self._location.binding(binding_id)
        if binding is None:
            self._forget(binding_id)
            return
        asked_at = self._clock.monotonic()

        def done(response: Response) -> None:
            watched = self._watched.get(binding_id)
            if watched is not None:
                watched.asking = None
                taken = self._clock.monotonic() - asked_at
                self._later(binding_id, max(0.0, self._period - taken))
                self._answered(binding_id, watched, response.status not in _NO_ANSWER)

        try:
            self._watched[binding_id].asking = self._ask("OPTIONS", binding.uri, done=done)
        except InvalidUri:
            # Our transports have changed since it registered.
            self._later(binding_id, self._period)
            self._answered(binding_id, self._watched[binding_id], has_answered=False)

    def _answered(self, binding_id: str, watched: _Watched, has_answered: bool) -> None:
        watched.misses = 0 if has_answered else watched.misses + 1
        binding = self._location.binding(binding_id)
        if binding is None:
            return
        if has_answered and not binding.reachable:
            self._mark(binding, reachable=True)
        elif watched.misses >= MISSES and binding.reachable:
            self._mark(binding, reachable=False)

    def _mark(self, binding: Binding, *, reachable: bool) -> None:
        logger.info(
            "telephone %s of %s %s", binding.contact, binding.user,
            "answers again" if reachable else "does not answer",
        )  # fmt: skip
        task = asyncio.create_task(self._marked(binding.id, reachable=reachable))
        self._marking.add(task)
        task.add_done_callback(self._marking.discard)

    async def _marked(self, binding_id: str, *, reachable: bool) -> None:
        try:
            await self._location.mark(binding_id, reachable=reachable)
        except StoreError as error:
            # It is tried again after the next answer, or the next miss.
            logger.warning("registrations: the database does not answer: %s", error)
