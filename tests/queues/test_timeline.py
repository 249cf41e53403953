"""The time of a worker's rows, whatever somebody does to the system's clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
