"""What `test` and `conformance` print: a line a result, what was wrong, and the sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from vxml_server.testing.results import Result, Verdict

_MARKS = {
    Verdict.PASS: "ok     ",
    Verdict.FAIL: "FAILED ",
    Verdict.NOT_IMPLEMENTED: "skipped",
    Verdict.MANUAL: "manual ",
}


def show(results: Iterable[Result], write: Callable[[str], None]) -> list[Result]:
    """Prints each result as it comes; returns them all."""
    shown = []
    for result in results:
        shown.append(result)
        write(f"{_MARKS[result.verdict]} {result.id}")
        if result.verdict is not Verdict.PASS:
            for line in result.reason.splitlines():
                write(f"        {line}")
    counts = Counter(result.verdict for result in shown)
    parts = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]]
    write(f"{len(shown)} run: {', '.join(parts) or 'nothing'}")
    return shown


def exit_status(results: Iterable[Result]) -> int:
    """0 when nothing failed, 1 otherwise."""
    return int(any(result.verdict is Verdict.FAIL for result in results))


def suite_name(folder: Path) -> str:
    """What a suite is called: its folder, and the one above it."""
    resolved = folder.resolve()
    return "/".join(resolved.parts[-2:]).lstrip("/") or "suite"
