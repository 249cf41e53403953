"""`<say-as>`: text of a known kind turned into words.

SSML 1.0 leaves the kinds open; these are the ones of the W3C note "SSML 1.0 say-as attribute
values" (date, time, telephone, characters, cardinal, ordinal), of VoiceXML 2.0 appendix P
(`vxml:boolean` and so on, in the notation of the built-in grammars' results), and what authors
have written before either (digits, number, currency, spell-out, measure, duration).

The rule: a kind that is not known, or text that is not of its kind, gives None, and the caller
speaks the text as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import phonenumbers

from vxml_server.tts import words
from vxml_server.tts.numerals import MAX_DIGITS

MAX_LENGTH = 200  # characters of one say-as

CURRENCY_SIGNS = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY"}
# What authors write for a unit, and CLDR's name of it.
UNITS = {
    "mm": "length-millimeter",
    "cm": "length-centimeter",
    "m": "length-meter",
    "km": "length-kilometer",
    "in": "length-inch",
    "ft": "length-foot",
    "yd": "length-yard",
    "mi": "length-mile",
    "mg": "mass-milligram",
    "g": "mass-gram",
    "kg": "mass-kilogram",
    "t": "mass-tonne",
    "oz": "mass-ounce",
    "lb": "mass-pound",
    "ml": "volume-milliliter",
    "cl": "volume-centiliter",
    "l": "volume-liter",
    "gal": "volume-gallon",
    "ms": "duration-millisecond",
    "s": "duration-second",
    "min": "duration-minute",
    "h": "duration-hour",
    "d": "duration-day",
    "km/h": "speed-kilometer-per-hour",
    "m/s": "speed-meter-per-second",
    "mph": "speed-mile-per-hour",
    "%": "concentr-percent",
    "°c": "temperature-celsius",
    "°f": "temperature-fahrenheit",
    "kb": "digital-kilobyte",
    "mb": "digital-megabyte",
    "gb": "digital-gigabyte",
    "tb": "digital-terabyte",
    "w": "power-watt",
    "kw": "power-kilowatt",
    "kwh": "energy-kilowatt-hour",
    "v": "electric-volt",
    "a": "electric-ampere",
    "hz": "frequency-hertz",
    "khz": "frequency-kilohertz",
    "mhz": "frequency-megahertz",
}

_DATE_PARTS = re.compile(r"\d+", re.ASCII)
_TIME = re.compile(
    r"(\d{1,2})\s*(?:[:hH.]\s*(\d{2})?(?:\s*[:m.]\s*(\d{2})s?)?)?\s*([ap])?\.?\s*(?:m\.?)?",
    re.IGNORECASE | re.ASCII,
)
_VXML_TIME = re.compile(r"(\d{2})(\d{2})([ahp?]?)", re.ASCII)
_DURATION = re.compile(r"(?:p?t)?(?:(\d{1,4})h)?(?:(\d{1,4})m)?(?:(\d{1,4})s)?", re.ASCII)
_MONEY = re.compile(
    r"([-+\u2212]?)\s*([A-Z]{3}|[€$£¥])?\s*([-+\u2212]?[\d.,\s\u00a0\u202f']*\d)"
    r"\s*([A-Z]{3}|[€$£¥])?",
    re.ASCII,
)
_MEASURE = re.compile(r"([-+\u2212]?[\d.,\s\u00a0\u202f']*\d)\s*([^\d\s].{0,9})", re.ASCII)
_GROUPED = re.compile(r"([+-]?)(\d{1,3}(?:([.,])\d{3})(?:\3\d{3})*)(?:[.,](\d+))?", re.ASCII)
_UNGROUPED = re.compile(r"[+-]?(?:\d+(?:[.,]\d+)?|[.,]\d+)", re.ASCII)
_BY_A_MACHINE = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_FIRST_ORDER = {"fr": "dmy", "en-us": "mdy"}
# Where a number without its country's prefix is dialled, for languages without a country.
_REGIONS = {"fr": "FR", "en": "US"}


def say_as(text: str, kind: str, form: str, lang: str) -> str | None:
    """`text` in words of `lang`, by the `interpret-as` attribute `kind` and the format `form`."""
    if len(text) > 10 * MAX_LENGTH or len(kind) > MAX_LENGTH or len(form) > MAX_LENGTH:
        return None
    text = " ".join(text.split())
    kind = kind.lower().strip()
    form = form.lower().strip()
    if not text or len(text) > MAX_LENGTH:
        return None
    # VoiceXML's names come with their own prefix, older ones as 'number:ordinal'.
    if kind.startswith("vxml:"):
        return _by(_VOICEXML, kind[5:], text, form, lang)
    kind, _, detail = kind.partition(":")
    return _by(_KINDS, kind, text, form or detail, lang)


Speaker = Callable[[str, str, str], str | None]


def _by(table: dict[str, Speaker], kind: str, text: str, form: str, lang: str) -> str | None:
    speaker = table.get(kind)
    return speaker(text, form, lang) if speaker else None


def _digits(text: str, form: str, lang: str) -> str | None:
    """One by one; groups that the text makes are kept apart."""
    del form
    groups = re.split(r"[\s\-./,]+", text)
    if not re.search(r"\d", text, re.ASCII):
        return None
    return ", ".join(words.digits(group, lang) for group in groups if group)


def _telephone(text: str, form: str, lang: str) -> str | None:
    """In the groups it is written in, or else in those of its country; in French in pairs."""
    region = form.upper() or lang.partition("-")[2].upper() or _REGIONS.get(lang.lower(), "")
    number, _, extension = text.lower().partition("x")
    if re.sub(r"[\s\-./()+*#0-9]", "", number) or not re.search(r"[0-9]", number):
        return None
    groups = re.findall(r"[0-9*#]+", number)
    international = number.strip().startswith("+")
    if len(groups) == 1:
        groups = _grouped(groups[0], region, international)
    zero = words.zero_on_the_telephone(lang)
    in_pairs = words.in_pairs(lang)
    spoken = ", ".join(
        words.pair(group, lang)
        if in_pairs and len(group) == 2 and group.isdigit()
        else words.digits(group, lang, zero=zero)
        for group in groups
    )
    if international:
        spoken = f"{words.plus(lang)} {spoken}"
    if digits := re.findall(r"[0-9]", extension):
        spoken += f", {words.extension(lang)} {words.digits(''.join(digits), lang, zero=zero)}"
    return spoken


def _grouped(digits: str, region: str, international: bool) -> list[str]:
    """As its country writes it, or else in threes, with a last group of up to four."""
    prefix = "+" if international else ""
    try:
        number = phonenumbers.parse(f"{prefix}{digits}", region or None)
    except phonenumbers.NumberParseException:
        number = None
    if number is not None and phonenumbers.is_possible_number(number):
        kind = phonenumbers.PhoneNumberFormat
        written = phonenumbers.format_number(
            number, kind.INTERNATIONAL if international else kind.NATIONAL
        )
        groups = re.findall(r"[0-9]+", written)
        if len(groups) > 1 and "".join(groups) == digits:
            return groups
    groups = []
    while len(digits) > 4:
        groups.append(digits[:3])
        digits = digits[3:]
    return [*groups, digits]


def _characters(text: str, form: str, lang: str) -> str | None:
    del form
    return ", ".join(words.digits(character, lang) for character in text if character != " ")


def _decimal(text: str, lang: str) -> Decimal | None:
    """A number as people write it: the last sign with one or two digits after it is the decimal."""
    compact = re.sub(r"[\s\u00a0\u202f']", "", text).replace("\u2212", "-")
    match = _GROUPED.fullmatch(compact)
    usual = "," if lang.lower().startswith("fr") else "."
    # "1.234" is a thousand and some in French, and a little over one in English.
    if match and not (match[2].count(usual) == len(re.findall("[.,]", match[2])) == 1):
        whole = re.sub("[.,]", "", match[2])
        return (
            Decimal(f"{match[1]}{whole}.{match[4] or 0}") if match[4] else Decimal(match[1] + whole)
        )
    match = _UNGROUPED.fullmatch(compact)
    return Decimal(compact.replace(",", ".")) if match else None


def _result(text: str, lang: str) -> Decimal | None:
    """A number as grammars and scripts write it: a point before decimals, whatever the language."""
    del lang
    return Decimal(text) if _BY_A_MACHINE.fullmatch(text) else None


def _countable(number: Decimal | None) -> Decimal | None:
    """A number that can be counted with."""
    if number is None or len(number.as_tuple().digits) > MAX_DIGITS:
        return None
    return number


def _cardinal(text: str, form: str, lang: str) -> str | None:
    return _counted(_decimal(text, lang), form, lang)


def _result_cardinal(text: str, form: str, lang: str) -> str | None:
    return _counted(_result(text, lang), form, lang)


def _counted(number: Decimal | None, form: str, lang: str) -> str | None:
    return None if number is None else words.cardinal(number, lang, feminine=form in _FEMININE)


_FEMININE = frozenset({"f", "feminine"})


def _ordinal(text: str, form: str, lang: str) -> str | None:
    match = re.fullmatch(r"(\d{1,9})([^\d]{0,4})", text, re.ASCII)
    if not match:
        return None
    feminine = form in _FEMININE or match[2].lower() in {"re", "ère", "ere"}
    return words.ordinal(int(match[1]), lang, feminine=feminine)


def _number(text: str, form: str, lang: str) -> str | None:
    return _FORMS_OF_NUMBER.get(form, _cardinal)(text, form, lang)


def _vxml_number(text: str, form: str, lang: str) -> str | None:
    return _FORMS_OF_NUMBER.get(form, _result_cardinal)(text, form, lang)


def _boolean(text: str, form: str, lang: str) -> str | None:
    del form
    value = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
    return None if value is None else words.boolean(value, lang)


def _date(text: str, form: str, lang: str) -> str | None:
    """By its format ('dmy', 'my', 'md'...), by ISO 8601, or in the order of the language."""
    order = re.sub(r"[^dmy]", "", form)
    order = "".join(dict.fromkeys(order))  # 'ddmmyyyy' and 'd/m/y' are 'dmy'
    if "?" in text:
        return _vxml_date(text, "", lang)
    numbers = _DATE_PARTS.findall(text)
    if len(numbers) == 1 and len(numbers[0]) == 8:
        year_first = (order or "ymd").startswith("y")
        numbers = _cut(numbers[0], (4, 2, 2) if year_first else (2, 2, 4))
        order = order or "ymd"
    if not order and len(numbers) == 3:
        short = lang.lower()
        usual = _FIRST_ORDER.get(short) or _FIRST_ORDER.get(short.split("-")[0], "dmy")
        order = "ymd" if len(numbers[0]) == 4 else usual
    if not order or len(numbers) != len(order) or re.search(r"[^0-9\s/.\-]", text):
        return None
    parts = {letter: int(number) for letter, number in zip(order, numbers, strict=True)}
    if "y" in parts and len(numbers[order.index("y")]) == 2:
        parts["y"] += 2000 if parts["y"] < 70 else 1900
    return _spoken_date(parts.get("y"), parts.get("m"), parts.get("d"), lang)


def _cut(text: str, lengths: tuple[int, ...]) -> list[str]:
    pieces = []
    for length in lengths:
        pieces.append(text[:length])
        text = text[length:]
    return pieces


def _spoken_date(year: int | None, month: int | None, day: int | None, lang: str) -> str | None:
    if month is not None and not 1 <= month <= 12:
        return None
    if day is not None and not 1 <= day <= (31 if month is None else _DAYS[month - 1]):
        return None
    if year is not None and not 1 <= year <= 9999:
        return None
    if year and month and day:
        try:
            date(year, month, day)
        except ValueError:  # the 29th of February of a year that has none
            return None
    return words.date(year, month, day, lang)


_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _vxml_date(text: str, form: str, lang: str) -> str | None:
    """yyyymmdd with question marks for what is not known."""
    del form
    if not re.fullmatch(r"(\d{4}|\?{4})(\d\d|\?\?)(\d\d|\?\?)", text, re.ASCII):
        return None
    year, month, day = (None if "?" in part else int(part) for part in _cut(text, (4, 2, 2)))
    if year is None and month is None and day is None:
        return None
    return _spoken_date(year, month, day, lang)


def _time(text: str, form: str, lang: str) -> str | None:
    """'14:30', '14h30', '1430', '2:30 pm', '2 p.m.', '14:30:15', and VoiceXML's '0230p'."""
    if re.fullmatch(r"\d{4}[ahp?]", text, re.ASCII):
        return _vxml_time(text, "", lang)
    if re.fullmatch(r"\d{4}", text, re.ASCII):
        text = f"{text[:2]}:{text[2:]}"
    match = _TIME.fullmatch(text)
    if not match or (match[1] == text and len(text) > 2):
        return None
    hour, minute = int(match[1]), int(match[2] or 0)
    second = int(match[3]) if match[3] else None
    half = (match[4] or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    if hour == 24 and minute == 0 and not second:
        hour = 0
    clock = next((count for count in (12, 24) if form.endswith(str(count))), 0)
    return _spoken_time(hour, minute, second, clock, lang)


def _vxml_time(text: str, form: str, lang: str) -> str | None:
    """hhmmx: x is a, p, h (24 hours) or ? (it is not known which half of the day)."""
    del form
    match = _VXML_TIME.fullmatch(text)
    if not match:
        return None
    hour, minute, half = int(match[1]), int(match[2]), match[3]
    if half in {"a", "p"} and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    if half == "?" and hour <= 12 and minute <= 59:
        return words.time(hour, minute, lang, half_known=False)
    return _spoken_time(hour, minute, None, 0, lang)


def _spoken_time(hour: int, minute: int, second: int | None, clock: int, lang: str) -> str | None:
    if hour > 23 or minute > 59 or (second or 0) > 59:
        return None
    return words.time(hour, minute, lang, second=second, clock=clock)


def _duration(text: str, form: str, lang: str) -> str | None:
    """'1h30m', 'PT2M5S', or numbers in the order of the format: '2:05' as 'ms'."""
    order = re.sub(r"[^hms]", "", form)
    numbers = _DATE_PARTS.findall(text)
    if order in {"hms", "hm", "ms", "h", "m", "s"} and re.fullmatch(r"[\d:.\s]+", text, re.ASCII):
        if len(numbers) != len(order) or max(map(len, numbers)) > 4:
            return None
        parts = {letter: int(number) for letter, number in zip(order, numbers, strict=True)}
        return words.duration(parts.get("h", 0), parts.get("m", 0), parts.get("s", 0), lang)
    match = _DURATION.fullmatch(re.sub(r"(?<=m)in|\s", "", text.lower()))
    if not match or not any(match.groups()):
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return words.duration(hours, minutes, seconds, lang)


def _measure(text: str, form: str, lang: str) -> str | None:
    """'10 km', '3,5 kg', '20 %', or a bare number with the unit as format."""
    match = _MEASURE.fullmatch(text)
    written, symbol = (match[1], match[2]) if match else (text, form)
    unit = UNITS.get(symbol.strip().lower().replace("º", "°"))
    number = _countable(_decimal(written, lang))
    return None if unit is None or number is None else words.measure(number, unit, lang)


def _currency(text: str, form: str, lang: str) -> str | None:
    """'12,50 €', '-$12.50', 'USD12.50', or a bare amount with the code as format."""
    return _spoken_amount(text, form, lang, _decimal)


def _vxml_currency(text: str, form: str, lang: str) -> str | None:
    """'USD12.50'."""
    return _spoken_amount(text, form, lang, _result)


def _spoken_amount(
    text: str, form: str, lang: str, read: Callable[[str, str], Decimal | None]
) -> str | None:
    match = _MONEY.fullmatch(text)
    if not match:
        return None
    symbol = match[2] or match[4] or form.upper()
    currency = CURRENCY_SIGNS.get(symbol, symbol)
    # A debt has its sign before the currency or after it; two signs are none.
    sign = match[1].replace("\u2212", "-")
    amount = _countable(read(sign + match[3].strip().replace("\u2212", "-"), lang))
    if amount is None:
        return None
    if not re.fullmatch(r"[A-Z]{3}", currency):
        return words.cardinal(amount, lang)
    return words.money(amount, currency, lang)


_FORMS_OF_NUMBER: dict[str, Speaker] = {
    "ordinal": _ordinal,
    "digits": _digits,
    "telephone": _telephone,
    "characters": _characters,
}

_KINDS: dict[str, Speaker] = {
    "digits": _digits,
    "telephone": _telephone,
    "phone": _telephone,
    "characters": _characters,
    "letters": _characters,
    "spell-out": _characters,
    "spell": _characters,
    "acronym": _characters,
    "number": _number,
    "cardinal": _cardinal,
    "ordinal": _ordinal,
    "date": _date,
    "time": _time,
    "duration": _duration,
    "currency": _currency,
    "money": _currency,
    "measure": _measure,
    "unit": _measure,
    "boolean": _boolean,
}

_VOICEXML: dict[str, Speaker] = {
    "boolean": _boolean,
    "date": _vxml_date,
    "digits": _digits,
    "currency": _vxml_currency,
    "number": _vxml_number,
    "phone": _telephone,
    "time": _vxml_time,
}
