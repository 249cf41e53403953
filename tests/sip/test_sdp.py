from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.sip.errors import InvalidSdp
from vxml_server.sip.sdp import MediaDescription, Origin, RtpMap, SessionDescription

FULL = b"""v=0\r
o=jdoe 2890844526 2890842807 IN IP4 10.47.16.5\r
s=SDP Seminar\r
i=about\r
c=IN IP4 224.2.17.12/127\r
b=AS:128\r
t=2873397496 2873404696\r
a=recvonly\r
m=audio 49170/2 RTP/AVP 0 97\r
b=TIAS:64000\r
a=rtpmap:97 iLBC/8000/1\r
a=rtpmap:xx broken\r
m=video 51372 rtp/avp 99\r
c=IN IP6 ::1\r
a=rtpmap:99 h263-1998/90000\r
k=clear:x\r
"""


def test_a_description_is_read() -> None:
    sdp = SessionDescription.parse(FULL)
    assert sdp.origin == Origin("jdoe", 2890844526, 2890842807, "10.47.16.5")
    assert (sdp.session_name, sdp.address) == ("SDP Seminar", "224.2.17.12")
    assert sdp.attribute("recvonly") == ""
    assert sdp.attribute("sendonly") is None
    audio, video = sdp.media
    assert (audio.port, audio.address, audio.formats) == (49170, "224.2.17.12", ("0", "97"))
    assert audio.rtpmaps() == (RtpMap(0, "PCMU", 8000), RtpMap(97, "ILBC", 8000, "1"))
    assert (video.address, video.protocol) == ("::1", "RTP/AVP")
    assert video.attribute("rtpmap") == "99 h263-1998/90000"


def test_a_description_is_written_as_it_reads() -> None:
    sdp = SessionDescription.parse(FULL)
    written = sdp.serialize()
    assert SessionDescription.parse(written) == sdp
    assert b"c=IN IP4 224.2.17.12\r\n" in written
    assert b"c=IN IP6 ::1\r\n" in written


def test_line_feeds_alone_are_forgiven_and_an_empty_name_is_a_dash() -> None:
    sdp = SessionDescription.parse(b"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=\nt=0 0\n")
    assert (sdp.session_name, sdp.address, sdp.media) == ("-", "", ())
    assert sdp.serialize() == b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


HEAD = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"v=1\r\n",
        b"v=0\r\ns=-\r\n",
        b"v=0\r\no=- x 1 IN IP4 127.0.0.1\r\n",
        HEAD + b"m=audio 99999 RTP/AVP 0\r\n",
        HEAD + b"m=audio RTP/AVP 0\r\n",
        HEAD + b"c=IN IP5 x\r\n",
        HEAD + b"what is this\r\n",
        HEAD + b"1=2\r\n",
        HEAD + b"m=audio 1 RTP/AVP 0\r\n" * 33,
        b"v=0\r\n" + b"a=x\r\n" * 10000,
    ],
)
def test_a_bad_description_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidSdp):
        SessionDescription.parse(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        SessionDescription.parse(body)
    except InvalidSdp:
        return


@given(st.integers(0, len(FULL)), st.binary(max_size=6), st.integers(0, 6))
def test_a_damaged_description_is_read_or_refused(at: int, insert: bytes, cut: int) -> None:
    try:
        sdp = SessionDescription.parse(FULL[:at] + insert + FULL[at + cut :])
    except InvalidSdp:
        return
    for media in sdp.media:
        media.rtpmaps()
    sdp.serialize()


def test_formats_that_are_no_payload_numbers_mean_nothing() -> None:
    assert MediaDescription("audio", 1, "RTP/AVP", ("*", "9999", "8")).rtpmaps() == (
        RtpMap(8, "PCMA", 8000),
    )
