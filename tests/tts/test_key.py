from __future__ import annotations

from random import Random

import pytest

import vxml_server.tts.key
from tests.fuzz import ssml
from vxml_server.tts import SpeechRequest
from vxml_server.tts.key import key_of


def key(document: str, lang: str = "fr", **voices: str) -> str:
    operators = tuple((name.replace("_", "-"), voice) for name, voice in voices.items())
    return key_of(SpeechRequest(document, lang, voices=operators), "test 1")


@pytest.mark.parametrize(
    "document",
    [
        "<!DOCTYPE speak [<!ENTITY a 'b'>]><speak>x &a; y</speak>",
        "<!DOCTYPE speak SYSTEM 'http://example.com/speak.dtd'><speak>&a; z</speak>",
        "<speak><p xmlns='../x'>hello</p></speak>",
        "<speak><?php echo ?>x<!-- y --></speak>",
        "<speak>\ud800</speak>",
        "<speak>" + "x" * 300_000 + "</speak>",
        "<speak",
        "",
    ],
)
def test_whatever_is_asked_for_has_a_key(document: str) -> None:
    assert key(document) == key(document)
    assert key(document) != key(document.replace("speak", "prompt") + " ")


def test_any_document_has_a_key() -> None:
    for seed in range(300):
        assert len(key_of(ssml.request(Random(seed)), "test 1")) == 64


def test_entities_that_say_different_things_are_different_prompts() -> None:
    one, other = (f"<!DOCTYPE s [<!ENTITY a '{said}'>]><s>x &a; y</s>" for said in "bc")
    assert key(one) != key(other)


def test_the_voices_of_the_operator_count_in_the_languages_of_the_document() -> None:
    document = "<speak>un <s xml:lang='en-US'>two</s></speak>"
    keys = [
        key(document),
        key(document, fr="f1"),
        key(document, fr="f2"),
        key(document, fr="f1", en="e1"),
        key(document, fr="f1", en_us="e1"),
        key(document, fr="f1", en_us="e2"),
    ]
    assert len(set(keys)) == 5
    assert key(document, fr="f1", en="e1") == key(document, fr="f1", en_us="e1", de="d1")


def test_another_version_of_the_server_may_say_it_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = key("<speak>-$5</speak>")
    monkeypatch.setattr(vxml_server.tts.key, "__version__", "99.0.0")
    assert key("<speak>-$5</speak>") != before
