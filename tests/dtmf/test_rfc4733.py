from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.dtmf import EventPacket, EventReceiver, event_packets, long_event_packets

KEYS = "0123456789*#ABCD"


def block(event: int, duration: int, *, end: bool = False, volume: int = 10) -> bytes:
    return bytes([event, end << 7 | volume]) + duration.to_bytes(2, "big")


def hear(*packets: tuple[bytes, int]) -> str:
    """What one receiver reports of (payload, timestamp) packets."""
    receiver = EventReceiver()
    return "".join(
        receiver.feed(payload, timestamp, number == 0, number)
        for number, (payload, timestamp) in enumerate(packets)
    )


def pressed(key: str, timestamp: int) -> list[tuple[bytes, int]]:
    return [(packet.payload, timestamp) for packet in event_packets(key)]


def test_a_key_is_sent_as_growing_durations_and_three_alike_ends() -> None:
    assert event_packets("5", duration_ms=100, volume=10, ptime_ms=20) == (
        EventPacket(b"\x05\x0a\x00\xa0", marker=True, is_end=False),
        EventPacket(b"\x05\x0a\x01\x40", marker=False, is_end=False),
        EventPacket(b"\x05\x0a\x01\xe0", marker=False, is_end=False),
        EventPacket(b"\x05\x0a\x02\x80", marker=False, is_end=False),
        EventPacket(b"\x05\x8a\x03\x20", marker=False, is_end=True),
        EventPacket(b"\x05\x8a\x03\x20", marker=False, is_end=True),
        EventPacket(b"\x05\x8a\x03\x20", marker=False, is_end=True),
    )


def test_a_key_shorter_than_a_packet_begins_and_ends_in_the_first() -> None:
    packets = event_packets("#", duration_ms=10)
    assert [packet.payload for packet in packets] == [b"\x0b\x8a\x00\x50"] * 3
    assert [packet.marker for packet in packets] == [True, False, False]


def test_durations_are_in_units_of_the_clock_rate() -> None:
    assert event_packets("1", rate=48000)[-1].payload[2:] == (4800).to_bytes(2, "big")


@pytest.mark.parametrize(
    ("key", "options"),
    [
        *((wrong, {}) for wrong in ("", "E", "12")),
        ("1", {"duration_ms": 0}),
        ("1", {"duration_ms": 8200}),
        ("1", {"ptime_ms": 0}),
        ("1", {"volume": 64}),
    ],
)
def test_what_cannot_be_sent_as_one_event_is_refused(key: str, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no "):
        event_packets(key, **options)


@pytest.mark.parametrize("key", KEYS)
def test_the_packets_of_a_key_are_reported_as_one_key_at_the_first(key: str) -> None:
    receiver = EventReceiver()
    heard = [receiver.feed(p.payload, 1000, p.marker, 7) for p in event_packets(key)]
    assert heard == [key, *[""] * (len(heard) - 1)]


@given(st.sets(st.integers(0, 6), max_size=6), st.randoms(use_true_random=False))
def test_a_key_survives_loss_repetition_and_disorder(lost: set[int], order: random.Random) -> None:
    packets = [packet for n, packet in enumerate(pressed("7", 4000)) if n not in lost]
    order.shuffle(packets)
    assert hear(*packets, *packets) == "7"


def test_the_same_key_pressed_twice_is_two_keys() -> None:
    assert hear(*pressed("4", 1000), *pressed("4", 2600)) == "44"


def test_the_same_key_is_two_keys_even_when_every_end_was_lost() -> None:
    assert hear(*pressed("4", 1000)[:4], *pressed("4", 2600)) == "44"


def test_a_packet_of_an_earlier_key_that_comes_late_is_ignored() -> None:
    first, second = pressed("1", 1000), pressed("2", 2600)
    assert hear(*first[:-1], second[0], first[-1], *second[1:]) == "12"


def test_timestamps_may_pass_their_end_during_a_call() -> None:
    assert hear(*pressed("1", 0xFFFFFF00), *pressed("2", 0x00000600)) == "12"


def test_a_sender_that_begins_its_timestamps_anew_is_heard() -> None:
    assert hear(*pressed("1", 3_000_000), *pressed("2", 160)) == "12"


@pytest.mark.parametrize("step", [0xFFFF, 0x10000])
def test_a_key_held_for_longer_than_a_duration_can_say_is_one_key(step: int) -> None:
    """Section 2.5.1.3: segments, each beginning where a full one ends."""
    segments = [
        (block(8, duration), 500 + number * step)
        for number in range(3)
        for duration in (160, 30000, 0xFFFF)
    ]
    assert hear(*segments, (block(8, 300, end=True), 500 + 3 * step)) == "8"


def test_a_key_that_ended_is_not_held_on_by_one_that_begins_a_segment_later() -> None:
    assert hear((block(8, 800, end=True), 500), (block(8, 160), 500 + 0xFFFF)) == "88"
    assert hear((block(8, 0xFFFF), 500), (block(9, 160), 500 + 0xFFFF)) == "89"


def test_an_end_that_came_before_the_last_update_still_ended_the_key() -> None:
    late = (block(8, 0xFFFF, end=True), 500), (block(8, 60000), 500)
    assert hear(*late, (block(8, 160), 500 + 0xFFFF)) == "88"


def test_several_events_in_one_packet_are_several_keys() -> None:
    """Section 2.5.1.5: each begins where the one before it ends."""
    payload = block(1, 400, end=True) + block(1, 400, end=True) + block(2, 160)
    assert hear((payload, 1000), (payload, 1000), (block(2, 800, end=True), 1800)) == "112"


@pytest.mark.parametrize("event", [16, 17, 32, 100, 255])
def test_flash_and_other_events_are_no_keys(event: int) -> None:
    assert hear((block(event, 160), 1000), (block(event, 800, end=True), 1000)) == ""
    assert hear((block(event, 160), 1000), (block(3, 160), 3000)) == "3"


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\x0a\x00", b"\x01\x0a\x00\xa0\x02"])
def test_a_payload_that_is_no_whole_number_of_events_is_ignored(payload: bytes) -> None:
    assert hear((payload, 1000), (block(3, 160), 1000)) == "3"


@given(
    st.lists(
        st.tuples(st.binary(max_size=13), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF)),
        max_size=20,
    )
)
def test_any_packets_are_read_without_an_error(packets: list[tuple[bytes, int, int]]) -> None:
    receiver = EventReceiver()
    for payload, timestamp, sequence in packets:
        assert set(receiver.feed(payload, timestamp, False, sequence)) <= set(KEYS)


