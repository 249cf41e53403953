"""A process of its own for C code: whatever that does, the server goes on.

One request at a time goes to a `Child`, over pipes. A child that dies, talks nonsense or takes too
long is killed, and another one started at the next request; one that dies without having answered
anything is left alone for a while, and the selection asks the next engine meanwhile. One whose
libraries lose memory is replaced after so many requests.

Each process has a folder of its own for what it and its libraries write, which goes with it, for a
process that is killed removes nothing. If the server itself is killed, the children notice that
nobody asks them any more, and remove theirs.

The rules: a request that nobody waits for any more is still brought to its end, because an answer
belongs to its request; what a process wrote is not there any more when it is not.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import structlog

from vxml_server.clock import Clock, deadline
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import TtsSettings
from vxml_server.tts import wire
from vxml_server.tts.engine import Abilities, Offer, Spoken, Utterance

_log = structlog.get_logger(__name__)

START_SECONDS = 60.0  # for loading an engine and its voices
FIRST_REST, LAST_REST = 0.5, 30.0
MAX_OFFERS = 1000
PREFIX = "vxml-server-speech-"
BUFFER_BYTES = 2**21  # a sentence, so that reading it is never paused
ANOTHER_ANSWER = "the child process gave another answer"

VoiceKey = tuple[str, tuple[str, ...], str]
Answer = tuple[wire.Frame, bytes]


class Child:
    """A process of this Python that answers frames (`wire`), started when it is first needed.

    `command` is what follows the interpreter's name, with the process's folder after it, which it
    has to remove when its input ends; `greeting` the frame that it is sent first,
    for whose answer it has `START_SECONDS`, as it has `timeout` seconds for every other. After
    `max_requests` it makes room for another one.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        greeting: wire.Frame,
        clock: Clock,
        timeout: float,
        *,
        max_requests: int | None = None,
    ) -> None:
        self.starts = 0
        """Processes started so far."""
        self.welcome = wire.Frame()
        """What the last one answered first."""
        self._name = name
        self._command = tuple(command)
        self._greeting = greeting
        self._clock = clock
        self._timeout = timeout
        self._max_requests = max_requests
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._folder: str | None = None
        self._requests = 0  # to this process
        self._has_answered = False
        self._restart_at = 0.0
        self._rest = FIRST_REST

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Sees that there is a process. Raises `VoiceXmlEvent`, as `ask` does."""
        await self._turned(None)

    async def close(self) -> None:
        async with self._turn:
            await self._end()

    async def ask(self, request: wire.Frame) -> Answer:
        """The answer to a request in its turn.

        Raises `VoiceXmlEvent`: the child's own, or `error.noresource` when it is lost.
        """
        return await self._turned(request)

    async def _turned(self, request: wire.Frame | None) -> Answer:
        """One exchange after the other; None only sees that there is a process."""
        await self._turn.acquire()
        exchange = asyncio.create_task(self._exchange(request), name=f"speech of {self._name}")
        exchange.add_done_callback(self._turn_over)
        return await asyncio.shield(exchange)

    def _turn_over(self, exchange: asyncio.Task[Answer]) -> None:
        self._turn.release()
        if not exchange.cancelled():
            exchange.exception()  # perhaps nobody waits for it any more

    async def _exchange(self, request: wire.Frame | None) -> Answer:
        try:
            process = await self._running()
            if request is None:
                return wire.Frame(), b""
            self._requests += 1
            return await self._exchanged(process, request, self._timeout)
        except asyncio.CancelledError:
            await self._end()
            raise

    async def _running(self) -> asyncio.subprocess.Process:
        """The process, started if there is none."""
        if self._process is not None and self._process.returncode is not None:
            await self._lost("it ended by itself")
        if self._max_requests is not None and self._requests >= self._max_requests:
            await self._end()
        if self._process is not None:
            return self._process
        now = self._clock.monotonic()
        if now < self._restart_at:
            raise VoiceXmlEvent("error.noresource", "its process keeps dying and is left alone")
        self._requests, self._has_answered = 0, False
        self.starts += 1
        try:
            folder = self._folder = tempfile.mkdtemp(prefix=PREFIX)
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._command,
                folder,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=BUFFER_BYTES,
                start_new_session=True,  # a Ctrl-C on the terminal is for the server
                env={**os.environ, "TMPDIR": folder},
            )
        except OSError as error:
            await self._end()
            self._leave_alone()
            raise VoiceXmlEvent(
                "error.noresource", f"no process can be started: {error.strerror}"
            ) from error
        try:
            self.welcome, _ = await self._exchanged(process, self._greeting, START_SECONDS)
        except VoiceXmlEvent:
            if self._process is not None:  # it answers that it cannot
                await self._end()
                self._leave_alone()
            raise
        self._has_answered = True
        return process

    async def _exchanged(
        self, process: asyncio.subprocess.Process, request: wire.Frame, seconds: float
    ) -> Answer:
        """One exchange. Raises `VoiceXmlEvent`: the child's own, or that it is lost."""
        if process.stdin is None or process.stdout is None:
            raise VoiceXmlEvent("error.noresource", "its process has no pipes")
        frame = wire.encode(request)
        try:
            async with deadline(self._clock, seconds):
                process.stdin.write(frame)
                await process.stdin.drain()
                length, size = wire.lengths(await process.stdout.readexactly(wire.LENGTHS.size))
                answer = wire.decode(await process.stdout.readexactly(length))
                payload = await process.stdout.readexactly(size)
        except TimeoutError:
            await self._lost(message := f"its process took longer than {seconds:g} s")
            raise VoiceXmlEvent("error.noresource", message) from None
        except (OSError, asyncio.IncompleteReadError):
            await self._lost(message := "its process died")
            raise VoiceXmlEvent("error.noresource", message) from None
        except VoiceXmlEvent as event:
            await self._lost(event.message)
            raise
        if answer.failed is not None:
            raise VoiceXmlEvent(answer.failed.event, answer.failed.message)
        return answer, payload

    async def _lost(self, message: str) -> None:
        process = self._process
        await self._end()
        status = process.returncode if process else None
        _log.warning("speech process lost", engine=self._name, error=message, status=status)
        self._leave_alone()

    def _leave_alone(self) -> None:
        if self._has_answered:  # it is good for something: what killed it was one request
            self._rest = FIRST_REST
        else:
            self._restart_at = self._clock.monotonic() + self._rest
            self._rest = min(2 * self._rest, LAST_REST)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
            self._folder = None


