"""The `listen` command's record."""

from __future__ import annotations

import numpy as np

from tests.asr.scripted import ScriptedEngine
from tests.voices import voice
from vxml_server.asr import Engines, RecognitionProperties
from vxml_server.asr.inspect import IN_ERROR, MATCH, NO_MATCH, first_utterance, hear, in_words
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
    spoken = first_utterance(np.concatenate((quiet, voice("seven"), quiet)))
    assert spoken is not None
    length = len(voice("seven")) / 8000
    assert 0.96 <= spoken.began < spoken.ended <= 1.1 + length
    # What came before the first sound and the pause after the last are heard as well.
    assert sum(map(len, spoken.pieces)) / 8000 >= spoken.ended - spoken.began + 0.3


def test_a_word_at_the_very_beginning_is_heard_whole() -> None:
    spoken = first_utterance(voice("seven"))
    assert spoken is not None
    heard = np.concatenate(spoken.pieces)
    assert np.abs(heard).max() == np.abs(voice("seven")).max()


def test_what_comes_after_a_second_without_speech_is_another_utterance() -> None:
    word = voice("seven")
    short, long = np.zeros(4000, np.int16), np.zeros(16000, np.int16)
    alone = first_utterance(np.concatenate((word, long)))
    first = first_utterance(np.concatenate((word, long, word)))
    both = first_utterance(np.concatenate((word, short, word)))
    assert alone is not None
    assert first is not None
    assert both is not None
    assert first.ended == alone.ended
    assert both.ended > len(word) / 8000 + 0.5
