"""A telephone at the far end of a leg: real frames through the media engine, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.calls.fake_sip import FakeIncoming
from tests.calls.fake_speech import FakeSynthesizer
from tests.calls.world import FakeFetcher
from tests.media.world import FarEnd
from tests.media.world import World as Media
from vxml_server.calls import CallPlatform, Leg, PromptRenderer, SoundCache, Spool
from vxml_server.calls.voice import Ear, Recogniser
from vxml_server.clock import VirtualClock
from vxml_server.interpreter import TransferRequest, TransferResult
from vxml_server.media import Codec


class Telephone:
    """A call that is up. `recogniser` makes what hears voice, on the call's clock.

    `echo`, if it is set, makes of what the telephone gets (int16 [160] each tick) what it sends
    back beside its caller's voice.
    """

    def __init__(
        self, folder: Path, recogniser: Callable[[VirtualClock], Recogniser] | None = None
    ) -> None:
        self.media = Media()
        self.clock = self.media.clock
        self.recogniser = recogniser(self.clock) if recogniser else None
        self.echo: Callable[[NDArray[np.int16]], NDArray[np.int16]] | None = None
        self.incoming = FakeIncoming()
        self.leg = Leg(self.media.engine, self.clock, 1)
        self.incoming.listener = self.leg
        self.leg.accept(self.incoming)
        self.leg.answer()
        self.incoming.ack()
        self.leg.events.take()
        self.far = FarEnd(self.media, 4000, self.leg.channel)
        self.spool = Spool(folder, "main", self.clock)
        self.spool.start()
        self.kept = self.spool.of_call("call")
        self.synthesizer = FakeSynthesizer(self.clock)
        self.platform = CallPlatform(
            self.leg,
            clock=self.clock,
            renderer=PromptRenderer(
                FakeFetcher(self.clock), self.synthesizer, SoundCache(10_000_000)
            ),
            observer=lambda kind, record: None,
            answer=self.leg.answer,
            transfer=self._no_transfer,
            spool=self.kept,
            ear=Ear(self.leg, self.recogniser),
        )
        self._asked: asyncio.Task[Any] | None = None

    async def _no_transfer(self, request: TransferRequest) -> TransferResult:
        raise AssertionError("nobody transfers")

    async def ask(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begins what the interpreter asks of the platform; `result` is what comes of it."""
        self._asked = asyncio.create_task(work)
        await self.clock.settle()

    @property
    def is_over(self) -> bool:
        assert self._asked is not None
        return self._asked.done()

    async def result(self) -> Any:
        assert self._asked is not None
        # Files are made beside the loop.
        return await asyncio.wait_for(self._asked, 5)

    async def say(self, pcm: NDArray[np.int16] | float) -> None:
        """The caller says this: samples, or so many seconds of silence."""
        samples = np.zeros(round(pcm * 8000), np.int16) if isinstance(pcm, float) else pcm
        for start in range(0, len(samples) // 160 * 160, 160):
            frame = samples[start : start + 160]
            if self.echo is not None:
                frame = np.clip(frame.astype(np.int32) + self.echo(self._got()), -32768, 32767)
            self.far.speak(frame.astype(np.int16), Codec.PCMA, 8)
            await self.clock.settle()

    def _got(self) -> NDArray[np.int16]:
        heard = self.heard()
        return heard[-160:] if len(heard) else np.zeros(160, np.int16)

    def heard(self) -> NDArray[np.int16]:
        """All that the telephone got so far."""
        return self.far.audio(Codec.PCMA, 8)

    async def press(self, key: str) -> None:
        self.leg.key(key, "rfc4733", self.clock.monotonic())
        await self.clock.settle()

    def hang_up(self) -> None:
        """Leaves nothing behind."""
        self.kept.close()
        self.spool.stop()
