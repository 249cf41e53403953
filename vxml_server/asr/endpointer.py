"""Where speech begins, pauses, goes on and is over, 20 ms at a time.

A state machine without clock and without engine, for the media thread; the table is all of it.
Frames are counted, so what it tells is exact to a frame. What it does not decide is when a caller
has finished: that depends on what was understood, and is the matter of `Listening`.

The rules that must hold: every frame between the beginning and the last sound of an utterance is
told exactly once and in order, with `LEAD_FRAMES` before it; `feed` costs a few microseconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

from vxml_server.asr.recognition import Samples

LEAD_FRAMES = 15
"""What is kept from before speech was noticed: 300 ms, in which the first consonant is."""
BATCH_FRAMES = 5
"""How many frames of speech are told together: 100 ms."""
PAUSE_FRAMES = 9
"""So many frames without speech are a pause: 180 ms. Less is the closure of a consonant."""


class News(Enum):
    """What an endpointer tells."""

    BEGAN = "began"
    GOES_ON = "goes on"
    PAUSED = "paused"
    RESUMED = "resumed"


class _State(Enum):
    SILENCE = "silence"
    SPEECH = "speech"
    GAP = "gap"
    PAUSE = "pause"


class _Input(Enum):
    SPEECH = "speech"
    QUIET = "quiet"
    LULL = "quiet for as long as a pause"
    END = "quiet for so long that this is over"


_TABLE: dict[_State, dict[_Input, tuple[_State, News | None]]] = {
    _State.SILENCE: {
        _Input.SPEECH: (_State.SPEECH, News.BEGAN),
        _Input.QUIET: (_State.SILENCE, None),
        _Input.LULL: (_State.SILENCE, None),
        _Input.END: (_State.SILENCE, None),
    },
    _State.SPEECH: {
        _Input.SPEECH: (_State.SPEECH, News.GOES_ON),
        _Input.QUIET: (_State.GAP, None),
    },
    _State.GAP: {
        _Input.SPEECH: (_State.SPEECH, News.GOES_ON),
        _Input.QUIET: (_State.GAP, None),
        _Input.LULL: (_State.PAUSE, News.PAUSED),
    },
    _State.PAUSE: {
        _Input.SPEECH: (_State.SPEECH, News.RESUMED),
        _Input.LULL: (_State.PAUSE, None),
        _Input.END: (_State.SILENCE, None),
    },
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Something to tell, with the frames that belong to it and have not been told.

    BEGAN and RESUMED bring what came before them (for RESUMED the whole pause), PAUSED the quiet
    frames since the last sound. `quiet` is how many frames ago the last sound was.
    """

    news: News
    frames: tuple[Samples, ...]
    quiet: int = 0


class Endpointer:
    """Follows one voice through speech and pauses.

    `pause` and `end` are how many quiet frames make a pause (two at least), and how many make what
    comes then a new utterance.
    """

    def __init__(self, pause: int = PAUSE_FRAMES, end: int = 100) -> None:
        self._pause = max(2, pause)
        self._end = max(self._pause + 1, end)
        self._state = _State.SILENCE
        self._quiet = 0
        self._lead: deque[Samples] = deque(maxlen=LEAD_FRAMES)
        self._untold: list[Samples] = []

    @property
    def is_speaking(self) -> bool:
        """Whether there is speech, gaps in it included, pauses not."""
        return self._state in {_State.SPEECH, _State.GAP}

    def feed(self, frame: Samples, is_speech: bool) -> Endpoint | None:
        """Takes a frame and whether there is speech in it."""
        if self._state is _State.SILENCE:
            # Most frames come here: nobody speaks.
            self._lead.append(frame)
            if not is_speech:
                return None
            self._untold = list(self._lead)
            self._lead.clear()
        else:
            self._untold.append(frame)
        self._quiet = 0 if is_speech else self._quiet + 1
        self._state, news = _TABLE[self._state][self._input(is_speech)]
        if self._state is _State.SILENCE:
            self._lead.extend(self._untold)
            self._untold = []
            return None
        if news is None or (news is News.GOES_ON and len(self._untold) < BATCH_FRAMES):
            return None
        told, self._untold = tuple(self._untold), []
        return Endpoint(news, told, self._quiet)

    def _input(self, is_speech: bool) -> _Input:
        if is_speech:
            return _Input.SPEECH
        if self._quiet < self._pause:
            return _Input.QUIET
        return _Input.LULL if self._quiet < self._end else _Input.END
