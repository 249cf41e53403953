"""A telephone leaves a message: what was said arrives as a file, and is heard again."""

from __future__ import annotations

import signal
import time
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration import audio
from tests.integration.caller import Caller, FinishedCall, together
from tests.integration.caller_audio import as_events
from tests.integration.documents import DocumentServer
from tests.integration.server import VxmlServer
from tests.integration.voices import voice
from tests.integration.waiting import until
from tests.integration.wire import Wire
from tests.integration.witness import Witness
from vxml_server.audio import decode

Calls = dict[str, Future[FinishedCall]]

HERTZ = 440.0
DBFS = -20.0
TALK = 3.0
# How long the message of a real voice is.
LONG = 10.0
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
            "voice": partial(call, "r-voice", script=(BEFORE, spoken(), 15.0)),
        }
    )


def spoken() -> audio.Samples:
    """A message by a real voice, from its first sound to its last, with a talker's pauses."""
    pause = audio.silence(0.9)
    parts = [voice("en/vm-intro"), pause, voice("en/dir-welcome"), pause]
    talk = np.concatenate([*parts, voice("en/vm-intro")])
    loud = np.flatnonzero(np.abs(talk.astype(int)) > 500)
    return talk[loud[0] :][: round(LONG * audio.RATE)]


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


def test_of_a_real_voice_nothing_is_missing_but_the_silence_after_it(
    calls: Calls, caller: Caller
) -> None:
    call = calls["voice"].result()
    call.sip.assert_success()
    samples = message(caller, call)
    assert LONG - 0.1 <= len(samples) / audio.RATE <= LONG + 0.6
    # Each half second of it is there, and is the same but for the noise of mu-law. A machine that
    # runs nobody for a while costs the one in which it did.
    said, size = spoken().astype(np.float64), audio.RATE // 2
    blocks = [said[start : start + size] for start in range(0, len(said) - size + 1, size)]
    places = range(0, len(blocks) * size, size)
    missing = [
        place / audio.RATE
        for block, place in zip(blocks, places, strict=True)
        if not holds(samples[max(0, place - 800) :][: size + 4800].astype(np.float64), block)
    ]
    assert len(missing) <= 2, missing


def holds(recorded: NDArray[np.float64], block: NDArray[np.float64]) -> bool:
    """Whether a block is somewhere in what was recorded."""
    squares = np.convolve(recorded**2, np.ones(len(block)), "valid")
    differences = squares - 2 * np.correlate(recorded, block) + np.sum(block**2)
    return bool(differences.min() <= 10**-2.5 * np.sum(block**2) + 10 * len(block))


def test_a_crash_while_somebody_speaks_loses_less_than_a_second(
    documents: DocumentServer, wire: Wire, witness: Witness, tmp_path: Path
) -> None:
    for name in ("server", "calls"):
        (tmp_path / name).mkdir()
    server = VxmlServer(tmp_path / "server", {"record": documents.uri("record.vxml")})
    server.origins = (documents.origin,)
    spool = tmp_path / "server" / "var" / "spool"
    try:
        server.start()
        caller = Caller(server, documents, wire, witness, tmp_path / "calls")
        call = caller.dial("r-crash", "record", as_events((BEFORE, spoken(), 15.0)))
        until(lambda: wire.sent(call.media_port), 10, "the caller sends")
        talking = wire.sent(call.media_port)[0].at + BEFORE
        until(lambda: time.time() > talking + 6.0, 20, "the caller has talked for six seconds")
        server.signal(signal.SIGKILL)
        said = time.time() - talking
        server.wait(10)
        caller.close()
        [left] = spool.glob("main-*/*.wav")
        samples = audio_of(left)
        assert said - 1.0 < len(samples) / audio.RATE < said + 0.5
        assert audio.dbfs(samples) > -30

        again = VxmlServer(tmp_path / "server", server.numbers, server.origins)
        try:
            again.start()
            [kept] = (spool / "recovered").glob("*.wav")
            assert np.array_equal(audio_of(kept), samples)
            assert kept.name in again.log
            assert list(spool.glob("main-*/*")) == []
            again.stop()
        finally:
            again.close()
        assert kept.exists()
    finally:
        server.close()


def audio_of(path: Path) -> audio.Samples:
    """What a player makes of a file; it believes the sizes in the header."""
    data = path.read_bytes()
    assert data[:4] == b"RIFF"
    assert data[8:16] == b"WAVEfmt "
    place = data.index(b"data") + 8
    size = int.from_bytes(data[place - 4 : place], "little")
    assert 0 < size <= len(data) - place
    return audio.decode(data[place : place + size], audio.PCMU)
