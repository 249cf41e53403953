"""Recording a caller: `<record>` on a real leg (VoiceXML 2.0 section 2.3.6).

The media thread hands over what is received frame by frame; everything is decided on the loop, a
few frames at a time, and goes on to the disk. The rules that must hold: what was said is kept
whatever ends the recording, and neither memory nor the disk takes more than `maxtime` of it.
"""

from __future__ import annotations

from collections import deque
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vxml_server.asr import Attention
from vxml_server.audio import FRAME_SECONDS, RATE, SpeechActivity
from vxml_server.calls.leg import Leg
from vxml_server.calls.mailbox import Ended, Heard, KeyPressed, LegEvent, Played
from vxml_server.calls.player import MakePlayer, is_hotword
from vxml_server.calls.spool import CallSpool, SpooledAudio
from vxml_server.calls.voice import Ear
from vxml_server.clock import Clock
from vxml_server.interpreter import (
    Observer,
    Prompt,
    Recognition,
    RecordedAudio,
    RecordEnding,
    RecordKeys,
    RecordRequest,
    RecordResult,
)
from vxml_server.media import Sound

FRAME = 160
# How often (seconds) what was received is looked at.
LOOK = 0.1
# How many seconds the loop may be late before audio is lost.
LATEST = 10.0
# How much of what came during the prompts is looked at, to know the noise of the line: 2 s.
LEARNT_FRAMES = 100
# What is kept before speech is noticed, and after it: the ends of words are quiet.
LEAD_FRAMES = 10
TAIL_SECONDS = 0.2
# A key that was heard as a tone has sounded so long when it is told.
TONE_SECONDS = 0.06
BEEP_HERTZ = 1000
BEEP_SECONDS = 0.25
BEEP_LEVEL = 0.2


@cache
def beep() -> Sound:
    """The tone before a recording."""
    time = np.arange(round(BEEP_SECONDS * RATE)) / RATE
    # Without its edges rounded a tone clicks.
    edge = np.minimum(1.0, np.minimum(time, BEEP_SECONDS - time) / 0.01)
    samples = np.sin(2 * np.pi * BEEP_HERTZ * time) * edge * BEEP_LEVEL * 32767
    return Sound(samples.astype(np.int16))


