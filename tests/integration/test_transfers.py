"""Callers put through to another telephone, and every way in which that can end."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

import pytest

from tests.integration import audio, rtp_check
from tests.integration.caller import Caller, FinishedCall, together
from tests.integration.caller_audio import Script
from tests.integration.sipp import SippResult

TALK_HERTZ = 700.0


@dataclass(frozen=True, slots=True)
class Transfer:
    """The caller's call and, where there was one, the far end's."""

    near: FinishedCall
    far: SippResult

    def assert_leg(self, outcome: str, destination: str) -> None:
        legs = self.near.records[0]["legs"]
        assert isinstance(legs, list)
        assert len(legs) == 1, legs
        assert legs[0]["outcome"] == outcome
        assert destination in legs[0]["destination"]
        assert legs[0]["duration_s"] >= 0


Transfers = dict[str, Future[Transfer]]


@pytest.fixture(scope="module")
def transfers(caller: Caller) -> Transfers:
    def transfer(
        far: str,
        far_scenario: str,
        *far_arguments: str,
        script: Script = (30.0,),
        scenario: str = "caller",
        arguments: tuple[str, ...] = (),
    ) -> Transfer:
        with caller.far_end(far, far_scenario, *far_arguments) as sipp:
            near = caller.call(far, f"to-{far}", script, scenario=scenario, arguments=arguments)
            return Transfer(near, sipp.result(10))

    return together(
        {
            "echo": lambda: transfer(
                "echo",
                "far-hangs-up",
                "-rtp_echo",
                "-d",
                "4000",
                script=(audio.sines((TALK_HERTZ,), 15.0, -20.0),),
            ),
            "busy": lambda: transfer("busy", "far-busy"),
            "rings": lambda: transfer("rings", "far-rings"),
            "far-leaves": lambda: transfer("far-leaves", "far-hangs-up", "-d", "1500"),
            "near-leaves": lambda: transfer("near-leaves", "far-answers", script=(3.0, "*", 20.0)),
            "caller-leaves": lambda: transfer(
                "caller-leaves",
                "far-answers",
                scenario="caller-hangs-up",
                arguments=("-d", "3000"),
            ),
            "endless-talk": lambda: transfer("endless-talk", "far-answers", "-rtp_echo"),
            "consulted-busy": lambda: transfer("consulted-busy", "far-busy"),
            "consulted": lambda: transfer("consulted", "far-hangs-up", "-d", "2000"),
            "handed-on": lambda: transfer("handed-on", "far-hangs-up", "-d", "2000"),
        }
    )


def test_a_busy_far_end_is_the_outcome_busy(transfers: Transfers) -> None:
    transfer = transfers["busy"].result()
    transfer.near.sip.assert_success()
    transfer.far.assert_success()
    assert [told["outcome"] for told in transfer.near.told] == ["busy"]
    assert transfer.far.conversation == ["< INVITE", "> 486 INVITE", "< ACK"]
    transfer.near.assert_one_record("exit", "application")
    transfer.assert_leg("busy", "far@127.0.0.1")


def test_a_consultation_with_a_busy_far_end_comes_back_to_the_document(
    transfers: Transfers,
) -> None:
    transfer = transfers["consulted-busy"].result()
    transfer.near.sip.assert_success()
    assert [told["outcome"] for told in transfer.near.told] == ["busy"]


@pytest.mark.parametrize("kind", ["consulted", "handed-on"])
def test_a_caller_who_is_handed_on_talks_until_the_far_end_hangs_up(
    transfers: Transfers, kind: str
) -> None:
    transfer = transfers[kind].result()
    transfer.near.sip.assert_success()
    transfer.far.assert_success()
    assert [told["outcome"] for told in transfer.near.told] == ["connection.disconnect.transfer"]
    [near_bye], [far_bye] = transfer.near.sip.received("BYE"), transfer.far.sent("BYE")
    assert 0 <= near_bye.at - far_bye.at < 0.5
    assert len(transfer.near.records) == 1


def test_a_far_end_that_does_not_answer_is_cancelled(transfers: Transfers) -> None:
    transfer = transfers["rings"].result()
    transfer.near.sip.assert_success()
    transfer.far.assert_success()
    assert [told["outcome"] for told in transfer.near.told] == ["noanswer"]
    assert transfer.far.conversation == [
        "< INVITE",
        "> 180 INVITE",
        "< CANCEL",
        "> 200 CANCEL",
        "> 487 INVITE",
        "< ACK",
    ]
    [invite], [cancel] = transfer.far.received("INVITE"), transfer.far.received("CANCEL")
    assert cancel.at - invite.at == pytest.approx(2.0, abs=0.3)  # connecttimeout
    transfer.near.assert_one_record("exit", "application")
    transfer.assert_leg("noanswer", "far@127.0.0.1")


def test_a_far_end_that_hangs_up_gives_the_caller_back(transfers: Transfers) -> None:
    transfer = transfers["far-leaves"].result()
    transfer.near.sip.assert_success()
    transfer.far.assert_success()
    [told] = transfer.near.told
    assert told["outcome"] == "far_end_disconnect"
    assert float(told["duration"]) == pytest.approx(1.5, abs=0.6)
    transfer.near.assert_one_record("exit", "application")
    transfer.assert_leg("far_end_disconnect", "far@127.0.0.1")


def test_a_caller_leaves_the_bridge_by_a_key(transfers: Transfers) -> None:
    transfer = transfers["near-leaves"].result()
    transfer.near.sip.assert_success()
    transfer.far.assert_success()
    assert [told["outcome"] for told in transfer.near.told] == ["near_end_disconnect"]
    assert transfer.far.received("BYE")
    transfer.near.assert_one_record("exit", "application")
    transfer.assert_leg("near_end_disconnect", "far@127.0.0.1")


def test_a_caller_who_hangs_up_ends_both_legs(transfers: Transfers) -> None:
    transfer = transfers["caller-leaves"].result()
    transfer.near.sip.assert_success()
    transfer.far.assert_success()
    assert [told["outcome"] for told in transfer.near.told] == ["connection.disconnect.hangup"]
    [far_bye], [near_bye] = transfer.far.received("BYE"), transfer.near.sip.sent("BYE")
    assert far_bye.at - near_bye.at < 0.5
    transfer.near.assert_one_record("hangup", "caller")


def test_a_bridge_ends_at_its_longest_time(transfers: Transfers) -> None:
    transfer = transfers["endless-talk"].result()
    transfer.near.sip.assert_success()
    transfer.far.assert_success()
    [told] = transfer.near.told
    assert told["outcome"] == "maxtime_disconnect"
    assert float(told["duration"]) == pytest.approx(2.0, abs=0.4)


def test_a_bridge_carries_sound_both_ways(transfers: Transfers) -> None:
    """The far end sends back all it hears: what the caller hears went there and came back."""
    transfer = transfers["echo"].result()
    transfer.near.sip.assert_success()
    transfer.far.assert_success()
    answered = transfer.far.sent(200)[0].at
    ended = transfer.far.sent("BYE")[0].at
    bridged = [p for p in transfer.near.received if answered + 1 < p.at < ended - 0.1]
    assert len(bridged) > 100
    assert rtp_check.late(bridged, stalls=transfer.near.stalls) == []
    assert rtp_check.faults(transfer.near.received) == []
    heard = rtp_check.samples(bridged)
    assert audio.dbfs(heard) == pytest.approx(-20, abs=1)
    for start in range(0, len(heard) - 4000, 4000):
        part = heard[start : start + 4000]
        assert audio.dominant_frequency(part) == pytest.approx(TALK_HERTZ, abs=4)


def test_a_destination_that_no_dial_rule_allows_is_refused(caller: Caller) -> None:
    call = caller.call("fraud", "forbidden")
    call.sip.assert_success()
    assert [told["outcome"] for told in call.told] == ["error.connection.noauthorization"]
    call.assert_one_record("exit", "application")


def test_nothing_is_left_of_the_calls(transfers: Transfers, caller: Caller) -> None:
    caller.server.assert_nothing_left()
