from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.sip.errors import IllegalTransition, Rejection
from vxml_server.sip.offer_answer import Direction, LocalMedia, NegotiatedMedia, OfferAnswer
from vxml_server.sip.sdp import SessionDescription

LOCAL = LocalMedia("127.0.0.1", 20000)


def described(*lines: str, address: str = "10.0.0.1", version: int = 1) -> SessionDescription:
    family = "IP6" if ":" in address else "IP4"
    head = ["v=0", f"o=- 9 {version} IN IP4 10.0.0.1", "s=-", f"c=IN {family} {address}", "t=0 0"]
    return SessionDescription.parse("\r\n".join([*head, *lines, ""]).encode())


def negotiation(local: LocalMedia = LOCAL) -> OfferAnswer:
    return OfferAnswer(local, session_id=42)


def answered(*lines: str, local: LocalMedia = LOCAL, **more: str) -> NegotiatedMedia:
    side = negotiation(local)
    side.answer(described(*lines, **more))  # type: ignore[arg-type]
    assert side.media is not None
    return side.media


def test_an_offer_is_answered_with_the_first_codec_that_both_know() -> None:
    side = negotiation()
    answer = side.answer(
        described(
            "m=audio 4000 RTP/AVP 18 0 8 101",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
        )
    )
    assert side.media == NegotiatedMedia(
        remote_address="10.0.0.1",
        remote_port=4000,
        remote_rtcp_port=4001,
        codec="PCMU",
        payload_type_send=0,
        payload_type_receive=0,
        event_payload_type_send=101,
        event_payload_type_receive=101,
        ptime_ms=20,
        direction="sendrecv",
    )
    media = answer.media[0]
    assert (media.port, media.formats, answer.address) == (20000, ("0", "101"), "127.0.0.1")
    assert media.attribute("rtpmap") == "0 PCMU/8000"
    assert media.attribute("fmtp") == "101 0-15"
    assert media.attribute("ptime") == "20"
    assert media.attribute("sendrecv") == ""


def test_payload_numbers_are_whatever_rtpmap_says() -> None:
    media = answered(
        "m=audio 4000 RTP/AVP 96 97",
        "a=rtpmap:96 pcma/8000/1",
        "a=rtpmap:97 telephone-event/8000",
    )
    assert (media.codec, media.payload_type_send, media.event_payload_type_send) == ("PCMA", 96, 97)


@pytest.mark.parametrize(
    "lines",
    [
        ("m=audio 4000 RTP/AVP 18",),
        ("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/16000"),
        ("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/8000/2"),
        ("m=audio 4000 RTP/SAVP 0",),
        ("m=audio 0 RTP/AVP 0",),
        ("m=video 4000 RTP/AVP 0",),
        ("m=audio 4000 RTP/AVP 0", "c=IN IP4 media.example.com"),
        (),
    ],
)
def test_without_anything_in_common_the_offer_is_not_acceptable(lines: tuple[str, ...]) -> None:
    side = negotiation()
    with pytest.raises(Rejection) as refused:
        side.answer(described(*lines))
    assert refused.value.status == 488
    assert str(refused.value) == "488"
    assert side.media is None


def test_every_m_line_is_answered_in_order_the_unused_with_port_0() -> None:
    answer = negotiation().answer(
        described(
            "m=video 5000 RTP/AVP 31",
            "m=audio 5002 RTP/SAVP 0",
            "m=audio 5004 RTP/AVP 8",
            "m=audio 5006 RTP/AVP 8",
            "m=image 5008 udptl t38",
        )
    )
    assert [(line.media, line.port, line.protocol) for line in answer.media] == [
        ("video", 0, "RTP/AVP"),
        ("audio", 0, "RTP/SAVP"),
        ("audio", 20000, "RTP/AVP"),
        ("audio", 0, "RTP/AVP"),
        ("image", 0, "UDPTL"),
    ]
    assert answer.media[4].formats == ("t38",)
    assert SessionDescription.parse(answer.serialize()).media[2].port == 20000


