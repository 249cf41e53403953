"""Phrase packs as Debian has them: asterisk-core-sounds-en-wav and -fr-wav."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from vxml_server.audio import loudness_lufs
from vxml_server.clock import SystemClock
from vxml_server.tts import SpeechRequest, Voices, speech_of
from vxml_server.tts.espeak import EspeakEngine
from vxml_server.tts.phrases import EDGE_GAP, RecordedPhrases
from vxml_server.tts.plan import Clip, Item, Plan, Text
from vxml_server.tts.ssml import parse

pytestmark = pytest.mark.integration

SOUNDS = Path("/usr/share/asterisk/sounds")


@pytest.fixture(scope="module")
def phrases() -> RecordedPhrases:
    return RecordedPhrases({"fr": SOUNDS / "fr", "en": SOUNDS / "en"})


def say(text: str, kind: str, form: str = "") -> str:
    return f'<say-as interpret-as="{kind}" format="{form}">{text}</say-as>'


def item(phrases: RecordedPhrases, content: str, lang: str) -> Item:
    plan = phrases.applied(parse(SpeechRequest(f"<speak>{content}</speak>", lang)))
    (only,) = plan.items
    return only


@pytest.mark.parametrize("lang", ["fr-FR", "en-US", "en-GB"])
def test_every_number_to_a_thousand_and_some_beyond_are_recorded(
    phrases: RecordedPhrases, lang: str
) -> None:
    for number in (*range(1001), 1234, 2026, 80_000, 99_999, 200_000, 999_999, 2_000_000):
        clip = item(phrases, say(str(number), "number"), lang)
        assert isinstance(clip, Clip), number
        seconds = len(clip.pcm) / 8000 - 2 * EDGE_GAP
        words = len(clip.text.replace("-", " ").split())
        assert 0.15 * words < seconds < 0.9 * words + 0.3, (clip.text, seconds)
        assert -23 < loudness_lufs(clip.pcm) < -18, clip.text


@pytest.mark.parametrize("lang", ["fr-FR", "en-US"])
def test_every_date_of_a_year_is_recorded(phrases: RecordedPhrases, lang: str) -> None:
    for days in range(366):
        day = date(2024, 1, 1) + timedelta(days)
        assert isinstance(item(phrases, say(day.isoformat(), "date"), lang), Clip), day


@pytest.mark.parametrize(
    ("lang", "text", "kind"),
    [
        ("fr-FR", "06 12 34 56 78", "telephone"),
        ("fr-FR", "AB-12Z", "characters"),
        ("fr-FR", "14:30", "time"),
        ("fr-FR", "-3,5", "number"),
        ("fr-FR", "2:05", "duration"),
        ("fr-FR", "12 USD", "currency"),
        ("en-US", "(415) 555-0134", "telephone"),
        ("en-US", "AB-12Z", "spell-out"),
        ("en-US", "14:05", "time"),
        ("en-US", "21", "ordinal"),
        ("en-US", "$12", "currency"),
        ("en-US", "20 %", "measure"),
    ],
)
def test_what_the_pack_has_the_words_for_is_recorded(
    phrases: RecordedPhrases, lang: str, text: str, kind: str
) -> None:
    form = "ms" if kind == "duration" else ""
    assert isinstance(item(phrases, say(text, kind, form), lang), Clip)


@pytest.mark.parametrize(
    ("lang", "text", "kind"),
    [
        ("fr-FR", "12,50 EUR", "currency"),  # there is no word for it
        ("fr-FR", "21:00", "time"),  # nor a feminine one
        ("en-US", "12:00", "time"),
        ("en-US", "3.5", "number"),
    ],
)
def test_a_phrase_with_a_word_that_was_not_recorded_is_synthesised(
    phrases: RecordedPhrases, lang: str, text: str, kind: str
) -> None:
    assert isinstance(item(phrases, say(text, kind), lang), Text)


async def test_a_prompt_is_spoken_by_an_engine_around_the_recorded_number(
    phrases: RecordedPhrases,
) -> None:
    voices = Voices([EspeakEngine()], SystemClock(), recorded=phrases.applied, recordings="x")
    document = f"<speak>Vous avez {say('42', 'number')} points.</speak>"
    speech = await speech_of(voices.stream(SpeechRequest(document, "fr-FR")))
    clip = item(phrases, say("42", "number"), "fr-FR")
    assert isinstance(clip, Clip)
    places = _places(speech.pcm, clip.pcm)
    assert len(places) == 1
    before, after = places[0] / 8000, speech.duration - (places[0] + len(clip.pcm)) / 8000
    assert 0.3 < before < 1.2
    assert 0.2 < after < 1.2


def _places(whole: npt.NDArray[np.int16], part: npt.NDArray[np.int16]) -> list[int]:
    first = np.flatnonzero(part)[0]
    probe = part[first : first + 400]
    windows = np.lib.stride_tricks.sliding_window_view(whole, len(probe))
    found = np.flatnonzero((windows == probe).all(axis=1)) - first
    return [int(at) for at in found if np.array_equal(whole[at : at + len(part)], part)]


def test_a_plan_without_anything_to_say_as_is_what_it_was(phrases: RecordedPhrases) -> None:
    plan = parse(SpeechRequest("<speak>quarante-deux</speak>", "fr-FR"))
    assert phrases.applied(plan) == plan
    assert phrases.applied(Plan(())) == Plan(())
