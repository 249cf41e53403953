"""Keys, one by one, until they are an input: VoiceXML 2.0 section 6.3.3 and appendix D.

A `KeyCollector` is one caller's progress through all key grammars that are active during one wait
for input. It has no clock and no sockets: keys come in with the time at which they were pressed,
`deadline` says when `expire` has to be called, and both answer with a `KeyOutcome` once the input
has ended. One collector makes one outcome; what rules here, and nowhere else:

- All active grammars are considered together. Input goes on while any of them can go on.
- `term_char` ends the input, unless a grammar itself goes on with that key.
- A match that can be continued waits for `interdigit_timeout`; a match that cannot is accepted at
  once, or waits `term_timeout` for the terminating key if there is one.
- Keys that no grammar can begin with are a nomatch at once; an unfinished input is one after
  `interdigit_timeout`.

Times are seconds on any clock that does not go back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from vxml_server.grammar import JointMatcher, Match, Status
from vxml_server.interpreter.platform import (
    ActiveGrammar,
    InputKind,
    InputProperties,
    Recognition,
)


@dataclass(frozen=True, slots=True)
class KeyOutcome:
    """How a key input ended.

    `kind` is MATCH or NOMATCH. `pressed` is every key that this input used up, the terminating key
    included; the utterances in `nbest` are without it. For MATCH `nbest` holds the interpretations,
    the nearest grammar's first; for NOMATCH one entry with the keys alone. `unused` are keys that
    ended the input but belong to the next one.
    """

    kind: InputKind
    pressed: str
    nbest: tuple[Recognition, ...]
    unused: str = ""


class _Phase(Enum):
    COLLECTING = "collecting"
    AWAITING_TERM_CHAR = "awaiting the terminating key"
    ENDED = "ended"


class KeyCollector:
    """Collects the keys of one input.

    `grammars` are the active grammars in order of precedence, those for voice are passed over.
    `feed` and `expire` raise `VoiceXmlEvent` `error.semantic` when a tag of the matching grammar
    fails, and `ValueError` once there has been an outcome.
    """

    def __init__(self, grammars: Sequence[ActiveGrammar], properties: InputProperties) -> None:
        self._properties = properties
        self._term_char = properties.term_char.upper()
        self._active = [active for active in grammars if active.mode == "dtmf"]
        self._matcher = JointMatcher([active.grammar for active in self._active])
        self._keys = ""
        self._phase = _Phase.COLLECTING
        self.pressed = ""
        self.deadline: float | None = None

    def feed(self, key: str, at: float) -> KeyOutcome | None:
        """Takes one key (`0`-`9`, `*`, `#`, `A`-`D`) pressed at `at`; the outcome if it ends."""
        self._refuse_after_the_end()
        key = key.upper()
        if self._phase is _Phase.AWAITING_TERM_CHAR:
            if key != self._term_char:
                return self._end(self._matcher.matches(), unused=key)
            self.pressed += key
            return self._end(self._matcher.matches())
        self.pressed += key
        # Asked for before the matcher moves on: the key may turn out to be the terminating one.
        before = self._matcher.matches() if key == self._term_char else []
        status = self._matcher.feed(key)
        if status is Status.DEAD:
            if key == self._term_char:
                return self._end(before)
            self._keys += key
            return self._end([])
        self._keys += key
        if status is not Status.COMPLETE:
            self.deadline = at + self._properties.interdigit_timeout
            return None
        if self._term_char and self._properties.term_timeout > 0:
            self._phase = _Phase.AWAITING_TERM_CHAR
            self.deadline = at + self._properties.term_timeout
            return None
        return self._end(self._matcher.matches())

    def expire(self) -> KeyOutcome:
        """What the keys so far amount to, no other having come before `deadline`."""
        self._refuse_after_the_end()
        return self._end(self._matcher.matches())

    def _refuse_after_the_end(self) -> None:
        if self._phase is _Phase.ENDED:
            raise ValueError("this input has ended")

    def _end(self, found: list[tuple[int, Match]], unused: str = "") -> KeyOutcome:
        self._phase = _Phase.ENDED
        self.deadline = None
        if not found:
            heard = Recognition(self._keys, 1.0, None, "dtmf", None)
            return KeyOutcome(InputKind.NOMATCH, self.pressed, (heard,), unused)
        nbest: list[Recognition] = []
        for number, match in found:
            meaning = match.interpretation
            # Elements of application.lastresult$ differ (section 5.1.5); the utterance does not.
            if all(meaning != other.interpretation for other in nbest):
                nbest.append(Recognition(self._keys, 1.0, meaning, "dtmf", self._active[number]))
            if len(nbest) >= self._properties.max_nbest:
                break
        return KeyOutcome(InputKind.MATCH, self.pressed, tuple(nbest), unused)
