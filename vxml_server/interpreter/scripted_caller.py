"""The caller of a script, in virtual time: what was done, what is under way, how late it is.

Everything that outlives one wait for input is here; the waits themselves (`scripted`,
`scripted_recording`) only ask for what happens next.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from vxml_server.interpreter.cues import Cues
from vxml_server.interpreter.script import HangUp, Keys, Say, Speak

KEY_INTERVAL = 0.1
MAX_SILENT_WAITS = 10


@dataclass(frozen=True, slots=True)
class Key:
    key: str


Act: TypeAlias = Key | Say | Speak | HangUp


@dataclass(frozen=True, slots=True)
class Arrival:
    """Something that the caller does, at a time of the call."""

    at: float
    act: Act


def instant(seconds: float) -> float:
    """A time that compares equal to the same time reached by other sums."""
    return round(seconds, 6)


class Caller:
    """What the caller has done, and the time of the call: what outlives a wait for input."""

    def __init__(self, cues: Cues) -> None:
        self.cues = cues
        self.now = 0.0
        self.gone = False
        self.silent_waits = 0
        self._arrivals: deque[Arrival] = deque()
        self._due: float | None = None

    @property
    def busy(self) -> bool:
        """Whether keys of a step that was used are still to come."""
        return bool(self._arrivals)

    def advance(self, to: float) -> None:
        self.now = max(self.now, to)

    def due(self, first_prompt: float) -> float | None:
        """When the next step barges in, if it is one that does."""
        step = self.cues.peek()
        if not isinstance(step, Keys | Say | HangUp) or step.after is None:
            return None
        if self._due is None:
            self._due = instant(first_prompt + step.after)
        return self._due

    def forget_due(self) -> None:
        self._due = None

    def use(self, at: float) -> None:
        """Takes the next step; what the caller does by it begins at `at`, or now if later."""
        self.advance(at)
        step = self.cues.take()
        self._due = None
        self.silent_waits = 0
        if isinstance(step, Keys):
            for index, key in enumerate(step.keys):
                self._arrive(KEY_INTERVAL * index, Key(key))
        elif isinstance(step, Say | HangUp):
            self._arrive(0.0, step)
        elif isinstance(step, Speak):
            self._arrive(0.0, step)
            for index, key in enumerate(step.keys):
                self._arrive(step.duration + KEY_INTERVAL * index, Key(key))
            if step.hangs_up:
                self._arrive(step.duration + KEY_INTERVAL * len(step.keys), HangUp())

    def _arrive(self, after: float, act: Act) -> None:
        self._arrivals.append(Arrival(instant(self.now + after), act))

    def next_arrival(self, before: float) -> Arrival | None:
        """What happened already or happens before `before`, once."""
        if self._arrivals and (self._arrivals[0].at <= self.now or self._arrivals[0].at < before):
            return self._arrivals.popleft()
        return None

    def give_back(self, keys: str) -> None:
        """Keys that ended an input and belong to the next."""
        self._arrivals.extendleft(Arrival(self.now, Key(key)) for key in reversed(keys))

    def lose_patience(self) -> None:
        """Leaves, if there has been nothing to do for long: no dialogue goes on for ever."""
        if self.silent_waits >= MAX_SILENT_WAITS:
            self.gone = True

    def forget_keys(self) -> None:
        self._arrivals.clear()
