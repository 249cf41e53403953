"""The conformance report: one HTML page, complete in itself, sortable, and fit to be printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lxml import etree

from vxml_server.testing.junit import xml_text
from vxml_server.testing.results import Result, Verdict

_STYLE = """
:root { --line: #d0d7de; --soft: #57606a; --back: #f6f8fa }
body { font: 15px/1.45 system-ui, sans-serif; color: #1f2328; margin: 2rem auto; max-width: 75rem;
  padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 0 .3rem } header p { margin: .1rem 0; color: var(--soft) }
.totals { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; padding: 0;
  list-style: none }
.totals li { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .9rem }
.totals b { display: block; font-size: 1.4rem }
table { border-collapse: collapse; width: 100% }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .5rem; text-align: left;
  vertical-align: top }
th { background: var(--back); position: sticky; top: 0 }
th button { all: unset; cursor: pointer; font-weight: 600 }
th button:focus-visible { outline: 2px solid #0969da }
th[aria-sort=ascending] button::after { content: " \\2191" }
th[aria-sort=descending] button::after { content: " \\2193" }
td.id { font-family: ui-monospace, monospace; font-size: .85em; overflow-wrap: anywhere;
  max-width: 18rem }
td.time { text-align: right; white-space: nowrap }
.verdict { font-weight: 600; white-space: nowrap }
.pass .verdict { color: #1a7f37 } .fail .verdict { color: #cf222e }
.not-implemented .verdict { color: #9a6700 } .manual .verdict { color: #0969da }
.reason { margin: .3rem 0 0; color: var(--soft); white-space: pre-wrap; overflow-wrap: anywhere }
pre { background: var(--back); padding: .6rem; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: .8rem }
summary { cursor: pointer; color: var(--soft) }
@media print { body { margin: 0; max-width: none; font-size: 10px } th { position: static }
  tr { break-inside: avoid } summary { display: none } }
"""

# Sorts the rows by a column, numbers within texts by their value.
_SCRIPT = """
for (const button of document.querySelectorAll("th button")) button.onclick = () => {
  const head = button.closest("th"), body = document.querySelector("tbody");
  const down = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down > 0 ? "ascending" : "descending");
  const order = new Intl.Collator("en", { numeric: true }).compare;
  const key = row => row.children[head.cellIndex].textContent;
  body.append(...[...body.rows].sort((a, b) => down * order(key(a), key(b))));
};
// What is folded away on the screen belongs on paper.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
"""


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above the table."""

    product: str
    version: str
    suite: str
    date: datetime


def write_report(path: Path, heading: Heading, results: Sequence[Result]) -> None:
    """Writes the page to `path`. Raises `OSError`."""
    path.write_bytes(report(heading, results))


def report(heading: Heading, results: Sequence[Result]) -> bytes:
    """The page in UTF-8. The same results at the same date give the same bytes."""
    title = f"{heading.product} {heading.version}: conformance"
    html = _element("html", lang="en")
    head = _add(html, "head")
    _add(head, "meta", charset="utf-8")
    _add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _add(head, "title", title)
    _add(head, "style", _STYLE)
    body = _add(html, "body")
    header = _add(body, "header")
    _add(header, "h1", title)
    _add(header, "p", f"Suite: {heading.suite}")
    _add(header, "p", f"Run on {heading.date:%d %B %Y, %H:%M %Z}".rstrip())
    body.append(_totals(results))
    body.append(_table(results))
    _add(body, "script", _SCRIPT)
    page: bytes = etree.tostring(html, method="html", encoding="utf-8", doctype="<!DOCTYPE html>")
    return page


def _totals(results: Sequence[Result]) -> etree._Element:
    totals = _element("ul")
    totals.set("class", "totals")
    counts = {verdict: sum(r.verdict is verdict for r in results) for verdict in Verdict}
    for name, number in [("assertions", len(results)), *((v.value, n) for v, n in counts.items())]:
        item = _add(totals, "li")
        _add(item, "b", str(number)).tail = name
    return totals


def _table(results: Sequence[Result]) -> etree._Element:
    table = _element("table")
    _add(table, "caption", "Times are those of the calls: virtual seconds, the same at every run.")
    row = _add(_add(table, "thead"), "tr")
    for name in ("Assertion", "Section", "What is asserted", "Result", "Time"):
        _add(_add(row, "th", scope="col"), "button", name, type="button")
    body = _add(table, "tbody")
    for result in results:
        body.append(_row(result))
    return table


def _row(result: Result) -> etree._Element:
    row = _element("tr")
    row.set("class", result.verdict.value.replace(" ", "-"))
    _cell(row, result.id, "id")
    _cell(row, result.section, "section")
    text = _cell(row, result.abstract, "text")
    _cell(row, result.verdict.value, "verdict")
    _cell(row, f"{result.seconds:.1f} s", "time")
    if result.reason:
        _add(text, "p", result.reason).set("class", "reason")
    if result.transcript and result.verdict is not Verdict.PASS:
        details = _add(text, "details")
        _add(details, "summary", "What happened")
        _add(details, "pre", "\n".join(result.transcript))
    return row


def _cell(row: etree._Element, text: str, kind: str) -> etree._Element:
    cell = _add(row, "td", text)
    cell.set("class", kind)
    return cell


def _element(tag: str, text: str = "", **attributes: str) -> etree._Element:
    element = etree.Element(tag, attributes)
    element.text = xml_text(text) or None
    return element


def _add(parent: etree._Element, tag: str, text: str = "", **attributes: str) -> etree._Element:
    element = _element(tag, text, **attributes)
    parent.append(element)
    return element
