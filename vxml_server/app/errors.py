"""Why a server cannot start."""

from __future__ import annotations


class CannotStart(Exception):
    """Something of the operator's is not as it has to be; the text says what."""
