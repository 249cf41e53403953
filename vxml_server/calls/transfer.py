"""Connecting a caller to another party: `<transfer>` in SIP (VoiceXML 2.0 section 2.3.7).

A transfer dials a second leg and bridges the two. For `bridge` the interpreter waits until the
parties have parted; for `consultation` until the other has answered; for `blind` not at all beyond
what is known at once. In the last two the bridge outlives the session, and the call lasts as long
as it. The rule that must hold: whatever ends a transfer, the second leg is gone afterwards and one
`LegRecord` says what happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from vxml_server.calls.ending import EndingInput
from vxml_server.calls.leg import Leg
from vxml_server.calls.mailbox import Answered, Ended, Ending, KeyPressed, LegEvent, Progress
from vxml_server.calls.recorded import Recorded
from vxml_server.calls.rendering import PromptRenderer
from vxml_server.calls.ringback import ringback
from vxml_server.calls.voice import Ear
from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import Recognition, TransferRequest, TransferResult
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
    """One transfer of one caller: `dial` it, then `run` it if there is something to wait for.

    Nobody else may read the caller's mailbox meanwhile.
    """

    def __init__(
        self,
        line: Line,
        caller: Leg,
        renderer: PromptRenderer,
        ear: Ear,
        request: TransferRequest,
        recorded: Recorded | None = None,
    ) -> None:
        self._line = line
        self._caller = caller
        self._renderer = renderer
        self._request = request
        self._recorded = recorded
        self._callee: Leg | None = None
        self._started_at: datetime = line.clock.utc_now()
        self._answered_at: datetime | None = None
        self._answered = 0.0
        self._bridged = False
        self._ending = EndingInput(line.clock, ear, request)
        self._connected: asyncio.Future[TransferResult | None] = (
            asyncio.get_running_loop().create_future()
        )
        self.record: LegRecord | None = None
        """What happened, once it is over."""

    def dial(self) -> TransferResult | None:
        """Places the call; the result if that is refused here, None while it is under way."""
        refused = self._place()
        if refused is not None:
            self._end(refused)
        return refused

    async def connected(self) -> TransferResult | None:
        """Waits until the other party has answered (None), or the transfer has failed."""
        return await asyncio.shield(self._connected)

    async def run(self) -> TransferResult:
        """Waits for the answer, bridges, and waits for the end; the result is the document's.

        Cancelled when the caller's call is over.
        """
        result = TransferResult("unknown")
        assert self._callee is not None, "dial comes first"
        try:
            self._ending.overhear()
            result = await self._await_answer(self._callee) or await self._bridge(self._callee)
        except asyncio.CancelledError:
            result = self._over(HANGUP)
            raise
        except VoiceXmlEvent as event:
            # A tag of a grammar that ends the transfer has failed.
            result = TransferResult(event.name, message=event.message)
        finally:
            self._end(result)
        return result

    def _end(self, result: TransferResult) -> None:
        self._ending.close()
        self._caller.stop_playing()
        if self._recorded is not None:
            self._recorded.close()
        if self._bridged:
            self._line.engine.unbridge(self._caller.channel)
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

    # Dialling ----------------------------------------------------------------------------------

    def _place(self) -> TransferResult | None:
        line = self._line
        try:
            target = line.destination(self._request.dest)
            # One mailbox is read, the caller's; the other nudges its reader.
            nudge = self._caller.events.nudge
            callee = self._callee = Leg(line.engine, line.clock, line.session_id(), nudge)
            call = line.invite(
                target,
                callee.offer(),
                callee,
                _headers(self._request),
                line.credentials(target),
            )
        except DialRefused as refused:
            return TransferResult(refused.name, message=refused.message)
        except InvalidUri as error:
            return TransferResult("error.connection.baddestination", message=str(error))
        except NoPortsLeft as error:
            return TransferResult("error.connection.noresource", message=str(error))
        callee.bind(call)
        return None

    async def _await_answer(self, callee: Leg) -> TransferResult | None:
        """None once the other party has answered; otherwise how dialling failed."""
        deadline = self._line.clock.monotonic() + self._request.connect_timeout
        ringing = asyncio.create_task(self._play_while_waiting(), name="transfer audio")
        try:
            while True:
                match await self._next(callee, deadline):
                    case None:
                        return TransferResult("noanswer")
                    case Answered():
                        return None
                    case Ended(Ending.FAILURE, status, reason):
                        return TransferResult(refusal(status), message=f"{status} {reason}")
                    case Ended():
                        return TransferResult("noanswer")
                    case Progress(early_media=True):
                        ringing.cancel()
                        self._join(callee)
                    case Recognition() as found:
                        return TransferResult("near_end_disconnect", recognition=found)
                    case _CallerGone():
                        return TransferResult(HANGUP)
        finally:
            ringing.cancel()
            await asyncio.gather(ringing, return_exceptions=True)

    async def _play_while_waiting(self) -> None:
        """The document's `transferaudio`, or the ringing of the caller's country."""
        sound = None
        if self._request.transfer_audio is not None:
            sound = await self._renderer.audio(self._request.transfer_audio)
        if sound is None or not len(sound):
            sound = ringback(self._request.lang)
        await self._caller.prepare(sound)
        self._caller.play(sound, repeat=True)

    # Bridged -----------------------------------------------------------------------------------

    def _join(self, callee: Leg) -> None:
        """Lets the parties hear each other, if they do not yet."""
        if not self._bridged:
            self._bridged = True
            self._caller.stop_playing()
            self._line.engine.bridge(self._caller.channel, callee.channel)

    async def _bridge(self, callee: Leg) -> TransferResult:
        self._answered_at = self._line.clock.utc_now()
        self._answered = self._line.clock.monotonic()
        self._join(callee)
        if self._recorded is not None:
            self._recorded.start(self._caller.channel, callee.channel)
        self._connected.set_result(None)
        limit = self._request.max_time
        deadline = self._answered + limit if limit > 0 else None
        while True:
            match await self._next(callee, deadline):
                case None:
                    return self._over("maxtime_disconnect")
                case Ended(Ending.FAILURE):
                    return self._over("network_disconnect")
                case Ended():
                    return self._over("far_end_disconnect")
                case Recognition() as found:
                    return self._over("near_end_disconnect", found)
                case _CallerGone():
                    return self._over(HANGUP)

    def _over(self, outcome: str, recognition: Recognition | None = None) -> TransferResult:
        duration = 0.0
        if self._answered_at is not None:
            duration = self._line.clock.monotonic() - self._answered
        return TransferResult(outcome, duration, recognition)

    # Both ends ---------------------------------------------------------------------------------

    async def _next(
        self, callee: Leg, deadline: float | None
    ) -> Answered | Ended | Progress | Recognition | _CallerGone | None:
        """What happens next that matters; None at the deadline."""
        while True:
            told = callee.events.take()
            if isinstance(told, Answered | Ended | Progress):
                return told
            if told is not None:
                if isinstance(told, KeyPressed) and self._recorded is not None:
                    self._recorded.key(told.key)
                self._pass_on(told, self._caller)
                continue
            if self._caller.end is not None:
                return _CallerGone()
            if (found := self._ending.expire()) is not None:
                return found
            if deadline is not None and deadline <= self._line.clock.monotonic():
                return None
            limits = [limit for limit in (deadline, self._ending.deadline) if limit is not None]
            heard = await self._caller.events.get(min(limits, default=None))
            if heard is not None:
                if (found := self._ending.take(heard)) is not None:
                    return found
                self._pass_on(heard, callee)

    def _pass_on(self, event: LegEvent, other: Leg) -> None:
        """Keys in RFC 4733 and in the audio pass through the bridge by themselves; an INFO is
        pressed once more at the other end."""
        if self._bridged and isinstance(event, KeyPressed) and event.source == "info":
            other.send_key(event.key)


class _CallerGone:
    """The caller has hung up."""


def _headers(request: TransferRequest) -> dict[str, str]:
    """`aai` goes as User-to-User (RFC 7433), in hexadecimal, so that any text is safe in it."""
    if not request.aai:
        return {}
    return {"User-to-User": f"{request.aai.encode().hex()};encoding=hex"}
