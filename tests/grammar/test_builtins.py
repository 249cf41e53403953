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
        ("builtin:grammar/date", "en"),
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
