"""The automaton of a regular grammar: what can follow is looked up, not worked out.

A grammar is regular here when no rule needs itself but at its very end (`$list = $name [$list]`),
and when all of its references, written out, stay within a bound. Then what is possible after some
words is a finite set of configurations (a node, and the calls that are open there), and such a set
is a state. States are made when they are first reached, so compiling costs nothing; they are kept
for all calls, up to a bound.

The automaton tells whether words match. The parse is read off the network when it is asked for:
directly while the words leave one way to go, and by the chart, whose order of preference then
decides, where there are two. So the two ways of matching cannot disagree on a tree.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from vxml_server.grammar.chart import Chart, Heard, RuleMatch
from vxml_server.grammar.network import (
    Call,
    Choice,
    Emit,
    Final,
    Fork,
    Loop,
    Network,
    Node,
    Read,
    Skip,
    next_nodes,
)
from vxml_server.grammar.rules import Token
from vxml_server.grammar.spelling import spelling
from vxml_server.grammar.status import Status, status

MAX_KEPT = 200_000
"""The configurations, in all states, that one automaton keeps; further states are made anew each
time."""
MAX_SIZE = 20_000
"""What a grammar may come to with its references written out, if it is not long as it stands."""
MAX_PLACES = 50_000
"""What is looked at for one parse before it is left to the chart."""
MAX_PARSES = 200
"""The parses that one automaton keeps, of inputs of `SHORT` words or less: what callers press at a
menu comes again and again."""
SHORT = 3

Configuration = tuple[int, int]
"""A node, and the number of the frame to which its network returns."""

_END: Configuration = (-1, 0)
"""The end of the whole grammar."""


class State:
    """What is possible after some words.

    `accepted`: they are a match. `pending` are the configurations that wait for a word, in order of
    preference. Only states that are `kept` are remembered as following others.
    """

    __slots__ = ("accepted", "kept", "next", "other", "pending", "status")

    def __init__(self, pending: tuple[Configuration, ...], accepted: bool, kept: bool) -> None:
        self.pending = pending
        self.accepted = accepted
        self.kept = kept
        self.status = status(accepted=accepted, extensible=bool(pending))
        self.next: dict[str, State] = {}
        self.other: State | None = None


class Automaton:
    """The states of one network, shared by all calls and threads."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.spelling = spelling(network)
        self._parses: dict[tuple[Sequence[str], Sequence[str]], RuleMatch | None] = {}
        # A frame: the node to go on at, the turns of a loop so far, and the frame outside.
        self._frames: list[tuple[int, int, int]] = [(-1, 0, 0)]
        self._frame_numbers: dict[tuple[int, int, int], int] = {}
        self._states: dict[tuple[frozenset[Configuration], bool], State] = {}
        self._kept = 0
        self._lock = threading.RLock()
        self.start = self._state([(network.rules[0].start, 0)])

    def step(self, state: State, word: str) -> State:
        """The state after one more word."""
        known = state.next.get(word)
        return self._step(state, word) if known is None else known

    def _step(self, state: State, word: str) -> State:
        with self._lock:
            moved: list[Configuration] = []
            garbage: list[Configuration] = []
            todo = list(state.pending)
            seen = set(todo)
            for number, frame in todo:  # grows as choices are looked into
                node = self.network.nodes[number]
                if isinstance(node, Read):
                    if node.word == word:
                        moved.append((node.next, frame))
                elif isinstance(node, Choice):
                    entered = [(node.branches[i], frame) for i in node.by_word.get(word, ())]
                    inner = [place for place in self._closure(entered)[0] if place not in seen]
                    todo.extend(inner)
                    seen.update(inner)
                else:
                    garbage.append((number, frame))
            if moved:
                # Only words of the grammar get an entry of their own, so the table is bounded.
                made = self._state(moved + garbage)
                if made.kept:
                    state.next[word] = made
                return made
            other = state.other or self._state(garbage)
            if other.kept:
                state.other = other
            return other

    def _state(self, entered: list[Configuration]) -> State:
        pending, accepted = self._closure(entered)
        key = (frozenset(pending), accepted)
        known = self._states.get(key)
        if known is None:
            kept = self._kept < MAX_KEPT
            known = State(tuple(pending), accepted, kept)
            if kept:
                self._states[key] = known
                self._kept += len(pending) + 1
        return known

    def _closure(self, entered: list[Configuration]) -> tuple[list[Configuration], bool]:
        """What waits for a word after `entered`, and whether the end was reached."""
        pending = []
        seen: set[Configuration] = set()
        todo = entered[::-1]
        while todo:
            place = todo.pop()
            if place in seen:
                continue
            seen.add(place)
            if place == _END:
                continue
            node = self.network.nodes[place[0]]
            if isinstance(node, Read | Skip) or (isinstance(node, Choice) and node.by_word):
                pending.append(place)
            todo.extend(reversed(self.unheard(place)))
        return pending, _END in seen

    def parse(
        self, words: tuple[str, ...], written: tuple[str, ...], label: str
    ) -> RuleMatch | None:
        """The parse of words that match, which nobody may change; None if it is too much work."""
        heard = (words, written)
        if heard in self._parses:
            return self._parses[heard]
        parse = _Walk(self, words, written).parse(label)
        if parse is None:
            parse = self.chart(words, written).parse(label)
        if len(words) <= SHORT and len(self._parses) < MAX_PARSES:
            self._parses[heard] = parse
        return parse

    def chart(self, words: Sequence[str], written: Sequence[str]) -> Chart:
        """A chart that has been fed these words."""
        chart = Chart(self.network)
        for word, as_written in zip(words, written, strict=True):
            chart.feed(word, as_written)
        return chart

    def unheard(self, place: Configuration) -> list[Configuration]:
        """Where one gets from `place` in a step that hears no word."""
        number, frame = place
        match self.network.nodes[number]:
            case Emit(next=following) | Skip(following):
                return [(following, frame)]
            case Fork(branches):
                return [(branch, frame) for branch in branches]
            case Choice(branches, _, always):
                return [(branches[index], frame) for index in always]
            case Call(rule, following):
                return [(self.network.rules[rule].start, self.inside(following, frame))]
            case Loop():
                return self.after_turns(number, 0, frame)
            case Final():
                return self.leave(frame)
            case _:
                return []

    def inside(self, following: int, frame: int) -> int:
        """The frame of a call that goes on at `following`; none is needed for one at the end."""
        return frame if _is_end(self.network.nodes, following) else self._frame(following, 0, frame)

    def turn(self, number: int, turns: int, frame: int) -> tuple[int, Configuration] | None:
        """One more turn of a loop after `turns`: how many that makes, and where it begins."""
        loop = self.network.nodes[number]
        if not isinstance(loop, Loop) or (loop.maximum is not None and turns >= loop.maximum):
            return None
        more = min(turns + 1, loop.minimum) if loop.maximum is None else turns + 1
        return more, (self.network.rules[loop.body].start, self._frame(number, more, frame))

    def end_of_loop(self, number: int, turns: int, frame: int) -> list[Configuration]:
        """Where one goes when a loop ends after `turns`; nowhere if they are too few."""
        loop = self.network.nodes[number]
        if not isinstance(loop, Loop):
            return []
        enough = turns >= loop.minimum or self.network.rules[loop.body].nullable
        return self.leave(frame) if enough else []

    def after_turns(self, number: int, turns: int, frame: int) -> list[Configuration]:
        turn = self.turn(number, turns, frame)
        places = [] if turn is None else [turn[1]]
        return places + self.end_of_loop(number, turns, frame)

    def leave(self, frame: int) -> list[Configuration]:
        """Where one goes on at the end of a network."""
        if frame == 0:
            return [_END]
        following, turns, outside = self._frames[frame]
        if isinstance(self.network.nodes[following], Loop):
            return self.after_turns(following, turns, outside)
        return [(following, outside)]

    def _frame(self, following: int, turns: int, outside: int) -> int:
        key = (following, turns, outside)
        found = self._frame_numbers.get(key)
        if found is None:
            with self._lock:
                found = len(self._frames)
                self._frames.append(key)
                self._frame_numbers[key] = found
        return found


