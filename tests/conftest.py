"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

from tests.examples import examples

# A slow machine is no counterexample. On a machine that decides whether a change lands, the
# examples are the same each time; at a desk they are new ones.
settings.register_profile("desk", deadline=None, max_examples=examples(100))
settings.register_profile("gate", deadline=None, max_examples=examples(100), derandomize=True)
settings.load_profile("gate" if os.environ.get("CI") else "desk")
