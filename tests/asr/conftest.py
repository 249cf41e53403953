"""An engine and its recogniser for each test."""

from __future__ import annotations

import pytest

from tests.asr.waits import World


@pytest.fixture
def world() -> World:
    return World()
