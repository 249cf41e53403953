"""What a grammar says of an input that is not over yet."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """What a grammar says of the tokens fed so far; `matches` says whether they are a match."""

    DEAD = "dead"
    """Nothing that begins so can match any more."""
    PARTIAL = "partial"
    """No match yet; more is needed."""
    MATCH_OPEN = "match open"
    """A match, which further tokens could continue."""
    COMPLETE = "complete"
    """A match that nothing can continue."""

    def __init__(self, written: str) -> None:
        self.matches = written in {"match open", "complete"}


def status(*, accepted: bool, extensible: bool) -> Status:
    """The status of tokens that are a match, or not, and that some token can follow, or none."""
    if accepted:
        return Status.MATCH_OPEN if extensible else Status.COMPLETE
    return Status.PARTIAL if extensible else Status.DEAD
