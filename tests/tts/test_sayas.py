from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import CONVERTER_CLASSES

from vxml_server.tts.sayas import say_as
from vxml_server.tts.words import boolean, normalise

FR, US, GB, DE = "fr-FR", "en-US", "en-GB", "de-DE"


@pytest.mark.parametrize(
    ("text", "form", "lang", "spoken"),
    [
        ("2026-05-01", "", FR, "premier mai deux mille vingt-six"),
        ("2026-05-02", "", FR, "deux mai deux mille vingt-six"),
        ("01/05/2026", "", FR, "premier mai deux mille vingt-six"),
        ("01/05/2026", "dmy", FR, "premier mai deux mille vingt-six"),
        ("05-2026", "my", FR, "mai deux mille vingt-six"),
        ("1/5", "dm", FR, "premier mai"),
        ("15", "d", FR, "le quinze"),
        ("08", "m", FR, "août"),
        ("1998", "y", FR, "mille neuf cent quatre-vingt-dix-huit"),
        ("20260501", "", FR, "premier mai deux mille vingt-six"),
        ("01052026", "ddmmyyyy", FR, "premier mai deux mille vingt-six"),
        ("1.5.26", "dmy", FR, "premier mai deux mille vingt-six"),
        ("1.5.98", "dmy", FR, "premier mai mille neuf cent quatre-vingt-dix-huit"),
        ("05/01/2026", "", US, "May first, twenty twenty-six"),
        ("05/01/2026", "", GB, "the fifth of January, twenty twenty-six"),
        ("2026-12-22", "", US, "December twenty-second, twenty twenty-six"),
        ("1985", "y", US, "nineteen eighty-five"),
        ("05/2026", "my", US, "May twenty twenty-six"),
        ("22", "d", US, "the twenty-second"),
        ("2026-05-01", "", DE, "1. Mai 2026"),
        ("05/2026", "my", DE, "Mai 2026"),
    ],
)
def test_dates_are_said_as_the_language_says_them(
    text: str, form: str, lang: str, spoken: str
) -> None:
    assert say_as(text, "date", form, lang) == spoken


@pytest.mark.parametrize(
    ("text", "form", "lang", "spoken"),
    [
        ("14:30", "", FR, "quatorze heures trente"),
        ("14h30", "", FR, "quatorze heures trente"),
        ("14 h 30", "", FR, "quatorze heures trente"),
        ("14h", "", FR, "quatorze heures"),
        ("1430", "", FR, "quatorze heures trente"),
        ("14:30:15", "hms24", FR, "quatorze heures trente minutes et quinze secondes"),
        ("1:00", "", FR, "une heure"),
        ("21:01", "", FR, "vingt et une heures une"),
        ("0:15", "", FR, "zéro heure quinze"),
        ("12:00", "", FR, "midi"),
        ("00:00", "", FR, "minuit"),
        ("24:00", "", FR, "minuit"),
        ("2:05 pm", "hms12", FR, "deux heures cinq de l'après-midi"),
        ("14:30", "", US, "two thirty p.m."),
        ("2:05 p.m.", "", US, "two oh five p.m."),
        ("2 pm", "", US, "two p.m."),
        ("00:15", "", US, "twelve fifteen a.m."),
        ("12:00", "", US, "noon"),
        ("0:00", "", US, "midnight"),
        ("14:30", "hms24", US, "fourteen thirty"),
        ("14:00", "hms24", US, "fourteen hundred hours"),
        ("14:30", "", DE, "14:30"),
    ],
)
def test_times_are_said_as_the_language_says_them(
    text: str, form: str, lang: str, spoken: str
) -> None:
    assert say_as(text, "time", form, lang) == spoken


