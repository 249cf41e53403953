"""What passes between the server and its child processes for speech: frames over two pipes.

A frame is a header in JSON and a payload, each with its length before it (4 bytes, big-endian). The
child answers every request with one frame; the payload is samples, or empty.

The rule: what is too long for a frame is refused by whoever would write it, so that it costs that
request and no process.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pydantic import TypeAdapter

from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import TtsSettings
from vxml_server.tts.engine import Abilities, Offer, Utterance

LENGTHS = struct.Struct(">II")
MAX_HEADER = 2**20
MAX_PAYLOAD = 2**26


@dataclass(frozen=True, slots=True)
class Start:
    """The first request: which engine to be."""

    engine: str
    settings: TtsSettings


@dataclass(frozen=True, slots=True)
class FindVoice:
    lang: str
    names: tuple[str, ...]
    gender: str


@dataclass(frozen=True, slots=True)
class Speak:
    utterance: Utterance
    voice: str


@dataclass(frozen=True, slots=True)
class Phonemize:
    """What is asked of the process of `phonemizer`: texts, in the language of a voice of espeak.

    `clusters` are phonemes that the piper voice knows as one.
    """

    voice: str
    texts: tuple[str, ...]
    clusters: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The answer to `Start`."""

    identity: str
    abilities: Abilities


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to `FindVoice`."""

    offer: Offer | None


@dataclass(frozen=True, slots=True)
class Said:
    """The answer to `Speak`; the samples are the payload, int16 in the machine's order."""

    rate: int
    marks: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Phonemized:
    """The answer to `Phonemize`: of each text its sentences, of each sentence its phonemes."""

    texts: tuple[tuple[tuple[str, ...], ...], ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """The answer to any request that ended in a `VoiceXmlEvent`."""

    event: str
    message: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One message; what it is, is told by the one field that is set."""

    start: Start | None = None
    find: FindVoice | None = None
    speak: Speak | None = None
    phonemize: Phonemize | None = None
    started: Started | None = None
    found: Found | None = None
    said: Said | None = None
    phonemized: Phonemized | None = None
    failed: Failed | None = None


_FRAME = TypeAdapter(Frame)


def encode(frame: Frame, payload: bytes = b"") -> bytes:
    """A frame as it is written; raises `error.noresource` for what is too long."""
    header = _FRAME.dump_json(frame, exclude_none=False)
    if len(header) > MAX_HEADER or len(payload) > MAX_PAYLOAD:
        raise VoiceXmlEvent("error.noresource", "it is too long to be said in one go")
    return LENGTHS.pack(len(header), len(payload)) + header + payload


def lengths(data: bytes) -> tuple[int, int]:
    """(header, payload) lengths; raises `error.noresource` for what cannot be a frame."""
    header, payload = LENGTHS.unpack(data)
    if header > MAX_HEADER or payload > MAX_PAYLOAD:
        raise VoiceXmlEvent("error.noresource", "what the child process says is no frame")
    return header, payload


def decode(header: bytes) -> Frame:
    """The message of a header; raises `error.noresource` for what is none."""
    try:
        return _FRAME.validate_json(header)
    except ValueError as error:
        raise VoiceXmlEvent(
            "error.noresource", "what the child process says is no message"
        ) from error
