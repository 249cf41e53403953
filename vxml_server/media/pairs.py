"""Taps of two channels at once: both parties of a conversation, for recorders and supervisors.

The rule: the two frames of a call of `StereoTap.frames` were said at the same time, but for what
the network took (see `alignment`); a channel that is closed, or whose tick is missing, is silent.
Any number of taps may share a channel.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vxml_server.media.alignment import Alignment
from vxml_server.media.privacy import KeyPrivacy
from vxml_server.media.stream import FRAME
from vxml_server.media.termination import Termination

_log = logging.getLogger(__name__)


class StereoTap(Protocol):
    """A consumer of what two parties say.

    Called in the media thread, once a tick: it must be quick (append to a queue) and not raise.
    """

    def frames(self, left: NDArray[np.int16], right: NDArray[np.int16]) -> None:
        """20 ms of each party, 160 linear samples at 8 kHz; the arrays are the tap's to keep, and
        not to be changed."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    left: Termination
    right: Termination
    tap: StereoTap
    without_keys: bool
    alignment: Alignment = field(default_factory=Alignment)


class Pairs:
    """The pairs of channels that are tapped; of the media thread."""

    def __init__(self) -> None:
        self._pairs: list[_Pair] = []
        self._privacy = KeyPrivacy()
        self.overheard: frozenset[Termination] = frozenset()
        """The channels that somebody listens to here."""
        self._without_keys: frozenset[Termination] = frozenset()

    def add(
        self, left: Termination, right: Termination, tap: StereoTap, *, without_keys: bool
    ) -> None:
        self._keep([*self._pairs, _Pair(left, right, tap, without_keys)])

    def remove(self, tap: StereoTap) -> None:
        """It is given what is still on its way, and nothing more."""
        for pair in self._pairs:
            if pair.tap is tap:
                _give_rest(pair)
        self._keep([pair for pair in self._pairs if pair.tap is not tap])

    @property
    def want_no_keys(self) -> bool:
        """Whether anybody must not hear keys."""
        return bool(self._without_keys)

    def feed(
        self, heard: NDArray[np.int16], sounding: NDArray[np.bool_], lost: NDArray[np.bool_]
    ) -> None:
        """A tick: `heard` `[n, FRAME]`, and by row where a key sounds and where audio is missing.

        `heard` is not changed.
        """
        if not self._pairs:
            return
        private = heard
        if self._without_keys:
            private = heard.copy()
            open_ = [one for one in self._without_keys if not one.closed]
            self._privacy.clean(open_, private, sounding, lost)
        over = [
            pair for pair in self._pairs if not _give(pair, private if pair.without_keys else heard)
        ]
        if over:
            self._keep([pair for pair in self._pairs if pair not in over])

    def _keep(self, pairs: list[_Pair]) -> None:
        self._pairs = pairs
        self.overheard = frozenset(one for pair in pairs for one in (pair.left, pair.right))
        self._without_keys = frozenset(
            one for pair in pairs if pair.without_keys for one in (pair.left, pair.right)
        )


def _give(pair: _Pair, heard: NDArray[np.int16]) -> bool:
    """Hands over a tick; whether there will be more."""
    left, right = pair.left, pair.right
    if left.closed and right.closed:
        _give_rest(pair)
        return False
    try:
        both = pair.alignment.turn(
            _frame(left, heard),
            _frame(right, heard),
            left.receiver.waits,
            right.receiver.waits,
        )
        pair.tap.frames(*both)
    except Exception:
        # A tap is somebody else's code: its defect costs the tap, not the calls.
        _log.exception("a tap of two channels failed and was removed")
        return False
    return True


def _give_rest(pair: _Pair) -> None:
    """Hands over what the one who came first has said, which waits for the other.

    What the key mute still holds is not among it: whether there is a key in it was not to be known.
    """
    try:
        for both in pair.alignment.rest():
            pair.tap.frames(*both)
    except Exception:
        _log.exception("a tap of two channels failed at its end")


def _frame(one: Termination, heard: NDArray[np.int16]) -> NDArray[np.int16]:
    if one.closed:
        return np.zeros(FRAME, np.int16)
    frame: NDArray[np.int16] = heard[one.row].copy()
    return frame
