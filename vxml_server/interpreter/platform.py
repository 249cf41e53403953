"""What the interpreter asks of whoever carries the call.

The interpreter has no sockets, no audio and no clock of its own. A `Platform` plays prompts, hears
keys and voice, transfers and hangs up; it is `scripted.ScriptedPlatform` on virtual time, or
`calls.CallPlatform` on a SIP leg. One rule holds: *listening is one request*. Prompts, active
grammars and timers go to the platform together, so that barge-in is decided in one place.

Times are seconds. Values that cross this seam are JSON values or the frozen dataclasses below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal, Protocol, TypeAlias

from vxml_server.fetch import FetchRequest, Resource
from vxml_server.grammar import Grammar

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Mode: TypeAlias = Literal["dtmf", "voice"]


# Prompts -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpeechSegment:
    """Text to be spoken: a complete `<speak>` document and its plain words.

    The document is well-formed and stands alone (elements that were open where the prompt was
    split around an audio file are closed here and opened again in the next segment). `text` is the
    same with white space folded and without markup; it may be empty when there are only marks or
    breaks. `marks` are the names of the `<mark>` elements in order, `lexicons` the pronunciation
    lexicons to be fetched for it; one that cannot be had is done without.
    """

    ssml: str
    text: str
    lang: str
    marks: tuple[str, ...] = ()
    lexicons: tuple[FetchRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class AudioSegment:
    """A sound file, and what is heard instead when it cannot be fetched or decoded (section 4.1.3).

    Either `request` says what to fetch, or `data` is the file itself, a recording in memory.
    """

    request: FetchRequest | None = None
    data: bytes | None = None
    media_type: str = ""
    fallback: tuple[Segment, ...] = ()
    line: int = 0

    @property
    def uri(self) -> str:
        """Where the file is, "" for one in memory."""
        return self.request.uri if self.request else ""


Segment: TypeAlias = "SpeechSegment | AudioSegment"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One `<prompt>`, or one run of text and audio outside a prompt, ready to be played.

    `timeout` is how long silence may last after it before a noinput, by its own attribute or the
    property that held when it was queued; the last prompt that has one decides (section 4.1.7).
    The platform's own words have none. `is_fixed`: it is the same for every caller, for it stands
    in the document as it is.
    """

    segments: tuple[Segment, ...]
    lang: str
    bargein: bool = True
    bargein_type: Literal["speech", "hotword"] = "speech"
    timeout: float | None = None
    line: int = 0
    is_fixed: bool = False


# Input -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class ActiveGrammar:
    """A grammar that is listened to, with the place it came from.

    `scope` names the element that owns it for the reader of a trace (`field`, `form`, `link`,
    `menu`, `document`, `application`, ...). `owner` is opaque to the platform and comes back with
    the result.
    """

    grammar: Grammar
    mode: Mode
    scope: str
    owner: object
    line: int = 0


@dataclass(frozen=True, slots=True)
class InputProperties:
    """The timers and levels of section 6.3.2 and 6.3.3 that hold for one wait for input."""

    timeout: float = 5.0
    interdigit_timeout: float = 3.0
    term_timeout: float = 0.0
    term_char: str = "#"
    input_modes: frozenset[Mode] = frozenset({"dtmf", "voice"})
    confidence_level: float = 0.5
    sensitivity: float = 0.5
    speed_vs_accuracy: float = 0.5
    complete_timeout: float = 0.5
    incomplete_timeout: float = 1.0
    max_speech_timeout: float = 20.0
    max_nbest: int = 1
    utterance_type: str = ""
    """The media type in which what is said is to be recorded, "" for not at all (2.1, 7)."""

    def with_timeout(self, timeout: float) -> InputProperties:
        """The same with another noinput timeout, that of the last prompt."""
        return replace(self, timeout=timeout)


@dataclass(frozen=True, slots=True)
class ListenRequest:
    """Play these prompts, listen for these grammars, under these timers.

    Grammars come in order of precedence, the nearest scope first (section 3.1.4): of two that match
    equally well the earlier wins. Without grammars the platform plays the prompts, waits for
    `timeout` and returns NOINPUT.
    """

    prompts: tuple[Prompt, ...]
    grammars: tuple[ActiveGrammar, ...]
    properties: InputProperties
    lang: str = ""


class InputKind(Enum):
    """How a wait for input ended."""

    MATCH = "match"
    NOMATCH = "nomatch"
    NOINPUT = "noinput"
    HANGUP = "hangup"
    MAX_SPEECH = "maxspeechtimeout"


@dataclass(frozen=True, slots=True)
class Recognition:
    """One hypothesis: what was heard, how sure, and what the matching grammar makes of it."""

    utterance: str
    confidence: float
    interpretation: Json
    mode: Mode
    active: ActiveGrammar | None


@dataclass(frozen=True, slots=True)
class RecordedAudio:
    """What a caller said, as a file: its bytes, their media type, how long it lasts (seconds)."""

    data: bytes = field(repr=False)
    media_type: str
    duration: float


