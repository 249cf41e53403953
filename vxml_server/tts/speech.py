"""What is asked of a speech synthesiser and what it answers: a stream of chunks.

The first words of a prompt can be heard before the last are made, so the seam is a stream; who
wants the whole asks `speech_of` for it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vxml_server.tts.lexicon import Lexicon

RATE = 8000


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """An SSML document to be spoken.

    `lang` is the language where the document names none (BCP 47); `voice` and `gender` (`male`,
    `female`) are what the platform prefers where the document has no `<voice>`. `voices` are the
    operator's by language (tags in lower case, 'fr' for all that has none of its own), wherever no
    voice is asked for. Equal requests sound alike. `lexicons` say how words are pronounced, the
    first that knows a word. `is_fixed` says that the words stand in the application as they are,
    the same for every caller, and so may be written to disk.
    """

    ssml: str
    lang: str
    voice: str | None = None
    gender: str | None = None
    lexicons: tuple[Lexicon, ...] = ()
    is_fixed: bool = field(default=False, compare=False)
    voices: tuple[tuple[str, str], ...] = ()

    def operators_voice(self, lang: str) -> str | None:
        """For text of a language, the nearest tag first."""
        voices, tag = dict(self.voices), lang.lower()
        return voices.get(tag) or voices.get(tag.partition("-")[0])


@dataclass(frozen=True, slots=True)
class Mark:
    """A `<mark>` and when it is reached, in seconds from the beginning."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """A piece of speech on its way: int16 samples [n], mono, 8 kHz, not to be written to.

    Pieces follow each other without a gap; one may be empty. `marks` are those that lie in this
    piece, or at its end, with their times from the beginning of the *whole* speech: a mark comes no
    later than the sample it stands before. `warnings` as in `Speech`. `is_last` says that nothing
    follows, by an engine that knows it; a stream may as well end without it. `substitute`: spoken
    by an engine of second choice, because a better one failed; it is heard and not kept.
    """

    pcm: npt.NDArray[np.int16]
    marks: tuple[Mark, ...] = ()
    warnings: tuple[str, ...] = ()
    is_last: bool = False
    substitute: bool = False

    def __post_init__(self) -> None:
        self.pcm.setflags(write=False)


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """All of the speech of a request, as `Chunk` has it; marks in order of time.

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
        """Names the engine and everything that changes how it sounds: part of a cache key.

        It outlasts the process: the same text next week means the same sound.
        """

    def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
        """The speech of a request, piece by piece, each as soon as it is made.

        An asynchronous generator. Cancelling the one who iterates, or closing the generator, stops
        the work. How large pieces are is the engine's to choose; what counts is that the first one
        comes early. An engine that has everything at once yields one, with `is_last`.

        Raises `VoiceXmlEvent` when iterated: `error.unsupported.language` when a language has no
        voice, `error.semantic` when the document is not well-formed or too large,
        `error.noresource` when the engine fails. What came before the failure is heard.
        """


async def speech_of(stream: AsyncGenerator[Chunk]) -> Speech:
    """All of a stream; raises what it raises, and closes it."""
    async with aclosing(stream):
        return joined([chunk async for chunk in stream])


def joined(chunks: Sequence[Chunk]) -> Speech:
    """Chunks in a row as one speech; a single one is not copied."""
    if len(chunks) == 1:
        pcm = chunks[0].pcm
    else:
        pcm = np.concatenate([np.zeros(0, np.int16), *(chunk.pcm for chunk in chunks)])
    return Speech(
        pcm,
        tuple(mark for chunk in chunks for mark in chunk.marks),
        tuple(warning for chunk in chunks for warning in chunk.warnings),
    )
