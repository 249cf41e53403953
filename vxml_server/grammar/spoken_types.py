"""Dates, times and amounts of money in words, a language each (VoiceXML 2.0 appendix P).

What is said is taken apart by the tags of the grammars below (`out.y` the year, `out.h` the hour,
`out.n` the amount, and so on), and put together here into the form that the appendix gives. A day
that its month does not have is no match.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from vxml_server.grammar.rules import JsonValue, Said

# Rules from word lists ---------------------------------------------------------------------------


def _rule(name: str, words: Mapping[str, str]) -> str:
    """A rule whose words, several for a value separated by `/`, have those values."""
    branches = [
        f"{spelling.strip()} {{'{value}'}}"
        for spellings, value in words.items()
        for spelling in spellings.split("/")
    ]
    return f"${name} = {' | '.join(branches)};\n"


def _numbered(words: Iterable[str], first: int) -> dict[str, str]:
    """Two figures for each of the words; the figures may also be said as they are written."""
    return {
        f"{word} / {number} / {number:02}" if number < 10 else f"{word} / {number}": f"{number:02}"
        for number, word in enumerate(words, first)
    }


def _months(names: str) -> str:
    """The months in three rules, by the number of their days."""
    months = {name: f"{number:02}" for number, name in enumerate(names.split(), 1)}
    short = {"04", "06", "09", "11"}
    return (
        _rule("month29", {name: value for name, value in months.items() if value == "02"})
        + _rule("month30", {name: value for name, value in months.items() if value in short})
        + _rule("month31", {n: v for n, v in months.items() if v not in short | {"02"}})
        + "$month = $month31 | $month30 | $month29;\n"
    )


def _days(words: Mapping[str, str]) -> str:
    return "".join(
        _rule(f"day{last}", {word: value for word, value in words.items() if int(value) <= last})
        for last in (29, 30, 31)
    )


def _dated(form: str) -> str:
    """A form of a date, written out for months of each length: M and D stand for the rules."""
    return " | ".join(
        form.replace("M", f"$month{last} {{out.m = rules.month{last};}}").replace(
            "D", f"$day{last} {{out.d = rules.day{last};}}"
        )
        for last in (31, 30, 29)
    )


_YEAR = "$year {out.y = rules.year;}"
# 2024-07-04, which is heard figure by figure.
_ISO = """$iso = $iso_year {out.y = rules.iso_year;} ($iso31 {out.md = rules.iso31;}
       | $iso30 {out.md = rules.iso30;} | $iso29 {out.md = rules.iso29;});
$iso_year = $figure <4>;
""" + "".join(
    f"$iso{last} = ({months}) ({' | '.join(f'{day:02}' for day in range(1, last + 1))});\n"
    for last, months in ((31, "01|03|05|07|08|10|12"), (30, "04|06|09|11"), (29, "02"))
)

# English -----------------------------------------------------------------------------------------

_EN_UNITS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_EN_TEENS = [
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen"),
    *("sixteen", "seventeen", "eighteen", "nineteen"),
]
_EN_TENS = ["twenty", "thirty", "forty", "fifty"]
_EN_60 = [
    *_EN_UNITS,
    *_EN_TEENS,
    *(f"{ten} {unit}".strip() for ten in _EN_TENS for unit in ["", *_EN_UNITS]),
]
_EN_ORDINALS = [
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
    *("tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth"),
    *("sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth"),
]
_EN_31 = [
    *_EN_ORDINALS,
    *(f"twenty {word}" for word in _EN_ORDINALS[:9]),
    "thirtieth",
    "thirty first",
]


def _english_days() -> dict[str, str]:
    endings = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}
    return {
        f"{ordinal} / {_EN_60[n - 1]} / {n} / {n:02} / {n}{endings.get(n, 'th')}": f"{n:02}"
        for n, ordinal in enumerate(_EN_31, 1)
    }


ENGLISH = (
    f"""
public $date = [on] [$weekday] ($named | $iso);
$named = {_dated(f"M [the] D [[in | of] {_YEAR}]")}
       | {_dated(f"[the] D [of] M [[in | of] {_YEAR}]")}
       | [in] $month {{out.m = rules.month;}} [[of] {_YEAR}] | the $day31 {{out.d = rules.day31;}}
       | [in] {_YEAR};
$weekday = monday | tuesday | wednesday | thursday | friday | saturday | sunday;
$year = $figure <4> | two thousand [[and] $below_hundred]
      | ($teen | twenty) (hundred | (oh | o) $unit | $teen | $ten [$unit]);
public $time = [at] ($clock | $spoken | $military | $named_time);
$clock = $hour12 {{out.h = rules.hour12;}}
         [o'clock | (oh | o) $minute9 {{out.m = rules.minute9;}}
          | [∶] $minutes {{out.m = rules.minutes;}}]
         [$half {{out.x = rules.half;}}];
