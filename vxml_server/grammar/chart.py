"""The parser: Earley's algorithm over transition networks, one token at a time.

A column holds what can be said between two tokens: the items (node, origin, count) that are
possible there. The chart grows with each token and is never rebuilt, so that a key costs the same
whenever it is pressed; left recursion, empty rules and ambiguity are all polynomial.

A parse is read off the finished chart (`Chart.parse`). Where a grammar is ambiguous, the parse is
chosen so, and always the same way:

1. alternatives are tried in the order of their weights, those of equal weight (or of none) in
   document order, and the first that fits the whole input is taken;
2. a repeat takes one more turn before it takes none, unless its repeat-prob is less than a half;
   GARBAGE takes no word before it takes one;
3. a rule reference takes the longest stretch of input with which the rest still matches;
4. a recursive rule that could stand for itself over the same words does so as few times as
   possible: only over a parse that the chart found before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

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
    Void,
)
from vxml_server.grammar.rules import Tag, Token
from vxml_server.grammar.status import Status, status

MAX_ITEMS = 200_000
"""What a chart may hold: about a second's work. A match that needs more is given up."""

Item = tuple[int, int, int]
"""A node, the column in which its network was entered, and the turns of its loop so far."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A word that GARBAGE took."""

    text: str


@dataclass(slots=True)
class RuleMatch:
    """A network's part of a parse; `label` is how it was referred to, "" for a repeat's turns."""

    rule: int
    label: str
    start: int
    end: int
    parts: list[Part] = field(default_factory=list)


Part: TypeAlias = Token | Tag | Heard | RuleMatch


class _Column:
    __slots__ = ("completed", "items", "number", "pending", "waiting")

    def __init__(self, number: int) -> None:
        self.number = number
        self.items: set[Item] = set()
        self.pending: list[Item] = []
        self.completed: dict[tuple[int, int], int] = {}
        self.waiting: dict[int, list[Item]] = {}


class Chart:
    """What is known of the words read so far, of one input."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.words: list[str] = []
        self.written: list[str] = []
        first = _Column(0)
        self._columns = [first]
        self._size = 0
        start = network.rules[0].start
        if not isinstance(network.nodes[start], Void):
            self._expand(first, [(start, 0, 0)])

    @property
    def status(self) -> Status:
        return status(accepted=self.accepted, extensible=bool(self._columns[-1].pending))

    @property
    def accepted(self) -> bool:
        """Whether what was read is a match."""
        if len(self._columns) == 1:
            return self.network.rules[0].nullable
        return (0, 0) in self._columns[-1].completed

    def next_words(self) -> list[str]:
        """The words that can follow."""
        return self.network.first_words(item[0] for item in self._columns[-1].pending)

    def feed(self, word: str, written: str) -> None:
        """Reads one word: `word` is what is compared, `written` what GARBAGE would report."""
        self.words.append(word)
        self.written.append(written)
        column, following = self._columns[-1], _Column(len(self._columns))
        self._columns.append(following)
        nodes = self.network.nodes
        moved: list[Item] = []
        for item in column.pending:  # grows as choices are looked into
            node = nodes[item[0]]
            if isinstance(node, Read):
                if node.word == word:
                    moved.append((node.next, item[1], item[2]))
            elif isinstance(node, Choice):
                branches = [node.branches[index] for index in node.by_word.get(word, ())]
                self._expand(column, [(branch, item[1], item[2]) for branch in branches])
            else:
                moved.append(item)
        self._expand(following, moved)
        if self._size > MAX_ITEMS:
            self._columns[-1] = _Column(following.number)

    def _expand(self, column: _Column, todo: list[Item]) -> None:
        """Adds items, and all that follows from them without reading."""
        nodes, rules = self.network.nodes, self.network.rules
        while todo:
            item = todo.pop()
            if item in column.items:
                continue
            column.items.add(item)
            self._size += 1
            if self._size > MAX_ITEMS:
                return
            state, origin, count = item
            match nodes[state]:
                case Read():
                    column.pending.append(item)
                case Emit(next=following):
                    todo.append((following, origin, count))
                case Fork(branches):
                    todo.extend((branch, origin, count) for branch in branches)
                case Choice(branches, by_word, always):
                    todo.extend((branches[index], origin, count) for index in always)
                    if by_word:
                        column.pending.append(item)
                case Skip(following):
                    column.pending.append(item)
                    todo.append((following, origin, count))
                case Call(rule, following):
                    self._call(column, rule, (following, origin, count), todo)
                case Loop(rule, body, minimum, maximum):
                    if count >= minimum or rules[body].nullable:
                        self._complete(column, rule, origin, todo)
                    if maximum is None or count < maximum:
                        more = min(count + 1, minimum) if maximum is None else count + 1
                        # An empty turn leads nowhere that the loop does not lead without it.
                        self._wait(column, body, (state, origin, more), todo)
                case Final(rule):
                    self._complete(column, rule, origin, todo)

    def _call(self, column: _Column, rule: int, waiting: Item, todo: list[Item]) -> None:
        self._wait(column, rule, waiting, todo)
        if self.network.rules[rule].nullable:
            todo.append(waiting)

    def _wait(self, column: _Column, rule: int, waiting: Item, todo: list[Item]) -> None:
        """Begins the network `rule`, if it has not begun here, and goes on when it has ended."""
        if rule not in column.waiting:
            column.waiting[rule] = []
            todo.append((self.network.rules[rule].start, column.number, 0))
        column.waiting[rule].append(waiting)

    def _complete(self, column: _Column, rule: int, origin: int, todo: list[Item]) -> None:
        # An empty match went past its call already: that a network is nullable is known beforehand.
        if origin != column.number and (rule, origin) not in column.completed:
            column.completed[rule, origin] = len(column.completed)
            todo.extend(self._columns[origin].waiting.get(rule, ()))

    @property
    def completed(self) -> list[dict[tuple[int, int], int]]:
        """For each column the networks that ended there, with where they began, and in which
        order that was found."""
        return [column.completed for column in self._columns]

    # Reading off the parse ---------------------------------------------------------------------

    def parse(self, label: str) -> RuleMatch | None:
        """The winning parse of all that was read, under the root's `label`."""
        if not self.accepted:
            return None
        return Reader(self).parse(label)


