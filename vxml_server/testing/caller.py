"""A caller who does what the prompts tell: the cues of `conf` become steps of a script.

Everything else, virtual time above all, is the scripted platform's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vxml_server.fetch import ResourceFetcher
from vxml_server.interpreter import (
    InputResult,
    ListenRequest,
    Observer,
    Prompt,
    RecordRequest,
    RecordResult,
    Segment,
    SpeechSegment,
    TransferRequest,
    TransferResult,
    ignore,
)
from vxml_server.interpreter.cues import Cues
from vxml_server.interpreter.script import (
    Deed,
    HangUp,
    Hypothesis,
    Keys,
    Say,
    Silence,
    Speak,
    Transfer,
)
from vxml_server.interpreter.scripted import ScriptedPlatform
from vxml_server.testing.conf import cues, words

MUMBLE = "something that no grammar knows"
RECITATION = 6.0
"""Seconds: the suites ask for a recording of five at least."""
SENTENCE = 2.0


class CuedPlatform(ScriptedPlatform):
    """A platform whose caller reacts to the last cue before each wait for input.

    `far_end` is how transfers end, "" for as they usually do.
    """

    def __init__(
        self, fetcher: ResourceFetcher, observer: Observer = ignore, far_end: str = ""
    ) -> None:
        self._steps = Cues((), ignore)
        self._cue: Deed | None = None
        self._far_end = far_end
        super().__init__(self._steps, fetcher, observer)

    async def play(self, prompts: Sequence[Prompt]) -> None:
        self._hear(prompts)
        await super().play(prompts)

    async def listen(self, request: ListenRequest) -> InputResult:
        self._hear(request.prompts)
        self._react()
        return await super().listen(request)

    async def record(self, request: RecordRequest) -> RecordResult:
        self._hear(request.prompts)
        self._react()
        return await super().record(request)

    async def transfer(self, request: TransferRequest) -> TransferResult:
        self._hear(request.prompts)
        self._cue = Transfer(self._far_end) if self._far_end else None
        self._react()
        return await super().transfer(request)

    def _hear(self, prompts: Iterable[Prompt]) -> None:
        for prompt in prompts:
            for kind, argument in cues(spoken(prompt.segments)):
                self._cue = reaction(kind, argument)

    def _react(self) -> None:
        if self._cue is not None:
            self._steps.steps.append(self._cue)
            self._cue = None


def spoken(segments: Iterable[Segment]) -> str:
    """What a prompt says, the words that stand in for audio files included."""
    return " ".join(
        segment.text if isinstance(segment, SpeechSegment) else spoken(segment.fallback)
        for segment in segments
    )


def reaction(kind: str, argument: str) -> Deed | None:
    """What the caller does on a cue."""
    match kind:
        case "say":
            return Say((Hypothesis(argument),))
        case "press":
            return Keys("".join(argument.split()))
        case "mumble":
            return Say((Hypothesis(MUMBLE),))
        case "hangup":
            return HangUp()
        case "recite":
            is_recital = words(argument) == argument
            return Speak(RECITATION if is_recital else SENTENCE)
        case _:
            return Silence()
