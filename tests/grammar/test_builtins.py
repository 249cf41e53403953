from __future__ import annotations

import pytest

from tests.grammar.conftest import document, refused
from vxml_server.grammar import JsonValue, Status, builtin, load


@pytest.mark.parametrize(
    ("uri", "keys", "value"),
    [
        ("builtin:dtmf/digits", "0123456789", "0123456789"),
        ("builtin:dtmf/digits?length=4", "1234", "1234"),
        ("builtin:dtmf/digits?minlength=2;maxlength=3", "123", "123"),
        ("builtin:dtmf/digits?minlength=2&maxlength=3;", "12", "12"),
        ("builtin:dtmf/boolean", "1", True),
        ("builtin:dtmf/boolean", "2", False),
        ("builtin:dtmf/boolean?y=7;n=9", "7", True),
        ("builtin:dtmf/boolean?y=*;n=#", "#", False),
        ("builtin:dtmf/number", "12", "12"),
        ("builtin:dtmf/number", "12*50", "12.50"),
        ("builtin:dtmf/number", "*5", "0.5"),
        ("builtin:dtmf/currency", "12", "12.00"),
        ("builtin:dtmf/currency", "12*5", "12.50"),
        ("builtin:dtmf/currency", "*05", "0.05"),
        ("builtin:dtmf/date", "20240229", "20240229"),
        ("builtin:dtmf/time", "0930", "0930?"),
        ("builtin:dtmf/time", "1259", "1259?"),
        ("builtin:dtmf/time", "0000", "0000h"),
        ("builtin:dtmf/time", "2359", "2359h"),
        ("builtin:dtmf/phone", "0123456789", "0123456789"),
        ("builtin:dtmf/phone", "0123456789*42", "0123456789x42"),
    ],
)
def test_keys_have_the_results_of_appendix_p(uri: str, keys: str, value: JsonValue) -> None:
    match = builtin(uri).match(keys)
    assert match is not None
    assert match.interpretation == value
    assert match.utterance == keys


@pytest.mark.parametrize(
    ("uri", "keys"),
    [
        ("builtin:dtmf/digits", "12*"),
        ("builtin:dtmf/digits", ""),
        ("builtin:dtmf/digits?length=4", "12345"),
        ("builtin:dtmf/boolean?y=7;n=9", "1"),
        ("builtin:dtmf/number", "1*2*3"),
        ("builtin:dtmf/currency", "1*234"),
        ("builtin:dtmf/date", "20241301"),
        ("builtin:dtmf/date", "20240132"),
        ("builtin:dtmf/time", "2460"),
    ],
)
def test_keys_that_do_not_fit_are_no_match(uri: str, keys: str) -> None:
    assert builtin(uri).match(keys) is None


def test_digits_of_a_length_are_complete_at_the_last_and_others_stay_open() -> None:
    fixed = builtin("digits?length=16", mode="dtmf").start()
    assert {fixed.feed(key) for key in "1" * 15} == {Status.PARTIAL}
    assert fixed.feed("1") is Status.COMPLETE
    free = builtin("digits", mode="dtmf").start()
    assert {free.feed(key) for key in "1" * 30} == {Status.MATCH_OPEN}


