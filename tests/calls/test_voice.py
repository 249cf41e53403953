"""A caller's voice on a real line: barge-in in the media thread, echo, noise, marks.

Frames go through the media engine and the recogniser's ear; what is made of the words is the
test's. Voices are those of the synthesiser.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.asr.scripted import ScriptedEngine, recogniser_for
from tests.calls.telephone import Telephone
from vxml_server.audio import decode, encode_wav, rms_dbfs
from vxml_server.clock import SystemClock
from vxml_server.grammar import builtin, phrase
from vxml_server.interpreter import (
    ActiveGrammar,
    InputKind,
    InputProperties,
    InputResult,
    ListenRequest,
    Prompt,
    RecordEnding,
    RecordRequest,
    SpeechSegment,
)
from vxml_server.tts import Mark, SpeechRequest, Voices, speech_of
from vxml_server.tts.espeak import EspeakEngine

Samples = NDArray[np.int16]

OPERATOR = ActiveGrammar(phrase("operator", "en"), "voice", "field", None)
DIGITS = ActiveGrammar(builtin("builtin:dtmf/digits?length=2"), "dtmf", "field", None)
BOTH = (OPERATOR, DIGITS)
TEXT = "Welcome to the bank. Say operator, or enter the number of your branch."
ONSET = 0.1
"""Seconds that it takes to notice speech; before that it may be a click."""


def at_level(pcm: Samples, dbfs: float) -> Samples:
    """Scaled so that its loudest half has that level."""
    frames = pcm[: len(pcm) // 160 * 160].reshape(-1, 160).astype(np.float64)
    power = np.sort((frames**2).mean(axis=1))[len(frames) // 2 :].mean()
    gain = 32768 * 10 ** (dbfs / 20) / np.sqrt(power)
    return np.clip(pcm * gain, -32768, 32767).astype(np.int16)


async def spoken() -> dict[str, Samples]:
    engine = Voices([EspeakEngine()], SystemClock())
    said = {}
    for name, text, gender in (("prompt", TEXT, "female"), ("caller", "operator", "male")):
        request = SpeechRequest(f"<speak>{text}</speak>", "en-US", gender=gender)
        said[name] = at_level((await speech_of(engine.stream(request))).pcm, -20.0)
    await engine.close()
    return said


@pytest.fixture(scope="module")
def voices() -> dict[str, Samples]:
    """What the prompt and the caller say, as the synthesiser's voices say it."""
    return asyncio.run(spoken())


class Call(Telephone):
    def __init__(self, folder: Path) -> None:
        self.engine = ScriptedEngine("en")
        super().__init__(folder, lambda clock: recogniser_for(self.engine, clock))

    async def listen(
        self, *prompts: Prompt, grammars: tuple[ActiveGrammar, ...] = BOTH, **properties: object
    ) -> None:
        request = ListenRequest(prompts, grammars, InputProperties(**properties), "en")  # type: ignore[arg-type]
        await self.ask(self.platform.listen(request))

    async def recognised(self) -> InputResult:
        result = await self.result()
        assert isinstance(result, InputResult)
        return result


@pytest.fixture
async def call(tmp_path: Path, voices: dict[str, Samples]) -> AsyncIterator[Call]:
    call = Call(tmp_path)
    call.synthesizer.sounds["Hello"] = voices["prompt"]
    yield call
    call.hang_up()


def hello(**how: object) -> Prompt:
    segment = SpeechSegment("<speak>Hello</speak>", "Hello", "en")
    return Prompt((segment,), "en", **how)  # type: ignore[arg-type]


def sounding(call: Call) -> float:
    """Seconds from the beginning of the call until the last sound that the telephone got."""
    loud = np.flatnonzero(np.abs(call.heard().astype(int)) > 100)
    return float(loud[-1] + 1) / 8000 if len(loud) else 0.0


