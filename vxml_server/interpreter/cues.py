"""The script as it is performed: which step is next, and whether expectations hold.

`Cues` is read by the scripted platform and told of everything that happens. The rule here: an
expectation is judged when the caller's next deed is due, against what was heard and thrown since
the deed before it, or when the session has ended; and each is judged exactly once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from vxml_server.events import matches
from vxml_server.interpreter.platform import Json
from vxml_server.interpreter.script import (
    Deed,
    Expectation,
    ExpectEnd,
    ExpectEvent,
    ExpectHeard,
    Keys,
    Silence,
    Step,
)
from vxml_server.interpreter.trace import Observer


class Cues:
    """Goes through the steps of a script; `report` takes the `expect` records."""

    def __init__(self, steps: Sequence[Step], report: Observer) -> None:
        self.steps = list(steps)
        self._report = report
        self._next = 0
        self._heard: list[str] = []
        self._thrown: list[str] = []
        self.failed = 0

    def observe(self, kind: str, record: dict[str, Json]) -> None:
        """Remembers what expectations are about: prompts and thrown events."""
        if kind == "prompt":
            self._heard.append(str(record["text"]))
        elif kind == "throw":
            self._thrown.append(str(record["name"]))

    def peek(self) -> Deed | None:
        """What the caller does next; None when the steps have run out."""
        for step in self.steps[self._next :]:
            if not isinstance(step, Expectation):
                return step
        return None

    def pause_in_keys(self) -> tuple[float, Keys] | None:
        """The keys that come next after nothing but a pause, and the seconds of that pause.

        Such keys belong to an entry that was begun: `dtmf: "12"`, `silence: 1s`, `dtmf: "34"`.
        """
        pause = 0.0
        for step in self.steps[self._next :]:
            if isinstance(step, Silence) and step.duration is not None:
                pause += step.duration
            else:
                if isinstance(step, Keys) and step.after is None and pause > 0:
                    return pause, step
                break
        return None

    def take(self) -> Deed:
        """The step of `peek`, used up, once the expectations before it have been judged."""
        while isinstance(step := self.steps[self._next], Expectation):
            self._judge(step)
            self._next += 1
        self._next += 1
        self._heard.clear()
        self._thrown.clear()
        return step

    def finish(self, reason: str, value: Json) -> tuple[Deed, ...]:
        """Judges what is left, the session having ended; returns the steps that were never used."""
        rest, self.steps = self.steps[self._next :], self.steps[: self._next]
        unused = []
        for step in rest:
            if isinstance(step, ExpectEnd):
                self._judge_end(step, reason, value)
            elif isinstance(step, Expectation):
                self._judge(step)
            else:
                unused.append(step)
        return tuple(unused)

    def _judge(self, step: Expectation) -> None:
        if isinstance(step, ExpectHeard):
            heard = " ".join(" ".join(self._heard).split())
            self._conclude(step.holds(heard), step.pattern, heard)
        elif isinstance(step, ExpectEvent):
            ok = any(matches(step.name, name) for name in self._thrown)
            self._conclude(ok, step.name, " ".join(self._thrown))
        else:
            raise AssertionError("`expect_end` is the last step, and nothing is done after it")

    def _judge_end(self, step: ExpectEnd, reason: str, value: Json) -> None:
        if step.has_value:
            ok = step.reason == reason and same_json(step.value, value)
            self._conclude(ok, f"{step.reason} {_text(step.value)}", f"{reason} {_text(value)}")
        else:
            self._conclude(step.reason == reason, step.reason, reason)

    def _conclude(self, ok: bool, pattern: str, heard: str) -> None:
        self.failed += not ok
        self._report("expect", {"ok": ok, "pattern": pattern, "heard": heard})


def same_json(one: Json, other: Json) -> bool:
    """Whether two values are the same in JSON: 1 is 1.0, but is not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    return one == other


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
