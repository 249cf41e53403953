"""What a waiting caller hears: a VoiceXML document, again and again, until it or somebody ends it.

Each round has `session.queue` as it stands then. What the document returns at its exit, a word or
an object with the property `outcome`, takes the caller out of the queue; without it the next round
begins. The rules that must hold: a document that fails costs the caller one round, after which he
hears the shipped one; and when `stop` has returned nothing is heard any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from vxml_server.calls import Converse
from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import Json, Outcome
from vxml_server.queues.profiles import WORD

_log = structlog.get_logger(__name__)
# A round that ends at once is not begun again sooner than this (seconds).
PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Treatments:
    """The shipped documents by URI: while callers wait, and before they go on."""

    waiting: str
    announcement: str


@dataclass(frozen=True, slots=True)
class Returned:
    """What a document returned: `outcome`, and whatever else is in the object."""

    outcome: str
    data: Mapping[str, Json] = field(default_factory=dict)


def returned(value: Json) -> Returned | None:
    """What the value of an exit means: None if nothing, or nothing that can be understood."""
    data = dict(value) if isinstance(value, dict) else {"outcome": value}
    outcome = data.pop("outcome", None)
    if outcome is None or outcome == "":
        return None
    if not isinstance(outcome, str) or not WORD.fullmatch(outcome):
        _log.warning("a waiting caller's document returned no word", value=repr(outcome)[:100])
        return None
    return Returned(outcome, data)


class Treatment:
    """One caller's. `begin` it, `stop` it, `begin` it again; the rounds are counted on."""

    def __init__(
        self,
        clock: Clock,
        converse: Converse,
        *,
        document: Callable[[], str],
        shipped: str,
        variables: Callable[[int], Mapping[str, Json]],
        done: Callable[[Returned], None],
    ) -> None:
        """`document` is the queue's own, "" if it has none; `variables` are those of a round;
        `done` is told what the document returned, after which no round follows."""
        self._clock = clock
        self._converse = converse
        self._document = document
        self._shipped = shipped
        self._variables = variables
        self._done = done
        self._round = 0
        self._failed: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begins a round, if none is under way."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="treatment")

    async def stop(self) -> None:
        """Ends what is heard."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def part(self, seconds: float) -> None:
        """Lets the document do what it does after a hang-up (section 1.5.4), for so long."""
        if self._task is not None:
            timer = self._clock.call_later(seconds, self._task.cancel)
            await asyncio.wait([self._task])
            timer.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            began = self._clock.monotonic()
            own = self._document()
            uri = own if own and own not in self._failed else self._shipped
            outcome = await self._hear(uri)
            if (found := returned(outcome.value)) is not None and outcome.reason != "error":
                self._done(found)
                return
            if outcome.reason in {"hangup", "disconnect"}:
                return
            if outcome.reason == "error":
                _log.warning(
                    "a treatment failed", uri=uri, error=outcome.error, why=outcome.message
                )
                self._failed.add(uri)
            left = PAUSE - (self._clock.monotonic() - began)
            if left > 0:
                await self._clock.sleep(left)

    async def _hear(self, uri: str) -> Outcome:
        try:
            variables = self._variables(self._round)
            self._round += 1
            return await self._converse(uri, variables)
        except VoiceXmlEvent as event:
            return Outcome("error", error=event.name, message=event.message)
        except Exception as failure:
            # A defect of ours must not leave the caller in silence.
            _log.exception("a treatment failed")
            return Outcome("error", error="error.internal", message=str(failure))
