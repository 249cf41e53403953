"""When a token of the grammar and a token of the input are the same (SRGS 1.0 section 2.1).

Words are compared without regard to case, to the normal form of their characters, to the amount
of white space and to punctuation around them; keys are the sixteen signals of appendix E, of which
two have names. Both sides of a comparison go through the same functions, and only through them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from vxml_server.grammar.rules import Mode

KEYS = "0123456789*#ABCD"
_KEY = {key: ((key, key),) for key in KEYS}
_KEY_NAMES = {"star": "*", "pound": "#", "hash": "#"}
_EDGES = re.compile(r"^\W+|\W+$")
_FIGURES = re.compile("[0-9]+")
_NUMERAL = re.compile(r"[^\w-]*(-?)([0-9]+(?:[.,][0-9]+)*)\W*")
# How a grammar writes the sign and the separators of a numeral; alone, in a text, they are bare
# punctuation.
_MARKS = {"−": "-", "·": ".", "‚": ",", "∶": ":"}
# 2:30, 2:30pm, 14h30: figures and what stands between them.
_CLOCK = re.compile(r"([0-9]{1,2})(?:(:)([0-9]{2}))?(?:(h|[ap]m|[ap]\.m)([0-9]{2})?)?")


def fold(text: str) -> str:
    """`text` with each run of white space as one space, and none around it."""
    return " ".join(text.split())


def words(text: str, mode: Mode) -> tuple[tuple[str, str], ...]:
    """The words or keys of a text as pairs: what is compared, and what was written.

    A numeral is compared figure by figure, a hyphenated word part by part, so that it does not
    matter how a recogniser writes them; the first pair of such a word has all that was written,
    the others "". In a `dtmf` text, what is no key stands for itself, and so matches nothing.
    """
    if mode == "dtmf":
        return _KEY.get(text) or tuple((key, key) for part in text.split() for key in _keys(part))
    pairs = []
    for part in text.split():
        written = part
        for piece in _pieces(part):
            pairs.append((piece, written))
            written = ""
    return tuple(pairs)


@lru_cache(maxsize=8192)
def _pieces(part: str) -> tuple[str, ...]:
    if part in _MARKS:
        return (_MARKS[part],)
    numeral = _NUMERAL.fullmatch(part.replace("−", "-"))
    if numeral is not None:
        return (*numeral[1], *numeral[2])
    clock = _CLOCK.fullmatch(_EDGES.sub("", part.lower()))
    if clock is not None:
        hour, colon, minute, letters, after = (found or "" for found in clock.groups())
        return tuple(piece for piece in (*hour, colon, *minute, letters, *after) if piece)
    pieces: list[str] = []
    for word in map(normal_word, part.split("-")):
        pieces.extend(word if _FIGURES.fullmatch(word) else [word] if word else [])
    return tuple(pieces)


def normal_word(word: str) -> str:
    """The form in which words are compared; "" for bare punctuation."""
    folded = unicodedata.normalize("NFC", word.replace("’", "'")).casefold()
    return unicodedata.normalize("NFC", _EDGES.sub("", folded))


def _keys(part: str) -> Iterable[str]:
    name = part.lower()
    return _KEY_NAMES[name] if name in _KEY_NAMES else part.upper()


def are_keys(text: str) -> bool:
    """Whether `text` is made of keys and their names."""
    return all(key in KEYS for key, _ in words(text, "dtmf"))
