"""How calls begin badly and end in every way: hang-up, CANCEL, lost and repeated messages."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from itertools import pairwise

import pytest

from tests.integration.caller import Caller, FinishedCall, together
from tests.integration.caller_audio import as_events
from tests.integration.repeating import RepeatingNetwork
from tests.integration.waiting import until

Calls = dict[str, Future[FinishedCall]]

T1 = 0.5
"""RFC 3261 section 17.1.1.1."""


@pytest.fixture(scope="module")
def repeating(caller: Caller) -> Iterator[RepeatingNetwork]:
    with RepeatingNetwork(caller.server.sip_port, copies=3) as network:
        yield network


@pytest.fixture(scope="module")
def calls(caller: Caller, repeating: RepeatingNetwork) -> Calls:
    return together(
        {
            "caller leaves": lambda: caller.call(
                "leaves", "keys", scenario="caller-hangs-up", arguments=("-d", "1500")
            ),
            "silent": lambda: caller.call("silent", "short", (25.0,)),
            "cancel": lambda: caller.call(
                "cancel",
                "late",
                scenario="cancel",
                arguments=("-pause_msg_ign",),
                tells=False,
            ),
            "lost ack": lambda: caller.call("lost-ack", "keys", scenario="lost-ack", tells=False),
            "repeated": lambda: caller.call(
                "repeated", "keys", (2.0, "1234", 12.0), through=repeating.port
            ),
            "merged": lambda: caller.call("merged", "keys", (2.0, "1234", 12.0), scenario="merged"),
            "no application": lambda: caller.call("lost", "missing-entry", tells=False),
        }
    )


def test_a_caller_who_hangs_up_is_an_event_of_the_document(calls: Calls) -> None:
    call = calls["caller leaves"].result()
    call.sip.assert_success()
    assert [told["event"] for told in call.told] == ["connection.disconnect.hangup"]
    record = call.assert_one_record("hangup", "caller")
    assert record["duration_s"] == pytest.approx(1.5, abs=0.3)
    bye = call.sip.sent("BYE")[0].at
    assert [p for p in call.received if p.at > bye + 0.1] == []


def test_a_caller_who_presses_nothing_is_told_so_and_let_go(calls: Calls) -> None:
    call = calls["silent"].result()
    call.sip.assert_success()
    assert [told["event"] for told in call.told] == ["noinput"]
    assert len(call.sip.received("BYE")) == 1
    call.assert_one_record("exit", "application")


def test_a_call_that_is_cancelled_before_the_answer_leaves_a_record(calls: Calls) -> None:
    call = calls["cancel"].result()
    call.sip.assert_success()
    assert call.sip.received(487)
    assert not [m for m in call.sip.received(200) if "INVITE" in (m.header("CSeq") or "")]
    assert call.received == []
    record = call.assert_one_record("hangup", "caller", answered=False)
    assert record["answered_at"] is None


def test_an_answer_without_ack_is_repeated_and_then_hung_up(calls: Calls) -> None:
    """RFC 3261 section 13.3.1.4: intervals double from T1 to T2, and end after 64*T1."""
    call = calls["lost ack"].result()
    call.sip.assert_success()
    answers = [m.at for m in call.sip.received(200)]
    assert len(answers) >= 10
    waits = [b - a for a, b in pairwise(answers)]
    for wait, wanted in zip(waits, [T1, 2 * T1, 4 * T1, 8 * T1, 8 * T1], strict=False):
        assert wait == pytest.approx(wanted, abs=0.15)
    bye = call.sip.received("BYE")[0].at
    assert bye - answers[0] == pytest.approx(64 * T1, abs=1)
    record = call.records[0]
    call.assert_one_record(str(record["end_reason"]), "platform")


def test_a_call_of_which_all_comes_three_times_is_one_call(
    calls: Calls, repeating: RepeatingNetwork
) -> None:
    call = calls["repeated"].result()
    call.sip.assert_success()
    came = [datagram.split(maxsplit=1)[0] for datagram in repeating.delivered]
    assert {b"INVITE", b"ACK", b"SIP/2.0"} == set(came)
    tags = {(m.header("To") or "").partition("tag=")[2] for m in call.sip.received(200)}
    assert len(tags) == 1
    assert [told["keys"] for told in call.told] == ["1234"]
    assert len({p.ssrc for p in call.received}) == 1
    call.assert_one_record("exit", "application")


def test_a_copy_of_an_invite_by_another_way_is_refused_as_a_loop(calls: Calls) -> None:
    """RFC 3261 section 8.2.2.2."""
    call = calls["merged"].result()
    call.sip.assert_success()
    assert len(call.sip.received(482)) >= 1
    assert [told["keys"] for told in call.told] == ["1234"]
    call.assert_one_record("exit", "application")


def test_a_number_whose_application_is_missing_ends_in_an_error(calls: Calls) -> None:
    call = calls["no application"].result()
    assert call.records[0]["end_reason"] == "error"
    call.assert_one_record("error", "platform", answered=bool(call.records[0]["answered_at"]))


def test_an_operator_hangs_up_by_the_rest_interface(caller: Caller) -> None:
    server = caller.server
    dialled = caller.dial("unwanted", "keys", as_events((20.0,)), seconds=15)
    [record] = until(
        lambda: [c for c in server.calls("active") if c["answered_at"]], 20, "the call is active"
    )
    assert server.get(f"/api/v1/calls/{record['id']}")[0] == 200
    assert server.request("DELETE", f"/api/v1/calls/{record['id']}")[0] == 202
    dialled.result().assert_success()
    until(lambda: server.calls("active") == [], 20, "the call is over")
    [record] = server.records(str(record["sip_call_id"]))
    assert (record["end_reason"], record["hung_up_by"]) == ("hangup", "platform")
    assert server.request("DELETE", f"/api/v1/calls/{record['id']}")[0] == 409


def test_nothing_is_left_of_the_calls(calls: Calls, caller: Caller) -> None:
    caller.server.assert_nothing_left()
