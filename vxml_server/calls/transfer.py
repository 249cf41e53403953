"""Connecting a caller to another party: `<transfer>` in SIP (VoiceXML 2.0 section 2.3.7).

A transfer dials a second leg and bridges the two. For `bridge` the interpreter waits until the
parties have parted; for `consultation` until the other has answered; for `blind` not at all: there
the bridge outlives the session, and the call lasts as long as it. The rule that must hold: whatever
ends a transfer, the second leg is gone afterwards and one `LegRecord` says what happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from vxml_server.calls.leg import Answered, Ended, Ending, KeyPressed, Leg, LegEvent, Progress
from vxml_server.calls.rendering import PromptRenderer
from vxml_server.calls.ringback import ringback
from vxml_server.clock import Clock
from vxml_server.interpreter import (
    InputKind,
    KeyCollector,
    Recognition,
    TransferRequest,
    TransferResult,
)
from vxml_server.media import MediaEngine, NoPortsLeft
from vxml_server.settings import DialRefused
from vxml_server.sip import Credentials, InvalidUri, OutgoingCall, SessionDescription
from vxml_server.store import LegRecord

HANGUP = "connection.disconnect.hangup"
TRANSFERRED = "connection.disconnect.transfer"

# What a final response to our INVITE means to the document: a value of the form item ("busy: the
# endpoint refused the call; network_busy: an intermediate network refused it", section 2.3.7.2), or
# an event where the recommendation has one (section 2.3.7.3).
_REFUSALS: Mapping[int, str] = {
    401: "error.connection.noauthorization",
    403: "error.connection.noauthorization",
    404: "error.connection.baddestination",
    407: "error.connection.noauthorization",
    408: "noanswer",
    410: "error.connection.baddestination",
    416: "error.connection.baddestination",
    480: "noanswer",
    484: "error.connection.baddestination",
    485: "error.connection.baddestination",
    486: "busy",
    487: "noanswer",
    488: "error.connection.noresource",
    600: "busy",
    603: "busy",
    604: "error.connection.baddestination",
    606: "error.connection.noresource",
}


def refusal(status: int) -> str:
    """The outcome for a final response 300-699."""
    if status in _REFUSALS:
        return _REFUSALS[status]
    return "network_busy" if 500 <= status < 600 else "unknown"


Invite = Callable[
    [str, SessionDescription, Leg, Mapping[str, str], Credentials | None], OutgoingCall
]
"""Places a call: target, offer, listener, headers, credentials."""


@dataclass(frozen=True, slots=True)
class Line:
    """What it takes to dial: the engine for media, the SIP side, the dial rules."""

    engine: MediaEngine
    clock: Clock
    invite: Invite
    destination: Callable[[str], str]
    credentials: Callable[[str], Credentials | None]
    session_id: Callable[[], int]


class Transfer:
    """One transfer of one caller."""

    def __init__(
        self, line: Line, caller: Leg, renderer: PromptRenderer, request: TransferRequest
    ) -> None:
        self._line = line
        self._caller = caller
        self._renderer = renderer
        self._request = request
        self._callee: Leg | None = None
        self._started_at: datetime = line.clock.utc_now()
        self._answered_at: datetime | None = None
        self._answered = 0.0
        self._connected: asyncio.Future[TransferResult | None] = (
            asyncio.get_running_loop().create_future()
        )
        self.record: LegRecord | None = None

    async def connected(self) -> TransferResult | None:
        """Waits until the other party has answered (None), or the transfer has failed."""
        return await asyncio.shield(self._connected)

    async def run(self) -> TransferResult:
        """Dials, bridges and waits for the end; the result is the document's."""
        result = TransferResult("unknown")
        try:
            result = await self._dial_and_bridge()
        finally:
            self._caller.stop_playing()
            if self._callee is not None:
                self._callee.hang_up()
                self._callee.close()
            if not self._connected.done():
                self._connected.set_result(result)
            self.record = LegRecord(
                destination=self._request.dest,
                type=self._request.type,
                outcome=result.outcome,
                started_at=self._started_at,
                answered_at=self._answered_at,
                ended_at=self._line.clock.utc_now(),
                duration_s=round(result.duration, 3),
            )
        return result

    async def _dial_and_bridge(self) -> TransferResult:
        try:
            target = self._line.destination(self._request.dest)
            self._callee = Leg(self._line.engine, self._line.clock, self._line.session_id())
            callee = self._callee
            call = self._line.invite(
                target,
                callee.offer(),
                callee,
                _headers(self._request),
                self._line.credentials(target),
            )
        except DialRefused as refused:
            return TransferResult(refused.name, message=refused.message)
        except InvalidUri as error:
            return TransferResult("error.connection.baddestination", message=str(error))
        except NoPortsLeft as error:
            return TransferResult("error.connection.noresource", message=str(error))
        callee.bind(call)
        failed = await self._await_answer(callee)
        if failed is not None:
            return failed
        self._answered_at = self._line.clock.utc_now()
        self._answered = self._line.clock.monotonic()
        self._caller.stop_playing()
        self._line.engine.bridge(self._caller.channel, callee.channel)
        self._connected.set_result(None)
        try:
            return await self._await_end(callee)
        finally:
            self._line.engine.unbridge(self._caller.channel)

    # Dialling ----------------------------------------------------------------------------------

    async def _await_answer(self, callee: Leg) -> TransferResult | None:
        """None once the other party has answered; otherwise how dialling failed."""
        deadline = self._line.clock.monotonic() + self._request.connect_timeout
        ears = _Ears(self._line.clock, self._caller, callee, self._request)
        waiting = asyncio.create_task(self._play_while_waiting(), name="transfer audio")
        try:
            while True:
                event = await ears.next(deadline)
                match event:
                    case None:
                        return TransferResult("noanswer")
                    case Answered():
                        return None
                    case Ended(Ending.FAILURE, status, reason):
                        return TransferResult(refusal(status), message=f"{status} {reason}")
                    case Ended():
                        return TransferResult("noanswer")
                    case Progress(early_media=True):
                        waiting.cancel()
                        self._caller.stop_playing()
                        self._line.engine.bridge(self._caller.channel, callee.channel)
                    case Recognition():
                        return TransferResult("near_end_disconnect", recognition=event)
                    case _CallerGone():
                        return TransferResult(HANGUP)
        finally:
            waiting.cancel()
            ears.close()

    async def _play_while_waiting(self) -> None:
        """The document's `transferaudio`, or the ringing of the caller's country."""
        sound = None
        if self._request.transfer_audio is not None:
            sound = await self._renderer.audio(self._request.transfer_audio)
        self._caller.play(sound or ringback(self._request.lang), repeat=True)

    # Bridged -----------------------------------------------------------------------------------

    async def _await_end(self, callee: Leg) -> TransferResult:
        limit = self._request.max_time
        deadline = self._answered + limit if limit > 0 else None
        ears = _Ears(self._line.clock, self._caller, callee, self._request)
        try:
            while True:
                event = await ears.next(deadline)
                match event:
                    case None:
                        return self._ended("maxtime_disconnect")
                    case Ended(Ending.FAILURE):
                        return self._ended("network_disconnect")
                    case Ended():
                        return self._ended("far_end_disconnect")
                    case Recognition():
                        return self._ended("near_end_disconnect", event)
                    case _CallerGone():
                        return self._ended(HANGUP)
        finally:
            ears.close()

    def _ended(self, outcome: str, recognition: Recognition | None = None) -> TransferResult:
        duration = self._line.clock.monotonic() - self._answered
        return TransferResult(outcome, duration, recognition)


