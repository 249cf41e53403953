"""What came of a test: plain data that crosses processes and goes into reports."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What a test showed.

    MANUAL is a test that only a person can judge: what a caller hears is in its transcript.
    NOT_IMPLEMENTED is one that the product declines, by `error.unsupported.*` or on record.
    """

    PASS = "pass"
    FAIL = "fail"
    NOT_IMPLEMENTED = "not implemented"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Result:
    """One row of a report.

    `reason` says why the verdict is not PASS, or under which condition it is. `seconds` is how long
    the call lasted in virtual time, `elapsed` how long it took to run. `transcript` has a line for
    each thing that happened, without addresses and ports of this machine.
    """

    id: str
    verdict: Verdict
    section: str = ""
    abstract: str = ""
    reason: str = ""
    seconds: float = 0.0
    elapsed: float = 0.0
    transcript: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.verdict is not Verdict.FAIL


def defective(identifier: str, defect: Exception) -> Result:
    """The result of a test that met a defect of the server: it fails, and the others go on."""
    said = "".join(traceback.format_exception(defect)).rstrip().splitlines()
    reason = f"a defect of the server: {said[-1]}"
    return Result(identifier, Verdict.FAIL, reason=reason, transcript=tuple(said))
