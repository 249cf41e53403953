"""Numbers in words by num2words: the one place that asks it.

The library knows English and French well. Of its other languages some have holes: Amharic never
comes back from ranks above a million and a half, tables end in the errors of tables, zero has an
empty name; and a language that it does not know it takes for one whose tag begins alike, Filipino
for Finnish.

The rule: it is asked only what it is known to come back from, and what comes is words or None.
"""

from __future__ import annotations

from typing import Literal

from num2words import CONVERTER_CLASSES, num2words

# Beyond it nobody knows the words, and digits are said one by one; arithmetic is exact up to it.
MAX_DIGITS = 27
# The number from which on languages but these are not asked.
PROVEN = frozenset({"en", "fr"})
MAX_UNPROVEN = 10**6

Kind = Literal["cardinal", "ordinal", "year"]


def in_words(number: int, lang: str, kind: Kind = "cardinal") -> str | None:
    """A number from 0 in a language by num2words' name of it (`fr`, `pt_BR`)."""
    limit = 10**MAX_DIGITS if lang in PROVEN else MAX_UNPROVEN
    if lang not in CONVERTER_CLASSES or not 0 <= number < limit:
        return None
    try:
        return str(num2words(number, lang=lang, to=kind)).strip() or None
    except Exception:  # code of others: there is no end of what its tables raise
        return None
