from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.sip.errors import Malformed
from vxml_server.sip.headers import Headers, canonical, split_commas


@pytest.mark.parametrize(
    ("met", "kept"),
    [
        ("v", "Via"),
        ("F", "From"),
        ("CALL-ID", "Call-ID"),
        ("cseq", "CSeq"),
        ("WWW-AUTHENTICATE", "WWW-Authenticate"),
        ("x-my-header", "X-My-Header"),
    ],
)
def test_a_name_has_one_spelling(met: str, kept: str) -> None:
    assert canonical(met) == kept


def test_look_ups_ignore_case_and_know_compact_forms() -> None:
    headers = Headers({"i": "abc"})
    assert headers.get("call-id") == "abc"
    assert "I" in headers
    assert headers.get("Subject", "none") == "none"
    assert "Subject" not in headers


def test_lines_of_one_name_stay_in_order_and_are_split_when_asked() -> None:
    headers = Headers()
    headers.add("Via", "one, two")
    headers.add("v", "three")
    assert headers.lines("Via") == ["one, two", "three"]
    assert headers.values("Via") == ["one", "two", "three"]
    assert list(headers.items()) == [("Via", "one, two"), ("Via", "three")]
    assert len(headers) == 2


def test_tokens_come_in_lower_case() -> None:
    assert Headers({"Supported": "Timer, 100REL"}).tokens("k") == ["timer", "100rel"]


def test_set_replaces_and_remove_removes() -> None:
    headers = Headers({"To": "a"})
    headers.set("t", "b")
    assert headers.lines("To") == ["b"]
    headers.set_lines("To", ["c", "d"])
    assert headers.lines("To") == ["c", "d"]
    headers.remove("TO")
    assert headers == Headers()
    assert headers != "To"


def test_a_copy_is_independent() -> None:
    headers = Headers({"To": "a"})
    twin = headers.copy()
    twin.add("To", "b")
    assert headers.lines("To") == ["a"]
    assert repr(headers) == "Headers({'To': ['a']})"


def test_a_value_cannot_smuggle_a_header_line() -> None:
    headers = Headers({"Subject": "a\r\nVia: evil"})
    assert headers.get("Subject") == "a Via: evil"


def test_a_name_has_to_be_a_token() -> None:
    with pytest.raises(Malformed):
        Headers({"Bad Name\r\n": "a"})


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("", []),
        ("a", ["a"]),
        ("a, b,,c ,", ["a", "b", "c"]),
        ('"x, y" <sip:a,b@c>;p="1,2", <sip:d>', ['"x, y" <sip:a,b@c>;p="1,2"', "<sip:d>"]),
        (r'"quoted \", comma" <sip:a>, b', [r'"quoted \", comma" <sip:a>', "b"]),
        ('"never closed, a', ['"never closed, a']),
    ],
)
def test_commas_in_quotes_and_brackets_do_not_split(value: str, parts: list[str]) -> None:
    assert split_commas(value) == parts


@given(st.text(alphabet='a,"<>\\ ', max_size=60))
def test_splitting_loses_nothing_but_white_space_and_commas(value: str) -> None:
    def solid(text: str) -> str:
        return "".join(text.split()).replace(",", "")

    assert solid("".join(split_commas(value))) == solid(value)