async def test_speech_stops_the_prompt_and_is_understood(
    call: Call, voices: dict[str, Samples]
) -> None:
    call.engine.hear("operator")
    call.synthesizer.marks["Hello"] = (Mark("m", 0.5),)
    await call.listen(hello())
    await call.say(1.0)
    assert sounding(call) == pytest.approx(1.0, abs=0.1)
    await call.say(voices["caller"])
    begin = np.flatnonzero(np.abs(voices["caller"].astype(int)) > 500)[0] / 8000
    stopped = sounding(call)
    assert 1.0 < stopped < 1.0 + begin + ONSET
    await call.say(2.0)
    result = await call.recognised()
    assert result.kind is InputKind.MATCH
    assert result.nbest[0].utterance == "operator"
    # To the frame: what the telephone got is what was heard since the mark.
    assert result.mark_name == "m"
    assert result.mark_time == pytest.approx(stopped - 0.5, abs=0.02)


async def test_what_was_said_is_kept_from_a_little_before_it(
    call: Call, voices: dict[str, Samples]
) -> None:
    call.engine.hear("operator")
    await call.listen(utterance_type="audio/x-wav")
    await call.say(1.0)
    await call.say(voices["caller"])
    await call.say(2.0)
    audio = (await call.recognised()).audio
    assert audio is not None
    pcm = decode(audio.data).pcm
    assert len(pcm) / 8000 == pytest.approx(audio.duration)
    loud = np.flatnonzero(np.abs(pcm.astype(int)) > 1000)
    spoken = np.flatnonzero(np.abs(voices["caller"].astype(int)) > 1000)
    # No sound of it is missing, and little silence is around it.
    assert loud[-1] - loud[0] == pytest.approx(spoken[-1] - spoken[0], abs=160)
    assert 0.05 < loud[0] / 8000 < 0.35


async def test_a_key_during_speech_is_the_input(call: Call, voices: dict[str, Samples]) -> None:
    call.engine.hear("operator")
    await call.listen(hello())
    await call.say(1.0)
    await call.say(voices["caller"][:4000])
    await call.press("1")
    await call.say(voices["caller"][4000:])
    await call.say(1.0)
    await call.press("2")
    assert (await call.recognised()).nbest[0].utterance == "12"


async def test_over_a_hotword_prompt_only_a_match_stops_it(
    call: Call, voices: dict[str, Samples]
) -> None:
    call.engine.hear("something else")
    call.engine.hear("operator")
    await call.listen(hello(bargein_type="hotword"))
    await call.say(0.5)
    await call.say(voices["caller"])
    await call.say(1.3)
    assert not call.is_over
    before = sounding(call)
    await call.say(voices["caller"])
    assert sounding(call) > before + 0.3
    await call.say(0.6)
    result = await call.recognised()
    assert result.nbest[0].utterance == "operator"
    stopped = sounding(call)
    await call.say(0.5)
    assert sounding(call) == stopped


async def test_over_a_prompt_without_barge_in_nothing_is_heard(
    call: Call, voices: dict[str, Samples]
) -> None:
    await call.listen(hello(bargein=False), timeout=2.0)
    await call.say(1.0)
    await call.say(voices["caller"])
    length = len(voices["prompt"]) / 8000
    await call.say(length + 2.1 - call.clock.monotonic())
    assert (await call.recognised()).kind is InputKind.NOINPUT
    assert call.engine.utterances == []
    assert sounding(call) == pytest.approx(length, abs=0.15)


# Echo and noise ----------------------------------------------------------------------------------


def returned(loss_db: float, late: int, call: Call) -> None:
    """The line returns what is sent, so much weaker, so many frames later."""
    waiting = [np.zeros(160, np.int16)] * late

    def echo(sent: Samples) -> Samples:
        waiting.append(sent)
        return (waiting.pop(0) * 10 ** (-loss_db / 20)).astype(np.int16)

    call.echo = echo


