"""What `again` promises, of a run of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = """
from tests.integration import again

stood_still = []

def pytest_collection_modifyitems(items):
    for item in items:
        again.once_more_if(item, lambda began: any(moment > began for moment in stood_still))

def pytest_runtest_setup(item):
    again.before(item)
"""
MODULE = """
import time
import pytest
from conftest import stood_still

rounds = []

@pytest.fixture(scope="module")
def telephone():
    rounds.append("opened")
    yield
    rounds.append("closed")

@pytest.fixture(scope="module")
def calls(telephone):
    rounds.append("called")
    {stands_still}
    return len([one for one in rounds if one == "called"])

def test_first(calls):
    assert calls == 1

def test_second(calls):
    assert calls == 2

def test_third(calls):
    assert calls == {third}

def test_last():
    assert rounds == {rounds}
"""
STANDS_STILL = "stood_still.append(time.time()) if 'closed' not in rounds else None"


def test_calls_of_a_moment_that_stood_still_are_made_again_for_who_judges_them(
    tmp_path: Path,
) -> None:
    rounds = ["opened", "called", "closed", "opened", "called"]
    text = MODULE.format(stands_still=STANDS_STILL, third=2, rounds=rounds)
    assert "4 passed, 1 rerun" in _run(tmp_path, text)


def test_only_calls_of_such_a_moment_are(tmp_path: Path) -> None:
    text = MODULE.format(stands_still="", third=1, rounds=["opened", "called"])
    assert "1 failed, 3 passed" in _run(tmp_path, text)


def test_what_fails_again_has_failed_though_it_stood_still(tmp_path: Path) -> None:
    rounds = ["opened", "called", "closed", "opened", "called"]
    text = MODULE.format(stands_still=STANDS_STILL, third=3, rounds=rounds)
    assert "1 failed, 3 passed, 1 rerun" in _run(tmp_path, text)


@pytest.mark.parametrize("when", ["first", "last"])
def test_what_a_module_is_left_with_does_not_matter(tmp_path: Path, when: str) -> None:
    """The fixtures of the last test of a module are gone before it is made again."""
    text = f"""
import time
from conftest import stood_still
import pytest

@pytest.fixture(scope="module")
def calls():
    stood_still.append(time.time())
    return stood_still

def test_first(calls):
    assert len(calls) == 2 or {when == "last"}

def test_last(calls):
    assert len(calls) == 2
"""
    assert "2 passed, 1 rerun" in _run(tmp_path, text)


def _run(folder: Path, module: str) -> str:
    (folder / "conftest.py").write_text(CONFTEST, "ascii")
    (folder / "test_calls.py").write_text(module, "ascii")
    (folder / "pytest.ini").write_text("[pytest]\n", "ascii")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly"]
    return subprocess.run(
        [*command, "-q", str(folder)],
        cwd=folder,
        env={"PYTHONPATH": f"{ROOT}:{folder}"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    ).stdout
