"""A prompt as an engine needs it: pieces of plain text with a style, pauses, and marks, in order.

Everything that SSML says by nesting, inheritance or interpretation has been worked out: a `Text`
says in words what is to be heard, and its `Style` is complete and absolute. An engine may speak
pieces one by one, or together where they share a voice.
"""

from __future__ import annotations

from dataclasses import dataclass


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

    @property
    def voice(self) -> tuple[str, tuple[str, ...], str]:
        """What chooses the voice; pieces with the same one may share a breath."""
        return self.lang, self.names, self.gender


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    style: Style


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class MarkPoint:
    name: str


Item = Text | Pause | MarkPoint


@dataclass(frozen=True, slots=True)
class Plan:
    items: tuple[Item, ...]
    warnings: tuple[str, ...] = ()
