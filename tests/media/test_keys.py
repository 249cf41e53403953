"""Keys through the engine: those that come, as events and as tones, and those that are sent."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.media.world import (
    World,
    heard_through,
    press,
    ramp,
    sine,
    stream_to,
)
from vxml_server.dtmf import event_packets, tone
from vxml_server.media import Codec, Direction, rtp


@pytest.mark.parametrize("direction", [Direction.SENDONLY, Direction.INACTIVE])
def test_a_channel_that_does_not_receive_hears_no_keys(direction: Direction) -> None:
    world = World()
    _, heard, far = world.call(direction=direction)
    press(world, far, "5")
    far.speak(tone("7", 200))
    world.run(10)
    assert heard.keys == []


def test_an_event_is_a_key_once_with_the_time_of_its_detection() -> None:
    world = World()
    _, heard, far = world.call()
    world.run(5)
    for key in "1234567890*#ABCD":
        press(world, far, key)
    assert heard.pressed == "1234567890*#ABCD"
    assert {source for _, source, _ in heard.keys} == {"rfc4733"}
    assert heard.keys[0][2] == pytest.approx(0.1)


@pytest.mark.parametrize("codec", list(Codec))
def test_tones_in_the_audio_are_keys(codec: Codec) -> None:
    world = World()
    _, heard, far = world.call(codec=codec, payload_type_receive=8)
    for key in "1590#":
        far.speak(np.concatenate([tone(key, 100), np.zeros(800, np.int16)]), codec, number=8)
    assert heard.pressed == "1590#"
    assert {source for _, source, _ in heard.keys} == {"inband"}


def test_after_the_first_event_tones_are_not_listened_for() -> None:
    world = World()
    _, heard, far = world.call()
    press(world, far, "1")
    far.speak(np.concatenate([tone("2", 200), np.zeros(800, np.int16)]))
    world.run(10)
    assert heard.pressed == "1"


def test_the_next_call_of_a_row_is_listened_to_again() -> None:
    world = World()
    channel, _, far = world.call()
    press(world, far, "1")
    channel.close()
    world.run()
    _, heard, far = world.call(5002)
    far.speak(np.concatenate([tone("2", 200), np.zeros(800, np.int16)]))
    assert heard.pressed == "2"


def test_a_captured_key_played_twice_is_two_keys() -> None:
    """Players of captures send the same SSRC, sequence numbers and timestamps again."""
    world = World()
    _, heard, far = world.call()
    for _ in range(2):
        far.sequence, far.timestamp = 4711, 99
        press(world, far, "1")
        world.run(20)
    assert heard.pressed == "11"


def test_keys_from_another_source_of_the_same_host_leave_the_audio_alone() -> None:
    world = World()
    channel, heard, far = world.call()
    far.speak(sine(0.4))
    far.ssrc, ssrc = 99, far.ssrc
    press(world, far, "1")
    far.ssrc = ssrc
    assert heard.pressed == "1"
    assert channel.statistics().packets_dropped == 0


@pytest.mark.parametrize("ptime", [10, 20, 40])
def test_keys_are_sent_as_events_where_they_were_agreed(ptime: int) -> None:
    world = World()
    channel, _, far = world.call(ptime_ms=ptime)
    world.run(4)
    channel.send_keys("1d", duration_ms=80, gap_ms=60)
    world.run(40)
    events = [p for p in far.packets if p.payload_type == 101]
    by_time: dict[int, list[bytes]] = {}
    for event in events:
        by_time.setdefault(event.timestamp, []).append(event.payload)
    assert [
        [p.payload for p in event_packets(key, duration_ms=80, ptime_ms=ptime)] for key in "1D"
    ] == list(by_time.values())
    assert [event.marker for event in events].count(True) == 2
    for before, after in itertools.pairwise(far.packets):
        assert rtp.sequence_difference(after.sequence, before.sequence) == 1
        if after.payload_type == 0 == before.payload_type:
            assert rtp.timestamp_difference(after.timestamp, before.timestamp) == 8 * ptime
    between = far.packets[far.packets.index(events[len(events) // 2 - 1]) + 1 :]
    gap = itertools.takewhile(lambda p: p.payload_type == 0, between)
    assert sum(len(p.payload) for p in gap) >= 60 * 8


def test_keys_are_sent_as_tones_where_events_were_not_agreed() -> None:
    world = World()
    channel, _, far = world.call(event_payload_type_send=None)
    prompt = ramp(1600)
    channel.send_keys("4", duration_ms=100, gap_ms=100)
    channel.play(prompt)
    world.run(25)
    expected = np.concatenate([tone("4", 100), np.zeros(800, np.int16), prompt])
    assert np.array_equal(far.audio()[: len(expected)], heard_through(expected))


def test_keys_that_wait_are_given_up_when_the_stream_stops_sending() -> None:
    world = World()
    channel, _, far = world.call()
    channel.send_keys("123")
    world.run(2)
    channel.configure(stream_to(direction=Direction.INACTIVE))
    channel.send_keys("4")
    channel.configure(stream_to())
    world.run(50)
    assert sum(p.payload_type == 101 for p in far.packets) == 2


@pytest.mark.parametrize(
    ("keys", "duration", "gap"),
    [("1x", 100, 100), ("1", 0, 100), ("1", 9000, 100), ("1", 100, -1), ("1", 100, 60000)],
)
def test_what_is_no_key_is_refused(keys: str, duration: int, gap: int) -> None:
    channel, _, _ = World().call()
    with pytest.raises(ValueError):
        channel.send_keys(keys, duration, gap)
