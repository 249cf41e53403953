"""What passes over the pipes of a child process; the processes are in the integration tests."""

from __future__ import annotations

import asyncio
import errno
import io
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tts.engines import ToneEngine
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import Pyttsx3Settings, TtsSettings
from vxml_server.tts import Abilities, Offer, Utterance, child_main, engines, wire
from vxml_server.tts.child import ChildEngine
from vxml_server.tts.child_main import serve
from vxml_server.tts.engines import build, voices
from vxml_server.tts.plan import MarkPoint, Phonemes, Style, Text
from vxml_server.tts.pyttsx3 import Pyttsx3Engine, is_whole

STYLE = Style("fr-FR", ("f3",), rate=1.5, gain_db=-3.0)
UTTERANCE = Utterance(
    (Text("un é <b>", STYLE), MarkPoint("m"), Text("x", STYLE, Phonemes("ɛ̃"), "date")), STYLE
)


@pytest.mark.parametrize(
    "frame",
    [
        wire.Frame(start=wire.Start("espeak", TtsSettings())),
        wire.Frame(find=wire.FindVoice("fr", ("a", "b"), "male")),
        wire.Frame(speak=wire.Speak(UTTERANCE, "roa/fr")),
        wire.Frame(phonemize=wire.Phonemize("fr", ("é", ""), (("a", "i"),))),
        wire.Frame(phonemized=wire.Phonemized(((("e", "ˈ"), ()), ()))),
        wire.Frame(started=wire.Started("x 1", Abilities(rate=True, mixes=True))),
        wire.Frame(found=wire.Found(Offer("v", 1, False, -2.5))),
        wire.Frame(found=wire.Found(None)),
        wire.Frame(said=wire.Said(22050, (None, 5))),
        wire.Frame(failed=wire.Failed("error.noresource", "é")),
    ],
    ids=lambda frame: next(n for n in frame.__slots__ if getattr(frame, n) is not None),
)
def test_a_message_comes_out_as_it_went_in(frame: wire.Frame) -> None:
    data = wire.encode(frame, b"1234")
    header, payload = wire.lengths(data[: wire.LENGTHS.size])
    assert payload == 4
    assert data[-4:] == b"1234"
    assert wire.decode(data[wire.LENGTHS.size : wire.LENGTHS.size + header]) == frame


@given(st.binary(max_size=60))
def test_what_is_no_message_is_an_event(data: bytes) -> None:
    for read in (lambda: wire.decode(data), lambda: wire.lengths((data + b"\0" * 8)[:8])):
        try:
            read()
        except VoiceXmlEvent as event:
            assert event.name == "error.noresource"


def answers_to(*requests: wire.Frame) -> list[tuple[wire.Frame, bytes]]:
    """What a child answers, run here."""
    output = io.BytesIO()
    with asyncio.Runner() as runner:
        serve(io.BytesIO(b"".join(map(wire.encode, requests))), output, runner)
    data, answers = output.getvalue(), []
    while data:
        header, size = wire.lengths(data[:8])
        answers.append((wire.decode(data[8 : 8 + header]), data[8 + header : 8 + header + size]))
        data = data[8 + header + size :]
    return answers


def test_a_child_starts_finds_a_voice_and_speaks() -> None:
    (started, _), (found, _), (said, payload) = answers_to(
        wire.Frame(start=wire.Start("espeak", TtsSettings())),
        wire.Frame(find=wire.FindVoice("fr-CA", (), "female")),
        wire.Frame(speak=wire.Speak(UTTERANCE, "roa/fr+f2")),
    )
    assert started.started is not None
    assert started.started.abilities.mixes
    assert found.found is not None
    assert found.found.offer is not None
    assert found.found.offer.voice == "roa/fr+f2"
    assert said.said is not None
    assert len(said.said.marks) == 1
    assert np.abs(np.frombuffer(payload, np.int16)).max() > 1000


def test_a_child_answers_failures_with_their_events() -> None:
    (unknown, _), (early, _) = answers_to(
        wire.Frame(start=wire.Start("hal", TtsSettings())),
        wire.Frame(find=wire.FindVoice("fr", (), "")),
    )
    assert unknown.failed is not None
    assert "no speech engine 'hal'" in unknown.failed.message
    assert early.failed is not None


def test_what_is_too_long_for_a_frame_is_refused_before_it_is_written() -> None:
    long = replace(UTTERANCE, items=(Text("a" * 2**20, STYLE),))
    for frame, payload in (
        (wire.Frame(speak=wire.Speak(long, "roa/fr")), b""),
        (wire.Frame(), bytes(2**26 + 1)),
    ):
        with pytest.raises(VoiceXmlEvent, match="too long") as caught:
            wire.encode(frame, payload)
        assert caught.value.name == "error.noresource"