@pytest.mark.parametrize("ptime", [10, 20, 30, 60])
@pytest.mark.parametrize("duration", [100, 8191, 8192, 8200, 12_345, 16_384, 30_000])
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_a_long_event_is_sent_in_segments_that_are_one_key(
    duration: int, ptime: int, rate: int
) -> None:
    packets = long_event_packets("8", duration_ms=duration, ptime_ms=ptime, rate=rate)
    places = [(p.offset, int.from_bytes(p.payload[2:], "big")) for p in packets]
    assert places == sorted(places)
    assert sum(places[-1]) == duration * rate // 1000
    assert [p.is_end for p in packets] == [False] * (len(packets) - 3) + [True] * 3
    assert [p.marker for p in packets] == [True] + [False] * (len(packets) - 1)
    offsets = {offset for offset, _ in places}
    assert offsets == {number * 0xFFFF for number in range(len(offsets))}
    for offset in offsets - {places[-1][0]}:
        # Every segment but the last says that it is full.
        assert (offset, 0xFFFF) in places
    receiver = EventReceiver(rate)
    heard = [receiver.feed(p.payload, 77 + p.offset, p.marker, 0) for p in packets]
    assert "".join(heard) == "8"


@pytest.mark.parametrize("options", [{"duration_ms": 60_001}, {"duration_ms": 0}, {"ptime_ms": 0}])
def test_an_event_of_more_than_a_minute_or_of_nothing_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no event"):
        long_event_packets("1", **{"duration_ms": 100} | options)


def test_events_that_overlap_are_each_a_key() -> None:
    first, second = pressed("1", 1000), pressed("2", 1400)
    # The second begins while the first is still told of.
    assert hear(*first[:3], second[0], first[3], second[1], *first[4:], *second[2:]) == "12"


def test_two_events_of_one_timestamp_are_two_keys_however_their_packets_mix() -> None:
    first, second = pressed("1", 1000), pressed("2", 1000)
    assert hear(*(p for pair in zip(first, second, strict=True) for p in pair)) == "12"


def test_a_stream_of_another_rate_may_be_reordered_by_as_long() -> None:
    """At 48 kHz, two seconds are more units than ten seconds are at 8 kHz."""
    receiver = EventReceiver(48000)
    assert receiver.feed(block(1, 960), 200_000, True, 0) == "1"
    assert receiver.feed(block(2, 960), 200_000 - 96_000, False, 0) == ""
    assert receiver.feed(block(2, 960), 500_000, False, 0) == "2"
    assert receiver.feed(block(3, 960), 10_000, False, 0) == "3"