$spoken = $span {{out.m = rules.span;}} (past | after) $hour12 {{out.h = rules.hour12;}}
          [$half {{out.x = rules.half;}}]
        | $span {{out.before = rules.span;}} (to | before | till | of) $hour12
          {{out.h = rules.hour12;}} [$half {{out.x = rules.half;}}];
$military = $hour24 {{out.h = rules.hour24; out.x = 'h';}}
            (hundred | [∶] $minutes {{out.m = rules.minutes;}}) [hours];
$named_time = noon {{out.h = '12'; out.x = 'p';}} | midnight {{out.h = '12'; out.x = 'a';}};
$span = [a] quarter {{'15'}} | half {{'30'}} | $minute [minutes];
$half = am {{'a'}} | a m {{'a'}} | a.m. {{'a'}} | pm {{'p'}} | p m {{'p'}} | p.m. {{'p'}}
      | in the morning {{'a'}} | in the (afternoon | evening) {{'p'}} | at night {{'p'}};
public $currency = $coins {{out.cents = rules.coins;}} $cents
    | $magnitude {{out.n = rules.magnitude;}} [$money {{out.c = rules.money;}}
      [[and] $coins {{out.cents = rules.coins;}} [$cents | p]]]
    | $dozens {{out.n = rules.dozens;}} $coins {{out.cents = rules.coins;}};
$cents = cent | cents | penny | pence | centime | centimes;
$dozens = $ten [$unit] | $teen | $unit;
$phone_group = (double | triple) $digit | $unit hundred | $ten [$unit] | $teen | $digit;
$extension = [at] (extension | ext | x);
public $phone = $phone_group <1-> [$extension {{'x'}} $phone_group <1->];
"""
    + _months(
        "january february march april may june july august september october november december"
    )
    + _days(_english_days())
    + _rule("hour12", _numbered(_EN_60[:12], 1))
    + _rule(
        "hour24",
        {"zero / oh / 00 / zero zero / oh oh": "00"}
        | {f"zero {word} / oh {word} / 0{n}": f"{n:02}" for n, word in enumerate(_EN_UNITS, 1)}
        | _numbered(_EN_60[12:23], 13),
    )
    + _rule("minute9", {f"{word} / {n}": f"{n:02}" for n, word in enumerate(_EN_UNITS, 1)})
    + _rule("minute", {f"{word} / {n}": f"{n:02}" for n, word in enumerate(_EN_60, 1)})
    + _rule(
        "minutes",
        {f"{n:02}": f"{n:02}" for n in range(60)}
        | {word: f"{n:02}" for n, word in enumerate(_EN_60, 1) if n > 9},
    )
    + _rule(
        "coins",
        _numbered(
            [
                *_EN_60,
                *(
                    f"{ten} {unit}".strip()
                    for ten in ["sixty", "seventy", "eighty", "ninety"]
                    for unit in ["", *_EN_UNITS]
                ),
            ],
            1,
        ),
    )
    + _rule(
        "money",
        {
            # Whose dollars, pesos or francs cannot be known (appendix P).
            "dollar / dollars / peso / pesos / franc / francs": "",
            "us dollar / us dollars / american dollar / american dollars / u.s. dollars": "USD",
            "canadian dollar / canadian dollars": "CAD",
            "australian dollar / australian dollars": "AUD",
            "euro / euros": "EUR",
            "pound / pounds / pound sterling / pounds sterling": "GBP",
            "swiss franc / swiss francs": "CHF",
            "yen": "JPY",
        },
    )
    + _ISO
)

# French ------------------------------------------------------------------------------------------

_FR_UNITS = ["un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"]
_FR_TEENS = [
    *["dix", "onze", "douze", "treize", "quatorze", "quinze", "seize"],
    *(f"dix {word}" for word in ("sept", "huit", "neuf")),
]
_FR_60 = [
    *_FR_UNITS,
    *_FR_TEENS,
    *(
        f"{ten} {'et un' if unit == 'un' else unit}".strip()
        for ten in ["vingt", "trente", "quarante", "cinquante"]
        for unit in ["", *_FR_UNITS]
    ),
]
_FR_99 = [
    *_FR_60,
    "soixante",
    "soixante et un",
    *(f"soixante {word}" for word in _FR_UNITS[1:]),
    "soixante dix / septante",
    "soixante et onze / septante et un",
    *(
        f"soixante {word} / septante {unit}"
        for word, unit in zip(_FR_TEENS[2:], _FR_UNITS[1:], strict=True)
    ),
    "quatre vingts / quatre vingt / huitante / octante",
    *(f"quatre vingt {word} / huitante {word}" for word in _FR_UNITS),
    "quatre vingt dix / nonante",
    "quatre vingt onze / nonante et un",
    *(
        f"quatre vingt {word} / nonante {unit}"
        for word, unit in zip(_FR_TEENS[2:], _FR_UNITS[1:], strict=True)
    ),
]

_PAST = """$minute [minute | minutes] {out.m = rules.minute;} | et (demie | demi) {out.m = '30';}
      | et quart {out.m = '15';} | trois quarts {out.m = '45';}
      | moins le quart {out.before = '15';}
      | moins $minute [minute | minutes] {out.before = rules.minute;}"""

FRENCH = (
    f"""
