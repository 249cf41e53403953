"""A telephone leaves a message: what was said arrives as a file, and is heard again."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial

import numpy as np
import pytest

from tests.integration import audio
from tests.integration.caller import Caller, FinishedCall, together
from vxml_server.audio import decode

Calls = dict[str, Future[FinishedCall]]

HERTZ = 440.0
DBFS = -20.0
TALK = 3.0
# "Speak", and the tone.
BEFORE = 2.5
# When, in the talk, one of the callers hangs up.
LEAVES = 2.0


@pytest.fixture(scope="module")
def calls(caller: Caller) -> Calls:
    talk = audio.sines((HERTZ,), TALK, DBFS)
    call = partial(caller.call, number="record", seconds=60)
    return together(
        {
            "silence": partial(call, "r-silence", script=(BEFORE, talk, 12.0)),
            "key": partial(call, "r-key", script=(BEFORE, talk, "#", 10.0)),
            "hang-up": partial(
                call,
                "r-leaves",
                script=(BEFORE, talk, 12.0),
                scenario="caller-hangs-up",
                arguments=("-d", str(round(1000 * (BEFORE + LEAVES)))),
            ),
            "pcma": partial(call, "r-pcma", script=(BEFORE, talk, 12.0), payloads="8 101"),
        }
    )


def message(caller: Caller, call: FinishedCall) -> np.ndarray:
    """The samples of the file that the document sent."""
    [file] = caller.documents.files(call.name)
    assert file[:4] == b"RIFF"
    return decode(file).pcm


@pytest.mark.parametrize("ended", ["silence", "key", "pcma"])
def test_what_was_said_is_sent_to_the_application(calls: Calls, caller: Caller, ended: str) -> None:
    call = calls[ended].result()
    call.sip.assert_success()
    samples = message(caller, call)
    seconds = len(samples) / audio.RATE
    # A little before the speech, and after it until the end was noticed.
    assert TALK - 0.1 <= seconds <= TALK + 0.6, seconds
    spoken = samples[4000 : 4000 + 8000]
    assert audio.dbfs(spoken) == pytest.approx(DBFS, abs=0.5)
    assert audio.dominant_frequency(spoken) == pytest.approx(HERTZ, abs=3)
    [told] = call.told
    assert int(told["duration"]) == pytest.approx(1000 * seconds, abs=1)
    assert told["termchar"] == ("#" if ended == "key" else "undefined")


@pytest.mark.parametrize("ended", ["silence", "key", "pcma"])
def test_the_caller_hears_the_tone_and_then_the_message(calls: Calls, ended: str) -> None:
    call = calls[ended].result()
    heard = np.concatenate([audio.decode(p.payload, p.payload_type) for p in call.received])
    blocks = heard[: len(heard) // 800 * 800].reshape(-1, 800)
    tones = [
        round(audio.dominant_frequency(block), -1) for block in blocks if audio.dbfs(block) > -30
    ]
    assert tones.count(1000.0) >= 2
    assert tones.count(HERTZ) >= 10 * TALK * 0.9
    assert tones.index(1000.0) < tones.index(HERTZ)


def test_a_caller_who_hangs_up_leaves_what_was_said(calls: Calls, caller: Caller) -> None:
    call = calls["hang-up"].result()
    call.sip.assert_success()
    call.assert_one_record("hangup", "caller")
    samples = message(caller, call)
    assert LEAVES - 0.4 <= len(samples) / audio.RATE <= LEAVES + 0.6
    assert audio.dominant_frequency(samples[4000:8000]) == pytest.approx(HERTZ, abs=3)
    assert [told["event"] for told in call.told] == ["connection.disconnect.hangup"]
