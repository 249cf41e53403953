"""From the settings to the exit status."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.app.servers import SETTINGS, settings, taken
from vxml_server.app import serve, serving
from vxml_server.app.serving import BAD_SETTINGS, CANNOT_START, configure_logging
from vxml_server.clock import SystemClock, VirtualClock
from vxml_server.settings import LogSettings


@pytest.fixture(autouse=True)
def undo() -> Iterator[None]:
    """What `serve` changes of the process."""
    interval, handlers = sys.getswitchinterval(), logging.root.handlers[:]
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers


class FakeServer:
    """A server whose calls end when they are told to."""

    made: list[FakeServer]

    def __init__(self, *_: object) -> None:
        self.calls_over = asyncio.Event()
        self.log: list[str] = []
        self.made.append(self)

    async def start(self) -> str:
        self.log.append("start")
        return "ready sip=udp://127.0.0.1:5060 web=http://127.0.0.1:8080"

    async def drain(self) -> None:
        self.log.append("drain")
        await self.calls_over.wait()
        self.log.append("drained")

    async def stop(self) -> None:
        self.log.append("stop")


class Run:
    """`_serve` under test, on virtual time."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.task = asyncio.create_task(serving._serve(settings(folder), self.clock))

    @property
    def server(self) -> FakeServer:
        return FakeServer.made[0]

    async def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        os.kill(os.getpid(), number)
        for _ in range(20):
            await asyncio.sleep(0.001)  # the signal reaches the loop through a real pipe


@pytest.fixture
async def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    FakeServer.made = []
    monkeypatch.setattr(serving, "Server", FakeServer)
    one = Run(tmp_path)
    await one.clock.settle()
    return one


async def test_the_ready_line_is_all_there_is_on_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    FakeServer.made = []
    monkeypatch.setattr(serving, "Server", FakeServer)
    run = Run(tmp_path)
    await run.clock.settle()
    run.server.calls_over.set()
    await run.signal()
    assert await run.task == 0
    assert capsys.readouterr().out == ("ready sip=udp://127.0.0.1:5060 web=http://127.0.0.1:8080\n")
    assert gc.get_freeze_count() > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_running_calls_finish(run: Run, number: signal.Signals) -> None:
    await run.signal(number)
    assert run.server.log == ["start", "drain"]
    run.server.calls_over.set()
    assert await run.task == 0
    assert run.server.log == ["start", "drain", "drained", "stop"]


async def test_draining_is_bounded(run: Run) -> None:
    await run.signal()
    await run.clock.elapse(0.9)
    assert not run.task.done()
    await run.clock.elapse(0.2)
    assert await run.task == 0
    assert run.server.log == ["start", "drain", "stop"]


async def test_a_second_signal_stops_at_once(run: Run) -> None:
    await run.signal()
    await run.signal()
    assert await run.task == 0
    assert run.server.log == ["start", "drain", "stop"]


async def test_an_address_that_is_taken_is_exit_status_1(tmp_path: Path) -> None:
    with taken(socket.SOCK_DGRAM) as holder:
        taken_port = settings(tmp_path, sip=holder.getsockname()[1])
        with structlog.testing.capture_logs() as logs:
            assert await serving._serve(taken_port, SystemClock()) == CANNOT_START
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["cannot start"]


def test_a_bad_setting_is_exit_status_2_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("drain_seconds = 'long'\n", "utf-8")
    assert serve(file) == BAD_SETTINGS
    heard = capsys.readouterr()
    assert heard.out == ""
    assert "drain_seconds" in heard.err
    assert "settings.toml:1" in heard.err


def test_serve_runs_a_loop_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    async def look(*_: object) -> int:
        seen.append(sys.getswitchinterval())
        return 0

    monkeypatch.setattr(serving, "_serve", look)
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS.format(folder=tmp_path, sip=0, web=0), "utf-8")
    assert serve(file) == 0
    assert seen == [pytest.approx(serving.SWITCH_INTERVAL)]


def test_logs_are_json_objects_if_wished(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings.model_validate({"json": True, "level": "info"}))
    log = structlog.get_logger("test")
    log.debug("unheard")
    try:
        raise ValueError("a secret in no variable")
    except ValueError:
        log.exception("it failed", call="1")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    entry = json.loads(lines[0])
    assert (entry["event"], entry["call"], entry["level"]) == ("it failed", "1", "error")
    assert "ValueError" in entry["exception"]


def test_a_traceback_shows_no_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings.model_validate({"json": False, "level": "info"}))
    password = "hunter" + "2"
    try:
        raise ValueError("it failed")
    except ValueError:
        structlog.get_logger("test").exception("failed", length=len(password))
    heard = capsys.readouterr().err
    assert "ValueError: it failed" in heard
    assert password not in heard


def test_a_server_may_open_as_many_files_as_the_system_allows() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    serving.allow_open_files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
