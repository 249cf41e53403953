"""French in words: of France, and with *septante* and its like of Belgium and Switzerland."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from vxml_server.tts.language import Language, Money
from vxml_server.tts.numerals import in_words

MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre"),
    *("octobre", "novembre", "décembre"),
)
# What a country calls 70, 80 and 90 where it is not what France does.
_TENS = {
    "fr-be": {70: "septante", 90: "nonante"},
    "fr-ch": {70: "septante", 80: "huitante", 90: "nonante"},
    "fr-lu": {70: "septante", 90: "nonante"},
}
_VOWELS = "aeiouhéèêôœ"


def integer(number: int, lang: str, feminine: bool = False) -> str:
    """'quatre-vingts', 'deux cent un', 'vingt et une'."""
    text = _plain(number)
    if lang.lower() in _TENS:
        names, pattern = _local(lang.lower())
        text = pattern.sub(lambda match: names[match[0]], text)
    return f"{text}e" if feminine and re.search(r"\bun$", text) else text


def _plain(number: int) -> str:
    return in_words(number, "fr") or str(number)


@lru_cache
def _local(lang: str) -> tuple[dict[str, str], re.Pattern[str]]:
    """The numbers under a hundred that the country says otherwise, and where they stand."""
    names = {}
    for ten, word in _TENS[lang].items():
        for unit in range(10):
            said = ("", " et un")[unit] if unit < 2 else f"-{_plain(unit)}"
            names[_plain(ten + unit)] = word + said
    if 80 in _TENS[lang]:
        names["quatre-vingt"] = names["quatre-vingts"]  # as it is before 'mille'
    longest_first = sorted(names, key=len, reverse=True)
    return names, re.compile(rf"\b(?:{'|'.join(longest_first)})(?![\w-])")


def ordinal(number: int, lang: str, feminine: bool = False) -> str:
    """'premier', 'quatre-vingtième', 'deux cent unième', 'millionième'."""
    if number == 1:
        return "première" if feminine else "premier"
    text = integer(number, lang)
    text = re.sub(r"^un (?=mill|bill|trill)", "", text)
    text = re.sub(r"(?<=vingt|.cent|llion|liard)s$", "", text)
    if text.endswith("cinq"):
        text += "u"
    elif text.endswith("neuf"):
        text = text[:-1] + "v"
    return f"{text.removesuffix('e')}ième"


def date(year: int | None, month: int | None, day: int | None, lang: str) -> str:
    parts = ["premier" if day == 1 else integer(day, lang)] if day else []
    if month:
        parts.append(MONTHS[month - 1])
    if year:
        parts.append(integer(year, lang))
    if day and not month and not year:
        return f"le {parts[0]}"
    return " ".join(parts)


def time(
    hour: int, minute: int, second: int | None = None, clock: int = 0, half_known: bool = True
) -> str:
    """Counted to 24, unless twelve hours were asked for; hours and minutes are feminine."""
    shown, half = hour, ""
    if clock == 12 and half_known:
        shown = hour % 12 or 12
        half = " du matin" if hour < 12 else " de l'après-midi" if hour < 18 else " du soir"
    if half_known and hour in {0, 12} and (clock == 12 or (minute == 0 and clock == 0)):
        text, half = ("minuit" if hour == 0 else "midi"), ""
    else:
        text = f"{integer(shown, 'fr', True)} {'heure' if shown <= 1 else 'heures'}"
    if minute:
        text = f"{text} {integer(minute, 'fr', True)}"
    if second:
        minutes = "" if not minute else " minute" if minute == 1 else " minutes"
        seconds = "seconde" if second == 1 else "secondes"
        text = f"{text}{minutes} et {integer(second, 'fr', True)} {seconds}"
    return text + half


def _linked(number: Decimal, name: str) -> str:
    """'deux millions d'euros': a million is a noun."""
    if number < 10**6 or number % 10**6:
        return name
    return f"d'{name}" if name[:1].lower() in _VOWELS else f"de {name}"


def _clock(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2] or 0)
    return time(hour, minute) if hour < 24 and minute < 60 else match[0]


def _rank(match: re.Match[str]) -> str:
    return ordinal(int(match[1]), "fr") + (match[2] or "")


_MISREAD = (
    # "14 h 30", "9h": an engine spells the letter
    (re.compile(r"\b(\d{1,2}) ?h(?: ?(\d{2}))?\b"), _clock),
    # "2e", "21ème", "3es"; "1er" is read right
    (re.compile(r"\b(\d{1,4})(?:ièmes?|ème|eme|e)(s?)\b"), _rank),
    (re.compile(r"(?<![\w,.])[-\u2212](?=[€$£¥]?[,.]?\d)"), lambda _: "moins "),
)

_SYMBOLS = {
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
    "%": "pour cent",
    "=": "égal",
    "$": "dollar",
    "€": "euro",
    '"': "guillemet",
}

FRENCH = Language(
    yes="oui",
    no="non",
    minus="moins ",
    plus="plus",
    point="virgule",
    extension="poste",
    integer=integer,
    ordinal=ordinal,
    date=date,
    time=time,
    is_singular=lambda number: number < 2,
    linked=_linked,
    decimals_together=True,
    in_pairs=True,
    cents_named=False,
    money={
        "EUR": Money("euro", "euros", "centime", "centimes"),
        "USD": Money("dollar", "dollars", "cent", "cents"),
        "CAD": Money("dollar canadien", "dollars canadiens", "cent", "cents"),
        "GBP": Money("livre sterling", "livres sterling", "penny", "pence", feminine=True),
        "CHF": Money("franc suisse", "francs suisses", "centime", "centimes"),
    },
    feminine=frozenset(
        {
            "heure",
            "minute",
            "seconde",
            "journée",
            "semaine",
            "année",
            "milliseconde",
            "microseconde",
        }
        | {"tonne", "livre", "once", "pinte", "calorie", "kilocalorie", "acre", "page", "nuit"}
    ),
    symbols=_SYMBOLS,
    misread=_MISREAD,
)
