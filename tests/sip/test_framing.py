from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vxml_server.sip.framing import KEEP_ALIVE, StreamFramer
from vxml_server.sip.message import MAX_MESSAGE

ONE = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 5\r\n\r\nhello"
TWO = b"BYE sip:a SIP/2.0\r\nl:0\r\n\r\n"
NONE = b"ACK sip:a SIP/2.0\r\nVia: x\r\n\r\n"


def test_messages_are_cut_where_their_length_says() -> None:
    assert StreamFramer().feed(ONE + TWO + NONE) == [ONE, TWO, NONE]


def test_a_double_line_break_is_a_keep_alive_and_a_single_one_nothing() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n\r\n") == [KEEP_ALIVE]
    assert framer.feed(b"\r\n") == []
    assert not framer.partial
    assert framer.feed(TWO) == [TWO]


def test_a_message_that_began_is_partial_until_it_ends() -> None:
    framer = StreamFramer()
    assert framer.feed(ONE[:-1]) == []
    assert framer.partial
    assert framer.feed(ONE[-1:]) == [ONE]
    assert not framer.partial


def test_a_bad_length_breaks_the_stream_after_one_message_that_can_be_answered() -> None:
    framer = StreamFramer()
    head = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: -5\r\n\r\n"
    assert framer.feed(head + ONE) == [head]
    assert framer.broken
    assert framer.feed(ONE) == []


def test_a_head_without_end_breaks_the_stream() -> None:
    framer = StreamFramer()
    assert framer.feed(b"x" * (MAX_MESSAGE + 1)) == []
    assert framer.broken


def test_a_body_that_is_too_long_breaks_the_stream() -> None:
    framer = StreamFramer()
    assert framer.feed(b"A b SIP/2.0\r\nContent-Length: 70000\r\n\r\n") == []
    assert framer.broken


@given(st.lists(st.sampled_from([ONE, TWO, NONE]), max_size=6), st.data())
def test_it_does_not_matter_how_a_stream_is_cut(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(messages)
    framer = StreamFramer()
    found: list[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += framer.feed(stream[:size])
        stream = stream[size:]
    assert found == messages
