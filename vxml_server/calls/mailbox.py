"""What happens on a leg, and the mailbox in which its owner finds it.

The rule that must hold: events are read in the order in which they happened, each once, and none is
lost when a reader gives up waiting.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal, TypeAlias

from vxml_server.asr import VoiceEvent
from vxml_server.clock import Clock
from vxml_server.media import Playback

if TYPE_CHECKING:
    from vxml_server.calls.voice import Hearing

KeySource = Literal["rfc4733", "inband", "info"]


class Ending(Enum):
    """Who or what ended a leg."""

    REMOTE = "remote"
    LOCAL = "local"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key, and the way by which it was heard first."""

    key: str
    at: float
    source: KeySource = "rfc4733"


@dataclass(frozen=True, slots=True)
class Played:
    """A playback is over; `samples` were heard, all of them if `finished`."""

    playback: Playback
    samples: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """A `hearing` of the caller's voice tells something: news of one that is over are stale."""

    hearing: Hearing
    event: VoiceEvent


@dataclass(frozen=True, slots=True)
class Progress:
    """The far end of an outgoing leg rings (or plays early media)."""

    status: int
    early_media: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """The leg is up in both directions."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The leg is over. `status` is the final SIP response of an outgoing leg that was refused, and
    `contact` the URI that a redirection (3xx) names, "" if it names none."""

    ending: Ending
    status: int = 0
    reason: str = ""
    contact: str = ""


LegEvent: TypeAlias = KeyPressed | Played | Heard | Progress | Answered | Ended


class Mailbox:
    """The events of a leg in order, for one reader with a deadline.

    Nothing is lost when the reader is cancelled. `notify` is told of each new event, for a reader
    who waits at another mailbox.
    """

    def __init__(self, clock: Clock, notify: Callable[[], None] | None = None) -> None:
        self._clock = clock
        self._notify = notify
        self._events: deque[LegEvent] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._nudged = False

    def put(self, event: LegEvent) -> None:
        self._events.append(event)
        self._wake()
        if self._notify is not None:
            self._notify()

    def put_back(self, events: Sequence[LegEvent]) -> None:
        """Events to be read again, before all others."""
        self._events.extendleft(reversed(events))
        self._wake()

    def take(self) -> LegEvent | None:
        """The next event if there is one."""
        return self._events.popleft() if self._events else None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def get(self, deadline: float | None = None) -> LegEvent | None:
        """The next event; None when `deadline` (monotonic) passes first, or after a `nudge`."""
        while not self._events:
            if self._nudged:
                self._nudged = False
                return None
            timer = None
            if deadline is not None:
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    return None
                timer = self._clock.call_later(left, self._wake)
            waiting = self._waiting = asyncio.get_running_loop().create_future()
            try:
                await waiting
            finally:
                # Another reader may wait by now if this one was cancelled.
                if self._waiting is waiting:
                    self._waiting = None
                if timer is not None:
                    timer.cancel()
        return self._events.popleft()

    def take_keys(self) -> list[KeyPressed]:
        """Removes and returns the keys among the events that nobody has read yet."""
        keys = [event for event in self._events if isinstance(event, KeyPressed)]
        self._events = deque(e for e in self._events if not isinstance(e, KeyPressed))
        return keys

    def nudge(self) -> None:
        """Makes the reader look around: its deadlines may have changed."""
        self._nudged = True
        self._wake()
