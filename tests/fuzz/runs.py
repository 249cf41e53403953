"""One run: a site, a caller, a judgement."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from types import FrameType

from tests.fuzz import callers, documents
from tests.interpreter.harness import HOME, Web
from vxml_server.interpreter import DocumentStore, GrammarStore, Limits
from vxml_server.interpreter.dialogue import DialogueResult, run_dialogue
from vxml_server.interpreter.script import Script

# Seconds of the wall clock that a run may take: a hundred times what it does take.
LONGEST = 20.0
# A script may take so long, and a dialogue go on so long without input.
LIMITS = Limits(script_memory=8 * 1024 * 1024, script_seconds=0.004, steps=100)
# Virtual seconds: callers of the fuzzer speak and stay silent for hours, but not for years.
_LAST_MOMENT = 1e8
_EVENT = re.compile(r"[^\s]+", re.ASCII)


class Hang(BaseException):
    """The watchdog's: nothing of the interpreter may catch it."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was drawn for a run."""

    pages: dict[str, bytes]
    script: Script
    strict: bool


def draw(random: Random) -> Run:
    return Run(documents.site(random), callers.script(random), random.random() < 0.05)


class Runner:
    """Runs dialogues one after the other, as a server does: with stores that they share."""

    def __init__(self) -> None:
        self._loop = asyncio.Runner()
        self._documents = {strict: DocumentStore(20, strict=strict) for strict in (True, False)}
        self._grammars = GrammarStore(50)

    def close(self) -> None:
        self._loop.close()

    def run(self, run: Run) -> DialogueResult:
        """Runs and judges; raises whatever is wrong."""
        with _watchdog():
            result = self._loop.run(self._dialogue(run))
        judge(result)
        return result

    async def _dialogue(self, run: Run) -> DialogueResult:
        result = await run_dialogue(
            HOME + documents.MAIN,
            run.script,
            Web(run.pages),
            documents=self._documents[run.strict],
            grammars=self._grammars,
            limits=LIMITS,
        )
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"tasks are left running: {left}"
        return result


def judge(result: DialogueResult) -> None:
    """What must hold of every dialogue."""
    outcome = result.outcome
    assert outcome.reason in {"exit", "disconnect", "hangup", "error"}
    assert bool(outcome.error) == (outcome.reason == "error"), outcome
    assert not outcome.error or outcome.error.startswith("error"), outcome
    # All of it can be written, and so it can be stored.
    json.dumps(result.records).encode()
    assert [record["event"] for record in result.records].count("end") == 1
    times = [float(str(record["t"])) for record in result.records]
    assert times == sorted(times), "time went backwards"
    assert not times or times[-1] < _LAST_MOMENT
    for record in result.records:
        if record["event"] == "throw":
            assert _EVENT.search(str(record["name"])), record


@contextmanager
def _watchdog() -> Iterator[None]:
    """Raises `Hang` in the middle of what takes too long, where the system can."""
    if not hasattr(signal, "setitimer"):
        started = time.monotonic()
        yield
        assert time.monotonic() - started < LONGEST
        return

    def bark(number: int, frame: FrameType | None) -> None:
        raise Hang(f"a run took more than {LONGEST} s")

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