@dataclass(frozen=True, slots=True)
class Step:
    """A place on a path through a network, and what the path emitted to get there."""

    state: int
    at: int
    count: int
    emitted: Part | None
    before: Step | None

    @property
    def place(self) -> tuple[int, int, int]:
        return (self.state, self.at, self.count)


class Reader:
    """Reads parses off what each column completed."""

    def __init__(self, chart: Chart) -> None:
        completed = chart.completed
        self.network = chart.network
        self.words = chart.words
        self.written = chart.written
        self.completed = completed
        self.ends: dict[tuple[int, int], list[int]] = {}
        for end in range(len(completed) - 1, -1, -1):
            for key in completed[end]:
                self.ends.setdefault(key, []).append(end)

    def parse(self, label: str) -> RuleMatch:
        return self.whole(RuleMatch(0, label, 0, len(self.words)))

    def whole(self, root: RuleMatch) -> RuleMatch:
        """`root` with all its parts, and theirs."""
        todo = [root]
        while todo:
            match = todo.pop()
            match.parts = self.path(match)
            todo.extend(part for part in match.parts if isinstance(part, RuleMatch))
        return root

    def path(self, goal: RuleMatch) -> list[Part]:
        """What the preferred path through the network of `goal` emits: a search depth first, in
        which a place that led nowhere is not entered again."""
        stack = [self.first(goal)]
        seen: set[Item] = set()
        while stack:
            step = stack.pop()
            if step.place in seen:
                continue
            seen.add(step.place)
            if (end := self.end(step, goal)) is not None:
                return end
            stack.extend(reversed(self.following(step, goal)))
        raise AssertionError("a parse that the chart does not hold was asked for")

    def first(self, goal: RuleMatch) -> Step:
        return Step(self.network.rules[goal.rule].start, goal.start, 0, None, None)

    def end(self, step: Step, goal: RuleMatch) -> list[Part] | None:
        """What was emitted on the way, if the goal ends here."""
        node = self.network.nodes[step.state]
        if step.at < goal.end:
            return None
        if isinstance(node, Final):
            return emitted(step)
        if isinstance(node, Loop):
            if step.count >= node.minimum:
                return emitted(step)
            if self.network.rules[node.body].nullable:
                return [*emitted(step), RuleMatch(node.body, "", step.at, step.at)]
        return None

    def following(self, step: Step, goal: RuleMatch) -> list[Step]:
        return self.steps(self.network.nodes[step.state], step, goal)

    def steps(self, node: Node, step: Step, goal: RuleMatch) -> list[Step]:
        """The places that `step` leads to, the preferred first."""
        at, count = step.at, step.count
        word = self.words[at] if at < goal.end else None
        match node:
            case Read() if node.word != word:
                return []
            case Read(token=token, next=following):
                shown = None if token is None else Token(token)
                return [Step(following, at + 1, count, shown, step)]
            case Skip(following):
                on = [Step(following, at, count, None, step)]
                if word is not None:
                    on.append(Step(step.state, at + 1, count, Heard(self.written[at]), step))
                return on
            case Emit(item, following):
                return [Step(following, at, count, item, step)]
            case Fork(branches):
                return [Step(branch, at, count, None, step) for branch in branches]
            case Choice():
                return [Step(branch, at, count, None, step) for branch in node.allowed(word)]
            case Call(rule, following, label):
                return [
                    Step(following, end, count, RuleMatch(rule, label, at, end), step)
                    for end in self.calls(rule, at, goal)
                ]
            case Loop(body=body, minimum=minimum, maximum=maximum):
                if maximum is not None and count >= maximum:
                    return []
                more = min(count + 1, minimum) if maximum is None else count + 1
                return [
                    Step(step.state, end, more, RuleMatch(body, "", at, end), step)
                    for end in self.calls(body, at, goal)
                    if end > at
                ]
            case _:
                return []

    def calls(self, rule: int, at: int, goal: RuleMatch) -> list[int]:
        """Where a call of `rule` at `at` may end, the longest first."""
        info, own = self.network.rules[rule], self.network.rules[goal.rule]
        circular = info.component == own.component
        ends = [end for end in self.ends.get((rule, at), ()) if end <= goal.end]
        if circular and ends and (at, ends[0]) == (goal.start, goal.end):
            order = self.completed[goal.end]
            if order[rule, at] >= order[goal.rule, at]:
                ends = ends[1:]
        if info.nullable:
            empty_goal = goal.start == goal.end
            if not (circular and empty_goal and info.null_order >= own.null_order):
                ends.append(at)
        counted = self.network.nodes[info.start]
        return ends[::-1] if isinstance(counted, Loop) and counted.lazy else ends


def emitted(step: Step) -> list[Part]:
    found: list[Part] = []
    at: Step | None = step
    while at is not None:
        if at.emitted is not None:
            found.append(at.emitted)
        at = at.before
    return found[::-1]
