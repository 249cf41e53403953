"""Two telephones that are put through and recorded: what each said, and what is left of a crash."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.integration import audio
from tests.integration.caller import Caller, FinishedCall
from tests.integration.caller_audio import as_events
from tests.integration.documents import DocumentServer
from tests.integration.server import COMMAND, Json, VxmlServer
from tests.integration.waiting import until
from tests.integration.wire import RtpPacket, Wire
from tests.integration.witness import Witness

FRAME = 160
ALIGNED = 0.040
"""Seconds that the parties may be apart in a recording."""
KEY = 'id = "one"\nkey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="'
SEALED = f"[[recording.keys]]\n{KEY}\n"
SETTINGS = '[recording]\nmask_keys = false\n\n[[recording.rules]]\nname = "all"\n\n{more}\n'


def talk(seconds: float, seed: int) -> audio.Samples:
    """Noise, of which every piece is unlike every other, as G.711 carries it."""
    noise = np.random.default_rng(seed).normal(0, 2500, round(seconds * audio.RATE))
    return audio.decode(audio.encode(noise.astype(np.int16), audio.PCMU), audio.PCMU)


@dataclass(frozen=True, slots=True)
class Site:
    """A server that records everything, and callers."""

    server: VxmlServer
    caller: Caller
    folder: Path

    def recordings(self) -> list[Json]:
        status, text = self.server.get("/api/v1/recordings")
        assert status == 200, text
        found = json.loads(text)["recordings"]
        assert isinstance(found, list)
        return found

    def of(self, call: FinishedCall, state: str) -> Json:
        """The recording of a call, when it has come to a state."""
        call_id = call.records[0]["id"]

        def found() -> list[Json]:
            return [r for r in self.recordings() if r["call"] == call_id and r["state"] == state]

        until(found, 20, f"the recording of {call.name} is {state}")
        [recording] = found()
        return recording

    def audio(self, recording: Json, part: str = "") -> bytes:
        return self.server.octets(f"/api/v1/recordings/{recording['id']}/audio", part)

    def files(self) -> list[Path]:
        var = self.folder / "server" / "var"
        folders = (var / "recordings", var / "recording")
        return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def site_of(
    folder: Path, documents: DocumentServer, wire: Wire, witness: Witness, more: str
) -> Site:
    for name in ("server", "calls"):
        (folder / name).mkdir()
    numbers = {
        f"to-{far}": documents.uri(f"transfer.vxml?type=bridge&maxtime=60s&far={far}")
        for far in ("talks", "refused", "crashes")
    }
    settings = SETTINGS.format(more=more)
    server = VxmlServer(folder / "server", numbers, (documents.origin,), more_settings=settings)
    return Site(server, Caller(server, documents, wire, witness, folder / "calls"), folder)


@pytest.fixture
def site(documents: DocumentServer, wire: Wire, witness: Witness, tmp_path: Path) -> Iterator[Site]:
    site = site_of(tmp_path, documents, wire, witness, SEALED)
    try:
        site.server.start()
        yield site
        site.server.stop()
    finally:
        site.caller.close()
        site.server.close()


def place_of(part: audio.Samples, whole: audio.Samples) -> int:
    """Where the first frames of `part` that are in `whole` stand there, less where in `part`."""
    for start in range(0, len(part) - 4 * FRAME, 4 * FRAME):
        piece = part[start : start + 4 * FRAME].astype(np.float64)
        if np.abs(piece).max() < 100:
            continue
        place = int(np.argmax(np.correlate(whole.astype(np.float64), piece)))
        if np.array_equal(whole[place : place + len(piece)], piece):
            return place - start
    raise AssertionError("it is not there")


def same_frames(part: audio.Samples, whole: audio.Samples, place: int) -> float:
    """How many of the frames of `part` are, to the sample, what stands in `whole` from `place`."""
    part = part[max(0, -place) :]
    place = max(0, place)
    length = min(len(part), len(whole) - place) // FRAME * FRAME
    same = part[:length] == whole[place : place + length]
    return float(same.reshape(-1, FRAME).all(axis=1).mean())


def sent_at(packets: list[RtpPacket]) -> dict[bytes, float]:
    """When each sound left; none is there twice."""
    return {audio.decode(packet.payload, audio.PCMU).tobytes(): packet.at for packet in packets}


def leads(sound: audio.Samples, left: list[RtpPacket], right: list[RtpPacket]) -> list[float]:
    """How long before what is beside it in a recording `[samples, 2]` each frame on the left had
    left its telephone, in seconds; of frames that are on both sides, to the sample, what was sent.
    """
    left_at, right_at = sent_at(left), sent_at(right)
    found = []
    for start in range(0, len(sound) - FRAME, FRAME):
        ours, theirs = (sound[start : start + FRAME, side].tobytes() for side in (0, 1))
        if ours in left_at and theirs in right_at:
            found.append(right_at[theirs] - left_at[ours])
    return found


def media_port(sdp: str) -> int:
    return int(sdp.partition("m=audio ")[2].split()[0])


def test_both_parties_are_recorded_sample_by_sample_and_aligned(site: Site) -> None:
    said, answered = talk(25.0, 1), talk(10.0, 3)
    with site.caller.far_end(
        "talks", "far-talks", "-d", "5000", sound=as_events((answered,))
    ) as far:
        call = site.caller.call("talks", "to-talks", (said,), seconds=60)
        result = far.result(10)
    result.assert_success()
    call.sip.assert_success()
    recording = site.of(call, "stored")
    assert recording["caller"] == "talks"
    assert recording["destination"] == "far"
    assert recording["encrypted"]
    assert recording["duration_s"] == pytest.approx(5.0, abs=0.5)

    whole = site.audio(recording)
    assert len(whole) == recording["octets"]
    sound, rate = soundfile.read(io.BytesIO(whole), dtype="int16")
    assert rate == audio.RATE
    [answer] = result.sent(200)
    apart = leads(sound, call.sent, site.caller.wire.sent(media_port(answer.text)))
    # A machine that runs nobody for a while costs the frames in which it did.
    assert len(apart) > 0.8 * len(sound) / FRAME
    assert np.percentile(np.abs(apart), 95) <= ALIGNED

    for start, end in ((0, 99), (100_00, 70_000), (len(whole) - 500, len(whole) - 1)):
        assert site.audio(recording, f"bytes={start}-{end}") == whole[start : end + 1]
    assert site.audio(recording, "bytes=-7") == whole[-7:]

    out = site.folder / "out.flac"
    config = site.folder / "server" / "settings.toml"
    command: list[str | Path] = [COMMAND, "recordings", "export", str(recording["id"])]
    command += ["--out", out, "--config", config]
    done = subprocess.run(command, cwd=site.folder / "server", check=True, capture_output=True)
    assert done.stdout
    assert out.read_bytes() == whole


def test_of_a_caller_who_refuses_with_the_key_no_file_is_left(site: Site) -> None:
    with site.caller.far_end("refused", "far-hangs-up", "-rtp_echo", "-d", "3000") as far:
        call = site.caller.call("refused", "to-refused", (1.5, "2", 15.0))
        far.result(10).assert_success()
    call.sip.assert_success()
    assert [told["outcome"] for told in call.told] == ["far_end_disconnect"]
    recording = site.of(call, "refused")
    assert (recording["octets"], recording["checksum"]) == (0, None)
    until(lambda: site.files() == [], 10, "its files are gone")


@pytest.mark.parametrize("more", ["", SEALED], ids=["plain", "encrypted"])
def test_a_crash_loses_less_than_a_second_of_a_conversation(
    documents: DocumentServer, wire: Wire, witness: Witness, tmp_path: Path, more: str
) -> None:
    site = site_of(tmp_path, documents, wire, witness, more)
    server, spool = site.server, tmp_path / "server" / "var" / "recording"
    said = talk(30.0, 2)

    def spool_files() -> list[Path]:
        return [path for path in spool.rglob("*") if path.is_file()]

    try:
        server.start()
        with site.caller.far_end("crashes", "far-answers", "-rtp_echo"):
            call = site.caller.dial("crashes", "to-crashes", as_events((said,)))
            until(spool_files, 20, "the parties talk")
            talking = spool_files()[0].stat().st_mtime - 0.5
            until(lambda: time.time() > talking + 3.0, 10, "they have talked for three seconds")
            server.signal(signal.SIGKILL)
            killed = time.time()
            server.wait(10)
            [left] = spool_files()
            playable = tmp_path / "left.wav"
            command: list[str | Path] = [COMMAND, "recordings", "decrypt", left, "--out", playable]
            command += ["--config", tmp_path / "server" / "settings.toml"]
            subprocess.run(command, check=True, capture_output=True)
            kept = both(playable.read_bytes())
            assert killed - talking - 1.0 < len(kept) / audio.RATE < killed - talking + 0.5
            assert same_frames(kept[:, 0], said, place_of(kept[:, 0], said)) > 0.9
            assert (more == "") == (left.suffix == ".wav")
            call.sipp.close()
    finally:
        site.caller.close()
        server.close()

    again = VxmlServer(server.folder, server.numbers, server.origins, server.more_settings)
    site = replace(site, server=again)
    try:
        again.start()
        until(lambda: site.recordings()[0]["state"] == "stored", 20, "it is stored")
        [recording] = site.recordings()
        assert recording["interrupted"]
        assert np.array_equal(both(site.audio(recording)), kept)
        until(lambda: spool_files() == [], 10, "it has left the spool")
        again.stop()
    finally:
        again.close()


def both(data: bytes) -> audio.Samples:
    """What a player makes of a file: `[samples, 2]`."""
    sound, _ = soundfile.read(io.BytesIO(data), dtype="int16")
    return np.ascontiguousarray(sound)
