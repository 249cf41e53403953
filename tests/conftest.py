"""What holds for all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from pathlib import Path

import coverage
import pytest
from hypothesis import settings

from tests.examples import examples

# A slow machine is no counterexample. On a machine that decides whether a change lands, the
# examples are the same each time; at a desk they are new ones.
settings.register_profile("desk", deadline=None, max_examples=examples(100))
settings.register_profile("gate", deadline=None, max_examples=examples(100), derandomize=True)
settings.load_profile("gate" if os.environ.get("CI") else "desk")

# How seldom garbage is looked for: Python's own numbers are for programs that are short of memory.
_GARBAGE = (20_000, 20, 100)
_measured = pytest.StashKey[coverage.Coverage]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Modules and tests stay until the end: nobody needs to look through them for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    measured = coverage.Coverage.current()
    if measured is not None and _rooms(session.config):
        measured.stop()
        session.config.stash[_measured] = measured


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A room is covered by its own tests: the others are not traced, which would cost time."""
    measured = item.config.stash.get(_measured, None)
    room = item.path.relative_to(Path(__file__).parent).parts[0]
    if measured is None or f"vxml_server/{room}" not in _rooms(item.config):
        return (yield)
    measured.start()
    try:
        return (yield)
    finally:
        measured.stop()


def _rooms(config: pytest.Config) -> list[str]:
    """The folders of the package that `--cov` names (`vxml_server/sip`)."""
    return [name for name in config.getoption("cov_source") if "/" in str(name)]
