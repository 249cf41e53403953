from __future__ import annotations

import numpy as np
import pytest

from tests.calls.fake_media import FakeEngine
from tests.calls.fake_sip import FakeIncoming, FakeOutgoing, far_end
from vxml_server.calls import Leg
from vxml_server.calls.leg import ENCODE_ASIDE
from vxml_server.calls.mailbox import (
    Answered,
    Ended,
    Ending,
    KeyPressed,
    LegEvent,
    Played,
    Progress,
)
from vxml_server.clock import VirtualClock
from vxml_server.media import Codec, Direction, NoPortsLeft, Sound
from vxml_server.sip import EndCause, Headers, Rejection


class Incoming:
    """A leg of somebody who calls us."""

    def __init__(self, **offer: object) -> None:
        self.clock = VirtualClock()
        self.engine = FakeEngine(self.clock)
        self.call = FakeIncoming(**offer)
        self.leg = Leg(self.engine, self.clock, 1)
        self.call.listener = self.leg

    def accept(self) -> Incoming:
        self.leg.accept(self.call)
        self.leg.answer()
        return self

    def up(self) -> Incoming:
        self.accept().call.ack()
        assert self.events() == [Answered()]
        return self

    def events(self) -> list[LegEvent]:
        found = []
        while (event := self.leg.events.take()) is not None:
            found.append(event)
        return found

    def keys(self) -> str:
        return "".join(event.key for event in self.events() if isinstance(event, KeyPressed))

    @property
    def channel(self):
        return self.engine.channels[0]


class Outgoing(Incoming):
    """A leg to somebody whom we call."""

    def __init__(self) -> None:
        super().__init__()
        self.call = FakeOutgoing("sip:bob@far.test", self.leg.offer(), self.leg, {})
        self.leg.bind(self.call)


async def test_an_offer_is_answered_and_its_stream_configured() -> None:
    far = far_end(codecs=("PCMA",))
    one = Incoming(offer=far.offer())
    one.leg.accept(one.call)
    assert one.channel.streams == []  # nothing is sent to a caller who still rings
    one.leg.answer()
    media = far.accept(one.call.answered_with)
    assert media.remote_port == one.channel.local_port
    assert one.channel.stream.codec is Codec.PCMA
    assert (one.channel.stream.remote_address, one.channel.stream.remote_port) == (
        "198.51.100.7",
        4000,
    )
    assert one.leg.codec == "PCMA"


async def test_a_leg_is_up_with_the_ack_and_not_before() -> None:
    one = Incoming().accept()
    assert not one.leg.is_up
    one.call.ack()
    assert one.leg.is_up
    assert one.events() == [Answered()]


async def test_an_offer_without_a_codec_of_ours_is_refused() -> None:
    offer = far_end().offer()
    video = offer.media[0].__class__("video", 4000, "RTP/AVP", ("96",), "198.51.100.7")
    one = Incoming(offer=offer.__class__(offer.origin, offer.address, (video,)))
    with pytest.raises(Rejection) as refused:
        one.leg.accept(one.call)
    assert refused.value.status == 488


async def test_a_late_offer_is_configured_by_the_answer_in_the_ack() -> None:
    one = Incoming(late_offer=True).accept()
    assert one.channel.streams == []
    assert one.leg.codec is None
    one.call.ack(one.call.far.answer(one.call.answered_with))
    assert one.events() == [Answered()]
    assert one.channel.stream.remote_port == 4000


@pytest.mark.parametrize("answers", [False, True])
async def test_an_ack_without_a_usable_answer_to_our_offer_ends_the_leg(answers: bool) -> None:
    one = Incoming(late_offer=True).accept()
    refused = None
    if answers:
        answer = one.call.far.answer(one.call.answered_with)
        line = answer.media[0]
        media = line.__class__("audio", 0, line.protocol, line.formats, line.address)
        refused = answer.__class__(answer.origin, answer.address, (media,))
    one.call.ack(refused)
    await one.clock.settle()
    assert [type(event) for event in one.events()] == [Ended]
    assert one.leg.end is not None
    assert one.leg.end.ending is Ending.FAILURE
    assert one.call.sent == ["200", "BYE"]
    assert one.channel.closed


