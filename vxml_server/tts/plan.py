"""A prompt as an engine needs it: pieces of plain text with a style, pauses, and marks, in order.

Everything that SSML says by nesting, inheritance or interpretation has been worked out: a `Text`
says in words what is to be heard, and its `Style` is complete and absolute. An engine may speak
pieces one by one, or together where they share a voice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Style:
    """How a piece of text is spoken; factors are of the voice's own normal."""

    lang: str
    names: tuple[str, ...] = ()  # voices asked for, best first
    gender: str = ""  # 'male', 'female', 'neutral', or '' for any
    rate: float = 1.0
    pitch: float = 1.0
    pitch_range: float = 1.0
    gain_db: float = 0.0
    silent: bool = False  # `volume="silent"`: takes its time but is not heard
    age: int | None = None  # years of the speaker asked for
    variant: int | None = None  # the n-th of the voices that fit otherwise, from 1

    @property
    def voice(self) -> tuple[str, tuple[str, ...], str]:
        """What chooses the voice; pieces with the same one may share a breath."""
        return self.lang, self.names, self.gender


@dataclass(frozen=True, slots=True)
class Phonemes:
    """A pronunciation: `ipa` (the International Phonetic Alphabet), or `x-espeak` (its own)."""

    notation: str
    alphabet: str = "ipa"


@dataclass(frozen=True, slots=True)
class Text:
    """Words to be spoken.

    `phonemes` is how they are pronounced, for engines that can be told; the others speak the words.
    `said_as` is the kind of the `<say-as>` that they are the words of, for what has recordings of
    such words (`phrases`); engines have no use for it.
    """

    text: str
    style: Style
    phonemes: Phonemes | None = None
    said_as: str = ""

    @property
    def is_plain(self) -> bool:
        return self.phonemes is None and not self.said_as


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class MarkPoint:
    name: str


@dataclass(frozen=True, slots=True)
class Clip:
    """Words that were recorded: `pcm` int16 at 8 kHz, not to be written to, as loud as speech is.

    `style` is the text's, of which only the level still matters. Nothing is to be trimmed from it.
    """

    text: str
    style: Style
    source: str  # names the recordings; with the text it says which samples these are
    pcm: npt.NDArray[np.int16] = field(compare=False, repr=False)


Item = Text | Pause | MarkPoint | Clip


@dataclass(frozen=True, slots=True)
class Plan:
    """`warnings` says what in the document was not understood, with lines."""

    items: tuple[Item, ...]
    warnings: tuple[str, ...] = ()
