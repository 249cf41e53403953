"""How a sentence of a grammar may be written: Whisper learnt from subtitles, not from grammars.

"twenty one" is heard as "21", "Twenty-one" or "twenty one", and each has odds of its own; what was
said is as likely as all of its spellings together. The other way round, what Whisper writes by
itself ("1, 2, 3") has to become words that a grammar may have ("one two three").

The rule that must hold: every spelling says the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

import num2words

_HIGHEST = 100
"""Numbers up to here are known as words; greater ones are said in pieces of these."""
MOST = 6
"""The most spellings of a sentence: each costs time."""
_DIGITS = {"en": {"oh": "0", "o": "0"}, "fr": {"une": "1"}}
_FIGURES = re.compile(r"[0-9]+")
_WORD = re.compile(r"[^\s-]+")
_LONE_MINUS = re.compile(r"^\s*-\s+(?=[0-9])")
_BETWEEN = r"(?:,? |-)"
_PARTS_OF_A_NUMBER = re.compile(rf"[0-9]{{2}}{_BETWEEN}[0-9]|[0-9]{_BETWEEN}[0-9]{{2}}")
"""Of "60 15", "20-5" and "4, 20, 14" the words are a number, and the figures another."""
_GROUPING_POINT = re.compile(r"(?<=[0-9])\.(?=[0-9]{3}(?![0-9]))")
_GROUPED_BY_POINTS = frozenset({"fr"})
"""Languages in which 3.712 is 3712, since a decimal fraction has a comma."""


@lru_cache(maxsize=16)
def _numbers(lang: str) -> Mapping[tuple[str, ...], tuple[str, str]]:
    """The words of each number -> how it is written in words and in figures."""
    known: dict[tuple[str, ...], tuple[str, str]] = {}
    for kind in ("ordinal", "cardinal"):
        for number in range(_HIGHEST + 1):
            try:
                words = num2words.num2words(number, lang=lang, to=kind)
            except (NotImplementedError, LookupError, ArithmeticError, TypeError):
                continue  # not every language has a word for each of them
            short = str(number) if kind == "cardinal" else _ordinal(number, lang)
            known[_key(words)] = (words, short)
    for word, figure in _DIGITS.get(lang, {}).items():
        known[word,] = (word, figure)
    return known


def _ordinal(number: int, lang: str) -> str:
    """An ordinal in figures."""
    if lang == "fr":
        return "1er" if number == 1 else f"{number}e"
    return str(num2words.num2words(number, lang=lang, to="ordinal_num"))


def _key(text: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(text))


def spellings(sentence: str, lang: str) -> tuple[str, ...]:
    """How the words of `sentence` may be written in a language (a primary subtag): as they are,
    capitalised, numbers in figures and in words, hyphens as spaces; at most `MOST`."""
    plain = " ".join(sentence.replace("’", "'").split())
    runs = list(_with_numbers(plain, lang))
    words = " ".join(run if isinstance(run, str) else run[0] for run in runs)
    figures = " ".join(run if isinstance(run, str) else run[1] for run in runs)
    found: dict[str, None] = {}
    for text in (plain, words, figures, in_words(plain, lang), plain.replace("-", " ")):
        found[_lowered(text)] = None
        found[_capitalised(text)] = None
    return tuple(found)[:MOST]


def in_words(text: str, lang: str) -> str:
    """`text` with each number in figures as the word for it, where there is one."""
    by_figures = {short: words for words, short in reversed(list(_numbers(lang).values()))}
    return re.sub(
        r"\b[0-9]+(?:st|nd|rd|th|er|e|ème)?\b",
        lambda found: by_figures.get(found[0], found[0]),
        text,
    )


def readings(text: str, lang: str) -> tuple[str, ...]:
    """What a text that Whisper wrote may be in the words of a grammar, the plainest first."""
    plain = _LONE_MINUS.sub("-", text.replace("’", "'"))
    if lang in _GROUPED_BY_POINTS:
        plain = _GROUPING_POINT.sub("", plain)
    one_by_one = _FIGURES.sub(lambda found: f" {' '.join(found[0])} ", plain)
    figures = " ".join(
        run if isinstance(run, str) else run[1] for run in _with_numbers(_unmarked(plain), lang)
    )
    in_parts = re.sub(rf"(?<=[0-9]){_BETWEEN}(?=[0-9])", " ", plain)
    found = (
        *([in_words(in_parts, lang)] if _PARTS_OF_A_NUMBER.search(plain) else []),
        plain,
        in_words(plain, lang),
        in_words(one_by_one, lang),
        figures,
        plain.replace("-", ""),
    )
    return tuple(dict.fromkeys(" ".join(one.split()) for one in found))


def _unmarked(text: str) -> str:
    return re.sub(r"[,.;:!?]+(?=\s|$)", "", text)


def _with_numbers(text: str, lang: str) -> Iterator[str | tuple[str, str]]:
    """The words of a text; those that are numbers as how they are written in words and figures."""
    numbers = _numbers(lang)
    longest = max(map(len, numbers), default=0)
    parts = text.split()
    at = 0
    while at < len(parts):
        for count in range(min(longest, len(parts) - at), 0, -1):
            key = _key(" ".join(parts[at : at + count]))
            if key in numbers:
                yield numbers[key]
                at += count
                break
        else:
            yield parts[at]
            at += 1


def _lowered(text: str) -> str:
    """`text` with a small first letter, unless the first word is written in capitals."""
    first = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if first[1:] == first[1:].lower() and first != "I" else text


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def most_figures(vocabulary: Iterable[str], lang: str) -> int:
    """How many figures the longest of the words that are numbers is written with: 0 where none is,
    1 where only digits are, as in strings of them."""
    known = {key[0]: short for key, (_, short) in _numbers(lang).items() if len(key) == 1}
    words = (word.lower() for one in vocabulary for word in one.split())
    written = (word if word.isdecimal() else known.get(word, "") for word in words)
    return max((sum(map(str.isdecimal, short)) for short in written), default=0)