async def test_no_port_for_a_leg_is_an_error_at_once() -> None:
    one = Incoming()
    one.engine.most_channels = 1
    with pytest.raises(NoPortsLeft):
        Leg(one.engine, one.clock, 2)


# Keys --------------------------------------------------------------------------------------------


async def test_a_key_is_told_once_though_it_comes_in_three_ways() -> None:
    one = Incoming().up()
    one.channel.press("1", "rfc4733")
    one.clock.advance(0.05)
    one.channel.press("1", "inband")
    one.clock.advance(0.1)
    assert one.call.info("1") == 200
    assert one.events() == [KeyPressed("1", 0.0, "rfc4733")]


async def test_the_same_key_twice_in_one_way_is_two_presses() -> None:
    one = Incoming().up()
    for _ in range(2):
        one.channel.press("1")
        one.clock.advance(0.15)
    assert one.keys() == "11"


async def test_infos_that_lag_behind_other_keys_are_recognised_as_theirs() -> None:
    one = Incoming().up()
    one.channel.press("1")
    one.clock.advance(0.15)
    one.channel.press("2")
    one.clock.advance(0.15)
    one.call.info("1")
    one.channel.press("2")
    one.clock.advance(0.15)
    one.call.info("2")
    one.call.info("2")
    assert one.keys() == "122"


async def test_the_info_at_the_end_of_a_long_press_is_recognised_as_its_own() -> None:
    one = Incoming().up()
    one.channel.press("1")
    one.clock.advance(3.1)
    assert one.leg.info("application/dtmf-relay", b"Signal=1\r\nDuration=3000\r\n") == 200
    assert one.keys() == "1"


async def test_an_info_that_had_to_be_sent_again_is_recognised_as_its_own() -> None:
    one = Incoming().up()
    one.channel.press("1")
    one.clock.advance(0.16 + 0.5 + 0.1)
    one.call.info("1")
    assert one.keys() == "1"


async def test_the_same_key_later_by_another_way_is_a_press() -> None:
    one = Incoming().up()
    one.channel.press("1")
    one.clock.advance(1.1)
    one.call.info("1")
    assert one.keys() == "11"


async def test_info_is_answered_for_what_it_is() -> None:
    one = Incoming().up()
    assert one.call.info("5") == 200
    assert one.leg.info("application/dtmf", b"#") == 200
    assert one.leg.info("application/dtmf-relay", b"nonsense") == 400
    assert one.leg.info("application/media_control+xml", b"<x/>") == 415
    assert one.call.info("16") == 200  # a hook flash is understood, and is no key
    assert one.keys() == "5#"
    assert one.leg.has_info_keys


# Media -------------------------------------------------------------------------------------------


async def test_a_playback_that_ended_is_told_with_what_was_heard() -> None:
    one = Incoming().up()
    playback = one.leg.play(Sound(np.zeros(8000, np.int16)))
    one.clock.advance(0.25)
    one.leg.stop_playing()
    await one.clock.settle()
    assert one.events() == [Played(playback, 2000, False)]


async def test_a_long_sound_is_encoded_before_it_is_played() -> None:
    one = Incoming().up()
    sound, short = (Sound(np.zeros(n, np.int16)) for n in (ENCODE_ASIDE + 1, 160))
    await one.leg.prepare(sound)
    await one.leg.prepare(short)
    codec = one.channel.stream.codec
    assert list(sound._encoded) == [codec]
    assert short._encoded == {}


async def test_hold_and_resume_by_the_far_end_change_the_stream() -> None:
    one = Incoming().up()
    far = one.call.far
    far.accept(one.leg.reoffered(far.offer("sendonly")))
    assert one.channel.stream.direction is Direction.RECVONLY
    far.accept(one.leg.reoffered(far.offer()))
    one.leg.acknowledged(None)
    assert one.channel.stream.direction is Direction.SENDRECV
    assert one.events() == []


async def test_a_reinvite_without_offer_is_answered_by_ours() -> None:
    one = Incoming().up()
    answer = one.call.far.answer(one.leg.reoffered(None))
    one.leg.acknowledged(answer)
    assert len(one.channel.streams) == 2
    # An unusable answer leaves the session as it was.
    one.leg.reoffered(None)
    one.leg.acknowledged(None)
    assert one.leg.end is None