class Run:
    """One input on its way through an automaton; does what a `Chart` does."""

    __slots__ = ("_state", "automaton", "words", "written")

    def __init__(self, automaton: Automaton) -> None:
        self.automaton = automaton
        self.words: list[str] = []
        self.written: list[str] = []
        self._state = automaton.start

    @property
    def status(self) -> Status:
        return self._state.status

    @property
    def accepted(self) -> bool:
        return self._state.accepted

    def feed(self, word: str, written: str) -> None:
        self.words.append(word)
        self.written.append(written)
        state = self._state
        self._state = state.next.get(word) or self.automaton.step(state, word)

    def next_words(self) -> list[str]:
        """The words that can follow."""
        return self.automaton.network.first_words(number for number, _ in self._state.pending)

    def parse(self, label: str) -> RuleMatch | None:
        if not self.accepted:
            return None
        return self.automaton.parse(tuple(self.words), tuple(self.written), label)


class _AmbiguousError(Exception):
    """There is more than one way to go, or too much to look at."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A call, or a turn of a loop, that has begun: where it goes on, and in what it stands."""

    following: int
    turns: int
    frame: int
    match: RuleMatch


_Place = tuple[Configuration, int]
"""A configuration, and the number of words heard."""


class _Walk:
    """Reads off the only parse of words that match."""

    def __init__(self, automaton: Automaton, words: Sequence[str], written: Sequence[str]) -> None:
        self.automaton = automaton
        self.words = words
        self.written = written
        self.known: dict[_Place, bool] = {}

    def parse(self, label: str) -> RuleMatch | None:
        """The parse; None when there may be several."""
        try:
            return self.walk(label)
        except _AmbiguousError:
            return None

    def walk(self, label: str) -> RuleMatch:
        automaton = self.automaton
        nodes, rules = automaton.network.nodes, automaton.network.rules
        match = RuleMatch(0, label, 0, len(self.words))
        number, turns, frame, at = rules[0].start, 0, 0, 0
        calls: list[_Open] = []
        while True:
            node = nodes[number]
            if isinstance(node, Loop) and (turn := self.another_turn(number, turns, frame, at)):
                calls.append(_Open(number, turn[0], frame, match))
                (number, frame), turns = turn[1], 0
                continue
            match node:
                case Read(token=token, next=following):
                    if token is not None:
                        match.parts.append(Token(token))
                    number, at = following, at + 1
                case Emit(item, following):
                    match.parts.append(item)
                    number = following
                case Call(rule, following, name):
                    calls.append(_Open(following, 0, frame, match))
                    number, turns, frame = rules[rule].start, 0, automaton.inside(following, frame)
                    if name:
                        inner = RuleMatch(rule, name, at, at)
                        match.parts.append(inner)
                        match = inner
                case Final() | Loop():
                    match.end = at
                    if not calls:
                        return match
                    opened = calls.pop()
                    number, turns, frame = opened.following, opened.turns, opened.frame
                    match = opened.match
                case _:
                    (number, frame), heard = self.only(self.branches(node, number, frame, at))
                    if heard > at:
                        match.parts.append(Heard(self.written[at]))
                    at = heard

    def another_turn(
        self, number: int, turns: int, frame: int, at: int
    ) -> tuple[int, Configuration] | None:
        """The next turn of a loop, if there is one."""
        loop = self.automaton.network.nodes[number]
        if isinstance(loop, Loop) and self.automaton.network.rules[loop.body].nullable:
            raise _AmbiguousError  # as many turns as one likes may be empty
        turn = self.automaton.turn(number, turns, frame)
        ends = [(place, at) for place in self.automaton.end_of_loop(number, turns, frame)]
        if turn is None or not self.leads_on((turn[1], at)):
            return None
        if any(self.leads_on(end) for end in ends):
            raise _AmbiguousError
        return turn

    def branches(self, node: Node, number: int, frame: int, at: int) -> list[_Place]:
        word = self.words[at] if at < len(self.words) else None
        match node:
            case Fork(branches):
                return [((branch, frame), at) for branch in branches]
            case Choice():
                return [((branch, frame), at) for branch in node.allowed(word)]
            case Skip(following) if word is not None:
                return [((following, frame), at), ((number, frame), at + 1)]
            case Skip(following):
                return [((following, frame), at)]
            case _:
                return []

    def only(self, places: list[_Place]) -> _Place:
        """The one of the places that leads to the end."""
        leading = places if len(places) == 1 else [p for p in places if self.leads_on(p)]
        if len(leading) != 1:
            raise _AmbiguousError
        return leading[0]

    def leads_on(self, first: _Place) -> bool:
        """Whether the rest of the words can be heard from a place: a search depth first.

        Places that are being looked into stand in `known` as leading nowhere until they turn out
        to lead on; one that leads to itself is for the chart.
        """
        known, end = self.known, (_END, len(self.words))
        if first in known:
            return known[first]
        path = [(first, iter(self.following(first)))]
        open_places = {first}
        while path:
            place, rest = path[-1]
            for following in rest:
                if following in open_places or len(known) > MAX_PLACES:
                    raise _AmbiguousError
                if following == end or known.get(following):
                    known.update((passed, True) for passed, _ in path)
                    return True
                if following not in known:
                    open_places.add(following)
                    path.append((following, iter(self.following(following))))
                    break
            else:
                known[place] = False
                open_places.discard(place)
                path.pop()
        return False

    def following(self, place: _Place) -> list[_Place]:
        configuration, at = place
        number, frame = configuration
        if configuration == _END:
            return []
        node = self.automaton.network.nodes[number]
        if isinstance(node, Read):
            reads = at < len(self.words) and self.words[at] == node.word
            return [((node.next, frame), at + 1)] if reads else []
        if isinstance(node, Fork | Choice | Skip):
            return self.branches(node, number, frame, at)
        return [(reached, at) for reached in self.automaton.unheard(configuration)]


