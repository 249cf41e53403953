"""The far end of a child process, without one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.asr.scripted import ScriptedEngine
from vxml_server.asr import RecognitionProperties
from vxml_server.asr.child import _Ask, _Close, _Failure, _FarEnd, _Feed, _Start
from vxml_server.grammar import Hypothesis, builtin

DIGITS = builtin("digits?length=2", "en", "voice")


def start(number: int = 1, lang: str = "en", jsgf: str = DIGITS.to_jsgf()) -> _Start:
    return _Start(number, ((jsgf, lang),), RecognitionProperties(lang))


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


def test_a_grammar_crosses_as_jsgf_and_takes_the_same_sentences(engine: ScriptedEngine) -> None:
    assert _FarEnd(engine).do(start()) is None
    [grammar] = engine.utterances[0].grammars
    assert grammar.lang == "en"
    assert grammar.match("one two") is not None
    assert grammar.match("one") is None


def test_utterances_are_told_apart(engine: ScriptedEngine) -> None:
    engine.hear("one two")
    engine.hear("three four")
    far_end = _FarEnd(engine)
    for number in (1, 2):
        far_end.do(start(number))
        far_end.do(_Feed(number, np.full(160, number, np.int16).tobytes()))
    assert far_end.do(_Ask(2)) == (Hypothesis("three four", 0.9),)
    assert far_end.do(_Ask(1)) == (Hypothesis("one two", 0.9),)
    assert [int(utterance.fed[0]) for utterance in engine.utterances] == [1, 2]
    far_end.do(_Close(1))
    assert [utterance.is_closed for utterance in engine.utterances] == [True, False]


def test_an_event_goes_back_with_its_name(engine: ScriptedEngine) -> None:
    assert _FarEnd(engine).do(start(lang="fr")) == _Failure("error.unsupported.language", "fr")


def test_a_defect_goes_back_as_an_event(engine: ScriptedEngine) -> None:
    engine.hear(ZeroDivisionError("by zero"))
    far_end = _FarEnd(engine)
    far_end.do(start())
    assert far_end.do(_Ask(1)) == _Failure("error.noresource", "ZeroDivisionError: by zero")


def test_what_failed_while_it_was_fed_fails_when_it_is_asked(engine: ScriptedEngine) -> None:
    far_end = _FarEnd(engine)
    far_end.do(start())
    # An odd number of bytes is no audio.
    assert isinstance(far_end.do(_Feed(1, b"\0\0\0")), _Failure)
    assert isinstance(far_end.do(_Ask(1)), _Failure)
    assert far_end.do(_Close(1)) is None


def test_commands_for_utterances_that_are_not_there_are_answered(engine: ScriptedEngine) -> None:
    far_end = _FarEnd(engine)
    for command in (_Feed(7, b"\0\0"), _Ask(7), _Close(7)):
        assert isinstance(far_end.do(command), _Failure)
