"""From a name in the settings to a synthesiser.

An engine is a function without arguments that builds one; its name is what the settings say. Names
of engines that are not installed here are refused at start, not at the first prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from vxml_server.events import VoiceXmlEvent
from vxml_server.tts.cache import MAX_BYTES, CachingSynthesizer
from vxml_server.tts.espeak import EspeakSynthesizer
from vxml_server.tts.speech import Synthesizer

ENGINES: dict[str, Callable[[], Synthesizer]] = {"espeak": EspeakSynthesizer}


def synthesizer(
    engine: str = "espeak",
    *,
    cache_bytes: int = MAX_BYTES,
    voices: Mapping[str, str] = MappingProxyType({}),
) -> CachingSynthesizer:
    """The engine of that name with a cache before it; `voices` as in `CachingSynthesizer`.

    Raises `VoiceXmlEvent` `error.noresource` for a name that is not in `ENGINES`.
    """
    build = ENGINES.get(engine)
    if build is None:
        known = ", ".join(sorted(ENGINES))
        raise VoiceXmlEvent(
            "error.noresource", f"there is no speech engine {engine!r}, only {known}"
        )
    return CachingSynthesizer(build(), max_bytes=cache_bytes, voices=voices)
