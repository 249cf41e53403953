"""The time of a worker's rows, whatever somebody does to the system's clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.queues.killable import SteppedClock
from vxml_server.queues.timeline import SLEW, Timeline


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.001, 100.0)), max_size=20))
def test_between_two_moments_it_runs_a_twentieth_faster_or_slower_at_most(
    steps: list[tuple[float, float]],
) -> None:
    clock = SteppedClock()
    timeline = Timeline(clock)
    for ahead, seconds in steps:
        clock.ahead = ahead
        before = timeline.now()
        clock.advance(seconds)
        assert (1 - SLEW) * seconds - 1e-5 <= timeline.now() - before
        assert timeline.now() - before <= (1 + SLEW) * seconds + 1e-5


@pytest.mark.parametrize("step", [-60.0, 60.0])
def test_a_step_of_the_clock_is_followed_in_the_end(step: float) -> None:
    clock = SteppedClock()
    timeline = Timeline(clock)
    clock.ahead = step
    for _ in range(1300):
        clock.advance(1.0)
        timeline.now()
    assert timeline.now() == pytest.approx(clock.utc_now().timestamp(), abs=1e-3)


@pytest.mark.parametrize("step", [-7200.0, 7200.0])
def test_that_it_is_far_off_is_told_once_and_that_it_is_no_more(step: float) -> None:
    clock = SteppedClock()
    timeline = Timeline(clock)
    with capture_logs() as told:
        clock.ahead = 50.0
        clock.advance(1.0)
        timeline.now()
        clock.ahead = step
        clock.advance(1.0)
        timeline.now()
        assert timeline.ahead == pytest.approx(-step, abs=60.0)
        clock.advance(1.0)
        timeline.now()
        assert [(line["log_level"], line["ahead_s"]) for line in told] == [
            ("error", pytest.approx(-step, abs=60.0))
        ]
        while abs(timeline.ahead) > 1.0:
            clock.advance(600.0)
            timeline.now()
    assert [line["log_level"] for line in told] == ["error", "info"]
