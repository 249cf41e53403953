"""The counts of RFC 3550 appendix A, by its own definitions."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.media.reception import FASTEST_OF, MAX_DROPOUT, MAX_MISORDER, Order, Reception

u16 = st.integers(0, 0xFFFF)


@given(u16, st.integers(1, 400))
def test_a_whole_sequence_is_next_and_next(first: int, count: int) -> None:
    source = Reception(1, first)
    orders = {source.update((first + n) & 0xFFFF) for n in range(count)}
    assert orders == {Order.NEXT}
    assert (source.expected, source.received, source.lost) == (count, count, 0)
    assert source.highest == first + count - 1


@given(u16, st.sets(st.integers(1, 98), max_size=50), st.randoms())
def test_loss_is_what_never_came_in_whatever_order_the_rest_did(
    first: int, missing: set[int], chaos: random.Random
) -> None:
    source = Reception(1, first)
    numbers = [n for n in range(1, 99) if n not in missing]
    chaos.shuffle(numbers)
    source.update(first)
    for number in [*numbers, *numbers[:10], 99]:
        source.update((first + number) & 0xFFFF)
    assert source.lost == len(missing)
    assert source.duplicated == len(numbers[:10])
    assert source.cumulative_lost == len(missing) - len(numbers[:10])


def test_an_overtaken_packet_and_its_repetition_are_told_apart() -> None:
    source = Reception(1, 65534)
    orders = [source.update(number) for number in (65534, 0, 65535, 65535, 0, 1)]
    assert orders == [
        Order.NEXT,
        Order.NEXT,
        Order.BEHIND,
        Order.DUPLICATE,
        Order.DUPLICATE,
        Order.NEXT,
    ]


@pytest.mark.parametrize("jump", [MAX_DROPOUT, 20000, 65536 - MAX_MISORDER - 3])
def test_a_jump_is_believed_when_the_next_packet_confirms_it(jump: int) -> None:
    source = Reception(1, 5)
    source.update(5)
    assert source.update(5 + jump) is Order.STRAY
    assert source.update(6) is Order.NEXT
    assert source.update(6 + jump) is Order.STRAY
    assert source.update(7 + jump) is Order.RESTART
    assert source.update(8 + jump) is Order.NEXT
    assert (source.expected, source.received) == (2, 2)


def test_the_fraction_lost_is_of_the_time_since_the_last_report() -> None:
    source = Reception(1, 0)
    for number in range(100):
        if number % 4:
            source.update(number)
    assert source.fraction_lost() == (25 << 8) // 100
    for number in range(100, 200):
        source.update(number)
    assert source.fraction_lost() == 0
    assert source.fraction_lost() == 0


def test_duplicates_make_the_rtcp_loss_negative_and_no_fraction() -> None:
    source = Reception(1, 0)
    for number in range(10):
        source.update(number)
        source.update(number)
    assert source.cumulative_lost == -10
    assert source.fraction_lost() == 0
    assert source.lost == 0


def test_jitter_settles_at_the_mean_change_of_transit() -> None:
    source = Reception(1, 0)
    for number in range(1000):
        source.arrived((0xFFFFF000 + 160 * number) & 0xFFFFFFFF, 160 * number + 40 * (number % 2))
    assert source.jitter == pytest.approx(40, rel=0.01)


def test_a_clock_that_is_set_is_not_jitter() -> None:
    source = Reception(1, 0)
    for number in range(100):
        source.arrived(160 * number, 160 * number + (80_000_000 if number >= 50 else 0))
    assert source.jitter == 0


def test_when_a_packet_was_due_is_said_by_the_fastest_of_late() -> None:
    source = Reception(1, 5)
    due = []
    for number, late in enumerate((30, 10, 50, 10, 0, 20)):
        source.arrived((0xFFFFFF00 + 160 * number) & 0xFFFFFFFF, 1000 + 160 * number + late)
        due.append(source.due - 1000 - 160 * number)
    assert due == [30, 10, 10, 10, 0, 0]


def test_a_sender_whose_clock_is_slow_is_followed() -> None:
    source = Reception(1, 5)
    for number in range(4 * FASTEST_OF):
        source.arrived(160 * number, 161 * number + 40 * (number % 3))
    behind = 161 * number - source.due
    assert 0 <= behind <= 2 * FASTEST_OF


def test_a_clock_that_is_set_begins_anew_with_what_is_due() -> None:
    source = Reception(1, 5)
    for number in range(100):
        source.arrived(160 * number, 160 * number + (80_000_000 if number >= 50 else 0))
    assert source.due == 160 * 99 + 80_000_000
