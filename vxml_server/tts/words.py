"""How a language says numbers, dates, times, money, letters.

What all languages share comes from Unicode's CLDR (Babel) and num2words; what a language does in
its own way is in `LANGUAGES`, a table that more languages can be added to. French and English are
there because they are the first to be spoken here, not because anything else needs them.

Plain numerals are left as numerals where an engine reads them right, so that a Swiss or Belgian
voice may say *septante*.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date as calendar_date
from decimal import Decimal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import get_currency_name, get_decimal_symbol
from num2words import num2words


@dataclass(frozen=True, slots=True)
class Money:
    """Names of a currency in one language: one and many of the whole and of the hundredth."""

    one: str
    many: str
    cent: str = ""
    cents: str = ""


@dataclass(frozen=True, slots=True)
class Language:
    yes: str
    no: str
    minus: str  # with the space that follows it
    plus: str
    extension: str  # before an extension number
    date: Callable[[int | None, int | None, int | None], str] | None = None  # year, month, day
    time: Callable[[int, int, bool | None], str] | None = None  # hour, minute, 24 hours?
    money_joint: str = " "  # between the whole and the hundredths
    cents_named: bool = True
    money: dict[str, Money] = field(default_factory=dict)
    symbols: dict[str, str] = field(default_factory=dict)
    misread: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = ()


def cardinal(number: Decimal, lang: str) -> str:
    """A number in numerals that engines read right: sign in words, no grouping."""
    language = _language(lang)
    locale = _locale(lang)
    sign = get_decimal_symbol(locale) if locale else "."
    digits = f"{abs(number):f}".replace(".", sign)
    return language.minus + digits if number < 0 else digits


def ordinal(number: int, lang: str) -> str | None:
    """'vingt et unième'; None where the language is not known."""
    return _in_words(number, lang, "ordinal")


def boolean(value: bool, lang: str) -> str:
    language = _language(lang)
    return language.yes if value else language.no


def date(year: int | None, month: int | None, day: int | None, lang: str) -> str | None:
    """A date or the part of one that is known; None where it cannot be said."""
    if (own := _language(lang).date) is not None:
        return own(year, month, day)
    pattern = " ".join(
        letters for letters, part in (("d", day), ("MMMM", month), ("y", year)) if part is not None
    )
    locale = _locale(lang)
    if locale is None or (day is not None and month is None):
        return None
    whole = calendar_date(year or 2000, month or 1, day or 1)
    if year and month and day:
        return format_date(whole, "long", locale=locale)
    return format_date(whole, pattern, locale=locale)


def time(hour: int, minute: int, twenty_four: bool | None, lang: str) -> str:
    """A time of day; `twenty_four` says whether the hour is counted to 24, None as usual."""
    own = _language(lang).time
    return own(hour, minute, twenty_four) if own else f"{hour}:{minute:02d}"


def money(amount: Decimal, currency: str, lang: str) -> str:
    """An amount of a currency (ISO 4217 code)."""
    language = _language(lang)
    names = language.money.get(currency) or _money_by_cldr(currency, lang)
    size = abs(amount)
    whole, hundredths = int(size), round(size % 1 * 100)
    if size % 1 * 100 != hundredths or not names.cent:
        parts = [cardinal(size, lang), names.one if size == 1 else names.many]
        text = " ".join(parts)
    else:
        parts = []
        if whole or not hundredths:
            parts.append(f"{whole} {_plural(names, whole, lang)}")
        if hundredths:
            name = names.cent if hundredths == 1 else names.cents
            named = language.cents_named or not whole
            parts.append(f"{hundredths} {name}" if named else str(hundredths))
        text = language.money_joint.join(parts)
    return language.minus + text if amount < 0 else text


def normalise(text: str, lang: str) -> str:
    """Plain text with what engines commonly misread in this language written out."""
    for pattern, replacement in _language(lang).misread:
        text = pattern.sub(replacement, text)
    return text


def symbol(character: str, lang: str) -> str:
    """The name of a character where the language has one that engines miss, else itself."""
    return _language(lang).symbols.get(character, character)


def plus(lang: str) -> str:
    return _language(lang).plus


def extension(lang: str) -> str:
    return _language(lang).extension


def _language(lang: str) -> Language:
    return LANGUAGES.get(lang.split("-", 1)[0].lower(), GENERIC)


def _locale(lang: str) -> Locale | None:
    try:
        return Locale.parse(lang, sep="-")
    except (UnknownLocaleError, ValueError):
        return None


def _in_words(number: int, lang: str, form: str) -> str | None:
    for name in (lang.replace("-", "_"), lang.split("-", 1)[0].lower()):
        try:
            return str(num2words(number, lang=name, to=form))
        except (NotImplementedError, ArithmeticError, ValueError, TypeError):
            continue
    return None


def _money_by_cldr(currency: str, lang: str) -> Money:
    locale = _locale(lang)
    if locale is None:
        return Money(currency, currency)
    one = get_currency_name(currency, 1, locale=locale)
    return Money(one, get_currency_name(currency, 2, locale=locale))


def _plural(names: Money, number: int, lang: str) -> str:
    """French counts nothing as singular, English does not."""
    locale = _locale(lang)
    singular = locale.plural_form(number) == "one" if locale else number == 1
    return names.one if singular else names.many


# --- French ------------------------------------------------------------------------------------

_FRENCH_MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre"),
    *("octobre", "novembre", "décembre"),
)


def _french_date(year: int | None, month: int | None, day: int | None) -> str:
    parts = ["1er" if day == 1 else str(day)] if day else []
    if month:
        parts.append(_FRENCH_MONTHS[month - 1])
    if year:
        parts.append(str(year))
    if day and not month and not year:
        return f"le {parts[0]}"
    return " ".join(parts)


def _french_time(hour: int, minute: int, twenty_four: bool | None) -> str:
    del twenty_four  # French counts to 24 as it is written
    if minute == 0 and hour in {0, 12}:
        return "minuit" if hour == 0 else "midi"
    text = f"{_french_feminine(hour)} {'heure' if hour <= 1 else 'heures'}"
    return f"{text} {_french_feminine(minute)}" if minute else text


def _french_feminine(number: int) -> str:
    """Hours and minutes are feminine: *vingt et une heures*."""
    words = str(num2words(number, lang="fr"))
    return f"{words}e" if words.endswith("un") else words


def _french_clock(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2] or 0)
    return _french_time(hour, minute, None) if hour < 24 and minute < 60 else match[0]


def _french_rank(match: re.Match[str]) -> str:
    return str(num2words(int(match[1]), lang="fr", to="ordinal")) + (match[2] or "")


_FRENCH_MISREAD = (
    # "14 h 30", "9h": an engine spells the letter
    (re.compile(r"\b(\d{1,2}) ?h(?: ?(\d{2}))?\b"), _french_clock),
    # "2e", "21ème", "3es"; "1er" is read right
    (re.compile(r"\b(\d{1,4})(?:ièmes?|ème|eme|e)(s?)\b"), _french_rank),
    (re.compile(r"(?<![\w,.])[-\u2212](?=\d)"), lambda _: "moins "),
)

_FRENCH_SYMBOLS = {
    "-": "tiret",
    "_": "tiret bas",
    ".": "point",
    ",": "virgule",
    "/": "barre oblique",
    "\\": "barre oblique inverse",
    "*": "étoile",
    "#": "dièse",
    "@": "arobase",
    "+": "plus",
    "&": "et commercial",
    ":": "deux points",
    ";": "point-virgule",
    "!": "point d'exclamation",
    "?": "point d'interrogation",
    "'": "apostrophe",
    "(": "parenthèse ouvrante",
    ")": "parenthèse fermante",
}

# --- English -----------------------------------------------------------------------------------

_ENGLISH_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)


def _english_date(year: int | None, month: int | None, day: int | None) -> str:
    parts = [_ENGLISH_MONTHS[month - 1]] if month else []
    if day:
        ordinal_day = str(num2words(day, lang="en", to="ordinal"))
        parts.append(ordinal_day if month else f"the {ordinal_day}")
    if year:
        parts.append(str(num2words(year, lang="en", to="year")))
    # The comma keeps 'May first' and 'twenty twenty-six' apart.
    return f"{' '.join(parts[:-1])}, {parts[-1]}" if year and day else " ".join(parts)


def _english_time(hour: int, minute: int, twenty_four: bool | None) -> str:
    minutes = f"oh {minute}" if 0 < minute < 10 else str(minute)
    if twenty_four:
        return f"{hour} {minutes}" if minute else f"{hour} hundred hours"
    if minute == 0 and hour in {0, 12}:
        return "midnight" if hour == 0 else "noon"
    half = "a.m." if hour < 12 else "p.m."
    shown = hour % 12 or 12
    return f"{shown} {minutes} {half}" if minute else f"{shown} {half}"


_ENGLISH_SYMBOLS = {
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
}

GENERIC = Language("true", "false", "-", "+", "")

LANGUAGES = {
    "fr": Language(
        yes="oui",
        no="non",
        minus="moins ",
        plus="plus",
        extension="poste",
        date=_french_date,
        time=_french_time,
        cents_named=False,
        money={
            "EUR": Money("euro", "euros", "centime", "centimes"),
            "USD": Money("dollar", "dollars", "cent", "cents"),
            "CAD": Money("dollar canadien", "dollars canadiens", "cent", "cents"),
            "GBP": Money("livre sterling", "livres sterling", "penny", "pence"),
            "CHF": Money("franc suisse", "francs suisses", "centime", "centimes"),
        },
        symbols=_FRENCH_SYMBOLS,
        misread=_FRENCH_MISREAD,
    ),
    "en": Language(
        yes="yes",
        no="no",
        minus="minus ",
        plus="plus",
        extension="extension",
        date=_english_date,
        time=_english_time,
        money_joint=" and ",
        money={
            "EUR": Money("euro", "euros", "cent", "cents"),
            "USD": Money("dollar", "dollars", "cent", "cents"),
            "CAD": Money("Canadian dollar", "Canadian dollars", "cent", "cents"),
            "GBP": Money("pound", "pounds", "penny", "pence"),
            "CHF": Money("Swiss franc", "Swiss francs", "centime", "centimes"),
        },
        symbols=_ENGLISH_SYMBOLS,
    ),
}
