"""All that an ambiguous input may be, the preferred parse first.

The order is that of `chart`: of two parses the one comes first that differs from the other, at the
first place where they differ, by an alternative of more weight, by one more turn of a repeat, or by
a longer rule reference. Bounded: what is asked for is a handful, and no more is looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from vxml_server.grammar.chart import Chart, Part, Reader, RuleMatch, Step
from vxml_server.grammar.tree import notation

MAX_STEPS = 20_000
"""What is looked at for all parses of one input."""
MAX_DEPTH = 100
"""How deeply rules may nest; further in, only the preferred parse is given."""

_Goal = tuple[int, int, int]
_Place = tuple[int, int, int]
_Shown = tuple[str | int, ...]
"""What tells a part of a parse from another."""


def parses(chart: Chart, label: str, limit: int) -> list[RuleMatch]:
    """Up to `limit` parses with different trees; the first is that of `Chart.parse`."""
    if not chart.accepted or limit < 1:
        return []
    forest = _Forest(chart, limit)
    best = chart.parse(label)
    found = {} if best is None else {notation(best): best}
    for parts in forest.readings((0, 0, len(chart.words)), 0):
        parse = RuleMatch(0, label, 0, len(chart.words), parts)
        found.setdefault(notation(parse), parse)
        if len(found) >= limit:
            break
    return list(found.values())


class _Forest:
    """The parses of one chart."""

    def __init__(self, chart: Chart, limit: int) -> None:
        self.reader = Reader(chart)
        self.limit = limit
        self.steps = 0
        self.known: dict[_Goal, list[list[Part]]] = {}

    def readings(self, goal: _Goal, depth: int) -> list[list[Part]]:
        """What the network of a goal may emit, with all that is in it read."""
        if goal in self.known:
            return self.known[goal]
        match = RuleMatch(goal[0], "", goal[1], goal[2])
        # While it is being read, a goal inside itself has the one parse that needs it least.
        self.known[goal] = [self.reader.whole(match).parts]
        # The same words may be had by other ways: only what shows in the tree makes a difference.
        found: dict[tuple[_Shown, ...], list[Part]] = {}
        for path in self.paths(match) if depth < MAX_DEPTH else ():
            choices = [self.choices(part, depth) for part in path]
            for chosen in itertools.islice(itertools.product(*choices), self.limit):
                shown = tuple(key for key, _ in chosen)
                found.setdefault(shown, [part for _, part in chosen])
            if len(found) >= self.limit:
                break
        if found:
            self.known[goal] = list(found.values())[: self.limit]
        return self.known[goal]

    def choices(self, part: Part, depth: int) -> list[tuple[_Shown, Part]]:
        if not isinstance(part, RuleMatch):
            return [((type(part).__name__, part.text), part)]
        goal = (part.rule, part.start, part.end)
        return [
            (
                (part.label, *goal, number),
                RuleMatch(part.rule, part.label, part.start, part.end, inner),
            )
            for number, inner in enumerate(self.readings(goal, depth + 1))
        ]

    def paths(self, goal: RuleMatch) -> Iterator[list[Part]]:
        """The paths through the network of a goal, the preferred first."""
        first = self.reader.first(goal)
        leading = self.leading(first, goal)
        stack = [first]
        while stack and self.steps < MAX_STEPS:
            step = stack.pop()
            self.steps += 1
            if (end := self.reader.end(step, goal)) is not None:
                yield end
            following = [
                after
                for after in self.reader.following(step, goal)
                if after.place in leading and not _turns_back(after)
            ]
            stack.extend(reversed(following))

    def leading(self, first: Step, goal: RuleMatch) -> set[_Place]:
        """The places from which the end of the goal can be reached."""
        before: dict[_Place, list[_Place]] = {first.place: []}
        ends = []
        todo = [first]
        for step in todo:  # grows as places are reached
            self.steps += 1
            if self.steps > MAX_STEPS:
                return set()
            if self.reader.end(step, goal) is not None:
                ends.append(step.place)
            for after in self.reader.following(step, goal):
                if after.place not in before:
                    todo.append(after)
                before.setdefault(after.place, []).append(step.place)
        found = set(ends)
        for place in ends:  # grows too
            for earlier in before[place]:
                if earlier not in found:
                    found.add(earlier)
                    ends.append(earlier)
        return found


def _turns_back(step: Step) -> bool:
    """Whether a path comes to a place again without having heard a word."""
    earlier = step.before
    while earlier is not None and earlier.at == step.at:
        if earlier.place == step.place:
            return True
        earlier = earlier.before
    return False
