"""How many examples of a property are tried.

An ordinary run tries a few, each time new ones (`conftest.py`), so that it is short. In the
environment `EXAMPLES=1` tries the number that a test names, `EXAMPLES=10` ten times as many, for
whoever has changed what the property is of.
"""

from __future__ import annotations

import os

ORDINARY = 0.15
LEAST = 10


def examples(number: int) -> int:
    """How many of the `number` that a test names are tried now."""
    return max(LEAST, round(number * float(os.environ.get("EXAMPLES", ORDINARY))))