public $date = ($named | $iso);
$named = [le] [$weekday] [le] ({_dated(f"D M [[de] [l'an] {_YEAR}]")})
       | [en] $month {{out.m = rules.month;}} [[de] [l'an] {_YEAR}]
       | le $day31 {{out.d = rules.day31;}} | [en] [l'an | l'année] {_YEAR};
$weekday = lundi | mardi | mercredi | jeudi | vendredi | samedi | dimanche;
$year = $figure <4> | deux mille [$below_hundred] | mille [$below_thousand]
      | $teen (cent | cents) [$below_hundred];
public $time = [à] ($clock | $figures_time | $named_time);
$clock = $hour {{out.h = rules.hour;}} (heure | heures | h) [{_PAST}]
         [$half {{out.x = rules.half;}}];
$figures_time = $hour {{out.h = rules.hour;}} ∶ $minute {{out.m = rules.minute;}};
$named_time = (midi {{out.h = '12'; out.x = 'p';}} | minuit {{out.h = '12'; out.x = 'a';}})
              [{_PAST}];
$half = du matin {{'a'}} | de l'après-midi {{'p'}} | du soir {{'p'}};
public $currency = $coins {{out.cents = rules.coins;}} (centime | centimes | cent | cents)
    | $magnitude {{out.n = rules.magnitude;}} [[de] $money {{out.c = rules.money;}}
      [[et] $coins {{out.cents = rules.coins;}} [centime | centimes | cent | cents]]];
$phone_group = zéro | $below_hundred | $figure;
$extension = [au] poste;
public $phone = $phone_group <1-> [$extension {{'x'}} $phone_group <1->];
"""
    + _months(
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
    )
    + _days({"premier / un / 1 / 01 / 1er": "01"} | _numbered(_FR_60[1:31], 2))
    + _rule(
        "hour",
        {"zéro / 0 / 00": "00", "une / un / 1 / 01": "01"}
        | _numbered([*_FR_60[1:20], "vingt et une / vingt et un", *_FR_60[21:24]], 2),
    )
    + _rule(
        "minute",
        {"zéro / 00": "00", "une / un / 01": "01"}
        | {
            f"{word} / {word.replace('et un', 'et une')} / {n:02}": f"{n:02}"
            for n, word in enumerate(_FR_60[1:], 2)
        },
    )
    + _rule("coins", _numbered(_FR_99, 1))
    + _rule(
        "money",
        {
            "dollar / dollars / franc / francs / peso / pesos": "",
            "dollar américain / dollars américains": "USD",
            "dollar canadien / dollars canadiens": "CAD",
            "euro / euros": "EUR",
            "livre / livres / livre sterling / livres sterling": "GBP",
            "franc suisse / francs suisses": "CHF",
            "yen / yens": "JPY",
        },
    )
    + _ISO
)

# Results -----------------------------------------------------------------------------------------


def _parts(said: Said) -> dict[str, str]:
    """What the tags took apart."""
    value = said.parts[-1] if said.out is None else said.out
    return {name: str(part) for name, part in value.items()} if isinstance(value, dict) else {}


def date(said: Said) -> JsonValue:
    """yyyymmdd, with question marks for what was not said."""
    part = _parts(said)
    month_and_day = part.get("md") or part.get("m", "??") + part.get("d", "??")
    return part.get("y", "????") + month_and_day


def time(said: Said) -> JsonValue:
    """hhmmx: x is `a` or `p`, `h` for a time of 24 hours, `?` where the half was not said."""
    part = _parts(said)
    hour, half = int(part["h"]), part.get("x", "")
    if hour > 12 or hour == 0:
        half = "h"
    minutes = hour * 60 + int(part.get("m", 0)) - int(part.get("before", 0))
    if half in {"a", "p"}:
        minutes += (12 if half == "p" else 0) * 60 - (720 if hour == 12 else 0)
        half = "p" if minutes % 1440 >= 720 else "a"
    hour, minute = divmod(minutes % 1440, 60)
    if half != "h":
        hour = (hour - 1) % 12 + 1
    return f"{hour:02}{minute:02}{half or '?'}"


def currency(said: Said) -> JsonValue:
    """UUUmm.nn, or mm.nn where it cannot be known whose money it is."""
    part = _parts(said)
    amount = Decimal(part.get("n", "0")) + Decimal(part.get("cents", "0")) / 100
    return f"{part.get('c', '')}{amount:.2f}"
