"""The engine as a whole, tick by tick, over a network in memory."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.media.world import (
    HERE,
    THERE,
    FarEnd,
    Heard,
    World,
    compounds,
    heard_through,
    press,
    ramp,
    sine,
    stream_to,
)
from vxml_server.clock import SystemClock
from vxml_server.dtmf import tone
from vxml_server.media import Codec, MediaEngine, NoPortsLeft, rtcp, rtp
from vxml_server.media.play import ENCODE

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
    world.call_soon = told.append
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


def test_a_channel_closed_before_the_next_tick_leaves_nothing() -> None:
    world = World()
    channel, _, far = world.call()
    channel.close()
    world.run()
    assert world.network.sockets == {}
    assert far.packets == []


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
    world.call_soon = closed
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
