"""Channels that hear each other."""

from __future__ import annotations

import numpy as np
import pytest

from tests.media.world import (
    World,
    heard_through,
    press,
    sine,
)
from vxml_server.dtmf import event_packets, tone
from vxml_server.media import Codec
from vxml_server.media.play import ENCODE


def test_bridged_channels_hear_each_other_in_their_own_codes() -> None:
    world = World()
    a, _, far_a = world.call()
    b, _, far_b = world.call(5002, codec=Codec.PCMA, payload_type_send=8, payload_type_receive=8)
    world.engine.bridge(a, b)
    high, low = sine(1, 800), sine(1, 300)
    for start in range(0, 8000, 160):
        far_a.send(far_a.packet(ENCODE[Codec.PCMU](high[start : start + 160]).tobytes()))
        far_b.send(
            far_b.packet(ENCODE[Codec.PCMA](low[start : start + 160]).tobytes(), payload_type=8)
        )
        world.run()
    delay = 2 * 160
    there = far_b.audio(Codec.PCMA, 8)[delay:8000]
    back = far_a.audio()[delay:8000]
    assert np.abs(there.astype(int) - high[: len(there)]).max() < 700
    assert np.abs(back.astype(int) - low[: len(back)]).max() < 700
    world.engine.unbridge(b)
    world.engine.unbridge(b)
    far_a.speak(high)
    assert not far_b.audio(Codec.PCMA, 8)[-4000:].any() or set(far_b.packets[-1].payload) == {0xD5}


def test_a_playback_on_a_bridged_channel_is_mixed_and_bent_where_it_is_loud() -> None:
    world = World()
    a, _, far_a = world.call()
    b, heard, far_b = world.call(5002)
    world.engine.bridge(a, b)
    loud = np.full(8000, 30000, np.int16)
    far_a.speak(loud[:4000])
    playback = b.play(np.full(1600, 5000, np.int16))
    far_a.speak(loud[:4000])
    audio = far_b.audio()
    assert 30076 < audio.max() < 32124  # 30000, 35000 bent, and full scale
    assert heard.ended == [(playback, 1600, True)]
    only_voice = heard_through(heard_through(loud))[0]
    assert set(audio[-160:]) == {only_voice}


def test_keys_pass_a_bridge_and_are_told() -> None:
    world = World()
    a, heard, far_a = world.call()
    b, other, far_b = world.call(5002)
    world.engine.bridge(a, b)
    press(world, far_a, "7")
    world.run(10)
    assert heard.pressed == "7"
    assert other.pressed == ""
    events = [p.payload for p in far_b.packets if p.payload_type == 101]
    assert events == [p.payload for p in event_packets("7")]


def test_keys_pass_a_bridge_as_tones_where_events_were_not_agreed() -> None:
    world = World()
    a, _, far_a = world.call()
    b, _, far_b = world.call(5002, event_payload_type_send=None)
    world.engine.bridge(a, b)
    press(world, far_a, "7")
    world.run(10)
    sound = far_b.audio()
    begin = np.flatnonzero(sound)[0] // 160 * 160
    assert np.array_equal(sound[begin : begin + 800], heard_through(tone("7", 100)))


def test_keys_do_not_pass_a_bridge_that_keeps_them() -> None:
    world = World()
    a, heard, far_a = world.call()
    b, _, far_b = world.call(5002)
    world.engine.bridge(a, b, keys_pass=False)
    press(world, far_a, "7")
    world.run(10)
    assert heard.pressed == "7"
    assert not any(p.payload_type == 101 for p in far_b.packets)


def test_a_bridge_ends_with_either_channel_and_with_a_new_bridge() -> None:
    world = World()
    (a, _, far_a), (b, _, far_b), (c, _, far_c) = (world.call(port) for port in (5000, 5002, 5004))
    world.engine.bridge(a, b)
    world.engine.bridge(b, c)
    far_a.speak(sine(0.5))
    assert not far_b.audio().any()
    far_c.speak(sine(0.5))
    assert far_b.audio().any()
    b.close()
    world.engine.bridge(c, b)
    far_c.speak(sine(0.5))
    assert len(far_c.packets) == world.ticks
    with pytest.raises(ValueError):
        world.engine.bridge(a, a)


def test_a_lost_packet_is_bridged_over() -> None:
    world = World()
    a, _, far_a = world.call()
    b, _, far_b = world.call(5002)
    world.engine.bridge(a, b)
    octets = ENCODE[Codec.PCMU](sine(1)).tobytes()
    for number in range(50):
        packet = far_a.packet(octets[160 * number : 160 * number + 160])
        if number != 20:
            far_a.send(packet)
        world.run()
    frames = far_b.audio().reshape(-1, 160)
    assert all(np.abs(frame).max() > 4000 for frame in frames[2:50])
