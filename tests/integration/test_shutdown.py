"""SIGTERM while callers are on the line, and settings that cannot be served."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.caller import Caller
from tests.integration.caller_audio import as_events
from tests.integration.conftest import applications
from tests.integration.documents import DocumentServer
from tests.integration.server import COMMAND, VxmlServer
from tests.integration.waiting import until
from tests.integration.wire import Wire
from tests.integration.witness import Witness

DRAIN_SECONDS = 8


@pytest.fixture
def own_caller(
    documents: DocumentServer, wire: Wire, witness: Witness, tmp_path: Path
) -> Iterator[Caller]:
    """A caller of a server that this test alone may end."""
    (tmp_path / "server").mkdir()
    (tmp_path / "calls").mkdir()
    server = VxmlServer(tmp_path / "server", {}, (documents.origin,), drain_seconds=DRAIN_SECONDS)
    server.numbers = applications(server, documents)
    try:
        server.start()
        caller = Caller(server, documents, wire, witness, tmp_path / "calls")
        yield caller
        caller.close()
    finally:
        server.close()


def test_a_draining_server_refuses_new_calls_and_finishes_the_running_ones(
    own_caller: Caller,
) -> None:
    server = own_caller.server
    # He is still there when the other one has been refused.
    sound = as_events((2.0, "1234", 12.0))
    running = own_caller.dial("drain-running", "keys", sound)
    until(lambda: _is_established(server), 20, "the call is established")
    server.signal(signal.SIGTERM)
    until(lambda: server.get("/healthz")[0] == 503, 20, "/healthz says that it drains")

    refused = own_caller.dial("refused", "keys", sound, scenario="refused", seconds=10).result()
    refused.assert_success()
    assert int(refused.received(503)[0].header("Retry-After") or 0) > 0

    finished = running.result()
    finished.assert_success()
    assert finished.received("BYE")
    assert [told["keys"] for told in own_caller.documents.reports("drain-running")] == ["1234"]
    assert server.wait(30) == 0
    [row] = server.rows(str(finished.messages[0].header("Call-ID")))
    assert (row["end_reason"], row["hung_up_by"]) == ("exit", "application")
    assert row["ended_at"]


def test_a_drain_ends_the_calls_that_outlast_it(own_caller: Caller) -> None:
    server = own_caller.server
    running = own_caller.dial("outlasts", "keys", as_events((20.0,)), seconds=15)
    until(lambda: _is_established(server), 20, "the call is established")
    server.signal(signal.SIGTERM)
    began = time.time()
    assert server.wait(30) == 0
    finished = running.result()
    finished.assert_success()
    assert finished.received("BYE")[0].at - began == pytest.approx(DRAIN_SECONDS, abs=1.5)
    [row] = server.rows(str(finished.messages[0].header("Call-ID")))
    assert row["hung_up_by"] == "platform"


def test_a_second_sigterm_ends_the_server_at_once(own_caller: Caller) -> None:
    server = own_caller.server
    running = own_caller.dial("cut-off", "keys", as_events((20.0,)), seconds=8)
    until(lambda: _is_established(server), 20, "the call is established")
    server.signal(signal.SIGTERM)
    until(lambda: server.get("/healthz")[0] == 503, 20, "/healthz says that it drains")
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    server.wait(30)
    assert time.monotonic() - began < DRAIN_SECONDS / 2
    assert running.result().received("BYE"), "the caller was left on a dead line"


@pytest.mark.parametrize(
    ("text", "place", "key"),
    [
        ('drain_seconds = 1\n\n[sip]\nlisten = ["carrier-pigeon://x"]\n', ":4", "sip.listen"),
        ('[media]\nports = "backwards"\n', ":2", "media.ports"),
        ("[web]\nlissen = 1\n", ":2", "web.lissen"),
        ("[sip\n", ":1", ""),
    ],
)
def test_a_bad_setting_is_refused_with_its_place(
    tmp_path: Path, text: str, place: str, key: str
) -> None:
    settings = tmp_path / "bad.toml"
    settings.write_text(text, "utf-8")
    done = subprocess.run(
        [COMMAND, "serve", "--config", settings],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert f"bad.toml{place}" in done.stderr
    assert key in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def _is_established(server: VxmlServer) -> bool:
    return any(call["answered_at"] for call in server.calls("active"))
