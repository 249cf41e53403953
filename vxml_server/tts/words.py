"""How a language says numbers, dates, times, money, measures and characters.

What languages share comes from Unicode's CLDR (Babel) and num2words; what one does in its own way
is in `Language`, of which `french` and `english` each make one. Other languages get what the
libraries know of them, with plain numerals where an engine reads those right.

The rule: a language of ours says everything in words, none in numerals. Words are heard the same
from every engine, and can be composed of recordings.
"""

from __future__ import annotations

import re
from datetime import date as calendar_date
from decimal import Decimal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import get_currency_name, get_decimal_symbol
from babel.units import format_unit

from vxml_server.tts.english import ENGLISH
from vxml_server.tts.french import FRENCH
from vxml_server.tts.language import Language, Money
from vxml_server.tts.numerals import MAX_DIGITS, in_words

LANGUAGES = {"fr": FRENCH, "en": ENGLISH}
GENERIC = Language(yes="true", no="false", minus="-", plus="+", point=".", extension="")


def cardinal(number: Decimal, lang: str, *, feminine: bool = False) -> str:
    """'moins trois virgule cinq'; in numerals, without grouping, where the language is not ours."""
    language = _language(lang)
    if number.adjusted() >= MAX_DIGITS:
        return digits(f"{number:f}", lang)
    if language.integer is None:
        locale = _locale(lang)
        sign = get_decimal_symbol(locale) if locale else "."
        text = f"{number.copy_abs():f}".replace(".", sign)
        return language.minus + text if number < 0 else text
    whole, _, rest = f"{number.copy_abs():f}".partition(".")
    text = language.integer(int(whole), lang, feminine and not rest)
    if rest:
        text = f"{text} {language.point} {_decimals(rest, lang)}"
    return language.minus + text if number < 0 else text


def _decimals(digits_after: str, lang: str) -> str:
    """French reads two or three of them as a number, English one by one."""
    language = _language(lang)
    if language.integer is None or not language.decimals_together or len(digits_after) > 3:
        return digits(digits_after, lang)
    significant = digits_after.lstrip("0")
    zeros = digits("0" * (len(digits_after) - len(significant)), lang)
    number = language.integer(int(significant), lang, False) if significant else ""
    return " ".join(part for part in (zeros, number) if part)


def ordinal(number: int, lang: str, *, feminine: bool = False) -> str | None:
    """'vingt et unième'; None where the language or its word is not known."""
    if (own := _language(lang).ordinal) is not None:
        return own(number, lang, feminine)
    names = (lang.replace("-", "_"), lang.split("-", 1)[0].lower())
    return next((said for name in names if (said := in_words(number, name, "ordinal"))), None)


def boolean(value: bool, lang: str) -> str:
    language = _language(lang)
    return language.yes if value else language.no


def date(year: int | None, month: int | None, day: int | None, lang: str) -> str | None:
    """A date or the part of one that is known; None where it cannot be said."""
    if (own := _language(lang).date) is not None:
        return own(year, month, day, lang)
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


def time(
    hour: int,
    minute: int,
    lang: str,
    *,
    second: int | None = None,
    clock: int = 0,
    half_known: bool = True,
) -> str:
    """A time of day.

    `clock` is 12 or 24 where the hours are counted so, 0 for what is usual. `half_known` is false
    for an hour of which nobody says whether it is in the morning.
    """
    if (own := _language(lang).time) is not None:
        return own(hour, minute, second, clock, half_known)
    return f"{hour}:{minute:02d}" + (f":{second:02d}" if second is not None else "")


def money(amount: Decimal, currency: str, lang: str) -> str:
    """An amount of a currency (ISO 4217 code), of no more than `MAX_DIGITS`."""
    language = _language(lang)
    names = language.money.get(currency) or _money_by_cldr(currency, lang)
    size = abs(amount)
    hundredths = size % 1 * 100
    if hundredths != int(hundredths) or not names.cent:
        text = _counted(size, names.one, names.many, lang, feminine=names.feminine)
        return language.minus + text if amount < 0 else text
    whole, cents = Decimal(int(size)), Decimal(int(hundredths))
    parts = []
    if whole or not cents:
        parts.append(_counted(whole, names.one, names.many, lang, feminine=names.feminine))
    if cents and (language.cents_named or not whole):
        parts.append(_counted(cents, names.cent, names.cents, lang))
    elif cents:
        parts.append(cardinal(cents, lang))
    text = language.money_joint.join(parts)
    return language.minus + text if amount < 0 else text


def measure(number: Decimal, unit: str, lang: str) -> str | None:
    """A number, of no more than `MAX_DIGITS`, of a unit by CLDR's name of it ('length-kilometer').

    None where there is no such name.
    """
    locale = _locale(lang)
    if locale is None:
        return None
    names = [
        re.sub(r"[\d\s\u00a0\u202f]+", " ", format_unit(count, unit, "long", locale=locale)).strip()
        for count in (1, 2)
    ]
    feminine = names[0].split(" ", 1)[0] in _language(lang).feminine
    text = _counted(abs(number), names[0], names[1], lang, feminine=feminine)
    return _language(lang).minus + text if number < 0 else text


def duration(hours: int, minutes: int, seconds: int, lang: str) -> str | None:
    """'deux heures cinq minutes'."""
    parts = [
        measure(Decimal(count), f"duration-{name}", lang)
        for name, count in (("hour", hours), ("minute", minutes), ("second", seconds))
        if count or (name == "second" and not hours and not minutes)
    ]
    said = [part for part in parts if part is not None]
    return " ".join(said) if len(said) == len(parts) else None


def _counted(number: Decimal, one: str, many: str, lang: str, *, feminine: bool = False) -> str:
    """French counts nothing and one and a half as singular, English does not."""
    language = _language(lang)
    if language.is_singular is not None:
        singular = language.is_singular(number)
    else:
        locale = _locale(lang)
        singular = locale.plural_form(number) == "one" if locale else number == 1
    name = one if singular else many
    words = cardinal(number, lang, feminine=feminine)
    return f"{words} {language.linked(number, name)}"


def digits(text: str, lang: str, *, zero: str = "") -> str:
    """Each character by itself; `zero` is said for 0 where it is not its usual name."""
    language = _language(lang)
    said = []
    for character in text:
        if character == "0" and zero:
            said.append(zero)
        elif character.isascii() and character.isdigit() and language.integer is not None:
            said.append(language.integer(int(character), lang, False))
        else:
            said.append(language.symbols.get(character, character))
    return " ".join(said)


def pair(text: str, lang: str) -> str:
    """Two digits of a telephone number as one number, but for a leading zero."""
    language = _language(lang)
    if language.integer is None or text.startswith("0"):
        return digits(text, lang)
    return language.integer(int(text), lang, False)


def zero_on_the_telephone(lang: str) -> str:
    """What 0 is called in a telephone number, '' for its usual name."""
    return _language(lang).telephone_zero.get(lang.lower(), "")


def in_pairs(lang: str) -> bool:
    """Whether the language says telephone numbers two digits at a time."""
    return _language(lang).in_pairs


def normalise(text: str, lang: str) -> str:
    """Plain text with what engines commonly misread in this language written out."""
    for pattern, replacement in _language(lang).misread:
        text = pattern.sub(replacement, text)
    return text


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


def _money_by_cldr(currency: str, lang: str) -> Money:
    locale = _locale(lang)
    if locale is None:
        return Money(currency, currency)
    one = get_currency_name(currency, 1, locale=locale)
    return Money(one, get_currency_name(currency, 2, locale=locale))
