"""Documents that are broken, endless, huge or malicious end in an event, and in nothing worse."""

from __future__ import annotations

import time
from concurrent.futures import Future
from functools import partial

import pytest

from tests.integration import rtp_check
from tests.integration.caller import Caller, FinishedCall, together
from tests.integration.caller_audio import as_events
from tests.integration.documents import HUGE_BYTES
from tests.integration.waiting import until

Calls = dict[str, Future[FinishedCall]]

WORST = ("endless-script", "goes-to-huge", "goes-to-bomb")

LIMIT = 5.0
"""Seconds within which each must have ended: the longest limit here is a script's or a fetch's."""


@pytest.fixture(scope="module")
def calls(caller: Caller) -> Calls:
    numbers = ["goes-to-malformed", "goes-to-no-such", "goes-to-slow", "goes-to-huge"]
    numbers += ["goes-to-bomb", "endless-script"]
    return together({n: partial(caller.call, f"x-{n}", n) for n in numbers})


@pytest.mark.parametrize(
    ("number", "event"),
    [
        ("goes-to-malformed", "error.badfetch"),
        ("goes-to-no-such", "error.badfetch.http.404"),
        ("goes-to-slow", "error.badfetch"),
        ("goes-to-huge", "error.badfetch"),
        ("goes-to-bomb", "error.badfetch"),
        ("endless-script", "error.semantic"),
    ],
)
def test_a_bad_document_ends_in_its_error_event(calls: Calls, number: str, event: str) -> None:
    call = calls[number].result()
    call.sip.assert_success()
    [told] = call.told
    assert f"{told['event']}.".startswith(f"{event}."), told
    took = call.sip.received("BYE")[0].at - call.sip.sent("INVITE")[0].at
    assert took < LIMIT
    call.assert_one_record("exit", "application")


def test_a_huge_document_is_not_read_to_its_end(calls: Calls, caller: Caller) -> None:
    calls["goes-to-huge"].result()
    # What the sockets hold on both sides counts as sent, too.
    assert 0 < caller.documents.huge_bytes_sent < HUGE_BYTES * 0.8


def test_a_bad_document_is_not_heard_by_other_callers(calls: Calls, caller: Caller) -> None:
    """A caller listens to a tone while the documents do their worst."""
    listener = caller.dial(
        "listener",
        "keys",
        as_events((8.0,)),
        scenario="caller-hangs-up",
        arguments=("-d", "6000"),
    )
    until(lambda: len(caller.wire.received(listener.media_port)) > 20, 20, "the tone is heard")
    began = time.time()
    again = together({n: partial(caller.call, f"again-{n}", n) for n in WORST})
    ended = time.time()
    listener.result().assert_success()
    for call in again.values():
        call.result().sip.assert_success()
    heard = [p for p in caller.wire.received(listener.media_port) if began < p.at < ended]
    assert rtp_check.faults(heard) == []
    assert rtp_check.late(heard, stalls=caller.witness.stalls()) == []


def test_the_server_takes_calls_as_before(calls: Calls, caller: Caller) -> None:
    call = caller.call("afterwards", "short", (0.5, "4321", 10.0))
    call.sip.assert_success()
    assert [told["keys"] for told in call.told] == ["4321"]
    caller.server.assert_nothing_left()
    assert "Traceback" not in caller.server.log
