"""Reports: what is printed, JUnit, and the page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lxml import etree, html

from vxml_server.ecmascript import Engine
from vxml_server.testing import Heading, Result, Verdict, exit_status, show, suite_name
from vxml_server.testing.junit import junit
from vxml_server.testing.report import report

GOOD = Result("a/1", Verdict.PASS, "1.2", "It works.", seconds=61.25, elapsed=0.01)
BAD = Result(
    "a/2",
    Verdict.FAIL,
    "1.3",
    "It <works> & \x00 \ud800.",
    "expected x\nheard y",
    elapsed=0.02,
    transcript=("one <two>", "three\x1b"),
)
OPEN = Result("a/3", Verdict.NOT_IMPLEMENTED, reason="error.unsupported.x")
LISTEN = Result("a/4", Verdict.MANUAL, transcript=("hear this",))
ALL = [GOOD, BAD, OPEN, LISTEN]
HEADING = Heading("vxml-server", "1.0", "suite", datetime(2026, 3, 1, 9, 30, tzinfo=UTC))


def test_a_line_is_printed_for_each_result_and_the_sum_at_the_end() -> None:
    lines: list[str] = []
    assert show(iter(ALL), lines.append) == ALL
    assert lines == [
        "ok      a/1",
        "FAILED  a/2",
        "        expected x",
        "        heard y",
        "skipped a/3",
        "        error.unsupported.x",
        "manual  a/4",
        "4 run: 1 pass, 1 fail, 1 not implemented, 1 manual",
    ]


def test_only_a_failure_is_a_failure() -> None:
    assert exit_status([GOOD, OPEN, LISTEN]) == 0
    assert exit_status(ALL) == 1


def test_a_suite_is_called_by_its_folders() -> None:
    assert suite_name(Path("/x/w3c/vxml20")) == "w3c/vxml20"


def test_junit_counts_and_tells() -> None:
    root = etree.fromstring(junit("suite", ALL))
    counted = [root.get(name) for name in ("tests", "failures", "skipped", "errors", "time")]
    assert counted == ["4", "1", "2", "0", "0.030"]
    good, bad, pending, manual = root
    assert (good.get("classname"), good.get("name")) == ("suite.1.2", "a/1: It works.")
    assert len(good) == 0
    failure = bad[0]
    assert failure.tag == "failure"
    assert failure.get("message") == "expected x\nheard y"
    assert failure.text == "one <two>\nthree\N{REPLACEMENT CHARACTER}"
    assert pending[0].get("message") == "not implemented: error.unsupported.x"
    assert manual[0].get("message") == "manual"


def page() -> html.HtmlElement:
    return html.document_fromstring(report(HEADING, ALL))


def test_the_page_has_a_row_for_each_assertion() -> None:
    rows = page().xpath("//tbody/tr")
    assert [row.get("class") for row in rows] == ["pass", "fail", "not-implemented", "manual"]
    cells = [cell.text_content() for cell in rows[0]]
    assert cells == ["a/1", "1.2", "It works.", "pass", "61.2 s"]


def test_the_page_says_whose_results_these_are_and_when() -> None:
    header = page().find(".//header").text_content()
    assert "vxml-server 1.0" in header
    assert "suite" in header
    assert "01 March 2026, 09:30 UTC" in header


def test_the_page_sums_up() -> None:
    totals = page().xpath("//ul[@class='totals']/li")
    assert [item.text_content() for item in totals] == [
        "4assertions",
        "1pass",
        "1fail",
        "1not implemented",
        "1manual",
    ]


def test_what_did_not_pass_is_told_and_only_that() -> None:
    folded = page().xpath("//details")
    assert [each.find("pre").text for each in folded] == [
        "one <two>\nthree\N{REPLACEMENT CHARACTER}",
        "hear this",
    ]
    reasons = page().xpath("//p[@class='reason']")
    assert [each.text for each in reasons] == ["expected x\nheard y", "error.unsupported.x"]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    assert not page().xpath("//@src | //@href | //link | //img")
    assert b"http://" not in report(HEADING, ALL)
    assert b"url(" not in report(HEADING, ALL)


def test_the_script_of_the_page_is_ecmascript() -> None:
    script = page().find(".//script").text
    assert Engine().evaluate_text(f"typeof function () {{ {script} }}") == "function"


def test_the_same_results_give_the_same_page() -> None:
    assert report(HEADING, ALL) == report(HEADING, ALL)
