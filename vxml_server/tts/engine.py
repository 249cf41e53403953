"""What an engine is: the small protocol behind which everything that can speak a sentence stands.

An engine gets one `Utterance` at a time: a sentence of plain words in one voice, with a style that
is complete. Everything else is done before and after it, in one place (`selection`): documents are
read, pauses made, levels evened, voices chosen, failures passed on to the next engine, and what an
engine cannot do itself of rate and pitch is done to its samples. So nothing of a document but words
reaches an engine, and nothing of one prompt another.

Others bring an engine as an entry point of the group `vxml_server.tts`: a function that takes the
table of the settings, `[tts.plugins.<name>]`, and returns an `Engine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vxml_server.tts.plan import MarkPoint, Style, Text

GROUP = "vxml_server.tts"
REFERENCE_LUFS = -20.0  # that gains of voices are given for

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is spoken in one go: a sentence, or a part of one, of one voice.

    At least one of the texts has something to say. All have one style but for an engine with
    `Abilities.mixes`; `style` is that of the first that is heard.
    """

    items: tuple[Text | MarkPoint, ...]
    style: Style

    @property
    def text(self) -> str:
        """The words alone."""
        return "".join(item.text for item in self.items if isinstance(item, Text)).strip()

    @property
    def marks(self) -> tuple[str, ...]:
        """The names of the marks, in order."""
        return tuple(item.name for item in self.items if isinstance(item, MarkPoint))


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """An utterance as an engine says it: int16 samples [n], mono, at `rate` Hz.

    `marks` are the places of the utterance's marks, as samples, where the engine knows them; None
    where they are to be estimated.
    """

    pcm: Samples
    rate: int
    marks: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Abilities:
    """What an engine does by itself of an utterance's style; the rest is done to its samples.

    `mixes`: it speaks texts of several styles in one go. `queues`: it does one thing after the
    other, and sees itself that each has the time of the settings from its turn on, and no more.
    """

    rate: bool = False
    pitch: bool = False
    mixes: bool = False
    queues: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """A voice that an engine has for what was asked.

    `voice` is for the engine's own use. `named` is the place of its name among the names asked for,
    None if it has none of them. `is_gender` is false when another gender was asked for. `gain_db`
    is what brings the voice to `REFERENCE_LUFS`; None has it measured on the first that it says.
    """

    voice: str
    named: int | None = None
    is_gender: bool = True
    gain_db: float | None = None


class Engine(Protocol):
    """Something that speaks sentences. Its methods are called on one event loop."""

    @property
    def name(self) -> str:
        """As the settings and the metrics name it."""

    @property
    def identity(self) -> str:
        """Names what changes how it sounds: versions, voices, options. The same after a restart."""

    @property
    def abilities(self) -> Abilities: ...

    async def start(self) -> None:
        """Loads what takes time. Raises `VoiceXmlEvent` when it cannot speak here, saying why."""

    async def close(self) -> None:
        """Frees what it holds; may be called without `start`."""

    async def voice(self, lang: str, names: tuple[str, ...], gender: str) -> Offer | None:
        """The voice for a language tag, by preference one of `names` and of `gender`; None when it
        does not speak the language."""

    async def speak(self, utterance: Utterance, voice: str) -> Spoken:
        """The utterance by an offered voice; may be called for several at once.

        Cancelling gives the work up. Raises `VoiceXmlEvent` when it fails.
        """


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of an engine that has a list of them."""

    name: str
    lang: str  # BCP 47, '*' for any
    gender: str = ""  # 'male', 'female', 'neutral', or '' where it is not known


def choose(
    voices: tuple[Voice, ...], lang: str, names: tuple[str, ...], gender: str
) -> Offer | None:
    """The voice of a list that fits best: by language first, then by name, then by gender.

    A voice speaks a language when their primary tags are the same; the same region is better. A
    document writes the spaces of a name as `_`, for in `<voice name>` they part one from the next.
    """
    wanted = tag(lang)
    primary = wanted.partition("-")[0]
    best: tuple[tuple[int, bool, bool, int], Offer] | None = None
    asked = [_without_spaces(name) for name in names]
    for place, voice in enumerate(voices):
        own = tag(voice.lang)
        if own != "*" and (not primary or own.partition("-")[0] != primary):
            continue
        name = _without_spaces(voice.name)
        named = asked.index(name) if name in asked else None
        is_gender = gender not in {"male", "female"} or voice.gender in {gender, ""}
        order = (
            len(asked) if named is None else named,
            not is_gender,
            own not in {wanted, primary},
            place,
        )
        if best is None or order < best[0]:
            best = order, Offer(voice.name, named, is_gender)
    return best[1] if best else None


def tag(lang: str) -> str:
    """A language tag as it is compared."""
    return lang.strip().lower().replace("_", "-")


def _without_spaces(name: str) -> str:
    return "_".join(name.casefold().split())
