"""Trunks: registering with somebody else's exchange, for as long as we run."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from random import Random

import pytest

from tests.sip.peers import Owner, Phone, World
from vxml_server.sip.core import UserAgentSettings
from vxml_server.sip.digest import DigestServer, Proof
from vxml_server.sip.message import Request, Response
from vxml_server.sip.trunk import Trunk, TrunkAccount, Trunks, TrunkState
from vxml_server.sip.uri import Destination

AT = Destination("udp", "127.0.0.9", 5060)


class Exchange(Phone):
    """An exchange that registers user 100 for `expires` seconds, or answers with `refusals`."""

    def __init__(self, world: World, at: Destination = AT) -> None:
        super().__init__(world.network, at, world.server)
        self.expires = 100
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.registered = False
        self.asked: list[int] = []
        self.react = self._react
        self._digest = DigestServer(
            {"100": "word"}, "exchange", clock=world.clock, random=Random(2)
        )

    def _react(self, message: Request | Response) -> None:
        if isinstance(message, Request) and message.method == "REGISTER":
            self.transport.send(
                bytes(self._answer(message)), self.server.host, self.server.port, lambda _: None
            )

    def _answer(self, request: Request) -> Response:
        if self._digest.judge(request).proof is not Proof.GOOD:
            response = request.response(401, tag="x")
            for name, value in self._digest.challenge(request).items():
                response.headers.add(name, value)
            return response
        asked = int(request.headers.get("Expires"))
        self.asked.append(asked)
        if self.refusals:
            status, headers = self.refusals.pop(0)
            response = request.response(status, tag="x")
            for name, value in headers.items():
                response.headers.add(name, value)
            return response
        self.registered = asked > 0
        response = request.response(200, tag="x")
        granted = min(asked, self.expires)
        contact = request.headers.get("Contact")
        response.headers.add(
            "Contact", f"<sip:100@10.1.1.1>;expires=7, {contact};expires={granted}"
        )
        return response


class Ours:
    """Our side with one trunk; the exchange's name has `addresses`."""

    def __init__(self, registrar: str = "sip:127.0.0.9", password: str = "word") -> None:
        self.world = World(settings=UserAgentSettings(trusted=()))
        self.clock = self.world.clock
        self.addresses: Sequence[str] = ["127.0.0.9"]
        account = TrunkAccount("t", registrar, "100", password)
        self.trunk = Trunk(account, self.world.agent.request, self.clock, Random(4), self._resolve)
        self.trunks = Trunks([self.trunk])
        self.world.agent.route_by(self.trunks.route)
        self.world.agent.trust(self.trunks.is_partner)

    async def stop(self) -> None:
        stopping = asyncio.ensure_future(self.trunks.stop())
        await self.clock.elapse(3)
        await stopping

    async def _resolve(self, host: str) -> Sequence[str]:
        assert host == "exchange.test"
        if not self.addresses:
            raise OSError("no such host")
        return self.addresses


async def test_a_trunk_registers_with_its_password_and_again_before_the_time_is_over() -> None:
    ours = Ours()
    exchange = Exchange(ours.world)
    ours.trunks.start()
    await ours.clock.elapse(1)
    assert exchange.registered
    assert ours.trunk.status.state is TrunkState.REGISTERED
    assert exchange.asked == [600]
    await ours.clock.elapse(83)
    assert exchange.asked == [600]
    await ours.clock.elapse(2)
    assert exchange.asked == [600, 600]
    first, *others = exchange.requests
    assert first.uri == "sip:127.0.0.9"
    assert {request.call_id for request in others} == {first.call_id}
    numbers = [request.cseq[0] for request in exchange.requests]
    assert numbers == sorted(set(numbers))
    await ours.stop()


async def test_a_trunk_that_stops_takes_its_registration_back() -> None:
    ours = Ours()
    exchange = Exchange(ours.world)
    ours.trunks.start()
    await ours.clock.elapse(1)
    await ours.stop()
    assert not exchange.registered
    assert exchange.asked[-1] == 0
    assert ours.trunk.status.state is TrunkState.STOPPED


async def test_an_exchange_that_is_silent_does_not_hold_up_the_end() -> None:
    ours = Ours()
    exchange = Exchange(ours.world)
    ours.trunks.start()
    await ours.clock.elapse(1)
    exchange.react = lambda message: None
    stopping = asyncio.ensure_future(ours.trunks.stop())
    await ours.clock.elapse(3)
    assert stopping.done()