def test_without_telephone_event_there_are_no_events() -> None:
    media = answered("m=audio 4000 RTP/AVP 0")
    assert media.event_payload_type_send is None
    assert media.event_payload_type_receive is None
    deaf = LocalMedia("127.0.0.1", 1, telephone_event=False)
    media = answered("m=audio 4 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", local=deaf)
    assert media.event_payload_type_send is None


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("sendrecv", "sendrecv"),
        ("sendonly", "recvonly"),
        ("recvonly", "sendonly"),
        ("inactive", "inactive"),
    ],
)
def test_the_direction_is_theirs_turned_around(theirs: str, ours: str) -> None:
    assert answered("m=audio 4000 RTP/AVP 0", f"a={theirs}").direction == ours
    assert answered(f"a={theirs}", "m=audio 4000 RTP/AVP 0").direction == ours


def test_we_may_want_less_than_is_offered() -> None:
    side = negotiation()
    answer = side.answer(described("m=audio 4000 RTP/AVP 0"), "sendonly")
    assert answer.media[0].attribute("sendonly") == ""
    assert side.media is not None
    assert side.media.direction == "sendonly"


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_an_unspecified_address_is_hold(address: str) -> None:
    media = answered("m=audio 4000 RTP/AVP 0", address=address)
    assert (media.direction, media.remote_port) == ("recvonly", 4000)


@pytest.mark.parametrize(
    ("lines", "ptime"),
    [
        ((), 20),
        (("a=ptime:30",), 30),
        (("a=ptime:5",), 10),
        (("a=ptime:25.5",), 20),
        (("a=ptime:200",), 60),
        (("a=ptime:60", "a=maxptime:40"), 40),
        (("a=maxptime:10",), 10),
        (("a=ptime:soon", "a=maxptime:99999"), 20),
        (("a=ptime:0",), 20),
    ],
)
def test_ptime_is_what_they_like_within_what_can_be_sent(
    lines: tuple[str, ...], ptime: int
) -> None:
    assert answered("m=audio 4000 RTP/AVP 0", *lines).ptime_ms == ptime


@pytest.mark.parametrize(
    ("value", "port"), [("4444 IN IP4 10.0.0.1", 4444), ("x", 4001), ("0", 4001), ("99999", 4001)]
)
def test_rtcp_goes_where_it_says_or_to_the_next_port(value: str, port: int) -> None:
    assert answered("m=audio 4000 RTP/AVP 0", f"a=rtcp:{value}").remote_rtcp_port == port


def test_rtcp_is_multiplexed_when_both_sides_can() -> None:
    lines = ("m=audio 4000 RTP/AVP 0", "a=rtcp-mux")
    assert not answered(*lines).rtcp_mux
    able = LocalMedia("127.0.0.1", 1, rtcp_mux=True)
    media = answered(*lines, local=able)
    assert (media.rtcp_mux, media.remote_rtcp_port) == (True, 4000)
    side = negotiation(able)
    assert side.offer().media[0].attribute("rtcp-mux") == ""
    assert not side.accept(described("m=audio 4000 RTP/AVP 0")).rtcp_mux


def test_media_may_have_an_address_of_their_own_of_either_family() -> None:
    media = answered("m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:DB8::1")
    assert media.remote_address == "2001:db8::1"
    six = negotiation(LocalMedia("::1", 4000)).offer()
    assert b"c=IN IP6 ::1\r\n" in six.serialize()


def test_our_offer_is_answered_with_numbers_of_the_far_ends_choice() -> None:
    side = negotiation()
    offer = side.offer()
    assert offer.media[0].formats == ("8", "0", "101")
    media = side.accept(
        described(
            "m=audio 4000 RTP/AVP 100 96",
            "a=rtpmap:100 PCMU/8000",
            "a=rtpmap:96 telephone-event/8000",
        )
    )
    assert (media.codec, media.payload_type_send, media.payload_type_receive) == ("PCMU", 100, 0)
    assert (media.event_payload_type_send, media.event_payload_type_receive) == (96, 101)


