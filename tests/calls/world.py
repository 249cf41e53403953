"""A world for calls without sockets, threads or time: fakes for the rooms below, telephones on top.

Telephones are driven by the tests. Sounds take their time on the virtual clock.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vxml_server.asr import Attention, VoiceEvent, VoiceRequest
from vxml_server.audio import SpeechActivity
from vxml_server.calls import Call, Exchange, Leg, Line, Resources, SoundCache, Spool
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest, Resource
from vxml_server.fetch.resource import digest
from vxml_server.interpreter import DocumentStore, GrammarStore, Limits
from vxml_server.media import ChannelStatistics, Codec, NoPortsLeft, Playback, Sound, Stream, Tap
from vxml_server.settings import DialRefused, NumberRule
from vxml_server.sip import (
    Credentials,
    EndCause,
    Headers,
    IllegalTransition,
    InvalidUri,
    LocalMedia,
    OfferAnswer,
    SessionDescription,
)
from vxml_server.store import CallEnd, CallRecord, LegRecord, NewEvent
from vxml_server.tts import Chunk, Mark, SpeechRequest

START = "http://apps.test/start.vxml"


def vxml(body: str, attributes: str = "") -> str:
    return (
        '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml" xml:lang="en"'
        f" {attributes}>{body}</vxml>"
    )


# Media -------------------------------------------------------------------------------------------


class FakeChannel:
    """Plays on the virtual clock; what stops is told a moment later, as the engine does."""

    def __init__(self, engine: FakeEngine, listener: Leg, port: int) -> None:
        self.local_address = "192.0.2.1"
        self.local_port = port
        self.listener = listener
        self.closed = False
        self.streams: list[Stream] = []
        self.played: list[tuple[Sound, float]] = []
        """Every sound that began, and when."""
        self.keys_sent = ""
        self.tapped_by: Tap | None = None
        self._engine = engine
        self._clock = engine.clock
        self._queue: list[Playback] = []
        self._began = 0.0
        self._timer = None

    @property
    def stream(self) -> Stream:
        return self.streams[-1]

    @property
    def is_playing(self) -> bool:
        return bool(self._queue)

    @property
    def sounding(self) -> Sound | None:
        return self._queue[0].sound if self._queue else None

    def configure(self, stream: Stream) -> None:
        if not self.closed:
            self.streams.append(stream)

    def play(
        self,
        sound: Sound,
        *,
        repeat: bool = False,
        stop_on_key: bool = False,
        stop_on_speech: bool = False,
    ) -> Playback:
        playback = Playback(sound, repeat, stop_on_key, stop_on_speech)
        if not self.closed:
            self._queue.append(playback)
            if len(self._queue) == 1:
                self._begin()
        return playback

    def _begin(self) -> None:
        self._began = self._clock.monotonic()
        playback = self._queue[0]
        self.played.append((playback.sound, self._began))
        if not playback.repeat:
            self._timer = self._clock.call_later(playback.sound.seconds, self._finish)

    def _finish(self) -> None:
        sound = self._queue[0].sound
        heard = round((self._clock.monotonic() - self._began) * 8000)
        if not sound.is_complete or len(sound) > heard:
            # Still being made: what is missing would be silence.
            self._timer = self._clock.call_later(0.02, self._finish)
            return
        playback = self._queue.pop(0)
        self.listener.playback_ended(playback, len(playback.sound), True)
        if self._queue:
            self._begin()

    def _empty(self) -> list[tuple[Playback, int]]:
        if self._timer is not None:
            self._timer.cancel()
        heard = self._heard() if self._queue else 0
        ended = [(playback, heard if i == 0 else 0) for i, playback in enumerate(self._queue)]
        self._queue.clear()
        return ended

    def _tell(self, ended: list[tuple[Playback, int]]) -> None:
        for playback, samples in ended:
            self.listener.playback_ended(playback, samples, False)

    def stop_playing(self) -> None:
        if ended := self._empty():
            asyncio.get_running_loop().call_soon(self._tell, ended)

    def progress(self, playback: Playback) -> int:
        if playback not in self._queue[:1]:
            return 0 if playback in self._queue else len(playback.sound)
        return self._heard()

    def _heard(self) -> int:
        heard = round((self._clock.monotonic() - self._began) * 8000)
        return min(heard, len(self._queue[0].sound))

    def press(self, keys: str, source: str = "rfc4733") -> None:
        """The far end presses keys: barge-in is decided here, as in the media thread."""
        for key in keys:
            if self._queue and self._queue[0].stop_on_key:
                self._tell(self._empty())
            self.listener.key(key, source, self._clock.monotonic())

    def tap(self, tap: Tap | None) -> None:
        self.tapped_by = tap

    def speak(self) -> None:
        """The tap says that the far end speaks: what stops on speech stops here."""
        if self._queue and self._queue[0].stop_on_speech:
            self._tell(self._empty())

    def send_keys(self, keys: str, duration_ms: int = 100, gap_ms: int = 100) -> None:
        self.keys_sent += keys

    def statistics(self) -> ChannelStatistics:
        codec = self.streams[-1].codec if self.streams else None
        return ChannelStatistics(codec, 100, 3, 0, 0, 0, 1.234, 100, 16000, 0, None, None, None)

    def close(self) -> None:
        if not self.closed:
            self.stop_playing()
            self._engine.leave(self)
            self.closed = True


class FakeEngine:
    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.channels: list[FakeChannel] = []
        self.bridges: list[frozenset[FakeChannel]] = []
        self.hears: dict[FakeChannel, set[FakeChannel]] = {}
        self.most_channels = 100

    @property
    def open_channels(self) -> list[FakeChannel]:
        return [channel for channel in self.channels if not channel.closed]

    def open(self, listener: Leg) -> FakeChannel:
        if len(self.open_channels) >= self.most_channels:
            raise NoPortsLeft("no ports")
        channel = FakeChannel(self, listener, 40000 + 2 * len(self.channels))
        self.channels.append(channel)
        return channel

    def bridge(self, a: FakeChannel, b: FakeChannel, *, keys_pass: bool = True) -> None:
        self.unbridge(a)
        self.unbridge(b)
        self.bridges.append(frozenset({a, b}))
        self.hears = {**self.hears, a: {b}, b: {a}}

    def mix(
        self,
        hears: Mapping[FakeChannel, Collection[FakeChannel]],
        *,
        keys: Mapping[FakeChannel, Collection[FakeChannel]],
    ) -> None:
        for one in hears:
            self.unbridge(one)
        self.bridges.append(frozenset(hears))
        self.hears = {**self.hears, **{one: set(others) for one, others in hears.items()}}

    def leave(self, a: FakeChannel) -> None:
        others = {one: self.hears[one] - {a} for one in self.hears if self.are_bridged(one, a)}
        self.unbridge(a)
        others.pop(a, None)
        if len(others) > 1:
            self.mix(others, keys={})

    def are_bridged(self, a: FakeChannel, b: FakeChannel) -> bool:
        return any({a, b} <= bridge for bridge in self.bridges)

    def unbridge(self, a: FakeChannel) -> None:
        for bridge in self.bridges:
            if a in bridge:
                self.hears = {one: it for one, it in self.hears.items() if one not in bridge}
        self.bridges = [bridge for bridge in self.bridges if a not in bridge]


# SIP ---------------------------------------------------------------------------------------------


def far_end(port: int = 4000, **local: object) -> OfferAnswer:
    """The other side's negotiation."""
    return OfferAnswer(LocalMedia("198.51.100.7", port, **local), session_id=7)


