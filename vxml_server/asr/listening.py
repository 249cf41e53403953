"""One wait for voice: from the first sound to what it means (VoiceXML 2.0, 6.3.2, appendix D).

Two threads meet here. The media thread brings frames to `frame`, which notices speech and posts
what there is to tell to the event loop, where everything else is done: an utterance is begun in an
engine, fed, and asked for its result as soon as the caller pauses, so that most of the work is
behind us when the pause has lasted long enough to be the end.

    speech ____----------____------________________________
    told       |began    |paused   |paused
                             |resumed
    asked                   ?         ?
    decided                                |complete timeout    |incomplete timeout

The rules that must hold: times are those of the sound, not of the loop; a pause that has lasted for
both timeouts is the end, whatever is heard later, even if the result is still awaited; the first
end that is told is the last thing told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from vxml_server.asr.decision import decide, patience
from vxml_server.asr.endpointer import (
    LEAD_FRAMES,
    PAUSE_FRAMES,
    Endpoint,
    Endpointer,
    News,
)
from vxml_server.asr.pool import Heard, Recognition
from vxml_server.asr.recognition import Samples
from vxml_server.asr.voice import (
    Attention,
    SpeechBegan,
    SpeechPassedOver,
    Understood,
    VoiceBusy,
    VoiceEnding,
    VoiceEvent,
    VoiceFailed,
    VoiceRefused,
    VoiceRequest,
    VoiceResult,
)
from vxml_server.audio import FRAME_SECONDS, ONSET_FRAMES, EchoGuard, SpeechActivity
from vxml_server.clock import Clock, Timer
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Hypothesis

Begin = Callable[[Callable[[VoiceXmlEvent], None]], Recognition]


@dataclass(slots=True)
class _Speech:
    """What a caller says, from its first sound on."""

    recognition: Recognition
    attention: Attention
    began: float
    last_sound: float
    audio: list[Samples] = field(default_factory=list)
    is_pausing: bool = False
    heard: Heard | None = None
    """What was understood up to the pause."""


class Listening:
    """One wait; a tap of a media channel. Made by `Recogniser.listen`.

    `begin` starts a recognition and may raise `VoiceBusy`; `post` has something done on the loop,
    from any thread.
    """

    def __init__(
        self,
        request: VoiceRequest,
        tell: Callable[[VoiceEvent], None],
        *,
        begin: Begin,
        clock: Clock,
        post: Callable[[Callable[[], None]], object],
        attention: Attention,
        activity: SpeechActivity,
        unheard: tuple[int, ...] = (),
    ) -> None:
        self.unheard = unheard
        """Indices of grammars that are in another language than the one that is listened to."""
        self._request = request
        self._tell = tell
        self._begin = begin
        self._clock = clock
        self._post = post
        self._attention = attention
        self._is_over = False
        self._speech: _Speech | None = None
        self._pause_timer: Timer | None = None
        # Of the media thread:
        self._activity = activity
        self._echo = EchoGuard()
        shortest = min(request.complete_timeout, request.incomplete_timeout)
        self._longest = max(request.complete_timeout, request.incomplete_timeout)
        self._endpointer = Endpointer(
            pause=min(PAUSE_FRAMES, round(shortest / FRAME_SECONDS)),
            end=round(self._longest / FRAME_SECONDS) + LEAD_FRAMES,
        )
        self._spoken_under = Attention.DEAF

    # Media thread ------------------------------------------------------------------------------

    def frame(self, received: Samples, sent: Samples) -> bool:
        """Takes 20 ms each way; True if speech begins now that stops prompts."""
        attention = self._attention
        is_speech = self._activity.feed(received, self._echo.floor(sent))
        endpoint = self._endpointer.feed(received, is_speech)
        before = self._spoken_under
        if attention is Attention.DEAF:
            self._spoken_under = Attention.DEAF
            return False
        if endpoint is None:
            return False
        if before is Attention.DEAF or endpoint.news is News.BEGAN:
            self._spoken_under = attention
        if not self._is_over:
            at = self._clock.monotonic()
            self._post(partial(self._take, endpoint, self._spoken_under, at))
        return (
            self._endpointer.is_speaking
            and self._spoken_under is Attention.SPEECH
            and (before is not Attention.SPEECH or endpoint.news is News.BEGAN)
        )

    # Event loop --------------------------------------------------------------------------------

    @property
    def is_speaking(self) -> bool:
        """Whether there is speech whose end has not been told."""
        return self._speech is not None

    def attend(self, attention: Attention) -> None:
        """Changes what speech is from now on. DEAF drops what is being said; otherwise speech keeps
        that under which it began."""
        self._attention = attention
        if attention is Attention.DEAF:
            self._drop()

    def close(self) -> None:
        """Ends the wait; nothing is told any more. The tap is the owner's to take away."""
        self._is_over = True
        self._attention = Attention.DEAF
        self._drop()

    def _take(self, endpoint: Endpoint, attention: Attention, at: float) -> None:
        """What the media thread noticed in the frame that came at `at`."""
        if self._is_over or self._attention is Attention.DEAF:
            return
        speech = self._speech
        last_sound = at - endpoint.quiet * FRAME_SECONDS
        if speech is None:
            if endpoint.news is not News.PAUSED:
                self._begin_speech(endpoint, attention, at)
            return
        if speech.is_pausing:
            if last_sound - speech.last_sound > self._longest + FRAME_SECONDS / 2:
                return  # It was over: what comes now is not part of it.
            self._resume(speech)
        speech.last_sound = last_sound
        speech.audio += endpoint.frames
        if last_sound - speech.began > self._request.max_speech_timeout:
            self._too_long(speech)
            return
        speech.recognition.feed(endpoint.frames)
        if endpoint.news is News.PAUSED:
            speech.is_pausing = True
            speech.recognition.ask(partial(self._understood, speech))

    def _begin_speech(self, endpoint: Endpoint, attention: Attention, at: float) -> None:
        frames = endpoint.frames[-LEAD_FRAMES:]
        try:
            recognition = self._begin(self._failed)
        except VoiceBusy:
            # What is only listened for beside something else is not worth an interruption.
            if attention is Attention.SPEECH:
                self._end(VoiceRefused())
            return
        began = at - ONSET_FRAMES * FRAME_SECONDS
        self._speech = _Speech(recognition, attention, began, at, list(frames))
        recognition.feed(frames)
        self._tell(SpeechBegan(began, hotword=attention is Attention.HOTWORD))

    def _resume(self, speech: _Speech) -> None:
        speech.is_pausing = False
        speech.heard = None
        speech.recognition.withdraw()
        self._stop_pause_timer()

    def _understood(self, speech: _Speech, heard: Heard) -> None:
        """The engine says what was said up to the pause."""
        if speech is not self._speech:
            return
        speech.heard = heard
        speech.recognition.counters.took(self._clock.monotonic() - speech.last_sound)
        ends = speech.last_sound + patience(heard, self._request)
        left = ends - self._clock.monotonic()
        if left > 0:
            self._pause_timer = self._clock.call_later(left, partial(self._finish, speech))
        else:
            self._finish(speech)

    def _finish(self, speech: _Speech) -> None:
        """The pause has lasted: this was all."""
        if speech is not self._speech:
            return
        heard = speech.heard or ()
        try:
            ending, nbest = decide(heard, self._request)
        except VoiceXmlEvent as event:
            self._end(VoiceFailed(event))
            return
        if speech.attention is Attention.HOTWORD and ending is VoiceEnding.NOMATCH:
            self._pass_over(speech, heard)
            return
        self._end(self._result(speech, ending, nbest))

    def _result(
        self, speech: _Speech, ending: VoiceEnding, nbest: tuple[Understood, ...]
    ) -> VoiceResult:
        samples = np.concatenate(speech.audio)
        return VoiceResult(ending, nbest, samples, speech.began, speech.last_sound)

    def _too_long(self, speech: _Speech) -> None:
        """The caller goes on speaking after `maxspeechtimeout`; a pause may yet be the end."""
        if speech.attention is Attention.HOTWORD:
            self._pass_over(speech, ())
        else:
            self._end(self._result(speech, VoiceEnding.MAX_SPEECH, ()))

    def _pass_over(self, speech: _Speech, heard: Heard) -> None:
        best = max(heard, key=lambda one: one.confidence, default=Hypothesis("", 0.0))
        self._drop()
        self._tell(SpeechPassedOver(speech.began, best.text, best.confidence))

    def _failed(self, event: VoiceXmlEvent) -> None:
        if not self._is_over:
            self._end(VoiceFailed(event))

    def _end(self, event: VoiceEvent) -> None:
        self.close()
        self._tell(event)

    def _drop(self) -> None:
        """Forgets what is being said."""
        self._stop_pause_timer()
        speech, self._speech = self._speech, None
        if speech is not None:
            speech.recognition.close()

    def _stop_pause_timer(self) -> None:
        if self._pause_timer is not None:
            self._pause_timer.cancel()
            self._pause_timer = None
