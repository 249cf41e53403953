"""An engine that hears what it is told, threads that are not, and callers made of two sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from vxml_server.asr import (
    Attention,
    Engines,
    Listening,
    Recogniser,
    RecognitionPool,
    RecognitionProperties,
    Samples,
    SpeechEngine,
    Utterance,
    VoiceEvent,
    VoiceRequest,
)
from vxml_server.asr.workers import Job, Work
from vxml_server.audio import FRAME_SECONDS, SpeechActivity
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, Hypothesis

SOUND = np.full(160, 1000, np.int16)
QUIET = np.zeros(160, np.int16)

Answer = Sequence[Hypothesis] | Exception
"""What an utterance is heard as, or what goes wrong."""


class ScriptedUtterance:
    """Answers with the next of its answers each time it is asked; with the last again and again."""

    def __init__(self, answers: Sequence[Answer], grammars: Sequence[Grammar]) -> None:
        self.grammars = grammars
        self.fed = np.zeros(0, np.int16)
        self.asked: list[int] = []
        """How many samples it had been fed each time it was asked."""
        self.is_closed = False
        self._answers = list(answers)

    def feed(self, pcm: Samples) -> None:
        assert not self.is_closed
        self.fed = np.concatenate([self.fed, pcm])

    def result(self) -> tuple[Hypothesis, ...]:
        assert not self.is_closed
        self.asked.append(len(self.fed))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return tuple(answer)

    def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True


class ScriptedEngine:
    """`hear` says what the next utterances are; without, nothing is understood."""

    def __init__(self, *languages: str, identity: str = "scripted") -> None:
        self.utterances: list[ScriptedUtterance] = []
        self.languages = languages or ("en",)
        self.is_loaded = False
        self.is_closed = False
        self._identity = identity
        self._script: list[Sequence[Answer]] = []

    @property
    def identity(self) -> str:
        return self._identity

    def hear(self, *answers: str | Answer, confidence: float = 0.9) -> None:
        """One utterance: what is heard at its first pause, at its second, ...

        A text is the only hypothesis, with `confidence`.
        """
        self._script.append(
            [
                [Hypothesis(answer, confidence)] if isinstance(answer, str) else answer
                for answer in answers
            ]
        )

    def load(self) -> None:
        self.is_loaded = True

    def speaks(self, lang: str) -> bool:
        return lang.partition("-")[0] in self.languages

    def start(self, grammars: Sequence[Grammar], properties: RecognitionProperties) -> Utterance:
        if not self.speaks(properties.lang):
            raise VoiceXmlEvent("error.unsupported.language", properties.lang)
        answers = self._script.pop(0) if self._script else [[]]
        utterance = ScriptedUtterance(answers, grammars)
        self.utterances.append(utterance)
        return utterance

    def close(self) -> None:
        self.is_closed = True


class VirtualWorkers:
    """Threads on virtual time: each piece of work takes `seconds`. `is_hanging` has the next ones
    not come back, before `come_back`."""

    def __init__(self, clock: VirtualClock, seconds: float = 0.0, spare: int = 2) -> None:
        self.seconds = seconds
        self.is_hanging = False
        self._clock = clock
        self._spare = spare
        self._hanging: list[Job] = []

    def submit(self, work: Work) -> Job:
        job = Job(work)
        if self.is_hanging:
            self._hanging.append(job)
        else:
            self._clock.call_later(self.seconds, work)
        return job

    def abandon(self, job: Job) -> bool:
        job.is_replaced = self._spare > 0
        self._spare -= job.is_replaced
        return job.is_replaced

    def come_back(self) -> None:
        """What hangs is done at last."""
        self.is_hanging = False
        hanging, self._hanging = self._hanging, []
        for job in hanging:
            self._spare += job.is_replaced
            job.work()

    def close(self) -> None:
        pass


class MarkedSpeech(SpeechActivity):
    """Hears speech in every frame that is not silent."""

    def feed(self, frame: Samples, floor_dbfs: float = -120.0) -> bool:
        return bool(frame.any())


def recogniser_for(
    engine: SpeechEngine,
    clock: VirtualClock,
    *,
    recognitions: int = 4,
    waiting: int = 4,
    deadline: float = 5.0,
    workers: VirtualWorkers | None = None,
    post: Callable[[Callable[[], None]], object] = lambda callback: callback(),
) -> Recogniser:
    """A recogniser with one engine, on virtual time."""
    pool = RecognitionPool(
        recognitions=recognitions,
        waiting=waiting,
        deadline=deadline,
        clock=clock,
        workers=workers or VirtualWorkers(clock),
        post=post,
    )
    return Recogniser(Engines({engine.identity: engine}), pool, clock=clock, post=post)


class Wait:
    """A wait for voice and a caller who makes it, 20 ms of virtual time a frame."""

    def __init__(
        self,
        recogniser: Recogniser,
        clock: VirtualClock,
        request: VoiceRequest,
        attention: Attention = Attention.SPEECH,
        activity: SpeechActivity | None = None,
    ) -> None:
        self.told: list[tuple[float, VoiceEvent]] = []
        self.stops: list[float] = []
        """When prompts were to be stopped in the media thread."""
        self.clock = clock
        self.listening: Listening = recogniser.listen(
            request, self._tell, attention=attention, activity=activity or MarkedSpeech()
        )

    def _tell(self, event: VoiceEvent) -> None:
        self.told.append((round(self.clock.monotonic(), 6), event))

    @property
    def events(self) -> list[VoiceEvent]:
        return [event for _, event in self.told]

    def hear(self, frames: Iterable[Samples]) -> None:
        for frame in frames:
            self.clock.advance(FRAME_SECONDS)
            if self.listening.frame(frame, QUIET):
                self.stops.append(round(self.clock.monotonic(), 6))

    def speak(self, seconds: float) -> None:
        self.hear([SOUND] * round(seconds / FRAME_SECONDS))

    def pause(self, seconds: float) -> None:
        self.hear([QUIET] * round(seconds / FRAME_SECONDS))
