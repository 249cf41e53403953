"""From a prompt of the interpreter to sounds that the media engine plays.

Speech goes through the synthesiser, audio files are fetched and decoded, and where a file cannot be
had its fallback is rendered instead (VoiceXML 2.0 section 4.1.3). A sound that many calls play is
made and encoded once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import structlog

from vxml_server.audio import decode
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import ResourceFetcher
from vxml_server.interpreter import AudioSegment, Prompt, Segment, SpeechSegment
from vxml_server.media import Sound
from vxml_server.tts import SpeechRequest, Synthesizer, joined

_log = structlog.get_logger(__name__)


class SoundCache:
    """Sounds shared by all calls, on one loop.

    The least recently used go when more than `capacity` bytes are held.
    """

    def __init__(self, capacity: int) -> None:
        self.bytes = 0
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

    def _made(self, key: Hashable, making: asyncio.Task[Sound]) -> None:
        del self._making[key]
        if not making.cancelled() and making.exception() is None:
            self.put(key, making.result())


def _size(sound: Sound) -> int:
    """Bytes: the samples, and two encoded forms of half their size."""
    return 4 * len(sound)


@dataclass(slots=True)
class RenderedPrompt:
    """A prompt as sounds in a row.

    `text` is what is heard, `audio` the URIs of the files in it; `marks` are (name, seconds from
    the beginning of the prompt).
    """

    prompt: Prompt
    sounds: list[Sound] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    audio: list[str] = field(default_factory=list)
    marks: list[tuple[str, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return sum(sound.seconds for sound in self.sounds)


class PromptRenderer:
    """Renders prompts for one call, through its own fetcher."""

    def __init__(
        self, fetcher: ResourceFetcher, synthesizer: Synthesizer, sounds: SoundCache
    ) -> None:
        self._fetcher = fetcher
        self._synthesizer = synthesizer
        self._sounds = sounds

    async def render(self, prompt: Prompt) -> RenderedPrompt:
        """The prompt's sounds; raises `VoiceXmlEvent` when its speech cannot be synthesised."""
        rendered = RenderedPrompt(prompt)
        await self._render(prompt.segments, rendered)
        return rendered

    async def audio(self, segment: AudioSegment) -> Sound | None:
        """A sound file alone; None when it cannot be had."""
        try:
            if segment.request is None:
                # A recording of this call: nobody else plays it.
                return await asyncio.to_thread(_decoded, segment.data or b"", segment.media_type)
            resource = await self._fetcher.fetch(segment.request)
            return await self._sounds.make(
                ("audio", resource.digest, resource.media_type),
                lambda: _decoded(resource.body, resource.media_type),
            )
        except VoiceXmlEvent as event:
            _log.info("audio not played", uri=segment.uri, line=segment.line, error=str(event))
            return None

    async def _render(self, segments: Sequence[Segment], out: RenderedPrompt) -> None:
        for segment in segments:
            if isinstance(segment, SpeechSegment):
                await self._speak(segment, out)
                continue
            sound = await self.audio(segment)
            if sound is None:
                await self._render(segment.fallback, out)
            else:
                out.sounds.append(sound)
                if segment.uri:
                    out.audio.append(segment.uri)

    async def _speak(self, segment: SpeechSegment, out: RenderedPrompt) -> None:
        request = SpeechRequest(segment.ssml, segment.lang)
        chunks = [chunk async for chunk in self._synthesizer.stream(request)]
        speech = joined(chunks)
        begin = out.seconds
        # The synthesiser's cache answers with the same object for the same prompt; a `Chunk` is
        # equal to itself alone, and lives as long as the sound that is kept under it.
        sound = self._sounds.get(chunks[0]) if len(chunks) == 1 else Sound(speech.pcm)
        if sound is None:
            sound = self._sounds.put(chunks[0], Sound(speech.pcm))
        out.sounds.append(sound)
        out.marks += [(mark.name, begin + mark.seconds) for mark in speech.marks]
        if segment.text:
            out.text.append(segment.text)


def _decoded(body: bytes, media_type: str) -> Sound:
    return Sound(decode(body, media_type).pcm)
