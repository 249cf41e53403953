"""The audio that is heard while a document is fetched (VoiceXML 2.0 section 6.1.5).

It is repeated until the document is there. The rules that must hold: what comes out of the cache is
not accompanied; no wait outlasts the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from vxml_server.calls.leg import Leg
from vxml_server.calls.mailbox import Ended
from vxml_server.calls.rendering import PromptRenderer
from vxml_server.clock import Clock
from vxml_server.fetch import Resource
from vxml_server.interpreter import Waiting
from vxml_server.media import Sound

# Seconds in which what is in the cache is there, whatever `fetchaudiodelay` says.
AT_HAND = 0.05
_T = TypeVar("_T")


class FetchAudio:
    """Plays once; nobody else may play on the leg meanwhile."""

    def __init__(self, leg: Leg, clock: Clock, renderer: PromptRenderer) -> None:
        self._leg = leg
        self._clock = clock
        self._renderer = renderer
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        leg.when_ended(self._on_ended)

    def _on_ended(self, ended: Ended) -> None:
        if not self._gone.done():
            self._gone.set_result(None)

    async def play(self, waiting: Waiting, work: asyncio.Future[Resource]) -> None:
        """Returns when `work` is done and the audio was heard for its minimum, or at a hang-up."""
        rendering = asyncio.ensure_future(self._renderer.audio(waiting.audio))
        try:
            await self._unless_over(work, self._clock.sleep(max(waiting.delay, AT_HAND)))
            sound = await self._unless_over(work, asyncio.shield(rendering))
            if sound is not None and len(sound) and not work.done():
                await self._play(sound, waiting.minimum, work)
        finally:
            rendering.cancel()
            await asyncio.gather(rendering, return_exceptions=True)

    async def _play(self, sound: Sound, minimum: float, work: asyncio.Future[Resource]) -> None:
        await self._leg.prepare(sound)
        until = self._clock.monotonic() + minimum
        self._leg.play(sound, repeat=True)
        try:
            await _first(work, self._gone)
            left = until - self._clock.monotonic()
            if left > 0 and not self._gone.done():
                await self._unless_over(self._gone, self._clock.sleep(left))
        finally:
            self._leg.stop_playing()
            self._leg.events.take_keys()

    async def _unless_over(
        self, other: asyncio.Future[Resource] | asyncio.Future[None], wanted: Awaitable[_T]
    ) -> _T | None:
        """What `wanted` brings; None if `other` is done, or the caller gone, before it."""
        waiting = asyncio.ensure_future(wanted)
        try:
            await _first(waiting, other, self._gone)
            return waiting.result() if waiting.done() else None
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


async def _first(*futures: asyncio.Future[Any]) -> None:
    """Returns when one of these of whatever kind is done."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
