from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.events import VoiceXmlEvent
from vxml_server.tts.lexicon import MAX_BYTES, MAX_PER_WORD, Lexicon, load, pronounced
from vxml_server.tts.plan import Phonemes


def lexicon(content: str, lang: str = "fr", alphabet: str = "ipa") -> Lexicon:
    return load(
        f"""<?xml version="1.0" encoding="UTF-8"?>
        <lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon"
            alphabet="{alphabet}" xml:lang="{lang}">{content}</lexicon>""".encode()
    )


def alias(grapheme: str, said: str) -> str:
    return f"<lexeme><grapheme>{grapheme}</grapheme><alias>{said}</alias></lexeme>"


def said(text: str, *lexicons: Lexicon, lang: str = "fr-FR") -> str:
    return "".join(piece for piece, _ in pronounced(text, lang, lexicons))


def test_a_word_is_said_as_its_alias() -> None:
    assert said("La SNCF.", lexicon(alias("SNCF", "s n c f"))) == "La s n c f."


def test_several_graphemes_share_a_pronunciation() -> None:
    words = lexicon(
        "<lexeme><grapheme>clef</grapheme><grapheme>clé</grapheme><phoneme>kle</phoneme></lexeme>"
    )
    assert pronounced("clef, clé", "fr", (words,)) == [
        ("clef", Phonemes("kle")),
        (", ", None),
        ("clé", Phonemes("kle")),
    ]


@pytest.mark.parametrize(
    ("grapheme", "text", "found"),
    [
        ("US", "US", True),
        ("US", "us", False),
        ("tomate", "Tomate", True),
        ("tomate", "TOMATE", True),
        ("Paris", "paris", False),
        ("tomate", "tomates", False),
        ("mat", "tomate", False),
        ("New York", "à New York.", True),
        ("New York", "New Yorker", False),
        ("C++", "en C++ ou", True),
        ("C++", "C+", False),
        ("aujourd\u2019hui", "aujourd\u2019hui", True),
    ],
)
def test_words_are_found_whole_and_in_their_case(grapheme: str, text: str, found: bool) -> None:
    assert ("XX" in said(text, lexicon(alias(grapheme, "XX")))) is found


def test_the_longest_grapheme_is_found_first() -> None:
    words = lexicon(alias("New", "1") + alias("New York", "2"))
    assert said("New York New", words) == "2 1"


def test_an_alias_is_not_looked_up_again() -> None:
    assert said("a", lexicon(alias("a", "a a"))) == "a a"


def test_the_first_lexicon_that_knows_a_word_says_it() -> None:
    one, other = lexicon(alias("a", "1")), lexicon(alias("a", "2") + alias("b", "3"))
    assert said("a b", one, other) == "1 3"


@pytest.mark.parametrize(
    ("its", "lang", "speaks"),
    [
        ("fr", "fr-CA", True),
        ("fr-CA", "fr", True),
        ("FR", "fr", True),
        ("fr-CA", "fr-FR", False),
        ("en", "fr", False),
        ("f", "fr", False),
    ],
)
def test_a_lexicon_is_for_text_of_its_language(its: str, lang: str, speaks: bool) -> None:
    words = lexicon(alias("a", "XX"), lang=its)
    assert (said("a", words, lang=lang) == "XX") is speaks


def test_the_preferred_pronunciation_counts_else_the_first_that_is_understood() -> None:
    words = lexicon(
        '<lexeme><grapheme>a</grapheme><alias>1</alias><alias prefer="true">2</alias></lexeme>'
        '<lexeme><grapheme>b</grapheme><phoneme alphabet="x-klingon">q</phoneme>'
        '<phoneme alphabet="x-sampa">tO</phoneme></lexeme>'
    )
    assert pronounced("a b", "fr", (words,)) == [("2", None), (" ", None), ("b", Phonemes("tɔ"))]


def test_the_first_lexeme_of_a_word_counts() -> None:
    assert said("a", lexicon(alias("a", "1") + alias("a", "2"))) == "1"


def test_a_lexeme_that_makes_no_sense_is_left_out_with_a_warning() -> None:
    words = lexicon(
        "<lexeme><alias>1</alias></lexeme><lexeme><grapheme>a</grapheme></lexeme>"
        "<lexeme><grapheme>b</grapheme><phoneme>\u0416</phoneme></lexeme>" + alias("c", "2")
    )
    assert len(words) == 1
    assert [warning.partition("the lexeme ")[2] for warning in words.warnings] == [
        "has no grapheme",
        "has no pronunciation that is understood",
        "has no pronunciation that is understood",
    ]


def test_lexicons_of_the_same_bytes_are_equal() -> None:
    one, other = lexicon(alias("a", "1")), lexicon(alias("a", "1"))
    assert one == other
    assert hash(one) == hash(other)
    assert one != lexicon(alias("a", "2"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not well-formed"),
        (b"<lexicon>", "not well-formed"),
        (b"\xff\xfe\x00", "not well-formed"),
        (b"<speak/>", "no pronunciation lexicon"),
        (b"<lexicon/>", "no xml:lang"),
        (b"<lexicon xml:lang='fr'>" + b"<lexeme/>" * 50_001 + b"</lexicon>", "lexemes"),
        (b" " * (MAX_BYTES + 1), "larger"),
        (
            b"<!DOCTYPE lexicon [<!ENTITY a 'aaaaaaaaaa'>"
            + b"".join(b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12))
            + b"]><lexicon xml:lang='&a11;'/>",
            "not well-formed|no xml:lang",
        ),
    ],
)
def test_what_is_no_lexicon_is_a_bad_fetch(data: bytes, reason: str) -> None:
    with pytest.raises(VoiceXmlEvent, match=reason) as caught:
        load(data, "http://example/l.pls")
    assert caught.value.name == "error.badfetch"
    assert "http://example/l.pls" in caught.value.message


def test_a_lexicon_whose_words_all_begin_alike_does_not_slow_a_text_down() -> None:
    words = lexicon("".join(alias(f"a {number}", "x") for number in range(2 * MAX_PER_WORD)))
    assert said("a a a " * 1000, words) == "a a a " * 1000


@given(st.text(max_size=60), st.lists(st.text("abAB +-é\u0301", min_size=1, max_size=4)))
def test_any_text_keeps_what_the_lexicon_does_not_know(text: str, graphemes: list[str]) -> None:
    words = lexicon("".join(alias(grapheme, "Z") for grapheme in graphemes))
    pieces = list(words.find(text))
    assert all(0 <= start < end <= len(text) for start, end, _ in pieces)
    assert all(one[1] <= other[0] for one, other in pairwise(pieces))
    kept = "".join(piece for piece, _ in pronounced(text, "fr", (lexicon(""),)))
    assert kept == text
