"""Several grammars that listen to the same input, as one.

What a key does to all of the grammars of a menu is looked up in one place: a joint state is the
states of their automata side by side, made when it is first reached and kept for all calls. What
must hold: each grammar matches what it would match alone. Those that have no automaton are matched
one by one beside the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from vxml_server.grammar.automaton import Automaton, State
from vxml_server.grammar.grammar import Grammar, Match, Matcher
from vxml_server.grammar.status import Status, status
from vxml_server.grammar.tokens import words

MAX_STATES = 2000
"""The joint states that are kept of one set of grammars; further ones are made anew each time."""


class _JointState:
    """The states of the automata after some words, and what they come to together."""

    __slots__ = ("matching", "next", "states", "status")

    def __init__(self, states: tuple[State, ...]) -> None:
        self.states = states
        self.matching = tuple([place for place, state in enumerate(states) if state.accepted])
        self.status = status(
            accepted=bool(self.matching), extensible=any(state.pending for state in states)
        )
        self.next: dict[str, _JointState] = {}


class _Joint:
    """The automata of a set of grammars; shared by all calls."""

    def __init__(self, grammars: tuple[Grammar, ...]) -> None:
        self.regular: list[int] = []
        self._automata: list[Automaton] = []
        for number, grammar in enumerate(grammars):
            if grammar.automaton is not None:
                self.regular.append(number)
                self._automata.append(grammar.automaton)
        self.start = _JointState(tuple([automaton.start for automaton in self._automata]))
        self._known: dict[tuple[State, ...], _JointState] = {self.start.states: self.start}

    def step(self, state: _JointState, word: str) -> _JointState:
        pairs = zip(self._automata, state.states, strict=True)
        states = tuple([automaton.step(each, word) for automaton, each in pairs])
        found = self._known.get(states)
        if found is not None:
            state.next[word] = found
            return found
        made = _JointState(states)
        if len(self._known) < MAX_STATES and all(each.kept for each in states):
            self._known[states] = state.next[word] = made
        return made


_joint = lru_cache(maxsize=1000)(_Joint)


class JointMatcher:
    """One listener's progress through several grammars of one mode.

    `status` is what they say together: COMPLETE means that one matches and none can go on.
    """

    __slots__ = ("_grammars", "_heard", "_irregular", "_joint", "_state", "_written", "status")

    def __init__(self, grammars: Sequence[Grammar]) -> None:
        self._grammars = tuple(grammars)
        self._joint = _joint(self._grammars)
        self._state = self._joint.start
        self._heard: list[str] = []
        self._written: list[str] = []
        self._irregular: tuple[tuple[int, Matcher], ...] = ()
        if len(self._joint.regular) < len(self._grammars):
            numbered = enumerate(self._grammars)
            self._irregular = tuple([(n, g.start()) for n, g in numbered if g.automaton is None])
        self.status = self._together()

    def feed(self, token: str) -> Status:
        """Takes one key or one word, or several; once DEAD it stays so."""
        if not self._grammars:
            return self.status
        for word, written in words(token, self._grammars[0].mode):
            self._heard.append(word)
            self._written.append(written)
            self._state = self._state.next.get(word) or self._joint.step(self._state, word)
        if self._irregular:
            for _, matcher in self._irregular:
                matcher.feed(token)
            self.status = self._together()
        else:
            self.status = self._state.status
        return self.status

    def matches(self) -> list[tuple[int, Match]]:
        """The match of each grammar that what was fed so far matches, by the grammar's number."""
        found: list[tuple[int, Match]] = []
        for place in self._state.matching:
            number = self._joint.regular[place]
            match = self._grammars[number].matched(self._heard, self._written)
            if match is not None:
                found.append((number, match))
        if self._irregular:
            alone = [(number, matcher.match()) for number, matcher in self._irregular]
            found = sorted(
                found + [(number, match) for number, match in alone if match is not None],
                key=lambda numbered: numbered[0],
            )
        return found

    def _together(self) -> Status:
        if not self._irregular:
            return self._state.status
        each = {self._state.status, *(matcher.status for _, matcher in self._irregular)}
        return status(
            accepted=any(one.matches for one in each),
            extensible=not each.isdisjoint({Status.PARTIAL, Status.MATCH_OPEN}),
        )
