"""A leg: one party's signalling and audio as one thing.

A `Leg` owns a SIP call and a media channel, keeps the negotiated stream of the one configured in
the other, and tells what happens as `LegEvent`s in order: keys from any source, playbacks that
ended, the far end's answer or refusal, the end. The rules that must hold: a leg that ends closes
its channel, whatever ended it, and tells so once; a key is told once although telephones send it in
several ways; nobody is told "answered" without media that both sides agreed on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Literal

import structlog

from vxml_server.calls.mailbox import (
    Answered,
    Ended,
    Ending,
    KeyPressed,
    KeySource,
    Mailbox,
    Played,
    Progress,
)
from vxml_server.clock import Clock
from vxml_server.dtmf import BadDtmfInfo, KeyMerger, parse_info
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
# The same key by another way is the same press for so long (seconds) after it was released: an INFO
# that was lost is sent again after half a second (T1 of RFC 3261), and takes its time on the way.
SAME_PRESS = 0.8
# Above this many samples a sound is encoded beside the loop: a minute takes about 1.5 ms.
ENCODE_ASIDE = 60 * 8000

# The first URI that a redirection names, in angle brackets or not (RFC 3261 section 20.10).
_CONTACT = re.compile(r"(?<=<)sips?:[^>\s]+(?=>)|sips?:[^;,<>\s]+", re.IGNORECASE)

_ENDINGS = {
    EndCause.LOCAL: Ending.LOCAL,
    EndCause.REMOTE_BYE: Ending.REMOTE,
    EndCause.ACK_TIMEOUT: Ending.FAILURE,
    EndCause.TRANSPORT: Ending.FAILURE,
}


class Leg:
    """One party. `CallListener` towards SIP and `ChannelListener` towards the media.

    `notify` is told of each new event in `events`. Raises `NoPortsLeft` when it is made and no
    media port is free.
    """

    def __init__(
        self,
        engine: MediaEngine,
        clock: Clock,
        session_id: int,
        notify: Callable[[], None] | None = None,
    ) -> None:
        self.events = Mailbox(clock, notify)
        self.end: Ended | None = None
        """How the leg ended; None while it has not."""
        self.is_up = False
        self.has_info_keys = False
        """Whether keys have come by SIP INFO; the media thread knows nothing of those."""
        self._clock = clock
        self._channel: Channel = engine.open(self)
        local = LocalMedia(self._channel.local_address, self._channel.local_port)
        self._negotiation = OfferAnswer(local, session_id=session_id)
        self._sip: InviteSession | None = None
        self._send_answer: Callable[[], None] = lambda: None
        self._is_outgoing = False
        self._failure: Ended | None = None
        self._presses = KeyMerger(SAME_PRESS)
        self._on_up: list[Callable[[], None]] = []
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

    def when_up(self, callback: Callable[[], None]) -> None:
        """Calls back when the leg is up: its codec is known then, whoever made the offer."""
        self._on_up.append(callback)

    def accept(self, call: IncomingCall) -> None:
        """Binds an incoming call. Raises `Rejection` when its offer has nothing for us."""
        self._sip = call
        if call.remote_offer is None:
            description = self._negotiation.offer()
        else:
            description = self._negotiation.answer(call.remote_offer)
        self._send_answer = lambda: call.answer(description)

    def answer(self) -> None:
        """Answers the accepted call; our media begins with it, and not while the caller rings."""
        self._send_answer()
        self._configure()

    def offer(self) -> SessionDescription:
        """The description to call somebody with."""
        return self._negotiation.offer()

    def bind(self, call: OutgoingCall) -> None:
        self._sip = call
        self._is_outgoing = True

    async def prepare(self, sound: Sound) -> None:
        """Encodes a long sound beside the loop, which `play` would hold up."""
        media = self._negotiation.media
        if media is not None and len(sound) > ENCODE_ASIDE and sound.is_complete:
            await asyncio.to_thread(sound.prepare, MediaCodec(media.codec))

    def play(
        self,
        sound: Sound,
        *,
        repeat: bool = False,
        stop_on_key: bool = False,
        stop_on_speech: bool = False,
    ) -> Playback:
        return self._channel.play(
            sound, repeat=repeat, stop_on_key=stop_on_key, stop_on_speech=stop_on_speech
        )

    def samples_played(self, playback: Playback) -> int:
        """Samples sent by the last tick of a playback that does not repeat."""
        return self._channel.progress(playback)

    def stop_playing(self) -> None:
        self._channel.stop_playing()

    def send_key(self, key: str) -> None:
        self._channel.send_keys(key)

    def hang_up(self) -> None:
        """Ends the leg, whatever its state."""
        if self.end is None:
            if self._sip is None:
                self._end(Ended(Ending.LOCAL))
            else:
                self._sip.hang_up()

    def close(self) -> None:
        """Gives the media back at once, without waiting for SIP to say that the call is over."""
        self._channel.close()

    # CallListener ------------------------------------------------------------------------------

    def progress(self, status: int, sdp: SessionDescription | None) -> None:
        early = False
        if sdp is not None and self._negotiation.media is None:
            early = self._take_answer(sdp)
        self.events.put(Progress(status, early))

    def answered(self, sdp: SessionDescription | None) -> SessionDescription | None:
        if sdp is not None and self._negotiation.media is not None:
            # What a 183 said was provisional; another telephone may have answered (RFC 3261
            # section 13.2.2.4). The same offer once more takes its answer.
            self._negotiation.offer()
        usable = sdp is None or self._take_answer(sdp)
        self._establish(usable=usable and self._negotiation.media is not None)
        return None

    def acknowledged(self, sdp: SessionDescription | None) -> None:
        if sdp is not None:
            self._take_answer(sdp)
        self._establish(usable=self._negotiation.media is not None)

    def rejected(self, status: int, reason: str, headers: Headers) -> None:
        ending = Ending.FAILURE if self._is_outgoing else Ending.LOCAL
        contact = _CONTACT.search(headers.get("Contact")) if 300 <= status < 400 else None
        self._end(Ended(ending, status, reason, contact[0] if contact else ""))

    def cancelled(self) -> None:
        ending = Ending.LOCAL if self._is_outgoing else Ending.REMOTE
        self._end(Ended(ending, 487, "cancelled"))

    def reoffered(self, sdp: SessionDescription | None) -> SessionDescription:
        if sdp is None:
            return self._negotiation.offer()
        answer = self._negotiation.answer(sdp)
        self._configure()
        return answer

    def reinvite_answered(self, sdp: SessionDescription | None) -> None:
        if sdp is not None:
            self._take_answer(sdp)

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
            self.has_info_keys = True
            self._press(press.key, "info", self._clock.monotonic(), press.duration_ms / 1000)
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

    def _press(self, key: str, source: KeySource, at: float, duration: float = 0.0) -> None:
        if self._presses.press(key, source, at, duration):
            self.events.put(KeyPressed(key, at, source))

    def _take_answer(self, sdp: SessionDescription) -> bool:
        """Takes the answer to our offer; an unusable one changes nothing."""
        try:
            self._negotiation.accept(sdp)
        except (Rejection, IllegalTransition) as error:
            _log.info("unusable answer", error=str(error))
            return False
        self._configure()
        return True

    def _establish(self, *, usable: bool) -> None:
        """A 2xx or an ACK has come: the leg is up, unless we do not understand one another."""
        if self.is_up:
            return
        if usable:
            self.is_up = True
            self.events.put(Answered())
            for callback in self._on_up:
                callback()
        else:
            self._failure = Ended(Ending.FAILURE, 488, "no usable session description")
            self.hang_up()

    def _configure(self) -> None:
        if self._negotiation.media is not None:
            self._channel.configure(stream_of(self._negotiation.media))

    def _end(self, ended: Ended) -> None:
        if self.end is not None:
            return
        self.end = self._failure or ended
        self._channel.close()
        self.events.put(self.end)
        for callback in self._on_end:
            callback(self.end)
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
