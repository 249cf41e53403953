"""`vxml-server serve`: from the settings file to the exit status.

SIGTERM (or SIGINT) drains: no new call, the running ones finish within `drain_seconds`. A second
signal stops at once. Standard output has the ready line and nothing else; logs go to standard
error.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import resource
import signal
import sys
from pathlib import Path

import structlog

from vxml_server.app.errors import CannotStart
from vxml_server.app.server import Server
from vxml_server.clock import Clock, SystemClock
from vxml_server.settings import LogSettings, Settings, SettingsError, load

_log = structlog.get_logger(__name__)
BAD_SETTINGS = 2
CANNOT_START = 1
# The media thread competes with the loop for the interpreter lock: it may have to wait this long
# (seconds) for its turn instead of Python's 5 ms.
SWITCH_INTERVAL = 0.0005
# New objects before a young collection (about 1 ms), young ones before a middle one, middle ones
# before a full one (20 ms at 200 calls).
COLLECTIONS = (10_000, 20, 100)


def serve(config: Path | None) -> int:
    """Runs the server until it is told to stop; returns the exit status."""
    try:
        settings = load(config, os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_SETTINGS
    configure_logging(settings.log)
    sys.setswitchinterval(SWITCH_INTERVAL)
    allow_open_files()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(settings, SystemClock()))


def allow_open_files() -> None:
    """As many open files as the system lets us have: a call takes two sockets, and more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop's loop where there is one."""
    try:
        import uvloop  # noqa: PLC0415 (not on every system)
    except ImportError:
        return None
    loop: type[asyncio.AbstractEventLoop] = uvloop.Loop
    return loop


async def _serve(settings: Settings, clock: Clock) -> int:
    signals = _Signals()
    server = Server(settings, clock, random.SystemRandom())
    try:
        ready = await server.start()
    except (OSError, CannotStart) as error:
        _log.error("cannot start", error=str(error))
        return CANNOT_START
    # What lives now lives to the end: no later collection needs to look at it. The others are
    # made rarer, for a full one holds up the media thread for as long as it takes.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)
    sys.stdout.write(f"{ready}\n")
    sys.stdout.flush()
    await signals.first.wait()
    await _drain(server, signals.second, clock, settings.drain_seconds)
    await server.stop()
    return 0


async def _drain(server: Server, at_once: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Until the last call has ended, the time is over, or `at_once` is set."""
    waits = [
        asyncio.create_task(server.drain(), name="draining"),
        asyncio.create_task(clock.sleep(seconds), name="drain limit"),
        asyncio.create_task(at_once.wait(), name="second signal"),
    ]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await asyncio.wait(waits)


class _Signals:
    """The signals that ask us to stop: SIGTERM and SIGINT."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._note)

    def _note(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


def configure_logging(settings: LogSettings) -> None:
    """Logs to standard error: text for people, or one JSON object a line."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.as_json
        # A traceback that shows variables would show passwords.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    level = getattr(logging, settings.level.upper())
    logging.basicConfig(
        level=max(level, logging.INFO),
        stream=sys.stderr,
        format="%(asctime)s [%(levelname)s] %(name)s: %(message)s",
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info
            if settings.as_json
            else structlog.processors.StackInfoRenderer(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
