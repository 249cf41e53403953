"""What a channel sends: sounds, silence, and nothing while it is held."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.media.world import (
    FarEnd,
    Heard,
    World,
    heard_through,
    press,
    ramp,
    stream_to,
)
from vxml_server.media import Codec, Direction, Sound, rtp


def test_a_configured_channel_sends_silence_without_a_pause() -> None:
    world = World()
    _, _, far = world.call()
    world.run(50)
    assert [p.tick for p in far.packets] == list(range(50))
    assert {p.payload for p in far.packets} == {b"\xff" * 160}
    assert [p.marker for p in far.packets] == [True] + [False] * 49
    assert len({p.ssrc for p in far.packets}) == 1
    for before, after in itertools.pairwise(far.packets):
        assert rtp.sequence_difference(after.sequence, before.sequence) == 1
        assert rtp.timestamp_difference(after.timestamp, before.timestamp) == 160


def test_nothing_is_sent_before_the_channel_is_configured() -> None:
    world = World()
    channel = world.engine.open(Heard())
    far = FarEnd(world, 5000, channel)
    channel.send_keys("1")
    world.run(400)
    assert far.packets == []
    assert far.control == []


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 50, 60])
def test_a_sound_arrives_whole_at_every_packet_length(codec: Codec, ptime: int) -> None:
    world = World()
    channel, heard, far = world.call(codec=codec, payload_type_send=77, ptime_ms=ptime)
    pcm = ramp(8000 + 37)
    playback = channel.play(pcm)
    world.run(66)
    assert {len(p.payload) for p in far.packets} == {8 * ptime}
    audio = far.audio(codec, 77)
    assert np.array_equal(audio[: len(pcm)], heard_through(pcm, codec))
    assert not audio[len(pcm) + 8 :].any() or codec is Codec.PCMA
    assert heard.ended == [(playback, len(pcm), True)]
    for before, after in itertools.pairwise(far.packets):
        assert rtp.timestamp_difference(after.timestamp, before.timestamp) == 8 * ptime
    assert len(far.packets) == 66 * 20 // ptime


def test_sounds_in_a_row_are_played_without_a_gap() -> None:
    world = World()
    channel, heard, far = world.call()
    lengths = [1, 159, 160, 161, 0, 1000, 0]
    sounds = [ramp(length) for length in lengths]
    playbacks = [channel.play(pcm) for pcm in sounds]
    world.run(20)
    expected = np.concatenate(sounds)
    assert np.array_equal(far.audio()[: len(expected)], heard_through(expected))
    assert heard.ended == [
        (playback, length, True) for playback, length in zip(playbacks, lengths, strict=True)
    ]
    assert len({playback.id for playback in playbacks}) == len(playbacks)


def test_an_empty_sound_alone_ends_at_once() -> None:
    world = World()
    channel, heard, _ = world.call()
    playback = channel.play([])
    world.run()
    assert heard.ended == [(playback, 0, True)]


def test_a_repeated_sound_goes_on_until_it_is_stopped() -> None:
    world = World()
    channel, heard, far = world.call()
    pcm = ramp(250)
    playback = channel.play(pcm, repeat=True)
    waiting = channel.play(ramp(100))
    world.run(100)
    channel.stop_playing()
    world.run(5)
    assert np.array_equal(far.audio()[:16000], heard_through(np.resize(pcm, 16000)))
    assert heard.ended == [(playback, 16000, False), (waiting, 0, False)]
    assert not far.audio()[16000:].any()


def test_a_sound_that_is_played_before_the_codec_is_known_is_played_all_the_same() -> None:
    world = World()
    heard = Heard()
    channel = world.engine.open(heard)
    far = FarEnd(world, 5000, channel)
    channel.play(Sound(ramp(320)))
    channel.configure(stream_to())
    world.run(3)
    assert np.array_equal(far.audio()[:320], heard_through(ramp(320)))


@pytest.mark.parametrize("ptime", [10, 20, 30, 60])
def test_stopped_speech_leaves_with_no_later_packet_and_its_end_is_told(ptime: int) -> None:
    world = World()
    channel, heard, far = world.call(ptime_ms=ptime)
    playback = channel.play(ramp(80000))
    world.run(50)
    stopped = world.ticks
    channel.stop_playing()
    world.run(10)
    late = [p for p in far.packets if p.tick >= stopped]
    assert all(set(p.payload) == {0xFF} for p in late[1:])
    spoken = np.flatnonzero(far.audio())[-1] + 1
    assert heard.ended == [(playback, spoken, False)]


def test_after_the_tick_in_which_a_key_is_detected_no_speech_leaves() -> None:
    world = World()
    channel, heard, far = world.call()
    first = channel.play(ramp(80000), stop_on_key=True)
    second = channel.play(ramp(800))
    world.run(10)
    press(world, far, "5")
    assert heard.pressed == "5"
    assert heard.order == ["ended", "ended", "key"]
    # Ten frames before the key, and the one of its tick, which left before the key was read.
    assert heard.keys[0][2] == pytest.approx(0.2)
    assert heard.ended == [(first, 1760, False), (second, 0, False)]
    assert not far.audio()[1760:].any()


def test_a_key_leaves_a_prompt_alone_that_does_not_stop() -> None:
    world = World()
    channel, heard, far = world.call()
    channel.play(ramp(80000))
    press(world, far, "5")
    world.run(20)
    assert heard.ended == []
    assert far.audio()[-160:].all()


@pytest.mark.parametrize("direction", [Direction.RECVONLY, Direction.INACTIVE])
def test_a_held_channel_sends_nothing_and_its_timestamps_go_on(direction: Direction) -> None:
    world = World()
    channel, _, far = world.call()
    world.run(10)
    channel.configure(stream_to(direction=direction))
    world.run(50)
    channel.configure(stream_to())
    world.run(10)
    assert len(far.packets) == 20
    before, after = far.packets[9], far.packets[10]
    assert rtp.sequence_difference(after.sequence, before.sequence) == 1
    assert rtp.timestamp_difference(after.timestamp, before.timestamp) == 51 * 160
    assert [p.marker for p in far.packets] == [True, *[False] * 9, True, *[False] * 9]


def test_hold_by_the_zero_address_sends_nothing() -> None:
    world = World()
    _, _, far = world.call(remote_address="0.0.0.0")
    world.run(10)
    assert far.packets == []


def test_a_playback_goes_on_while_nobody_hears_it() -> None:
    world = World()
    channel, heard, far = world.call(direction=Direction.INACTIVE)
    playback = channel.play(ramp(1600))
    world.run(11)
    assert heard.ended == [(playback, 1600, True)]
    assert far.packets == []
