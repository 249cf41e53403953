"""Results as JUnit XML, which every build server reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lxml import etree

from vxml_server.testing.results import Result, Verdict

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(path: Path, suite: str, results: Sequence[Result]) -> None:
    """Writes the results to `path`; `suite` names the run. Raises `OSError`."""
    path.write_bytes(junit(suite, results))


def junit(suite: str, results: Sequence[Result]) -> bytes:
    """The JUnit document: failures with reason and transcript, the undecided as skipped."""
    counts = {verdict: sum(r.verdict is verdict for r in results) for verdict in Verdict}
    root = etree.Element(
        "testsuite",
        name=xml_text(suite),
        tests=str(len(results)),
        failures=str(counts[Verdict.FAIL]),
        skipped=str(counts[Verdict.NOT_IMPLEMENTED] + counts[Verdict.MANUAL]),
        errors="0",
        time=f"{sum(result.elapsed for result in results):.3f}",
    )
    for result in results:
        case = etree.SubElement(
            root,
            "testcase",
            classname=xml_text(f"{suite}.{result.section}" if result.section else suite),
            name=xml_text(f"{result.id}: {result.abstract}" if result.abstract else result.id),
            time=f"{result.elapsed:.3f}",
        )
        if result.verdict is Verdict.FAIL:
            failure = etree.SubElement(case, "failure", message=xml_text(result.reason))
            failure.text = xml_text("\n".join(result.transcript))
        elif result.verdict is not Verdict.PASS:
            message = f"{result.verdict.value}: {result.reason}".removesuffix(": ")
            etree.SubElement(case, "skipped", message=xml_text(message))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def xml_text(text: str) -> str:
    """The text without what XML cannot hold: a document may have said anything."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
