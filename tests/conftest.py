"""What holds for all tests."""

from __future__ import annotations

import gc
import os

from hypothesis import settings

from tests.examples import examples

# A slow machine is no counterexample. On a machine that decides whether a change lands, the
# examples are the same each time; at a desk they are new ones.
settings.register_profile("desk", deadline=None, max_examples=examples(100))
settings.register_profile("gate", deadline=None, max_examples=examples(100), derandomize=True)
settings.load_profile("gate" if os.environ.get("CI") else "desk")

# How seldom garbage is looked for: Python's own numbers are for programs that are short of memory.
_GARBAGE = (20_000, 20, 100)


def pytest_collection_finish() -> None:
    """Modules and tests stay until the end: nobody needs to look through them for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