@pytest.mark.parametrize(
    ("text", "form", "lang", "spoken"),
    [
        ("12,50 €", "", FR, "douze euros cinquante"),
        ("12.50 EUR", "", FR, "douze euros cinquante"),
        ("1 €", "", FR, "un euro"),
        ("0,50 €", "", FR, "cinquante centimes"),
        ("0,01 €", "", FR, "un centime"),
        ("0 €", "", FR, "zéro euro"),
        ("1\u202f234,56\u00a0€", "", FR, "mille deux cent trente-quatre euros cinquante-six"),
        ("-3 €", "", FR, "moins trois euros"),
        ("-$12.50", "", US, "minus twelve dollars and fifty cents"),
        ("\u2212$12.50", "", US, "minus twelve dollars and fifty cents"),
        ("$-12.50", "", US, "minus twelve dollars and fifty cents"),
        ("- €3", "", FR, "moins trois euros"),
        ("-EUR 3", "", FR, "moins trois euros"),
        ("+$5", "", US, "five dollars"),
        ("1,5", "EUR", FR, "un euro cinquante"),
        ("500 JPY", "", FR, "cinq cents yens japonais"),
        ("$12.50", "", US, "twelve dollars and fifty cents"),
        ("$1.01", "", US, "one dollar and one cent"),
        ("USD1234.5", "", US, "one thousand two hundred thirty-four dollars and fifty cents"),
        (
            "£1,234.56",
            "",
            GB,
            "one thousand two hundred and thirty-four pounds and fifty-six pence",
        ),
        ("$0.00", "", US, "zero dollars"),
        ("12.345 USD", "", US, "twelve point three four five dollars"),
        ("12.50", "", US, "twelve point five zero"),
        ("12,50 €", "", DE, "12,50 Euro"),
        ("12 EUR", "", "xx-unknown", "12 EUR"),
    ],
)
def test_money_is_said_with_its_names(text: str, form: str, lang: str, spoken: str) -> None:
    assert say_as(text, "currency", form, lang) == spoken


@pytest.mark.parametrize(
    ("text", "lang", "spoken"),
    [
        ("0612345678", FR, "zéro six, douze, trente-quatre, cinquante-six, soixante-dix-huit"),
        ("06 12 34 56 78", FR, "zéro six, douze, trente-quatre, cinquante-six, soixante-dix-huit"),
        (
            "+33 6 12 34 56 78",
            FR,
            "plus trente-trois, six, douze, trente-quatre, cinquante-six, soixante-dix-huit",
        ),
        ("3639", FR, "trois six trois neuf"),
        ("4155551234", US, "four one five, five five five, one two three four"),
        ("(415) 555-1234", US, "four one five, five five five, one two three four"),
        (
            "4155551234x12",
            US,
            "four one five, five five five, one two three four, extension one two",
        ),
        (
            "0123456789x12",
            FR,
            "zéro un, vingt-trois, quarante-cinq, soixante-sept, quatre-vingt-neuf, poste un deux",
        ),
        ("*21#", FR, "étoile deux un dièse"),
    ],
)
def test_telephone_numbers_are_said_in_their_groups(text: str, lang: str, spoken: str) -> None:
    assert say_as(text, "telephone", "", lang) == spoken


@pytest.mark.parametrize(
    ("text", "kind", "form", "lang", "spoken"),
    [
        ("1234", "digits", "", FR, "un deux trois quatre"),
        ("12 34", "number", "digits", FR, "un deux, trois quatre"),
        ("1234", "number:digits", "", FR, "un deux trois quatre"),
        ("AB-1@", "characters", "", FR, "A, B, tiret, un, arobase"),
        ("a.b", "spell-out", "", US, "a, dot, b"),
        ("a.b", "spell-out", "", DE, "a, ., b"),
        ("21", "ordinal", "", FR, "vingt et unième"),
        ("1er", "number", "ordinal", FR, "premier"),
        ("3rd", "number:ordinal", "", US, "third"),
        ("2.", "ordinal", "", DE, "zweite"),
        ("-5", "number", "", FR, "moins cinq"),
        ("\u22125", "cardinal", "", US, "minus five"),
        ("3.14", "number", "", FR, "trois virgule quatorze"),
        ("3,14", "number", "", US, "three point one four"),
        (
            "1,234,567",
            "number",
            "",
            US,
            "one million two hundred thirty-four thousand five hundred sixty-seven",
        ),
        ("1.234", "number", "", FR, "mille deux cent trente-quatre"),
        ("1.234", "number", "", US, "one point two three four"),
        ("1.234,5", "number", "", FR, "mille deux cent trente-quatre virgule cinq"),
        (".5", "number", "", US, "zero point five"),
        ("+5", "number", "", US, "five"),
    ],
)
def test_numbers_and_letters_are_said_as_asked(
    text: str, kind: str, form: str, lang: str, spoken: str
) -> None:
    assert say_as(text, kind, form, lang) == spoken


