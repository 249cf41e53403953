"""A little of the fuzzer, each time the tests run; `python -m tests.fuzz` is the whole of it."""

import gc
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.fuzz.runs import Runner, draw
from tests.interpreter.harness import call, heard


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


@settings(max_examples=examples(300), suppress_health_check=list(HealthCheck))
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


# Found by it --------------------------------------------------------------------------------------


async def test_a_subdialog_that_calls_itself_is_an_error_of_the_document() -> None:
    result = await call('<form id="a"><subdialog src="#a"/></form>')
    assert result.outcome.error == "error.semantic"
    assert "subdialogs" in result.outcome.message


@pytest.mark.parametrize("name", ["emphasis", "prosody", "voice"])
async def test_elements_without_end_are_a_bad_document(name: str) -> None:
    def page(depth: int) -> str:
        nested = f"<{name}>" * depth + "Hello" + f"</{name}>" * depth
        return f"<form><block><prompt>{nested}</prompt></block></form>"

    assert heard(await call(page(90))) == ["Hello"]
    assert (await call(page(240))).outcome.error == "error.badfetch"


async def test_a_form_of_endless_expressions_ends() -> None:
    fields = "<field expr=\"new Array(1e9).join('x')\"/>" * 20
    assert (await call(f"<form>{fields}</form>")).outcome.error == "error.semantic"


async def test_a_grammar_that_may_be_any_age_is_a_bad_document() -> None:
    result = await call('<form><field><grammar src="g.grxml" maxage="soon"/></field></form>')
    assert result.outcome.error == "error.badfetch"