async def test_a_refusal_is_tried_again_after_growing_pauses() -> None:
    ours = Ours(password="wrong")
    exchange = Exchange(ours.world)
    ours.trunks.start()
    times = []
    for _ in range(2000):
        before = len(exchange.requests)
        await ours.clock.elapse(1)
        if len(exchange.requests) > before:
            times.append(ours.clock.monotonic())
    pauses = [round(b - a) for a, b in itertools.pairwise(times)]
    assert pauses[:5] == sorted(pauses[:5])
    assert all(225 <= pause <= 301 for pause in pauses[-3:])
    assert ours.trunk.status.failure == "401 Unauthorized"
    await ours.stop()


async def test_what_the_exchange_says_about_times_is_obeyed() -> None:
    ours = Ours()
    exchange = Exchange(ours.world)
    exchange.expires = 3600
    exchange.refusals = [(503, {"Retry-After": "40 (busy)"}), (423, {"Min-Expires": "1800"})]
    ours.trunks.start()
    await ours.clock.elapse(39)
    assert exchange.asked == [600]
    await ours.clock.elapse(2)
    assert exchange.asked == [600, 600, 1800]
    assert ours.trunk.is_registered
    await ours.stop()


async def test_a_host_name_is_looked_up_and_its_other_address_tried() -> None:
    ours = Ours("sip:exchange.test")
    ours.addresses = ["127.0.0.88", "127.0.0.9"]
    exchange = Exchange(ours.world)
    ours.world.network.unreachable.add(Destination("udp", "127.0.0.88", 5060))
    ours.trunks.start()
    await ours.clock.elapse(5)
    assert exchange.registered
    assert exchange.requests[0].uri == "sip:exchange.test"
    assert ours.trunk.status.address == "udp:127.0.0.9:5060"
    await ours.stop()


async def test_a_name_that_nobody_knows_is_a_failure_that_is_tried_again() -> None:
    ours = Ours("sip:exchange.test")
    ours.addresses = []
    exchange = Exchange(ours.world)
    ours.trunks.start()
    await ours.clock.elapse(1)
    assert ours.trunk.status.failure == "no such host"
    ours.addresses = ["127.0.0.9"]
    await ours.clock.elapse(5)
    assert exchange.registered
    await ours.stop()


async def test_calls_to_a_trunk_go_where_it_registered_and_as_its_user() -> None:
    ours = Ours("sip:exchange.test")
    exchange = Exchange(ours.world)
    ours.trunks.start()
    await ours.clock.elapse(1)
    target = "sip:+33123@exchange.test"
    trunk = ours.trunks.of(target)
    assert trunk is ours.trunk
    assert trunk.credentials.username == "100"
    owner = Owner()
    ours.world.agent.invite(
        target,
        from_=trunk.caller,
        offer=owner.media.offer(),
        listener=owner,
        credentials=trunk.credentials,
    )
    await ours.clock.elapse(0.1)
    invite = exchange.requests[-1]
    assert (invite.method, invite.uri, invite.from_.uri) == (
        "INVITE",
        target,
        "sip:100@exchange.test",
    )
    assert ours.trunks.of("sip:+33123@127.0.0.9") is None
    assert ours.trunks.of("tel:+33123") is None
    await ours.stop()


async def test_only_an_exchange_that_we_are_registered_with_may_call() -> None:
    ours = Ours()
    exchange = Exchange(ours.world)
    stranger = Phone(ours.world.network, Destination("udp", "127.0.0.10", 5060), exchange.server)
    exchange.call(call_id="early")
    ours.trunks.start()
    await ours.clock.elapse(1)
    exchange.call(call_id="now")
    stranger.call(call_id="never")
    assert [call.sip_call_id for call in ours.world.board.calls] == ["now"]
    exchange.react = lambda message: None
    await ours.clock.elapse(120)
    exchange.call(call_id="late")
    assert len(ours.world.board.calls) == 1
    await ours.stop()


@pytest.mark.parametrize("expires", ["", "x", "99999999999", "-1"])
async def test_nonsense_in_the_answer_is_what_we_asked_for(expires: str) -> None:
    ours = Ours()
    exchange = Exchange(ours.world)
    answer = exchange._answer

    def nonsense(request: Request) -> Response:
        response = answer(request)
        if response.status == 200:
            response.headers.set("Contact", '"x')
            response.headers.set("Expires", expires)
        return response

    exchange._answer = nonsense  # type: ignore[method-assign]  # the test's own exchange
    ours.trunks.start()
    await ours.clock.elapse(1)
    assert round(ours.trunk.status.expires_at - ours.clock.utc_now().timestamp()) == 599
    await ours.stop()