@pytest.mark.parametrize(
    ("text", "kind", "lang", "spoken"),
    [
        ("true", "boolean", FR, "oui"),
        ("false", "boolean", US, "no"),
        ("20260501", "date", FR, "premier mai deux mille vingt-six"),
        ("????0501", "date", FR, "premier mai"),
        ("202605??", "date", FR, "mai deux mille vingt-six"),
        ("2026????", "date", US, "twenty twenty-six"),
        ("USD12.50", "currency", US, "twelve dollars and fifty cents"),
        ("1430h", "time", FR, "quatorze heures trente"),
        ("0230p", "time", FR, "quatorze heures trente"),
        ("0230a", "time", US, "two thirty a.m."),
        ("1200a", "time", US, "midnight"),
        ("0230?", "time", US, "two thirty"),
        ("0200?", "time", US, "two o'clock"),
        ("0230?", "time", FR, "deux heures trente"),
        ("1235", "digits", US, "one two three five"),
        ("-1.5", "number", US, "minus one point five"),
        ("1.234", "number", FR, "un virgule deux cent trente-quatre"),
        ("1234.5", "number", FR, "mille deux cent trente-quatre virgule cinq"),
        ("5.", "number", FR, "cinq"),
        ("EUR1.234", "currency", FR, "un virgule deux cent trente-quatre euro"),
        ("EUR1234.50", "currency", FR, "mille deux cent trente-quatre euros cinquante"),
        ("USD-12.50", "currency", FR, "moins douze dollars cinquante"),
        ("-USD12.50", "currency", US, "minus twelve dollars and fifty cents"),
        (
            "4155551234x12",
            "phone",
            US,
            "four one five, five five five, one two three four, extension one two",
        ),
    ],
)
def test_results_of_voicexmls_own_grammars_are_said(
    text: str, kind: str, lang: str, spoken: str
) -> None:
    assert say_as(text, f"vxml:{kind}", "", lang) == spoken


@pytest.mark.parametrize(
    ("text", "kind", "form"),
    [
        ("tomorrow", "date", ""),
        ("31/02/2026", "date", "dmy"),
        ("29/02/2025", "date", "dmy"),
        ("32", "d", "d"),
        ("32", "date", "d"),
        ("13/2026", "date", "my"),
        ("0", "date", "y"),
        ("1/2", "date", ""),
        ("1/2/3/4", "date", "dmy"),
        ("????????", "vxml:date", ""),
        ("2026", "vxml:date", ""),
        ("25:00", "time", ""),
        ("14:60", "time", ""),
        ("13 pm", "time", ""),
        ("143", "time", ""),
        ("soon", "time", ""),
        ("1430", "vxml:time2", ""),
        ("9", "vxml:time", ""),
        ("1,234", "vxml:number", ""),
        ("1e21", "vxml:number", ""),
        ("EUR1,50", "vxml:currency", ""),
        ("-$-5", "currency", ""),
        ("much", "currency", ""),
        ("1.2.3,4,5 €", "currency", ""),
        ("call me", "telephone", ""),
        ("--", "telephone", ""),
        ("none", "digits", ""),
        ("four", "number", ""),
        ("1.2,3.4", "number", "ordinal"),
        ("x", "ordinal", ""),
        ("maybe", "boolean", ""),
        ("5", "unheard-of", ""),
        ("", "number", ""),
        ("1" * 300, "digits", ""),
    ],
)
def test_what_is_not_of_its_kind_is_left_to_be_said_as_it_stands(
    text: str, kind: str, form: str
) -> None:
    assert say_as(text, kind, form, FR) is None


def test_a_language_without_words_of_its_own_falls_back_and_does_not_fail() -> None:
    assert say_as("1", "ordinal", "", "xx") is None
    assert say_as("2026-05-01", "date", "", "xx") is None
    assert say_as("15", "date", "d", DE) is None
    assert say_as("29/02/2025", "date", "dmy", DE) is None
    assert say_as("-5", "number", "", "xx") == "-5"
    assert boolean(True, "xx") == "true"


KINDS = [
    *("digits", "telephone", "characters", "number", "ordinal", "date", "time", "currency"),
    *("boolean", "vxml:date", "vxml:time", "vxml:currency", "vxml:phone", "number:ordinal"),
]


