"""The `listen` command's record."""

from __future__ import annotations

import numpy as np

from tests.asr.scripted import ScriptedEngine
from tests.voices import voice
from vxml_server.asr import Engines, RecognitionProperties
from vxml_server.asr.inspect import IN_ERROR, MATCH, NO_MATCH, hear, in_words, speech_span
from vxml_server.grammar import builtin

YES_NO = ("builtin:boolean", builtin("boolean", "en"))
ENGLISH = RecognitionProperties("en")


def test_what_is_understood_is_told_with_its_meaning() -> None:
    engine = ScriptedEngine()
    engine.hear("yes", confidence=0.9)
    record, status = hear(voice("seven"), [YES_NO], Engines({"scripted": engine}), ENGLISH)
    assert status == MATCH
    assert record["outcome"] == "match"
    assert record["heard"] == [{"text": "yes", "confidence": 0.9}]
    understood = {"utterance": "yes", "interpretation": True, "confidence": 0.9}
    assert record["grammars"] == [
        {"grammar": "builtin:boolean", "accepted": True, "nbest": [understood]}
    ]
    assert "builtin:boolean: accepted\n  0.90  yes = True" in in_words(record)


def test_what_is_not_sure_enough_is_no_match() -> None:
    engine = ScriptedEngine()
    engine.hear("yes", confidence=0.3)
    record, status = hear(voice("seven"), [YES_NO], Engines({"scripted": engine}), ENGLISH)
    assert (status, record["outcome"]) == (NO_MATCH, "nomatch")
    assert "builtin:boolean: rejected" in in_words(record)


def test_without_speech_nobody_is_asked() -> None:
    quiet = np.zeros(8000, np.int16)
    record, status = hear(quiet, [YES_NO], Engines({"scripted": ScriptedEngine()}), ENGLISH)
    assert (status, record["outcome"]) == (NO_MATCH, "noinput")
    assert in_words(record) == "no speech in 1.0 s"


def test_a_language_that_nobody_speaks_is_an_error() -> None:
    record, status = hear(voice("seven"), [], Engines({}), RecognitionProperties("xx"))
    assert (status, record["error"]) == (IN_ERROR, "no recogniser speaks xx")


def test_speech_is_where_it_is_in_the_recording() -> None:
    quiet = np.zeros(8000, np.int16)
    span = speech_span(np.concatenate((quiet, voice("seven"), quiet)))
    assert span is not None
    assert 48 <= span[0] < span[1] <= 50 + len(voice("seven")) // 160 + 5
