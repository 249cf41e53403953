"""From a prompt of the interpreter to sounds that the media engine plays.

Speech goes through the synthesiser, audio files are fetched and decoded, and where a file cannot be
had its fallback is rendered instead (VoiceXML 2.0 section 4.1.3). Speech is heard while the rest of
it is still made. A sound that many calls play is made and encoded once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import lru_cache

import structlog

from vxml_server.audio import decode, levelled
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import ResourceFetcher
from vxml_server.interpreter import AudioSegment, Prompt, Segment, SpeechSegment
from vxml_server.media import GrowingSound, Sound
from vxml_server.tts import Chunk, Lexicon, SpeechRequest, Synthesizer, load_lexicon

_log = structlog.get_logger(__name__)


class SoundCache:
    """Sounds shared by all calls, on one loop.

    The least recently used go when more than `capacity` bytes are held. Audio files are brought to
    a loudness of `lufs`, if there is one.
    """

    def __init__(self, capacity: int, *, lufs: float | None = None) -> None:
        self.bytes = 0
        self._lufs = lufs
        self._capacity = capacity
        self._sounds: OrderedDict[Hashable, Sound] = OrderedDict()
        self._making: dict[Hashable, asyncio.Task[Sound]] = {}

    def get(self, key: Hashable) -> Sound | None:
        sound = self._sounds.get(key)
        if sound is not None:
            self._sounds.move_to_end(key)
        return sound

    def put(self, key: Hashable, sound: Sound) -> Sound:
        if (before := self._sounds.pop(key, None)) is not None:
            self.bytes -= _size(before)
        self._sounds[key] = sound
        self.bytes += _size(sound)
        while self.bytes > self._capacity:
            _, oldest = self._sounds.popitem(last=False)
            self.bytes -= _size(oldest)
        return sound

    async def make(self, key: Hashable, make: Callable[[], Sound]) -> Sound:
        """The sound of that key, made beside the loop if need be, once for all who ask.

        Raises what `make` raises, and keeps nothing then.
        """
        if (sound := self.get(key)) is not None:
            return sound
        making = self._making.get(key)
        if making is None:
            making = asyncio.create_task(asyncio.to_thread(make), name="sound")
            self._making[key] = making
            making.add_done_callback(lambda done: self._made(key, done))
        return await asyncio.shield(making)

    def decode(self, body: bytes, media_type: str) -> Sound:
        """An audio file as a sound, which takes its time; raises as `audio.decode` does."""
        pcm = decode(body, media_type).pcm
        return Sound(pcm if self._lufs is None else levelled(pcm, self._lufs))

    def _made(self, key: Hashable, making: asyncio.Task[Sound]) -> None:
        del self._making[key]
        if not making.cancelled() and making.exception() is None:
            self.put(key, making.result())


def _size(sound: Sound) -> int:
    """Bytes: the samples, and two encoded forms of half their size."""
    return 4 * len(sound)


@dataclass(slots=True, eq=False)
class Piece:
    """A sound of a prompt, in which case it is speech of a `text`, or the file at the URI `audio`.

    The sound may still be made; `marks`, (name, seconds from its beginning), grow with it.
    """

    sound: Sound
    text: str = ""
    audio: str = ""
    marks: list[tuple[str, float]] = field(default_factory=list)


class PromptRenderer:
    """Renders prompts for one call, through its own fetcher."""

    def __init__(
        self, fetcher: ResourceFetcher, synthesizer: Synthesizer, sounds: SoundCache
    ) -> None:
        self._fetcher = fetcher
        self._synthesizer = synthesizer
        self._sounds = sounds

    def render(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        """The prompt's sounds in their order, each as soon as there is something of it to hear.

        Who asks for the next lets the last be made to its end, so ask on without waiting for what
        is heard. Raises `VoiceXmlEvent` when speech cannot be synthesised; pieces before it, and
        what there is of the last one, are good.
        """
        return self._render(prompt.segments, prompt.is_fixed)

    async def audio(self, segment: AudioSegment) -> Sound | None:
        """A sound file alone; None when it cannot be had."""
        try:
            if segment.request is None:
                # A recording of this call: nobody else plays it.
                return await asyncio.to_thread(
                    self._sounds.decode, segment.data or b"", segment.media_type
                )
            resource = await self._fetcher.fetch(segment.request)
            return await self._sounds.make(
                ("audio", resource.digest, resource.content_type),
                lambda: self._sounds.decode(resource.body, resource.content_type),
            )
        except VoiceXmlEvent as event:
            _log.info("audio not played", uri=segment.uri, line=segment.line, error=str(event))
            return None

    async def _render(self, segments: Sequence[Segment], is_fixed: bool) -> AsyncGenerator[Piece]:
        for segment in segments:
            if isinstance(segment, SpeechSegment):
                pieces = self._speak(segment, is_fixed)
            else:
                sound = await self.audio(segment)
                if sound is not None:
                    yield Piece(sound, audio=segment.uri)
                    continue
                pieces = self._render(segment.fallback, is_fixed)
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece

    async def _speak(self, segment: SpeechSegment, is_fixed: bool) -> AsyncGenerator[Piece]:
        lexicons = await self._lexicons(segment) if segment.lexicons else ()
        request = SpeechRequest(segment.ssml, segment.lang, lexicons=lexicons, is_fixed=is_fixed)
        async with aclosing(self._synthesizer.stream(request)) as stream:
            chunk = await anext(stream, None)
            if chunk is not None and chunk.is_last:
                # The synthesiser's cache answers with the same object for the same prompt; a
                # `Chunk` is equal to itself alone, and lives as long as the sound kept under it.
                sound = self._sounds.get(chunk)
                if sound is None:
                    _warn(chunk, segment)
                    sound = self._sounds.put(chunk, Sound(chunk.pcm))
                yield Piece(sound, segment.text, marks=_marks(chunk))
                return
            growing = GrowingSound()
            piece = Piece(growing, segment.text)
            is_heard = False
            try:
                while chunk is not None:
                    _warn(chunk, segment)
                    piece.marks += _marks(chunk)
                    growing.append(chunk.pcm)
                    if len(growing) and not is_heard:
                        is_heard = True
                        yield piece
                    chunk = await anext(stream, None)
            finally:
                growing.finish()
            if not is_heard:
                yield piece

    async def _lexicons(self, segment: SpeechSegment) -> tuple[Lexicon, ...]:
        """Those that can be had: without one, words are said as the voice knows them."""
        found = []
        for request in segment.lexicons:
            try:
                resource = await self._fetcher.fetch(request)
                found.append(await asyncio.to_thread(_lexicon, resource.body, request.uri))
            except VoiceXmlEvent as event:
                _log.warning("lexicon not used", uri=request.uri, error=str(event))
        return tuple(found)


@lru_cache(maxsize=8)
def _lexicon(body: bytes, uri: str) -> Lexicon:
    lexicon = load_lexicon(body, uri)
    if lexicon.warnings:
        _log.warning("lexicon used in part", uri=uri, errors=lexicon.warnings)
    return lexicon


def _warn(chunk: Chunk, segment: SpeechSegment) -> None:
    if chunk.warnings:
        _log.warning("prompt not wholly understood", text=segment.text, errors=chunk.warnings)


def _marks(chunk: Chunk) -> list[tuple[str, float]]:
    return [(mark.name, mark.seconds) for mark in chunk.marks]
