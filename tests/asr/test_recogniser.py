"""Which engine listens to which language, and from when on."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.asr.scripted import ScriptedEngine, VirtualWorkers, Wait
from vxml_server.asr import (
    Engines,
    Recogniser,
    RecognitionPool,
    VoiceBusy,
    VoiceRequest,
    engines,
    recogniser,
    recogniser_of,
)
from vxml_server.audio import SpeechActivity
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import phrase
from vxml_server.settings import AsrSettings

LEFT, GAUCHE, TAG = phrase("left", "en"), phrase("gauche", "fr"), phrase("links", "de")


def at_once(callback: Callable[[], None]) -> None:
    callback()


def made_of(clock: VirtualClock, **made: ScriptedEngine) -> Recogniser:
    pool = RecognitionPool(
        recognitions=2,
        waiting=2,
        deadline=5.0,
        clock=clock,
        workers=VirtualWorkers(clock),
        post=at_once,
    )
    return Recogniser(Engines(made), pool, clock=clock, post=at_once)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def test_the_language_of_the_document_is_listened_to(clock: VirtualClock) -> None:
    english, french = ScriptedEngine("en"), ScriptedEngine("fr")
    ears = made_of(clock, english=english, french=french)
    wait = Wait(ears, clock, VoiceRequest((GAUCHE, LEFT), "en-US"))
    assert wait.listening.unheard == (0,)
    wait.speak(0.5)
    wait.pause(2.0)
    assert [list(utterance.grammars) for utterance in english.utterances] == [[LEFT]]
    assert french.utterances == []


def test_if_no_grammar_is_in_it_the_nearest_that_an_engine_speaks(clock: VirtualClock) -> None:
    ears = made_of(clock, both=ScriptedEngine("en", "fr"))
    wait = Wait(ears, clock, VoiceRequest((TAG, GAUCHE, LEFT), "ko"))
    assert wait.listening.unheard == (0, 2)


def test_a_grammar_without_language_is_in_that_of_the_document(clock: VirtualClock) -> None:
    ears = made_of(clock, french=ScriptedEngine("fr"))
    assert Wait(ears, clock, VoiceRequest((phrase("oui"),), "fr-CA")).listening.unheard == ()


def test_languages_that_nobody_speaks_are_unsupported(clock: VirtualClock) -> None:
    ears = made_of(clock, english=ScriptedEngine("en"))
    with pytest.raises(VoiceXmlEvent, match=r"error\.unsupported\.language.*fr, de"):
        Wait(ears, clock, VoiceRequest((GAUCHE, TAG), "fr"))
    with pytest.raises(VoiceXmlEvent, match=r"error\.unsupported\.language.*ko"):
        Wait(ears, clock, VoiceRequest((), "ko"))


def test_sensitivity_is_that_of_the_wait_and_noise_that_of_the_line(clock: VirtualClock) -> None:
    ears, activity = made_of(clock, engine=ScriptedEngine()), SpeechActivity(0.2)
    Wait(ears, clock, VoiceRequest((LEFT,), "en", sensitivity=0.9), activity=activity)
    assert activity.sensitivity == 0.9


def test_an_engine_is_busy_until_it_has_loaded(clock: VirtualClock) -> None:
    go_on, loaded = threading.Event(), threading.Event()

    class Slow(ScriptedEngine):
        def load(self) -> None:
            go_on.wait(10)

    class Last(ScriptedEngine):
        def load(self) -> None:
            loaded.set()

    ears = made_of(clock, slow=Slow("en"), last=Last("fr"))
    ears.load()
    assert ears.ready == ()
    with pytest.raises(VoiceBusy):
        Wait(ears, clock, VoiceRequest((LEFT,), "en"))
    go_on.set()
    assert loaded.wait(10)
    Wait(ears, clock, VoiceRequest((LEFT,), "en"))


def test_an_engine_without_its_model_stays_busy_and_the_others_do_not(clock: VirtualClock) -> None:
    loaded = threading.Event()

    class Broken(ScriptedEngine):
        def load(self) -> None:
            raise VoiceXmlEvent("error.noresource", "the model is not there")

    class Last(ScriptedEngine):
        def load(self) -> None:
            loaded.set()

    ears = made_of(clock, broken=Broken("en"), last=Last("fr"))
    ears.load()
    assert loaded.wait(10)
    with pytest.raises(VoiceBusy):
        Wait(ears, clock, VoiceRequest((LEFT,), "en"))


def test_closing_gives_the_engines_back(clock: VirtualClock) -> None:
    engine = ScriptedEngine()
    made_of(clock, engine=engine).close()
    assert engine.is_closed


def test_settings_without_engines_hear_no_voice(clock: VirtualClock) -> None:
    assert recogniser_of(AsrSettings(engines=()), clock, at_once) is None


def test_settings_make_engines_with_their_models(
    monkeypatch: pytest.MonkeyPatch, clock: VirtualClock
) -> None:
    asked: list[tuple[str, dict[str, str], int]] = []

    def build(name: str, settings: engines.EngineSettings) -> ScriptedEngine:
        asked.append((name, dict(settings.models), settings.processes))
        return ScriptedEngine("en", "fr", identity=name)

    monkeypatch.setattr(recogniser, "build", build)
    settings = AsrSettings(
        engines=("whisper", "vosk"),
        models={"vosk": {"fr": "/models/fr"}},
        languages={"fr": ("vosk",)},
        processes=3,
    )
    made = recogniser_of(settings, clock, at_once)
    assert made is not None
    assert asked == [("whisper", {}, 3), ("vosk", {"fr": "/models/fr"}, 3)]
    assert made.ready == ("whisper", "vosk")
    assert made.pool.places == settings.recognitions
