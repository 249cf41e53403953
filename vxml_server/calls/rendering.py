"""From a prompt of the interpreter to sounds that the media engine plays.

Speech goes through the synthesiser, audio files are fetched and decoded, and where a file cannot be
had its fallback is rendered instead (VoiceXML 2.0 section 4.1.3). A sound that many calls play is
made and encoded once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import structlog

from vxml_server.audio import Audio, decode
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import ResourceFetcher
from vxml_server.interpreter import AudioSegment, Prompt, Segment, SpeechSegment
from vxml_server.media import Sound
from vxml_server.tts import SpeechRequest, Synthesizer

_log = structlog.get_logger(__name__)


class SoundCache:
    """Sounds shared by all calls; the least recently used go when `capacity` bytes are held."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._size = 0
        self._sounds: OrderedDict[Hashable, tuple[object, Sound]] = OrderedDict()

    def get(self, key: Hashable) -> Sound | None:
        found = self._sounds.get(key)
        if found is None:
            return None
        self._sounds.move_to_end(key)
        return found[1]

    def put(self, key: Hashable, sound: Sound, owner: object = None) -> Sound:
        """Keeps a sound under `key`; `owner` is kept alive with it."""
        self._sounds[key] = (owner, sound)
        self._size += _size(sound)
        while self._size > self._capacity and len(self._sounds) > 1:
            _, (_, oldest) = self._sounds.popitem(last=False)
            self._size -= _size(oldest)
        return sound


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
                data = segment.data or b""
                return await self._decoded(data, segment.media_type, id(data))
            resource = await self._fetcher.fetch(segment.request)
            return await self._decoded(resource.body, resource.media_type, resource.digest)
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
                out.audio.append(segment.uri)

    async def _speak(self, segment: SpeechSegment, out: RenderedPrompt) -> None:
        speech = await self._synthesizer.synthesize(SpeechRequest(segment.ssml, segment.lang))
        begin = out.seconds
        # The synthesiser's cache answers with the same object for the same prompt.
        key = ("speech", id(speech))
        sound = self._sounds.get(key)
        if sound is None:
            sound = self._sounds.put(key, Sound(speech.pcm), owner=speech)
        out.sounds.append(sound)
        out.marks += [(mark.name, begin + mark.seconds) for mark in speech.marks]
        if segment.text:
            out.text.append(segment.text)

    async def _decoded(self, body: bytes, media_type: str, name: Hashable) -> Sound:
        key = ("audio", name, media_type)
        sound = self._sounds.get(key)
        if sound is None:
            audio: Audio = await asyncio.to_thread(decode, body, media_type)
            sound = self._sounds.put(key, Sound(audio.pcm), owner=body)
        return sound
