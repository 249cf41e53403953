"""Two user agents on a bad network: whatever they do and lose, both end in the same place.

This is the promise of the whole room: every call tells its owner exactly one final thing, the
handler sees each call once, and when the timers have run out nothing is left.
"""

from __future__ import annotations

import contextlib
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.sip.peers import Owner, Switchboard, VirtualNetwork, Weather, answer_at_once
from vxml_server.clock import VirtualClock
from vxml_server.sip.errors import IllegalTransition
from vxml_server.sip.incoming import IncomingCall
from vxml_server.sip.outgoing import OutgoingCall
from vxml_server.sip.uri import Destination
from vxml_server.sip.user_agent import UserAgent

CALLER_DOES = ["cancel", "bye", "hang_up", "reinvite", "info"]
CALLEE_DOES = ["ring", "answer", "reject", "bye", "hang_up", "reinvite", "info"]

moves = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.005, 0.3, 0.7, 3.0, 20.0]),
        st.one_of(
            st.tuples(st.just("caller"), st.sampled_from(CALLER_DOES)),
            st.tuples(st.just("callee"), st.sampled_from(CALLEE_DOES)),
        ),
    ),
    max_size=8,
)
weathers = st.builds(
    Weather,
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    duplication=st.sampled_from([0.0, 0.3]),
    jitter=st.sampled_from([0.0, 0.05, 1.5]),
)


class Pair:
    """A caller and a callee with a network between them."""

    def __init__(self, protocol: str, weather: Weather, seed: int, *, late_offer: bool) -> None:
        self.clock = VirtualClock()
        self.network = VirtualNetwork(self.clock, random.Random(seed))
        self.network.weather = weather
        self.board = Switchboard()
        self.agents = {}
        for name, port in (("caller", 5061), ("callee", 5062)):
            agent = UserAgent(
                clock=self.clock,
                random=random.Random(f"{name}{seed}"),
                handler=self.board,
                network=self.network,
            )
            agent.attach(self.network.bind(Destination(protocol, "127.0.0.1", port), agent))
            self.agents[name] = agent
        self.ear = Owner()
        self.made: OutgoingCall = self.agents["caller"].invite(
            f"sip:b@127.0.0.1:5062;transport={protocol}",
            from_="sip:a@127.0.0.1",
            offer=None if late_offer else self.ear.media.offer(),
            listener=self.ear,
        )

    def play(self, side: str, action: str) -> None:
        call: OutgoingCall | IncomingCall
        if side == "caller":
            call, owner = self.made, self.ear
        elif self.board.calls:
            call, owner = self.board.calls[0], self.board.owners[0]
        else:
            return
        with contextlib.suppress(IllegalTransition):
            if action == "answer":
                assert isinstance(call, IncomingCall)
                answer_at_once(call, owner)
            elif action == "reject":
                assert isinstance(call, IncomingCall)
                call.reject(486)
            elif action == "reinvite":
                call.reinvite(owner.media.offer("sendonly"))
            elif action == "info":
                call.info("application/dtmf-relay", b"Signal=1")
            else:
                getattr(call, action)()

    def owners(self) -> list[Owner]:
        return [self.ear, *self.board.owners]


@settings(deadline=None, max_examples=examples(120))
@given(
    st.sampled_from(["udp", "tcp"]),
    weathers,
    moves,
    st.integers(0, 10**6),
    st.booleans(),
    st.booleans(),
)
def test_both_ends_always_come_to_the_same_end(
    protocol: str,
    weather: Weather,
    course: list[tuple[float, tuple[str, str]]],
    seed: int,
    late_offer: bool,
    answer_first: bool,
) -> None:
    pair = Pair(protocol, weather, seed, late_offer=late_offer)
    if answer_first:
        pair.board.policy = answer_at_once
    for delay, (side, action) in course:
        pair.clock.advance(delay)
        pair.play(side, action)
    pair.clock.advance(60)
    assert len(pair.board.calls) <= 1
    for side in ("callee", "caller"):
        pair.play(side, "hang_up")
        pair.clock.advance(100)
    pair.clock.advance(200)
    for owner in pair.owners():
        assert owner.finals == 1, owner.told
    for agent in pair.agents.values():
        assert agent.idle
        assert agent.active_transactions == 0
    heard, answered = pair.ear.names(), [name for o in pair.board.owners for name in o.names()]
    if "acknowledged" in answered:
        assert pair.board.calls
        assert {"answered", "cancelled"} & set(heard)
    if "answered" in heard:
        assert "rejected" not in answered


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=examples(30))
def test_an_answered_call_survives_a_bad_network(seed: int) -> None:
    pair = Pair("udp", Weather(loss=0.15, duplication=0.3, jitter=0.4), seed, late_offer=False)
    pair.board.policy = answer_at_once
    pair.clock.advance(30)
    assert pair.ear.names() == ["answered"]
    assert pair.board.owners[0].names() == ["acknowledged"]
    pair.made.bye()
    pair.clock.advance(200)
    assert pair.board.owners[0].names() == ["acknowledged", "ended"]
    assert all(agent.idle for agent in pair.agents.values())
