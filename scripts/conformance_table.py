"""Writes the table of docs/conformance.md: how many assertions each section has.

    python scripts/conformance_table.py

What stands between the markers is replaced; all else is kept.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import yaml

from vxml_server.testing import discover
from vxml_server.testing.assertions import Scripted

ROOT = Path(__file__).parents[1]
SUITE = ROOT / "tests" / "conformance"
DOCUMENT = ROOT / "docs" / "conformance.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
TITLES = {"voicexml20": "VoiceXML 2.0", "voicexml21": "VoiceXML 2.1"}


def sections() -> dict[str, dict[str, str]]:
    """Suite -> number of a section -> its title."""
    given: dict[str, dict[str, str]] = yaml.safe_load((SUITE / "sections.yaml").read_text("utf-8"))
    return given


@cache
def counts() -> dict[str, Counter[str]]:
    """Suite -> number of a section -> number of its assertions."""
    found: dict[str, Counter[str]] = {}
    for assertion in discover(SUITE):
        if isinstance(assertion, Scripted):
            suite = assertion.id.partition("/")[0]
            found.setdefault(suite, Counter())[assertion.section] += 1
    return found


def table() -> str:
    """The tables in Markdown."""
    lines: list[str] = []
    found = counts()
    for suite, titles in sections().items():
        count = found.get(suite, Counter())
        lines += [f"### {TITLES[suite]}: {count.total()} assertions", ""]
        lines += ["| section | about | assertions |", "| --- | --- | ---: |"]
        lines += [f"| {number} | {title} | {count[number]} |" for number, title in titles.items()]
        lines.append("")
    return "\n".join(lines)


def with_table(document: str) -> str:
    """The document with the table of now."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text("utf-8")), "utf-8")
