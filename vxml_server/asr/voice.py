"""What a call asks of the recogniser for one wait for voice, and what it is told.

The times of section 6.3.2 and appendix D of VoiceXML 2.0 are kept here; prompts, keys and the
noinput timeout are the caller's of this room. The rule that must hold: a wait tells of at most one
end (`VoiceResult`, `VoiceRefused` or `VoiceFailed`), and of nothing after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from vxml_server.asr.recognition import Samples
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, JsonValue


@dataclass(frozen=True, slots=True)
class VoiceRequest:
    """One wait for voice: its grammars, and the properties of section 6.3.2 (times in seconds).

    `grammars` are those for voice, in order of precedence (the nearest scope first); none of them
    is dictation. `lang` is the language of the wait (BCP 47).
    """

    grammars: tuple[Grammar, ...]
    lang: str
    confidence_level: float = 0.5
    sensitivity: float = 0.5
    speed_vs_accuracy: float = 0.5
    complete_timeout: float = 0.5
    incomplete_timeout: float = 1.0
    max_speech_timeout: float = 20.0
    max_nbest: int = 1


class Attention(Enum):
    """What speech is to a wait at a moment; speech keeps that under which it began."""

    DEAF = "deaf"
    """Speech is not noticed: a prompt without barge-in. The noise of the line is learnt."""
    SPEECH = "speech"
    """Any speech is input."""
    HOTWORD = "hotword"
    """Only what matches a grammar is input; other speech is passed over (section 4.1.5.1)."""


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """The caller speaks: stop the prompt unless `hotword`, and the noinput timer in any case.

    `at` is when the first sound was (`Clock.monotonic`, good to 20 ms); it is told some 60 ms
    later.
    """

    at: float
    hotword: bool = False


@dataclass(frozen=True, slots=True)
class SpeechPassedOver:
    """With HOTWORD: what was said matched nothing; the wait goes on, and so does its noinput timer,
    which was not restarted. `utterance` is what was heard, as far as it is known."""

    at: float
    utterance: str = ""
    confidence: float = 0.0


class VoiceEnding(Enum):
    """What came of speech."""

    MATCH = "match"
    NOMATCH = "nomatch"
    MAX_SPEECH = "maxspeechtimeout"


@dataclass(frozen=True, slots=True)
class Understood:
    """One element of the n-best list: which grammar matched (index into `VoiceRequest.grammars`),
    and what it makes of the words; `grammar` is None where none matched, and in dictation."""

    utterance: str
    confidence: float
    interpretation: JsonValue
    grammar: int | None


@dataclass(frozen=True, slots=True)
class VoiceResult:
    """The wait is over: speech was heard to its end.

    `nbest` is not empty for MATCH, the best first; for NOMATCH it is what was heard: what matched
    with too little confidence, or one element with no grammar (its utterance is "" when nothing
    was understood); it is empty for MAX_SPEECH. `audio` is what was said (int16 [n], 8 kHz), with
    some 300 ms before and 200 ms after it. `began` and `ended` are the times of the first and the
    last sound.
    """

    ending: VoiceEnding
    nbest: tuple[Understood, ...]
    audio: Samples
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class VoiceRefused:
    """The wait is over: there is speech, but too much is being recognised already (see
    `VoiceBusy`); the caller is to use keys."""


@dataclass(frozen=True, slots=True)
class VoiceFailed:
    """The wait is over: `event` is to be thrown (`error.semantic` of a tag, `error.noresource` of
    an engine that failed or hung, ...)."""

    event: VoiceXmlEvent


VoiceEvent: TypeAlias = SpeechBegan | SpeechPassedOver | VoiceResult | VoiceRefused | VoiceFailed


class VoiceBusy(Exception):
    """Voice is not to be had at the moment: as many as may are speaking and waiting already."""
