"""Prompts said before: an IVR says the same few hundred sentences all day.

Speech is kept by its key (`key_of`), up to a number of bytes; what was not asked for the longest
goes first. Behind memory there may be a folder (`DiskCache`), which outlasts the process.

Callers that ask for the same prompt while it is being made share one synthesis, each hearing it
from its beginning: two hundred calls at opening time cost one. It goes on as long as one of them
listens, and is cancelled when the last gives up; only what came whole is kept. Whoever listens is
told how it ended, whatever ended it. It is made as fast as it can be, for whoever listens asks on
without waiting for what is heard, so a prompt has a greatest length (`MAX_SECONDS`).

What goes to disk: only speech whose text stands in a document as it is (`SpeechRequest.is_fixed`),
and of that only what was asked for twice. A prompt with the balance of an account in it is never
written, however often it is repeated.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from types import MappingProxyType

from vxml_server.events import VoiceXmlEvent
from vxml_server.tts.disk import DiskCache
from vxml_server.tts.key import key_of
from vxml_server.tts.speech import (
    RATE,
    Chunk,
    Speech,
    SpeechRequest,
    Synthesizer,
    joined,
)

MAX_BYTES = 64 * 2**20  # about 70 minutes of speech
MAX_SECONDS = 1800.0  # of one prompt: 28 MB
OVERHEAD = 512  # bytes of an entry beside its samples and its key


class _Flight:
    """A synthesis under way: what has come of it, for all who listen."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.listeners = 0
        self.task: asyncio.Task[None] | None = None
        self.is_over = False
        self._error: Exception | None = None
        self._news = asyncio.Event()

    def add(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self._tell()

    def end(self, error: Exception | None = None) -> None:
        self.is_over, self._error = True, error
        self._tell()

    def _tell(self) -> None:
        """Wakes those who wait; the next time they wait for something else."""
        self._news.set()
        self._news = asyncio.Event()

    async def hear(self) -> AsyncGenerator[Chunk]:
        place = 0
        while True:
            while place < len(self.chunks):
                place += 1
                yield self.chunks[place - 1]
            if self.is_over:
                break
            await self._news.wait()
        if self._error is not None:
            raise self._error


class CachingSynthesizer:
    """A `Synthesizer` that remembers what another one said. For one event loop.

    `voices` are the operator's choice for a language (`fr`, `fr-CA`), where none is asked for.
    What was kept comes in one chunk, always the same object, with `is_last`.
    """

    def __init__(
        self,
        engine: Synthesizer,
        *,
        max_bytes: int = MAX_BYTES,
        voices: Mapping[str, str] = MappingProxyType({}),
        disk: DiskCache | None = None,
    ) -> None:
        self._engine = engine
        self._voices = tuple((lang.lower(), voice) for lang, voice in voices.items())
        self._max_bytes = max_bytes
        self._disk = disk
        self._kept: OrderedDict[str, Chunk] = OrderedDict()
        self._flights: dict[str, _Flight] = {}
        self._writing: set[asyncio.Task[bool]] = set()
        self._written: set[str] = set()  # or read from there
        self.bytes = 0
        self.hits = 0  # answered from memory, or by a synthesis already under way
        self.disk_hits = 0  # answered from the folder
        self.misses = 0

    @property
    def identity(self) -> str:
        return self._engine.identity

    async def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
        request = self._voiced(request)
        key = key_of(request, self._engine.identity)
        if (whole := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            self.hits += 1
            self._write(key, request, whole)
            yield whole
            return
        flight = self._flights.get(key)
        if flight is None:
            flight = self._take_off(key, request)
        else:
            self.hits += 1
        flight.listeners += 1
        try:
            async for chunk in flight.hear():
                yield chunk
        finally:
            flight.listeners -= 1
            if not flight.listeners and flight.task is not None and not flight.is_over:
                # Nobody may join a synthesis that is being given up.
                self._forget(key, flight)
                flight.task.cancel()

    async def preserve(self, request: SpeechRequest) -> tuple[Speech, bool]:
        """The speech of a request, put into the folder; and whether it had been there before.

        Raises what `stream` raises, and `error.noresource` when there is no folder, it cannot be
        written to, or an engine of second choice spoke.
        """
        request = self._voiced(request)
        key = key_of(request, self._engine.identity)
        disk = self._disk
        if disk is None:
            raise VoiceXmlEvent("error.noresource", "there is no folder for rendered prompts")
        known = await asyncio.to_thread(disk.read, key)
        if known is not None:
            return known, True
        async with aclosing(self._made(request)) as stream:
            chunks = [chunk async for chunk in stream]
        if any(chunk.substitute for chunk in chunks):
            raise VoiceXmlEvent("error.noresource", "the engine of first choice failed")
        speech = joined(chunks)
        if not await asyncio.to_thread(disk.write, key, speech):
            raise VoiceXmlEvent("error.noresource", f"{disk.folder} does not take it")
        return speech, False

    async def close(self) -> None:
        """Waits for what is being written."""
        await asyncio.gather(*self._writing)

    def _voiced(self, request: SpeechRequest) -> SpeechRequest:
        """The request with the operator's voices, if it brings none."""
        return request if request.voices else replace(request, voices=self._voices)

    # A synthesis under way ---------------------------------------------------------------------

    def _take_off(self, key: str, request: SpeechRequest) -> _Flight:
        flight = self._flights[key] = _Flight()
        flight.task = asyncio.create_task(self._fly(key, request, flight), name="synthesis")
        return flight

    async def _fly(self, key: str, request: SpeechRequest, flight: _Flight) -> None:
        try:
            await self._bring(key, request, flight)
        except Exception as error:
            # It belongs to those who listen.
            flight.end(error)
        except asyncio.CancelledError:
            flight.end(VoiceXmlEvent("error.noresource", "the synthesis was given up"))
            raise
        else:
            self._keep(key, flight)
            flight.end()
        finally:
            self._forget(key, flight)

    async def _bring(self, key: str, request: SpeechRequest, flight: _Flight) -> None:
        """From the folder if it is there, else from the engine."""
        if self._disk is not None and request.is_fixed and self._disk.has(key):
            speech = await asyncio.to_thread(self._disk.read, key)
            if speech is not None:
                self.disk_hits += 1
                self._written.add(key)
                flight.add(Chunk(speech.pcm, speech.marks, speech.warnings, is_last=True))
                return
        self.misses += 1
        async with aclosing(self._made(request)) as stream:
            async for chunk in stream:
                flight.add(chunk)

    async def _made(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
        """By the engine; `error.semantic` where it becomes longer than a prompt may be."""
        room = round(MAX_SECONDS * RATE)
        async with aclosing(self._engine.stream(request)) as stream:
            async for chunk in stream:
                room -= len(chunk.pcm)
                if room < 0:
                    raise VoiceXmlEvent(
                        "error.semantic", f"the prompt is longer than {MAX_SECONDS:g} s"
                    )
                yield chunk

    def _forget(self, key: str, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    # What is kept ------------------------------------------------------------------------------

    def _keep(self, key: str, flight: _Flight) -> None:
        if any(chunk.substitute for chunk in flight.chunks):
            return
        speech = joined(flight.chunks)
        whole = Chunk(speech.pcm, speech.marks, speech.warnings, is_last=True)
        size = _size(whole)
        if size > self._max_bytes:
            return
        if (before := self._kept.pop(key, None)) is not None:
            self.bytes -= _size(before)
        self._kept[key] = whole
        self.bytes += size
        while self.bytes > self._max_bytes:
            _, gone = self._kept.popitem(last=False)
            self.bytes -= _size(gone)

    def _write(self, key: str, request: SpeechRequest, whole: Chunk) -> None:
        """To the folder, if it may and has to go there."""
        disk = self._disk
        if disk is None or not disk.takes_calls or not request.is_fixed or key in self._written:
            return
        self._written.add(key)
        speech = Speech(whole.pcm, whole.marks, whole.warnings)
        writing = asyncio.create_task(asyncio.to_thread(disk.write, key, speech))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)


def _size(chunk: Chunk) -> int:
    return chunk.pcm.nbytes + OVERHEAD
