"""The records of a dialogue as lines that a person reads, and where its expectations failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vxml_server.fetch import media_type_of
from vxml_server.interpreter.dialogue import Record
from vxml_server.interpreter.script import Expectation, ExpectHeard, Script
from vxml_server.interpreter.trace import described

MAX_LINES = 400


def transcript(records: Sequence[Record], base: str = "") -> tuple[str, ...]:
    """A line for each record; URIs below `base` become relative. At most `MAX_LINES`."""
    lines = [f"{record['t']:9.3f}  {described(record)}" for record in records[:MAX_LINES]]
    if len(records) > MAX_LINES:
        lines.append(f"… and {len(records) - MAX_LINES} more")
    return tuple(line.replace(base, "") if base else line for line in lines)


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that did not hold.

    `script_line` is where it stands in the script; `document` and `line` are where the dialogue was
    when it was judged: the element that was last entered or threw.
    """

    expected: str
    heard: str
    script_line: int
    document: str
    line: int

    def __str__(self) -> str:
        place = f"{self.document}:{self.line}" if self.line else self.document
        return f"{place}: expected {self.expected}, heard {self.heard!r}"


def failures(script: Script, records: Iterable[Record], document: str) -> tuple[Failure, ...]:
    """The expectations of `script` that did not hold in the dialogue that left `records`."""
    # Each expectation is judged once, in the order of the script.
    expectations = (step for step in script.steps if isinstance(step, Expectation))
    found: list[Failure] = []
    line = 0
    for record in records:
        kind = record["event"]
        if kind == "fetch" and _is_document(str(record["uri"])) and record["status"] == 200:
            document, line = str(record["uri"]).partition("#")[0], 0
        elif kind in {"enter", "match", "throw"} and record["line"]:
            line = int(str(record["line"]))
        elif kind == "expect":
            step = next(expectations)
            if not record["ok"]:
                expected = repr(str(record["pattern"]))
                if isinstance(step, ExpectHeard) and step.negated:
                    expected = f"anything but {expected}"
                found.append(Failure(expected, str(record["heard"]), step.line, document, line))
    return tuple(found)


def _is_document(uri: str) -> bool:
    path = uri.partition("#")[0].partition("?")[0]
    return media_type_of(path) in {"application/voicexml+xml", "application/xml", ""}