# Which grammars are regular ----------------------------------------------------------------------


def automaton_of(network: Network) -> Automaton | None:
    """The automaton of a network; None for one that is not regular, or too large written out."""
    if _written_out(network) > max(MAX_SIZE, 4 * len(network.nodes)):
        return None
    return Automaton(network)


def _written_out(network: Network) -> float:
    """The nodes of a network with each call replaced by what it calls; infinite if not regular."""
    own: dict[int, float] = {}
    calls: dict[int, list[tuple[int, float]]] = {}
    for rule in network.rules:
        size, called = _parts(network, rule.start)
        for callee, times, at_end in called:
            inner = network.rules[callee].component
            if inner != rule.component:
                calls.setdefault(rule.component, []).append((inner, times))
            elif not at_end:
                return math.inf
        own[rule.component] = own.get(rule.component, 0) + size
        calls.setdefault(rule.component, [])
    sizes: dict[int, float] = {}
    todo = [network.rules[0].component]
    while todo:
        component = todo[-1]
        missing = [inner for inner, _ in calls[component] if inner not in sizes]
        if missing and component not in sizes:
            todo.extend(missing)
            continue
        todo.pop()
        inside = (times * sizes[inner] for inner, times in calls[component])
        sizes[component] = own[component] + sum(inside)
    return sizes[network.rules[0].component]


def _parts(network: Network, start: int) -> tuple[int, list[tuple[int, float, bool]]]:
    """The number of nodes of the network that begins at `start`, and what it calls: the network,
    how often, and whether nothing comes after."""
    called = []
    seen = {start}
    todo = [start]
    while todo:
        node = network.nodes[todo.pop()]
        if isinstance(node, Call):
            called.append((node.rule, 1.0, _is_end(network.nodes, node.next)))
        elif isinstance(node, Loop):
            turns = float(node.maximum or node.minimum or 1)
            # Where turns may be empty, all of them are possible at once.
            times = turns * turns if network.rules[node.body].nullable else turns
            called.append((node.body, times, False))
        steps = next_nodes(node)
        todo.extend(step for step in steps if step not in seen)
        seen.update(steps)
    return len(seen), called


def _is_end(nodes: Sequence[Node], number: int) -> bool:
    """Whether nothing is heard between a node and its network's end."""
    while isinstance(node := nodes[number], Emit):
        number = node.next
    return isinstance(node, Final)
