"""From the settings to the engines of a server, and to the synthesiser before them.

An engine is one of ours, a service of `[tts.services]`, or an entry point of the group
`vxml_server.tts`. Names that nothing answers to are refused at start, not at the first prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType

from vxml_server.clock import Clock, SystemClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import TtsSettings
from vxml_server.tts.cache import CachingSynthesizer
from vxml_server.tts.child import ChildEngine
from vxml_server.tts.disk import DiskCache
from vxml_server.tts.engine import GROUP, Engine
from vxml_server.tts.espeak import EspeakEngine
from vxml_server.tts.phrases import RecordedPhrases
from vxml_server.tts.piper import PiperEngine
from vxml_server.tts.pyttsx3 import Pyttsx3Engine
from vxml_server.tts.selection import Voices
from vxml_server.tts.speech import Synthesizer

ENGINES: Mapping[str, Callable[[TtsSettings], Engine]] = MappingProxyType(
    {
        "espeak": lambda settings: EspeakEngine(),
        "piper": lambda settings: PiperEngine(settings.piper, SystemClock()),
        "pyttsx3": lambda settings: Pyttsx3Engine(settings.pyttsx3, SystemClock()),
    }
)
# Crashes with threads, and blocks: never in the server's own process.
ALWAYS_ISOLATED = frozenset({"pyttsx3"})


def build(name: str, settings: TtsSettings) -> Engine:
    """The engine of that name, in this process.

    Raises `VoiceXmlEvent` `error.noresource` when there is none, or its code cannot be loaded.
    """
    if name in ENGINES:
        return ENGINES[name](settings)
    if name in settings.services:
        # A child process has no services, and starts a fifth sooner without what they import.
        from vxml_server.tts.http import HttpEngine  # noqa: PLC0415

        return HttpEngine(name, settings.services[name])
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        known = ", ".join(sorted({*ENGINES, *settings.services, *found}))
        raise VoiceXmlEvent("error.noresource", f"there is no speech engine {name!r}, only {known}")
    try:
        engine: Engine = found[name].load()(settings.plugins.get(name, {}))
    except Exception as error:  # code of others
        raise VoiceXmlEvent(
            "error.noresource", f"speech engine {name!r}: {type(error).__name__}: {error}"
        ) from error
    return engine


def voices(settings: TtsSettings, clock: Clock) -> Voices:
    """The engines of the settings, not yet started, and the phrase packs before them.

    Raises as `build` does, and for a folder that is no phrase pack.
    """
    isolated = ALWAYS_ISOLATED | frozenset(settings.isolated)
    engines = [
        ChildEngine(name, settings, clock) if name in isolated else build(name, settings)
        for name in settings.engines
    ]
    phrases = RecordedPhrases(settings.packs, settings.loudness)
    return Voices(
        engines,
        clock,
        timeout=settings.timeout,
        loudness=settings.loudness,
        recorded=phrases.applied,
        recordings=phrases.identity,
    )


def synthesizer(engine: Synthesizer, settings: TtsSettings, clock: Clock) -> CachingSynthesizer:
    """An engine with the cache of the settings before it, in memory and perhaps in a folder."""
    disk = None
    if settings.cache_folder is not None:
        disk = DiskCache(
            settings.cache_folder,
            clock,
            max_bytes=settings.cache_folder_bytes,
            takes_calls=settings.cache_calls,
        )
    return CachingSynthesizer(
        engine, max_bytes=settings.cache_bytes, voices=settings.voices, disk=disk
    )
