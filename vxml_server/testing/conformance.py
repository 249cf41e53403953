"""`vxml-server conformance`: runs the assertions of a suite and judges each.

Documents come from a web server of the suite's own; time is virtual; nothing outside of the folder
has a part in what comes out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from vxml_server.interpreter import Outcome, Session
from vxml_server.interpreter.dialogue import Record, run_dialogue, stamped
from vxml_server.testing.assertions import Assertion, Reported, Scripted, SelfTested
from vxml_server.testing.caller import CuedPlatform
from vxml_server.testing.conf import FAIL_LABEL, PASS_LABEL
from vxml_server.testing.dialogues import judged
from vxml_server.testing.grammars import parsed
from vxml_server.testing.parallel import in_order
from vxml_server.testing.results import Result, Verdict, defective
from vxml_server.testing.site import Site
from vxml_server.testing.transcript import transcript

LANG = "en"


def run_assertions(
    root: Path, assertions: Sequence[Assertion], *, workers: int | None = None
) -> Iterator[Result]:
    """Runs assertions of the suite in `root`; the results come in their order."""
    return in_order(assertions, partial(perform_assertions, root), workers=workers)


def perform_assertions(root: Path, assertions: Sequence[Assertion]) -> list[Result]:
    """Runs some assertions in this process."""
    return asyncio.run(_perform(root, assertions))


async def _perform(root: Path, assertions: Sequence[Assertion]) -> list[Result]:
    async with Site(root) as site:
        return [await run_assertion(site, assertion) for assertion in assertions]


async def run_assertion(site: Site, assertion: Assertion) -> Result:
    """Runs one assertion."""
    began = time.perf_counter()
    try:
        if isinstance(assertion, Scripted):
            result = await _run_scripted(site, assertion)
        elif isinstance(assertion, Reported):
            result = await _run_reported(site, assertion)
        else:
            result = _run_grammar(assertion)
    except Exception as defect:
        result = defective(assertion.id, defect)
    return replace(result, elapsed=time.perf_counter() - began)


# Our own format --------------------------------------------------------------------------------


async def _run_scripted(site: Site, assertion: Scripted) -> Result:
    site.clock.seconds = 0.0

    def follow(record: Record) -> None:
        site.clock.seconds = float(str(record["t"]))

    uri = site.uri(assertion.document)
    done = await run_dialogue(
        uri, assertion.script, site.session(), on_record=follow, default_lang=LANG
    )
    verdict, reason = judged(assertion.script, done, uri)
    if assertion.pending and verdict is Verdict.FAIL:
        verdict = Verdict.NOT_IMPLEMENTED
    return _result(site, assertion, verdict, reason, done.records)


def _result(
    site: Site,
    assertion: Scripted | Reported,
    verdict: Verdict,
    reason: str,
    records: Sequence[Record],
) -> Result:
    """The verdict with what happened; the suite's own URIs are told as paths."""
    base = site.uri(assertion.document.parent) + "/"
    return Result(
        assertion.id,
        verdict,
        assertion.section,
        assertion.text,
        _local(reason, base, site.origin),
        seconds=float(str(records[-1]["t"])),
        transcript=tuple(_local(line, base, site.origin) for line in transcript(records)),
    )


def _local(text: str, base: str, origin: str) -> str:
    return text.replace(base, "").replace(origin, "")


# The W3C's format ------------------------------------------------------------------------------


# What a suite asks of whoever sets up a test of transfers: how the far end, or the caller, behaves.
FAR_ENDS = (
    "near_end_disconnect",
    "connection.disconnect.hangup",
    "busy",
    "noanswer",
    "network_busy",
    "network_disconnect",
    "maxtime_disconnect",
    "unknown",
    "error.connection.baddestination",
    "error.connection.noauthorization",
    "error.connection.noroute",
    "error.connection.noresource",
)


async def _run_reported(site: Site, assertion: Reported) -> Result:
    """Runs a test; one that transfers, with each kind of far end until it passes.

    Only its comments say for which of them it is meant.
    """
    usual = await _run_with_far_end(site, assertion, "")
    if usual.verdict is Verdict.FAIL and any("  transfer " in line for line in usual.transcript):
        for far_end in FAR_ENDS:
            result = await _run_with_far_end(site, assertion, far_end)
            if result.verdict is Verdict.PASS:
                return replace(result, reason=f"with a transfer that ends in {far_end}")
    return usual


async def _run_with_far_end(site: Site, assertion: Reported, far_end: str) -> Result:
    records: list[Record] = []

    def observe(kind: str, keys: Record) -> None:
        records.append(stamped(platform.now(), kind, keys))
        site.clock.seconds = platform.now()

    site.clock.seconds = 0.0
    fetcher = site.session()
    platform = CuedPlatform(fetcher, observe, far_end)
    session = Session(platform, fetcher, observer=observe, default_lang=LANG)
    outcome = await session.run(site.uri(assertion.document))
    verdict, reason = _reported_verdict(records, outcome, judges=assertion.judges)
    return _result(site, assertion, verdict, reason, records)


def _reported_verdict(
    records: Sequence[Record], outcome: Outcome, *, judges: bool
) -> tuple[Verdict, str]:
    for record in records:
        if record["event"] == "log" and record["label"] == PASS_LABEL:
            return Verdict.PASS, ""
        if record["event"] == "log" and record["label"] == FAIL_LABEL:
            return _declined(records) or (Verdict.FAIL, str(record["text"]) or "it says so")
        # A document without elements for verdicts speaks them.
        if record["event"] == "prompt" and record["text"] in {"pass", "fail"}:
            verdict = Verdict.PASS if record["text"] == "pass" else Verdict.FAIL
            return verdict, "" if verdict is Verdict.PASS else "it says so"
    if outcome.reason == "error":
        failed = f"ended in {outcome.error}: {outcome.message}"
        return _declined(records) or (Verdict.FAIL, failed)
    if judges:
        return _declined(records) or (Verdict.FAIL, f"ended ({outcome.reason}) without a verdict")
    return Verdict.MANUAL, "whether this passes is for a listener to say"


def _declined(records: Sequence[Record]) -> tuple[Verdict, str] | None:
    """What the product said that it does not do."""
    for record in records:
        if record["event"] == "throw" and str(record["name"]).startswith("error.unsupported"):
            return Verdict.NOT_IMPLEMENTED, f"{record['name']}: {record['message']}"
    return None


# Grammars --------------------------------------------------------------------------------------


def _run_grammar(assertion: SelfTested) -> Result:
    sample = assertion.sample
    found = parsed(assertion.path, sample)
    ok = found == sample.expected
    return Result(
        assertion.id,
        Verdict.PASS if ok else Verdict.FAIL,
        abstract=f"{sample.said!r} is {sample.expected}",
        reason="" if ok else f"{sample.said!r} gives {found}, expected {sample.expected}",
    )
