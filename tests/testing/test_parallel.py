"""Work is shared among processes, and nobody sees it in the results."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from vxml_server.testing.parallel import FEW, in_order
from vxml_server.testing.results import Result, Verdict


def perform(jobs: Sequence[int]) -> list[Result]:
    return [Result(str(job), Verdict.PASS, section=str(os.getpid())) for job in jobs]


def test_few_jobs_are_done_here() -> None:
    results = list(in_order(range(FEW), perform))
    assert [result.id for result in results] == [str(job) for job in range(FEW)]
    assert {result.section for result in results} == {str(os.getpid())}


@pytest.mark.slow
@pytest.mark.integration
def test_many_jobs_are_done_elsewhere_and_come_in_order() -> None:
    results = list(in_order(range(70), perform, workers=2))
    assert [result.id for result in results] == [str(job) for job in range(70)]
    assert str(os.getpid()) not in {result.section for result in results}


def test_no_job_is_no_result() -> None:
    assert list(in_order([], perform)) == []
