from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.dtmf import KeyMerger

SOURCES = ("rfc4733", "info", "inband")


def told(*tellings: tuple[str, str, float]) -> str:
    """The presses that one merger makes of (key, source, at)."""
    merger = KeyMerger()
    return "".join(key for key, source, at in tellings if merger.press(key, source, at))


def test_a_key_told_by_three_sources_is_one_press() -> None:
    assert told(("5", "rfc4733", 0.0), ("5", "inband", 0.05), ("5", "info", 0.3)) == "5"


def test_the_same_key_twice_from_one_source_is_two_presses() -> None:
    assert told(("5", "inband", 0.0), ("5", "inband", 0.1)) == "55"


def test_two_presses_told_twice_are_two_however_late_the_second_telling_comes() -> None:
    late = ("5", "rfc4733", 0.0), ("5", "rfc4733", 0.2), ("5", "info", 0.3), ("5", "info", 0.5)
    assert told(*late) == "55"


def test_other_keys_in_between_do_not_hide_that_a_press_was_told_before() -> None:
    """Comparing with the latest press alone made `1 2 1` of this."""
    assert told(("1", "rfc4733", 0.0), ("2", "rfc4733", 0.2), ("1", "inband", 0.25)) == "12"


def test_the_source_that_tells_first_may_change_from_press_to_press() -> None:
    first = ("1", "rfc4733", 0.0), ("1", "inband", 0.04)
    assert told(*first, ("1", "inband", 0.2), ("1", "rfc4733", 0.24)) == "11"


def test_a_press_that_one_source_missed_is_told_by_the_other() -> None:
    assert told(("1", "inband", 0.0), ("1", "rfc4733", 1.0), ("1", "inband", 1.05)) == "11"


def test_a_key_told_long_after_is_another_press() -> None:
    assert told(("9", "rfc4733", 0.0), ("9", "info", 0.5)) == "99"


def test_a_source_that_tells_at_the_end_of_a_long_press_gives_its_duration() -> None:
    merger = KeyMerger()
    assert merger.press("9", "rfc4733", 0.0)
    assert not merger.press("9", "info", 2.1, duration=2.0)
    assert merger.press("9", "info", 2.6, duration=0.1)


@pytest.mark.parametrize("duration", [-1.0, 3600.0])
def test_an_impossible_duration_claims_no_press_of_long_ago(duration: float) -> None:
    merger = KeyMerger()
    assert merger.press("9", "rfc4733", 0.0)
    assert merger.press("9", "info", 30.0, duration=duration)


def test_telling_may_be_somewhat_out_of_order() -> None:
    assert told(("3", "info", 1.0), ("3", "inband", 0.9)) == "3"


@given(
    st.lists(st.sampled_from("12#"), max_size=80),
    st.lists(st.floats(0.0, 0.15), min_size=3, max_size=3),
    st.floats(0.06, 0.3),
)
def test_any_sequence_told_by_all_sources_at_their_own_delays_is_told_once(
    keys: list[str], delays: list[float], pace: float
) -> None:
    tellings = sorted(
        (number * pace + delay, number, source, key)
        for number, key in enumerate(keys)
        for source, delay in zip(SOURCES, delays, strict=True)
    )
    heard = told(*((key, source, at) for at, _, source, key in tellings))
    assert heard == "".join(keys)