class _CallerGone:
    """The caller has hung up."""


class _Ears:
    """Listens to both legs of a transfer at once, and to the keys that may end it."""

    def __init__(self, clock: Clock, caller: Leg, callee: Leg, request: TransferRequest) -> None:
        self._clock = clock
        self._caller = caller
        self._request = request
        self._collector: KeyCollector | None = None
        self._hears_keys = any(active.mode == "dtmf" for active in request.grammars)
        self._from_caller = asyncio.ensure_future(caller.events.get())
        self._from_callee = asyncio.ensure_future(callee.events.get())
        self._callee = callee

    async def next(
        self, deadline: float | None
    ) -> Answered | Ended | Progress | Recognition | _CallerGone | None:
        """What happens next; None at the deadline. Keys that end nothing are passed over."""
        while True:
            await self._wait(deadline)
            if self._from_callee.done():
                event = self._from_callee.result()
                self._from_callee = asyncio.ensure_future(self._callee.events.get())
                if isinstance(event, Answered | Ended | Progress):
                    return event
            elif self._from_caller.done():
                heard = self._from_caller.result()
                self._from_caller = asyncio.ensure_future(self._caller.events.get())
                if isinstance(heard, Ended):
                    return _CallerGone()
                if isinstance(heard, KeyPressed) and (found := self._key(heard.key)):
                    return found
            elif (found := self._expired()) is not None:
                return found
            elif deadline is not None and self._clock.monotonic() >= deadline:
                return None

    async def _wait(self, deadline: float | None) -> None:
        """Until one of the legs has something to say, or a timer has run out."""
        limits = [limit for limit in (deadline, self._key_deadline) if limit is not None]
        timeout: asyncio.Task[None] | None = None
        waiting: set[asyncio.Future[LegEvent | None] | asyncio.Future[None]]
        waiting = {self._from_caller, self._from_callee}
        if limits:
            left = max(0.0, min(limits) - self._clock.monotonic())
            timeout = asyncio.create_task(self._clock.sleep(left))
            waiting.add(timeout)
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if timeout is not None:
            timeout.cancel()

    @property
    def _key_deadline(self) -> float | None:
        return self._collector.deadline if self._collector else None

    def _key(self, key: str) -> Recognition | None:
        """Section 2.3.7: the caller's keys end the transfer when they match one of its grammars."""
        if not self._hears_keys:
            return None
        if self._collector is None:
            self._collector = KeyCollector(self._request.grammars, self._request.properties)
        outcome = self._collector.feed(key, self._clock.monotonic())
        if outcome is None:
            return None
        self._collector = None
        return outcome.nbest[0] if outcome.kind is InputKind.MATCH else None

    def _expired(self) -> Recognition | None:
        deadline = self._key_deadline
        if self._collector is None or deadline is None or deadline > self._clock.monotonic():
            return None
        outcome, self._collector = self._collector.expire(), None
        return outcome.nbest[0] if outcome.kind is InputKind.MATCH else None

    def close(self) -> None:
        """Gives back what was heard but not yet looked at."""
        for leg, future in ((self._caller, self._from_caller), (self._callee, self._from_callee)):
            if future.done() and not future.cancelled() and (event := future.result()):
                leg.events.put_back([event])
            future.cancel()


def _headers(request: TransferRequest) -> dict[str, str]:
    """`aai` goes as User-to-User (RFC 7433), in hexadecimal, so that any text is safe in it."""
    if not request.aai:
        return {}
    return {"User-to-User": f"{request.aai.encode().hex()};encoding=hex"}
