"""How a scripted caller hangs up, is transferred, and hears sound."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.interpreter.calls import (
    TEN_WORDS,
    Call,
    prompt,
    utterance,
)
from vxml_server.fetch import FetchRequest
from vxml_server.interpreter.platform import (
    AudioSegment,
    InputKind,
    Prompt,
    TransferResult,
)


def test_the_caller_hangs_up_when_the_prompts_have_ended() -> None:
    call = Call("hangup:")
    assert call.listen(TEN_WORDS).kind is InputKind.HANGUP
    assert call.now == 3.0
    assert call.platform.hung_up


@pytest.mark.parametrize("bargein", [True, False])
def test_the_caller_may_hang_up_during_any_prompt(bargein: bool) -> None:
    call = Call("{hangup: , after: 1s}")
    assert call.listen(replace(TEN_WORDS, bargein=bargein)).kind is InputKind.HANGUP
    assert call.now == 1.0


def test_nothing_is_heard_after_the_call() -> None:
    call = Call("hangup:")
    call.listen()
    asyncio.run(call.platform.play([TEN_WORDS]))
    assert call.listen(TEN_WORDS).kind is InputKind.HANGUP
    assert call.transfer().outcome == "connection.disconnect.hangup"
    assert call.heard == []


def test_disconnecting_ends_the_call() -> None:
    call = Call()
    asyncio.run(call.platform.disconnect({}))
    assert call.platform.hung_up


def test_prompts_played_without_a_wait_take_their_time() -> None:
    call = Call()
    asyncio.run(call.platform.play([TEN_WORDS, prompt("more")]))
    assert call.now == 3.3
    assert [at for at, _, _ in call.seen] == [0.0, 3.0]


@pytest.mark.parametrize("kind", ["blind", "consultation"])
def test_a_transfer_away_succeeds_and_takes_the_caller_along(kind: str) -> None:
    call = Call()
    assert call.transfer(kind).outcome == "connection.disconnect.transfer"
    assert call.platform.hung_up


def test_a_bridge_ends_after_ten_seconds() -> None:
    call = Call()
    assert call.transfer(prompts=(TEN_WORDS,)) == TransferResult("far_end_disconnect", 10.0)
    assert call.now == 13.0
    assert call.seen[-1] == (
        13.0,
        "transfer",
        {"dest": "tel:1", "type": "bridge", "outcome": "far_end_disconnect", "duration": 10.0},
    )


def test_a_bridge_is_cut_at_its_maxtime() -> None:
    assert Call().transfer(max_time=4.0) == TransferResult("maxtime_disconnect", 4.0)


@pytest.mark.parametrize(
    ("step", "result", "passed"),
    [
        ("transfer: busy", TransferResult("busy"), 0.0),
        ("{transfer: busy, duration: 12s}", TransferResult("busy", 12.0), 12.0),
        ("transfer: noanswer", TransferResult("noanswer"), 30.0),
        ("transfer: near_end_disconnect", TransferResult("near_end_disconnect", 10.0), 10.0),
        ("transfer: maxtime_disconnect", TransferResult("maxtime_disconnect", 60.0), 60.0),
        (
            "{transfer: connection.disconnect.hangup, duration: 3s}",
            TransferResult("connection.disconnect.hangup", 3.0),
            3.0,
        ),
        (
            "transfer: error.connection.baddestination",
            TransferResult("error.connection.baddestination"),
            0.0,
        ),
    ],
)
def test_a_transfer_ends_as_the_script_says(
    step: str, result: TransferResult, passed: float
) -> None:
    call = Call(step)
    assert call.transfer(max_time=60.0) == result
    assert call.now == passed
    assert call.platform.hung_up == (result.outcome == "connection.disconnect.hangup")


def test_an_input_step_is_not_used_by_a_transfer() -> None:
    call = Call("say: boston")
    assert call.transfer().outcome == "far_end_disconnect"
    assert utterance(call.listen()) == "boston"


def test_keys_typed_before_a_bridge_are_not_heard_after_it() -> None:
    call = Call('dtmf: "12345678"')
    call.listen()
    call.transfer()
    assert call.listen().kind is InputKind.NOINPUT


def test_a_caller_who_is_connected_for_ever_hangs_up() -> None:
    call = Call()
    outcomes = [call.transfer().outcome for _ in range(11)]
    assert outcomes[9:] == ["far_end_disconnect", "connection.disconnect.hangup"]


def test_a_prompt_that_is_not_played_is_not_fetched() -> None:
    call = Call("{say: boston, after: 1s}")
    sound = Prompt((AudioSegment(FetchRequest("http://127.0.0.1/a.wav")),), "en")
    call.listen(TEN_WORDS, sound)
    assert [record["audio"] for _, kind, record in call.seen if kind == "prompt"] == [[]]
