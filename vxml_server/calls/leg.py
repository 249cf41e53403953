"""A leg: one party's signalling and audio as one thing.

A `Leg` owns a SIP call and a media channel, keeps the negotiated stream of the one configured in
the other, and tells what happens as `LegEvent`s in order: keys from any source, playbacks that
ended, the far end's answer or refusal, the end. The rules that must hold: a leg that ends closes
its channel, whatever ended it; a key is told once although telephones send it in several ways.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

import structlog

from vxml_server.clock import Clock
from vxml_server.dtmf import BadDtmfInfo, parse_info
from vxml_server.media import Channel, ChannelStatistics, MediaEngine, Playback, Sound, Stream
from vxml_server.media import Codec as MediaCodec
from vxml_server.media import Direction as MediaDirection
from vxml_server.sip import (
    EndCause,
    Headers,
    IllegalTransition,
    IncomingCall,
    InviteSession,
    LocalMedia,
    NegotiatedMedia,
    OfferAnswer,
    OutgoingCall,
    Rejection,
    SessionDescription,
)

_log = structlog.get_logger(__name__)
# The same key from another source within this time is the same press.
SAME_PRESS = 0.4


class Ending(Enum):
    """Who or what ended a leg."""

    REMOTE = "remote"
    LOCAL = "local"
    FAILURE = "failure"


_ENDINGS = {
    EndCause.LOCAL: Ending.LOCAL,
    EndCause.REMOTE_BYE: Ending.REMOTE,
    EndCause.ACK_TIMEOUT: Ending.FAILURE,
    EndCause.TRANSPORT: Ending.FAILURE,
}


@dataclass(frozen=True, slots=True)
class KeyPressed:
    key: str
    at: float


@dataclass(frozen=True, slots=True)
class Played:
    """A playback is over; `samples` were heard, all of them if `finished`."""

    playback: Playback
    samples: int
    finished: bool


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
    """The leg is over. `status` is the final SIP response of an outgoing leg that was refused."""

    ending: Ending
    status: int = 0
    reason: str = ""


LegEvent: TypeAlias = KeyPressed | Played | Progress | Answered | Ended


class Mailbox:
    """The events of a leg in order, for one reader with a deadline."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: deque[LegEvent] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._nudged = False

    def put(self, event: LegEvent) -> None:
        self._events.append(event)
        self._wake()

    def put_back(self, events: Sequence[LegEvent]) -> None:
        """Events to be read again, before all others."""
        self._events.extendleft(reversed(events))

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
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
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


