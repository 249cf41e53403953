"""Both parties of a pair side by side as they spoke, whatever their networks do."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.examples import examples
from tests.media.world import Both, FarEnd, World, heard_through
from vxml_server.media import Codec
from vxml_server.media.alignment import LONGEST, TOLERANCE, Alignment
from vxml_server.media.play import ENCODE
from vxml_server.media.stream import FRAME

ALIGNED = 2
"""Ticks (40 ms) that what was said at once may be apart."""


class Lines:
    """An alignment, fed with frames of their own number."""

    def __init__(self) -> None:
        self.alignment = Alignment()
        self.tick = 0
        self.left: list[int] = []
        self.right: list[int] = []

    def turn(self, left_waits: int | None, right_waits: int | None, ticks: int = 1) -> None:
        for _ in range(ticks):
            self.tick += 1
            frame = np.full(FRAME, self.tick, np.int16)
            left, right = self.alignment.turn(frame, -frame, left_waits, right_waits)
            self.left.append(int(left[0]))
            self.right.append(-int(right[0]))


def test_parties_who_wait_as_long_as_each_other_pass_unchanged() -> None:
    lines = Lines()
    lines.turn(None, None)
    lines.turn(500, None)
    lines.turn(500, 500 + FRAME // 2)
    lines.turn(500 + TOLERANCE, 500 + FRAME // 2 - TOLERANCE)
    assert lines.left == lines.right == [1, 2, 3, 4]


@pytest.mark.parametrize("frames", [1, 3, LONGEST])
def test_who_came_first_waits_for_the_other(frames: int) -> None:
    lines = Lines()
    lines.turn(0, frames * FRAME, frames + 3)
    assert lines.left == [0] * frames + [1, 2, 3]
    assert lines.right == list(range(1, frames + 4))


def test_a_frame_that_was_filled_because_a_packet_was_late_is_taken_out_again() -> None:
    """Of a party that waits in a line: the buffer of its own had nothing in tick 4."""
    lines = Lines()
    lines.turn(0, 2 * FRAME, 4)
    lines.turn(FRAME, 2 * FRAME, 4)
    assert lines.left == [0, 0, 1, 2, 3, 5, 6, 7]
    assert lines.right == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_frame_that_a_buffer_gave_up_is_silence() -> None:
    lines = Lines()
    lines.turn(FRAME, FRAME, 2)
    lines.turn(FRAME, 0, 3)
    assert lines.left == [1, 2, 3, 4, 5]
    assert lines.right == [1, 2, 0, 3, 4]


def test_the_longest_wait_so_far_holds_for_both() -> None:
    lines = Lines()
    lines.turn(0, 0, 2)
    lines.turn(FRAME, 0, 2)
    lines.turn(0, 0, 2)
    assert (lines.left, lines.right) == ([1, 2, 3, 4, 0, 5], [1, 2, 0, 3, 4, 5])


@pytest.mark.parametrize("step", [-80_000_000, -5000, 5000, 80_000_000])
def test_a_clock_that_is_set_costs_the_tick_in_which_one_party_knows_it(step: int) -> None:
    lines = Lines()
    lines.turn(0, FRAME, 3)
    lines.turn(step, FRAME)
    lines.turn(step, FRAME + step, 8)
    apart = [
        one - other for one, other in zip(lines.left, lines.right, strict=True) if one and other
    ]
    assert apart[:2] == [-1, -1]
    assert apart[-5:] == [-1] * 5


def test_who_waits_in_a_line_at_the_end_is_heard_to_his_last_frame() -> None:
    lines = Lines()
    lines.turn(0, 3 * FRAME, 5)
    rest = [(int(left[0]), int(right[0])) for left, right in lines.alignment.rest()]
    assert lines.left == [0, 0, 0, 1, 2]
    assert rest == [(3, 0), (4, 0), (5, 0)]


WAITS = st.integers(0, (LONGEST - 1) * FRAME)


@given(st.lists(st.tuples(WAITS, WAITS, st.integers(-(10**9), 10**9)), max_size=30))
@settings(max_examples=examples(200))
def test_both_come_to_the_same_total_at_once_whatever_they_waited_before(
    turns: list[tuple[int, int, int]],
) -> None:
    """The third number is the constant of the clocks, which may be set."""
    alignment, frame = Alignment(), np.zeros(FRAME, np.int16)
    for left, right, constant in turns:
        alignment.turn(frame, frame, left + constant, right + constant)
        lines = len(alignment._left), len(alignment._right)
        assert max(lines) <= LONGEST
        apart = left + lines[0] * FRAME - right - lines[1] * FRAME
        assert abs(apart) <= 2 * TOLERANCE


class Network:
    """A party whose packets take their time: ticks, by the number of the packet."""

    def __init__(self, far: FarEnd, sign: int, delays: dict[int, int]) -> None:
        self._far = far
        self._sign = sign
        self._delays = delays
        self._due: defaultdict[int, list[bytes]] = defaultdict(list)

    def tick(self, number: int) -> None:
        said = frame_of(number, self._sign)
        packet = self._far.packet(ENCODE[Codec.PCMU](said).tobytes())
        # One that is slow holds up those behind it, as a queue of a router does.
        self._due[number + self._delays.get(number, 0)].append(packet)
        for packet in self._due.pop(number, ()):
            self._far.send(packet)


def frame_of(number: int, sign: int) -> NDArray[np.int16]:
    """Noise that only this frame has."""
    noise = np.random.default_rng([number, sign + 1]).normal(0, 4000, FRAME).astype(np.int16)
    return heard_through(noise)


def delays_of(chaos: random.Random, ticks: int) -> dict[int, int]:
    """A network that is quick, then holds everything up for a while, then is quick again."""
    delays = {}
    number = 0
    while number < ticks:
        number += chaos.randrange(20, 200)
        held_up = chaos.randrange(1, 8)
        for behind in range(held_up):
            delays[number + behind] = held_up - behind
        number += held_up
    return delays


@pytest.mark.parametrize("seed", range(6))
def test_what_was_said_at_once_is_side_by_side_whatever_a_network_holds_up(seed: int) -> None:
    chaos, ticks = random.Random(seed), 1500
    world = World()
    a, _, far_a = world.call()
    b, _, far_b = world.call(5002)
    both = Both()
    parties = [
        Network(far_a, 1, delays_of(chaos, ticks) if seed % 2 else {}),
        Network(far_b, -1, delays_of(chaos, ticks)),
    ]
    world.engine.tap_pair(a, b, both)
    for number in range(ticks):
        for party in parties:
            party.tick(number)
        world.run()
    left = {frame_of(number, 1).tobytes(): number for number in range(ticks)}
    right = {frame_of(number, -1).tobytes(): number for number in range(ticks)}
    pairs = zip(both.left, both.right, strict=True)
    frames = [(one.tobytes(), other.tobytes()) for one, other in pairs]
    apart = Counter(
        left[one] - right[other] for one, other in frames if one in left and other in right
    )
    assert apart.total() > 0.9 * ticks
    assert apart[0] > 0.95 * apart.total()
    assert sum(apart[ticks] for ticks in apart if abs(ticks) > ALIGNED) < 0.01 * apart.total()
