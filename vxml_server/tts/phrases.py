"""Phrase packs: what a `<say-as>` says, made of recorded words instead of synthesised.

A pack is a folder of recordings for one language, laid out as Asterisk's sounds are (`digits/`,
`letters/`, `hours`, ...; Debian: `asterisk-core-sounds-fr-wav`). A recording that the layout does
not have goes into `words/`, named by what it says: `words/euros.wav`.

`words` has said the number, the date or the amount in the grammar of its language already; here its
words are looked up, several at a time where one recording holds them ('soixante-dix').

The rule: a phrase is recorded from end to end or not at all. With one word missing the whole of it
is left to an engine: two voices in one number are worse than the second voice alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

from vxml_server.audio import RATE, decode, levelled
from vxml_server.events import VoiceXmlEvent
from vxml_server.tts import english, french, words
from vxml_server.tts.plan import Clip, Item, Plan, Text

_log = structlog.get_logger(__name__)

Samples = npt.NDArray[np.int16]

LOUDNESS = -20.0  # LUFS
MAX_CLIP_SECONDS = 10.0
MAX_OWN_WORDS = 5000
TRIM_DB = 36.0  # below the loudest frame is silence
TRIM_FRAME = 40  # samples: 5 ms
HEAD, TAIL = 0.005, 0.03  # seconds kept of the silence around a word
FADE = 0.003
WORD_GAP = 0.02
GROUP_GAP = 0.22  # at a comma: between the groups of a telephone number
EDGE_GAP = 0.08  # between a phrase and what an engine says around it

# How files are called, the first that there is, and what decoding needs to know of them.
SUFFIXES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".ulaw": "audio/basic",
    ".alaw": "audio/x-alaw-basic",
}
SPELLED = frozenset({"characters", "letters", "spell-out", "spell", "acronym"})
_ROUND = (*range(21), *range(30, 100, 10))

Words = tuple[str, ...]


def _numbers(lang: str) -> dict[str, str]:
    """What is called alike in all languages: numbers, ranks."""
    found = {words.cardinal(Decimal(number), lang): f"digits/{number}" for number in _ROUND}
    for number in _ROUND[1:]:
        rank = words.ordinal(number, lang)
        if rank is not None:
            found[rank] = f"digits/h-{number}"
    return found


def _months(names: Sequence[str]) -> dict[str, str]:
    return {name: f"digits/mon-{number}" for number, name in enumerate(names)}


_LAYOUT: dict[str, dict[str, str]] = {
    "en": _numbers("en")
    | _months(english.MONTHS)
    | {
        "hundred": "digits/hundred",
        "thousand": "digits/thousand",
        "million": "digits/million",
        "billion": "digits/billion",
        "hundredth": "digits/h-hundred",
        "thousandth": "digits/h-thousand",
        "millionth": "digits/h-million",
        "billionth": "digits/h-billion",
        "minus": "digits/minus",
        "oh": "digits/oh",
        "a.m.": "digits/a-m",
        "p.m.": "digits/p-m",
        "o'clock": "digits/oclock",
        "dollars": "digits/dollars",
        "and": "vm-and",
        "hours": "hours",
        "minute": "minute",
        "minutes": "minutes",
        "second": "digits/h-2",
        "seconds": "seconds",
        "star": "digits/star",
        "pound": "digits/pound",
        "plus": "letters/plus",
        "percent": "letters/ascii37",
        "dash": "letters/dash",
        "dot": "letters/dot",
        "comma": "letters/ascii44",
        "slash": "letters/slash",
        "backslash": "letters/ascii92",
        "at": "letters/at",
        "equals": "letters/equals",
        "dollar": "letters/dollar",
        "underscore": "letters/ascii95",
        "ampersand": "letters/ascii38",
        "colon": "letters/ascii58",
        "semicolon": "letters/ascii59",
        "question mark": "letters/ascii63",
        "exclamation mark": "letters/exclaimation-point",
        "quote": "letters/ascii34",
        "open parenthesis": "letters/ascii40",
        "close parenthesis": "letters/ascii41",
    },
    "fr": _numbers("fr")
    | _months(french.MONTHS)
    | {
        "une": "digits/1F",
        "première": "digits/h-1F",
        # Before another number it has no s; the recording is the same.
        "quatre-vingt": "digits/80",
        "cent": "digits/hundred",
        "cents": "digits/hundred",
        "mille": "digits/thousand",
        "million": "digits/million",
        "millions": "digits/million",
        "milliard": "digits/billion",
        "milliards": "digits/billion",
        "centième": "digits/h-hundred",
        "millième": "digits/h-thousand",
        "millionième": "digits/h-million",
        "moins": "digits/minus",
        "et": "digits/et",
        "heure": "digits/oclock",
        "heures": "hours",
        "minute": "minute",
        "minutes": "minutes",
        "seconde": "second",
        "secondes": "seconds",
        "dollars": "digits/dollars",
        "étoile": "digits/star",
        "dièse": "digits/pound",
        "plus": "letters/plus",
        "pour cent": "letters/ascii37",
        "virgule": "letters/ascii44",
        "tiret": "letters/dash",
        "point": "letters/dot",
        "barre oblique": "letters/slash",
        "arobase": "letters/at",
        "égal": "letters/equals",
        "dollar": "letters/dollar",
        "tiret bas": "letters/ascii95",
        "deux points": "letters/ascii58",
        "point-virgule": "letters/ascii59",
        "point d'interrogation": "letters/ascii63",
        "point d'exclamation": "letters/exclaimation-point",
    },
}
# The text of Debian's French pack has another word for it than its name.
_LAYOUT["fr"].pop(str(words.ordinal(80, "fr")), None)


class Pack:
    """The recordings of one folder, each read when it is first used; for any thread.

    Raises `VoiceXmlEvent` `error.noresource` where there are none.
    """

    def __init__(self, folder: Path, lang: str, lufs: float = LOUDNESS) -> None:
        self._folder = folder
        self._lufs = lufs
        layout = _LAYOUT.get(lang.split("-", 1)[0].lower(), {})
        named = {**layout, **self._own_words()}
        self._files: dict[Words, Path] = {
            _words(said): path
            for said, name in named.items()
            if (path := self._file(name)) is not None
        }
        self._letters: dict[Words, Path] = {
            (letter,): path
            for letter in "abcdefghijklmnopqrstuvwxyz"
            if (path := self._file(self._letter(letter, lang))) is not None
        }
        if not self._files and not self._letters:
            raise VoiceXmlEvent("error.noresource", f"there is no phrase pack in {folder}")
        self._longest = max((len(key) for key in self._files), default=1)
        self._clips: dict[Path, Samples | None] = {}
        self.identity = self._identity()

    @staticmethod
    def _letter(letter: str, lang: str) -> str:
        british = letter == "z" and lang.lower() in english.BRITISH
        return "letters/zed" if british else f"letters/{letter}"

    def _own_words(self) -> dict[str, str]:
        """'deux cent' by the name of its file in `words/`."""
        folder = self._folder / "words"
        try:
            stems = sorted({path.stem for path in folder.iterdir() if path.suffix in SUFFIXES})
        except OSError:
            return {}
        return {stem: f"words/{stem}" for stem in stems[:MAX_OWN_WORDS]}

    def _file(self, name: str) -> Path | None:
        paths = (self._folder / f"{name}{suffix}" for suffix in SUFFIXES)
        return next((path for path in paths if path.is_file()), None)

    def _identity(self) -> str:
        """Changes with any of the recordings."""
        digest = hashlib.sha256(f"{self._lufs:g}".encode())
        for key, path in sorted({**self._letters, **self._files}.items()):
            status = path.stat()
            digest.update(f"{key} {path} {status.st_size} {status.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:16]

    def phrase(self, text: str, *, spelled: bool = False) -> Samples | None:
        """The recording of some words, with the gaps around them; None when one is missing."""
        parts = [_silence(EDGE_GAP)]
        groups = [group for group in text.split(",") if group.strip()]
        for number, group in enumerate(groups):
            clips = self._group(_words(group), spelled)
            if not clips:
                return None
            if number:
                parts.append(_silence(WORD_GAP if spelled else GROUP_GAP))
            for position, clip in enumerate(clips):
                parts += [_silence(WORD_GAP), clip] if position else [clip]
        if len(parts) == 1:
            return None
        joined = np.concatenate([*parts, _silence(EDGE_GAP)])
        joined.setflags(write=False)
        return joined

    def _group(self, said: Words, spelled: bool) -> list[Samples] | None:
        """The fewest recordings that say these words in a row."""
        best: list[list[Samples] | None] = [[]]
        for end in range(1, len(said) + 1):
            found: list[Samples] | None = None
            for start in range(max(0, end - self._longest), end):
                before = best[start]
                if before is None or (found is not None and len(before) + 1 >= len(found)):
                    continue
                clip = self._clip(said[start:end], spelled)
                if clip is not None:
                    found = [*before, clip]
            best.append(found)
        return best[-1]

    def _clip(self, said: Words, spelled: bool) -> Samples | None:
        path = self._letters.get(said) if spelled else None
        path = path or self._files.get(said)
        if path is None:
            return None
        if path not in self._clips:
            self._clips[path] = self._read(path)
        return self._clips[path]

    def _read(self, path: Path) -> Samples | None:
        try:
            data = path.read_bytes()
            kind = SUFFIXES[path.suffix]
            clip = _trimmed(decode(data, kind, max_duration=MAX_CLIP_SECONDS).pcm)
        except (OSError, VoiceXmlEvent) as error:
            _log.warning(
                "a recording of a phrase pack is not used", path=str(path), error=str(error)
            )
            return None
        return levelled(clip, self._lufs) if len(clip) else None


class RecordedPhrases:
    """The phrase packs of a server, by language ('fr', 'fr-CA': the nearest tag counts).

    `lufs` is the loudness that they are brought to, each word by itself.
    """

    def __init__(self, folders: Mapping[str, Path], lufs: float = LOUDNESS) -> None:
        self._packs = {lang.lower(): Pack(folder, lang, lufs) for lang, folder in folders.items()}

    @property
    def identity(self) -> str:
        return " ".join(f"{lang}:{pack.identity}" for lang, pack in sorted(self._packs.items()))

    def applied(self, plan: Plan) -> Plan:
        """The plan with the recordings that there are in the places of the words that they say.

        Reads files; for a thread beside the loop. Where the style asks for another rate or pitch,
        which a recording does not have, an engine speaks.
        """
        if not self._packs:
            return plan
        return replace(plan, items=tuple(self._item(item) for item in plan.items))

    def _item(self, item: Item) -> Item:
        if not isinstance(item, Text) or not item.said_as:
            return item
        style = item.style
        lang = style.lang.lower()
        pack = self._packs.get(lang) or self._packs.get(lang.partition("-")[0])
        if pack is None or (style.rate, style.pitch) != (1.0, 1.0):
            return item
        pcm = pack.phrase(item.text, spelled=item.said_as.lower() in SPELLED)
        return item if pcm is None else Clip(item.text.strip(), style, pack.identity, pcm)


def _words(text: str) -> Words:
    return tuple(re.split(r"[\s-]+", text.strip().lower()))


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.int16)


def _trimmed(pcm: Samples) -> Samples:
    """Without the silence around a word, faded in and out where it is cut."""
    count = len(pcm) // TRIM_FRAME
    if not count:
        return pcm[:0]
    frames = pcm[: count * TRIM_FRAME].reshape(count, TRIM_FRAME).astype(np.float64)
    power = np.sqrt(np.mean(np.square(frames), axis=1))
    loud = np.flatnonzero(power > max(float(power.max()) * 10 ** (-TRIM_DB / 20), 8.0))
    if not len(loud):
        return pcm[:0]
    start = max(0, int(loud[0]) * TRIM_FRAME - round(HEAD * RATE))
    end = min(len(pcm), (int(loud[-1]) + 1) * TRIM_FRAME + round(TAIL * RATE))
    floats = pcm[start:end].astype(np.float32)
    length = min(round(FADE * RATE), len(floats) // 2)
    ramp = np.linspace(0.0, 1.0, length, dtype=np.float32)
    floats[:length] *= ramp
    floats[len(floats) - length :] *= ramp[::-1]
    return floats.astype(np.int16)
