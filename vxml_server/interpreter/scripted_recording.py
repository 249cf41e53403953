"""A recording of the caller of a script (`record: 4s`), in virtual time.

What is recorded is a tone as long as the speech. The rule: speech begins when the prompts and the
tone are over; from then on nothing but the caller's deeds, `finalsilence` and `maxtime` counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from vxml_server.interpreter.platform import (
    InputKind,
    ListenRequest,
    Mode,
    Prompt,
    Recognition,
    RecordedAudio,
    RecordEnding,
    RecordRequest,
    RecordResult,
)
from vxml_server.interpreter.playback import SECONDS_A_WORD, Playback
from vxml_server.interpreter.recording import RecordKeys
from vxml_server.interpreter.script import HangUp, Keys, Say, Silence, Speak
from vxml_server.interpreter.scripted_caller import Act, Arrival, Caller, Key, instant
from vxml_server.interpreter.trace import Observer
from vxml_server.interpreter.words import recognise

BEEP_SECONDS = 0.25
PITCH = 440.0
LEVEL = 4000


def tone_of(seconds: float, media_type: str) -> RecordedAudio:
    """What stands for the speech of somebody who has no voice."""
    # Numbers over samples are slow to load, and few dialogues record.
    import numpy as np  # noqa: PLC0415

    from vxml_server.audio import RATE, encode  # noqa: PLC0415

    time = np.arange(round(seconds * RATE)) / RATE
    samples = (LEVEL * np.sin(2 * np.pi * PITCH * time)).astype(np.int16)
    return RecordedAudio(encode(samples, media_type), media_type, seconds)


def words_in(step: Say, request: RecordRequest) -> Recognition | None:
    """What is said in place of a message, if it is an input of an active grammar."""
    heard = ListenRequest((), request.grammars, request.properties, request.lang)
    if not any(active.mode == "voice" for active in request.grammars):
        return None
    kind, nbest = recognise(step.hypotheses, heard)
    return nbest[0] if kind is InputKind.MATCH else None


class RecordWait:
    """One recording; `result` once."""

    def __init__(
        self,
        caller: Caller,
        request: RecordRequest,
        start: Callable[[Prompt], Awaitable[Playback]],
        observer: Observer,
    ) -> None:
        self._caller = caller
        self._request = request
        self._start = start
        self._observer = observer
        self._keys = RecordKeys(request)
        self._first_prompt = caller.now
        self._is_ready = False
        self._is_silent = False
        self._speech: tuple[float, float] | None = None
        """When the caller began to speak, and when the speech ends."""
        self._words: Recognition | None = None
        """What the speech is to a voice grammar."""
        self._marks: list[tuple[str, float]] = []
        self._prompts_over_at: float | None = None

    async def result(self) -> RecordResult:
        for prompt in self._request.prompts:
            playback = await self._start(prompt)
            began, end = self._now, instant(self._now + playback.duration)
            self._marks += [(name, began + offset) for name, offset in playback.marks]
            if (result := self._go_on(end, hears=prompt.bargein)) is not None:
                return result
            if not prompt.bargein:
                self._caller.forget_keys()
        self._prompts_over_at = self._now
        if self._request.beep:
            self._caller.advance(instant(self._now + BEEP_SECONDS))
        self._is_ready = True
        limit = instant(self._now + self._request.properties.timeout)
        if (result := self._go_on(limit, hears=True)) is not None:
            return result
        if self._speech is None:
            if not self._is_silent:
                self._caller.silent_waits += 1
            return self._ended(RecordEnding.NOINPUT)
        return self._fallen_silent()

    @property
    def _now(self) -> float:
        return self._caller.now

    def _go_on(self, limit: float, *, hears: bool) -> RecordResult | None:
        """What the caller does until `limit`, or once speaking until that is over."""
        while True:
            limit = self._limit(limit)
            expiry = self._keys.deadline
            horizon = limit if expiry is None else min(limit, expiry)
            found: Recognition | None = None
            if (arrival := self._next_arrival(horizon)) is not None:
                self._caller.advance(arrival.at)
                if isinstance(arrival.act, HangUp):
                    self._caller.gone = True
                    return self._ended(RecordEnding.HANGUP)
                if hears:
                    found = self._take(arrival.act)
            elif self._words is not None and self._speech is not None:
                self._caller.advance(self._speech[1])
                found = self._words
            elif expiry is not None and expiry <= limit:
                self._caller.advance(expiry)
                found = self._keys.expire()
            else:
                self._caller.advance(limit)
                return None
            if found is not None:
                self._caller.give_back(self._keys.unused)
                self._report_input(found.mode, found.utterance, found.confidence)
                return self._ended(RecordEnding.INPUT, found)

    def _limit(self, limit: float) -> float:
        """The end of the recording by itself, once there is speech."""
        if self._speech is None:
            return limit
        began, end = self._speech
        return instant(min(began + self._request.max_time, end + self._request.final_silence))

    def _take(self, act: Act) -> Recognition | None:
        if isinstance(act, Key):
            return self._keys.press(act.key, self._now)
        length = 0.0
        if isinstance(act, Speak):
            length = act.duration
        elif isinstance(act, Say):
            length = SECONDS_A_WORD * len(act.hypotheses[0].words.split())
            self._words = words_in(act, self._request)
        if not self._is_ready:
            # Over a prompt only words of a grammar are heard; the message comes after it.
            found, self._words = self._words, None
            return found
        self._speech = self._now, instant(self._now + length)
        return None

    def _next_arrival(self, before: float) -> Arrival | None:
        if not self._caller.busy and self._speech is None:
            self._use_step(before)
        return self._caller.next_arrival(before)

    def _use_step(self, before: float) -> None:
        caller = self._caller
        while not self._is_silent and (step := caller.cues.peek()) is not None:
            due = caller.due(self._first_prompt)
            if due is not None:
                if due < before:
                    caller.use(due)
                return
            if not self._is_ready or not isinstance(step, Keys | Say | Silence | HangUp | Speak):
                return
            caller.use(self._now)
            if not isinstance(step, Silence):
                return
            if step.duration is None or instant(self._now + step.duration) >= before:
                self._is_silent = True
                return
            caller.advance(instant(self._now + step.duration))

    def _fallen_silent(self) -> RecordResult:
        assert self._speech is not None, "there was speech"
        began, end = self._speech
        if end + self._request.final_silence <= began + self._request.max_time:
            return self._ended(RecordEnding.SILENCE)
        return self._ended(RecordEnding.MAX_TIME)

    def _report_input(self, mode: Mode, utterance: str, confidence: float) -> None:
        self._observer("input", {"mode": mode, "utterance": utterance, "confidence": confidence})

    def _ended(self, ending: RecordEnding, recognition: Recognition | None = None) -> RecordResult:
        audio: RecordedAudio | None = None
        if self._speech is not None:
            began, end = self._speech
            # The silence that ends a recording is no part of it.
            until = end if ending is RecordEnding.SILENCE else self._now
            seconds = round(min(until - began, self._request.max_time), 6)
            if seconds > 0:
                audio = tone_of(seconds, self._request.media_type)
        # To the end of the prompts, or to what interrupted them; not of the message.
        stopped = self._now if self._prompts_over_at is None else self._prompts_over_at
        name, at = next(
            ((name, at) for name, at in reversed(self._marks) if at <= stopped), (None, None)
        )
        since = None if at is None else round(stopped - at, 6)
        return RecordResult(ending, audio, recognition, name, since)
