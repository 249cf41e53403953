"""Grammars as PocketSphinx is given them."""

from __future__ import annotations

import pytest

from vxml_server.asr.sphinx_grammar import MAX_SIZE, MAX_WORDS, plain, write
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import load

SOUNDS = {"two": ("T UW",), "to": ("T UW",), "new": ("N UW", "N Y UW"), "york": ("Y AO R K",)}


def jsgf(body: str, more: str = "") -> str:
    text = f"#JSGF V1.0;\ngrammar g;\npublic <r> = {body};\n{more}"
    return load(text.encode(), media_type="application/x-jsgf", lang="en").to_jsgf()


def pronounce(word: str) -> tuple[str, ...]:
    return SOUNDS.get(word.lower(), ())


def test_nothing_that_an_author_wrote_reaches_the_decoder() -> None:
    written = write([jsgf('"New York" {out = "<x>;\\}";} | <s>', "<s> = two;")], pronounce)
    assert written is not None
    assert written.jsgf == (
        "#JSGF V1.0;\ngrammar g;\npublic <root> = <g0r1>;\n"
        "<g0r1> = ( w0 w1 ) <NULL> | <g0r0>;\n<g0r0> = w2;\n"
    )
    assert written.dictionary == "w0 N UW\nw0(2) N Y UW\nw1 Y AO R K\nw2 T UW\n"
    assert list(written.texts(["<sil>", "w0(2)", "w1", "[NOISE]"])) == ["New York"]


def test_words_that_sound_alike_are_one_to_the_decoder() -> None:
    written = write([jsgf("two"), jsgf("to new")], pronounce)
    assert written is not None
    assert written.dictionary.count("T UW") == 1
    assert list(written.texts(["w0"])) == ["two", "to"]


def test_a_word_that_nobody_can_say_is_never_heard() -> None:
    written = write([jsgf("two | qqq")], pronounce)
    assert written is not None
    assert "<g0r0> = w0 | <VOID>;" in written.jsgf
    assert write([jsgf("qqq")], pronounce) is None


def test_a_grammar_that_grows_too_large_becomes_a_loop_of_its_words() -> None:
    rules = "".join(f"<s{n}> = <s{n + 1}> <s{n + 1}>;\n" for n in range(20))
    written = write([jsgf("<s0>", f"{rules}<s20> = two | new;")], pronounce)
    assert MAX_SIZE < 2**20
    assert written is not None
    assert written.jsgf == written.loop
    assert "(w0 | w1)+" in written.loop


def test_more_words_than_can_be_searched_are_refused() -> None:
    many = " | ".join(f"x{n}" for n in range(MAX_WORDS + 1))
    with pytest.raises(VoiceXmlEvent, match="more than 10000 words") as refused:
        write([jsgf(many)], lambda word: ("T",))
    assert refused.value.name == "error.unsupported.format"


@pytest.mark.parametrize(
    ("body", "simple"), [("two | new", True), ("two+", False), ("[two] new", True)]
)
def test_only_choices_without_repeats_have_a_small_lattice(body: str, simple: bool) -> None:
    written = write([jsgf(body)], pronounce)
    assert written is not None
    assert written.is_simple is simple


def test_silence_and_noise_are_no_words() -> None:
    assert [plain(word) for word in ("<sil>", "[SPEECH]", "++NSN++", "w1(3)")] == ["", "", "", "w1"]
