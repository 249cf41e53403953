"""Engines in processes of their own: for C code that crashes, hangs or keeps the interpreter lock.

Nothing is shared with a child: commands and frames go over a pipe, grammars as JSGF with their
language, texts with confidences come back. A child that crashes, or that leaves a command without
an answer for too long, is killed and replaced; that costs the utterances it was working on, which
is one where there are as many processes as recognitions, and nothing else.

Each child has a folder of its own for what it and its libraries write, which goes with it; if the
server itself is killed, the children notice that their pipes end, and remove theirs.

The rules that must hold: no call of an engine outlives its child, so that a thread that waits for
one is always free again in the end; nothing that a child wrote outlives it either.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import TypeAlias

import numpy as np
import structlog

from vxml_server.asr.recognition import RecognitionProperties, Samples, SpeechEngine, Utterance
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, Hypothesis, load

_log = structlog.get_logger(__name__)
_processes = multiprocessing.get_context("spawn")
# How much less urgent than calls a child's work is (nice).
_NICENESS = 5
# How long a child that was told to end is waited for before it is killed, in seconds.
_GOODBYE = 1.0
_PREFIX = "vxml-server-recogniser-"


@dataclass(frozen=True, slots=True)
class _Start:
    utterance: int
    grammars: tuple[tuple[str, str], ...]
    """JSGF and language of each."""
    properties: RecognitionProperties


@dataclass(frozen=True, slots=True)
class _Feed:
    utterance: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class _Ask:
    utterance: int


@dataclass(frozen=True, slots=True)
class _Close:
    utterance: int


_Command: TypeAlias = _Start | _Feed | _Ask | _Close


@dataclass(frozen=True, slots=True)
class _Failure:
    """An event that is to be raised on the other side."""

    name: str
    message: str


_Answer: TypeAlias = tuple[Hypothesis, ...] | _Failure | None


class ChildEngine:
    """An engine whose utterances live in child processes.

    `build` makes the engine in the child: it has to be picklable (a function of a module, or a
    `functools.partial` of one). `speaks` answers here, without a child. `patience` is how long a
    command may take, and `loading` how long a child may take to start (seconds).
    """

    def __init__(
        self,
        build: Callable[[], SpeechEngine],
        *,
        identity: str,
        speaks: Callable[[str], bool],
        processes: int = 2,
        patience: float = 5.0,
        loading: float = 60.0,
    ) -> None:
        self._build = build
        self._identity = identity
        self._speaks = speaks
        self._limit = max(1, processes)
        self._patience = patience
        self._loading = loading
        self._lock = threading.Lock()
        self._children: list[_Child] = []
        self._is_closed = False
        self.restarts = 0
        """Children that had to be replaced."""

    @property
    def identity(self) -> str:
        return self._identity

    def load(self) -> None:
        """Starts all children, and waits until they have loaded."""
        with self._lock:
            missing = 0 if self._is_closed else self._limit - len(self._children)
            self._children += [self._spawn() for _ in range(missing)]
            children = tuple(self._children)
        for child in children:
            child.wait_until_ready()

    def speaks(self, lang: str) -> bool:
        return self._speaks(lang)

    def start(self, grammars: Sequence[Grammar], properties: RecognitionProperties) -> Utterance:
        written = tuple((_jsgf(grammar), grammar.lang) for grammar in grammars)
        return _ChildUtterance(self._child(), written, properties)

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            children, self._children = self._children, []
        for child in children:
            child.stop()

    def _child(self) -> _Child:
        """The child with the least to do; a new one while there may be more."""
        with self._lock:
            if self._is_closed:
                raise _no_resource("the recogniser has been closed")
            idle = min(self._children, key=lambda child: len(child.utterances), default=None)
            if idle is None or (idle.utterances and len(self._children) < self._limit):
                idle = self._spawn()
                self._children.append(idle)
            return idle

    def _spawn(self) -> _Child:
        return _Child(
            self._build,
            lost=self._replace,
            name=self._identity,
            patience=self._patience,
            loading=self._loading,
        )

    def _replace(self, child: _Child) -> None:
        """A child is gone; another is started at once, so that the next caller need not wait."""
        with self._lock:
            if child not in self._children:
                return
            self._children.remove(child)
            self.restarts += 1
            # One that never came up would not come up the next time either: wait for a request.
            if child.was_ready and not self._is_closed:
                self._children.append(self._spawn())


class _Child:
    """A process, and the commands to it: one at a time, each with a time limit.

    Every command is answered; the answer to a feed is read before the next command is sent, so that
    the pipe never fills up in front of a child that does not read.
    """

    def __init__(
        self,
        build: Callable[[], SpeechEngine],
        *,
        lost: Callable[[_Child], None],
        name: str,
        patience: float,
        loading: float,
    ) -> None:
        self.utterances: set[int] = set()
        self.was_ready = False
        self._lost = lost
        self._name = name
        self._patience = patience
        self._loading = loading
        self._lock = threading.Lock()
        self._is_dead = False
        self._is_owed = False
        """Whether the answer to the last command has yet to be read."""
        self._folder = tempfile.mkdtemp(prefix=_PREFIX)
        self._pipe, theirs = _processes.Pipe()
        self._process = _processes.Process(
            target=_run, args=(theirs, build, self._folder), daemon=True
        )
        try:
            self._process.start()
        except OSError:
            self._remove()
            raise
        theirs.close()

    def wait_until_ready(self) -> None:
        with self._locked():
            self._ready()

    def tell(self, command: _Command) -> None:
        """Sends a command and does not wait for it to be done."""
        with self._locked():
            self._send(command)

    def ask(self, command: _Command) -> tuple[Hypothesis, ...]:
        with self._locked():
            self._send(command)
            answer = self._receive(self._patience)
        if isinstance(answer, _Failure):
            raise VoiceXmlEvent(answer.name, answer.message)
        return answer or ()

    def stop(self) -> None:
        """Ends the process, which has its pipe closed and then little time."""
        self._is_dead = True
        self._pipe.close()
        self._process.join(_GOODBYE)
        self._kill()

    def _locked(self) -> _Turn:
        # Others' commands are limited as well, so a turn comes or the child is lost.
        return _Turn(self._lock, self._patience + self._loading, self._lose)

    def _ready(self) -> None:
        if not self.was_ready:
            answer = self._receive(self._loading)
            if isinstance(answer, _Failure):
                self._lose(answer.message)
                raise VoiceXmlEvent(answer.name, answer.message)
            self.was_ready = True

    def _send(self, command: _Command) -> None:
        self._ready()
        if self._is_owed:
            self._receive(self._patience)
        if self._is_dead:
            raise _no_resource(f"{self._name}: its process is gone")
        try:
            self._pipe.send(command)
        except OSError as error:
            raise self._lose("its process has crashed") from error
        self._is_owed = True

    def _receive(self, limit: float) -> _Answer:
        if self._is_dead:
            raise _no_resource(f"{self._name}: its process is gone")
        try:
            if not self._pipe.poll(limit):
                raise self._lose(f"no answer within {limit:g} s")
            answer: _Answer = self._pipe.recv()
            self._is_owed = False
        except (OSError, EOFError) as error:
            raise self._lose("its process has crashed") from error
        return answer

    def _lose(self, why: str) -> VoiceXmlEvent:
        if not self._is_dead:
            self._is_dead = True
            self._kill()
            self._pipe.close()
            _log.error("a recogniser's process is lost", engine=self._name, reason=why)
            self._lost(self)
        return _no_resource(f"{self._name}: {why}")

    def _kill(self) -> None:
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class _Turn:
    """The child's lock with a time limit."""

    def __init__(
        self, lock: threading.Lock, limit: float, lose: Callable[[str], VoiceXmlEvent]
    ) -> None:
        self._lock = lock
        self._limit = limit
        self._lose = lose

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self._limit):
            raise self._lose("it is stuck")

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