def test_an_offer_of_one_codec_takes_no_other_answer() -> None:
    side = negotiation()
    assert side.offer(codec="PCMU").media[0].formats == ("0", "101")
    with pytest.raises(Rejection):
        side.accept(described("m=audio 4000 RTP/AVP 8"))
    assert side.accept(described("m=audio 4000 RTP/AVP 0")).codec == "PCMU"


@pytest.mark.parametrize("lines", [("m=audio 0 RTP/AVP 0",), ()])
def test_an_answer_that_refuses_the_stream_is_not_acceptable(lines: tuple[str, ...]) -> None:
    side = negotiation()
    side.offer()
    with pytest.raises(Rejection):
        side.accept(described(*lines))
    assert side.media is None


def test_an_answer_without_an_offer_is_a_mistake() -> None:
    with pytest.raises(IllegalTransition):
        negotiation().accept(described("m=audio 4000 RTP/AVP 0"))


def test_a_reoffer_keeps_lines_and_numbers_and_counts_its_version_up() -> None:
    side = negotiation()
    answer = side.answer(
        described(
            "m=video 5000 RTP/AVP 31",
            "m=audio 4000 RTP/AVP 0 96",
            "a=rtpmap:96 telephone-event/8000",
        )
    )
    hold = side.offer("sendonly")
    assert [line.port for line in hold.media] == [0, 20000]
    assert hold.media[1].formats == ("8", "0", "96")
    assert hold.origin.session_id == answer.origin.session_id == 42
    assert hold.origin.version == answer.origin.version + 1
    side.accept(described("m=video 0 RTP/AVP 31", "m=audio 4000 RTP/AVP 8", "a=recvonly"))
    assert side.media is not None
    assert (side.media.direction, side.media.codec) == ("sendonly", "PCMA")


def test_an_unchanged_answer_keeps_its_version() -> None:
    side = negotiation()
    offer = described("m=audio 4000 RTP/AVP 0")
    first = side.answer(offer)
    assert side.answer(offer) == first
    assert side.answer(described("m=audio 4000 RTP/AVP 8")).origin.version == 2


def test_the_line_in_use_is_used_again() -> None:
    side = negotiation()
    side.answer(described("m=audio 0 RTP/AVP 0", "m=audio 4002 RTP/AVP 0"))
    answer = side.answer(described("m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/AVP 0"))
    assert [line.port for line in answer.media] == [0, 20000]
    fewer = side.answer(described("m=audio 4000 RTP/AVP 0"))
    assert [line.port for line in fewer.media] == [20000]


directions = st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"])
codecs = st.sampled_from([("PCMU",), ("PCMA",), ("PCMU", "PCMA"), ("PCMA", "PCMU")])


@given(directions, directions, codecs, codecs, st.integers(10, 60), st.booleans(), st.booleans())
def test_two_sides_always_agree_about_what_they_agreed(
    offered: Direction,
    wanted: Direction,
    here: tuple[str, ...],
    there: tuple[str, ...],
    ptime: int,
    events: bool,
    mux: bool,
) -> None:
    caller = negotiation(LocalMedia("10.0.0.1", 1000, here, events, ptime, mux))  # type: ignore[arg-type]
    callee = negotiation(LocalMedia("10.0.0.2", 2000, there, True, 20, mux))  # type: ignore[arg-type]
    offer = SessionDescription.parse(caller.offer(offered).serialize())
    try:
        answer = SessionDescription.parse(callee.answer(offer, wanted).serialize())
    except Rejection:
        assert not set(here) & set(there)
        return
    one, other = caller.accept(answer), callee.media
    assert other is not None
    assert one.codec == other.codec
    assert one.payload_type_send == other.payload_type_receive
    assert one.event_payload_type_send == other.event_payload_type_receive
    assert (one.event_payload_type_send is not None) == events
    assert one.rtcp_mux == other.rtcp_mux == mux
    assert ("send" in one.direction) == ("recv" in other.direction)
    assert ("recv" in one.direction) == ("send" in other.direction)
    assert (one.remote_address, other.remote_port) == ("10.0.0.2", 1000)