class Leg:
    """One party. `CallListener` towards SIP and `ChannelListener` towards the media.

    Raises `NoPortsLeft` when it is made and no media port is free.
    """

    def __init__(self, engine: MediaEngine, clock: Clock, session_id: int) -> None:
        self.events = Mailbox(clock)
        self.end: Ended | None = None
        """How the leg ended; None while it has not."""
        self.is_up = False
        self._clock = clock
        self._channel: Channel = engine.open(self)
        local = LocalMedia(self._channel.local_address, self._channel.local_port)
        self._negotiation = OfferAnswer(local, session_id=session_id)
        self._sip: InviteSession | None = None
        self._last_key: tuple[str, str, float] = ("", "", 0.0)
        self._on_end: list[Callable[[Ended], None]] = []

    # What the owner asks -----------------------------------------------------------------------

    @property
    def channel(self) -> Channel:
        return self._channel

    @property
    def codec(self) -> str | None:
        media = self._negotiation.media
        return media.codec if media else None

    def statistics(self) -> ChannelStatistics:
        return self._channel.statistics()

    def when_ended(self, callback: Callable[[Ended], None]) -> None:
        """Calls back when the leg ends; at once when it has ended."""
        if self.end is not None:
            callback(self.end)
        else:
            self._on_end.append(callback)

    def accept(self, call: IncomingCall) -> SessionDescription:
        """Binds an incoming call; returns the description to answer it with.

        Raises `Rejection` when its offer has nothing for us.
        """
        self._sip = call
        if call.remote_offer is None:
            return self._negotiation.offer()
        answer = self._negotiation.answer(call.remote_offer)
        self._configure()
        return answer

    def offer(self) -> SessionDescription:
        """The description to call somebody with."""
        return self._negotiation.offer()

    def bind(self, call: OutgoingCall) -> None:
        self._sip = call

    def play(self, sound: Sound, *, repeat: bool = False, stop_on_key: bool = False) -> Playback:
        return self._channel.play(sound, repeat=repeat, stop_on_key=stop_on_key)

    def stop_playing(self) -> None:
        self._channel.stop_playing()

    def hang_up(self) -> None:
        """Ends the leg, whatever its state."""
        if self.end is None:
            if self._sip is None:
                self._end(Ended(Ending.LOCAL))
            else:
                self._sip.hang_up()

    def close(self) -> None:
        """Gives the media back although SIP never took over (the call was refused)."""
        self._channel.close()

    # CallListener ------------------------------------------------------------------------------

    def progress(self, status: int, sdp: SessionDescription | None) -> None:
        early = False
        if sdp is not None and self._negotiation.media is None:
            early = self._accept_answer(sdp)
        self.events.put(Progress(status, early))

    def answered(self, sdp: SessionDescription | None) -> SessionDescription | None:
        self._establish(sdp)
        return None

    def acknowledged(self, sdp: SessionDescription | None) -> None:
        self._establish(sdp)

    def rejected(self, status: int, reason: str, headers: Headers) -> None:
        self._end(Ended(Ending.FAILURE, status, reason))

    def cancelled(self) -> None:
        ours = isinstance(self._sip, OutgoingCall)
        self._end(Ended(Ending.LOCAL if ours else Ending.REMOTE, 487, "cancelled"))

    def reoffered(self, sdp: SessionDescription | None) -> SessionDescription:
        if sdp is None:
            return self._negotiation.offer()
        answer = self._negotiation.answer(sdp)
        self._configure()
        return answer

    def reinvite_answered(self, sdp: SessionDescription | None) -> None:
        if sdp is not None:
            self._accept_answer(sdp)

    def reinvite_rejected(self, status: int, reason: str) -> None:
        _log.info("re-INVITE refused", status=status, reason=reason)

    def info(self, content_type: str, body: bytes) -> int:
        try:
            press = parse_info(content_type, body)
        except BadDtmfInfo as error:
            _log.info("INFO not understood", error=str(error))
            return 400
        if press is None:
            return 415
        if press.key:
            self._press(press.key, "info", self._clock.monotonic())
        return 200

    def ended(self, cause: EndCause, reason: str) -> None:
        self._end(Ended(_ENDINGS[cause], reason=reason))

    # ChannelListener ---------------------------------------------------------------------------

    def key(self, key: str, source: Literal["rfc4733", "inband"], at: float) -> None:
        self._press(key, source, at)

    def playback_ended(self, playback: Playback, samples_played: int, finished: bool) -> None:
        self.events.put(Played(playback, samples_played, finished))

    def media_lost(self, seconds: float) -> None:
        _log.info("no media", seconds=seconds, port=self._channel.local_port)

    def media_resumed(self) -> None:
        _log.info("media again", port=self._channel.local_port)

    # Inside ------------------------------------------------------------------------------------

    def _press(self, key: str, source: str, at: float) -> None:
        last_key, last_source, last_at = self._last_key
        if key == last_key and source != last_source and abs(at - last_at) < SAME_PRESS:
            return
        self._last_key = (key, source, at)
        self.events.put(KeyPressed(key, at))

    def _accept_answer(self, sdp: SessionDescription) -> bool:
        try:
            self._negotiation.accept(sdp)
        except (Rejection, IllegalTransition) as error:
            # A 2xx may repeat the answer of a 183; that is no news.
            if self._negotiation.media is not None:
                return True
            _log.info("unusable answer", error=str(error))
            return False
        self._configure()
        return True

    def _establish(self, sdp: SessionDescription | None) -> None:
        """A 2xx or an ACK has come, with the answer to our offer if we made one."""
        if sdp is not None and not self._accept_answer(sdp):
            self.hang_up()
        elif not self.is_up:
            self.is_up = True
            self.events.put(Answered())

    def _configure(self) -> None:
        if self._negotiation.media is not None:
            self._channel.configure(stream_of(self._negotiation.media))

    def _end(self, ended: Ended) -> None:
        self.end = ended
        self._channel.close()
        self.events.put(ended)
        for callback in self._on_end:
            callback(ended)
        self._on_end.clear()


def stream_of(media: NegotiatedMedia) -> Stream:
    """What SDP agreed on, in the media room's terms."""
    return Stream(
        remote_address=media.remote_address,
        remote_port=media.remote_port,
        remote_rtcp_port=media.remote_rtcp_port,
        codec=MediaCodec(media.codec),
        payload_type_send=media.payload_type_send,
        payload_type_receive=media.payload_type_receive,
        event_payload_type_send=media.event_payload_type_send,
        event_payload_type_receive=media.event_payload_type_receive,
        ptime_ms=media.ptime_ms,
        direction=MediaDirection(media.direction),
    )
