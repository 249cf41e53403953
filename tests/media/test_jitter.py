"""The jitter buffer, alone: what comes in as packets comes out as frames, in order, in time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from vxml_server.media.jitter import (
    FIRST_DELAY,
    LATE_RUN,
    MAX_AHEAD,
    MAX_PAYLOAD,
    RING,
    WHOLE,
    JitterBuffer,
    Placement,
    Timeline,
    units,
)
from vxml_server.media.stream import FRAME


@dataclass
class Playout:
    """A buffer in the middle of a timeline, and what is read of it tick by tick."""

    start: int = 0xFFFFF000  # the sender's first timestamp: the wrap is near
    buffer: JitterBuffer = field(default_factory=lambda: JitterBuffer(Timeline(3), 1))
    tick: int = 1000
    octets: list[bytes] = field(default_factory=list)
    present: list[int] = field(default_factory=list)

    def put(
        self, at: int, samples: int = FRAME, *, newest: bool = True, marker: bool = False
    ) -> Placement:
        """A packet of the sender's samples from `at` on; sample n is the octet n % 251."""
        payload = bytes((at + n) % 251 for n in range(samples))
        return self.buffer.put(
            (self.start + at) & 0xFFFFFFFF,
            memoryview(payload),
            self.tick,
            newest=newest,
            marker=marker,
        )

    def next(self, ticks: int = 1) -> None:
        timeline = self.buffer.timeline
        for _ in range(ticks):
            self.octets.append(timeline.octets[self.tick % RING, 1].tobytes())
            self.present.append(int(timeline.present[self.tick % RING, 1]))
            assert not timeline.present[:, [0, 2]].any()
            timeline.clear_tick(self.tick)
            self.tick += 1

    @property
    def heard(self) -> list[int | None]:
        """The number of the sender's frame in each tick; None where one is missing."""
        numbers: list[int | None] = []
        for octets, present in zip(self.octets, self.present, strict=True):
            assert present in {0, WHOLE}
            # Frame n begins with octet 160 n % 251, and 160 and 251 have no common factor.
            number = None
            if present:
                number = next(n for n in range(251) if FRAME * n % 251 == octets[0])
                assert octets == bytes((FRAME * number + i) % 251 for i in range(FRAME))
            numbers.append(number)
        return numbers


def test_packets_in_time_are_heard_after_the_first_delay() -> None:
    play = Playout()
    for number in range(50):
        play.put(number * FRAME)
        play.next()
    assert play.heard == [None] * FIRST_DELAY + list(range(50 - FIRST_DELAY))


@pytest.mark.parametrize("samples", [80, 160, 240, 320, 400, 480, 800, 1600])
def test_packets_of_any_length_become_whole_frames(samples: int) -> None:
    play = Playout()
    sent = 0
    while len(play.octets) < 240:
        while sent <= (play.tick - 1000) * FRAME:
            play.put(sent, samples)
            sent += samples
        play.next()
    assert play.heard == [None] * FIRST_DELAY + list(range(len(play.octets) - FIRST_DELAY))


@given(st.permutations(range(6)))
def test_reordered_packets_are_put_in_order(order: list[int]) -> None:
    play = Playout()
    play.put(0)
    highest = 0
    for number in order:
        assert play.put((number + 1) * FRAME, newest=number + 1 > highest) is Placement.PLACED
        highest = max(highest, number + 1)
    play.next(FIRST_DELAY + 7)
    assert play.heard == [None] * FIRST_DELAY + list(range(7))


def test_a_duplicate_changes_nothing() -> None:
    play = Playout()
    for number in range(10):
        play.put(number * FRAME)
        play.put(number * FRAME, newest=False)
        play.next()
    assert play.heard[FIRST_DELAY:] == list(range(8))


def test_a_lost_packet_leaves_its_place_empty() -> None:
    play = Playout()
    for number in range(10):
        if number != 4:
            play.put(number * FRAME)
        play.next()
    assert play.heard[FIRST_DELAY:] == [0, 1, 2, 3, None, 5, 6, 7]


def test_half_a_frame_is_known_as_half() -> None:
    play = Playout()
    play.put(0, 240)
    play.put(480, 240)
    play.next(FIRST_DELAY + 5)
    assert play.present[FIRST_DELAY:] == [WHOLE, 0x00FF, 0, WHOLE, 0x00FF]


@given(st.integers(0, FRAME), st.integers(0, FRAME))
def test_units_are_the_bits_of_a_range(start: int, end: int) -> None:
    start, end = min(start, end), max(start, end)
    bits = [n for n in range(16) if units(start, end) >> n & 1]
    assert bits == list(range(bits[0], bits[-1] + 1) if bits else [])
    assert abs(10 * len(bits) - (end - start)) <= 10


def test_an_overtaken_packet_after_its_turn_is_late() -> None:
    play = Playout()
    for number in range(10):
        if number != 4:
            play.put(number * FRAME)
        play.next()
    assert play.put(4 * FRAME, newest=False) is Placement.LATE
    assert play.put(200 * FRAME, newest=False) is Placement.EARLY
    play.buffer.reset()
    assert play.put(4 * FRAME, newest=False) is Placement.LATE


