"""A platform on a leg that is up, driven by a test, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

from tests.calls.fake_media import FakeChannel, FakeEngine
from tests.calls.fake_sip import FakeIncoming
from tests.calls.fake_speech import FakeRecogniser, FakeSynthesizer
from tests.calls.world import FakeFetcher
from vxml_server.calls import CallPlatform, Leg, PromptRenderer, SoundCache, Spool
from vxml_server.calls.voice import Ear
from vxml_server.clock import VirtualClock
from vxml_server.grammar import builtin
from vxml_server.interpreter import (
    ActiveGrammar,
    InputKind,
    InputProperties,
    InputResult,
    ListenRequest,
    Prompt,
    SpeechSegment,
    TransferRequest,
    TransferResult,
)

DIGITS = ActiveGrammar(builtin("builtin:dtmf/digits?length=2"), "dtmf", "field", None)
OPEN = ActiveGrammar(builtin("builtin:dtmf/digits?minlength=1;maxlength=4"), "dtmf", "field", None)
FAST = InputProperties(timeout=5.0, interdigit_timeout=2.0, term_timeout=0.0)


def prompt(text: str, *, bargein: bool = True, hotword: bool = False) -> Prompt:
    segment = SpeechSegment(f"<speak>{text}</speak>", text, "en")
    return Prompt((segment,), "en", bargein, "hotword" if hotword else "speech")


class Line:
    """A platform on a leg that is up."""

    def __init__(self, recogniser: FakeRecogniser | None = None) -> None:
        self.recogniser = recogniser
        self.clock = VirtualClock()
        self.engine = FakeEngine(self.clock)
        self.synthesizer = FakeSynthesizer(self.clock)
        self.call = FakeIncoming()
        self.leg = Leg(self.engine, self.clock, 1)
        self.call.listener = self.leg
        self.leg.accept(self.call)
        self.trace: list[tuple[str, dict]] = []
        self.transferred: list[TransferRequest] = []
        self.outcome = "far_end_disconnect"
        self.fetcher = FakeFetcher(self.clock)
        self.platform = CallPlatform(
            self.leg,
            clock=self.clock,
            renderer=PromptRenderer(self.fetcher, self.synthesizer, SoundCache(10_000_000)),
            observer=lambda kind, record: self.trace.append((kind, record)),
            answer=self.leg.answer,
            transfer=self._transfer,
            ear=Ear(self.leg, recogniser),
            spool=Spool(Path("no-such-folder"), "main", self.clock).of_call("1"),
        )

    async def _transfer(self, request: TransferRequest) -> TransferResult:
        self.transferred.append(request)
        return TransferResult(self.outcome, 12.3456)

    @property
    def channel(self) -> FakeChannel:
        return self.engine.channels[0]

    def up(self) -> Line:
        self.leg.answer()
        self.call.ack()
        self.leg.events.take()
        return self

    def listen(
        self,
        *prompts: Prompt,
        grammars: tuple[ActiveGrammar, ...] = (DIGITS,),
        properties: InputProperties = FAST,
        lang: str = "en",
    ) -> asyncio.Task[InputResult]:
        request = ListenRequest(prompts, grammars, properties, lang)
        return asyncio.create_task(self.platform.listen(request))

    async def at(self, seconds: float, keys: str = "", source: str = "rfc4733") -> None:
        """Lets time pass until `seconds`, and presses keys then."""
        await self.clock.elapse(seconds - self.clock.monotonic())
        if keys:
            self.channel.press(keys, source)
            await self.clock.settle()

    def said(self) -> list[str]:
        return [record["text"] for kind, record in self.trace if kind == "prompt"]

    def inputs(self) -> list[str]:
        return [record["utterance"] for kind, record in self.trace if kind == "input"]


async def ended(task: Awaitable[InputResult], kind: InputKind) -> InputResult:
    assert isinstance(task, asyncio.Task)
    assert task.done()
    result = await task
    assert result.kind is kind
    return result


async def matched(task: Awaitable[InputResult]) -> str:
    return (await ended(task, InputKind.MATCH)).nbest[0].utterance


async def matched_soon(line: Line) -> str:
    wait = line.listen(prompt("one"))
    await line.clock.settle()
    return await matched(wait)
