"""Session descriptions as telephones really make them, and what happens to them during a call."""

from __future__ import annotations

import re
from concurrent.futures import Future

import pytest

from tests.integration import rtp_check
from tests.integration.caller import Caller, FinishedCall, together

Calls = dict[str, Future[FinishedCall]]

SHORT = (1.5, "1234", 12.0)


@pytest.fixture(scope="module")
def calls(caller: Caller) -> Calls:
    return together(
        {
            "event 96": lambda: caller.call(
                "event-96", "keys", SHORT, payloads="0 96", event_type=96
            ),
            "event 127": lambda: caller.call(
                "event-127", "keys", SHORT, payloads="8 0 127", event_type=127
            ),
            "late offer": lambda: caller.call("late-offer", "keys", SHORT, scenario="late-offer"),
            "ptime 30": lambda: caller.call("ptime-30", "keys", SHORT, ptime=30),
            "ptime 40": lambda: caller.call("ptime-40", "keys", SHORT, ptime=40),
            "tcp": lambda: caller.call("by-tcp", "keys", SHORT, transport="tcp"),
            "hold": lambda: caller.call("hold", "keys", (5.5, "1234", 12.0), scenario="hold"),
        }
    )


@pytest.mark.parametrize(
    "name", ["event 96", "event 127", "late offer", "ptime 30", "ptime 40", "tcp", "hold"]
)
def test_the_keys_arrive_and_the_record_is_complete(calls: Calls, name: str) -> None:
    call = calls[name].result()
    call.sip.assert_success()
    assert [told["keys"] for told in call.told] == ["1234"]
    call.assert_one_record("exit", "application")
    # Packets of 30 ms leave at ticks of 20 ms, one after 20 and the next after 40.
    allowed = 0.020 if name == "ptime 30" else rtp_check.LATE_SECONDS
    assert rtp_check.late(call.received, allowed, call.stalls) == []


@pytest.mark.parametrize(("name", "event_type"), [("event 96", 96), ("event 127", 127)])
def test_telephone_events_are_answered_with_the_number_of_the_offer(
    calls: Calls, name: str, event_type: int
) -> None:
    answer = _answer(calls[name].result())
    assert f"a=rtpmap:{event_type} telephone-event/8000" in answer
    assert re.search(rf"^m=audio \d+ RTP/AVP [\d ]*\b{event_type}\b", answer, re.MULTILINE)


def test_an_invite_without_offer_is_answered_with_one(calls: Calls) -> None:
    call = calls["late offer"].result()
    offer = _answer(call)
    assert re.search(r"^m=audio \d+ RTP/AVP .*\b0\b", offer, re.MULTILINE)
    assert "telephone-event/8000" in offer
    assert call.received


@pytest.mark.parametrize("ptime", [30, 40])
def test_packets_are_as_long_as_the_caller_asked(calls: Calls, ptime: int) -> None:
    call = calls[f"ptime {ptime}"].result()
    assert {len(p.payload) for p in call.received} == {ptime * 8}
    assert rtp_check.faults(call.received) == []


def test_a_call_over_tcp_stays_on_its_connection(calls: Calls) -> None:
    call = calls["tcp"].result()
    assert all("/TCP " in (m.header("Via") or "") for m in call.sip.messages)
    # Nothing is repeated over a reliable transport (RFC 3261, 17.1.1.2 and 13.3.1.4).
    finals = [m for m in call.sip.received(200) if "INVITE" in (m.header("CSeq") or "")]
    assert len(finals) == 1


def test_a_call_on_hold_hears_nothing_and_then_goes_on(calls: Calls) -> None:
    call = calls["hold"].result()
    _, hold, resume = call.sip.sent("INVITE")
    answers = {
        m.header("CSeq"): m for m in call.sip.received(200) if "INVITE" in (m.header("CSeq") or "")
    }
    held, resumed = answers["2 INVITE"], answers["3 INVITE"]
    assert re.search(r"^a=(recvonly|inactive)", held.text, re.MULTILINE)
    assert not re.search(r"^a=(recvonly|inactive|sendonly)", resumed.text, re.MULTILINE)
    # A packet that was under way when the hold was answered may still come.
    during = [p for p in call.received if held.at + 0.06 < p.at < resume.at]
    assert during == []
    assert hold.at < held.at < resume.at < resumed.at
    assert any(rtp_check.is_speech(p) for p in call.received if p.at < hold.at)
    assert any(resumed.at < p.at < resumed.at + 0.3 for p in call.received)
    assert rtp_check.faults(call.received) == []


def test_nothing_is_left_of_the_calls(calls: Calls, caller: Caller) -> None:
    caller.server.assert_nothing_left()


def _answer(call: FinishedCall) -> str:
    """The 200 to the first INVITE."""
    return next(m.text for m in call.sip.received(200) if m.header("CSeq") == "1 INVITE")
