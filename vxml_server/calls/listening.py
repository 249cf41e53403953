"""One wait for input on a leg: prompts, keys, voice, and the timers between them.

Keys and voice race (VoiceXML 2.0 section 4.1.5): whichever is complete first is the input, and a
key that is pressed ends the hope for what is being said. The rules that must hold: a prompt without
barge-in is heard to its end, and what is pressed or said over it is lost; nobody who speaks or
presses keys is told that there was no input; and the wait has one result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from vxml_server.asr import (
    Attention,
    SpeechBegan,
    SpeechPassedOver,
    VoiceBusy,
    VoiceEnding,
    VoiceEvent,
    VoiceFailed,
    VoiceRefused,
    VoiceResult,
)
from vxml_server.audio import RATE, encode
from vxml_server.calls.leg import Leg
from vxml_server.calls.mailbox import Heard, KeyPressed, Played
from vxml_server.calls.player import MakePlayer, Player, is_hotword
from vxml_server.calls.voice import NORESOURCE, Ear, Hearing
from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import (
    InputKind,
    InputResult,
    KeyCollector,
    ListenRequest,
    Observer,
    Prompt,
    RecordedAudio,
)

_log = structlog.get_logger(__name__)

_KINDS = {
    VoiceEnding.MATCH: InputKind.MATCH,
    VoiceEnding.NOMATCH: InputKind.NOMATCH,
    VoiceEnding.MAX_SPEECH: InputKind.MAX_SPEECH,
}


class _VoiceLost(Exception):
    """The wait has to go on by keys, from its beginning."""


class Wait:
    """One wait; `result` once. Nobody else may read the leg's mailbox meanwhile."""

    def __init__(
        self,
        leg: Leg,
        clock: Clock,
        observe: Observer,
        make_player: MakePlayer,
        ear: Ear,
        request: ListenRequest,
    ) -> None:
        self._leg = leg
        self._clock = clock
        self._observe = observe
        self._make_player = make_player
        self._ear = ear
        self._request = request
        self._prompts: Sequence[Prompt] = request.prompts
        self._hears_keys = (
            any(active.mode == "dtmf" for active in request.grammars)
            and "dtmf" in request.properties.input_modes
        )
        self._collector: KeyCollector | None = None
        self._hotword = False
        self._hearing: Hearing | None = None
        self._utterance: VoiceResult | None = None
        self._silent_since: float | None = None

    async def result(self) -> InputResult:
        is_busy = self._open_ear()
        if not self._type_ahead() and is_busy:
            self._prompts = (*self._ear.ask_for_keys(self._request.lang), *self._prompts)
        try:
            return await self._with_audio(await self._heard())
        finally:
            self._close_ear()

    async def _heard(self) -> InputResult:
        """The first input, and the last mark that was heard before it."""
        name: str | None = None
        seconds: float | None = None
        while True:
            result: InputResult | None = None
            async with self._make_player(
                self._prompts,
                stop_on_key=self._hears_keys,
                stop_on_speech=self._hearing is not None,
            ) as player:
                try:
                    result = await self._listen(player)
                except _VoiceLost:
                    self._prompts = self._ear.ask_for_keys(self._request.lang)
                    self._silent_since = None
                player.stop()
                mark = player.mark()
                if mark[0] is not None:
                    name, seconds = mark
            if result is not None:
                return replace(result, mark_name=name, mark_time=seconds)

    def _type_ahead(self) -> bool:
        """Keys pressed before (section 4.1.5), whether there are any that count.

        A first prompt without barge-in discards them, one with it is not even begun.
        """
        keys = self._leg.events.take_keys()
        first = self._prompts[0] if self._prompts else None
        if first is not None and not first.bargein:
            return False
        self._leg.events.put_back(keys)
        if keys and self._hears_keys and first is not None and not is_hotword(first):
            self._prompts = ()
        return bool(keys) and self._hears_keys

    async def _listen(self, player: Player) -> InputResult:
        while True:
            if self._leg.end is not None:
                return InputResult(InputKind.HANGUP)
            player.raise_trouble()
            if self._hearing is not None:
                self._hearing.attend(self._attention(player))
            event = await self._leg.events.get(self._deadline(player))
            result: InputResult | None = None
            match event:
                case Played():
                    player.played(event)
                case KeyPressed(key):
                    result = self._key(key, player)
                case Heard(hearing, told) if hearing is self._hearing:
                    result = self._told(hearing, told, player)
                case None:
                    result = self._expired(player)
            if result is not None:
                return result

    # Timers ------------------------------------------------------------------------------------

    def _deadline(self, player: Player) -> float | None:
        """When something is to happen without the caller: a key timer, or the noinput timeout."""
        if self._collector is not None and self._collector.deadline is not None:
            return self._collector.deadline
        if not player.is_over:
            return None
        if self._silent_since is None:
            self._silent_since = self._clock.monotonic()
        if self._hearing is not None and self._hearing.is_speaking:
            return None
        return self._silent_since + self._request.properties.timeout

    def _expired(self, player: Player) -> InputResult | None:
        """Nothing has happened until the deadline, or somebody wants us to look again."""
        deadline = self._deadline(player)
        if deadline is None or deadline > self._clock.monotonic():
            return None
        if self._collector is not None and self._collector.deadline is not None:
            return self._collected(self._collector, None)
        return InputResult(InputKind.NOINPUT)

    def _is_hotword(self, player: Player) -> bool:
        """Whether input that matches nothing is passed over at this moment.

        So it is also after the end of a prompt with hotword barge-in; but input that stopped a
        prompt is ordinary input.
        """
        playing = player.current
        if playing is not None:
            return is_hotword(playing)
        return bool(self._prompts) and not player.is_stopped and is_hotword(self._prompts[-1])

    # Keys --------------------------------------------------------------------------------------

    def _key(self, key: str, player: Player) -> InputResult | None:
        playing = player.current
        if not self._hears_keys or (playing is not None and not playing.bargein):
            self._collector = None
            return None
        self._hotword = self._is_hotword(player)
        if not self._hotword:
            player.stop()
        if self._collector is None:
            self._collector = KeyCollector(self._request.grammars, self._request.properties)
        return self._collected(self._collector, key)

    def _collected(self, collector: KeyCollector, key: str | None) -> InputResult | None:
        """The keys with one more, or (None) with no more to come.

        The timers of a key that was typed ahead run from when it is looked at.
        """
        now = self._clock.monotonic()
        try:
            outcome = collector.expire() if key is None else collector.feed(key, now)
        except VoiceXmlEvent:
            self._observe_keys(collector.pressed)
            raise
        if outcome is None:
            return None
        self._collector = None
        self._leg.events.put_back([KeyPressed(unused, now) for unused in outcome.unused])
        self._observe_keys(outcome.pressed)
        if self._hotword and outcome.kind is InputKind.NOMATCH:
            return None
        return InputResult(outcome.kind, outcome.nbest)

    def _observe_keys(self, keys: str) -> None:
        self._observe("input", {"mode": "dtmf", "utterance": keys, "confidence": 1.0})

    # Voice -------------------------------------------------------------------------------------

    def _open_ear(self) -> bool:
        """Begins to listen for voice; whether only the moment is to blame that there is none."""
        request = self._request
        first = self._prompts[0] if self._prompts else None
        try:
            self._hearing = self._ear.listen(
                request.grammars,
                request.properties,
                request.lang,
                Attention.SPEECH if first is None else _attention_over(first),
                is_needed=not self._hears_keys,
            )
        except VoiceBusy:
            if not self._hears_keys:
                raise VoiceXmlEvent(NORESOURCE, "the speech recognisers are busy") from None
            return True
        return False

    def _close_ear(self) -> None:
        if self._hearing is not None:
            self._hearing.close()
            self._hearing = None

    def _attention(self, player: Player) -> Attention:
        """What speech is at this moment. While keys are pressed nobody listens to it."""
        if self._collector is not None:
            return Attention.DEAF
        if player.current is not None:
            return _attention_over(player.current)
        return Attention.HOTWORD if self._is_hotword(player) else Attention.SPEECH

    def _told(self, hearing: Hearing, event: VoiceEvent, player: Player) -> InputResult | None:
        match event:
            case SpeechBegan(hotword=is_hotword):
                playing = player.current
                if self._collector is not None or (playing is not None and not playing.bargein):
                    # A key or the next prompt came in between; the ear is about to be told.
                    return None
                hearing.is_speaking = True
                if not is_hotword:
                    player.stop()
            case SpeechPassedOver(_, utterance, confidence):
                hearing.is_speaking = False
                self._observe_voice(utterance, confidence)
            case VoiceResult() if self._collector is None:
                return self._understood(hearing, event)
            case VoiceRefused():
                self._lose_voice(
                    VoiceXmlEvent(NORESOURCE, "the speech recognisers are busy"), player
                )
            case VoiceFailed(failure):
                self._lose_voice(failure, player)
        return None

    def _understood(self, hearing: Hearing, result: VoiceResult) -> InputResult:
        nbest = tuple(map(hearing.recognition, result.nbest))
        best = nbest[0] if nbest else None
        self._observe_voice(best.utterance if best else "", best.confidence if best else 0.0)
        self._utterance = result
        return InputResult(_KINDS[result.ending], nbest)

    def _lose_voice(self, event: VoiceXmlEvent, player: Player) -> None:
        """Goes on by keys if the document allows it. Raises the event if it does not.

        The caller has spoken to no avail, and is told of the keys unless a prompt still sounds.
        """
        if event.name != NORESOURCE or not self._hears_keys:
            raise event
        _log.warning("voice is not heard any more", error=str(event))
        self._close_ear()
        if player.is_over or player.is_stopped:
            raise _VoiceLost

    def _observe_voice(self, utterance: str, confidence: float) -> None:
        self._observe("input", {"mode": "voice", "utterance": utterance, "confidence": confidence})

    async def _with_audio(self, result: InputResult) -> InputResult:
        """The result with what was said, if the document wants it (VoiceXML 2.1 section 7)."""
        media_type = self._request.properties.utterance_type
        if self._utterance is None or not media_type:
            return result
        samples = self._utterance.audio
        data = await asyncio.to_thread(encode, samples, media_type)
        return replace(result, audio=RecordedAudio(data, media_type, len(samples) / RATE))


def _attention_over(prompt: Prompt) -> Attention:
    """What speech is while a prompt sounds."""
    if not prompt.bargein:
        return Attention.DEAF
    return Attention.HOTWORD if is_hotword(prompt) else Attention.SPEECH