@pytest.mark.parametrize("late", [0, 3, 12])
async def test_the_echo_of_a_prompt_is_nobody_s_voice(call: Call, late: int) -> None:
    returned(20.0, late, call)
    await call.listen(hello())
    await call.say(len(call.synthesizer.sounds["Hello"]) / 8000)
    assert sounding(call) == pytest.approx(len(call.synthesizer.sounds["Hello"]) / 8000, abs=0.1)
    assert call.engine.utterances == []


@pytest.mark.parametrize("late", [0, 3, 12])
@pytest.mark.parametrize("level", [-20.0, -26.0])
async def test_a_voice_is_heard_through_the_echo_of_the_prompt(
    call: Call, voices: dict[str, Samples], late: int, level: float
) -> None:
    returned(20.0, late, call)
    call.engine.hear("operator")
    await call.listen(hello())
    await call.say(1.0)
    caller = at_level(voices["caller"], level)
    await call.say(caller)
    assert sounding(call) < 1.0 + len(caller) / 8000
    await call.say(2.0)
    assert (await call.recognised()).nbest[0].utterance == "operator"


def noise(kind: str, seconds: float, dbfs: float, voices: dict[str, Samples]) -> Samples:
    randomness = np.random.default_rng(4)
    samples = round(seconds * 8000)
    if kind == "white":
        return at_level((randomness.standard_normal(samples) * 1000).astype(np.int16), dbfs)
    # Babble: a dozen voices at once.
    mixed = np.zeros(samples)
    source = np.concatenate([voices["prompt"], voices["caller"]])
    for _ in range(12):
        start = randomness.integers(len(source))
        mixed += np.resize(np.roll(source, start), samples)
    return at_level((mixed / 12).astype(np.int16), dbfs)


@pytest.mark.parametrize("kind", ["white", "babble"])
async def test_noise_15_db_below_a_voice_does_not_stop_a_prompt(
    call: Call, voices: dict[str, Samples], kind: str
) -> None:
    await call.listen(hello())
    length = len(voices["prompt"]) / 8000
    await call.say(noise(kind, length, -35.0, voices))
    assert call.engine.utterances == []
    assert sounding(call) == pytest.approx(length, abs=0.1)


@pytest.mark.parametrize("kind", ["white", "babble"])
async def test_a_voice_is_heard_in_noise_15_db_below_it(
    call: Call, voices: dict[str, Samples], kind: str
) -> None:
    call.engine.hear("operator")
    await call.listen(hello())
    spoken = np.concatenate(
        [np.zeros(12000, np.int16), voices["caller"], np.zeros(16000, np.int16)]
    )
    around = noise(kind, len(spoken) / 8000, -35.0, voices)[: len(spoken)]
    await call.say((spoken.astype(np.int32) + around).clip(-32768, 32767).astype(np.int16))
    assert (await call.recognised()).nbest[0].utterance == "operator"


# Recordings --------------------------------------------------------------------------------------


async def test_a_recording_is_ended_by_words_while_it_is_kept(
    call: Call, voices: dict[str, Samples]
) -> None:
    call.engine.hear("what I wanted to say")
    call.engine.hear("operator")
    request = RecordRequest("audio/x-wav", grammars=(OPERATOR,), final_silence=3.0, lang="en")
    await call.ask(call.platform.record(request))
    await call.say(0.5)
    await call.say(voices["prompt"])
    await call.say(1.5)
    await call.say(voices["caller"])
    await call.say(1.0)
    result = await call.result()
    assert result.ending is RecordEnding.INPUT
    assert result.recognition.utterance == "operator"
    expected = (len(voices["prompt"]) + len(voices["caller"])) / 8000 + 1.5
    assert result.audio.duration == pytest.approx(expected + 0.4, abs=0.7)
    assert rms_dbfs(decode(result.audio.data).pcm) > -30


def test_the_voices_are_as_loud_as_told(voices: dict[str, Samples]) -> None:
    for pcm in voices.values():
        assert len(encode_wav(pcm)) > 8000
        assert -26 < rms_dbfs(pcm) < -18
