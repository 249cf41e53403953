"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A slow machine is no counterexample.
settings.register_profile("default", deadline=None)
settings.load_profile("default")
