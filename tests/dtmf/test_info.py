from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.dtmf import BadDtmfInfo, KeyPress, build_info, parse_info

RELAY = "application/dtmf-relay"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"Signal=5\r\nDuration=160", KeyPress("5", 160)),
        (b"Signal=5\r\nDuration=160\r\n", KeyPress("5", 160)),
        (b"Signal= #\r\nDuration= 250\r\n", KeyPress("#", 250)),
        (b"signal = *\nduration = 90\n", KeyPress("*", 90)),
        (b"SIGNAL=d\r\nDURATION=100\r\n", KeyPress("D", 100)),
        (b"Duration=100\r\nSignal=1", KeyPress("1", 100)),
        (b"Signal=10\r\nDuration=100", KeyPress("*", 100)),
        (b"Signal=11\r\nDuration=100", KeyPress("#", 100)),
        (b"Signal=12", KeyPress("A")),
        (b"Signal=15", KeyPress("D")),
        (b"Signal=16", KeyPress("")),
        (b"Signal=7\r\nDuration=soon", KeyPress("7")),
        (b"Signal=7\r\nDuration=0", KeyPress("7", 1)),
        (b"Signal=7\r\nDuration=99999999", KeyPress("7", 60_000)),
        (b"Signal=7\r\n\r\nnoise", KeyPress("7")),
        (b"3", KeyPress("3")),
    ],
)
def test_what_gateways_send_as_dtmf_relay_is_understood(body: bytes, expected: KeyPress) -> None:
    assert parse_info(RELAY, body) == expected


@pytest.mark.parametrize(
    ("body", "key"),
    [(b"5", "5"), (b" # \r\n", "#"), (b"10", "*"), (b"11", "#"), (b"b", "B"), (b"Signal=9", "9")],
)
def test_what_gateways_send_as_plain_dtmf_is_understood(body: bytes, key: str) -> None:
    assert parse_info("application/dtmf", body) == KeyPress(key)


def test_the_type_is_compared_without_case_and_parameters() -> None:
    assert parse_info(" Application/DTMF-Relay ; charset=utf-8", b"Signal=5") == KeyPress("5")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/sdp", "application/dtmf-other"])
def test_another_type_carries_no_key(kind: str) -> None:
    assert parse_info(kind, b"Signal=5") is None


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"Duration=160", b"Signal=", b"Signal=E", b"Signal=55", b"Signal=17", b"Signal=+5"),
        *(b"Signal 5", b"99", b"\xff\xfe", "Signal=\u0665".encode(), b"Signal=5" + b" " * 300),
    ],
)
def test_a_body_without_a_key_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(BadDtmfInfo, match=r"."):
        parse_info(RELAY, body)


@given(st.sampled_from("0123456789*#ABCD"), st.integers(1, 60_000))
def test_what_is_built_is_read_back(key: str, duration: int) -> None:
    assert parse_info(*build_info(key, duration)) == KeyPress(key, duration)


def test_a_lower_case_key_is_built_in_upper_case_and_no_key_is_refused() -> None:
    assert build_info("a") == (RELAY, b"Signal=A\r\nDuration=160\r\n")
    for wrong in ("", "12", "x"):
        with pytest.raises(ValueError, match="no DTMF key"):
            build_info(wrong)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_key_or_the_named_error(body: bytes) -> None:
    for kind in (RELAY, "application/dtmf"):
        try:
            press = parse_info(kind, body)
        except BadDtmfInfo:
            continue
        assert press is not None
        assert press.key in (*"0123456789*#ABCD", "")
