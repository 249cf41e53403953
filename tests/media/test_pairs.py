"""Taps of two parties at once, over a network in memory."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.media.tones import dialled, tone_milliseconds
from tests.media.world import Both, FarEnd, World, heard_through, ramp
from vxml_server.media import Codec
from vxml_server.media.play import ENCODE
from vxml_server.media.stream import FRAME

LATE = 2 * FRAME


def talk(
    world: World, a: FarEnd, b: FarEnd, left: NDArray[np.int16], right: NDArray[np.int16]
) -> None:
    """Both speak at once, 20 ms a tick."""
    one, other = (ENCODE[Codec.PCMU](pcm).tobytes() for pcm in (left, right))
    for place in range(0, len(one), FRAME):
        a.send(a.packet(one[place : place + FRAME]))
        b.send(b.packet(other[place : place + FRAME]))
        world.run()


def start(samples: NDArray[np.int16]) -> int:
    return int(np.flatnonzero(np.abs(samples) > 500)[0])


@pytest.mark.parametrize("without_keys", [False, True])
@pytest.mark.parametrize("mute_keys", [False, True])
def test_two_parties_are_heard_aligned_to_the_sample(mute_keys: bool, without_keys: bool) -> None:
    world = World(mute_keys=mute_keys)
    a, _, far_a = world.call()
    b, _, far_b = world.call(5002)
    both = Both()
    world.engine.bridge(a, b)
    world.engine.tap_pair(a, b, both, without_keys=without_keys)
    sound = ramp(50 * FRAME)
    quiet = np.zeros(5 * FRAME, np.int16)
    said = np.concatenate([quiet, sound, quiet])
    talk(world, far_a, far_b, said, -said)
    world.run(10)
    left, right = both.audio()
    assert start(left) == start(right)
    expected = heard_through(sound)
    place = start(left)
    assert np.array_equal(left[place : place + len(expected)], expected)
    assert np.array_equal(right[place : place + len(expected)], heard_through(-sound))


def test_a_tap_of_two_without_keys_hears_none_though_the_parties_do() -> None:
    world = World()
    a, heard, far_a = world.call()
    b, _, far_b = world.call(5002)
    with_keys, without_keys = Both(), Both()
    world.engine.bridge(a, b)
    world.engine.tap_pair(a, b, with_keys)
    world.engine.tap_pair(a, b, without_keys, without_keys=True)
    far_a.speak(dialled("5"))
    world.run(10)
    assert heard.pressed == "5"
    assert tone_milliseconds(far_b.audio(), "5") >= 95
    assert tone_milliseconds(with_keys.audio()[0], "5") >= 95
    assert tone_milliseconds(without_keys.audio()[0], "5") <= 20


def test_a_tap_of_two_without_keys_hears_none_of_a_telephone_that_sends_events_too() -> None:
    """After its first event a channel is searched for tones only if somebody needs to know."""
    world = World()
    a, _, far_a = world.call()
    b, _, _ = world.call(5002)
    both = Both()
    world.engine.tap_pair(a, b, both, without_keys=True)
    world.run()
    world.engine._detector.listening[:] = False
    far_a.speak(dialled("5"))
    world.run(5)
    assert tone_milliseconds(both.audio()[0], "5") <= 20


def test_a_party_that_is_gone_is_silent_and_the_other_is_still_heard() -> None:
    world = World()
    a, _, far_a = world.call()
    b, _, far_b = world.call(5002)
    both = Both()
    world.engine.tap_pair(a, b, both)
    talk(world, far_a, far_b, ramp(10 * FRAME), ramp(10 * FRAME))
    b.close()
    other, _, far_c = world.call(5004)  # takes the row that is free again
    talk(world, far_a, far_c, ramp(10 * FRAME), ramp(10 * FRAME))
    left, right = both.audio()
    assert len(left) == len(right) == 20 * FRAME
    assert np.abs(left[12 * FRAME :]).max() > 500
    assert not right[10 * FRAME :].any()
    assert other.state.row == 1
    a.close()
    world.run(5)
    assert len(both.left) == 20


def test_a_tap_of_two_ends_when_it_is_told_to() -> None:
    world = World()
    a, _, _ = world.call()
    b, _, _ = world.call(5002)
    both = Both()
    world.engine.tap_pair(a, b, both, without_keys=True)
    world.run(3)
    assert world.engine._detector.always
    world.engine.untap_pair(both)
    world.engine.untap_pair(both)
    world.run(3)
    assert len(both.left) == 3
    assert not world.engine._detector.always


@pytest.mark.parametrize("how", ["told", "closed"])
def test_a_tap_of_two_is_given_what_is_on_its_way_at_the_end(how: str) -> None:
    world = World()
    a, _, far_a = world.call()
    b, _, far_b = world.call(5002)
    both, over = Both(), []
    for _ in range(4):  # the other's network brings a lot at once, and it waits for long
        far_b.send(far_b.packet(bytes([0xFF]) * FRAME))
    world.engine.tap_pair(a, b, both)
    said = ramp(20 * FRAME)
    talk(world, far_a, far_b, said, np.zeros(20 * FRAME, np.int16))
    world.run(2)  # his last words have left the jitter buffer
    if how == "closed":
        a.close()
        b.close()
        world.run()
    ticks = len(both.left)
    world.engine.untap_pair(both, lambda: over.append(len(both.left)))
    assert over == []
    world.run()
    left, right = both.audio()
    place = start(left)
    assert np.array_equal(left[place : place + len(said)], heard_through(said))
    assert len(left) == len(right)
    assert over == [len(both.left)]
    assert ticks <= len(both.left)


def test_what_ends_a_tap_of_two_when_there_are_no_more_ticks_is_told_at_once() -> None:
    world = World()
    a, _, _ = world.call()
    b, _, _ = world.call(5002)
    both, over = Both(), []
    world.engine.tap_pair(a, b, both)
    world.run(3)
    world.engine.stop()
    world.engine.untap_pair(both, lambda: over.append("over"))
    assert over == ["over"]


def test_a_tap_of_two_that_fails_is_removed_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    a, _, _ = world.call()
    b, _, _ = world.call(5002)
    bad, good = Both(fails=True), Both()
    world.engine.tap_pair(a, b, bad)
    world.engine.tap_pair(a, b, good)
    world.run(3)
    assert (len(bad.left), len(good.left)) == (1, 3)
    assert "a tap of two channels failed" in caplog.text
