"""Part of the W3C's implementation-report tests, where their folder is present."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from vxml_server.testing import Result, Verdict, discover
from vxml_server.testing.assertions import Assertion, Reported
from vxml_server.testing.conformance import run_assertion
from vxml_server.testing.site import Site

W3C = Path(__file__).parents[3] / "shared" / "w3c"
REPORTED = [each for each in discover(W3C) if isinstance(each, Reported)] if W3C.is_dir() else []
pytestmark = pytest.mark.skipif(not REPORTED, reason=f"the W3C's tests are not in {W3C}")

# These are for a listener to judge: what must be heard, "" for nothing at all.
LISTEN = {
    "vxml20/113": "",
    "vxml20/165": "",
    "vxml20/216": "alpha, bravo, charlie, delta",
    "vxml20/218": "alpha, bravo, charlie, delta",
}
# These need a far end, or a caller, who does what the test is about.
FAR_ENDS = {
    "vxml20/290": "near_end_disconnect",
    "vxml20/300": "connection.disconnect.hangup",
    "vxml20/302": "network_busy",
}
# What cannot pass, and why.
IMPOSSIBLE = {
    "vxml20/394": "edited by others: compares an undefined variable with the string 'undefined'",
}
WITHOUT_DOCUMENTS = {"vxml20/1174"}


@pytest.fixture(scope="module")
def runner() -> Iterator[tuple[asyncio.Runner, Site]]:
    with asyncio.Runner() as loop:
        site = Site(W3C)
        loop.run(site.__aenter__())
        yield loop, site
        loop.run(site.__aexit__(None, None, None))


def heard(result: Result) -> str:
    """What the caller heard, by the transcript."""
    prompts = (line.partition("  < ") for line in result.transcript)
    return " ".join(text for _, mark, text in prompts if mark)


@pytest.mark.parametrize("assertion", REPORTED, ids=lambda assertion: assertion.id)
def test_a_w3c_test_passes(runner: tuple[asyncio.Runner, Site], assertion: Assertion) -> None:
    loop, site = runner
    result = loop.run(run_assertion(site, assertion))
    if assertion.id in IMPOSSIBLE:
        assert result.verdict is Verdict.FAIL
    elif assertion.id in LISTEN:
        assert (result.verdict, heard(result)) == (Verdict.MANUAL, LISTEN[assertion.id])
    else:
        assert result.verdict is Verdict.PASS, "\n".join([result.reason, *result.transcript])
        far_end = FAR_ENDS.get(assertion.id, "")
        assert result.reason == (f"with a transfer that ends in {far_end}" if far_end else "")


def test_no_test_of_the_sample_is_left_out() -> None:
    folders = {
        f"{version}/{folder.name}"
        for version in ("vxml20", "vxml21")
        for folder in (W3C / version).iterdir()
    }
    assert folders == {each.id for each in REPORTED} | WITHOUT_DOCUMENTS
