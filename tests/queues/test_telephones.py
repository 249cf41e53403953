"""Agents' telephones in SIP: who answers, what a refusal means; nothing is left ringing."""

from __future__ import annotations

import pytest

from tests.calls.fake_media import FakeEngine
from tests.calls.fake_sip import FakeOutgoing
from vxml_server.calls import Leg, Line
from vxml_server.clock import VirtualClock
from vxml_server.queues.telephones import MAX_REDIRECTIONS, Dialler, SipTelephone
from vxml_server.queues.telephony import CannotRing, Happening
from vxml_server.settings import DialRefused
from vxml_server.sip import Headers, InvalidUri

H = Happening


class Exchange:
    """What is dialled, and where telephones are registered."""

    def __init__(self, *contacts: str) -> None:
        self.clock = VirtualClock()
        self.engine = FakeEngine(self.clock)
        self.rung: list[FakeOutgoing] = []
        line = Line(
            engine=self.engine,
            clock=self.clock,
            invite=self._invite,
            destination=self._destination,
            credentials=lambda target: None,
            session_id=lambda: 1,
        )
        self.dialler = Dialler(line, lambda user: contacts if user == "ann" else ())

    def _destination(self, dest: str) -> str:
        if "premium" in dest:
            raise DialRefused("error.connection.noauthorization", "no rule allows it")
        return f"sip:{dest}@trunk" if dest.startswith("+") else dest

    def _invite(self, target: str, offer: object, leg: Leg, headers: object, _: object) -> object:
        if "nowhere" in target:
            raise InvalidUri("no transport")
        self.rung.append(FakeOutgoing(target, offer, leg, headers))
        return self.rung[-1]

    def ring(self, line: str = "ann", *, follows: bool = False) -> SipTelephone:
        return self.dialler.ring(line, {}, follows=follows)

    async def next(self, telephone: SipTelephone) -> Happening | None:
        await self.clock.settle()
        return await telephone.next(0.0)

    def assert_nothing_rings(self) -> None:
        assert self.engine.open_channels == []
        assert all(one.finals for one in self.rung)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (486, H.BUSY),
        (600, H.BUSY),
        (603, H.REFUSED),
        (607, H.REFUSED),
        (480, H.NO_ANSWER),
        (408, H.NO_ANSWER),
        (487, H.NO_ANSWER),
        (302, H.FAILED),
        (403, H.FAILED),
        (404, H.FAILED),
        (488, H.FAILED),
        (500, H.FAILED),
        (503, H.FAILED),
        (606, H.FAILED),
    ],
)
async def test_a_final_response_means_something_of_the_agent(status: int, meaning: H) -> None:
    exchange = Exchange("sip:one")
    telephone = exchange.ring()
    exchange.rung[0].ring()
    assert await exchange.next(telephone) is H.RINGING
    exchange.rung[0].refuse(status)
    assert await exchange.next(telephone) is meaning
    telephone.hang_up()
    await exchange.clock.settle()
    exchange.assert_nothing_rings()


async def test_of_several_telephones_the_first_that_is_answered_has_the_call() -> None:
    exchange = Exchange("sip:one", "sip:two", "sip:three")
    telephone = exchange.ring()
    for one in exchange.rung:
        one.ring()
    assert await exchange.next(telephone) is H.RINGING
    exchange.rung[1].answer()
    assert await exchange.next(telephone) is H.ANSWERED
    await exchange.clock.settle()
    assert [one.sent for one in exchange.rung] == [["CANCEL"], [], ["CANCEL"]]
    assert len(exchange.engine.open_channels) == 1
    exchange.rung[1].bye()
    assert await exchange.next(telephone) is H.HUNG_UP
    telephone.hang_up()
    exchange.assert_nothing_rings()


async def test_two_that_are_answered_in_the_same_moment_are_not_both_kept() -> None:
    exchange = Exchange("sip:one", "sip:two")
    telephone = exchange.ring()
    exchange.rung[0].answer()
    exchange.rung[1].answer()
    assert await exchange.next(telephone) is H.ANSWERED
    await exchange.clock.settle()
    assert [one.sent for one in exchange.rung] == [[], ["BYE"]]


