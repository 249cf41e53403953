from __future__ import annotations

from email import message_from_bytes
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FilePart
from vxml_server.fetch.forms import add_query, encode_body

MULTIPART = "multipart/form-data"


@pytest.mark.parametrize(
    ("uri", "sent"),
    [
        ("http://h/a", "http://h/a?x=1&y=%C3%A9+%26"),
        ("http://h/a#frag", "http://h/a?x=1&y=%C3%A9+%26"),
        ("http://h/a?b=c", "http://h/a?b=c&x=1&y=%C3%A9+%26"),
        ("http://h/a?", "http://h/a?x=1&y=%C3%A9+%26"),
        ("http://h/a?b&", "http://h/a?b&x=1&y=%C3%A9+%26"),
    ],
)
def test_fields_follow_the_query_that_is_there(uri: str, sent: str) -> None:
    assert add_query(uri, (("x", "1"), ("y", "é &"))) == sent


def test_without_fields_only_the_fragment_goes() -> None:
    assert add_query("http://h/a?b#c", ()) == "http://h/a?b"


pairs = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.text(st.characters(exclude_categories=["Cs"])),
    )
)


@given(pairs)
def test_a_urlencoded_body_says_the_fields_in_order(fields: list[tuple[str, str]]) -> None:
    body, kind = encode_body(tuple(fields), "application/x-www-form-urlencoded")
    assert kind == "application/x-www-form-urlencoded"
    assert parse_qsl(body.decode("ascii"), keep_blank_values=True) == fields


@given(st.lists(st.tuples(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.binary(max_size=60))))
def test_a_multipart_body_is_read_back_by_another_parser(fields: list[tuple[str, bytes]]) -> None:
    parts = tuple((name, FilePart(data, "audio/x-wav", "a.wav")) for name, data in fields)
    body, kind = encode_body((("text", "é"), *parts), MULTIPART)
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    first, *rest = message.walk()
    assert first.get_content_type() == MULTIPART
    names = [part.get_param("name", header="content-disposition") for part in rest]
    assert names == ["text", *(name for name, _ in fields)]
    assert rest[0].get_payload(decode=True) == "é".encode()
    for (_, data), part in zip(fields, rest[1:], strict=True):
        assert part.get_content_type() == "audio/x-wav"
        assert part.get_filename() == "a.wav"
        boundary = kind.partition("boundary=")[2].encode()
        assert data not in {boundary, b"--" + boundary}
        assert b"\r\n\r\n" + data + b"\r\n--" in body


def test_a_name_cannot_end_its_header() -> None:
    body, _ = encode_body((('a"\r\nX: y', "v"),), MULTIPART)
    assert b'name="a%22%0D%0AX: y"\r\n\r\nv' in body


def test_a_boundary_that_the_content_foresaw_is_not_used() -> None:
    _, kind = encode_body((("a", "1"),), MULTIPART)
    foreseen = kind.partition("boundary=")[2]
    body, other = encode_body((("a", "1"), ("b", foreseen)), MULTIPART)
    assert body.count(other.partition("boundary=")[2].encode()) == 3


@pytest.mark.parametrize("enctype", ["text/plain", "x"])
def test_another_enctype_is_a_bad_fetch(enctype: str) -> None:
    with pytest.raises(VoiceXmlEvent, match=r"error\.badfetch"):
        encode_body((), enctype)


def test_audio_does_not_fit_into_a_query() -> None:
    part = FilePart(b"", "audio/x-wav", "a.wav")
    with pytest.raises(VoiceXmlEvent, match=r"submit it by POST"):
        add_query("http://h/", (("message", part),))