class Frames:
    """The tap: frames wait here for the loop. Nobody needs more than `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._waiting: deque[NDArray[np.int16]] = deque(maxlen=limit)

    def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool:
        self._waiting.append(received)
        return False

    def take(self) -> list[NDArray[np.int16]]:
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        return taken


class Message:
    """What is said, from the first word on, up to `max_time` seconds; `audio` keeps it."""

    def __init__(self, max_time: float, audio: SpooledAudio) -> None:
        self._max_frames = max(1, round(max_time / FRAME_SECONDS))
        self._audio = audio
        self._activity = SpeechActivity()
        self._lead: deque[NDArray[np.int16]] = deque(maxlen=LEAD_FRAMES)
        self._frames = 0
        self._last_active = 0

    def learn(self, frame: NDArray[np.int16]) -> None:
        """Takes 20 ms from before the recording: so the noise of the line is known."""
        self._activity.feed(frame)

    def feed(self, frame: NDArray[np.int16]) -> None:
        """Takes 20 ms; raises `error.noresource` when they cannot be kept."""
        is_speech = self._activity.feed(frame)
        if not self.has_begun:
            self._lead.append(frame)
            if is_speech:
                while self._lead and not self.is_full:
                    self._keep(self._lead.popleft())
                self._last_active = self._frames
        elif not self.is_full:
            self._keep(frame)
            if is_speech:
                self._last_active = self._frames

    def _keep(self, frame: NDArray[np.int16]) -> None:
        self._audio.append(frame)
        self._frames += 1

    @property
    def has_begun(self) -> bool:
        return self._frames > 0

    @property
    def is_full(self) -> bool:
        return self._frames >= self._max_frames

    @property
    def silent_for(self) -> float:
        """Seconds since the last speech."""
        return (self._frames - self._last_active) * FRAME_SECONDS

    async def recorded(self, *, without: float = 0.0) -> RecordedAudio | None:
        """All that was said, but for the last `without` seconds; None if nothing is left of it."""
        kept = self._frames - round(without / FRAME_SECONDS)
        return await self._audio.finish(kept * FRAME) if kept > 0 else None


class Recording:
    """One `<record>`; `result` once. Nobody else may read the leg's mailbox meanwhile."""

    def __init__(
        self,
        leg: Leg,
        clock: Clock,
        observe: Observer,
        make_player: MakePlayer,
        spool: CallSpool,
        ear: Ear,
        request: RecordRequest,
    ) -> None:
        self._leg = leg
        self._clock = clock
        self._observe = observe
        self._make_player = make_player
        self._spool = spool
        self._request = request
        self._hearing = ear.overhear(request.grammars, request.properties, request.lang)
        self._keys = RecordKeys(request)
        self._mark: tuple[str | None, float | None] = None, None
        self._by_tone = False
        """Whether the last key was heard as a tone."""

    async def result(self) -> RecordResult:
        frames = Frames(limit=round(LATEST / FRAME_SECONDS))
        if self._hearing is None:
            self._leg.channel.tap(frames)
        else:
            self._hearing.pass_on(frames)
        try:
            return await self._result(frames)
        finally:
            self._leg.channel.tap(None)
            if self._hearing is not None:
                self._hearing.close()

    async def _result(self, frames: Frames) -> RecordResult:
        ended = await self._prompt()
        if ended is None and self._request.beep:
            ended = await self._beep()
        if ended is not None:
            return ended
        if self._hearing is not None:
            self._hearing.attend(Attention.HOTWORD)
        return await self._record(frames)

    # Before the recording ----------------------------------------------------------------------

    async def _prompt(self) -> RecordResult | None:
        """Plays the prompts; the result if an input or the end comes before the recording."""
        prompts = self._request.prompts
        if prompts and not prompts[0].bargein:
            self._leg.events.take_keys()
        async with self._make_player(prompts, stop_on_key=self._keys.is_listening) as player:
            while not player.is_over and not player.is_stopped:
                if self._hearing is not None and player.current is not None:
                    bargein = player.current.bargein
                    self._hearing.attend(Attention.HOTWORD if bargein else Attention.DEAF)
                event = await self._leg.events.get(self._keys.deadline)
                found: Recognition | None = None
                match event:
                    case Ended():
                        return self._ended(RecordEnding.HANGUP)
                    case Played():
                        player.played(event)
                    case KeyPressed():
                        playing = player.current
                        if playing is None or playing.bargein:
                            found = self._press(event)
                            if playing is not None and self._stops(playing):
                                player.stop()
                    case Heard(hearing, told):
                        found = hearing.matched(told)
                    case _:
                        found = self._expired()
                self._mark = player.mark()
                if found is not None:
                    return self._input(found)
            player.raise_trouble()
        return None

    def _stops(self, playing: Prompt) -> bool:
        return self._keys.is_listening and not is_hotword(playing)

    async def _beep(self) -> RecordResult | None:
        playback = self._leg.play(beep())
        while True:
            event = await self._leg.events.get(self._keys.deadline)
            match event:
                case Ended():
                    return self._ended(RecordEnding.HANGUP)
                case Played(ended) if ended is playback:
                    return None
            found = self._take(event)
            if found is not None:
                self._leg.stop_playing()
                return self._input(found)

    # The recording -----------------------------------------------------------------------------

    async def _record(self, frames: Frames) -> RecordResult:
        request = self._request
        message = Message(request.max_time, self._spool.record(request.media_type))
        for frame in frames.take()[-LEARNT_FRAMES:]:
            message.learn(frame)
        given_up_at = self._clock.monotonic() + request.properties.timeout
        while True:
            now = self._clock.monotonic()
            limits = [now + LOOK, self._keys.deadline or now + LOOK]
            event = await self._leg.events.get(min(limits))
            for frame in frames.take():
                message.feed(frame)
            if isinstance(event, Ended) or self._leg.end is not None:
                return await self._kept(RecordEnding.HANGUP, message)
            if message.is_full:
                if isinstance(event, KeyPressed):
                    self._leg.events.put_back([event])
                return await self._kept(RecordEnding.MAX_TIME, message)
            found = self._take(event)
            if found is not None:
                self._report(found)
                return await self._kept(RecordEnding.INPUT, message, found)
            if not message.has_begun:
                if self._clock.monotonic() >= given_up_at:
                    return self._ended(RecordEnding.NOINPUT)
            elif message.silent_for >= request.final_silence:
                return await self._kept(RecordEnding.SILENCE, message)

    def _take(self, event: LegEvent | None) -> Recognition | None:
        """What ends the recording, if this event completes it, or that there was none for long."""
        match event:
            case KeyPressed():
                return self._press(event)
            case Heard(hearing, told):
                return hearing.matched(told)
            case _:
                return self._expired()

    def _press(self, event: KeyPressed) -> Recognition | None:
        self._by_tone = event.source == "inband"
        return self._keys.press(event.key, self._clock.monotonic())

    def _expired(self) -> Recognition | None:
        deadline = self._keys.deadline
        if deadline is None or deadline > self._clock.monotonic():
            return None
        return self._keys.expire()

    # What comes of it --------------------------------------------------------------------------

    async def _kept(
        self, ending: RecordEnding, message: Message, found: Recognition | None = None
    ) -> RecordResult:
        """The result with what was said, if anything was."""
        without = 0.0
        if ending is RecordEnding.SILENCE:
            without = max(0.0, message.silent_for - TAIL_SECONDS)
        elif ending is RecordEnding.INPUT and self._by_tone:
            without = TONE_SECONDS
        return self._ended(ending, await message.recorded(without=without), found)

    def _input(self, found: Recognition) -> RecordResult:
        self._report(found)
        return self._ended(RecordEnding.INPUT, recognition=found)

    def _report(self, found: Recognition) -> None:
        now = self._clock.monotonic()
        self._leg.events.put_back([KeyPressed(key, now) for key in self._keys.unused])
        self._observe(
            "input",
            {"mode": found.mode, "utterance": found.utterance, "confidence": found.confidence},
        )

    def _ended(
        self,
        ending: RecordEnding,
        audio: RecordedAudio | None = None,
        recognition: Recognition | None = None,
    ) -> RecordResult:
        name, seconds = self._mark
        return RecordResult(ending, audio, recognition, name, seconds)
