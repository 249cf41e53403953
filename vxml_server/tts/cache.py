"""Prompts said before: an IVR says the same few hundred sentences all day.

Speech is kept by its request and the identity of the engine, up to a number of bytes; what was not
asked for the longest goes first. Callers that ask for the same prompt while it is being made share
one synthesis: two hundred calls at opening time cost one. It goes on as long as one of them waits,
and is cancelled when the last gives up.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from vxml_server.tts.speech import Speech, SpeechRequest, Synthesizer

MAX_BYTES = 64 * 2**20  # about 70 minutes of speech
OVERHEAD = 512  # bytes of an entry beside its samples and its document

Key = tuple[SpeechRequest, str]


@dataclass(slots=True)
class _Flight:
    """A synthesis under way and how many wait for it."""

    task: asyncio.Task[Speech]
    waiting: int = 0


class CachingSynthesizer:
    """A `Synthesizer` that remembers what another one said. For one event loop.

    `voices` are the operator's choice for a language (`fr`, `fr-CA`), where the request has none.
    """

    def __init__(
        self,
        engine: Synthesizer,
        *,
        max_bytes: int = MAX_BYTES,
        voices: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._engine = engine
        self._voices = {lang.lower(): voice for lang, voice in voices.items()}
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Key, Speech] = OrderedDict()
        self._flights: dict[Key, _Flight] = {}
        self.bytes = 0
        self.hits = 0  # answered from memory, or by a synthesis already under way
        self.misses = 0

    @property
    def identity(self) -> str:
        return self._engine.identity

    async def synthesize(self, request: SpeechRequest) -> Speech:
        request = self._voiced(request)
        key = (request, self._engine.identity)
        if (speech := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            self.hits += 1
            return speech
        flight = self._flights.get(key)
        if flight is None:
            self.misses += 1
            task = asyncio.create_task(self._engine.synthesize(request), name="synthesis")
            flight = self._flights[key] = _Flight(task)
            task.add_done_callback(lambda task: self._landed(key, task))
        else:
            self.hits += 1
        return await self._wait(key, flight)

    def _voiced(self, request: SpeechRequest) -> SpeechRequest:
        """The request with the operator's voice for its language, the nearest tag first."""
        lang = request.lang.lower()
        voice = self._voices.get(lang) or self._voices.get(lang.partition("-")[0])
        return request if voice is None or request.voice else replace(request, voice=voice)

    async def _wait(self, key: Key, flight: _Flight) -> Speech:
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                # Nobody may join a synthesis that is being given up.
                self._flights.pop(key, None)
                flight.task.cancel()

    def _landed(self, key: Key, task: asyncio.Task[Speech]) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight.task is task:
            del self._flights[key]
        if not task.cancelled() and task.exception() is None:
            self._keep(key, task.result())

    def _keep(self, key: Key, speech: Speech) -> None:
        size = _size(key, speech)
        if size > self._max_bytes:
            return
        if (before := self._kept.pop(key, None)) is not None:
            self.bytes -= _size(key, before)
        self._kept[key] = speech
        self.bytes += size
        while self.bytes > self._max_bytes:
            oldest, gone = self._kept.popitem(last=False)
            self.bytes -= _size(oldest, gone)


def _size(key: Key, speech: Speech) -> int:
    return speech.pcm.nbytes + 2 * len(key[0].ssml) + OVERHEAD
