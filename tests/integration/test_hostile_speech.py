"""Mutated SSML documents by the real espeak, and damaged audio files by the real libsndfile.

In a process of their own: what is looked for might end it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def test_a_thousand_documents_and_three_hundred_files_end_in_speech_or_an_event() -> None:
    command = [sys.executable, "-m", "tests.fuzz.speech", "--documents", "1000", "--files", "300"]
    run = subprocess.run(
        command,
        check=False,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    assert "spoken: " in run.stdout
    assert "file heard: " in run.stdout