async def test_a_reinvite_of_ours_changes_the_stream_when_it_is_answered() -> None:
    one = Incoming().up()
    answer = one.call.far.answer(one.leg.offer())
    one.leg.reinvite_rejected(491, "glare")
    one.leg.reinvite_answered(None)
    assert len(one.channel.streams) == 1
    one.leg.reinvite_answered(answer)
    assert len(one.channel.streams) == 2


async def test_media_that_stops_is_no_event() -> None:
    one = Incoming().up()
    one.leg.media_lost(10.0)
    one.leg.media_resumed()
    assert one.events() == []


# Outgoing ----------------------------------------------------------------------------------------


async def test_an_answer_configures_the_stream() -> None:
    one = Outgoing()
    one.call.ring()
    one.call.answer()
    assert one.events() == [Progress(180, False), Answered()]
    assert one.channel.stream.remote_port == 5000


async def test_early_media_is_configured_before_the_answer() -> None:
    one = Outgoing()
    one.call.early_media()
    assert one.events() == [Progress(183, True)]
    assert one.channel.stream.remote_port == 5000
    one.call.answer()
    assert one.events() == [Answered()]


async def test_another_telephone_than_that_of_the_early_media_may_answer() -> None:
    one = Outgoing()
    one.call.early_media()
    one.call.answer(far_end(6000).answer(one.call.offer))
    assert one.channel.stream.remote_port == 6000
    assert one.leg.is_up


async def test_the_answer_of_a_183_holds_when_the_2xx_brings_none() -> None:
    one = Outgoing()
    one.call.early_media()
    one.call.answer_without_description()
    assert one.leg.is_up


async def test_a_2xx_without_any_answer_is_hung_up() -> None:
    one = Outgoing()
    one.call.answer_without_description()
    await one.clock.settle()
    assert not one.leg.is_up
    assert one.leg.end == Ended(Ending.FAILURE, 488, "no usable session description")
    assert one.call.sent == ["BYE"]


async def test_an_early_answer_that_cannot_be_used_is_passed_over() -> None:
    one = Outgoing()
    answer = one.call.far.answer(one.call.offer)
    one.call.ring(183, answer.__class__(answer.origin, answer.address, ()))
    assert one.events() == [Progress(183, False)]
    one.call.answer(answer)
    assert one.leg.is_up


# The end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outgoing", "ending", "tell"),
    [
        (False, Ending.REMOTE, lambda leg: leg.ended(EndCause.REMOTE_BYE, "")),
        (False, Ending.FAILURE, lambda leg: leg.ended(EndCause.ACK_TIMEOUT, "")),
        (False, Ending.FAILURE, lambda leg: leg.ended(EndCause.TRANSPORT, "")),
        (False, Ending.LOCAL, lambda leg: leg.ended(EndCause.LOCAL, "")),
        (False, Ending.REMOTE, lambda leg: leg.cancelled()),
        (False, Ending.LOCAL, lambda leg: leg.rejected(603, "", Headers())),
        (True, Ending.LOCAL, lambda leg: leg.cancelled()),
        (True, Ending.FAILURE, lambda leg: leg.rejected(486, "Busy", Headers())),
    ],
)
async def test_however_a_leg_ends_it_ends_once_and_its_channel_is_closed(
    outgoing: bool, ending: Ending, tell: object
) -> None:
    one = Outgoing() if outgoing else Incoming().accept()
    told: list[Ended] = []
    one.leg.when_ended(told.append)
    tell(one.leg)
    tell(one.leg)
    assert [event.ending for event in one.events()] == [ending]
    assert [end.ending for end in told] == [ending]
    assert one.channel.closed
    one.leg.when_ended(told.append)
    assert len(told) == 2
    one.leg.hang_up()
    assert one.call.sent in ([], ["200"])


async def test_a_leg_that_never_had_a_call_can_be_hung_up() -> None:
    one = Incoming()
    one.leg.hang_up()
    assert one.leg.end == Ended(Ending.LOCAL)
    assert one.channel.closed