@pytest.mark.parametrize(
    ("type_", "lang", "said", "value"),
    [
        ("boolean", "en-US", "Yes, please", True),
        ("boolean", "en", "that's wrong", False),
        ("boolean?y=7;n=9", "en", "no", False),
        ("boolean", "fr-FR", "Oui", True),
        ("boolean", "fr", "d’accord", True),
        ("boolean", "fr-CA", "non merci", False),
        ("boolean", "fr", "pas du tout", False),
        ("digits", "en", "one two oh 4 56", "120456"),
        ("digits?length=3", "fr", "zéro un neuf", "019"),
        ("phone", "en", "555-1234", "5551234"),
        ("number", "en", "zero", "0"),
        ("number", "en", "forty two", "42"),
        ("number", "en", "a hundred and one", "101"),
        ("number", "en", "twelve hundred", None),
        ("number", "en", "two million three hundred thousand and five", "2300005"),
        ("number", "en", "a million", "1000000"),
        ("number", "en", "minus seven point zero five", "-7.05"),
        ("number", "en", "point five", "0.5"),
        ("number", "en", "three point twenty five", "3.25"),
        ("number", "en", "three point one four one", "3.141"),
        ("number", "en", "1,234,567.89", "1234567.89"),
        ("number", "en", "-12", "-12"),
        ("number", "en", "−12.", "-12"),
        ("number", "en", "1,5", None),
        ("number", "fr", "quatre-vingt-dix-sept", "97"),
        ("number", "fr", "soixante et onze", "71"),
        ("number", "fr", "septante-deux", "72"),
        ("number", "fr", "quatre vingts", "80"),
        ("number", "fr", "vingt et une", "21"),
        ("number", "fr", "cent quatre-vingt-un", "181"),
        ("number", "fr", "mille neuf cent quatre-vingt-quatre", "1984"),
        ("number", "fr", "trois millions deux cent mille un", "3200001"),
        ("number", "fr", "moins dix-neuf virgule zéro cinq", "-19.05"),
        ("number", "fr", "douze virgule vingt-cinq", "12.25"),
        ("number", "fr", "1234,5", "1234.5"),
        ("number", "fr", "vingt quatre vingt", None),
        (
            "phone",
            "en",
            "eight hundred double five five one two three four x one two",
            "8005551234x12",
        ),
        ("phone", "en", "oh one twelve thirty four", "011234"),
        (
            "phone",
            "fr",
            "zéro un, vingt-trois, quarante-cinq, soixante-sept, quatre-vingt-neuf",
            "0123456789",
        ),
        ("phone", "fr", "06 12 34 56 78 poste 9", "0612345678x9"),
        ("phone", "fr", "zéro six soixante-dix quatre-vingt-dix onze vingt et un", "0670901121"),
        ("date", "en", "July fourth two thousand", "20000704"),
        ("date", "en", "Tuesday, the 4th of July, 2000", "20000704"),
        ("date", "en", "July 4, 2000", "20000704"),
        ("date", "en", "2000-07-04", "20000704"),
        ("date", "en", "2001-02-30", None),
        ("date", "en", "thirty first of December nineteen ninety nine", "19991231"),
        ("date", "en", "March twenty first twenty twenty four", "20240321"),
        ("date", "en", "the thirtieth of February", None),
        ("date", "en", "May nineteen oh five", "190505??"),
        ("date", "en", "may five", "????0505"),
        ("date", "en", "the twenty second", "??????22"),
        ("date", "en", "two thousand and five", "2005????"),
        ("date", "en", "nineteen hundred", "1900????"),
        ("date", "fr", "le quatre juillet deux mille", "20000704"),
        ("date", "fr", "lundi 1er janvier 2024", "20240101"),
        ("date", "fr", "premier avril", "????0401"),
        (
            "date",
            "fr",
            "le trente et un décembre mille neuf cent quatre-vingt-dix-neuf",
            "19991231",
        ),
        ("date", "fr", "le trente et un novembre", None),
        ("date", "fr", "août deux mille vingt-quatre", "202408??"),
        ("date", "fr", "le vingt-deux", "??????22"),
        ("date", "fr", "2024-02-29", "20240229"),
        ("date", "fr", "dix-neuf cent quatre", "1904????"),
        ("time", "en", "two thirty", "0230?"),
        ("time", "en", "2:30 p.m.", "0230p"),
        ("time", "en", "2:30pm", "0230p"),
        ("time", "en", "at half past nine in the evening", "0930p"),
        ("time", "en", "quarter to one", "1245?"),
        ("time", "en", "ten to twelve pm", "1150a"),
        ("time", "en", "five past two", "0205?"),
        ("time", "en", "nine oh five am", "0905a"),
        ("time", "en", "seven o'clock", "0700?"),
        ("time", "en", "fourteen hundred hours", "1400h"),
        ("time", "en", "23:59", "2359h"),
        ("time", "en", "zero nine thirty", "0930h"),
        ("time", "en", "noon", "1200p"),
        ("time", "en", "midnight", "1200a"),
        ("time", "en", "twenty five thirty", None),
        ("time", "fr", "quatorze heures trente", "1430h"),
        ("time", "fr", "14h30", "1430h"),
        ("time", "fr", "à neuf heures", "0900?"),
        ("time", "fr", "neuf heures et quart du matin", "0915a"),
        ("time", "fr", "neuf heures moins le quart du soir", "0845p"),
        ("time", "fr", "une heure et demie de l'après-midi", "0130p"),
        ("time", "fr", "vingt et une heures cinq", "2105h"),
        ("time", "fr", "midi et demi", "1230p"),
        ("time", "fr", "minuit moins dix", "1150p"),
        ("time", "fr", "zéro heure une", "0001h"),
        ("time", "fr", "9:05", "0905?"),
        ("time", "fr", "vingt-cinq heures", None),
        ("currency", "en", "twelve dollars and fifty cents", "12.50"),
        ("currency", "en", "twelve us dollars fifty", "USD12.50"),
        ("currency", "en", "ninety nine cents", "0.99"),
        ("currency", "en", "three point five euros", "EUR3.50"),
        ("currency", "en", "one thousand pounds", "GBP1000.00"),
        ("currency", "en", "12.50", "12.50"),
        ("currency", "en", "twelve fifty", "12.50"),
        ("currency", "en", "minus", None),
        ("currency", "fr", "douze euros cinquante", "EUR12.50"),
        ("currency", "fr", "deux millions de dollars", "2000000.00"),
        ("currency", "fr", "12,5 francs suisses", "CHF12.50"),
        ("currency", "fr", "quatre-vingt-dix-neuf centimes", "0.99"),
        ("currency", "fr", "trente et une livres sterling et dix centimes", "GBP31.10"),
    ],
)
def test_words_in_each_language(type_: str, lang: str, said: str, value: JsonValue) -> None:
    match = builtin(type_, lang).match(said)
    assert (match and match.interpretation) == value