def test_an_answer_that_is_too_long_or_none_costs_its_request_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = ToneEngine()
    engine.marks = (None,) * 2**18
    monkeypatch.setattr(child_main, "build", lambda name, settings: engine)
    start = wire.Frame(start=wire.Start("tone", TtsSettings()))
    speak = wire.Frame(speak=wire.Speak(UTTERANCE, "tone-fr"))
    _, (long, _) = answers_to(start, speak)
    assert long.failed is not None
    assert "too long" in long.failed.message
    engine.marks = ()
    engine.trouble = RuntimeError("b" * 2**21)
    _, (raised, _), (found, _) = answers_to(
        start, speak, wire.Frame(find=wire.FindVoice("fr", (), ""))
    )
    assert raised.failed is not None
    assert raised.failed.message.startswith("RuntimeError: bbb")
    assert found.found is not None


def test_secrets_of_services_do_not_go_to_a_child() -> None:
    service = {
        "url": "http://h/?k=s3cret",
        "headers": {"A": "s3cret"},
        "voices": [{"name": "v", "lang": "fr"}],
    }
    settings = TtsSettings.model_validate({"services": {"acme": service}})
    engine = ChildEngine("espeak", settings, VirtualClock())
    frame = wire.Frame(start=wire.Start("espeak", engine.settings))
    assert b"s3cret" not in wire.encode(frame)


async def test_where_no_process_can_be_started_there_is_no_resource(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = 0

    async def none(*command: str, **options: object) -> None:
        nonlocal started
        started += 1
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", none)
    clock = VirtualClock()
    engine = ChildEngine("espeak", TtsSettings(), clock)
    for rest in (0.5, 1.0):
        with pytest.raises(VoiceXmlEvent, match="Too many open files") as caught:
            await engine.start()
        assert caught.value.name == "error.noresource"
        with pytest.raises(VoiceXmlEvent, match="left alone"):
            await engine.speak(UTTERANCE, "roa/fr")
        clock.advance(rest)
    assert started == 2


def test_engines_are_isolated_as_the_settings_say_and_pyttsx3_always() -> None:
    settings = TtsSettings(engines=("espeak", "pyttsx3"), isolated=())
    assert [type(engine).__name__ for engine in voices(settings, VirtualClock()).engines] == [
        "EspeakEngine",
        "ChildEngine",
    ]
    assert isinstance(voices(TtsSettings(), VirtualClock()).engines[0], ChildEngine)


def test_an_engine_is_built_by_its_name() -> None:
    assert build("espeak", TtsSettings()).identity.startswith("espeak-ng 1.")
    with pytest.raises(VoiceXmlEvent, match="no speech engine 'hal', only espeak, piper, pyttsx3"):
        build("hal", TtsSettings())


def test_others_bring_engines_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    def parrot(options: Mapping[str, object]) -> ToneEngine:
        return ToneEngine(str(options["name"]))

    def broken(options: Mapping[str, object]) -> ToneEngine:
        raise RuntimeError("no beak")

    points = [
        SimpleNamespace(name="parrot", load=lambda: parrot),
        SimpleNamespace(name="broken", load=lambda: broken),
    ]
    asked = []

    def entry_points(group: str) -> list[SimpleNamespace]:
        asked.append(group)
        return points

    monkeypatch.setattr(engines, "entry_points", entry_points)
    settings = TtsSettings(plugins={"parrot": {"name": "polly"}})
    assert build("parrot", settings).name == "polly"
    assert asked == ["vxml_server.tts"]
    with pytest.raises(VoiceXmlEvent, match="'broken': RuntimeError: no beak"):
        build("broken", settings)


async def test_pyttsx3_that_is_not_started_says_so() -> None:
    engine = Pyttsx3Engine(Pyttsx3Settings(), VirtualClock())
    with pytest.raises(VoiceXmlEvent, match="not started"):
        await engine.speak(UTTERANCE, "x")


async def test_pyttsx3_without_voices_of_the_system_is_refused() -> None:
    engine = Pyttsx3Engine(Pyttsx3Settings(driver="sapi5"), VirtualClock())
    with pytest.raises(VoiceXmlEvent, match="no voices that pyttsx3 can use"):
        await engine.start()


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"", False),
        (b"RIFF\x04\x00\x00\x00WAVE", True),
        (b"RIFF\x05\x00\x00\x00WAVE", False),
        (b"FORM\x00\x00\x00\x05AIFF", False),
        (b"FORM\x00\x00\x00\x04AIFF", True),
        (b"something else", True),
    ],
)
def test_a_file_is_whole_when_it_is_as_long_as_it_says(data: bytes, whole: bool) -> None:
    assert is_whole(data) is whole
