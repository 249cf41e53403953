"""[tts] and [asr]: engines that speak and engines that listen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)

from vxml_server.settings.fields import (
    MIB,
    Items,
    Section,
    Table,
    is_service,
)


class PiperVoice(Section):
    """One of [tts.piper] voices: a file, or what it says of itself put right."""

    file: str = Field(min_length=1)
    """Path of the .onnx file, its .json beside it; or `package:<name>` of a Python package."""
    name: str = ""
    """What `<voice name>` calls it; empty is the file's name without .onnx."""
    gender: Literal["", "male", "female", "neutral"] = ""
    speaker: str = ""
    """Of a file with several speakers."""


def _as_piper_voice(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


class PiperSettings(Section):
    """[tts.piper]: neural voices from files."""

    voices: Annotated[
        tuple[Annotated[PiperVoice, BeforeValidator(_as_piper_voice)], ...], Items
    ] = ()
    """Files, best first."""
    threads: PositiveInt = 1
    """Sentences that are spoken at once."""
    cores: PositiveInt = 1
    """Processor cores for one sentence."""


class Pyttsx3Settings(Section):
    """[tts.pyttsx3]: the voices of the operating system."""

    driver: str = ""
    """`sapi5`, `nsss`, `avspeech`, `espeak`; empty is the system's own."""


class ServiceVoice(Section):
    """[[tts.services.<name>.voices]]: a voice of a service."""

    name: str = Field(min_length=1)
    """What `<voice name>` calls it, and what `{voice}` becomes."""
    lang: str = Field(min_length=1)
    """Its language, such as `fr-FR`; `*` for one that speaks all."""
    gender: Literal["", "male", "female", "neutral"] = ""


class ServiceSettings(Section):
    """[tts.services.<name>]: something that answers HTTP requests with audio."""

    url: Annotated[str, AfterValidator(is_service)] = Field(repr=False)
    """May hold {text} {lang} {voice} {gender} {rate} {rate_percent} {pitch} {pitch_percent}."""
    method: Literal["GET", "POST"] = "GET"
    body: str = ""
    """Of a POST; the same names, and {ssml}, written as the type of the body needs it."""
    body_type: str = "application/json"
    headers: Annotated[Mapping[str, SecretStr], Table] = Field(default_factory=dict)
    """Header -> value; values are secrets."""
    voices: tuple[ServiceVoice, ...] = Field(min_length=1)
    audio_type: str = ""
    """Type of the audio, where the answer's Content-Type is wrong: `audio/L16;rate=16000`."""
    max_bytes: PositiveInt = 10 * MIB
    """Largest answer, for one sentence."""
    connections: PositiveInt = 8
    """Requests at once."""


_BUILT_IN = ("espeak", "piper", "pyttsx3")


class TtsSettings(Section):
    """[tts]: speech synthesis."""

    engines: Annotated[tuple[str, ...], Items, Field(min_length=1)] = ("espeak",)
    """Best first: `espeak`, `piper`, `pyttsx3`, a name of [tts.services], or of a plug-in."""
    timeout: PositiveFloat = 10.0
    """Seconds that an engine has for one sentence before the next engine is asked."""
    isolated: Annotated[tuple[str, ...], Items] = ("espeak",)
    """Engines that run in a process of their own, so that a crash is not the server's."""
    piper: PiperSettings = PiperSettings()
    pyttsx3: Pyttsx3Settings = Pyttsx3Settings()
    services: Annotated[Mapping[str, ServiceSettings], Table] = Field(default_factory=dict)
    """Name -> a service that is asked over HTTP."""
    plugins: Annotated[Mapping[str, Mapping[str, object]], Table] = Field(default_factory=dict)
    """Name of a plug-in -> its own settings."""
    packs: Annotated[Mapping[str, Path], Table] = Field(default_factory=dict)
    """Language -> the folder of a phrase pack: recorded numbers, dates, letters for <say-as>."""
    cache_bytes: int = Field(default=64 * MIB, ge=0)
    """Bytes of rendered prompts kept in memory."""
    cache_folder: Path | None = None
    """Folder in which prompts outlast the process; none writes nothing. Processes may share it."""
    cache_folder_bytes: PositiveInt = 1024 * MIB
    """Bytes of rendered prompts kept there."""
    cache_calls: bool = True
    """Whether what calls ask for is written there too, and not only by `prompts render`."""
    loudness: float = Field(default=-20.0, ge=-40.0, le=-10.0)
    """LUFS (ITU-R BS.1770) of speech, and of audio files if they are levelled."""
    level_audio: bool = True
    """Bring the audio files of documents to `loudness`."""
    voices: Annotated[Mapping[str, str], Table] = Field(default_factory=dict)
    """Language (`fr`, `fr-CA`) -> the engine's voice, where its own choice will not do."""

    @model_validator(mode="after")
    def _engines_are_told_apart(self) -> Self:
        if len(set(self.engines)) < len(self.engines):
            raise ValueError("expected each engine once")
        for name in self.services:
            if name in _BUILT_IN:
                raise ValueError(f"expected another name for a service than {name!r}")
        for name in self.isolated:
            if name in self.services:
                raise ValueError(f"expected engines that are no services, got {name!r}")
        return self


class AsrSettings(Section):
    """[asr]: speech recognition."""

    engines: Annotated[tuple[str, ...], Items] = ("pocketsphinx",)
    """Best first: `pocketsphinx`, `vosk`, `whisper`, or a plug-in's name; none hears no voice."""
    languages: Annotated[Mapping[str, Annotated[tuple[str, ...], Items]], Table] = Field(
        default_factory=dict
    )
    """Language (`fr`, `fr-CA`) -> engines that are asked first, where `engines` will not do."""
    models: Annotated[Mapping[str, Mapping[str, str]], Table] = Field(default_factory=dict)
    """Engine -> language (`*` for all) -> the folder of a model, or a package that holds it."""
    recognitions: PositiveInt = 8
    """Callers who may speak at once."""
    waiting: int = Field(default=16, ge=0)
    """Callers who may speak beyond that, and are understood when their turn comes."""
    deadline: PositiveFloat = 8.0
    """Seconds that an engine has for one step before what was said is given up."""
    processes: PositiveInt = 2
    """Child processes of each engine that needs them, or its threads."""

    @model_validator(mode="after")
    def _engines_are_known(self) -> Self:
        if len(set(self.engines)) < len(self.engines):
            raise ValueError("expected each engine once")
        for name in (*self.models, *(name for names in self.languages.values() for name in names)):
            if name not in self.engines:
                raise ValueError(f"expected one of engines, got {name!r}")
        return self
