"""The words of the built-in types, a grammar a language (VoiceXML 2.0 appendix P).

A language is added by adding its grammar and its number words here and in `spoken_types`; nothing
else knows any language. What a grammar below says of numbers and what `Numerals` makes of the words
must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from vxml_server.grammar import spoken_types
from vxml_server.grammar.rules import JsonValue, Said

_FIGURES = """
$figure = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;
$figures = $figure <1->;
"""

_ENGLISH = (
    """#ABNF 1.0 UTF-8;
language en;
public $boolean = ($yes [please]) {true} | ($no [thanks | thank you]) {false};
$yes = yes | yeah | yep | sure | ok | okay | true | correct | right | affirmative
     | of course | (that's | that is) (right | correct);
$no = no | nope | false | wrong | incorrect | negative | not at all
    | (that's | that is) (wrong | incorrect | not right);
public $digit = $figure | zero | oh | o | $unit;
public $number = [minus | negative | plus | −] $magnitude;
$magnitude = $whole [point $fraction] | point $fraction | ($figures | $grouped) [· $figures];
$grouped = $figure <1-3> (‚ $figure <3>) <1->;
$fraction = zero <0-> $below_hundred | $digit <1->;
$whole = zero | ($below_thousand | a) million [[and] $below_million] | $below_million;
$below_million = ($below_thousand | a) thousand [[and] $below_thousand] | $below_thousand;
$below_thousand = ($unit | a) hundred [[and] $below_hundred] | $below_hundred;
$below_hundred = $ten [$unit] | $teen | $unit;
$unit = one | two | three | four | five | six | seven | eight | nine;
$teen = ten | eleven | twelve | thirteen | fourteen | fifteen | sixteen | seventeen | eighteen
      | nineteen;
$ten = twenty | thirty | forty | fifty | sixty | seventy | eighty | ninety;
"""
    + _FIGURES
)

_FRENCH = (
    """#ABNF 1.0 UTF-8;
language fr;
public $boolean = ($yes [merci | "s'il vous plaît"]) {true} | ($no [merci]) {false};
$yes = oui [bien sûr | tout à fait] | ouais | ok | okay | "d'accord" | exact | exactement | vrai
     | correct | bien sûr | tout à fait | "c'est" (ça | exact | bien ça | correct | juste);
$no = non [pas du tout] | nan | faux | pas du tout | incorrect | "c'est" (faux | pas ça | incorrect)
    | ce "n'est" pas (ça | exact | correct);
public $digit = $figure | zéro | $unit;
public $number = [moins | plus | −] $magnitude;
$magnitude = $whole [(virgule | point) $fraction] | $figures [(‚ | ·) $figures];
$fraction = zéro <0-> $below_hundred | $digit <1->;
$whole = zéro | $below_thousand (million | millions) [$below_million] | $below_million;
$below_million = [$below_thousand] mille [$below_thousand] | $below_thousand;
$below_thousand = [$from_two] (cent | cents) [$below_hundred] | $below_hundred;
$below_hundred = $ten [et (un | une) | $from_two]
               | soixante [et (un | une | onze) | $from_two | $teen]
               | quatre (vingt | vingts) [$teen | $unit]
               | $teen | $unit;
$unit = un | une | $from_two;
$from_two = deux | trois | quatre | cinq | six | sept | huit | neuf;
$teen = dix (sept | huit | neuf) | dix | onze | douze | treize | quatorze | quinze | seize;
$ten = vingt | trente | quarante | cinquante | septante | huitante | octante | nonante;
"""
    + _FIGURES
)


@dataclass(frozen=True, slots=True)
class Numerals:
    """How a language's number words make a number, read left to right.

    `values` add up, `scales` multiply what stands before them, `points` begin the decimals,
    `minus` words negate; any other word says nothing. `score` is a word that multiplies a 4 before
    it by 20 (quatre-vingts). `repeats` say a digit several times (double five).
    """

    values: Mapping[str, int]
    scales: Mapping[str, int]
    points: frozenset[str]
    minus: frozenset[str]
    score: frozenset[str] = frozenset()
    repeats: Mapping[str, int] = field(default_factory=dict)

    def number(self, text: str) -> str:
        """The number that the words say, as digits with an optional sign and decimal point."""
        words = text.lower().split()
        sign = "-" if words[0] in self.minus else ""
        words = [word for word in words if word not in self.minus]
        at = next((i for i, word in enumerate(words) if word in self.points), len(words))
        whole, decimals = self.whole(words[:at]), self.run(words[at + 1 :])
        return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"

    def whole(self, words: Iterable[str]) -> int:
        total = current = 0
        figures = ""
        for word in words:
            if word in self.score and current % 100 == 4:
                current += 76
            elif word in self.values:
                current += self.values[word]
            elif word.isdecimal():
                figures += word
            elif (scale := self.scales.get(word, 0)) == 100:
                current = max(current, 1) * scale
            elif scale:
                total += max(current, 1) * scale
                current = 0
        return int(figures) if figures else total + current

    def run(self, words: list[str]) -> str:
        """The digits of words that are said one after the other: zeros, then one number, or each
        word a digit."""
        digits = [word if word.isdecimal() else self.digit(word) for word in words]
        if all(digits):
            return "".join(digits)
        zeros = next(i for i, word in enumerate(words) if self.values.get(word) != 0)
        return "0" * zeros + str(self.whole(words[zeros:]))

    def digit(self, word: str) -> str:
        value = self.values.get(word.lower(), 10)
        return str(value) if value < 10 else ""

    def digits(self, text: str) -> str:
        """The digits of words that say one each."""
        return "".join(word if word.isdecimal() else self.digit(word) for word in text.split())

    def phone_group(self, text: str) -> str:
        """The digits of a part of a telephone number that is said as one."""
        first, *rest = text.lower().split()
        if first in self.repeats:
            return self.digits(" ".join(rest)) * self.repeats[first]
        return str(self.whole([first, *rest]))

    def year(self, text: str) -> str:
        """The four digits of a year, which may be said in two halves."""
        words = text.lower().split()
        if words[0].isdecimal() or any(word in self.scales for word in words):
            return str(self.whole(words))
        return str(self.values[words[0]] * 100 + self.whole(words[1:]))


def _values(words: str, first: int, step: int = 1) -> dict[str, int]:
    return {word: first + step * index for index, word in enumerate(words.split())}


NUMERALS: Mapping[str, Numerals] = {
    "en": Numerals(
        values={
            **_values(
                "zero one two three four five six seven eight nine ten eleven twelve thirteen "
                "fourteen fifteen sixteen seventeen eighteen nineteen",
                0,
            ),
            **_values("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10),
            "oh": 0,
            "o": 0,
        },
        scales={"hundred": 100, "thousand": 1000, "million": 1_000_000},
        points=frozenset({"point", "·"}),
        minus=frozenset({"minus", "negative", "−"}),
        repeats={"double": 2, "triple": 3},
    ),
    "fr": Numerals(
        values={
            **_values(
                "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze "
                "quinze seize",
                0,
            ),
            **_values("vingt trente quarante cinquante soixante septante huitante nonante", 20, 10),
            "octante": 80,
            "une": 1,
        },
        scales={
            "cent": 100,
            "cents": 100,
            "mille": 1000,
            "million": 1_000_000,
            "millions": 1_000_000,
        },
        points=frozenset({"virgule", "point", "‚", "·"}),
        minus=frozenset({"moins", "−"}),
        score=frozenset({"vingt", "vingts"}),
    ),
}

GRAMMARS: Mapping[str, str] = {
    "en": _ENGLISH + spoken_types.ENGLISH,
    "fr": _FRENCH + spoken_types.FRENCH,
}


def _of_text(make: Callable[[str], str]) -> Callable[[Said], JsonValue]:
    return lambda said: make(said.text)


def values(language: str) -> Mapping[str, Callable[[Said], JsonValue]]:
    """What makes the values of the rules in a language's grammar."""
    numerals = NUMERALS[language]
    written_together = _of_text(lambda text: text.replace(" ", ""))
    return {
        "digits": lambda said: "".join(map(str, said.parts)),
        "digit": _of_text(numerals.digits),
        **dict.fromkeys(("number", "magnitude", "dozens"), _of_text(numerals.number)),
        "year": _of_text(numerals.year),
        "phone_group": _of_text(numerals.phone_group),
        "extension": lambda said: "x",
        "phone": lambda said: "".join(map(str, said.parts)),
        **dict.fromkeys(("iso_year", "iso29", "iso30", "iso31"), written_together),
        "date": spoken_types.date,
        "time": spoken_types.time,
        "currency": spoken_types.currency,
    }
