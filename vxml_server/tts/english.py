"""English in words: American, and British where the tag says so or is of a country that follows."""

from __future__ import annotations

import re

from vxml_server.tts.language import Language, Money
from vxml_server.tts.numerals import Kind, in_words

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
# Where 'one hundred and one' and 'the first of May' are said, and 0 is 'oh' on the telephone.
BRITISH = frozenset({"en-gb", "en-au", "en-ie", "en-nz", "en-za", "en-in", "en-sg", "en-hk"})


def integer(number: int, lang: str, feminine: bool = False) -> str:
    """'one hundred one', in Britain 'one hundred and one'."""
    del feminine
    return _spoken(number, lang)


def ordinal(number: int, lang: str, feminine: bool = False) -> str:
    del feminine
    return _spoken(number, lang, "ordinal")


def _spoken(number: int, lang: str, kind: Kind = "cardinal") -> str:
    """Without commas, which are heard as pauses."""
    text = (in_words(number, "en", kind) or str(number)).replace(",", "")
    return text if lang.lower() in BRITISH else text.replace(" and ", " ")


def date(year: int | None, month: int | None, day: int | None, lang: str) -> str:
    said_year = _spoken(year, lang, "year") if year else ""
    said_year = said_year.replace("oh-", "oh ")
    if not day:
        return " ".join(part for part in (MONTHS[month - 1] if month else "", said_year) if part)
    said_day = ordinal(day, lang)
    if not month:
        text = f"the {said_day}"
    elif lang.lower() in BRITISH:
        text = f"the {said_day} of {MONTHS[month - 1]}"
    else:
        text = f"{MONTHS[month - 1]} {said_day}"
    # The comma keeps 'May first' and 'twenty twenty-six' apart.
    return f"{text}, {said_year}" if said_year else text


def time(
    hour: int, minute: int, second: int | None = None, clock: int = 0, half_known: bool = True
) -> str:
    minutes = f"oh {integer(minute, 'en')}" if 0 < minute < 10 else integer(minute, "en")
    unit = "second" if second == 1 else "seconds"
    seconds = f" and {integer(second, 'en')} {unit}" if second else ""
    if clock == 24:
        shown = integer(hour, "en")
        return f"{shown} {minutes}{seconds}" if minute else f"{shown} hundred hours{seconds}"
    if minute == 0 and hour in {0, 12} and not second and half_known and clock == 0:
        return "midnight" if hour == 0 else "noon"
    shown = integer(hour % 12 or 12, "en")
    if not half_known:
        return f"{shown} {minutes}{seconds}" if minute else f"{shown} o'clock{seconds}"
    half = "a.m." if hour < 12 else "p.m."
    return " ".join(part for part in (shown, minutes if minute else "", half) if part) + seconds


_SYMBOLS = {
    "-": "dash",
    "_": "underscore",
    ".": "dot",
    ",": "comma",
    "/": "slash",
    "\\": "backslash",
    "*": "star",
    "#": "pound",
    "@": "at",
    "+": "plus",
    "&": "ampersand",
    ":": "colon",
    ";": "semicolon",
    "!": "exclamation mark",
    "?": "question mark",
    "'": "apostrophe",
    "(": "open parenthesis",
    ")": "close parenthesis",
    "%": "percent",
    "=": "equals",
    "$": "dollar",
    "€": "euro",
    '"': "quote",
}

_MISREAD = (
    # "\u22125", "-$5", "-.5": an engine says no sign
    (
        re.compile(r"(?<![\w,.])(?:\u2212(?=\d)|[-\u2212](?=[€$£¥]\.?\d|\.\d))"),
        lambda _: "minus ",
    ),
)

ENGLISH = Language(
    yes="yes",
    no="no",
    minus="minus ",
    plus="plus",
    point="point",
    extension="extension",
    integer=integer,
    ordinal=ordinal,
    date=date,
    time=time,
    is_singular=lambda number: number == 1,
    telephone_zero=dict.fromkeys(BRITISH, "oh"),
    money_joint=" and ",
    money={
        "EUR": Money("euro", "euros", "cent", "cents"),
        "USD": Money("dollar", "dollars", "cent", "cents"),
        "CAD": Money("Canadian dollar", "Canadian dollars", "cent", "cents"),
        "GBP": Money("pound", "pounds", "penny", "pence"),
        "CHF": Money("Swiss franc", "Swiss francs", "centime", "centimes"),
    },
    symbols=_SYMBOLS,
    misread=_MISREAD,
)
