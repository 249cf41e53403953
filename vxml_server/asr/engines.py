"""From the names in the settings to speech engines, and from a language to the engine that has it.

A builder is a function of an engine's `EngineSettings` that is cheap: models are loaded by
`SpeechEngine.load`, in the background. Names that are not known and engines that are not installed
are refused at start, not at the first call. Others' engines are found by the entry point group
`vxml_server.asr`: its name is the engine's, its object a builder.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TypeAlias

from vxml_server.asr.recognition import SpeechEngine
from vxml_server.events import VoiceXmlEvent

GROUP = "vxml_server.asr"


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the operator says of one engine.

    `models` maps a language (`en`, `fr-CA`, `*` for any) to a path or to the name of a package that
    holds the model. `processes` is how many child processes an engine may have that needs them.
    """

    models: Mapping[str, str] = field(default_factory=dict)
    processes: int = 2


Builder: TypeAlias = Callable[[EngineSettings], SpeechEngine]

ENGINES: Mapping[str, str] = MappingProxyType(
    {
        "pocketsphinx": "vxml_server.asr.sphinx:build",
        "vosk": "vxml_server.asr.vosk:build",
        "whisper": "vxml_server.asr.whisper:build",
    }
)
"""Name -> where its builder is; imported when it is asked for, since each needs its library."""


def build(name: str, settings: EngineSettings) -> SpeechEngine:
    """The engine of that name.

    Raises `VoiceXmlEvent` `error.noresource` with a sentence for the operator: the name is unknown,
    its library is not installed, or the engine refuses its settings.
    """
    return _builder(name)(settings)


def _builder(name: str) -> Builder:
    found = entry_points(group=GROUP, name=name)
    try:
        if name in ENGINES:
            module, _, function = ENGINES[name].partition(":")
            builder = getattr(import_module(module), function)
        elif found:
            builder = next(iter(found)).load()
        else:
            known = sorted({*ENGINES, *(point.name for point in entry_points(group=GROUP))})
            raise _refused(f"there is no recogniser {name!r}, only {', '.join(known)}")
    except ImportError as error:
        raise _refused(f"the recogniser {name!r} is not installed: {error}") from error
    if not callable(builder):
        raise _refused(f"the recogniser {name!r} is no function but {builder!r}")
    # What an entry point gives has no type; it is called as the builder that it has to be.
    typed: Builder = builder
    return typed


def _refused(message: str) -> VoiceXmlEvent:
    return VoiceXmlEvent("error.noresource", message)


class Engines:
    """The engines of a server in order of preference.

    `languages` maps a language to names of engines that are preferred for it; others follow.
    """

    def __init__(
        self,
        engines: Mapping[str, SpeechEngine],
        languages: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        for lang, names in languages.items():
            for name in names:
                if name not in engines:
                    raise _refused(f"the recogniser {name!r} is preferred for {lang} but not used")
        self._engines = engines
        self._languages = {lang.lower(): tuple(names) for lang, names in languages.items()}

    def all(self) -> tuple[tuple[str, SpeechEngine], ...]:
        """Name and engine, in order of preference."""
        return tuple(self._engines.items())

    def of(
        self, lang: str, unready: Collection[str] = frozenset()
    ) -> tuple[str, SpeechEngine] | None:
        """Name and engine for a language; None when nobody speaks it.

        One of those that are `unready` only if there is no other.
        """
        wanted = lang.lower()
        preferred = self._languages.get(wanted) or self._languages.get(wanted.partition("-")[0], ())
        speaking = [
            (name, self._engines[name])
            for name in dict.fromkeys((*preferred, *self._engines))
            if self._engines[name].speaks(lang)
        ]
        return min(speaking, key=lambda found: found[0] in unready, default=None)
