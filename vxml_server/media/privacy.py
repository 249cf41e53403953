"""Keys that nobody else is to hear: their tones are taken out of bridges and taps.

What is keyed in may be a card number or a PIN, and its tones can be read off a recording. The rule:
while a channel is bridged or tapped, its audio passes through a delay line (`ToneMute`, 40 ms)
that silences a key from its beginning; a channel that nobody listens to has none. A key may then
reach the other party as an event, never as a tone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vxml_server.dtmf import KeyMerger, ToneMute
from vxml_server.media.termination import Termination


class _Line:
    """One channel's delay line, and the keys that went past it."""

    __slots__ = ("_mute", "_sounds", "passed")

    def __init__(self) -> None:
        self.passed = KeyMerger()
        self._mute = ToneMute()
        self._sounds = False

    def feed(self, pcm: NDArray[np.int16], *, sounding: bool, lost: bool) -> NDArray[np.int16]:
        # What stands in for lost audio is what came before it: the tone, if it was one.
        self._sounds = sounding or (lost and self._sounds)
        return self._mute.feed(pcm, self._sounds)


class KeyPrivacy:
    """The delay lines of the channels that somebody else hears."""

    def __init__(self) -> None:
        self._lines: dict[Termination, _Line] = {}

    def clean(
        self,
        terminations: Iterable[Termination],
        heard: NDArray[np.int16],
        sounding: NDArray[np.bool_],
        lost: NDArray[np.bool_],
    ) -> None:
        """Puts what may be heard in the place of what came: `heard` `[n, FRAME]` is changed.

        `terminations` are those that somebody else hears, in every tick in which he does.
        `sounding` `[n]` tells where a key sounds in it, and `lost` `[n]` where audio is missing.
        """
        lines = {}
        for termination in terminations:
            line = lines[termination] = self._line(termination)
            row = termination.row
            heard[row] = line.feed(heard[row], sounding=bool(sounding[row]), lost=bool(lost[row]))
        self._lines = lines

    def lets_pass(self, termination: Termination, key: str, source: str, at: float) -> bool:
        """Whether a key of a bridged channel goes to the other party: each press goes once."""
        return self._line(termination).passed.press(key, source, at)

    def _line(self, termination: Termination) -> _Line:
        line = self._lines.get(termination)
        if line is None:
            line = self._lines[termination] = _Line()
        return line
