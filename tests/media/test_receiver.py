"""Sources that change, restart, fall silent or never were: what the receiver makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from tests.media.world import MemoryNetwork, stream_to
from vxml_server.media import rtp
from vxml_server.media.jitter import JitterBuffer, Timeline
from vxml_server.media.receiver import RESTART_PAUSE, Receiver

FAR = ("198.51.100.7", 5000)
BEEP = b"\x11" * 160


def made() -> Receiver:
    socket = MemoryNetwork().bind("192.0.2.1", 4000)
    return Receiver(socket, JitterBuffer(Timeline(1), 0), bytearray(2048))


@dataclass
class Line:
    """A receiver and the ticks that pass."""

    receiver: Receiver = field(default_factory=made)
    tick: int = 100

    def __post_init__(self) -> None:
        self.receiver.configure(stream_to())

    def take(
        self,
        sequence: int,
        *,
        ssrc: int = 1,
        timestamp: int | None = None,
        payload: bytes = BEEP,
        number: int = 0,
        marker: bool = False,
        ticks: int = 1,
    ) -> None:
        timestamp = 160 * sequence if timestamp is None else timestamp
        packet = rtp.pack(
            number,
            sequence & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            ssrc,
            payload,
            marker=marker,
        )
        self.raw(packet)
        self.tick += ticks

    def raw(self, packet: bytes) -> None:
        self.receiver._buffer[: len(packet)] = packet
        self.receiver.take(len(packet), FAR, 160 * self.tick, self.tick)

    @property
    def dropped(self) -> dict[str, int]:
        return dict(self.receiver.dropped)


def test_another_source_is_heard_from_its_second_packet_on() -> None:
    line = Line()
    for sequence in range(10):
        line.take(sequence)
    for sequence in range(500, 510):
        line.take(sequence, ssrc=2)
    assert line.receiver.reception is not None
    assert line.receiver.reception.ssrc == 2
    assert line.dropped == {"ssrc": 1}
    assert line.receiver.lost == 0


def test_losses_of_every_source_are_added() -> None:
    line = Line()
    for source in range(1, 4):
        for sequence in (0, 1, 3):
            line.take(sequence, ssrc=source)
    assert line.receiver.lost == 3


def test_a_source_that_only_throws_in_a_packet_is_not_followed() -> None:
    line = Line()
    for sequence in range(20):
        line.take(sequence)
        line.take(7000, ssrc=2, ticks=0)
    assert line.receiver.reception is not None
    assert line.receiver.reception.ssrc == 1
    assert line.dropped == {"ssrc": 20}


def test_a_capture_played_again_after_a_pause_is_heard_at_once() -> None:
    line = Line()
    for _ in range(2):
        for sequence in range(50):
            line.take(sequence)
        line.tick += RESTART_PAUSE
    assert line.dropped == {}
    assert line.receiver.duplicated == 0
    assert line.receiver.lost == 0


def test_numbers_that_jump_in_the_middle_of_a_stream_cost_one_packet() -> None:
    line = Line()
    for sequence in [*range(10), *range(30000, 30010)]:
        line.take(sequence)
    assert line.dropped == {"sequence": 1}
    assert line.receiver.late == 0


def test_repeated_packets_are_counted_and_not_played_again() -> None:
    line = Line()
    for sequence in (0, 1, 1, 2, 2):
        line.take(sequence)
    assert line.receiver.duplicated == 2
    assert line.receiver.packets == 5


def test_an_overtaken_packet_that_comes_too_late_is_counted() -> None:
    line = Line()
    for sequence in (0, 1, 2, 4, 5, 6, 7, 8, 3):
        line.take(sequence)
    assert line.receiver.late == 1


def test_comfort_noise_and_empty_packets_belong_to_the_sequence() -> None:
    line = Line()
    line.take(0)
    line.take(1, number=13, payload=b"\x40")
    line.take(2, payload=b"")
    line.take(3)
    assert line.receiver.lost == 0
    assert line.dropped == {}


def test_what_was_not_agreed_is_dropped_with_its_reason() -> None:
    line = Line()
    line.take(0, number=8)
    line.take(1, number=101)
    line.take(2, payload=bytes(1700))
    line.take(3, payload=bytes(2036))
    line.raw(b"\x00" * 20)
    assert line.dropped == {"payload type": 2, "too long": 1, "malformed": 2}


def test_a_packet_with_extension_or_marker_is_heard_like_a_plain_one() -> None:
    line = Line()
    line.take(0, marker=True)
    plain = rtp.pack(0, 1, 160, 1, b"", marker=False)
    line.raw(b"\x90" + plain[1:] + b"\xbe\xde\x00\x01\x10\xff\x00\x00" + BEEP)
    assert line.receiver.jitter.timeline.present.astype(bool).sum() == 2


def test_keys_count_in_the_sequence_of_their_source() -> None:
    line = Line()
    line.take(0)
    line.take(1, number=96, payload=b"\x05\x0a\x00\xa0")
    line.take(2, number=96, payload=b"\x05\x8a\x01\x40", timestamp=160)
    line.take(3)
    assert line.receiver.keys == ["5"]
    assert line.receiver.lost == 0


@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 40)), max_size=40))
def test_no_datagram_raises(datagrams: list[tuple[bytes, int]]) -> None:
    line = Line()
    for data, wait in datagrams:
        line.raw(data)
        line.tick += wait


headers = st.tuples(
    st.sampled_from([0x80, 0x90, 0xA0, 0x81]),
    st.sampled_from([0, 0x80, 13, 96, 0xE0]),
    st.sampled_from([0, 1, 2, 3, 200, 40000, 65535]),
    st.sampled_from([0, 160, 320, 100_000, 0xFFFFFFFF]),
    st.sampled_from([1, 2]),
)


@given(st.lists(st.tuples(headers, st.binary(max_size=200), st.integers(0, 30)), max_size=60))
def test_no_sequence_of_plausible_packets_raises_and_all_are_accounted_for(
    packets: list[tuple[tuple[int, int, int, int, int], bytes, int]],
) -> None:
    line = Line()
    for header, payload, wait in packets:
        line.raw(rtp.HEADER.pack(*header) + payload)
        line.tick += wait
    receiver = line.receiver
    before_the_latch = {"malformed", "payload type", "source"}
    refused = sum(n for reason, n in receiver.dropped.items() if reason in before_the_latch)
    assert receiver.packets + refused == len(packets)
    assert receiver.lost >= 0
