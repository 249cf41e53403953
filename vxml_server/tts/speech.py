"""What is asked of a speech synthesiser and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt

RATE = 8000


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """An SSML document to be spoken.

    `lang` is the language where the document names none (BCP 47); `voice` and `gender` (`male`,
    `female`) are what the platform prefers where the document has no `<voice>`. Equal requests
    sound alike, so a request is its own cache key.
    """

    ssml: str
    lang: str
    voice: str | None = None
    gender: str | None = None

    @staticmethod
    def of_text(text: str, lang: str) -> SpeechRequest:
        """The request that speaks plain text."""
        return SpeechRequest(
            f'<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis"'
            f" xml:lang={quoteattr(lang)}>{escape(text)}</speak>",
            lang,
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """A `<mark>` and when it is reached, in seconds from the beginning."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """Speech: int16 samples [n], mono, 8 kHz, not to be written to; marks in order of time.

    `warnings` says what in the document was not understood and therefore read as plain content.
    """

    pcm: npt.NDArray[np.int16]
    marks: tuple[Mark, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.pcm.setflags(write=False)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.pcm) / RATE


class Synthesizer(Protocol):
    """An engine, or something before one."""

    @property
    def identity(self) -> str:
        """Names the engine and everything that changes how it sounds: part of a cache key."""

    async def synthesize(self, request: SpeechRequest) -> Speech:
        """The speech of a request; cancelling the call stops the work.

        Raises `VoiceXmlEvent`: `error.unsupported.language` when a language has no voice,
        `error.semantic` when the document is not well-formed or too large, `error.noresource` when
        the engine fails.
        """
