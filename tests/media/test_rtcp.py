"""RTCP: what is built is parsed, what is not valid is None, intervals are those of the RFC."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.media import rtcp

u8 = st.integers(0, 0xFF)
u32 = st.integers(0, 0xFFFFFFFF)
blocks = st.builds(rtcp.ReportBlock, u32, u8, st.integers(-0x800000, 0x7FFFFF), u32, u32, u32, u32)
infos = st.builds(rtcp.SenderInfo, st.integers(0, (1 << 64) - 1), u32, u32, u32)
reports = st.builds(rtcp.Report, u32, st.none() | infos, st.lists(blocks, max_size=31).map(tuple))
names = st.tuples(u32, st.text(st.characters(max_codepoint=0x7F), max_size=255))
descriptions = st.builds(rtcp.Description, st.lists(names, max_size=31).map(tuple))
goodbyes = st.builds(rtcp.Goodbye, st.lists(u32, max_size=31).map(tuple))

REPORT = rtcp.build(rtcp.Report(1, None))


@given(reports, st.lists(reports | descriptions | goodbyes, max_size=5))
def test_what_is_built_is_parsed(first: rtcp.Report, rest: list[rtcp.Packet]) -> None:
    packets = [first, *rest]
    assert rtcp.parse(b"".join(map(rtcp.build, packets))) == packets


@given(st.binary(max_size=300))
def test_no_octets_raise(data: bytes) -> None:
    rtcp.parse(data)
    rtcp.parse(REPORT + data)


@given(st.integers(0x80, 0xBF), st.sampled_from([200, 201, 202, 203, 204]), st.binary(max_size=120))
def test_no_body_raises(first: int, kind: int, body: bytes) -> None:
    body = body[: len(body) // 4 * 4]
    packet = bytes([first, kind]) + (len(body) // 4).to_bytes(2, "big") + body
    rtcp.parse(packet)
    rtcp.parse(REPORT + packet)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x40\xc9\x00\x01\x00\x00\x00\x01",
        b"\x80\xc9\x00\x02\x00\x00\x00\x01",
        b"\x81\xc9\x00\x01\x00\x00\x00\x01",
        b"\xa0\xc9\x00\x02\x00\x00\x00\x01\x00\x00\x00\x04",
        b"\x81\xcb\x00\x01\x00\x00\x00\x01",
        REPORT + b"\x82\xcb\x00\x01\x00\x00\x00\x01",
        REPORT + b"\x81\xca\x00\x02\x00\x00\x00\x01\x01\x09ab",
        REPORT + b"\xa0\xcc\x00\x01abc\x05",
        REPORT + b"\xa0\xcc\x00\x00",
        REPORT + b"\xa0\xcc\x00\x01abc\x04" + REPORT,
        REPORT + b"\x80\xcc",
    ],
)
def test_what_is_no_valid_compound_is_none(data: bytes) -> None:
    assert rtcp.parse(data) is None


def test_other_packets_and_items_are_passed_over_and_padding_may_end_a_compound() -> None:
    application = b"\x80\xcc\x00\x02\x00\x00\x00\x01name"
    tool = b"\x81\xca\x00\x04\x00\x00\x00\x01\x06\x02ab\x01\x02cd\x00\x00\x00\x00"
    padded = b"\xa1\xcb\x00\x02\x00\x00\x00\x07\x00\x00\x00\x04"
    assert rtcp.parse(REPORT + application + tool + padded) == [
        rtcp.Report(1, None),
        rtcp.Description(((1, "cd"),)),
        rtcp.Goodbye((7,)),
    ]


def test_a_long_name_is_cut() -> None:
    parsed = rtcp.parse(REPORT + rtcp.build(rtcp.Description(((1, "x" * 300),))))
    assert parsed is not None
    assert parsed[1] == rtcp.Description(((1, "x" * 255),))


def test_ntp_time_counts_from_1900() -> None:
    assert rtcp.ntp_time(datetime(1900, 1, 2, tzinfo=UTC)) == 86400 << 32
    half = datetime(1900, 1, 1, tzinfo=UTC) + timedelta(seconds=1.5)
    assert rtcp.ntp_time(half) == 3 << 31
    assert rtcp.middle(3 << 31) == 0x18000


def intervals(**situation: object) -> list[float]:
    usual = {"members": 2, "senders": 2, "we_sent": True, "average_size": 120, "initial": False}
    chaos = random.Random(1)
    return [rtcp.interval(chaos, **(usual | situation)) for _ in range(2000)]  # type: ignore[arg-type]


def test_the_interval_of_a_call_is_the_minimum_spread_around_itself() -> None:
    times = intervals()
    assert min(times) >= 2.5 / rtcp.COMPENSATION
    assert max(times) <= 7.5 / rtcp.COMPENSATION
    assert sum(times) / len(times) == pytest.approx(5 / rtcp.COMPENSATION, rel=0.02)
    first = intervals(initial=True)
    assert sum(first) / len(first) == pytest.approx(2.5 / rtcp.COMPENSATION, rel=0.02)


def test_many_members_share_the_bandwidth_and_senders_have_a_quarter() -> None:
    def mean(**situation: object) -> float:
        times = intervals(members=1000, average_size=100, bandwidth=1000.0, **situation)
        return sum(times) / len(times) * rtcp.COMPENSATION

    assert mean(senders=500) == pytest.approx(100, rel=0.02)
    assert mean(senders=100) == pytest.approx(40, rel=0.02)
    assert mean(senders=100, we_sent=False) == pytest.approx(120, rel=0.02)