class ChildEngine:
    """`Engine` that another one, of `engines.build`, speaks for in a child process.

    The child has the `timeout` of the settings for one request, from its turn on: whoever waited
    behind one that hangs is still heard.
    """

    def __init__(self, name: str, settings: TtsSettings, clock: Clock) -> None:
        self.name = name
        self.settings = settings.model_copy(update={"services": {}, "isolated": ()})
        """What the child is told: nothing of services, whose settings hold secrets."""
        self._child = Child(
            name,
            # Nothing that lies in the working folder is taken for a module (-P).
            ("-P", "-m", "vxml_server.tts.child_main"),
            wire.Frame(start=wire.Start(name, self.settings)),
            clock,
            settings.timeout,
        )
        self._offers: OrderedDict[VoiceKey, Offer | None] = OrderedDict()

    @property
    def identity(self) -> str:
        started = self._child.welcome.started
        return started.identity if started else self.name

    @property
    def abilities(self) -> Abilities:
        started = self._child.welcome.started
        return replace(started.abilities if started else Abilities(), queues=True)

    @property
    def starts(self) -> int:
        """Children started so far."""
        return self._child.starts

    @property
    def pid(self) -> int | None:
        """Of the child, while there is one."""
        return self._child.pid

    async def start(self) -> None:
        await self._child.start()
        if self._child.welcome.started is None:
            raise VoiceXmlEvent("error.noresource", ANOTHER_ANSWER)

    async def close(self) -> None:
        await self._child.close()

    async def voice(self, lang: str, names: tuple[str, ...], gender: str) -> Offer | None:
        key = lang, names, gender
        if key not in self._offers:
            answer, _ = await self._child.ask(wire.Frame(find=wire.FindVoice(*key)))
            if answer.found is None:
                raise VoiceXmlEvent("error.noresource", ANOTHER_ANSWER)
            self._offers[key] = answer.found.offer
            while len(self._offers) > MAX_OFFERS:
                self._offers.popitem(last=False)
        return self._offers[key]

    async def speak(self, utterance: Utterance, voice: str) -> Spoken:
        answer, payload = await self._child.ask(wire.Frame(speak=wire.Speak(utterance, voice)))
        if answer.said is None or len(payload) % 2:
            raise VoiceXmlEvent("error.noresource", ANOTHER_ANSWER)
        return Spoken(np.frombuffer(payload, np.int16), answer.said.rate, answer.said.marks)
