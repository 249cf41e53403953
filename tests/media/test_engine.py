"""The engine as a whole, tick by tick, over a network in memory."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.media.world import HERE, THERE, FarEnd, Heard, World, ramp, sine, stream_to
from vxml_server.clock import SystemClock
from vxml_server.dtmf import event_packets, tone
from vxml_server.media import Codec, Direction, MediaEngine, NoPortsLeft, Sound, rtcp, rtp
from vxml_server.media.play import DECODE, ENCODE


def heard_through(pcm: NDArray[np.int16], codec: Codec = Codec.PCMU) -> NDArray[np.int16]:
    """What is left of samples that went through a code."""
    return DECODE[codec](ENCODE[codec](pcm))


def press(world: World, far: FarEnd, key: str, *, number: int = 96, duration_ms: int = 100) -> None:
    """The far end sends a key as events, in real time."""
    timestamp = far.timestamp
    for event in event_packets(key, duration_ms=duration_ms):
        packet = rtp.pack(
            number, far.sequence, timestamp, far.ssrc, event.payload, marker=event.marker
        )
        far.sequence = (far.sequence + 1) & 0xFFFF
        far.send(packet)
        world.run()
    far.timestamp = (timestamp + 8 * duration_ms + 480) & 0xFFFFFFFF


# Sending


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


# Hold


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


@pytest.mark.parametrize("direction", [Direction.SENDONLY, Direction.INACTIVE])
def test_a_channel_that_does_not_receive_hears_no_keys(direction: Direction) -> None:
    world = World()
    _, heard, far = world.call(direction=direction)
    press(world, far, "5")
    far.speak(tone("7", 200))
    world.run(10)
    assert heard.keys == []


# Keys


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


# Symmetric RTP


def test_media_goes_where_media_comes_from() -> None:
    world = World()
    channel, _, far = world.call()
    behind_nat = FarEnd(world, 6000, channel, "203.0.113.9")
    world.run(2)
    for _ in range(5):
        behind_nat.send(behind_nat.packet(b"\xff" * 160))
        world.run()
    assert len(far.packets) == 4
    assert len(behind_nat.packets) == 3
    world.run(400)
    assert len(behind_nat.control) == 1
    # Control, too, goes where control comes from, if it is the host of the media.
    report = rtcp.build(rtcp.Report(behind_nat.ssrc, None))
    behind_nat.send(report, source=("203.0.113.9", 7777), offset=1)
    behind_nat.send(report, source=("203.0.113.66", 8888), offset=1)
    behind_nat.send(b"\x80", source=("203.0.113.9", 7777), offset=1)
    there: list[bytes] = []
    world.network.far_ends["203.0.113.9", 7777] = lambda data, _: there.append(data)
    world.run(400)
    assert there
    assert len(behind_nat.control) == 1
    dropped = world.engine.statistics().packets_dropped
    assert dropped == {"source": 1, "control source": 1, "control malformed": 1}


def test_a_stranger_neither_hears_nor_is_heard_while_the_call_has_media() -> None:
    world = World()
    channel, heard, far = world.call()
    stranger = FarEnd(world, 6666, channel, "203.0.113.66")
    stranger.ssrc = far.ssrc
    for _ in range(50):
        far.send(far.packet(b"\xff" * 160))
        stranger.sequence = far.sequence
        stranger.send(stranger.packet(b"\x00" * 160))
        world.run()
    press(world, stranger, "9")
    assert stranger.packets == []
    assert heard.keys == []
    assert world.engine.statistics().packets_dropped["source"] >= 50


def test_another_address_in_a_new_agreement_is_followed_at_once() -> None:
    world = World()
    channel, _, far = world.call()
    far.speak(sine(0.2))
    other = FarEnd(world, 5010, channel)
    channel.configure(stream_to(5010))
    world.run(5)
    assert len(other.packets) == 5


# Reports


def compounds(far: FarEnd) -> list[list[rtcp.Packet]]:
    parsed = [rtcp.parse(data) for data in far.control]
    assert all(parsed)
    return [packets for packets in parsed if packets is not None]


def test_reports_come_every_few_seconds_and_a_goodbye_at_the_end() -> None:
    world = World()
    channel, _, far = world.call()
    far.speak(sine(60))
    assert 10 <= len(far.control) <= 25
    channel.close()
    world.run()
    first, *_, last = compounds(far)
    ssrc = far.packets[0].ssrc
    match first:
        case [rtcp.Report(sender=rtcp.SenderInfo() as info, blocks=(block,)), rtcp.Description()]:
            assert block.ssrc == far.ssrc
            assert (block.fraction_lost, block.packets_lost) == (0, 0)
            sent = [
                p for p in far.packets if rtp.timestamp_difference(p.timestamp, info.timestamp) <= 0
            ]
            assert info.packets in {len(sent), len(sent) - 1, len(sent) + 1}
            assert info.octets == 160 * info.packets
        case _:
            pytest.fail(f"not a sender report with a block: {first}")
    assert last[-1] == rtcp.Goodbye((ssrc,))


def test_on_hold_there_are_receiver_reports() -> None:
    world = World()
    _, _, far = world.call(direction=Direction.INACTIVE)
    world.run(500)
    for report, _ in compounds(far):
        assert isinstance(report, rtcp.Report)
        assert report.sender is None
        assert report.blocks == ()


def test_what_the_far_end_reports_is_in_the_statistics() -> None:
    world = World()
    channel, _, far = world.call()
    far.speak(sine(5))
    report = compounds(far)[0][0]
    assert isinstance(report, rtcp.Report)
    assert report.sender is not None
    now = rtcp.middle(rtcp.ntp_time(world.clock.utc_now()))
    block = rtcp.ReportBlock(
        far.packets[0].ssrc,
        3,
        12,
        0,
        80,
        rtcp.middle(report.sender.ntp),
        (now - rtcp.middle(report.sender.ntp) - 6554) & 0xFFFFFFFF,
    )
    far.send(
        rtcp.build(rtcp.Report(far.ssrc, rtcp.SenderInfo(5 << 40, 1, 2, 3), (block,))), offset=1
    )
    world.run()
    statistics = channel.statistics()
    assert statistics.remote_packets_lost == 12
    assert statistics.remote_jitter_ms == 10
    assert statistics.round_trip_ms == pytest.approx(100, abs=1)


def test_losses_and_repeats_are_counted() -> None:
    world = World()
    channel, _, far = world.call(codec=Codec.PCMA, payload_type_receive=8)
    for number in range(100):
        packet = far.packet(b"\xd5" * 160, payload_type=8)
        if number % 10 != 5:
            far.send(packet)
        if number % 10 == 7:
            far.send(packet)
        world.run()
    world.run(12)
    statistics = channel.statistics()
    assert statistics.codec is Codec.PCMA
    assert statistics.packets_received == 100
    assert statistics.packets_lost == 10
    assert statistics.packets_duplicated == 10
    assert statistics.packets_late == 0
    # Ten holes, and the frames after the end that are not yet a pause.
    assert statistics.frames_concealed == 10 + 5
    assert statistics.jitter_ms < 3
    assert statistics.packets_sent == 112
    assert statistics.octets_sent == 112 * 160


def test_nothing_from_the_far_end_is_told_once_and_its_return_too() -> None:
    world = World(media_lost_after=5.0)
    _, heard, far = world.call()
    far.speak(sine(1))
    world.run(1000)
    far.speak(sine(1))
    assert heard.media == ["lost 5.0", "resumed"]


def test_on_hold_no_media_is_expected() -> None:
    world = World(media_lost_after=5.0)
    channel, heard, _ = world.call(direction=Direction.SENDONLY)
    world.run(1000)
    channel.configure(stream_to())
    world.run(200)
    assert heard.media == []
    world.run(100)
    assert heard.media == ["lost 5.0"]


# Bridges


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


# Taps


def test_a_tap_gets_both_directions() -> None:
    class Recorder:
        def __init__(self) -> None:
            self.frames: list[tuple[NDArray[np.int16], NDArray[np.int16]]] = []

        def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool:
            self.frames.append((received, sent))
            return False

    world = World()
    channel, _, far = world.call()
    recorder = Recorder()
    channel.tap(recorder)
    prompt, voice = ramp(1600), sine(0.4)
    channel.play(prompt)
    far.speak(voice)
    channel.configure(stream_to(direction=Direction.RECVONLY))
    channel.play(prompt)
    world.run(2)
    channel.tap(None)
    world.run(10)
    received = np.concatenate([r for r, _ in recorder.frames])
    sent = np.concatenate([s for _, s in recorder.frames])
    assert len(received) == len(sent) == 22 * 160
    assert np.array_equal(sent[:1600], heard_through(prompt))
    assert not sent[1600:].any()
    assert np.array_equal(received[320:], heard_through(voice))


def test_a_channel_knows_whether_media_has_come() -> None:
    world = World()
    channel, _, far = world.call()
    world.run(5)
    assert not channel.has_received
    far.speak(sine(0.04))
    assert channel.has_received


class Ear:
    """A tap that says that somebody speaks when a frame is loud."""

    def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool:
        return bool(np.abs(received).max() > 4000)


def test_after_the_tick_in_which_speech_is_noticed_no_prompt_leaves() -> None:
    world = World()
    channel, heard, far = world.call()
    channel.tap(Ear())
    first = channel.play(ramp(80000), stop_on_speech=True)
    second = channel.play(ramp(800))
    world.run(10)
    far.speak(sine(0.2))
    assert heard.ended == [(first, heard.ended[0][1], False), (second, 0, False)]
    # The frame of the tick itself had left before anything was received.
    assert len(np.flatnonzero(far.audio())) == heard.ended[0][1]
    assert heard.ended[0][1] / 160 <= 10 + 3


@pytest.mark.parametrize("stops", [{}, {"stop_on_key": True}])
def test_speech_leaves_a_prompt_alone_that_does_not_stop(stops: dict[str, bool]) -> None:
    world = World()
    channel, heard, far = world.call()
    channel.tap(Ear())
    channel.play(ramp(80000), **stops)
    world.run(10)
    far.speak(sine(0.2))
    assert heard.ended == []
    assert far.audio()[-160:].all()


# Opening and closing


def test_ports_are_even_and_come_back_after_a_rest() -> None:
    world = World(ports=range(40001, 40006))
    a, b = world.engine.open(Heard()), world.engine.open(Heard())
    assert {a.local_port, b.local_port} == {40002, 40004}
    assert a.local_address == HERE
    with pytest.raises(NoPortsLeft):
        world.engine.open(Heard())
    world.run()
    a.close()
    a.close()
    world.run()
    with pytest.raises(NoPortsLeft):
        world.engine.open(Heard())
    world.run(200)
    assert world.engine.open(Heard()).local_port == a.local_port


def test_ports_of_somebody_else_are_passed_over_without_a_leak() -> None:
    world = World(ports=range(40000, 40006))
    world.network.taken = {40000, 40003}
    assert world.engine.open(Heard()).local_port == 40004
    with pytest.raises(NoPortsLeft):
        world.engine.open(Heard())
    assert set(world.network.sockets) == {(HERE, 40004), (HERE, 40005)}


def test_when_no_pair_can_be_bound_the_search_ends() -> None:
    world = World(ports=range(40000, 41000))
    world.network.taken = set(range(40000, 41000))
    with pytest.raises(NoPortsLeft):
        world.engine.open(Heard())


def test_a_closed_channel_ends_its_playbacks_and_is_silent_from_then_on() -> None:
    world = World()
    channel, heard, far = world.call()
    playback = channel.play(ramp(8000))
    world.run(10)
    channel.close()
    channel.play(ramp(8000))
    press(world, far, "5")
    assert heard.ended == [(playback, 1600, False)]
    assert heard.keys == []
    assert len(far.packets) == 10
    assert world.network.sockets == {}
    assert channel.statistics().packets_sent == 10
    assert world.engine.statistics().packets_sent == 10
    assert world.engine.statistics().channels_open == 0


def test_what_happened_before_a_close_is_not_told_after_it() -> None:
    world = World(media_lost_after=0.1)
    channel, heard, far = world.call()
    told: list[Callable[[], None]] = []
    world.engine._call_soon = told.append
    press(world, far, "5")
    world.run(50)
    channel.close()
    for callback in told:
        callback()
    assert (heard.keys, heard.media) == ([], [])


def test_a_hundred_and_fifty_channels_keep_their_audio_apart() -> None:
    """More than there is room for at first: the matrices grow while audio is in them."""
    world = World(ports=range(40000, 40400))
    calls = [world.call(5000 + 2 * number) for number in range(60)]
    for _ in range(5):
        for _, _, far in calls:
            far.send(far.packet(b"\xff" * 160))
        world.run()
    calls += [world.call(6000 + 2 * number) for number in range(90)]
    keys = "123456789*0#ABCD"
    for number in range(0, 150, 2):
        world.engine.bridge(calls[number][0], calls[number + 1][0])
    audio = {key: ENCODE[Codec.PCMU](tone(key, 100)).tobytes() + b"\xff" * 800 for key in keys}
    for start in range(0, 1600, 160):
        for number, (_, _, far) in enumerate(calls):
            far.send(far.packet(audio[keys[number % 16]][start : start + 160]))
        world.run()
    world.run(4)
    assert [heard.pressed for _, heard, _ in calls] == [keys[n % 16] for n in range(150)]
    for number, (_, _, far) in enumerate(calls):
        peer = keys[(number ^ 1) % 16]
        sound = far.audio()
        begin = np.flatnonzero(sound)[0]
        assert np.abs(sound[begin : begin + 700].astype(int) - tone(peer, 100)[1:701]).max() < 1200
    for channel, _, _ in calls[:100]:
        channel.close()
    world.run(2)
    assert world.engine.statistics().channels_open == 50


# Robustness


def test_no_packet_whatever_stops_the_engine() -> None:
    world = World()
    _, _, far = world.call()
    chaos = random.Random(3)
    for _ in range(3000):
        data = chaos.randbytes(chaos.choice([0, 1, 11, 12, 13, 30, 172, 2047, 3000]))
        if chaos.random() < 0.7:
            data = (
                bytes([0x80 | chaos.getrandbits(5), chaos.choice([0, 13, 96, 128, 200])]) + data[2:]
            )
        far.send(data, offset=chaos.getrandbits(1))
        if chaos.random() < 0.2:
            world.run()
    world.run(20)
    world.network.unreachable = True
    world.run(300)
    world.network.unreachable = False
    world.network.broken = True
    far.send(b"x")
    far.send(b"x", offset=1)
    world.run()
    world.network.broken = False
    world.run()
    assert len(far.packets) == world.ticks - 300
    assert world.engine.statistics().packets_dropped["malformed"] > 100


def test_a_packet_before_the_agreement_is_counted_and_dropped() -> None:
    world = World()
    channel = world.engine.open(Heard())
    far = FarEnd(world, 5000, channel)
    world.run()
    far.send(far.packet(b"\xff" * 160))
    world.run()
    assert world.engine.statistics().packets_dropped == {"not configured": 1}


def test_a_flood_is_read_in_slices() -> None:
    world = World()
    _, _, far = world.call()
    for _ in range(100):
        far.send(b"flood")
    world.run()
    assert world.engine.statistics().packets_dropped["malformed"] == 16


def test_all_that_happens_in_a_tick_is_delivered_in_one_call() -> None:
    world = World()
    calls = [world.call(5000 + 2 * number) for number in range(5)]
    for channel, _, _ in calls:
        channel.play(ramp(160))
    world.run(5)
    assert all(len(heard.ended) == 1 for _, heard, _ in calls)
    assert world.calls == 1


def test_stopping_says_goodbye_for_every_channel() -> None:
    world = World()
    calls = [world.call(5000 + 2 * number) for number in range(3)]
    world.run()
    world.engine.stop()
    for channel, _, far in calls:
        assert isinstance(compounds(far)[-1][-1], rtcp.Goodbye)
        assert channel.closed
    assert world.network.sockets == {}
    assert world.engine.statistics().ticks == 1


def test_ticks_that_were_skipped_show_in_timestamps_and_marker() -> None:
    world = World()
    _, _, far = world.call()
    world.run(3)
    world.engine._skip(10)
    world.run(3)
    assert [p.marker for p in far.packets] == [True, False, False, True, False, False]
    gap = rtp.timestamp_difference(far.packets[3].timestamp, far.packets[2].timestamp)
    assert gap == 11 * 160
    assert rtp.sequence_difference(far.packets[3].sequence, far.packets[2].sequence) == 1


def test_another_code_in_the_middle_of_a_call_is_heard_as_such() -> None:
    world = World()
    channel, _, far = world.call()
    channel.play(ramp(8000))
    far.speak(sine(0.4))
    channel.configure(stream_to(codec=Codec.PCMA, payload_type_send=8, payload_type_receive=8))
    far.speak(sine(0.4), Codec.PCMA, number=8)
    assert channel.statistics().packets_dropped == 0
    mu_law, a_law = far.audio(), far.audio(Codec.PCMA, 8)
    assert np.array_equal(mu_law, heard_through(ramp(8000))[:3200])
    assert np.array_equal(a_law, heard_through(ramp(8000), Codec.PCMA)[3200:6400])


def test_our_report_tells_when_theirs_came() -> None:
    world = World()
    _, _, far = world.call()
    far.speak(sine(0.1))
    far.send(rtcp.build(rtcp.Report(far.ssrc, rtcp.SenderInfo(7 << 40, 1, 2, 3))), offset=1)
    heard_at = world.clock.monotonic()
    while not far.control:
        world.run()
    report = compounds(far)[0][0]
    assert isinstance(report, rtcp.Report)
    (block,) = report.blocks
    assert block.last_report == rtcp.middle(7 << 40)
    waited = world.clock.monotonic() - 0.02 - heard_at
    assert block.delay / 65536 == pytest.approx(waited, abs=0.001)


def test_reports_of_other_sources_are_not_ours() -> None:
    world = World()
    channel, _, far = world.call()
    world.run()
    block = rtcp.ReportBlock(1, 1, 1, 1, 1, 1, 1)
    far.send(rtcp.build(rtcp.Report(far.ssrc, None, (block,))), offset=1)
    early = rtcp.ReportBlock(far.packets[0].ssrc, 0, 0, 0, 0, 0xFFFFFFF0, 0xFFFF)
    far.send(
        rtcp.build(rtcp.Report(far.ssrc, None)) + rtcp.build(rtcp.Goodbye((far.ssrc,))), offset=1
    )
    world.run()
    assert channel.statistics().remote_packets_lost is None
    assert channel.statistics().round_trip_ms is None
    far.send(rtcp.build(rtcp.Report(far.ssrc, None, (early,))), offset=1)
    world.run()
    assert channel.statistics().remote_packets_lost == 0


def test_a_channel_closed_before_the_next_tick_leaves_nothing() -> None:
    world = World()
    channel, _, far = world.call()
    channel.close()
    world.run()
    assert world.network.sockets == {}
    assert far.packets == []


def test_a_tap_that_fails_costs_the_tap_only(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool:
            raise RuntimeError("disk full")

    world = World()
    channel, _, far = world.call()
    channel.tap(Broken())
    world.run(5)
    assert len(far.packets) == 5
    assert [record.message for record in caplog.records] == ["a tap failed and was removed"]


def test_a_listener_that_fails_does_not_keep_others_from_hearing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Heard):
        def playback_ended(self, playback: Any, samples_played: int, finished: bool) -> None:
            raise RuntimeError("no such call")

    world = World()
    broken = world.engine.open(Broken())
    broken.configure(stream_to(5008))
    broken.play(ramp(10))
    other, heard, _ = world.call()
    other.play(ramp(10))
    world.run()
    assert len(heard.ended) == 1
    assert "no such call" in caplog.text


def test_a_loop_that_is_closed_does_not_stop_the_media() -> None:
    def closed(callback: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    world = World()
    channel, _, far = world.call()
    world.engine._call_soon = closed
    channel.play(ramp(10))
    world.run(3)
    assert len(far.packets) == 3


def test_the_thread_survives_a_tick_that_fails_and_a_stall(
    caplog: pytest.LogCaptureFixture,
) -> None:
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        stall = 0.31 if len(naps) == 10 else 0.0
        world.clock.advance(seconds + stall)
        world.network.on_ready = broken if len(naps) == 5 else None
        world.engine._stopping = len(naps) == 20

    def broken() -> None:
        raise OSError("epoll is broken")

    world = World(sleep=sleep)
    _, _, far = world.call()
    world.engine._run()
    assert "a media tick failed" in caplog.text
    statistics = world.engine.statistics()
    assert statistics.ticks_skipped == 15 - 4
    assert statistics.ticks_late == 5
    # The tick that failed had played before it did.
    assert (statistics.ticks, len(far.packets)) == (24, 25)
    time = rtp.timestamp_difference(far.packets[-1].timestamp, far.packets[0].timestamp)
    assert time == (24 + 11) * 160
    assert [p.marker for p in far.packets].count(True) == 2


class Waiting(Heard):
    """Sets an event when a playback ended; the thread's only test waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.done = threading.Event()

    def playback_ended(self, playback: Any, samples_played: int, finished: bool) -> None:
        super().playback_ended(playback, samples_played, finished)
        self.done.set()


def test_the_thread_runs_over_real_sockets() -> None:
    def call(callback: Callable[[], None]) -> None:
        callback()

    engine = MediaEngine(
        address="127.0.0.1",
        ports=range(34000, 34200),
        clock=SystemClock(),
        random=random.Random(),
        call_soon=call,
    )
    engine.start()
    a_heard, b_heard = Waiting(), Waiting()
    a, b = engine.open(a_heard), engine.open(b_heard)
    for one, other in ((a, b), (b, a)):
        one.configure(
            stream_to(other.local_port, remote_address="127.0.0.1", event_payload_type_receive=101)
        )
    a.play(ramp(800))
    a.send_keys("5", duration_ms=40, gap_ms=0)
    assert a_heard.done.wait(5)
    b.play(ramp(800))
    assert b_heard.done.wait(5)
    engine.stop()
    assert b_heard.pressed == "5"
    assert b.statistics().packets_received > 3
    assert engine.statistics().busy_seconds > 0
    assert THERE not in a.local_address
