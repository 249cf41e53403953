"""What was recorded in a call: bytes for the server, an object for ECMAScript.

A recording is a read-only object that carries a label, so that it can be assigned, passed and
returned like any value. Its text is a name that `<audio>` and `<value>` know.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from vxml_server.ecmascript import Engine, Object
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.platform import Json, RecordedAudio

DEFAULT_MEDIA_TYPE = "audio/x-wav"
# What can be recorded (appendix E), and how a file of it is called.
EXTENSIONS = {
    "audio/basic": ".ulaw",
    "audio/wav": ".wav",
    "audio/x-alaw-basic": ".alaw",
    "audio/x-wav": ".wav",
}
# Bytes of recordings that a call keeps; the oldest are forgotten first.
CAPACITY = 64 * 1024 * 1024

_PREFIX = "urn:x-recording:"


def media_type_of(stated: str) -> str:
    """The format that a document asks for; raises `error.unsupported.format`."""
    media_type = stated.partition(";")[0].strip().lower() or DEFAULT_MEDIA_TYPE
    if media_type not in EXTENSIONS:
        message = f"cannot record {stated!r}; known are {', '.join(sorted(EXTENSIONS))}"
        raise VoiceXmlEvent("error.unsupported.format", message)
    return media_type


def is_recording(text: str) -> bool:
    """Whether a text is the name of a recording, if there is one."""
    return text.startswith(_PREFIX)


class Recordings:
    """The recordings of one call, by the objects that stand for them in ECMAScript."""

    def __init__(self, engine: Engine, capacity: int = CAPACITY) -> None:
        self._engine = engine
        self._capacity = capacity
        self._kept: OrderedDict[str, RecordedAudio] = OrderedDict()
        self._count = 0
        self._bytes = 0

    def add(self, audio: RecordedAudio) -> Object:
        """Keeps a recording; the object has its `type`, `size` (bytes) and `duration` (ms)."""
        self._count += 1
        label = f"{_PREFIX}{self._count}"
        self._kept[label] = audio
        self._bytes += len(audio.data)
        while self._bytes > self._capacity and len(self._kept) > 1:
            _, forgotten = self._kept.popitem(last=False)
            self._bytes -= len(forgotten.data)
        made: Object = self._engine.from_json(described(audio))
        self._engine.label(made, label)
        return made

    @property
    def are_none(self) -> bool:
        return not self._kept

    def named(self, text: str) -> RecordedAudio | None:
        """The recording whose text in ECMAScript is `text`."""
        return self._kept.get(text) if is_recording(text) else None

    def find(self, value: Any) -> RecordedAudio | None:
        """The recording that an ECMAScript value is; None for any other value."""
        return self._kept.get(self._engine.label_of(value))


def described(audio: RecordedAudio) -> dict[str, Json]:
    """A recording in figures: media type, bytes, milliseconds."""
    return {
        "type": audio.media_type,
        "size": len(audio.data),
        "duration": round(audio.duration * 1000),
    }
