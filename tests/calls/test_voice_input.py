"""Voice in a wait for input, in a race with keys (VoiceXML 2.0 sections 4.1.5, 6.3.2, 6.3.6).

The recogniser is the test's: it says what was heard and when.
"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.calls.fake_speech import FakeListening, FakeRecogniser
from tests.calls.line import DIGITS, Line, ended, matched, prompt
from vxml_server.asr import (
    Attention,
    SpeechBegan,
    SpeechPassedOver,
    Understood,
    VoiceBusy,
    VoiceEnding,
    VoiceFailed,
    VoiceRefused,
    VoiceResult,
)
from vxml_server.audio import decode
from vxml_server.catalogue import message
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import builtin
from vxml_server.interpreter import ActiveGrammar, InputKind, InputProperties, InputResult
from vxml_server.tts import Mark

WORDS = ActiveGrammar(builtin("builtin:grammar/boolean", "en"), "voice", "field", None)
OTHER = ActiveGrammar(builtin("builtin:grammar/digits", "en"), "voice", "form", None)
BOTH = (DIGITS, WORDS)
SAID = np.arange(1600, dtype=np.int16)
NORESOURCE = VoiceXmlEvent("error.noresource", "the engine is gone")


@pytest.fixture
async def line() -> Line:
    return Line(FakeRecogniser()).up()


def result(
    words: str = "yes",
    ending: VoiceEnding = VoiceEnding.MATCH,
    *,
    grammar: int | None = 0,
    confidence: float = 0.9,
) -> VoiceResult:
    heard = Understood(words, confidence, words == "yes", grammar)
    return VoiceResult(ending, (heard,) if words else (), SAID, 0.0, 0.2)


def listen(line: Line, *prompts: object, **how: object) -> asyncio.Task[InputResult]:
    return line.listen(*prompts, **({"grammars": BOTH} | how))  # type: ignore[arg-type]


async def tell(line: Line, *events: object) -> None:
    for event in events:
        heard(line).tell(event)  # type: ignore[arg-type]
    await line.clock.settle()


def heard(line: Line) -> FakeListening:
    assert line.recogniser is not None
    return line.recogniser.current


def nobody_listens(line: Line) -> bool:
    assert line.recogniser is not None
    return line.channel.tapped_by is None and all(w.is_closed for w in line.recogniser.waits)


# What is listened for ----------------------------------------------------------------------------


async def test_the_recogniser_gets_the_voice_grammars_and_the_properties(line: Line) -> None:
    properties = InputProperties(
        timeout=2.0, confidence_level=0.7, sensitivity=0.3, complete_timeout=0.1, max_nbest=4
    )
    wait = listen(line, grammars=(DIGITS, WORDS, OTHER), properties=properties)
    await line.at(0.1)
    request = heard(line).request
    assert request.grammars == (WORDS.grammar, OTHER.grammar)
    assert (request.confidence_level, request.sensitivity) == (0.7, 0.3)
    assert (request.complete_timeout, request.max_nbest) == (0.1, 4)
    assert line.channel.tapped_by is not None
    await line.at(2.1)
    await ended(wait, InputKind.NOINPUT)
    assert nobody_listens(line)


@pytest.mark.parametrize(
    ("grammars", "modes"), [((DIGITS,), {"dtmf", "voice"}), (BOTH, {"dtmf"}), ((), {"voice"})]
)
async def test_a_wait_without_voice_asks_for_nothing(
    line: Line, grammars: tuple[ActiveGrammar, ...], modes: set[str]
) -> None:
    properties = InputProperties(timeout=2.0, input_modes=frozenset(modes))  # type: ignore[arg-type]
    wait = listen(line, grammars=grammars, properties=properties)
    await line.at(2.1)
    await ended(wait, InputKind.NOINPUT)
    assert line.recogniser is not None
    assert line.recogniser.waits == []


async def test_what_is_said_is_the_input(line: Line) -> None:
    wait = listen(line, grammars=(OTHER, WORDS))
    await line.at(1.0)
    await tell(line, SpeechBegan(1.0), result(grammar=1, confidence=0.8))
    [found] = (await ended(wait, InputKind.MATCH)).nbest
    assert (found.utterance, found.confidence, found.interpretation) == ("yes", 0.8, True)
    assert (found.mode, found.active) == ("voice", WORDS)
    assert line.inputs() == ["yes"]
    assert nobody_listens(line)


async def test_a_nomatch_tells_what_was_heard(line: Line) -> None:
    wait = listen(line)
    await line.at(1.0)
    await tell(line, SpeechBegan(1.0), result("perhaps", VoiceEnding.NOMATCH, grammar=None))
    [found] = (await ended(wait, InputKind.NOMATCH)).nbest
    assert (found.utterance, found.active, found.mode) == ("perhaps", None, "voice")


async def test_who_speaks_too_long_is_told_so(line: Line) -> None:
    wait = listen(line)
    await line.at(1.0)
    await tell(line, SpeechBegan(1.0), result("", VoiceEnding.MAX_SPEECH))
    assert (await ended(wait, InputKind.MAX_SPEECH)).nbest == ()


@pytest.mark.parametrize("media_type", ["audio/x-wav", "audio/basic"])
async def test_what_was_said_is_kept_if_the_document_wants_it(line: Line, media_type: str) -> None:
    wait = listen(line, properties=InputProperties(utterance_type=media_type))
    await line.at(1.0)
    await tell(line, SpeechBegan(1.0), result())
    audio = (await asyncio.wait_for(wait, 5)).audio
    assert audio is not None
    assert (audio.media_type, audio.duration) == (media_type, 0.2)
    assert len(decode(audio.data, media_type).pcm) == len(SAID)


async def test_nothing_is_kept_of_keys(line: Line) -> None:
    wait = listen(line, properties=InputProperties(utterance_type="audio/x-wav"))
    await line.at(1.0, "12")
    assert (await wait).audio is None


# Barge-in ----------------------------------------------------------------------------------------


async def test_speech_stops_the_prompts(line: Line) -> None:
    line.synthesizer.marks["one"] = (Mark("m", 0.25),)
    wait = listen(line, prompt("one"), prompt("two"))
    await line.at(0.5)
    line.channel.speak()
    assert not line.channel.is_playing
    await tell(line, SpeechBegan(0.44))
    await line.at(3.0)
    await tell(line, result())
    found = await ended(wait, InputKind.MATCH)
    assert (found.mark_name, found.mark_time) == ("m", pytest.approx(0.25))
    assert len(line.channel.played) == 1


async def test_speech_between_prompts_stops_the_one_to_come(line: Line) -> None:
    line.synthesizer.delays["slow"] = 1.0
    wait = listen(line, prompt("slow"))
    await line.at(0.5)
    await tell(line, SpeechBegan(0.4))
    await line.at(2.0)
    assert line.channel.played == []
    await tell(line, result())
    assert await matched(wait) == "yes"


async def test_over_a_prompt_without_barge_in_nobody_listens(line: Line) -> None:
    wait = listen(line, prompt("one", bargein=False), prompt("two"))
    await line.at(0.5)
    assert heard(line).attention is Attention.DEAF
    line.channel.speak()
    assert line.channel.is_playing
    await line.at(1.1)
    assert heard(line).attention is Attention.SPEECH
    wait.cancel()


async def test_speech_that_a_prompt_without_barge_in_overtakes_is_dropped(line: Line) -> None:
    wait = listen(line, prompt("one"), prompt("two", bargein=False))
    await line.at(0.99)
    # Told when the second prompt has begun.
    told = heard(line).tell
    await line.at(1.01)
    told(SpeechBegan(0.98))
    await line.clock.settle()
    assert line.channel.is_playing
    assert heard(line).attention is Attention.DEAF
    wait.cancel()


async def test_nobody_who_speaks_is_told_that_there_was_no_input(line: Line) -> None:
    wait = listen(line)
    await line.at(4.9)
    await tell(line, SpeechBegan(4.85))
    await line.at(9.0)
    assert not wait.done()
    await tell(line, result())
    assert await matched(wait) == "yes"


# Hotword -----------------------------------------------------------------------------------------


async def test_over_a_hotword_prompt_only_a_match_stops_it(line: Line) -> None:
    wait = listen(line, prompt("one", hotword=True))
    await line.at(0.2)
    assert heard(line).attention is Attention.HOTWORD
    await tell(line, SpeechBegan(0.2, hotword=True))
    line.channel.speak()
    assert line.channel.is_playing
    await tell(line, SpeechPassedOver(0.2, "well", 0.2))
    assert line.channel.is_playing
    assert not wait.done()
    await line.at(0.6)
    await tell(line, SpeechBegan(0.6, hotword=True), result())
    assert await matched(wait) == "yes"
    assert not line.channel.is_playing
    assert line.inputs() == ["well", "yes"]


async def test_after_a_hotword_prompt_what_matches_nothing_is_passed_over_still(line: Line) -> None:
    wait = listen(line, prompt("one", hotword=True))
    await line.at(1.5)
    assert heard(line).attention is Attention.HOTWORD
    await tell(line, SpeechBegan(1.5, hotword=True))
    # The noinput timer is held back while there is speech, and not begun anew by it.
    await line.at(7.0)
    assert not wait.done()
    await tell(line, SpeechPassedOver(1.5))
    await ended(wait, InputKind.NOINPUT)


async def test_a_key_that_matches_nothing_over_a_hotword_prompt_gives_the_voice_back(
    line: Line,
) -> None:
    line.synthesizer.seconds["one"] = 10.0
    wait = listen(line, prompt("one", hotword=True))
    await line.at(0.5, "*")
    await line.at(0.6)
    assert line.channel.is_playing
    assert heard(line).attention is Attention.HOTWORD
    await tell(line, result())
    assert await matched(wait) == "yes"


# Keys and voice ----------------------------------------------------------------------------------


async def test_a_key_during_speech_ends_the_voice(line: Line) -> None:
    wait = listen(line, prompt("one"))
    await line.at(0.5)
    await tell(line, SpeechBegan(0.5))
    told = heard(line).tell
    await line.at(0.8, "1")
    assert heard(line).attention is Attention.DEAF
    # What the recogniser has just found comes too late.
    told(result())
    await line.at(1.0, "2")
    assert await matched(wait) == "12"
    assert line.inputs() == ["12"]


async def test_after_a_key_the_key_timers_count_whatever_is_said(line: Line) -> None:
    wait = listen(line)
    await line.at(1.0)
    await tell(line, SpeechBegan(1.0))
    await line.at(1.5, "1")
    await line.at(3.6)
    await ended(wait, InputKind.NOMATCH)


async def test_what_was_said_first_wins_over_a_key(line: Line) -> None:
    wait = listen(line)
    await line.at(1.0)
    await tell(line, SpeechBegan(1.0), result())
    assert await matched(wait) == "yes"
    await line.at(2.0, "12")
    # The keys are the next input's.
    assert await matched_next(line) == "12"


async def matched_next(line: Line) -> str:
    wait = listen(line)
    await line.clock.settle()
    return await matched(wait)


async def test_keys_that_are_not_listened_to_leave_the_voice_alone(line: Line) -> None:
    wait = listen(line, grammars=(WORDS,))
    await line.at(1.0)
    await tell(line, SpeechBegan(1.0))
    await line.at(1.1, "5")
    await tell(line, result())
    assert await matched(wait) == "yes"


async def test_keys_typed_ahead_are_used_before_anything_is_said(line: Line) -> None:
    line.channel.press("12")
    wait = listen(line, prompt("one"))
    await line.clock.settle()
    assert await matched(wait) == "12"
    assert nobody_listens(line)


async def test_news_of_an_earlier_wait_are_nothing_to_the_next(line: Line) -> None:
    wait = listen(line)
    await line.at(1.0)
    stale = heard(line).tell
    await line.at(1.0, "12")
    assert await matched(wait) == "12"
    stale(result())
    wait = listen(line)
    await line.at(6.1)
    await ended(wait, InputKind.NOINPUT)


@pytest.mark.parametrize("speaks", [False, True])
async def test_a_caller_who_hangs_up_is_not_listened_to_any_more(line: Line, speaks: bool) -> None:
    wait = listen(line, prompt("one"))
    await line.at(0.5)
    if speaks:
        await tell(line, SpeechBegan(0.5))
    line.call.bye()
    await line.clock.settle()
    await ended(wait, InputKind.HANGUP)
    assert nobody_listens(line)


# Without a recogniser ----------------------------------------------------------------------------


async def test_when_the_recogniser_is_busy_the_caller_is_asked_for_keys_once(line: Line) -> None:
    assert line.recogniser is not None
    line.recogniser.refusal = VoiceBusy()
    sorry = message("caller.use_keys", "fr")
    wait = listen(line, prompt("one"), lang="fr")
    await line.at(1.5, "12")
    assert await matched(wait) == "12"
    wait = listen(line, prompt("one"), lang="fr")
    await line.at(3.0, "12")
    assert await matched(wait) == "12"
    assert [text for text in line.said() if text == sorry] == [sorry]
    assert line.said()[0] == sorry


async def test_voice_that_is_refused_in_the_middle_leaves_the_keys(line: Line) -> None:
    wait = listen(line, prompt("one"))
    await line.at(0.5)
    line.channel.speak()
    await tell(line, SpeechBegan(0.5), VoiceRefused())
    await line.at(1.0)
    assert line.said()[-1] == message("caller.use_keys", "en")
    assert nobody_listens(line)
    # The silence is measured anew, from the end of those words.
    await line.at(6.0)
    assert not wait.done()
    await line.at(6.2, "12")
    assert await matched(wait) == "12"


@pytest.mark.parametrize("event", [VoiceRefused(), VoiceFailed(NORESOURCE)])
async def test_voice_alone_that_is_not_to_be_had_is_error_noresource(
    line: Line, event: object
) -> None:
    wait = listen(line, grammars=(WORDS,))
    await line.at(0.5)
    await tell(line, SpeechBegan(0.5), event)
    with pytest.raises(VoiceXmlEvent, match=r"error\.noresource"):
        await wait
    assert nobody_listens(line)


async def test_a_busy_recogniser_is_error_noresource_where_there_is_nothing_else(
    line: Line,
) -> None:
    assert line.recogniser is not None
    line.recogniser.refusal = VoiceBusy()
    with pytest.raises(VoiceXmlEvent, match=r"error\.noresource"):
        await listen(line, grammars=(WORDS,))


async def test_a_tag_that_fails_is_thrown(line: Line) -> None:
    wait = listen(line)
    await line.at(0.5)
    await tell(line, SpeechBegan(0.5), VoiceFailed(VoiceXmlEvent("error.semantic", "no such name")))
    with pytest.raises(VoiceXmlEvent, match=r"error\.semantic"):
        await wait


async def test_a_refusal_over_a_hotword_prompt_lets_the_prompt_go_on(line: Line) -> None:
    wait = listen(line, prompt("one", hotword=True))
    await line.at(0.5)
    await tell(line, VoiceFailed(NORESOURCE))
    assert line.channel.is_playing
    await line.at(0.7, "12")
    assert await matched(wait) == "12"


@pytest.mark.parametrize(
    "refusal", [None, VoiceXmlEvent("error.unsupported.language", "nobody speaks it")]
)
async def test_who_has_keys_does_not_miss_a_recogniser(refusal: Exception | None) -> None:
    recogniser = FakeRecogniser() if refusal else None
    line = Line(recogniser).up()
    if recogniser is not None:
        recogniser.refusal = refusal
    wait = listen(line, prompt("one"))
    await line.at(0.5, "12")
    assert await matched(wait) == "12"
    assert line.said() == ["one"]
    with pytest.raises(VoiceXmlEvent) as caught:
        await listen(line, grammars=(WORDS,))
    assert caught.value.name == ("error.unsupported.language" if refusal else "error.noresource")
