"""The checks of received RTP can fail: each fault, made on purpose, is found."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from tests.integration import audio, rtp_check
from tests.integration.caller_audio import CallerAudio, as_events
from tests.integration.wire import Datagram, RtpPacket, read_rtp


def received(stream: CallerAudio, began: float = 1000.0) -> list[RtpPacket]:
    """The packets of a stream as if the network took no time."""
    return read_rtp([Datagram(began + at, 6000, 6002, data) for at, data in stream.packets])


@pytest.fixture
def speech() -> list[RtpPacket]:
    """Two seconds of a tone, then one of silence."""
    stream = CallerAudio().say(audio.sines((500.0,), 2.0, -20.0)).say(audio.silence(1.0))
    return received(stream)


def later(packet: RtpPacket, seconds: float) -> RtpPacket:
    return replace(packet, at=packet.at + seconds)


def test_a_good_stream_has_no_fault(speech: list[RtpPacket]) -> None:
    assert rtp_check.faults(speech) == []
    assert rtp_check.late(speech) == []
    assert len(rtp_check.spurts(speech)) == 1
    assert rtp_check.speech_dbfs(speech) == pytest.approx(-20, abs=0.2)


def test_a_lost_packet_is_a_fault(speech: list[RtpPacket]) -> None:
    assert len(rtp_check.faults(speech[:50] + speech[51:])) == 2


def test_another_source_is_a_fault(speech: list[RtpPacket]) -> None:
    assert rtp_check.faults([*speech[:50], replace(speech[50], ssrc=1), *speech[51:]])


def test_a_timestamp_that_stands_still_through_a_pause_is_a_fault(
    speech: list[RtpPacket],
) -> None:
    after = [replace(later(p, 0.5), timestamp=p.timestamp + 800) for p in speech[50:]]
    faults = rtp_check.faults([*speech[:50], *after])
    assert len(faults) == 2
    assert "marker" in faults[1]


def test_a_pause_with_marker_and_timestamp_is_none(speech: list[RtpPacket]) -> None:
    after = [replace(later(p, 0.5), timestamp=p.timestamp + 4000) for p in speech[50:]]
    stream = [*speech[:50], replace(after[0], marker=True), *after[1:]]
    assert rtp_check.faults(stream) == []
    assert rtp_check.late(stream) == []
    assert len(rtp_check.spurts(stream)) == 2


def test_a_packet_eleven_milliseconds_late_is_found(speech: list[RtpPacket]) -> None:
    speech[50] = later(speech[50], 0.011)
    assert len(rtp_check.late(speech)) == 1


def test_only_a_stall_of_the_machine_excuses_a_late_packet(speech: list[RtpPacket]) -> None:
    due = speech[50].at
    speech[50] = later(speech[50], 0.011)
    assert rtp_check.late(speech, stalls=[(due + 0.001, due + 0.010)]) == []
    assert len(rtp_check.late(speech, stalls=[(due - 0.010, due - 0.001)])) == 1
    assert len(rtp_check.late(speech, stalls=[(due + 0.012, due + 0.020)])) == 1


def test_the_end_of_speech_is_found_to_the_packet(speech: list[RtpPacket]) -> None:
    assert rtp_check.speech_stopped(speech, 1001.5) == pytest.approx(0.5, abs=0.001)
    assert rtp_check.speech_stopped(speech, 1002.5) == pytest.approx(-0.5, abs=0.001)


def test_speech_that_begins_again_does_not_hide_its_end(speech: list[RtpPacket]) -> None:
    again = [later(p, 3.0) for p in speech]
    assert rtp_check.speech_stopped(speech + again, 1001.5) == pytest.approx(0.5, abs=0.001)


def test_a_sender_report_is_told_from_other_rtcp() -> None:
    sender = bytes((0x80, 200)) + b"\0\6" + b"\0\0\0\7" + bytes(12) + b"\0\0\0\x63" + bytes(4)
    receiver = bytes((0x80, 201)) + b"\0\1" + bytes(24)
    reports = rtp_check.sender_reports([(1.0, receiver), (2.0, sender)])
    assert reports == [(2.0, 7, 99)]


def test_keys_of_a_caller_are_events_between_sound_in_one_sequence() -> None:
    packets = received(as_events((0.1, "5#", 0.1)))
    assert {b.sequence - a.sequence for a, b in pairwise(packets)} == {1}
    events = [p for p in packets if p.payload_type == 101]
    assert [p.payload[0] for p in events if p.marker] == [5, 11]
    assert [p.payload[1] for p in events].count(0x8A) == 6


@pytest.mark.parametrize("law", [audio.PCMU, audio.PCMA])
def test_both_laws_are_read_as_they_are_written(law: int) -> None:
    tone = audio.sines((440.0,), 0.5, -16.0)
    back = audio.decode(audio.encode(tone, law), law)
    assert audio.dbfs(back - tone) < -50
