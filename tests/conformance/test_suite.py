"""Our own conformance suite: an assertion for each sentence of VoiceXML 2.0 and 2.1 that binds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from vxml_server.testing import Verdict, discover
from vxml_server.testing.assertions import Scripted
from vxml_server.testing.conformance import run_assertion
from vxml_server.testing.site import Site

SUITE = Path(__file__).parent
ASSERTIONS = [each for each in discover(SUITE) if isinstance(each, Scripted)]


class Runner(NamedTuple):
    """A site on a loop of its own: one for all, since it takes longer than an assertion."""

    loop: asyncio.Runner
    site: Site


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with asyncio.Runner() as loop:
        site = Site(SUITE)
        loop.run(site.__aenter__())
        yield Runner(loop, site)
        loop.run(site.__aexit__(None, None, None))


@pytest.mark.parametrize("assertion", ASSERTIONS, ids=lambda assertion: assertion.id)
def test_the_interpreter_does_as_the_recommendation_says(
    runner: Runner, assertion: Scripted
) -> None:
    result = runner.loop.run(run_assertion(runner.site, assertion))
    if result.verdict is Verdict.NOT_IMPLEMENTED:
        pytest.skip(result.reason)
    transcript = "\n".join(result.transcript)
    assert result.verdict is Verdict.PASS, f"{assertion.text}\n{result.reason}\n{transcript}"
