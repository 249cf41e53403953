"""What is asked of a speech recogniser and what it answers.

An engine is a library and its models, shared by all calls; an utterance is one caller's speech on
its way through it. Engines know nothing of time-outs, barge-in or keys: they are given the audio of
one utterance and say what was said, as far as the active grammars allow it.

The rule that must hold: an utterance is used by one thread at a time, and never by the event loop's
own, for all of this may take its time. Engines may be asked for utterances by several threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vxml_server.grammar import Grammar, Hypothesis

RATE = 8000
"""Samples a second of all audio in this room; engines that want more resample."""

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class RecognitionProperties:
    """What of section 6.3.2 of VoiceXML 2.0 is an engine's matter.

    `lang` is a language tag (BCP 47) for all grammars of one utterance; `speed_vs_accuracy` goes
    from 0 (fastest) to 1 (most accurate).
    """

    lang: str
    max_nbest: int = 1
    speed_vs_accuracy: float = 0.5


class Utterance(Protocol):
    """One caller's speech in one engine."""

    def feed(self, pcm: Samples) -> None:
        """Takes the next samples: int16 [n], mono, 8 kHz."""

    def result(self) -> tuple[Hypothesis, ...]:
        """What was said so far, the likeliest first, at most `max_nbest` of them.

        May be asked again after more was fed. Confidence is calibrated: 0.5 is about even odds of
        being right. Empty when nothing was understood. Without grammars (dictation) it is free
        text; with grammars each text is a sentence of at least one of them.
        Raises `VoiceXmlEvent` `error.noresource` when the engine fails.
        """

    def close(self) -> None:
        """Gives everything back; what is still being worked out is of no interest any more."""


class SpeechEngine(Protocol):
    """A recogniser: a library with the models that it was given."""

    @property
    def identity(self) -> str:
        """Names the engine and its model, for logs and for calibration data."""

    def load(self) -> None:
        """Loads the models, which may take its time; `start` does it by itself if nobody has.

        Raises `VoiceXmlEvent` `error.noresource` when a model cannot be used.
        """

    def speaks(self, lang: str) -> bool:
        """Whether there is a model for a language tag (a region that is not known is ignored).

        Cheap, and known before anything is loaded.
        """

    def start(self, grammars: Sequence[Grammar], properties: RecognitionProperties) -> Utterance:
        """Begins an utterance that is to match one of the grammars; none of them is dictation.

        Raises `VoiceXmlEvent`: `error.unsupported.language`; `error.noresource` when the engine or
        its model cannot be used; `error.unsupported.format` when a grammar is beyond it.
        """

    def close(self) -> None:
        """Gives models and processes back."""