@pytest.mark.parametrize(
    "uri",
    [
        "builtin:dtmf/digits?length=four",
        "builtin:dtmf/digits?length=0",
        "builtin:dtmf/digits?length=4;minlength=5",
        "builtin:dtmf/digits?length=4;maxlength=3",
        "builtin:dtmf/digits?minlength=5;maxlength=3",
        "builtin:dtmf/digits?maxlength=99999",
        "builtin:dtmf/digits?size=4",
        "builtin:dtmf/digits?length",
        "builtin:dtmf/digits?length=4;length=4",
        "builtin:dtmf/boolean?y=12",
        "builtin:dtmf/boolean?n=x",
        "builtin:dtmf/boolean?y=2",
        "builtin:dtmf/date?format=us",
        "builtin:grammar/number?format=us",
        "builtin:grammar/phone?format=us",
    ],
)
def test_bad_parameters_are_a_bad_fetch(uri: str) -> None:
    event = refused(lambda: builtin(uri, "en"))
    assert (event.name, event.uri) == ("error.badfetch", uri)


@pytest.mark.parametrize(
    ("uri", "lang"),
    [
        ("builtin:dtmf/colour", "en"),
        ("builtin:grammar/colour", "en"),
        ("builtin:smell/digits", "en"),
        ("builtin:", "en"),
        ("builtin:grammar/digits", "tlh"),
        ("builtin:grammar/digits", ""),
        ("builtin:grammar/date", "de"),
    ],
)
def test_an_unknown_type_or_language_is_an_unsupported_builtin(uri: str, lang: str) -> None:
    assert refused(lambda: builtin(uri, lang)).name == "error.unsupported.builtin"


def test_a_builtin_may_be_loaded_and_referred_to_by_its_uri() -> None:
    assert load("builtin:dtmf/digits?length=2").match("12") is not None
    source = document(
        '<rule id="r">1 <ruleref uri="builtin:dtmf/time"/><tag>out.at = rules.time</tag></rule>',
        'root="r" mode="dtmf" tag-format="semantics/1.0"',
    )
    match = load(source).match("10915")
    assert match is not None
    assert match.interpretation == {"at": "0915?"}
    words = document('<rule id="r">say <ruleref uri="builtin:grammar/boolean"/></rule>')
    said = load(words).match("say yes")
    assert said is not None
    assert said.interpretation is True


def test_a_builtin_is_compiled_once() -> None:
    assert builtin("digits", "fr", "dtmf") is builtin("digits", "fr", "dtmf")
