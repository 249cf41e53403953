"""RTP headers: every packet we make is read back, and no octets whatever raise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.media import rtp

u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)


@given(st.integers(0, 127), u16, u32, u32, st.binary(max_size=500), st.booleans())
def test_what_is_packed_is_unpacked(
    number: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool
) -> None:
    packet = rtp.pack(number, sequence, timestamp, ssrc, payload, marker=marker)
    header = rtp.unpack(packet, len(packet))
    assert header == (number, marker, sequence, timestamp, ssrc, 12, len(packet))
    assert packet[header.start : header.end] == payload


@given(st.binary(max_size=200))
def test_no_octets_raise_and_a_payload_lies_within_them(data: bytes) -> None:
    header = rtp.unpack(data, len(data))
    if header is not None:
        assert 12 <= header.start <= header.end <= len(data)


@given(st.integers(0x80, 0xBF), st.binary(min_size=11, max_size=120))
def test_every_extension_and_padding_is_survived(first: int, rest: bytes) -> None:
    data = bytes([first]) + rest
    header = rtp.unpack(data, len(data))
    if header is not None:
        assert 12 <= header.start <= header.end <= len(data)


FIXED = bytes(11)


@pytest.mark.parametrize(
    ("packet", "payload"),
    [
        (b"\x80" + FIXED + b"abc", b"abc"),
        (b"\x82" + FIXED + b"CSRCCSRCabc", b"abc"),
        (b"\x90" + FIXED + b"\xbe\xde\x00\x01\x10\xff\x00\x00abc", b"abc"),
        (b"\xa0" + FIXED + b"abc\x00\x02", b"abc"),
        (b"\xb1" + FIXED + b"CSRC\xbe\xde\x00\x00abc\x01", b"abc"),
        (b"\x80" + FIXED, b""),
    ],
    ids=["plain", "sources", "extension", "padding", "all", "empty"],
)
def test_a_payload_is_found_behind_what_may_stand_before_it(packet: bytes, payload: bytes) -> None:
    header = rtp.unpack(packet, len(packet))
    assert header is not None
    assert packet[header.start : header.end] == payload


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x80" + FIXED[:-1],
        b"\x40" + FIXED + b"abc",
        b"\x81" + FIXED + b"CS",
        b"\x90" + FIXED + b"\xbe\xde",
        b"\x90" + FIXED + b"\xbe\xde\x00\x09abc",
        b"\xa0" + FIXED + b"abc\x00",
        b"\xa0" + FIXED + b"abc\x09",
    ],
    ids=["nothing", "short", "version", "sources", "extension", "long", "padding 0", "padding 9"],
)
def test_what_is_no_packet_is_none(packet: bytes) -> None:
    assert rtp.unpack(packet, len(packet)) is None


@given(u16, st.integers(-32768, 32767))
def test_sequence_numbers_are_compared_around_the_wrap(number: int, difference: int) -> None:
    assert rtp.sequence_difference((number + difference) % 65536, number) == difference


@given(u32, st.integers(-(1 << 31), (1 << 31) - 1))
def test_timestamps_are_compared_around_the_wrap(number: int, difference: int) -> None:
    assert rtp.timestamp_difference((number + difference) % (1 << 32), number) == difference
