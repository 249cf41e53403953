"""Recording a caller on a leg: real frames through the media engine, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.calls.fake_speech import FakeRecogniser
from tests.calls.telephone import Telephone
from tests.media.world import sine
from vxml_server.asr import (
    Attention,
    SpeechPassedOver,
    Understood,
    VoiceBusy,
    VoiceEnding,
    VoiceFailed,
    VoiceResult,
)
from vxml_server.audio import active_level_dbfs, decode, rms_dbfs
from vxml_server.calls import Spool
from vxml_server.calls.recording import BEEP_SECONDS, Message, beep
from vxml_server.dtmf import event_packets
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import builtin, phrase
from vxml_server.interpreter import (
    ActiveGrammar,
    InputProperties,
    Prompt,
    RecordEnding,
    RecordRequest,
    RecordResult,
    SpeechSegment,
)

DIGITS = ActiveGrammar(builtin("builtin:dtmf/digits?length=2"), "dtmf", "record", None)
QUIET = np.zeros(160, np.int16)


def prompt(text: str, *, bargein: bool = True) -> Prompt:
    return Prompt((SpeechSegment(f"<speak>{text}</speak>", text, "en"),), "en", bargein)


def request(**changes: object) -> RecordRequest:
    return RecordRequest(**({"media_type": "audio/x-wav", "final_silence": 1.0} | changes))  # type: ignore[arg-type]


class Call(Telephone):
    async def record(self, **changes: object) -> None:
        await self.ask(self.platform.record(request(**changes)))


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Call]:
    call = Call(tmp_path)
    yield call
    call.hang_up()
    assert left_in(tmp_path) == []


def seconds(result: RecordResult) -> float:
    assert result.audio is not None
    audio = decode(result.audio.data, result.audio.media_type)
    assert audio.duration == pytest.approx(result.audio.duration)
    return audio.duration


async def test_speech_is_recorded_at_its_level_until_silence(call: Call) -> None:
    await call.record()
    await call.say(0.5)
    await call.say(sine(2.0))
    await call.say(1.5)
    result = await call.result()
    assert result.ending is RecordEnding.SILENCE
    # From a little before the speech to a little after it.
    assert seconds(result) == pytest.approx(2.0 + 0.2 + 0.2, abs=0.1)
    assert result.audio is not None
    pcm = decode(result.audio.data).pcm
    assert active_level_dbfs(pcm) == pytest.approx(rms_dbfs(sine(1.0)), abs=0.3)


@pytest.mark.parametrize("media_type", ["audio/basic", "audio/x-alaw-basic", "audio/x-wav"])
async def test_the_file_is_of_the_type_asked_for(call: Call, media_type: str) -> None:
    await call.record(media_type=media_type)
    await call.say(sine(1.0))
    await call.say(1.5)
    result = await call.result()
    assert result.audio is not None
    assert result.audio.media_type == media_type
    assert seconds(result) == pytest.approx(1.2, abs=0.1)


async def test_pauses_shorter_than_the_final_silence_are_kept(call: Call) -> None:
    await call.record()
    for _ in range(2):
        await call.say(sine(0.5))
        await call.say(0.8)
    await call.say(0.5)
    assert seconds(await call.result()) == pytest.approx(0.5 + 0.8 + 0.5 + 0.2, abs=0.1)


async def test_a_key_ends_the_recording(call: Call) -> None:
    await call.record()
    await call.say(sine(1.0))
    await call.press("#")
    result = await call.result()
    assert result.ending is RecordEnding.INPUT
    assert result.recognition is not None
    assert (result.recognition.utterance, result.recognition.active) == ("#", None)
    assert seconds(result) == pytest.approx(1.0, abs=0.12)


async def test_a_key_as_an_event_packet_ends_the_recording(call: Call) -> None:
    await call.record()
    await call.say(sine(1.0))
    for index, event in enumerate(event_packets("5", duration_ms=100)):
        call.far.send(call.far.packet(event.payload, payload_type=101, marker=index == 0))
        call.media.run()
        await call.clock.settle()
    result = await call.result()
    assert result.recognition is not None
    assert result.recognition.utterance == "5"


async def test_without_dtmfterm_only_a_grammar_ends_it(call: Call) -> None:
    await call.record(dtmf_term=False, grammars=(DIGITS,))
    await call.say(sine(0.5))
    await call.press("*")
    await call.say(sine(0.5))
    await call.press("1")
    await call.press("2")
    result = await call.result()
    assert result.recognition is not None
    assert (result.recognition.utterance, result.recognition.active) == ("12", DIGITS)
    assert seconds(result) == pytest.approx(1.0, abs=0.12)


async def test_maxtime_ends_the_recording(call: Call) -> None:
    await call.record(max_time=1.5)
    await call.say(sine(3.0))
    result = await call.result()
    assert result.ending is RecordEnding.MAX_TIME
    assert seconds(result) == 1.5


async def test_nothing_said_is_a_noinput(call: Call) -> None:
    await call.record(properties=InputProperties(timeout=2.0))
    await call.say(2.2)
    result = await call.result()
    assert (result.ending, result.audio) == (RecordEnding.NOINPUT, None)


async def test_who_speaks_at_once_is_recorded_from_the_first_word(call: Call) -> None:
    await call.record(prompts=(prompt("Speak"),))
    await call.say(1.02)
    await call.say(sine(2.0))
    await call.say(1.5)
    assert seconds(await call.result()) == pytest.approx(2.0 + 0.2, abs=0.1)


async def test_noise_and_clicks_are_no_speech(call: Call) -> None:
    noise = (np.random.default_rng(1).standard_normal(16000) * 30).astype(np.int16)
    noise[8000:8080] = 12000
    await call.record(properties=InputProperties(timeout=1.5))
    await call.say(noise)
    assert (await call.result()).ending is RecordEnding.NOINPUT


async def test_a_hang_up_keeps_what_was_said(call: Call) -> None:
    await call.record()
    await call.say(sine(1.0))
    call.incoming.bye()
    await call.clock.settle()
    result = await call.result()
    assert result.ending is RecordEnding.HANGUP
    assert seconds(result) == pytest.approx(1.0, abs=0.12)
    assert (await call.platform.record(request())).ending is RecordEnding.HANGUP


async def test_the_prompt_and_the_tone_come_first_and_are_not_recorded(call: Call) -> None:
    await call.record(prompts=(prompt("Speak"),), beep=True)
    await call.say(1.0 + BEEP_SECONDS + 0.1)
    sent = call.heard()
    assert rms_dbfs(sent[: 8000 - 400]) < -70  # silence, as A-law has it
    assert np.abs(sent[8000:]).max() == pytest.approx(np.abs(beep().pcm).max(), rel=0.05)
    await call.say(sine(1.0))
    await call.say(1.2)
    assert seconds(await call.result()) == pytest.approx(1.4, abs=0.1)


async def test_a_key_over_the_prompt_ends_it_without_audio(call: Call) -> None:
    await call.record(prompts=(prompt("Speak"), prompt("now")), beep=True)
    await call.say(0.5)
    await call.press("7")
    result = await call.result()
    assert (result.ending, result.audio) == (RecordEnding.INPUT, None)


async def test_a_key_over_the_tone_ends_it_without_audio(call: Call) -> None:
    await call.record(beep=True)
    await call.say(0.1)
    await call.press("7")
    result = await call.result()
    assert (result.ending, result.audio) == (RecordEnding.INPUT, None)


async def test_a_prompt_without_barge_in_is_heard_to_its_end(call: Call) -> None:
    await call.record(prompts=(prompt("Speak", bargein=False),))
    await call.say(0.5)
    await call.press("7")
    await call.say(0.6)
    await call.say(sine(0.5))
    await call.say(1.2)
    result = await call.result()
    assert (result.ending, result.recognition) == (RecordEnding.SILENCE, None)


@pytest.mark.parametrize("moment", [0.5, 1.1])
async def test_a_hang_up_before_the_recording_leaves_nothing(call: Call, moment: float) -> None:
    await call.record(prompts=(prompt("Speak"),), beep=True)
    await call.say(moment)
    call.incoming.bye()
    await call.clock.settle()
    result = await call.result()
    assert (result.ending, result.audio) == (RecordEnding.HANGUP, None)


async def test_after_a_recording_nothing_listens_any_more(call: Call) -> None:
    await call.record()
    await call.say(sine(0.5))
    await call.press("#")
    await call.result()
    await call.say(0.1)
    assert call.leg.channel.state.tap is None


STOP = ActiveGrammar(phrase("stop recording", "en"), "voice", "record", None)


@pytest.fixture
async def listened(tmp_path: Path) -> AsyncIterator[Call]:
    call = Call(tmp_path, lambda clock: FakeRecogniser())
    yield call
    call.hang_up()


def said(ending: VoiceEnding = VoiceEnding.MATCH) -> VoiceResult:
    return VoiceResult(ending, (Understood("stop recording", 0.8, "stop", 0),), QUIET, 0.0, 1.0)


async def test_words_of_a_grammar_end_the_recording(listened: Call) -> None:
    await listened.record(grammars=(STOP,))
    await listened.say(sine(1.0))
    assert isinstance(listened.recogniser, FakeRecogniser)
    listening = listened.recogniser.current
    assert listening.attention is Attention.HOTWORD
    listening.tell(SpeechPassedOver(0.5))
    await listened.say(sine(0.5))
    listening.tell(said())
    await listened.clock.settle()
    result = await listened.result()
    assert result.ending is RecordEnding.INPUT
    assert result.recognition is not None
    assert (result.recognition.mode, result.recognition.active) == ("voice", STOP)
    assert seconds(result) == pytest.approx(1.5, abs=0.12)
    assert listening.is_closed
    await listened.say(0.1)
    assert listened.leg.channel.state.tap is None


async def test_words_over_the_prompt_end_it_without_audio(listened: Call) -> None:
    await listened.record(prompts=(prompt("Speak", bargein=False), prompt("now")), grammars=(STOP,))
    assert isinstance(listened.recogniser, FakeRecogniser)
    listening = listened.recogniser.current
    await listened.say(0.5)
    assert listening.attention is Attention.DEAF
    await listened.say(0.7)
    assert listening.attention is Attention.HOTWORD
    listening.tell(said())
    await listened.clock.settle()
    result = await listened.result()
    assert (result.ending, result.audio) == (RecordEnding.INPUT, None)


async def test_a_recording_does_without_a_recogniser_that_is_busy_or_fails(listened: Call) -> None:
    assert isinstance(listened.recogniser, FakeRecogniser)
    await listened.record(grammars=(STOP,))
    gone = VoiceXmlEvent("error.noresource", "the engine is gone")
    listened.recogniser.current.tell(VoiceFailed(gone))
    await listened.say(sine(0.5))
    await listened.say(1.2)
    assert (await listened.result()).ending is RecordEnding.SILENCE
    listened.recogniser.refusal = VoiceBusy()
    await listened.record(grammars=(STOP,))
    await listened.say(sine(0.5))
    await listened.say(1.2)
    assert (await listened.result()).ending is RecordEnding.SILENCE


def frames(level: int, count: int) -> Sequence[NDArray[np.int16]]:
    return [sine(0.02, level=level) for _ in range(count)]


async def message(spool: Spool, max_time: float, pcm: Sequence[NDArray[np.int16]]) -> Message:
    message = Message(max_time, spool.of_call("call").record("audio/basic"))
    for number, frame in enumerate(pcm):
        message.feed(frame)
        if number % 1000 == 0:
            # The disk keeps up with callers, who take their time.
            await asyncio.get_running_loop().run_in_executor(spool.writer, lambda: None)
    return message


async def test_a_message_takes_no_more_than_maxtime_of_memory(call: Call) -> None:
    full = await message(call.spool, 1.0, [*frames(0, 10), *frames(8000, 500)])
    assert full.is_full
    audio = await full.recorded()
    assert audio is not None
    assert len(audio.data) == 8000


async def test_a_steady_noise_does_not_keep_a_recording_open_for_ever(call: Call) -> None:
    noisy = await message(call.spool, 600.0, [*frames(0, 10), *frames(1000, 6000)])
    assert noisy.silent_for > 30
