"""How phonemes of a text's parts become sentences, and what the process of the phonemizer answers;
the process itself is in the integration tests."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.tts import wire
from vxml_server.tts.phonemizer import PRONUNCIATION, sentences
from vxml_server.tts.phonemizer_main import serve


@pytest.mark.parametrize(
    ("texts", "pronunciations", "expected"),
    [
        ([["ab", "cd"]], [], ["ab", "cd"]),
        ([[]], [], []),
        ([["ab"], ["cd"]], ["x"], ["ab x cd"]),
        ([["ab", "cd"], ["ef", "gh"]], ["x"], ["ab", "cd x ef", "gh"]),
        ([[], []], ["x"], ["x"]),
        ([[], [], ["ab"]], ["x", "y"], ["x y ab"]),
        ([["ab"], []], [""], ["ab"]),
    ],
)
def test_a_pronunciation_belongs_to_the_sentence_before_it(
    texts: list[list[str]], pronunciations: list[str], expected: list[str]
) -> None:
    assert ["".join(sentence) for sentence in sentences(texts, pronunciations)] == expected


@given(st.lists(st.lists(st.text("ab", min_size=1)), min_size=1, max_size=5))
def test_no_phoneme_is_lost_between_pronunciations(texts: list[list[str]]) -> None:
    pronunciations = ["x"] * (len(texts) - 1)
    made = "".join("".join(sentence) for sentence in sentences(texts, pronunciations))
    expected = "x".join("".join(text) for text in texts)
    assert made.replace(" ", "") == expected


def test_words_and_pronunciations_take_turns() -> None:
    assert PRONUNCIATION.split("[[a]] or [[b]]") == ["", "a", " or ", "b", ""]


def answers_to(*requests: wire.Frame) -> list[wire.Frame]:
    """What the process answers, run here with a phonemizer that spells, and knows no q."""

    def phonemize(voice: str, text: str, clusters: set[tuple[str, ...]] | None) -> list[list[str]]:
        if "q" in text:
            raise ValueError("no q")
        return [[voice, *sentence, str(clusters)] for sentence in text.split(".") if sentence]

    output = io.BytesIO()
    serve(io.BytesIO(b"".join(map(wire.encode, requests))), output, phonemize)
    data, answers = output.getvalue(), []
    while data:
        header, size = wire.lengths(data[: wire.LENGTHS.size])
        assert size == 0
        data = data[wire.LENGTHS.size :]
        answers.append(wire.decode(data[:header]))
        data = data[header:]
    return answers


def test_each_text_is_answered_with_its_sentences_and_a_failure_with_its_event() -> None:
    said, failed, clustered = answers_to(
        wire.Frame(phonemize=wire.Phonemize("fr", ("é.u", "", "\u20ac"))),
        wire.Frame(phonemize=wire.Phonemize("fr", ("q",))),
        wire.Frame(phonemize=wire.Phonemize("fr", ("a",), (("a", "i"),))),
    )
    assert said.phonemized == wire.Phonemized(
        ((("fr", "é", "None"), ("fr", "u", "None")), (), (("fr", "\u20ac", "None"),))
    )
    assert failed.failed == wire.Failed("error.noresource", "ValueError: no q")
    assert clustered.phonemized == wire.Phonemized(((("fr", "a", "{('a', 'i')}"),),))
