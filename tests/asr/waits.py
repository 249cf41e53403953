"""One wait for voice, with an engine and a clock that a test drives."""

from __future__ import annotations

from tests.asr.scripted import (
    ScriptedEngine,
    VirtualWorkers,
    Wait,
    recogniser_for,
)
from vxml_server.asr import (
    Attention,
    VoiceRequest,
    VoiceResult,
)
from vxml_server.audio import SpeechActivity
from vxml_server.clock import VirtualClock
from vxml_server.grammar import builtin, phrase

LEFT = phrase("left", "en")
DIGITS = builtin("digits?length=4", "en", "voice")
PAUSE = 0.18
"""After which the engine is asked."""


class World:
    """An engine, its recogniser and a clock."""

    def __init__(
        self,
        *,
        recognitions: int = 4,
        waiting: int = 4,
        deadline: float = 5.0,
        seconds: float = 0.0,
        spare: int = 2,
    ) -> None:
        self.clock = VirtualClock()
        self.engine = ScriptedEngine()
        self.workers = VirtualWorkers(self.clock, seconds, spare)
        self.recogniser = recogniser_for(
            self.engine,
            self.clock,
            recognitions=recognitions,
            waiting=waiting,
            deadline=deadline,
            workers=self.workers,
        )

    def wait(
        self,
        *,
        attention: Attention = Attention.SPEECH,
        activity: SpeechActivity | None = None,
        request: VoiceRequest | None = None,
    ) -> Wait:
        request = request or VoiceRequest((LEFT, DIGITS), "en")
        return Wait(self.recogniser, self.clock, request, attention, activity)


def result_of(wait: Wait) -> tuple[float, VoiceResult]:
    at, event = wait.told[-1]
    assert isinstance(event, VoiceResult)
    return at, event
