"""A caller who is being connected to somebody, and what he says meanwhile."""

from __future__ import annotations

import asyncio

import numpy as np

from tests.calls.fake_sip import FakeIncoming, FakeOutgoing
from tests.calls.fake_speech import FakeRecogniser
from tests.calls.world import World
from vxml_server.asr import (
    Understood,
    VoiceEnding,
    VoiceResult,
)
from vxml_server.calls import Leg, PromptRenderer, Transfer
from vxml_server.calls.voice import Ear
from vxml_server.grammar import builtin, phrase
from vxml_server.interpreter import (
    ActiveGrammar,
    TransferRequest,
    TransferResult,
)

STAR = ActiveGrammar(builtin("builtin:dtmf/boolean?y=*;n=9"), "dtmf", "transfer", None)
TWO = ActiveGrammar(builtin("builtin:dtmf/digits?length=2"), "dtmf", "transfer", None)


class Handing:
    """A caller being connected to somebody."""

    def __init__(self, dest: str = "sip:bob@far.test", type_: str = "bridge", **request: object):
        self.world = World()
        self.clock = self.world.clock
        self.caller_call = FakeIncoming()
        self.caller = Leg(self.world.engine, self.clock, 1)
        self.caller_call.listener = self.caller
        self.caller.accept(self.caller_call)
        self.caller.answer()
        self.caller_call.ack()
        self.caller.events.take()
        renderer = PromptRenderer(
            self.world.fetcher, self.world.synthesizer, self.world.resources.sounds
        )
        self.recogniser = FakeRecogniser()
        self.transfer = Transfer(
            self.world.line,
            self.caller,
            renderer,
            Ear(self.caller, self.recogniser),
            TransferRequest(dest, type_, **request),
        )
        self.refused = self.transfer.dial()
        self.running: asyncio.Task[TransferResult] | None = None

    async def begin(self) -> Handing:
        assert self.refused is None
        self.running = asyncio.create_task(self.transfer.run())
        await self.clock.settle()
        return self

    async def bridged(self) -> Handing:
        await self.begin()
        await self.clock.elapse(2)
        self.far.answer()
        await self.clock.settle()
        assert self.is_bridged
        return self

    @property
    def far(self) -> FakeOutgoing:
        return self.world.outgoing[0]

    @property
    def is_bridged(self) -> bool:
        return bool(self.world.engine.bridges)

    async def press(self, keys: str, after: float = 0.0) -> None:
        await self.clock.elapse(after)
        self.world.caller.press(keys)
        await self.clock.settle()

    async def result(self, after: float = 0.0) -> TransferResult:
        """The result, which is there now, and that the other leg has gone."""
        await self.clock.elapse(after)
        assert self.running is not None
        assert self.running.done()
        self.assert_parted()
        return await self.running

    def assert_parted(self) -> None:
        assert self.world.callee.closed
        assert self.far.finals
        assert not self.is_bridged
        assert not self.world.caller.is_playing
        assert self.transfer.record is not None
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert self.clock.next_due() is None


DONE = ActiveGrammar(phrase("we are done", "en"), "voice", "transfer", None)


def heard(words: str, ending: VoiceEnding = VoiceEnding.MATCH) -> VoiceResult:
    return VoiceResult(ending, (Understood(words, 0.8, words, 0),), np.zeros(8, np.int16), 0, 1)