_numbers = itertools.count()


class _ChildUtterance:
    """The near end of an utterance."""

    def __init__(
        self,
        child: _Child,
        grammars: tuple[tuple[str, str], ...],
        properties: RecognitionProperties,
    ) -> None:
        self._child = child
        self._number = next(_numbers)
        child.utterances.add(self._number)
        try:
            child.ask(_Start(self._number, grammars, properties))
        except VoiceXmlEvent:
            child.utterances.discard(self._number)
            raise

    def feed(self, pcm: Samples) -> None:
        self._child.tell(_Feed(self._number, pcm.tobytes()))

    def result(self) -> tuple[Hypothesis, ...]:
        return self._child.ask(_Ask(self._number))

    def close(self) -> None:
        with suppress(VoiceXmlEvent):
            self._child.tell(_Close(self._number))
        self._child.utterances.discard(self._number)


@lru_cache(maxsize=256)
def _jsgf(grammar: Grammar) -> str:
    return grammar.to_jsgf()


def _no_resource(message: str) -> VoiceXmlEvent:
    return VoiceXmlEvent("error.noresource", message)


# The far end -------------------------------------------------------------------------------------


def _run(pipe: Connection, build: Callable[[], SpeechEngine], folder: str) -> None:
    """The child's whole life: it ends when its pipe does. What it writes goes into `folder`."""
    # An interrupt at the terminal goes to all processes; the server says when children end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    with ExitStack() as left, suppress(EOFError, OSError):
        left.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            engine = build()
            engine.load()
        except Exception as error:
            pipe.send(_failure(error))
            return
        pipe.send(None)
        far_end = _FarEnd(engine)
        while True:
            command: _Command = pipe.recv()
            pipe.send(far_end.do(command))


class _FarEnd:
    """The utterances of a child. What fails while audio is taken is told with the result."""

    def __init__(self, engine: SpeechEngine) -> None:
        self._engine = engine
        self._utterances: dict[int, Utterance] = {}
        self._failures: dict[int, _Failure] = {}

    def do(self, command: _Command) -> _Answer:
        number = command.utterance
        try:
            match command:
                case _Start(_, grammars, properties):
                    loaded = [_grammar(text, lang) for text, lang in grammars]
                    self._utterances[number] = self._engine.start(loaded, properties)
                case _Feed(_, pcm):
                    self._utterances[number].feed(np.frombuffer(pcm, np.int16))
                case _Ask():
                    if number in self._failures:
                        return self._failures[number]
                    return self._utterances[number].result()
                case _Close():
                    self._failures.pop(number, None)
                    self._utterances.pop(number).close()
        except Exception as error:
            failure = _failure(error)
            if isinstance(command, _Feed):
                self._failures[number] = failure
            return failure
        return None


def _failure(error: Exception) -> _Failure:
    if isinstance(error, VoiceXmlEvent):
        return _Failure(error.name, error.message)
    return _Failure("error.noresource", f"{type(error).__name__}: {error}")


@lru_cache(maxsize=256)
def _grammar(text: str, lang: str) -> Grammar:
    return load(text.encode(), media_type="application/x-jsgf", lang=lang)