async def test_one_that_refuses_does_not_stop_the_others() -> None:
    exchange = Exchange("sip:one", "sip:two")
    telephone = exchange.ring()
    exchange.rung[0].refuse(503)
    assert await exchange.next(telephone) is None
    exchange.rung[1].refuse(603)
    assert await exchange.next(telephone) is H.REFUSED, "a person's answer counts more"


async def test_one_that_cannot_be_dialled_does_not_stop_the_others() -> None:
    exchange = Exchange("sip:nowhere", "sip:two")
    exchange.ring()
    assert [one.target for one in exchange.rung] == ["sip:two"]
    assert len(exchange.engine.open_channels) == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("bob", "no telephone is registered for 'bob'"),
        ("sip:nowhere", "no transport"),
        ("tel:premium", "no rule allows it"),
    ],
)
async def test_a_line_that_cannot_be_rung_says_why(line: str, why: str) -> None:
    exchange = Exchange()
    with pytest.raises(CannotRing, match=why):
        exchange.ring(line)
    exchange.assert_nothing_rings()


async def test_a_number_goes_by_the_dial_rules() -> None:
    exchange = Exchange()
    exchange.ring("+33123456789")
    assert exchange.rung[0].target == "sip:+33123456789@trunk"


async def test_hanging_up_ends_all_that_ring() -> None:
    exchange = Exchange("sip:one", "sip:two")
    telephone = exchange.ring()
    telephone.hang_up()
    telephone.hang_up()
    await exchange.clock.settle()
    assert [one.sent for one in exchange.rung] == [["CANCEL"], ["CANCEL"]]
    exchange.assert_nothing_rings()


async def test_an_answer_that_cannot_be_used_is_a_failure() -> None:
    exchange = Exchange("sip:one")
    telephone = exchange.ring()
    exchange.rung[0].answer_without_description()
    assert await exchange.next(telephone) is H.FAILED


async def test_waiting_gives_up_at_its_time() -> None:
    exchange = Exchange("sip:one")
    telephone = exchange.ring()
    assert await telephone.next(0.0) is None


def redirect(call: FakeOutgoing, contact: str) -> None:
    headers = Headers({"Contact": contact}) if contact else Headers()
    call.final("rejected", 302, "Moved Temporarily", headers)


@pytest.mark.parametrize(
    "contact",
    ["<sip:mobile@far;x=1>;q=0.7", "sip:mobile@far", '"Ann" <sip:mobile@far>, <sip:b@far>'],
)
async def test_a_redirection_is_followed_where_the_queue_says_so(contact: str) -> None:
    exchange = Exchange("sip:one")
    telephone = exchange.ring(follows=True)
    redirect(exchange.rung[0], contact)
    assert await exchange.next(telephone) is None
    assert exchange.rung[1].target.startswith("sip:mobile@far")
    exchange.rung[1].answer()
    assert await exchange.next(telephone) is H.ANSWERED
    telephone.hang_up()
    await exchange.clock.settle()
    exchange.assert_nothing_rings()


@pytest.mark.parametrize(
    ("contact", "follows"),
    [("<sip:mobile@far>", False), ("<sip:premium@far>", True), ("<sip:nowhere>", True), ("", True)],
)
async def test_a_redirection_that_may_not_be_followed_is_a_failure(
    contact: str, follows: bool
) -> None:
    exchange = Exchange("sip:one")
    telephone = exchange.ring(follows=follows)
    redirect(exchange.rung[0], contact)
    assert await exchange.next(telephone) is H.FAILED
    assert len(exchange.rung) == 1


async def test_redirections_are_not_followed_for_ever() -> None:
    exchange = Exchange("sip:one")
    telephone = exchange.ring(follows=True)
    happened = None
    while happened is None:
        redirect(exchange.rung[-1], "<sip:round@far>")
        happened = await exchange.next(telephone)
    assert happened is H.FAILED
    assert len(exchange.rung) == 1 + MAX_REDIRECTIONS
