"""The four machines, each against the figures of RFC 3261 section 17 and RFC 6026."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.clock import VirtualClock
from vxml_server.sip.errors import IllegalTransition
from vxml_server.sip.headers import Headers
from vxml_server.sip.machines import (
    INVITE_CLIENT,
    INVITE_SERVER,
    MACHINES,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    Action,
    Event,
    Machine,
    State,
    Timings,
)
from vxml_server.sip.message import Request, Response, parse_message
from vxml_server.sip.timers import Timers
from vxml_server.sip.transaction import Transaction, cancellation

RESPONSES = {Event.PROVISIONAL: 180, Event.SUCCESS: 200, Event.FAILURE: 486}
SENDS = {Event.SEND_PROVISIONAL: 180, Event.SEND_SUCCESS: 200, Event.SEND_FAILURE: 486}


def a_request(method: str = "INVITE") -> Request:
    return Request(
        method,
        "sip:b@127.0.0.1",
        Headers(
            {
                "Via": "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa",
                "From": "<sip:a@127.0.0.1>;tag=a",
                "To": "<sip:b@127.0.0.1>",
                "Call-ID": "c",
                "CSeq": f"1 {method}",
                "Route": "<sip:127.0.0.2;lr>",
            }
        ),
    )


class Bench:
    """One transaction with everything around it."""

    def __init__(self, machine: Machine, *, reliable: bool = False) -> None:
        self.clock = VirtualClock()
        self.timers = Timers(self.clock)
        self.timings = Timings()
        self.reliable = reliable
        self.sent: list[tuple[float, str]] = []
        self.told: list[str] = []
        self.resends = 0
        self.gone = 0
        self.failed: Callable[[str], None] = lambda reason: None
        invite = machine in (INVITE_CLIENT, INVITE_SERVER)
        self.transaction = Transaction(
            machine,
            ("key",),
            a_request("INVITE" if invite else "BYE"),
            owner=self,
            path=self,
            user=self,
        )
        self.transaction.start()

    def send(self, data: bytes, failed: Callable[[str], None]) -> None:
        self.sent.append((self.clock.monotonic(), data.decode().split("\r\n")[0]))
        self.last = data
        self.failed = failed

    def resent(self) -> None:
        self.resends += 1

    def terminated(self, transaction: Transaction) -> None:
        self.gone += 1

    def received(self, transaction: Transaction, message: Request | Response) -> None:
        name = message.method if isinstance(message, Request) else str(message.status)
        self.told.append(name)

    def timed_out(self, transaction: Transaction) -> None:
        self.told.append("timed out")

    def transport_failed(self, transaction: Transaction, reason: str) -> None:
        self.told.append(f"failed: {reason}")

    def happen(self, event: Event) -> None:
        message: Request | Response | None = None
        if event in RESPONSES:
            message = self.transaction.request.response(RESPONSES[event], tag="b")
        elif event in SENDS:
            message = self.transaction.request.response(SENDS[event], tag="b")
        elif event in {Event.ACK, Event.REPEATED}:
            message = a_request("ACK")
        self.transaction.happen(event, message)

    @property
    def state(self) -> State:
        return self.transaction.state

    def times(self) -> list[float]:
        return [at for at, _ in self.sent]


def test_an_invite_is_repeated_after_t1_doubling_and_times_out_after_64_t1() -> None:
    bench = Bench(INVITE_CLIENT)
    bench.clock.advance(31.9)
    assert bench.times() == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    bench.clock.advance(0.2)
    assert bench.told == ["timed out"]
    assert (bench.state, bench.gone, bench.resends) == (State.TERMINATED, 1, 6)
    assert not bench.timers.running


def test_over_a_reliable_transport_nothing_is_repeated_but_silence_times_out() -> None:
    bench = Bench(INVITE_CLIENT, reliable=True)
    bench.clock.advance(33)
    assert bench.times() == [0]
    assert bench.told == ["timed out"]


def test_a_provisional_response_stops_repetition_and_timer_b() -> None:
    bench = Bench(INVITE_CLIENT)
    bench.happen(Event.PROVISIONAL)
    bench.clock.advance(1000)
    assert bench.times() == [0]
    assert bench.state is State.PROCEEDING


def test_a_failure_is_acknowledged_each_time_it_comes_and_told_once() -> None:
    bench = Bench(INVITE_CLIENT)
    bench.happen(Event.FAILURE)
    bench.happen(Event.FAILURE)
    assert bench.told == ["486"]
    assert [line for _, line in bench.sent[1:]] == ["ACK sip:b@127.0.0.1 SIP/2.0"] * 2
    ack = parse_message(bench.last)
    assert ack.headers.get("Via") == bench.transaction.request.headers.get("Via")
    assert ack.headers.get("Route") == "<sip:127.0.0.2;lr>"
    assert (ack.to.tag, ack.cseq) == ("b", (1, "ACK"))
    bench.clock.advance(32.1)
    assert bench.state is State.TERMINATED


def test_timer_d_is_zero_over_a_reliable_transport() -> None:
    bench = Bench(INVITE_CLIENT, reliable=True)
    bench.happen(Event.FAILURE)
    bench.clock.advance(0)
    assert bench.state is State.TERMINATED


def test_every_2xx_reaches_the_user_for_64_t1() -> None:
    bench = Bench(INVITE_CLIENT)
    bench.happen(Event.SUCCESS)
    bench.happen(Event.SUCCESS)
    assert bench.told == ["200", "200"]
    assert bench.state is State.ACCEPTED
    bench.clock.advance(32.1)
    assert bench.state is State.TERMINATED


def test_a_repeated_invite_gets_the_last_response_again_unseen_by_the_user() -> None:
    bench = Bench(INVITE_SERVER)
    bench.happen(Event.REPEATED)
    assert bench.sent == []
    bench.happen(Event.SEND_PROVISIONAL)
    bench.happen(Event.REPEATED)
    bench.happen(Event.SEND_FAILURE)
    bench.happen(Event.REPEATED)
    assert [line.split(" ")[1] for _, line in bench.sent] == ["180", "180", "486", "486"]
    assert bench.told == []


def test_a_failure_response_is_repeated_until_its_ack() -> None:
    bench = Bench(INVITE_SERVER)
    bench.happen(Event.SEND_FAILURE)
    bench.clock.advance(10)
    assert bench.times() == [0, 0.5, 1.5, 3.5, 7.5]
    bench.happen(Event.ACK)
    bench.clock.advance(4.9)
    assert bench.state is State.CONFIRMED
    bench.happen(Event.REPEATED)
    bench.happen(Event.ACK)
    assert len(bench.sent) == 5
    bench.clock.advance(0.2)
    assert bench.state is State.TERMINATED


def test_a_failure_response_without_ack_is_given_up_after_64_t1() -> None:
    bench = Bench(INVITE_SERVER)
    bench.happen(Event.SEND_FAILURE)
    bench.clock.advance(33)
    assert bench.times()[:7] == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5]
    assert bench.told == ["timed out"]


def test_over_a_reliable_transport_a_failure_goes_once_and_its_ack_ends_everything() -> None:
    bench = Bench(INVITE_SERVER, reliable=True)
    bench.happen(Event.SEND_FAILURE)
    bench.clock.advance(3)
    bench.happen(Event.ACK)
    bench.clock.advance(0)
    assert bench.times() == [0]
    assert bench.state is State.TERMINATED


def test_after_a_2xx_repeated_invites_are_absorbed_and_acks_go_up() -> None:
    bench = Bench(INVITE_SERVER)
    bench.happen(Event.SEND_SUCCESS)
    bench.happen(Event.REPEATED)
    assert len(bench.sent) == 1
    bench.happen(Event.SEND_SUCCESS)
    assert len(bench.sent) == 2
    bench.happen(Event.ACK)
    assert bench.told == ["ACK"]
    bench.clock.advance(32.1)
    assert bench.state is State.TERMINATED


def test_a_request_is_repeated_after_t1_doubling_to_t2_and_times_out() -> None:
    bench = Bench(NON_INVITE_CLIENT)
    bench.clock.advance(33)
    assert bench.times() == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bench.told == ["timed out"]


def test_a_provisional_response_slows_a_request_down_to_t2_and_keeps_its_limit() -> None:
    bench = Bench(NON_INVITE_CLIENT)
    bench.happen(Event.PROVISIONAL)
    bench.clock.advance(33)
    assert bench.times() == [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert bench.told == ["180", "timed out"]


def test_a_final_response_is_told_once_and_its_repetitions_absorbed_for_t4() -> None:
    bench = Bench(NON_INVITE_CLIENT)
    bench.happen(Event.SUCCESS)
    bench.happen(Event.SUCCESS)
    bench.happen(Event.FAILURE)
    bench.happen(Event.PROVISIONAL)
    assert bench.told == ["200"]
    bench.clock.advance(4.9)
    assert bench.state is State.COMPLETED
    bench.clock.advance(0.2)
    assert bench.state is State.TERMINATED


def test_a_repeated_request_gets_the_same_response_for_64_t1() -> None:
    bench = Bench(NON_INVITE_SERVER)
    bench.happen(Event.REPEATED)
    assert bench.sent == []
    bench.happen(Event.SEND_PROVISIONAL)
    bench.happen(Event.SEND_SUCCESS)
    bench.happen(Event.REPEATED)
    assert [line.split(" ")[1] for _, line in bench.sent] == ["180", "200", "200"]
    bench.clock.advance(31.9)
    assert bench.state is State.COMPLETED
    bench.clock.advance(0.2)
    assert bench.state is State.TERMINATED


@pytest.mark.parametrize("machine", [INVITE_CLIENT, NON_INVITE_CLIENT], ids=lambda m: m.name)
def test_a_client_tells_that_its_request_could_not_be_sent(machine: Machine) -> None:
    bench = Bench(machine)
    bench.failed("no route")
    assert bench.told == ["failed: no route"]
    assert bench.state is State.TERMINATED
    bench.failed("once more")
    assert bench.told == ["failed: no route"]


def test_a_server_tells_that_its_2xx_could_not_be_sent() -> None:
    bench = Bench(INVITE_SERVER)
    bench.happen(Event.SEND_SUCCESS)
    bench.failed("no route")
    assert bench.told == ["failed: no route"]
    assert bench.state is State.ACCEPTED


def test_an_abandoned_transaction_leaves_nothing() -> None:
    bench = Bench(INVITE_CLIENT)
    bench.transaction.abandon()
    assert bench.gone == 1
    assert not bench.timers.running


def test_a_cancel_has_the_branch_number_and_to_of_its_invite() -> None:
    invite = a_request()
    cancel = cancellation(invite)
    assert cancel.headers.get("Via") == invite.headers.get("Via")
    assert (cancel.cseq, cancel.to.tag, cancel.uri) == ((1, "CANCEL"), "", invite.uri)


def test_a_second_final_response_is_a_mistake_and_changes_nothing() -> None:
    bench = Bench(INVITE_SERVER)
    bench.happen(Event.SEND_FAILURE)
    with pytest.raises(IllegalTransition, match="INVITE server: SEND_SUCCESS in COMPLETED"):
        bench.happen(Event.SEND_SUCCESS)
    assert bench.state is State.COMPLETED
    assert len(bench.sent) == 1


FROM_NETWORK = {
    True: {Event.PROVISIONAL, Event.SUCCESS, Event.FAILURE},
    False: {Event.REPEATED},
}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.name)
def test_what_the_network_may_do_is_in_every_living_state(machine: Machine) -> None:
    for state, steps in machine.steps.items():
        if state is not State.TERMINATED:
            assert FROM_NETWORK[machine.client] <= set(steps), state


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.name)
def test_every_timer_that_runs_in_a_state_has_its_step_there(machine: Machine) -> None:
    for state, timers in machine.timers.items():
        assert set(timers) <= set(machine.steps[state])


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.name)
def test_every_state_can_be_reached_and_ends(machine: Machine) -> None:
    reached = {machine.initial}
    for _ in machine.steps:
        reached |= {step.state for state in reached for step in machine.steps[state].values()}
    assert reached == set(machine.steps)
    ends = {State.TERMINATED}
    for _ in machine.steps:
        ends |= {
            state
            for state, steps in machine.steps.items()
            if any(step.state in ends for step in steps.values())
        }
    assert ends == set(machine.steps)
    assert machine.source.startswith("RFC 3261")


@given(
    st.sampled_from(MACHINES),
    st.booleans(),
    st.lists(st.one_of(st.sampled_from(Event), st.floats(0.1, 20)), max_size=30),
)
def test_an_illegal_event_raises_and_nothing_happened(
    machine: Machine, reliable: bool, course: list[Event | float]
) -> None:
    bench = Bench(machine, reliable=reliable)
    for happening in course:
        if isinstance(happening, float):
            bench.clock.advance(happening)
            continue
        if happening.name.startswith("TIMER"):
            continue
        before = (bench.state, list(bench.sent), list(bench.told), len(bench.timers.running))
        legal = happening in machine.steps[bench.state]
        try:
            bench.happen(happening)
            assert legal
        except IllegalTransition:
            assert not legal
            after = (bench.state, bench.sent, bench.told, len(bench.timers.running))
            assert after == before
    finals = [told for told in bench.told if told not in {"180", "ACK"}]
    if machine is NON_INVITE_CLIENT:
        assert len(finals) <= 1
    assert bench.gone == (bench.state is State.TERMINATED)


def test_every_action_of_the_tables_is_one_the_engine_knows() -> None:
    used = {
        action
        for machine in MACHINES
        for steps in machine.steps.values()
        for step in steps.values()
        for action in step.actions
    }
    assert used == set(Action)
