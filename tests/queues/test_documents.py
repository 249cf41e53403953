"""The shipped documents, in the interpreter: what waiting callers hear and what they may press."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from scripts.make_hold_music import PEAK, RATE, music
from vxml_server.app.contact_centre import DOCUMENTS, LANGUAGES, treatments
from vxml_server.clock import SystemClock
from vxml_server.fetch import Fetcher
from vxml_server.interpreter import Json
from vxml_server.interpreter.dialogue import DialogueResult, run_dialogue
from vxml_server.interpreter.script import parse_cases
from vxml_server.settings import FetchSettings

QUEUE: dict[str, Json] = {
    "name": "sales",
    "position": 3,
    "waiting": 5,
    "estimated_wait": 290.0,
    "agents": 2,
    "elapsed": 12.0,
    "round": 0,
    "hold_music": "",
    "choices": {},
}


class Listener:
    """Somebody who hears a document with a queue that stands as the test says."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def hear(
        self, lang: str, keys: str = "", document: str = "waiting", **queue: Json
    ) -> DialogueResult:
        steps = "".join(f'    - dtmf: "{key}"\n' for key in keys.split())
        case = f"- name: it\n  document: none\n  steps:\n{steps or '    - expect: .'}"
        (found,) = parse_cases(case.encode(), "test")
        return await run_dialogue(
            getattr(treatments(lang), document),
            found.script,
            self._fetcher.session(),
            variables={"queue": QUEUE | queue},
        )


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    fetcher = Fetcher(FetchSettings(files=(DOCUMENTS,)), SystemClock())
    yield Listener(fetcher)
    await fetcher.close()


def said(result: DialogueResult) -> str:
    return " ".join(str(one["text"]) for one in result.records if one["event"] == "prompt")


def played(result: DialogueResult) -> list[str]:
    audio = [one.get("audio") for one in result.records if one["event"] == "prompt"]
    return [str(uri) for files in audio if isinstance(files, list) for uri in files]


@pytest.mark.parametrize(
    ("lang", "expected"),
    [
        (
            "en-GB",
            "Thank you for calling. All our agents are busy at the moment. Please hold the line. "
            "You are number 3 in line. The wait is likely to be about 5 minutes.",
        ),
        (
            "fr",
            "Merci de votre appel. Tous nos conseillers sont en ligne. Veuillez patienter. "
            "Vous êtes en position 3. L'attente est probablement d'environ 5 minutes.",
        ),
    ],
)
async def test_a_caller_is_welcomed_and_told_how_he_stands(
    listener: Listener, lang: str, expected: str
) -> None:
    result = await listener.hear(lang)
    assert expected in said(result).replace("  ", " ")
    assert result.outcome.reason == "exit"
    assert result.outcome.value is None


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
async def test_the_first_in_line_is_told_so_and_nobody_is_welcomed_twice(
    listener: Listener, lang: str
) -> None:
    result = await listener.hear(lang, position=1, round=4, estimated_wait=None)
    assert said(result).strip() in {"You are next in line.", "Vous êtes le prochain appel."}


@pytest.mark.parametrize(
    ("seconds", "en", "fr"),
    [
        (0.0, "less than a minute", "inférieure à une minute"),
        (29.0, "less than a minute", "inférieure à une minute"),
        (60.0, "about a minute", "d'environ une minute"),
        (130.0, "about 2 minutes", "d'environ 2 minutes"),
        (620.0, "about 10 minutes", "d'environ 10 minutes"),
        (800.0, "about 15 minutes", "d'environ 15 minutes"),
        (4000.0, "more than an hour", "supérieure à une heure"),
    ],
)
async def test_the_expected_wait_is_said_in_words(
    listener: Listener, seconds: float, en: str, fr: str
) -> None:
    assert en in said(await listener.hear("en", estimated_wait=seconds))
    assert fr in said(await listener.hear("fr", estimated_wait=seconds))


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
async def test_a_key_takes_the_caller_out_and_others_do_not(listener: Listener, lang: str) -> None:
    result = await listener.hear(lang, "5 9", choices={"9": "leave", "2": "message"})
    assert result.outcome.value == {"outcome": "leave"}
    spoken = said(result)
    assert "9" in spoken and "2" in spoken


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
async def test_who_wants_to_be_called_back_says_where_and_that_it_is_right(
    listener: Listener, lang: str
) -> None:
    keys = "1 0123456788# 2 0123456789# 1"
    result = await listener.hear(lang, keys, choices={"1": "callback"})
    assert result.outcome.value == {"outcome": "callback", "number": "0123456789"}


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
async def test_who_says_no_number_waits_on(listener: Listener, lang: str) -> None:
    result = await listener.hear(lang, "1", choices={"1": "callback"})
    assert (result.outcome.reason, result.outcome.value) == ("exit", None)


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
async def test_an_announcement_is_words_or_a_sound(listener: Listener, lang: str) -> None:
    spoken = await listener.hear(lang, document="announcement", announcement="Désolés & merci.")
    assert said(spoken) == "Désolés & merci."


def test_the_music_is_what_the_script_makes_and_has_no_seam() -> None:
    made = music()
    stored = (DOCUMENTS / "hold.wav").read_bytes()
    assert stored.endswith(made.astype("<i2").tobytes())
    assert Path(DOCUMENTS / "hold.wav").stat().st_size < 500_000
    assert len(made) == 24 * RATE
    assert np.abs(made).max() == round(PEAK * 32767)
    steps = np.abs(np.diff(made.astype(int)))
    assert abs(int(made[0]) - int(made[-1])) <= steps.max()
