"""Some workers' contact centres on one database, on virtual time."""

from __future__ import annotations

import random
from pathlib import Path

from tests.databases import Traffic, url_of
from tests.queues.shared import FaultyStore, last_of, quiet
from vxml_server.clock import VirtualClock
from vxml_server.queues.centre import ContactCentre
from vxml_server.queues.transitions import state_of


class World:
    """Some workers on one database."""

    def __init__(self, clock: VirtualClock, path: Path) -> None:
        self.clock = clock
        self._path = path
        self._stores: list[FaultyStore] = []
        self._traffic = Traffic()
        self.centres: list[ContactCentre] = []

    async def worker(self, name: str = "main") -> ContactCentre:
        store = await FaultyStore.open(url_of(self._path), self.clock, worker=name)
        store.traffic = self._traffic
        self._stores.append(store)
        centre = ContactCentre(store, self.clock, random.Random(len(self._stores)), worker=name)
        await centre.start()
        self.centres.append(centre)
        return centre

    async def settle(self, seconds: float = 0.0) -> None:
        """Lets everything happen that happens in so many seconds, the database's work included."""
        end = self.clock.monotonic() + seconds
        while True:
            await self._quiet()
            left = end - self.clock.monotonic()
            if left <= 1e-9:
                return
            await self.clock.elapse(min(left, 2.0))

    async def _quiet(self) -> None:
        await quiet(self._traffic, self._stores, self.centres, lambda: last_of(self._stores[0]))

    async def facts(self) -> list[str]:
        return [event.name for event in await self._stores[0].events()]

    async def close(self) -> None:
        for centre in self.centres:
            await centre.stop()
        for store in self._stores:
            await store.close()


def state(centre: ContactCentre, name: str) -> str:
    return state_of(centre.board.row(name), centre.board.offers_of_agent(name))
