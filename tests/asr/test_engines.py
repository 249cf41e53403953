"""Engines by name, by language, and what an operator is told who asks for one that is not there."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from tests.asr.scripted import ScriptedEngine
from vxml_server.asr import ENGINES, Engines, EngineSettings, build, engines
from vxml_server.events import VoiceXmlEvent


def plug_in(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """An installed package with an engine "mine"."""
    module = ModuleType("somebody_s_engine")
    module.__dict__.update(build=lambda settings: ScriptedEngine(*settings.models), number=7)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    point = EntryPoint("mine", value, engines.GROUP)

    def entry_points(group: str, name: str = "mine") -> list[EntryPoint]:
        return [point] if (group, name) == (engines.GROUP, "mine") else []

    monkeypatch.setattr(engines, "entry_points", entry_points)


def test_a_plug_in_is_found_by_its_name_and_given_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plug_in(monkeypatch, "somebody_s_engine:build")
    engine = build("mine", EngineSettings({"fr": "/models/fr"}))
    assert engine.speaks("fr-CA")
    assert not engine.speaks("en")


def test_an_unknown_engine_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, "somebody_s_engine:build")
    with pytest.raises(
        VoiceXmlEvent, match="no recogniser 'nuance', only mine, pocketsphinx, vosk"
    ):
        build("nuance", EngineSettings())


def test_an_engine_whose_library_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, "no_such_package:build")
    with pytest.raises(VoiceXmlEvent, match="'mine' is not installed"):
        build("mine", EngineSettings())


def test_what_is_no_builder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, "somebody_s_engine:number")
    with pytest.raises(VoiceXmlEvent, match="'mine' is no function but 7"):
        build("mine", EngineSettings())


def test_the_engines_of_the_house_are_named() -> None:
    assert list(ENGINES) == ["pocketsphinx", "vosk", "whisper"]


def test_the_first_engine_that_speaks_a_language_is_taken() -> None:
    english, both = ScriptedEngine("en"), ScriptedEngine("en", "fr")
    made = Engines({"english": english, "both": both})
    assert made.of("en-US") == ("english", english)
    assert made.of("fr") == ("both", both)
    assert made.of("ko") is None
    assert made.all() == (("english", english), ("both", both))


def test_a_language_may_prefer_another_engine() -> None:
    first, second = ScriptedEngine("en", "fr"), ScriptedEngine("en", "fr")
    made = Engines({"first": first, "second": second}, {"fr": ["second"], "en-GB": ["second"]})
    assert made.of("en-US") == ("first", first)
    assert made.of("en-gb") == ("second", second)
    assert made.of("fr-CA") == ("second", second)


def test_an_engine_that_is_not_ready_is_taken_if_there_is_no_other() -> None:
    first, second = ScriptedEngine("en", "fr"), ScriptedEngine("en")
    made = Engines({"first": first, "second": second})
    assert made.of("en", {"first"}) == ("second", second)
    assert made.of("fr", {"first"}) == ("first", first)


def test_an_engine_that_is_preferred_has_to_be_used() -> None:
    with pytest.raises(VoiceXmlEvent, match="'whisper' is preferred for fr but not used"):
        Engines({"first": ScriptedEngine()}, {"fr": ["whisper"]})