@dataclass(frozen=True, slots=True)
class InputResult:
    """What a wait for input brought.

    `nbest` is ordered by confidence and not empty for MATCH; for NOMATCH it holds what was heard,
    if the platform knows (`active` None where no grammar matched). `mark_name` and `mark_time` are
    those of the last mark played (VoiceXML 2.1 section 8), seconds since that mark. `audio` is what
    was said, if the request wanted it and there was a voice.
    """

    kind: InputKind
    nbest: tuple[Recognition, ...] = ()
    mark_name: str | None = None
    mark_time: float | None = None
    audio: RecordedAudio | None = None


# Transfer ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """A `<transfer>` (VoiceXML 2.0 section 2.3.7, 2.1 section 7).

    `max_time` 0 means without limit. `grammars` are those by which the caller may end a bridge.
    """

    dest: str
    type: Literal["bridge", "blind", "consultation"]
    prompts: tuple[Prompt, ...] = ()
    connect_timeout: float = 30.0
    max_time: float = 0.0
    transfer_audio: AudioSegment | None = None
    aai: str = ""
    grammars: tuple[ActiveGrammar, ...] = ()
    properties: InputProperties = field(default_factory=InputProperties)
    lang: str = ""


@dataclass(frozen=True, slots=True)
class TransferResult:
    """How a transfer ended.

    `outcome` is a value of the form item (`busy`, `noanswer`, `network_busy`,
    `near_end_disconnect`, `far_end_disconnect`, `network_disconnect`, `maxtime_disconnect`,
    `unknown`) or the name of an event (`connection.disconnect.transfer`,
    `connection.disconnect.hangup`, `error.connection.*`, `error.unsupported.*`), told apart by the
    dot. `duration` is how long the parties were bridged. `recognition` is what the caller said or
    pressed to end it.
    """

    outcome: str
    duration: float = 0.0
    recognition: Recognition | None = None
    message: str = ""


# Recording ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordRequest:
    """A `<record>` (VoiceXML 2.0 section 2.3.6).

    After the prompts and the tone (`beep`) the caller speaks, until `final_silence` of silence, a
    key (any that no grammar takes, with `dtmf_term`), a match of `grammars`, `max_time` of audio,
    or the end of the call. `properties.timeout` is how long the speech may be awaited.
    """

    media_type: str
    prompts: tuple[Prompt, ...] = ()
    beep: bool = False
    max_time: float = 60.0
    final_silence: float = 3.0
    dtmf_term: bool = True
    grammars: tuple[ActiveGrammar, ...] = ()
    properties: InputProperties = field(default_factory=InputProperties)
    lang: str = ""


class RecordEnding(Enum):
    """What ended a recording."""

    SILENCE = "finalsilence"
    MAX_TIME = "maxtime"
    INPUT = "input"
    NOINPUT = "noinput"
    HANGUP = "hangup"


@dataclass(frozen=True, slots=True)
class RecordResult:
    """How a recording ended.

    `audio` is None when nothing was said before the end. `recognition` is the input of INPUT; its
    `active` is None for keys that no grammar takes. `mark_name` and `mark_time` are as in
    `InputResult`.
    """

    ending: RecordEnding
    audio: RecordedAudio | None = None
    recognition: Recognition | None = None
    mark_name: str | None = None
    mark_time: float | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is heard while a document is fetched (section 6.1.5).

    It begins after `delay` seconds, and lasts for `minimum` once it has begun.
    """

    audio: AudioSegment
    delay: float
    minimum: float


# The seam ----------------------------------------------------------------------------------------


class Platform(Protocol):
    """Who carries the call. Every method returns promptly once the caller has hung up."""

    def now(self) -> float:
        """Seconds since the call began, monotonic, virtual or real."""

    @property
    def hung_up(self) -> bool:
        """Whether the caller, or an operator on the caller's behalf, has ended the call."""

    async def answer(self) -> None:
        """Takes the call: its first document is there, or the caller is to be told that it is not.

        Told once, before anything else (RFC 5552 section 2.2).
        """

    async def listen(self, request: ListenRequest) -> InputResult:
        """Plays the prompts in order and waits for input.

        Keys pressed before (type-ahead) count unless a prompt without barge-in is played, which
        discards them. A prompt with barge-in stops at the first key or speech (`hotword`: at the
        first match).
        """

    async def play(self, prompts: Sequence[Prompt]) -> None:
        """Plays the prompts to their end, or until the caller hangs up; keys are kept."""

    async def play_while(self, waiting: Waiting, work: asyncio.Future[Resource]) -> None:
        """Plays audio until the work is done, or not at all if that is soon enough.

        Returns when the work is done and the audio was heard for its minimum, or at a hang-up; what
        became of the work is not its matter. Keys pressed over the audio are lost (section 4.1.8).
        """

    async def record(self, request: RecordRequest) -> RecordResult:
        """Plays the prompts, then records what the caller says."""

    async def transfer(self, request: TransferRequest) -> TransferResult:
        """Connects the caller to another party."""

    async def disconnect(self, namelist: dict[str, Json]) -> None:
        """Hangs up on the caller; afterwards `hung_up` holds."""
