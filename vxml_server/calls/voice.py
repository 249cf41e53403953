"""A call's ear: the recogniser on one caller's line.

A `Hearing` listens during one wait. It is a tap of the leg's channel: what it decides at once, that
the caller begins to speak, it decides in the media thread, where it stops the prompt; everything
else it tells in the leg's mailbox. The rules that must hold: a wait without grammars for voice
costs nothing; and a caller who has keys loses nothing but the voice when there is no recogniser,
none for the language, or none free.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from vxml_server.asr import (
    Attention,
    Understood,
    VoiceBusy,
    VoiceEnding,
    VoiceEvent,
    VoiceFailed,
    VoiceRequest,
    VoiceResult,
)
from vxml_server.audio import SpeechActivity
from vxml_server.calls.leg import Leg
from vxml_server.calls.mailbox import Heard
from vxml_server.catalogue import message
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import (
    ActiveGrammar,
    InputProperties,
    Prompt,
    Recognition,
    SpeechSegment,
)
from vxml_server.media import Tap

_log = structlog.get_logger(__name__)

NORESOURCE = "error.noresource"
# Frames that it takes at most from the first packet until its sound is heard.
SETTLING_FRAMES = 15


class Listening(Protocol):
    """The recogniser's part of a wait; `asr.Listening` says more."""

    def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool: ...

    def attend(self, attention: Attention) -> None: ...

    def close(self) -> None: ...


class Recogniser(Protocol):
    """What makes them; `asr.Recogniser` says more."""

    def listen(
        self,
        request: VoiceRequest,
        tell: Callable[[VoiceEvent], None],
        *,
        attention: Attention,
        activity: SpeechActivity,
    ) -> Listening: ...


class Ear:
    """What one call hears voice with, from one wait to the next."""

    def __init__(self, leg: Leg, recogniser: Recogniser | None) -> None:
        self._leg = leg
        self._recogniser = recogniser
        self._activity = SpeechActivity()
        self._has_asked_for_keys = False
        # Of the media thread:
        self._is_open = False
        self._settling = SETTLING_FRAMES

    def listen(
        self,
        grammars: Sequence[ActiveGrammar],
        properties: InputProperties,
        lang: str,
        attention: Attention,
        *,
        is_needed: bool,
    ) -> Hearing | None:
        """Listens for the grammars that are for voice; None when there are none of them.

        Without `is_needed` also None, and a line in the log, when voice is not to be had; with it
        `VoiceXmlEvent` is raised then. In either case `VoiceBusy` if that is only so for the
        moment.
        """
        voice = tuple(active for active in grammars if active.mode == "voice")
        if not voice or "voice" not in properties.input_modes:
            return None
        try:
            if self._recogniser is None:
                raise VoiceXmlEvent(NORESOURCE, "there is no speech recogniser")
            return Hearing(
                *(self, self._leg, self._recogniser, self._activity),
                *(voice, properties, lang, attention),
            )
        except VoiceXmlEvent as event:
            if is_needed:
                raise
            _log.info("voice is not heard", error=str(event))
            return None

    def overhear(
        self, grammars: Sequence[ActiveGrammar], properties: InputProperties, lang: str
    ) -> Hearing | None:
        """Listens beside something else, for what matches alone; None if voice is not to be had."""
        try:
            return self.listen(grammars, properties, lang, Attention.HOTWORD, is_needed=False)
        except VoiceBusy:
            _log.info("voice is not heard: the recognisers are busy")
            return None

    def is_open(self, received: NDArray[np.int16]) -> bool:
        """In the media thread: whether this frame is the caller's, or from before their media.

        Until then a line is quieter than any, and all noise would be a voice beside that.
        """
        if not self._is_open and self._leg.channel.has_received:
            self._settling -= 1
            self._is_open = self._settling <= 0 or received.min() != received.max()
        return self._is_open

    def ask_for_keys(self, lang: str) -> tuple[Prompt, ...]:
        """What the caller is told when the recogniser has no time for them, once a call."""
        if self._has_asked_for_keys:
            return ()
        self._has_asked_for_keys = True
        text = message("caller.use_keys", lang)
        ssml = f'<speak version="1.0" xml:lang="{lang}">{text}</speak>'
        return (Prompt((SpeechSegment(ssml, text, lang),), lang),)


class Hearing:
    """One wait for voice, from when it is made until `close`. A `Tap`."""

    def __init__(
        self,
        ear: Ear,
        leg: Leg,
        recogniser: Recogniser,
        activity: SpeechActivity,
        grammars: tuple[ActiveGrammar, ...],
        properties: InputProperties,
        lang: str,
        attention: Attention,
    ) -> None:
        self.is_speaking = False
        """Whether the caller speaks, or what was said is still being worked out; the reader of the
        mailbox says so."""
        self._is_closed = False
        self._leg = leg
        self._grammars = grammars
        self._attention = attention
        self._pass_on: Tap | None = None
        self._ear = ear
        request = VoiceRequest(
            grammars=tuple(active.grammar for active in grammars),
            lang=lang,
            confidence_level=properties.confidence_level,
            sensitivity=properties.sensitivity,
            speed_vs_accuracy=properties.speed_vs_accuracy,
            complete_timeout=properties.complete_timeout,
            incomplete_timeout=properties.incomplete_timeout,
            max_speech_timeout=properties.max_speech_timeout,
            max_nbest=properties.max_nbest,
        )
        self._listening = recogniser.listen(
            request, self._tell, attention=attention, activity=activity
        )
        leg.channel.tap(self)

    def pass_on(self, tap: Tap | None) -> None:
        """Who else is to get the frames: a channel has one tap."""
        self._pass_on = tap

    def attend(self, attention: Attention) -> None:
        """What speech is from now on; with DEAF, speech that is under way is forgotten."""
        if attention is not self._attention:
            self._attention = attention
            self._listening.attend(attention)
            if attention is Attention.DEAF:
                self.is_speaking = False

    def recognition(self, understood: Understood) -> Recognition:
        """The same in the interpreter's terms."""
        place = understood.grammar
        return Recognition(
            understood.utterance,
            understood.confidence,
            understood.interpretation,
            "voice",
            None if place is None else self._grammars[place],
        )

    def matched(self, event: VoiceEvent) -> Recognition | None:
        """The input that this news is, for who overhears; once it is closed there is none.

        Raises what a tag of a grammar raised. A recogniser that fails is no reason to end what goes
        on beside it.
        """
        match event:
            case VoiceResult(VoiceEnding.MATCH, nbest) if not self._is_closed:
                return self.recognition(nbest[0])
            case VoiceFailed(failure) if not self._is_closed and failure.name != NORESOURCE:
                raise failure
        return None

    def close(self) -> None:
        """Hears no more, and takes the tap off."""
        self._is_closed = True
        self._listening.close()
        self._leg.channel.tap(None)

    def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool:
        """In the media thread: 20 ms each way."""
        if self._pass_on is not None:
            self._pass_on.frame(received, sent)
        return self._ear.is_open(received) and self._listening.frame(received, sent)

    def _tell(self, event: VoiceEvent) -> None:
        self._leg.events.put(Heard(self, event))
