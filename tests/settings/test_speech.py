"""[tts]: which engines, and what they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from vxml_server.settings import PiperVoice, SettingsError, TtsSettings, load

SERVICE = """
[tts]
engines = ["acme", "piper"]
[tts.piper]
voices = ["/v/a.onnx", {file = "package:x", gender = "female"}]
[tts.services.acme]
url = "https://h.example/{text}?l={lang}"
headers = {Authorization = "Bearer s3cret"}
voices = [{name = "Denise", lang = "fr-FR"}]
"""


def tts(text: str, tmp_path: Path, environ: dict[str, str] | None = None) -> TtsSettings:
    file = tmp_path / "server.toml"
    file.write_text(text, "utf-8")
    return load(file, environ or {}).tts


def test_espeak_speaks_in_a_process_of_its_own_when_nothing_is_said(tmp_path: Path) -> None:
    settings = tts("", tmp_path)
    assert (settings.engines, settings.isolated) == (("espeak",), ("espeak",))


def test_engines_and_what_they_need_are_read(tmp_path: Path) -> None:
    settings = tts(SERVICE, tmp_path)
    assert settings.engines == ("acme", "piper")
    assert settings.piper.voices == (
        PiperVoice(file="/v/a.onnx"),
        PiperVoice(file="package:x", gender="female"),
    )
    assert settings.services["acme"].voices[0].lang == "fr-FR"
    assert "s3cret" not in repr(settings)


def test_the_environment_orders_engines_and_names_voices(tmp_path: Path) -> None:
    environ = {
        "VXML_SERVER_TTS__ENGINES": "piper,espeak",
        "VXML_SERVER_TTS__PIPER__voices": "/v/a.onnx",
    }
    settings = tts("", tmp_path, environ)
    assert settings.engines == ("piper", "espeak")
    assert settings.piper.voices[0].file == "/v/a.onnx"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"https://h.example/{text}?l={lang}"', '"https://{voice}/"', "its host written out"),
        ("l={lang}", "l={lng}", r"only, got \{lng\}"),
        ('"acme", "piper"', '"acme", "acme"', "expected each engine once"),
        ("services.acme", "services.piper", "another name for a service than 'piper'"),
        ('["acme", "piper"]', '["acme"]\nisolated = ["acme"]', "no services, got 'acme'"),
        ('[{name = "Denise", lang = "fr-FR"}]', "[]", "at least 1 of them"),
        ('lang = "fr-FR"', 'language = "fr-FR"', "unknown key"),
    ],
)
def test_what_cannot_be_meant_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in SERVICE
    with pytest.raises(SettingsError, match=message):
        tts(SERVICE.replace(old, new), tmp_path)
