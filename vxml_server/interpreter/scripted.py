"""The platform of tests and of `vxml-server call --script`: a caller who follows a script.

Time is virtual. Nothing waits: what the caller does and when prompts end is known beforehand, so
that each wait for input is computed, deed by deed, and the same script always gives the same trace.
What must hold here:

- A step is used at one wait for input. Without `after` it comes when the queued prompts have ended.
  A pause shorter than the running timeout delays the step behind it within the same wait; between
  two `dtmf` steps that includes the interdigit timeout, for they are then one entry.
- Keys that a wait did not need stay in the buffer for the next one, as with a caller who types
  ahead; a prompt without barge-in deletes what is in the buffer when it ends (section 4.1.5).
- Barge-in ends the prompt that plays and cancels those that follow, whatever their `bargein`.
- A prompt is reported when it starts. One that never starts is neither fetched nor heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import Resource, ResourceFetcher
from vxml_server.interpreter.cues import Cues
from vxml_server.interpreter.keys import KeyCollector, KeyOutcome
from vxml_server.interpreter.platform import (
    InputKind,
    InputResult,
    Json,
    ListenRequest,
    Mode,
    Prompt,
    Recognition,
    RecordedAudio,
    RecordEnding,
    RecordRequest,
    RecordResult,
    TransferRequest,
    TransferResult,
    Waiting,
)
from vxml_server.interpreter.playback import SECONDS_A_WORD, Playback, render
from vxml_server.interpreter.script import (
    HangUp,
    Hypothesis,
    Keys,
    Say,
    Silence,
    Speak,
    Transfer,
)
from vxml_server.interpreter.scripted_caller import Act, Arrival, Caller, Key, instant
from vxml_server.interpreter.scripted_recording import RecordWait, tone_of
from vxml_server.interpreter.trace import Observer, ignore
from vxml_server.interpreter.words import recognise

DEFAULT_BRIDGE = 10.0

_BRIDGED = frozenset(
    {
        "near_end_disconnect",
        "far_end_disconnect",
        "network_disconnect",
        "maxtime_disconnect",
        "connection.disconnect.hangup",
    }
)


class ScriptedPlatform:
    """A `Platform` on which a caller follows `cues`.

    `fetcher` brings audio files, for their length; `observer` takes the `prompt`, `input` and
    `transfer` records.
    """

    def __init__(self, cues: Cues, fetcher: ResourceFetcher, observer: Observer = ignore) -> None:
        self._caller = Caller(cues)
        self._fetcher = fetcher
        self._observer = observer

    def now(self) -> float:
        return self._caller.now

    @property
    def hung_up(self) -> bool:
        return self._caller.gone

    async def listen(self, request: ListenRequest) -> InputResult:
        caller = self._caller
        caller.lose_patience()
        if caller.gone:
            return InputResult(InputKind.HANGUP)
        result = await _Wait(caller, request, self._start, self._observer).result()
        if result.kind is not InputKind.NOINPUT:
            caller.forget_due()
        return result

    async def play(self, prompts: Sequence[Prompt]) -> None:
        if self._caller.gone:
            return
        for prompt in prompts:
            playback = await self._start(prompt)
            self._caller.advance(instant(self._caller.now + playback.duration))

    async def play_while(self, waiting: Waiting, work: asyncio.Future[Resource]) -> None:
        """Nobody waits here: what is fetched is there before the audio would begin."""
        await asyncio.wait([work])

    async def record(self, request: RecordRequest) -> RecordResult:
        caller = self._caller
        caller.lose_patience()
        if caller.gone:
            return RecordResult(RecordEnding.HANGUP)
        result = await RecordWait(caller, request, self._start, self._observer).result()
        if result.ending is not RecordEnding.NOINPUT:
            caller.forget_due()
        return result

    async def transfer(self, request: TransferRequest) -> TransferResult:
        caller = self._caller
        caller.lose_patience()
        if caller.gone:
            return TransferResult("connection.disconnect.hangup")
        await self.play(request.prompts)
        step = caller.cues.peek()
        rings = 0.0
        if isinstance(step, Transfer):
            caller.use(caller.now)
            result = replace(_scripted_outcome(step, request), recognition=_ended_by(step, request))
            if step.outcome == "noanswer" and step.duration is None:
                rings = request.connect_timeout
        else:
            result = usual_outcome(request)
            caller.silent_waits += 1
        caller.advance(instant(caller.now + rings + result.duration))
        caller.forget_keys()
        # A caller who was handed on is out of reach, as one who has left.
        if result.outcome.startswith("connection.disconnect."):
            caller.gone = True
        self._observer("transfer", transfer_record(request, result))
        return result

    async def answer(self) -> None:
        """The caller has been waiting for it."""

    async def disconnect(self, namelist: dict[str, Json]) -> None:
        self._caller.gone = True

    async def _start(self, prompt: Prompt) -> Playback:
        """Begins to play a prompt."""
        playback = await render(prompt, self._fetcher)
        self._observer("prompt", playback.record(prompt))
        return playback


class _Wait:
    """One wait for input."""

    def __init__(
        self,
        caller: Caller,
        request: ListenRequest,
        start: Callable[[Prompt], Awaitable[Playback]],
        observer: Observer,
    ) -> None:
        self._caller = caller
        self._request = request
        self._start = start
        self._observer = observer
        self._properties = request.properties
        self._began = caller.now
        self._hotword = False
        self._collector: KeyCollector | None = None
        self._step_used = False
        self._prompts_over = False
        self._heard_at: float | None = None
        self._marks: list[tuple[str, float]] = []
        self._audio: RecordedAudio | None = None

    async def result(self) -> InputResult:
        timeout = self._properties.timeout
        for prompt in self._request.prompts:
            self._hotword = prompt.bargein and prompt.bargein_type == "hotword"
            # Typed ahead: the prompt is not even begun.
            if prompt.bargein and (result := self._listen(self._now, not self._hotword)):
                return result
            playback = await self._start(prompt)
            began, end = self._now, instant(self._now + playback.duration)
            self._marks += [(name, began + offset) for name, offset in playback.marks]
            if prompt.timeout is not None:
                timeout = prompt.timeout
            if not prompt.bargein:
                result = self._turn_a_deaf_ear(end)
            else:
                result = self._listen(end, not self._hotword)
            if result:
                return result
        self._heard_at = self._now
        self._prompts_over = True
        return self._listen(instant(self._now + timeout), True) or self._no_input()

    @property
    def _now(self) -> float:
        return self._caller.now

    def _listen(self, limit: float, keys_hold: bool) -> InputResult | None:
        """What the caller does before `limit`, to the end of the input that comes of it.

        With `keys_hold` keys that are being collected put `limit` off; without, the next prompt
        begins over them. None when there was nothing until `limit`.
        """
        while True:
            expiry, horizon = self._expiry(), limit
            if expiry is not None:
                horizon = expiry if keys_hold else min(limit, expiry)
            result: InputResult | None = None
            if (arrival := self._next_arrival(horizon)) is not None:
                self._caller.advance(arrival.at)
                result = self._take(arrival.act)
            elif self._collector is not None and horizon == expiry:
                self._caller.advance(horizon)
                result = self._collected(self._collector, None)
            else:
                self._caller.advance(limit)
                return None
            if result is not None:
                return result

    def _turn_a_deaf_ear(self, until: float) -> InputResult | None:
        """What is pressed or said is lost; only hanging up is noticed."""
        self._collector = None
        while (arrival := self._next_arrival(until)) is not None:
            if isinstance(arrival.act, HangUp):
                self._caller.advance(arrival.at)
                return self._take(arrival.act)
        self._caller.advance(until)
        return None

    def _expiry(self) -> float | None:
        if self._collector is None or self._collector.deadline is None:
            return None
        return instant(self._collector.deadline)

    # What the caller does -----------------------------------------------------------------------

    def _next_arrival(self, before: float) -> Arrival | None:
        """What the caller does next, using a step of the script if it is time for one."""
        caller = self._caller
        if not caller.busy:
            if self._collector is not None:
                self._go_on_with_keys(before)
            elif not self._step_used:
                self._use_step(before)
        return caller.next_arrival(before)

    def _go_on_with_keys(self, before: float) -> None:
        pause = self._caller.cues.pause_in_keys()
        if pause is None or instant(self._now + pause[0]) >= before:
            return
        at = instant(self._now + pause[0])
        while not self._caller.busy:
            self._caller.use(at)

    def _use_step(self, before: float) -> None:
        caller = self._caller
        while (step := caller.cues.peek()) is not None:
            due = caller.due(self._began)
            if due is not None:
                if due < before:
                    caller.use(due)
                    self._step_used = True
                return
            if not self._prompts_over or not isinstance(step, Keys | Say | Silence | HangUp):
                return
            caller.use(self._now)
            if not isinstance(step, Silence):
                self._step_used = True
                return
            if step.duration is None or instant(self._now + step.duration) >= before:
                self._step_used = True
                return
            caller.advance(instant(self._now + step.duration))

    def _take(self, act: Act) -> InputResult | None:
        if isinstance(act, HangUp):
            self._caller.gone = True
            return self._result(InputKind.HANGUP)
        if isinstance(act, Speak):
            return None
        mode: Mode = "dtmf" if isinstance(act, Key) else "voice"
        if not self._request.grammars or mode not in self._properties.input_modes:
            return None
        if not self._hotword and self._heard_at is None:
            self._heard_at = self._now
        if isinstance(act, Say):
            return self._said(act)
        if self._collector is None:
            self._collector = KeyCollector(self._request.grammars, self._properties)
        return self._collected(self._collector, act.key)

    def _collected(self, collector: KeyCollector, key: str | None) -> InputResult | None:
        """The keys with one more, or (None) with no more to come."""
        try:
            outcome = collector.expire() if key is None else collector.feed(key, self._now)
        except VoiceXmlEvent:
            self._report_input("dtmf", collector.pressed, 1.0)
            raise
        if outcome is None:
            return None
        self._collector = None
        self._caller.give_back(outcome.unused)
        self._report_input("dtmf", outcome.pressed, 1.0)
        return self._heard(outcome.kind, outcome.nbest)

    def _said(self, step: Say) -> InputResult | None:
        first = step.hypotheses[0]
        self._report_input("voice", first.words, first.confidence)
        if media_type := self._properties.utterance_type:
            self._audio = tone_of(SECONDS_A_WORD * len(first.words.split()), media_type)
        return self._heard(*recognise(step.hypotheses, self._request))

    # What comes of it ---------------------------------------------------------------------------

    def _heard(self, kind: InputKind, nbest: tuple[Recognition, ...]) -> InputResult | None:
        # Section 4.1.5.1: with hotword barge-in, what does not match is not heard, even after the
        # prompt.
        if self._hotword and kind is InputKind.NOMATCH:
            return None
        return self._result(kind, nbest)

    def _report_input(self, mode: Mode, utterance: str, confidence: float) -> None:
        self._observer("input", {"mode": mode, "utterance": utterance, "confidence": confidence})

    def _no_input(self) -> InputResult:
        if not self._step_used:
            self._caller.silent_waits += 1
        return self._result(InputKind.NOINPUT)

    def _result(self, kind: InputKind, nbest: tuple[Recognition, ...] = ()) -> InputResult:
        """The result, with the last mark that was played and the time since (VoiceXML 2.1, 8)."""
        stopped = self._now if self._heard_at is None else self._heard_at
        name: str | None = None
        at = stopped
        for mark, played in self._marks:
            if played <= stopped:
                name, at = mark, played
        since = None if name is None else round(stopped - at, 6)
        return InputResult(kind, nbest, name, since, self._audio)


def _ended_by(step: Transfer, request: TransferRequest) -> Recognition | None:
    """What the caller's input is to the grammars of a transfer."""
    if step.keys:
        collector = KeyCollector(request.grammars, request.properties)
        outcome: KeyOutcome | None = None
        for key in step.keys:
            outcome = outcome or collector.feed(key, 0.0)
        outcome = outcome or collector.expire()
        return outcome.nbest[0] if outcome.kind is InputKind.MATCH else None
    if not step.words:
        return None
    heard = ListenRequest((), request.grammars, request.properties, request.lang)
    kind, nbest = recognise([Hypothesis(step.words)], heard)
    return nbest[0] if kind is InputKind.MATCH else None


def _scripted_outcome(step: Transfer, request: TransferRequest) -> TransferResult:
    if step.duration is not None:
        duration = step.duration
    elif step.outcome == "maxtime_disconnect" and request.max_time > 0:
        duration = request.max_time
    else:
        duration = DEFAULT_BRIDGE if step.outcome in _BRIDGED else 0.0
    return TransferResult(step.outcome, duration)


def usual_outcome(request: TransferRequest) -> TransferResult:
    """How a transfer ends of which nobody says how it ends."""
    if request.type != "bridge":
        return TransferResult("connection.disconnect.transfer")
    if request.dest.lower().startswith("voicemail:"):
        return TransferResult("voicemail_left", DEFAULT_BRIDGE)
    if 0 < request.max_time < DEFAULT_BRIDGE:
        return TransferResult("maxtime_disconnect", request.max_time)
    return TransferResult("far_end_disconnect", DEFAULT_BRIDGE)


def transfer_record(request: TransferRequest, result: TransferResult) -> dict[str, Json]:
    """The `transfer` record of the trace."""
    return {
        "dest": request.dest,
        "type": request.type,
        "outcome": result.outcome,
        "duration": round(result.duration, 3),
    }