@given(
    st.text("0123456789.,:-/+ €$xhapm?'ABC\u00a0\u0660²", max_size=30),
    st.sampled_from(KINDS),
    st.sampled_from(["", "dmy", "my", "d", "y", "hms24", "ordinal", "EUR"]),
    st.sampled_from([FR, US, DE, "xx", ""]),
)
def test_any_text_is_said_or_left_but_never_fails(
    text: str, kind: str, form: str, lang: str
) -> None:
    spoken = say_as(text, kind, form, lang)
    assert spoken is None or spoken.strip()


@pytest.mark.parametrize(
    ("text", "lang", "spoken"),
    [
        ("ouvert de 9h à 17 h 30", FR, "ouvert de neuf heures à dix-sept heures trente"),
        ("le 2e étage, la 21ème fois", FR, "le deuxième étage, la vingt et unième fois"),
        ("les 3es", FR, "les troisièmes"),
        ("il fait -5 degrés", FR, "il fait moins 5 degrés"),
        ("le 1er mai, page 3-5, 99h", FR, "le 1er mai, page 3-5, 99h"),
        ("2e 14 h 30 -5", US, "2e 14 h 30 -5"),
        ("You have -$12.50.", US, "You have minus $12.50."),
        ("\u2212£5, \u22125, -.5, -$.50", GB, "minus £5, minus 5, minus .5, minus $.50"),
        ("$5-$10, a -$ b, x-$1", US, "$5-$10, a -$ b, x-$1"),
        ("solde : -€5", FR, "solde : moins €5"),
    ],
)
def test_plain_text_that_engines_misread_is_written_out(text: str, lang: str, spoken: str) -> None:
    assert normalise(text, lang) == spoken


def test_numbers_too_long_to_be_counted_are_said_digit_by_digit_and_none_is_lost() -> None:
    number = "1234567890" * 4
    spoken = say_as(number, "cardinal", "", US)
    assert spoken is not None
    assert spoken == " ".join(["one two three four five six seven eight nine zero"] * 4)
    assert say_as(number, "currency", "EUR", FR) is None
    assert say_as(number + " km", "measure", "", FR) is None


@pytest.mark.parametrize(
    ("text", "kind", "form", "lang", "spoken"),
    [
        ("80", "cardinal", "", FR, "quatre-vingts"),
        ("81", "cardinal", "", FR, "quatre-vingt-un"),
        ("200", "cardinal", "", FR, "deux cents"),
        ("201", "cardinal", "", FR, "deux cent un"),
        ("80000", "cardinal", "", FR, "quatre-vingt mille"),
        ("80000000", "cardinal", "", FR, "quatre-vingts millions"),
        ("21", "cardinal", "feminine", FR, "vingt et une"),
        ("0230p", "time", "", FR, "quatorze heures trente"),
        ("0230?", "time", "", US, "two thirty"),
        ("????0501", "date", "", FR, "premier mai"),
        ("3,05", "cardinal", "", FR, "trois virgule zéro cinq"),
        ("3,1416", "cardinal", "", FR, "trois virgule un quatre un six"),
        ("71", "cardinal", "", "fr-BE", "septante et un"),
        ("80", "cardinal", "", "fr-BE", "quatre-vingts"),
        ("98", "cardinal", "", "fr-CH", "nonante-huit"),
        ("80080", "cardinal", "", "fr-CH", "huitante mille huitante"),
        ("80", "ordinal", "", FR, "quatre-vingtième"),
        ("200", "ordinal", "", FR, "deux centième"),
        ("1000000", "ordinal", "", FR, "millionième"),
        ("45", "ordinal", "", FR, "quarante-cinquième"),
        ("19", "ordinal", "", FR, "dix-neuvième"),
        ("1re", "ordinal", "", FR, "première"),
        ("2000000 EUR", "money", "", FR, "deux millions d'euros"),
        ("2000000 km", "measure", "", FR, "deux millions de kilomètres"),
        ("21 GBP", "currency", "", FR, "vingt et une livres sterling"),
        ("21 h", "measure", "", FR, "vingt et une heures"),
        ("1 kg", "measure", "", FR, "un kilogramme"),
        ("20 %", "unit", "", FR, "vingt pour cent"),
        ("-5", "measure", "°C", FR, "moins cinq degrés Celsius"),
        ("72 mph", "measure", "", US, "seventy-two miles per hour"),
        ("1.5 km", "measure", "", GB, "one point five kilometres"),
        ("3,5 kg", "measure", "", DE, "3,5 Kilogramm"),
        ("2:05", "duration", "ms", FR, "deux minutes cinq secondes"),
        ("1:00:01", "duration", "hms", US, "one hour one second"),
        ("1h30m", "duration", "", US, "one hour thirty minutes"),
        ("PT2M1S", "duration", "", FR, "deux minutes une seconde"),
        ("0s", "duration", "", FR, "zéro seconde"),
        ("101", "cardinal", "", US, "one hundred one"),
        ("101", "cardinal", "", GB, "one hundred and one"),
        ("2001", "date", "y", US, "two thousand one"),
        ("1905", "date", "y", US, "nineteen oh five"),
        ("02079460018", "telephone", "", GB, "oh two oh, seven nine four six, oh oh one eight"),
        ("+33612345678", "telephone", "", US,
         "plus three three, six, one two, three four, five six, seven eight"),
        ("5145551234", "telephone", "", "fr-CA",
         "cinq un quatre, cinq cinq cinq, un deux trois quatre"),
    ],
)  # fmt: skip
def test_words_are_in_the_grammar_of_their_language(
    text: str, kind: str, form: str, lang: str, spoken: str
) -> None:
    assert say_as(text, kind, form, lang) == spoken