def test_a_long_packet_that_is_partly_late_is_heard_from_where_it_is_not() -> None:
    play = Playout()
    play.put(0, 480)
    play.next(FIRST_DELAY + 4)
    assert play.put(480, 480) is Placement.PLACED
    play.next(3)
    # A tick late, and so the timeline moved by one.
    assert play.heard[FIRST_DELAY:] == [0, 1, 2, None, 3, 4, 5]


def test_what_is_left_of_a_long_packet_after_its_turn_is_heard() -> None:
    play = Playout()
    play.put(0, 480)
    play.next(FIRST_DELAY + 5)
    assert play.put(480, 480) is Placement.PLACED
    play.next(3)
    # Two ticks late: one is given, the other is cut off the packet.
    assert play.heard[FIRST_DELAY:] == [0, 1, 2, None, None, 4, 5, None]


def test_a_delay_that_grows_for_good_is_followed() -> None:
    play = Playout()
    for number in range(20):
        play.put(number * FRAME)
        play.next()
    play.next(5)
    for number in range(20, 60):
        play.put(number * FRAME)
        play.next()
    assert play.heard[-20:] == list(range(play.heard[-20] or 0, (play.heard[-20] or 0) + 20))


def test_a_burst_after_a_pause_of_the_network_does_not_delay_for_ever() -> None:
    play = Playout()
    for number in range(20):
        play.put(number * FRAME)
        play.next()
    play.next(50)
    for number in range(20, 71):
        play.put(number * FRAME)
    for number in range(71, 120):
        play.next()
        play.put(number * FRAME)
    delay = 119 - (play.heard[-1] or 0)
    assert delay <= MAX_AHEAD + 1


def test_a_talk_spurt_with_a_timestamp_of_its_own_begins_anew() -> None:
    play = Playout()
    for number in range(10):
        play.put(number * FRAME)
        play.next()
    play.next(5)
    # The sender's timestamp stood still while it was silent, or it jumped: the marker says so.
    for number in range(10, 20):
        play.put(number * FRAME + 8_000_000, marker=number == 10)
        play.next()
    assert play.present[-8:] == [WHOLE] * 8


def test_timestamps_that_go_back_without_a_word_are_followed_after_a_moment() -> None:
    play = Playout()
    for number in range(300, 320):
        play.put(number * FRAME)
        play.next()
    for number in range(50):
        play.put(number * FRAME)
        play.next()
    assert play.heard[-40:] == list(range(50 - 40 - FIRST_DELAY, 50 - FIRST_DELAY))
    assert play.heard[20 : 20 + LATE_RUN].count(None) >= LATE_RUN - FIRST_DELAY


@pytest.mark.parametrize("rate", [0.998, 1.002])
def test_a_clock_that_drifts_is_followed_without_falling_behind(rate: float) -> None:
    """Two per mille is twenty times what clocks are allowed: a frame each ten seconds."""
    play = Playout()
    sent = 0
    for tick in range(5000):
        while sent <= tick * rate:
            play.put(sent * FRAME)
            sent += 1
        play.next()
    missing = play.heard[FIRST_DELAY:].count(None)
    assert missing <= 15
    position = play.buffer._position // FRAME - play.tick
    assert -1 <= position <= 4


def test_jitter_is_absorbed_once_the_delay_has_grown() -> None:
    chaos = random.Random(5)
    play = Playout()
    arrivals: dict[int, list[int]] = {}
    for number in range(1500):
        arrivals.setdefault(number + chaos.choice([0, 0, 0, 1, 2, 3]), []).append(number)
    highest = -1
    for tick in range(1500):
        for number in arrivals.get(tick, []):
            play.put(number * FRAME, newest=number > highest)
            highest = max(highest, number)
        play.next()
    assert play.heard[50:].count(None) < 0.02 * 1450


def test_the_delay_is_given_back_when_it_is_not_needed() -> None:
    play = Playout()
    for number in range(2000):
        play.put(number * FRAME)
        play.next()
    assert play.buffer._position // FRAME - play.tick == 0


@settings(max_examples=examples(200))
@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFFFFFF) | st.integers(0, 20 * FRAME),
            st.integers(1, MAX_PAYLOAD),
            st.booleans(),
            st.booleans(),
            st.integers(0, 40),
        ),
        max_size=60,
    )
)
def test_whatever_comes_is_written_within_the_ring_and_never_into_the_past(
    packets: list[tuple[int, int, bool, bool, int]],
) -> None:
    timeline = Timeline(2)
    buffer = JitterBuffer(timeline, 0)
    tick = 0
    for timestamp, size, newest, marker, wait in packets:
        buffer.put(timestamp, memoryview(bytes(size)), tick, newest=newest, marker=marker)
        past = [(tick - n) % RING for n in range(1, RING - MAX_AHEAD - 12)]
        assert not timeline.present[past].any()
        assert not timeline.present[:, 1].any()
        for _ in range(wait):
            timeline.clear_tick(tick)
            tick += 1


def test_a_timeline_that_grows_keeps_what_is_on_it() -> None:
    play = Playout()
    play.put(0, 800)
    play.buffer.timeline.grow(9)
    play.next(FIRST_DELAY + 5)
    assert play.heard[FIRST_DELAY:] == [0, 1, 2, 3, 4]
    assert play.buffer.timeline.octets.shape == (RING, 9, FRAME)
    play.put(5 * FRAME)
    play.buffer.timeline.clear_channel(1)
    assert not np.any(play.buffer.timeline.present)
