"""What one language does in its own way: the table that `words` reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Money:
    """Names of a currency in one language: one and many of the whole and of the hundredth."""

    one: str
    many: str
    cent: str = ""
    cents: str = ""
    feminine: bool = False  # of the whole: 'une livre'


Misread = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def _plain(number: Decimal, name: str) -> str:
    del number
    return name


@dataclass(frozen=True, slots=True)
class Language:
    """The functions are given BCP 47 tags, for countries differ."""

    yes: str
    no: str
    minus: str  # with the space that follows it
    plus: str
    point: str
    extension: str  # before an extension number
    # (number, lang, feminine) -> words
    integer: Callable[[int, str, bool], str] | None = None
    ordinal: Callable[[int, str, bool], str] | None = None
    # (year, month, day, lang)
    date: Callable[[int | None, int | None, int | None, str], str] | None = None
    # (hour, minute, second, clock, whether it is known which half of the day)
    time: Callable[[int, int, int | None, int, bool], str] | None = None
    # Whether a number's name is singular; None leaves it to CLDR.
    is_singular: Callable[[Decimal], bool] | None = None
    # How a name follows its number: 'deux millions d'euros'.
    linked: Callable[[Decimal, str], str] = _plain
    decimals_together: bool = False
    in_pairs: bool = False  # telephone numbers
    telephone_zero: Mapping[str, str] = field(default_factory=dict)  # by lower-case tag
    money_joint: str = " "  # between the whole and the hundredths
    cents_named: bool = True
    money: Mapping[str, Money] = field(default_factory=dict)
    feminine: frozenset[str] = frozenset()  # units
    symbols: Mapping[str, str] = field(default_factory=dict)
    misread: tuple[Misread, ...] = ()
