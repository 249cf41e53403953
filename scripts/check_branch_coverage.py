"""Fails when a package's branches are covered less than promised.

Usage: python scripts/check_branch_coverage.py coverage.json PERCENT PACKAGE...

Reads the JSON report of coverage.py and sums the branches of every file of a package: its own
`--fail-under` counts lines and branches together, and the whole tree only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True)
class Branches:
    """How many branches a package has, and how many of them ran."""

    covered: int
    total: int

    @property
    def percent(self) -> float:
        """0 to 100; code without branches is covered."""
        return 100 * self.covered / self.total if self.total else 100.0


def count(summaries: Mapping[str, Mapping[str, int]], package: str) -> Branches | None:
    """The branches of `package`, a folder, in {file: summary}; None when the report has none of it.

    A package that is not in the report was not measured: that must not pass for covered.
    """
    own = [
        summary
        for file, summary in summaries.items()
        if PurePosixPath(file.replace("\\", "/")).is_relative_to(package)
    ]
    if not own:
        return None
    return Branches(
        covered=sum(summary["covered_branches"] for summary in own),
        total=sum(summary["num_branches"] for summary in own),
    )


def main(arguments: Sequence[str]) -> int:
    """Prints one line a package; 0 when all reach the percentage, 1 when not, 2 for bad usage."""
    if len(arguments) < 3:
        sys.stderr.write((__doc__ or "").split("\n\n")[1] + "\n")
        return 2
    report, percent, *packages = arguments
    files = json.loads(Path(report).read_text("utf-8"))["files"]
    summaries = {file: entry["summary"] for file, entry in files.items()}
    status = 0
    for package in packages:
        branches = count(summaries, package)
        if branches is None:
            sys.stdout.write(f"branches {package}: not in {report}\n")
            status = 1
            continue
        enough = branches.percent >= float(percent)
        status = status if enough else 1
        sys.stdout.write(
            f"branches {package}: {branches.covered} of {branches.total}, {branches.percent:.1f} %"
            f"{'' if enough else f', which is less than {percent} %'}\n"
        )
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
