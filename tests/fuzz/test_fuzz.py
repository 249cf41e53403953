"""A little of the fuzzer, each time the tests run; `python -m tests.fuzz` is the whole of it."""

import gc
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.runs import Runner, draw


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False))
def test_no_document_and_no_caller_break_the_interpreter(runner: Runner, random: Random) -> None:
    runner.run(draw(random))


@pytest.mark.parametrize("block", range(12))
def test_runs_with_known_seeds_end_as_a_call_may(runner: Runner, block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        try:
            runner.run(draw(Random(seed)))
        except Exception as failure:
            raise AssertionError(f"python -m tests.fuzz --seed {seed} --runs 1") from failure


def test_the_same_runs_leave_nothing_behind(runner: Runner) -> None:
    def objects() -> int:
        for seed in range(60):
            runner.run(draw(Random(seed)))
        gc.collect()
        return len(gc.get_objects())

    objects()
    before = objects()
    assert objects() - before < 500
