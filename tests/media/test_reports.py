"""What is said of a call's media: reports, statistics, and that nothing comes any more."""

from __future__ import annotations

import pytest

from tests.media.world import (
    World,
    compounds,
    sine,
    stream_to,
)
from vxml_server.media import Codec, Direction, rtcp, rtp


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
