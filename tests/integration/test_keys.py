"""Keys in the three ways that telephones send them, and what the caller hears meanwhile.

Two dialogues: the bank, from greeting to goodbye, and a tone without pauses, on which it can be
measured to the packet when the prompt stopped.
"""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial

import pytest

from tests.integration import audio, rtp_check
from tests.integration.caller import Caller, FinishedCall, together

Calls = dict[str, Future[FinishedCall]]

TONES = ("events", "events pcma", "tones", "tones pcma", "relay", "dtmf")

BANK = (3.0, "1", 2.0, "123456", 3.0, "1", 2.0, "1234", 6.0, "3", 10.0)
"""Balance, account number, "that is correct", PIN, listen, "end the call"."""

SHORT = (1.5, "1234", 12.0)

STOPS_WITHIN = 0.060
"""Seconds from the detection of a key to the end of the prompt."""
TONE_DETECTION = 0.060
"""Seconds that a detector may hear a tone pair before it is sure (ITU-T Q.24 asks for 40 ms)."""


@pytest.fixture(scope="module")
def calls(caller: Caller) -> Calls:
    bank = partial(caller.call, script=BANK, tells=False)
    tone = partial(caller.call, number="keys", script=SHORT)
    return together(
        {
            "bank events": partial(bank, "b-events", "bank"),
            "bank tones": partial(bank, "b-tones", "banque", keys="tones", payloads="8 101"),
            "bank info": partial(bank, "b-info", "bank", keys="application/dtmf-relay"),
            "tone events": partial(tone, "t-events"),
            "tone events pcma": partial(tone, "t-events-pcma", payloads="8 101"),
            "tone tones": partial(tone, "t-tones", keys="tones"),
            "tone tones pcma": partial(tone, "t-tones-pcma", keys="tones", payloads="8 101"),
            "tone relay": partial(tone, "t-relay", keys="application/dtmf-relay"),
            "tone dtmf": partial(tone, "t-dtmf", keys="application/dtmf", payloads="8 101"),
        }
    )


@pytest.mark.parametrize("way", ["events", "tones", "info"])
def test_a_caller_of_the_bank_hears_the_balance_and_says_goodbye(calls: Calls, way: str) -> None:
    call = calls[f"bank {way}"].result()
    call.sip.assert_success()
    record = call.assert_one_record("disconnect", "application")
    assert record["to"]
    level = rtp_check.speech_dbfs(call.received)
    assert -30 <= level <= -12, f"speech at {level:.1f} dBFS"
    assert rtp_check.faults(call.received) == []
    assert rtp_check.late(call.received, stalls=call.stalls) == []
    # The last key was pressed while the menu was read; what follows it is "Goodbye".
    keys = [m.at for m in call.sip.sent("INFO")] or _key_times(call, way)
    goodbye = [p for p in call.received if p.at > keys[-1] + 0.3 and rtp_check.is_speech(p)]
    assert len(goodbye) > 30


@pytest.mark.parametrize("way", TONES)
def test_the_document_gets_the_keys_that_were_pressed(calls: Calls, way: str) -> None:
    call = calls[f"tone {way}"].result()
    call.sip.assert_success()
    assert [told["keys"] for told in call.told] == ["1234"]
    call.assert_one_record("exit", "application")


@pytest.mark.parametrize("way", TONES)
def test_a_prompt_plays_without_a_gap_and_stops_at_the_first_key(calls: Calls, way: str) -> None:
    call = calls[f"tone {way}"].result()
    keys = [m.at for m in call.sip.sent("INFO")] or _key_times(call, way)
    before = [p for p in call.received if p.at < keys[0]]
    assert rtp_check.late(before, stalls=call.stalls) == []
    assert len(rtp_check.spurts([p for p in before if rtp_check.is_speech(p)])) == 1
    playing = [p for p in before if rtp_check.is_speech(p)]
    assert 0.5 < len(playing) * 0.02 <= 2.5, "the prompt plays from soon after the answer"
    # The recording is brought to -20 LUFS, which weights the tone by its frequency.
    assert rtp_check.speech_dbfs(playing) == pytest.approx(-20, abs=1)
    assert audio.dominant_frequency(rtp_check.samples(playing)) == pytest.approx(500, abs=2)
    stopped = rtp_check.speech_stopped(call.received, keys[0])
    allowed = STOPS_WITHIN + (TONE_DETECTION if "tones" in way else 0)
    assert 0 < stopped <= allowed, f"{stopped * 1000:.0f} ms after the key"


@pytest.mark.parametrize(("way", "law"), [("tone events", 0), ("tone events pcma", 8)])
def test_the_answer_and_the_sound_are_in_the_law_that_was_offered(
    calls: Calls, way: str, law: int
) -> None:
    call = calls[way].result()
    assert {p.payload_type for p in call.received} == {law}
    [answer] = [m for m in call.sip.received(200) if "INVITE" in (m.header("CSeq") or "")][:1]
    assert f"RTP/AVP {law}" in answer.text
    assert call.assert_one_record("exit", "application")["codec"] == {0: "PCMU", 8: "PCMA"}[law]


def test_a_sender_report_describes_the_stream(calls: Calls) -> None:
    call = calls["bank events"].result()
    reports = rtp_check.sender_reports(call.reports_of_sender)
    assert reports, "no RTCP sender report in a call of half a minute"
    at, ssrc, count = reports[-1]
    assert ssrc == call.received[0].ssrc
    assert count == pytest.approx(len([p for p in call.received if p.at <= at]), abs=3)


def test_nothing_is_left_of_the_calls(calls: Calls, caller: Caller) -> None:
    caller.server.assert_nothing_left()


def _key_times(call: FinishedCall, way: str) -> list[float]:
    """When the caller's telephone began to send each key."""
    if "events" in way:
        return call.key_times(101)
    times, quiet = [], True
    for packet in call.sent:
        loud = packet.payload_type in (0, 8) and rtp_check.is_speech(packet)
        if loud and quiet:
            times.append(packet.at)
        quiet = not loud
    return times
