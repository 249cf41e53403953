"""What may happen to a recording, as a table.

The rule that must hold: everything that changes the state of a recording is in `TABLE`; what is not
there raises `IllegalTransition`, and nothing has happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """How far a recording has come."""

    ANNOUNCED = "announced"
    """The notice is being played, or was accepted and nobody has been bridged yet."""
    RECORDING = "recording"
    PAUSED = "paused"
    STOPPED = "stopped"
    """What was said is in the spool, and on its way to the target."""
    STORED = "stored"
    """The target has it, and has confirmed it."""
    FAILED = "failed"
    """There is nothing: it never began, or could not be kept; `trouble` says why."""
    REFUSED = "refused"
    DELETED = "deleted"


class Event(StrEnum):
    """What happens to one; the value is the fact's name after `recording.`."""

    START = "started"
    REFUSE = "refused"
    PAUSE = "paused"
    RESUME = "resumed"
    STOP = "stopped"
    INTERRUPT = "interrupted"
    TAKE_OVER = "taken_over"
    """Another worker has found the file, and brings it away."""
    STORE = "stored"
    FAIL = "failed"
    DELETE = "deleted"
    ERASE = "erased"
    """The file of one that was deleted is gone."""


TABLE: Mapping[State, Mapping[Event, State]] = {
    State.ANNOUNCED: {
        Event.START: State.RECORDING,
        Event.REFUSE: State.REFUSED,
        Event.FAIL: State.FAILED,
    },
    State.RECORDING: {
        Event.PAUSE: State.PAUSED,
        Event.STOP: State.STOPPED,
        Event.INTERRUPT: State.STOPPED,
        Event.FAIL: State.FAILED,
    },
    State.PAUSED: {
        Event.RESUME: State.RECORDING,
        Event.STOP: State.STOPPED,
        Event.INTERRUPT: State.STOPPED,
        Event.FAIL: State.FAILED,
    },
    State.STOPPED: {
        Event.TAKE_OVER: State.STOPPED,
        Event.STORE: State.STORED,
        Event.FAIL: State.FAILED,
    },
    State.STORED: {Event.DELETE: State.DELETED},
    State.FAILED: {},
    State.REFUSED: {},
    State.DELETED: {Event.ERASE: State.DELETED},
}


class IllegalTransition(Exception):
    """What was wanted cannot happen to a recording in this state."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"a recording that is {state} cannot be {event}")
        self.state = state
        self.event = event


def advance(state: State, event: Event) -> State:
    """The state after `event`; raises `IllegalTransition`."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise IllegalTransition(state, event) from None
