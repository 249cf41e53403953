"""A recogniser and a synthesiser without models: tests say what is heard and how long speech is."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable

import numpy as np
from numpy.typing import NDArray

from vxml_server.asr import Attention, VoiceEvent, VoiceRequest
from vxml_server.audio import SpeechActivity
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.tts import Chunk, Mark, SpeechRequest


class FakeListening:
    """A wait for voice of which the test tells what the recogniser would."""

    def __init__(
        self, request: VoiceRequest, tell: Callable[[VoiceEvent], None], attention: Attention
    ) -> None:
        self.request = request
        self.tell = tell
        self.attention = attention
        self.is_closed = False

    def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool:
        return False

    def attend(self, attention: Attention) -> None:
        assert not self.is_closed
        self.attention = attention

    def close(self) -> None:
        self.is_closed = True


class FakeRecogniser:
    """Refuses with `refusal`, if there is one."""

    def __init__(self) -> None:
        self.waits: list[FakeListening] = []
        self.refusal: Exception | None = None

    @property
    def current(self) -> FakeListening:
        assert not self.waits[-1].is_closed
        return self.waits[-1]

    def listen(
        self,
        request: VoiceRequest,
        tell: Callable[[VoiceEvent], None],
        *,
        attention: Attention,
        activity: SpeechActivity,
    ) -> FakeListening:
        if self.refusal is not None:
            raise self.refusal
        self.waits.append(FakeListening(request, tell, attention))
        return self.waits[-1]


class FakeSynthesizer:
    """Says everything in a second of silence; its dictionaries say of which text otherwise."""

    identity = "fake"

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.seconds: dict[str, float] = {}
        self.sounds: dict[str, NDArray[np.int16]] = {}
        self.delays: dict[str, float] = {}
        self.failing: set[str] = set()
        self.marks: dict[str, tuple[Mark, ...]] = {}
        self.said: list[str] = []
        self._kept: dict[SpeechRequest, Chunk] = {}

    async def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
        text = " ".join(re.sub(r"<[^>]*>", " ", request.ssml).split())
        self.said.append(text)
        if (delay := self.delays.get(text, 0.0)) > 0:
            await self.clock.sleep(delay)
        if text in self.failing:
            raise VoiceXmlEvent("error.unsupported.language", f"cannot say {text!r}")
        if request not in self._kept:
            silence = np.zeros(round(self.seconds.get(text, 1.0) * 8000), np.int16)
            samples = self.sounds.get(text, silence)
            self._kept[request] = Chunk(samples, self.marks.get(text, ()), is_last=True)
        yield self._kept[request]
