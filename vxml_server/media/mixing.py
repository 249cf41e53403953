"""Who hears whom: bridges of two or more channels, mixed for all of them at once.

A bridge is a matrix: for each of its channels, the channels that it hears. Two who hear each other
are a call; a supervisor who hears both and is heard by one whispers; a conference hears everybody
but itself. The rules that must hold: a channel is in one bridge at most; what is changed holds from
one tick to the next, and who is in the old matrix and in the new one misses no sample; who hears
one other alone gets that one's samples unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from vxml_server.media.termination import Termination

KNEE = 24_576
"""Samples up to here (2.5 dB below full scale) pass a mix unchanged; what is beyond is bent into
the room that is left, so that parties who shout at once are not clipped."""
_FULL = 32_767
_NOBODY = np.empty(0, np.intp)

Matrix = Mapping[Termination, Iterable[Termination]]


class Mixer:
    """The bridges of an engine; of the media thread."""

    def __init__(self, *, keys_sound: bool) -> None:
        """`keys_sound`: keys pass as tones to those with whom events were not agreed."""
        self._keys_sound = keys_sound
        self.members: list[Termination] = []
        """The channels that are in a bridge; `mix` answers in this order."""
        self._hears: dict[Termination, tuple[Termination, ...]] = {}
        self._first = _NOBODY
        self._deaf = _NOBODY
        self._several: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []

    def join(self, hears: Matrix, keys: Matrix) -> None:
        """Makes a bridge of the channels of `hears`; those that they were in end.

        Channels that are closed are left out. `keys` are those to whom a channel's keys go.
        """
        for one in hears:
            self._dissolve(one)
        members = frozenset(one for one in hears if not one.closed)
        if len(members) > 1:
            for one in hears:
                if one in members:
                    one.bridge = members
                    one.keys_may_sound = self._keys_sound
                    one.keys_to = tuple(to for to in keys.get(one, ()) if to in members)
                    self.members.append(one)
                    self._hears[one] = tuple(other for other in hears[one] if other in members)
        self._arrange()

    def part(self, one: Termination) -> None:
        """Ends the bridge that a channel is in; harmless if none."""
        if one.bridge:
            self._dissolve(one)
            self._arrange()

    def leave(self, one: Termination) -> None:
        """A channel goes; if there are others left to hear each other, they go on as they were."""
        others = [other for other in self.members if other in one.bridge and other is not one]
        hears = {other: self._hears[other] for other in others}
        keys = {other: other.keys_to for other in others}
        self.part(one)
        if len(others) > 1:
            self.join(hears, keys)

    def mix(self, heard: NDArray[np.int16]) -> NDArray[np.int16]:
        """What each member is to hear of a tick: `[member, FRAME]` of `heard` `[row, FRAME]`."""
        voices: NDArray[np.int16] = heard[self._first]
        if len(self._deaf):
            voices[self._deaf] = 0
        for places, rows in self._several:
            voices[places] = limited(heard[rows].sum(axis=1, dtype=np.int32))
        for place, one in enumerate(self.members):
            if one.queue:
                both = voices[place].astype(np.int32) + one.queue.take_linear()
                voices[place] = limited(both)
        return voices

    def _dissolve(self, one: Termination) -> None:
        for other in one.bridge:
            other.bridge = frozenset()
            other.keys_may_sound = True
            other.keys_to = ()
            self.members.remove(other)
            del self._hears[other]

    def _arrange(self) -> None:
        """Prepares the index arrays, so that a tick only takes them: those who hear as many others
        are mixed together."""
        rows = [[other.row for other in self._hears[one]] for one in self.members]
        self._first = np.array([heard[0] if heard else 0 for heard in rows], np.intp)
        self._deaf = np.array([place for place, heard in enumerate(rows) if not heard], np.intp)
        self._several = []
        for count in sorted({len(heard) for heard in rows if len(heard) > 1}):
            places = [place for place, heard in enumerate(rows) if len(heard) == count]
            sources = np.array([rows[place] for place in places], np.intp)
            self._several.append((np.array(places, np.intp), sources))


def limited(total: NDArray[np.int32]) -> NDArray[np.int16]:
    """A sum of samples as samples: unchanged up to `KNEE`, then ever flatter towards full scale."""
    over = np.abs(total) - KNEE
    loud = over > 0
    if loud.any():
        room = _FULL - KNEE
        bent = KNEE + room * np.tanh(over[loud] / room)
        total = total.copy()
        total[loud] = np.copysign(bent, total[loud]).astype(np.int32)
    return total.astype(np.int16)