class FakeSession:
    """What incoming and outgoing calls share: one final notification, told afterwards."""

    def __init__(self, listener: object = None) -> None:
        self.listener = listener
        self.far = far_end()
        self.finals: list[str] = []
        self.sent: list[str] = []
        self.state = "early"

    def final(self, name: str, *arguments: object) -> None:
        if self.finals:
            return
        self.finals.append(name)
        self.state = "over"
        asyncio.get_running_loop().call_soon(lambda: getattr(self.listener, name)(*arguments))

    def bye(self, reason: str = "") -> None:
        """The far end hangs up."""
        self.final("ended", EndCause.REMOTE_BYE, reason)

    def lose(self) -> None:
        """A request in the dialog is not answered."""
        self.final("ended", EndCause.TRANSPORT, "unreachable")

    def info(self, key: str) -> int:
        return self.listener.info("application/dtmf-relay", f"Signal={key}\r\n".encode())


class FakeIncoming(FakeSession):
    def __init__(
        self,
        number: str = "1000",
        *,
        late_offer: bool = False,
        offer: SessionDescription | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.request_uri = f"sip:{number}@192.0.2.1"
        self.local_uri = f"sip:{number}@ivr.test"
        self.remote_uri = "sip:alice@phone.test"
        self.sip_call_id = "call-1@phone.test"
        self.source = ("198.51.100.7", 5060)
        self.headers = Headers(headers or {})
        self.remote_offer = None if late_offer else offer or self.far.offer()
        self.answered_with: SessionDescription | None = None
        self.refused: tuple[int, Mapping[str, str]] | None = None

    def ring(self) -> None:
        self.sent.append("180")

    def answer(self, sdp: SessionDescription) -> None:
        if self.state == "over":
            return
        if self.state != "early":
            raise IllegalTransition("answered twice")
        self.state = "answered"
        self.answered_with = sdp
        self.sent.append("200")

    def reject(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self.refused = (status, headers or {})
        self.sent.append(str(status))
        self.final("rejected", status, "", Headers())

    def hang_up(self) -> None:
        if self.state == "early":
            self.reject(603)
        elif self.state == "answered":
            self.sent.append("BYE")
            self.final("ended", EndCause.LOCAL, "")

    # The telephone.

    def ack(self, sdp: SessionDescription | None = None) -> None:
        if self.remote_offer is not None:
            self.far.accept(self.answered_with)
        self.listener.acknowledged(sdp)

    def cancel(self) -> None:
        if self.state == "early":
            self.final("cancelled")


class FakeOutgoing(FakeSession):
    def __init__(
        self, target: str, offer: SessionDescription, listener: object, headers: Mapping[str, str]
    ) -> None:
        super().__init__(listener)
        self.target = target
        self.offer = offer
        self.headers = headers
        self.credentials: Credentials | None = None
        self.far = far_end(5000)

    def hang_up(self) -> None:
        if self.state == "early":
            self.sent.append("CANCEL")
            self.final("cancelled")
        elif self.state == "answered":
            self.sent.append("BYE")
            self.final("ended", EndCause.LOCAL, "")

    # The telephone.

    def ring(self, status: int = 180, sdp: SessionDescription | None = None) -> None:
        self.listener.progress(status, sdp)

    def early_media(self) -> None:
        self.ring(183, self.far.answer(self.offer))

    def answer(self, sdp: SessionDescription | None = None) -> None:
        self.state = "answered"
        self.listener.answered(sdp or self.far.answer(self.offer))

    def answer_without_description(self) -> None:
        self.state = "answered"
        self.listener.answered(None)

    def refuse(self, status: int, reason: str = "") -> None:
        self.final("rejected", status, reason, Headers())


# Voice -------------------------------------------------------------------------------------------


class FakeListening:
    """A wait for voice of which the test tells what the recogniser would."""

    def __init__(
        self, request: VoiceRequest, tell: Callable[[VoiceEvent], None], attention: Attention
    ) -> None:
        self.request = request
        self.tell = tell
        self.attention = attention
        self.is_closed = False

    def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool:
        return False

    def attend(self, attention: Attention) -> None:
        assert not self.is_closed
        self.attention = attention

    def close(self) -> None:
        self.is_closed = True


class FakeRecogniser:
    """Refuses with `refusal`, if there is one."""

    def __init__(self) -> None:
        self.waits: list[FakeListening] = []
        self.refusal: Exception | None = None

    @property
    def current(self) -> FakeListening:
        assert not self.waits[-1].is_closed
        return self.waits[-1]

    def listen(
        self,
        request: VoiceRequest,
        tell: Callable[[VoiceEvent], None],
        *,
        attention: Attention,
        activity: SpeechActivity,
    ) -> FakeListening:
        if self.refusal is not None:
            raise self.refusal
        self.waits.append(FakeListening(request, tell, attention))
        return self.waits[-1]


# The rest ----------------------------------------------------------------------------------------


class FakeSynthesizer:
    """Says everything in a second of silence; its dictionaries say of which text otherwise."""

    identity = "fake"

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.seconds: dict[str, float] = {}
        self.sounds: dict[str, NDArray[np.int16]] = {}
        self.delays: dict[str, float] = {}
        self.failing: set[str] = set()
        self.marks: dict[str, tuple[Mark, ...]] = {}
        self.said: list[str] = []
        self._kept: dict[SpeechRequest, Chunk] = {}

    async def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
        text = " ".join(re.sub(r"<[^>]*>", " ", request.ssml).split())
        self.said.append(text)
        if (delay := self.delays.get(text, 0.0)) > 0:
            await self.clock.sleep(delay)
        if text in self.failing:
            raise VoiceXmlEvent("error.unsupported.language", f"cannot say {text!r}")
        if request not in self._kept:
            silence = np.zeros(round(self.seconds.get(text, 1.0) * 8000), np.int16)
            samples = self.sounds.get(text, silence)
            self._kept[request] = Chunk(samples, self.marks.get(text, ()), is_last=True)
        yield self._kept[request]


class FakeFetcher:
    """`Fetcher` and `FetchSession` in one: what is in `files` comes after `delay`."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.files: dict[str, bytes] = {}
        self.media_types: dict[str, str] = {}
        self.delay = 0.0
        self.fetched: list[str] = []
        self.sessions_open = 0

    def session(self) -> FakeFetcher:
        self.sessions_open += 1
        return self

    def close(self) -> None:
        self.sessions_open -= 1

    async def fetch(self, request: FetchRequest) -> Resource:
        self.fetched.append(request.uri)
        if self.delay:
            await self.clock.sleep(self.delay)
        body = self.files.get(request.uri)
        if body is None:
            raise VoiceXmlEvent("error.badfetch.http.404", "not found", uri=request.uri)
        media_type = self.media_types.get(request.uri, "")
        return Resource(request.uri, 200, media_type, "", body, digest=digest(body))


@dataclass
class FakeStore:
    started: list[CallRecord] = field(default_factory=list)
    answered: list[tuple[str, str | None]] = field(default_factory=list)
    legs: list[LegRecord] = field(default_factory=list)
    ended: list[CallEnd] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)
    running: set[str] = field(default_factory=set)

    def call_started(self, record: CallRecord) -> None:
        self.running.add(record.id)
        self.started.append(record)

    def call_answered(self, call_id: str, answered_at: object, codec: str | None = None) -> None:
        assert call_id in self.running
        self.answered.append((call_id, codec))

    def leg_ended(self, call_id: str, leg: LegRecord) -> None:
        assert call_id in self.running
        self.legs.append(leg)

    def call_ended(self, call_id: str, end: CallEnd) -> bool:
        self.running.remove(call_id)
        self.ended.append(end)
        return True

    def append(self, events: list[NewEvent]) -> None:
        self.events += events

    def names(self) -> list[str]:
        return [event.name for event in self.events]


class World:
    """An exchange and all it needs. `document` is what the number 1000 runs."""

    def __init__(self, document: str = "", **properties: str) -> None:
        self.clock = VirtualClock()
        self.engine = FakeEngine(self.clock)
        self.synthesizer = FakeSynthesizer(self.clock)
        self.fetcher = FakeFetcher(self.clock)
        self.store = FakeStore()
        self.outgoing: list[FakeOutgoing] = []
        self.unplaceable: Exception | None = None
        if document:
            self.fetcher.files[START] = document.encode()
        self.line = Line(
            engine=self.engine,
            clock=self.clock,
            invite=self._invite,
            destination=self._destination,
            credentials=lambda target: Credentials("ivr", "secret"),
            session_id=lambda: 1,
        )
        self.resources = Resources(
            clock=self.clock,
            line=self.line,
            fetcher=self.fetcher,
            synthesizer=self.synthesizer,
            sounds=SoundCache(10_000_000),
            documents=DocumentStore(),
            grammars=GrammarStore(),
            store=self.store,
            language="en",
            properties=properties,
            limits=Limits(),
            spool=Spool(Path("no-such-folder"), "main", self.clock),
        )
        self.exchange = Exchange(
            resources=self.resources,
            engine=self.engine,
            numbers=[NumberRule(number="1000", application=START)],
            random=random.Random(3),
        )

    def _destination(self, dest: str) -> str:
        if "forbidden" in dest:
            raise DialRefused("error.connection.noauthorization", "no rule allows it")
        return dest

    def _invite(
        self,
        target: str,
        offer: SessionDescription,
        leg: Leg,
        headers: Mapping[str, str],
        credentials: Credentials | None,
    ) -> FakeOutgoing:
        if "unreachable" in target:
            raise InvalidUri("no transport")
        call = FakeOutgoing(target, offer, leg, headers)
        call.credentials = credentials
        self.outgoing.append(call)
        return call

    async def offer(self, call: FakeIncoming) -> None:
        """An INVITE comes; the exchange decides."""
        owner = self.exchange.incoming(call)
        call.listener = owner
        await self.clock.settle()

    async def ring(self, call: FakeIncoming | None = None) -> FakeIncoming:
        """A call comes and is answered, if it can be at once."""
        call = call or FakeIncoming()
        await self.offer(call)
        if call.state == "answered":
            call.ack()
            await self.clock.settle()
        return call

    @property
    def caller(self) -> FakeChannel:
        """The first caller's channel."""
        return self.engine.channels[0]

    @property
    def callee(self) -> FakeChannel:
        return self.engine.channels[1]

    async def elapse(self, seconds: float) -> None:
        await self.clock.elapse(seconds)

    async def end(self) -> CallEnd:
        """How the one call ended, and that nothing is left of it."""
        for _ in range(100):
            if not self.exchange.active():
                break
            await self.elapse(1)
        assert len(self.store.ended) == 1
        self.assert_nothing_left()
        return self.store.ended[0]

    def assert_nothing_left(self) -> None:
        assert self.exchange.active() == []
        assert self.engine.open_channels == []
        assert self.engine.bridges == []
        assert self.fetcher.sessions_open == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}


def said(channel: FakeChannel) -> list[float]:
    """When sounds began on a channel."""
    return [at for _, at in channel.played]


__all__ = [
    "START",
    "Call",
    "Callable",
    "Codec",
    "FakeChannel",
    "FakeEngine",
    "FakeIncoming",
    "FakeOutgoing",
    "World",
    "far_end",
    "replace",
    "said",
    "vxml",
]
