"""Fetching ahead: what a document is going to need, before it needs it (VoiceXML 2.0, 6.1.1).

A `Prefetcher` stands before the fetcher of one call. What was begun ahead answers the next fetch of
the same request, once, so that nothing is asked of a server twice for being prefetched. The rule
that must hold: prefetching changes when something is fetched, never what comes of it; a fetch that
failed ahead is made again when it is wanted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch.resource import FetchRequest, Resource, ResourceFetcher

MOST_AT_ONCE = 4
# As much as a call holds of what it may never need.
MOST_WAITING = 50


class Prefetcher:
    """A `ResourceFetcher` that can be told what will be wanted; `close` it with the call."""

    def __init__(self, fetcher: ResourceFetcher) -> None:
        self._fetcher = fetcher
        self._ahead: dict[FetchRequest, asyncio.Task[Resource]] = {}
        self._begun: set[FetchRequest] = set()
        self._free = asyncio.Semaphore(MOST_AT_ONCE)

    def prefetch(self, requests: Iterable[FetchRequest]) -> None:
        """Begins to fetch, a few at a time, what is not under way already."""
        for request in requests:
            if len(self._ahead) >= MOST_WAITING:
                return
            if request.method == "GET" and request not in self._ahead:
                task = asyncio.create_task(self._bring(request), name="prefetch")
                # Whoever wants it is told what went wrong; if nobody does, nobody is.
                task.add_done_callback(lambda done: done.cancelled() or done.exception())
                self._ahead[request] = task

    async def fetch(self, request: FetchRequest) -> Resource:
        """As the fetcher's, from what was begun ahead if it was."""
        task = self._ahead.pop(request, None)
        if task is not None and request in self._begun:
            self._begun.discard(request)
            try:
                return await asyncio.shield(task)
            except VoiceXmlEvent:
                pass
        elif task is not None:
            # It waits for its turn, and is wanted now.
            task.cancel()
        return await self._fetcher.fetch(request)

    def close(self) -> None:
        """Gives up what nobody wanted."""
        for task in self._ahead.values():
            task.cancel()
        self._ahead.clear()
        self._begun.clear()

    async def _bring(self, request: FetchRequest) -> Resource:
        async with self._free:
            self._begun.add(request)
            return await self._fetcher.fetch(request)
