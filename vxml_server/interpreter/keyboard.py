"""The platform of `vxml-server call` at a keyboard: a person is the caller, in real time.

A line of digits is keys, another line is speech, an empty line is silence, the end of input hangs
up. Prompts are texts, and are there at once; what is typed while none is waited for is kept.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from vxml_server.clock import Clock
from vxml_server.fetch import Resource, ResourceFetcher
from vxml_server.interpreter.keys import KeyCollector
from vxml_server.interpreter.platform import (
    InputKind,
    InputResult,
    Json,
    ListenRequest,
    Mode,
    Prompt,
    Recognition,
    RecordEnding,
    RecordRequest,
    RecordResult,
    TransferRequest,
    TransferResult,
    Waiting,
)
from vxml_server.interpreter.playback import SECONDS_A_WORD, render
from vxml_server.interpreter.recording import RecordKeys
from vxml_server.interpreter.script import Hypothesis, Say
from vxml_server.interpreter.scripted import transfer_record, usual_outcome
from vxml_server.interpreter.scripted_recording import tone_of, words_in
from vxml_server.interpreter.trace import Observer, ignore
from vxml_server.interpreter.words import recognise

_KEYS = re.compile(r"[0-9*#][0-9*# ]*")


class KeyboardPlatform:
    """A `Platform` on which a caller types.

    `read_line` brings the next line without its end, and None at the end of input, again and again.
    """

    def __init__(
        self,
        read_line: Callable[[], Awaitable[str | None]],
        clock: Clock,
        fetcher: ResourceFetcher,
        observer: Observer = ignore,
    ) -> None:
        self._read_line = read_line
        self._clock = clock
        self._fetcher = fetcher
        self._observer = observer
        self._began = clock.monotonic()
        self._hung_up = False
        self._buffer: deque[str] = deque()
        self._reading: asyncio.Task[str | None] | None = None

    def now(self) -> float:
        return self._clock.monotonic() - self._began

    @property
    def hung_up(self) -> bool:
        return self._hung_up

    async def listen(self, request: ListenRequest) -> InputResult:
        if self._hung_up:
            return InputResult(InputKind.HANGUP)
        await self.play(request.prompts)
        if any(not prompt.bargein for prompt in request.prompts):
            self._buffer.clear()
        last = request.prompts[-1] if request.prompts else None
        hotword = last is not None and last.bargein and last.bargein_type == "hotword"
        deadline = self.now() + _timeout(request)
        while True:
            result = await self._input(request, deadline)
            if not (hotword and result.kind is InputKind.NOMATCH):
                return result

    async def play(self, prompts: Sequence[Prompt]) -> None:
        for prompt in prompts:
            if not self._hung_up:
                playback = await render(prompt, self._fetcher)
                self._observer("prompt", playback.record(prompt))

    async def play_while(self, waiting: Waiting, work: asyncio.Future[Resource]) -> None:
        """Nobody waits here: what is fetched is there before the audio would begin."""
        await asyncio.wait([work])

    async def record(self, request: RecordRequest) -> RecordResult:
        """A line of words is a message, as long as it would be spoken; an empty one is silence."""
        await self.play(request.prompts)
        self._buffer.clear()
        return await self._message(request)

    async def _message(self, request: RecordRequest) -> RecordResult:
        keys = RecordKeys(request)
        deadline = self.now() + request.properties.timeout
        while True:
            line = await self._line(deadline if keys.deadline is None else keys.deadline)
            if line is None and self._hung_up:
                return RecordResult(RecordEnding.HANGUP)
            found: Recognition | None = None
            if line and _KEYS.fullmatch(line):
                for key in line.replace(" ", ""):
                    found = found or keys.press(key, self.now())
                if found is None:
                    continue
                return RecordResult(RecordEnding.INPUT, recognition=found)
            if line:
                said = words_in(Say((Hypothesis(line),)), request)
                seconds = min(SECONDS_A_WORD * len(line.split()), request.max_time)
                audio = tone_of(seconds, request.media_type)
                ending = RecordEnding.SILENCE if said is None else RecordEnding.INPUT
                return RecordResult(ending, audio, said)
            if (found := keys.expire()) is not None:
                return RecordResult(RecordEnding.INPUT, recognition=found)
            if line is not None or self.now() >= deadline:
                return RecordResult(RecordEnding.NOINPUT)

    async def transfer(self, request: TransferRequest) -> TransferResult:
        if self._hung_up:
            return TransferResult("connection.disconnect.hangup")
        await self.play(request.prompts)
        result = usual_outcome(request)
        self._hung_up = result.outcome.startswith("connection.disconnect.")
        self._observer("transfer", transfer_record(request, result))
        return result

    async def answer(self) -> None:
        """The caller has been waiting for it."""

    async def disconnect(self, namelist: dict[str, Json]) -> None:
        self._hung_up = True

    async def close(self) -> None:
        """Stops reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _input(self, request: ListenRequest, deadline: float) -> InputResult:
        """One input of any kind, or silence until `deadline`."""
        collector: KeyCollector | None = None
        while True:
            if self._buffer and _listens(request, "dtmf"):
                collector = collector or KeyCollector(request.grammars, request.properties)
                outcome = collector.feed(self._buffer.popleft(), self.now())
            else:
                until = deadline if collector is None else collector.deadline
                line = await self._line(deadline if until is None else until)
                if line is None and self._hung_up:
                    return InputResult(InputKind.HANGUP)
                if line and _KEYS.fullmatch(line):
                    self._buffer.extend(line.replace(" ", ""))
                    continue
                if line and collector is None:
                    if _listens(request, "voice"):
                        return self._said(line, request)
                    continue
                if collector is None:
                    return InputResult(InputKind.NOINPUT)
                # Whatever line is not keys ends them, as the interdigit timeout does.
                outcome = collector.expire()
            if outcome is not None:
                self._buffer.extendleft(reversed(outcome.unused))
                return self._heard("dtmf", outcome.pressed, outcome.kind, outcome.nbest)

    def _said(self, line: str, request: ListenRequest) -> InputResult:
        return self._heard("voice", line, *recognise([Hypothesis(line)], request))

    def _heard(
        self, mode: str, utterance: str, kind: InputKind, nbest: tuple[Recognition, ...]
    ) -> InputResult:
        self._observer("input", {"mode": mode, "utterance": utterance, "confidence": 1.0})
        return InputResult(kind, nbest)

    async def _line(self, until: float) -> str | None:
        """The next line; None when there was none by `until`, or there are no more (a hang-up)."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read_line())
        timer = asyncio.ensure_future(self._clock.sleep(until - self.now()))
        await asyncio.wait({self._reading, timer}, return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        if not self._reading.done():
            return None
        line = self._reading.result()
        self._reading = None
        if line is None:
            self._hung_up = True
            return None
        return " ".join(line.split())


def _listens(request: ListenRequest, mode: Mode) -> bool:
    return bool(request.grammars) and mode in request.properties.input_modes


def _timeout(request: ListenRequest) -> float:
    """The last prompt that has a timeout decides (section 4.1.7)."""
    given = [prompt.timeout for prompt in request.prompts if prompt.timeout is not None]
    return given[-1] if given else request.properties.timeout
