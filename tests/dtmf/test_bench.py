"""The benchmark in its smallest size: it runs, it judges, and its status says what it found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from vxml_server.audio import encode_wav
from vxml_server.dtmf import dial

ROOT = Path(__file__).parents[2]


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "bench" / "dtmf.py", "--channels", "3", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def speech(path: Path, keys: str = "") -> Path:
    """Five seconds of noise in syllables, and what is dialled in it."""
    random = np.random.default_rng(1)
    samples = random.normal(0, 2000, 40_000) * (np.arange(40_000) % 3000 < 2000)
    if keys:
        samples[8000 : 8000 + 1600 * len(keys)] = dial(keys)
    path.write_bytes(encode_wav(samples.astype(np.int16)))
    return path


def test_all_conditions_run_and_the_whole_is_summed_up() -> None:
    done = bench("--no-throughput")
    assert done.returncode == 0, done.stdout + done.stderr
    *rows, summary = done.stdout.splitlines()
    assert len([row for row in rows if row.endswith(("pass", "FAIL"))]) > 80
    assert " pass; libspandsp " in summary
    assert "no --speech" in done.stderr


def test_speech_is_mixed_in_and_talk_off_counts_over_every_file(tmp_path: Path) -> None:
    speech(tmp_path / "a.wav")
    speech(tmp_path / "b.wav")
    done = bench("--only", "talk-off", "below", "--speeds", "0.9", "--speech", tmp_path)
    assert done.stdout.count("2 recordings") == 2
    assert "2 recordings, at 0.9 x" in done.stdout
    assert "10 dB below the digit" in done.stdout
    assert done.stdout.count("pass") >= 1


def test_a_key_in_the_recordings_is_named_and_fails(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    done = bench("--only", "talk-off", "--speech", tmp_path, speech(tmp_path / "keys.wav", "5"))
    assert done.returncode == 1
    assert "false key 5 in" in done.stderr
    assert "skipped: " in done.stderr
    assert "FAIL" in done.stdout


def test_throughput_is_measured_at_three_sizes() -> None:
    done = bench("--only", "throughput", "--turns", "1")
    assert done.returncode in {0, 1}, done.stderr
    for channels in ("1000 channels", "100 channels", "1 channel"):
        assert channels in done.stdout


def test_nothing_to_measure_is_an_error_of_its_own() -> None:
    assert bench("--only", "nonsense").returncode == 2
