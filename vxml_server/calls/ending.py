"""What a caller ends a bridge with: keys and words of the transfer's grammars.

VoiceXML 2.0 section 2.3.7. Whoever reads the caller's mailbox while a transfer goes on hands its
events here. The rule that must hold: what matches none of the grammars is passed over, whatever was
pressed or said before it.
"""

from __future__ import annotations

from vxml_server.calls.mailbox import Heard, KeyPressed, LegEvent
from vxml_server.calls.voice import Ear, Hearing
from vxml_server.clock import Clock
from vxml_server.interpreter import (
    InputKind,
    KeyCollector,
    KeyOutcome,
    Recognition,
    TransferRequest,
)


class EndingInput:
    """The keys and words of one transfer. Voice counts between `overhear` and `close`."""

    def __init__(self, clock: Clock, ear: Ear, request: TransferRequest) -> None:
        self._clock = clock
        self._ear = ear
        self._request = request
        self._hears_keys = "dtmf" in request.properties.input_modes and any(
            active.mode == "dtmf" for active in request.grammars
        )
        self._collector: KeyCollector | None = None
        self._hearing: Hearing | None = None

    def overhear(self) -> None:
        """Listens for words too, if voice is to be had; only a bridge is ended by them."""
        request = self._request
        if request.type == "bridge":
            self._hearing = self._ear.overhear(request.grammars, request.properties, request.lang)

    def close(self) -> None:
        """Hears no more; twice is harmless."""
        if self._hearing is not None:
            self._hearing.close()
            self._hearing = None

    @property
    def deadline(self) -> float | None:
        """When `expire` is to be called."""
        return self._collector.deadline if self._collector else None

    def expire(self) -> Recognition | None:
        """What was complete when no more keys came, if the time for them is over."""
        deadline = self.deadline
        if self._collector is None or deadline is None or deadline > self._clock.monotonic():
            return None
        return self._found(self._collector.expire())

    def take(self, event: LegEvent) -> Recognition | None:
        """What ends the bridge, if this event completes it. Raises what a tag of a grammar
        raised (`VoiceXmlEvent`)."""
        match event:
            case KeyPressed(key) if self._hears_keys:
                if self._collector is None:
                    self._collector = KeyCollector(self._request.grammars, self._request.properties)
                return self._found(self._collector.feed(key, self._clock.monotonic()))
            case Heard(hearing, told):
                return hearing.matched(told)
        return None

    def _found(self, outcome: KeyOutcome | None) -> Recognition | None:
        if outcome is None:
            return None
        self._collector = None
        return outcome.nbest[0] if outcome.kind is InputKind.MATCH else None
