"""What a test needs of the machine and does not find: a failure in CI, a skip at a desk."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Ends the test, or whatever asked for the fixture."""
    message = f"integration tests need {what}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