LANGS = st.sampled_from([FR, "fr-CH", "fr-BE", US, GB, DE])


@given(st.integers(-(10**26), 10**26), LANGS)
def test_every_whole_number_is_said(number: int, lang: str) -> None:
    assert say_as(str(number), "cardinal", "", lang)
    assert say_as(f"{number} EUR", "currency", "", lang)
    assert say_as(f"{number} km", "measure", "", lang)


@given(st.integers(0, 999_999_999), st.sampled_from([FR, "fr-CH", US, GB]))
def test_every_rank_is_said(number: int, lang: str) -> None:
    assert say_as(str(number), "ordinal", "", lang)


class _Endless(BaseException):
    """Not to be caught by what it interrupts."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What never comes back fails, and does not stop the tests."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Endless

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_rank_that_num2words_never_comes_back_from_is_said_as_it_stands() -> None:
    with within(20):
        assert say_as("123456789", "ordinal", "", "am") is None
        assert say_as("1000000", "ordinal", "", DE) is None


@pytest.mark.parametrize(
    ("number", "lang"),
    [
        ("0", "ko"),
        ("100", "ko"),
        ("30", "ca"),
        ("0", "pl"),
        ("0", "uk"),
        ("0", "es"),
        ("0", "pt-BR"),
    ],
)
def test_a_rank_without_a_word_is_said_as_it_stands(number: str, lang: str) -> None:
    assert say_as(number, "ordinal", "", lang) is None


def test_a_language_is_not_taken_for_another_whose_tag_begins_alike() -> None:
    assert say_as("2", "ordinal", "", "fi") == "toinen"
    assert say_as("2", "ordinal", "", "fil") is None


@given(
    st.integers(0, 999_999_999),
    st.sampled_from([*(name.replace("_", "-") for name in CONVERTER_CLASSES), "fil", "xx"]),
)
def test_any_rank_in_any_language_is_said_or_left(number: int, lang: str) -> None:
    with within(20):
        spoken = say_as(str(number), "ordinal", "", lang)
    assert spoken is None or spoken.strip()


@given(st.dates(), LANGS)
def test_every_date_is_said(day: date, lang: str) -> None:
    assert say_as(day.isoformat(), "date", "", lang)
    assert say_as(f"{day:%d/%m/}{day.year:04d}", "date", "dmy", lang)
    assert say_as(f"{day.year:04d}{day:%m%d}", "vxml:date", "", lang)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), LANGS)
def test_every_time_is_said(hour: int, minute: int, second: int, lang: str) -> None:
    for form in ("", "hms12", "hms24"):
        assert say_as(f"{hour}:{minute:02d}:{second:02d}", "time", form, lang)
    assert say_as(f"{hour:02d}{minute:02d}h", "vxml:time", "", lang)
    assert say_as(f"{hour}:{minute}:{second}", "duration", "hms", lang)


@given(st.from_regex(r"\+?[0-9]{1,15}", fullmatch=True), LANGS)
def test_every_telephone_number_is_said_with_all_of_its_digits(text: str, lang: str) -> None:
    spoken = say_as(text, "telephone", "", lang)
    assert spoken
    if lang == US:
        assert len(spoken.replace("plus", "").replace(",", "").split()) == len(text.strip("+"))
