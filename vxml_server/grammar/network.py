"""The compiled form of a grammar: one transition network a rule, in one table of nodes.

A rule is a network that begins at its start node and ends at a `Final`; a reference is a `Call` of
another network. What must hold once `compile_network` returns:

- Every node can still lead to a match: what VOID, or recursion without end, makes unproductive is
  cut off. So a parser that has anything left to do is at a viable prefix.
- The order of a fork's branches is the order of preference.
- The table's size is proportional to the grammar's: a repeat with counts is one network and a
  `Loop`, whatever the counts; look-ahead over alternatives is bounded by a budget.

The table is immutable, and shared by all calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from vxml_server.grammar.rules import (
    Document,
    Expansion,
    JsonValue,
    OneOf,
    Repeat,
    RuleRef,
    Said,
    Sequence,
    Special,
    Tag,
    Token,
)
from vxml_server.grammar.tokens import words


@dataclass(frozen=True, slots=True)
class Read:
    """Reads `word`. `token` is the grammar's token that ends with it, None within one."""

    word: str
    token: str | None
    next: int


@dataclass(frozen=True, slots=True)
class Skip:
    """GARBAGE: goes on at once, or reads any word and stays."""

    next: int


@dataclass(frozen=True, slots=True)
class Emit:
    """Passes a tag, or a token in which there is no word to hear."""

    item: Tag | Token
    next: int


@dataclass(frozen=True, slots=True)
class Fork:
    """Goes on at any branch, the first preferred."""

    branches: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A fork that knows which branches the next word allows.

    `by_word` and `always` are indexes of `branches`, ascending; the branches of `by_word` all
    begin by reading one of their words.
    """

    branches: tuple[int, ...]
    by_word: Mapping[str, tuple[int, ...]]
    always: tuple[int, ...]

    def allowed(self, word: str | None) -> list[int]:
        """The branches that `word` (None: no word) leaves, in order of preference."""
        found = self.by_word.get(word, ()) if word is not None else ()
        return [self.branches[index] for index in sorted(found + self.always)]


@dataclass(frozen=True, slots=True)
class Call:
    """Matches the network `rule`, then goes on. `label` is "" for a network without a name."""

    rule: int
    next: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Loop:
    """The only node of a counted network: `body`, `minimum` to `maximum` times; when `lazy`, as
    few as possible."""

    rule: int
    body: int
    minimum: int
    maximum: int | None
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Final:
    """The end of the network `rule`."""

    rule: int


@dataclass(frozen=True, slots=True)
class Void:
    """Leads nowhere."""


Node = Read | Skip | Emit | Fork | Choice | Call | Loop | Final | Void


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """What is known of one network.

    `name` is "" for one made from a repeat. `nullable` networks match nothing at all, and
    `null_order` is then the order in which that was found out: an empty parse of one needs only
    those before it. Networks that refer to each other in a circle share their `component`.
    """

    start: int
    name: str = ""
    document: int = 0
    value: Callable[[Said], JsonValue] | None = None
    nullable: bool = False
    null_order: int = 0
    component: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    nodes: tuple[Node, ...]
    rules: tuple[RuleInfo, ...]
    documents: tuple[Document, ...]

    def first_words(self, numbers: Iterable[int]) -> list[str]:
        """The words that nodes read next, each once; GARBAGE reads anything, and says nothing."""
        found: dict[str, None] = {}
        for number in numbers:
            node = self.nodes[number]
            if isinstance(node, Read):
                found[node.word] = None
            elif isinstance(node, Choice):
                found.update(dict.fromkeys(node.by_word))
        return list(found)

    @classmethod
    def empty(cls, document: Document) -> Network:
        """The network of a grammar without rules: it matches nothing."""
        return cls((Void(),), (RuleInfo(0),), (document,))


def compile_network(documents: Mapping[str, Document], root: str) -> Network:
    """The network of the rule `root` of the document "" and of all it refers to.

    `documents` holds every document referred to under its URI. The root has the number 0.
    """
    builder = _Builder(documents)
    builder.number("", root)
    builder.build()
    nodes, rules = builder.nodes, builder.rules
    components = _components(nodes, rules)
    recursive = len(set(components)) < len(rules) or _calls_itself(nodes, rules)
    # What has no VOID and no recursion in it ends anyway.
    if recursive or any(isinstance(node, Void) for node in nodes):
        _prune(nodes, rules, _least(nodes, rules, _needs_to_end))
        components = _components(nodes, rules)
    nullable = _least(nodes, rules, _needs_to_end_unheard)
    order = {node: position for position, node in enumerate(nullable)}
    rules = [
        replace(
            rule,
            nullable=rule.start in order,
            null_order=order.get(rule.start, 0),
            component=components[number],
        )
        for number, rule in enumerate(rules)
    ]
    _look_ahead(nodes, rules, order)
    return Network(tuple(nodes), tuple(rules), tuple(builder.documents))


class _Builder:
    """Turns rule trees into nodes, from the end of each rule to its start."""

    def __init__(self, documents: Mapping[str, Document]) -> None:
        self.by_uri = documents
        self.documents: list[Document] = []
        self.document_numbers: dict[int, int] = {}
        self.numbers: dict[tuple[int, str], int] = {}
        self.nodes: list[Node] = []
        self.rules: list[RuleInfo] = []
        self.todo: list[tuple[int, str, Expansion]] = []

    def number(self, uri: str, name: str) -> int:
        """The number of a rule, which is put on the list of those to build."""
        document = self.by_uri[uri]
        name = name or document.root
        key = (id(document), name)
        if (found := self.numbers.get(key)) is not None:
            return found
        if id(document) not in self.document_numbers:
            self.document_numbers[id(document)] = len(self.documents)
            self.documents.append(document)
        rule = document.rules[name]
        made = self.numbers[key] = self.add_rule(uri, rule.expansion)
        place = self.document_numbers[id(document)]
        self.rules[made] = RuleInfo(0, name=name, document=place, value=rule.value)
        return made

    def add_rule(self, uri: str, expansion: Expansion) -> int:
        self.rules.append(RuleInfo(0))
        self.todo.append((len(self.rules) - 1, uri, expansion))
        return len(self.rules) - 1

    def build(self) -> None:
        while self.todo:
            rule, uri, expansion = self.todo.pop()
            start = self.expand(expansion, uri, self.add(Final(rule)))
            self.rules[rule] = replace(self.rules[rule], start=start)

    def add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def expand(self, expansion: Expansion, uri: str, following: int) -> int:
        """The start of a network that matches `expansion` and goes on at `following`."""
        match expansion:
            case Token(text):
                return self.read(text, uri, following)
            case Tag():
                return self.add(Emit(expansion, following))
            case Sequence(items):
                for item in reversed(items):
                    following = self.expand(item, uri, following)
                return following
            case OneOf(alternatives):
                branches = [
                    self.expand(alternatives[index], uri, following)
                    for index in expansion.preferred()
                ]
                return branches[0] if len(branches) == 1 else self.add(Fork(tuple(branches)))
            case RuleRef():
                target = self.number(expansion.document or uri, expansion.rule)
                return self.add(Call(target, following, expansion.written))
            case Repeat():
                return self.repeat(expansion, uri, following)
            case Special.NULL:
                return following
            case Special.GARBAGE:
                return self.add(Skip(following))
            case _:
                return self.add(Void())

    def read(self, text: str, uri: str, following: int) -> int:
        pairs = words(text, self.by_uri[uri].mode)
        if not pairs:
            return self.add(Emit(Token(text), following))
        shown: str | None = text
        keys = self.by_uri[uri].mode == "dtmf"
        for word, written in reversed(pairs):
            following = self.add(Read(word, written if keys else shown, following))
            shown = None
        return following

    def repeat(self, repeat: Repeat, uri: str, following: int) -> int:
        match repeat.minimum, repeat.maximum:
            case _, 0:
                return following
            case 1, 1:
                return self.expand(repeat.expansion, uri, following)
            case 0, 1:
                body = self.expand(repeat.expansion, uri, following)
                return self.add(_again_or_on(body, following, repeat))
            case (0 | 1) as minimum, None:
                again = self.add(Void())
                body = self.expand(repeat.expansion, uri, again)
                self.nodes[again] = _again_or_on(body, following, repeat)
                return body if minimum else again
            case minimum, maximum:
                body = self.add_rule(uri, repeat.expansion)
                self.rules.append(RuleInfo(len(self.nodes)))
                counted = len(self.rules) - 1
                self.add(Loop(counted, body, minimum, maximum, repeat.lazy))
                return self.add(Call(counted, following))


def _again_or_on(body: int, following: int, repeat: Repeat) -> Fork:
    return Fork((following, body) if repeat.lazy else (body, following))


# What is known before any input ------------------------------------------------------------------

_Needs = Callable[[Node, "list[RuleInfo]"], "tuple[tuple[int, ...], ...]"]


def _needs_to_end(node: Node, rules: list[RuleInfo]) -> tuple[tuple[int, ...], ...]:
    """The sets of nodes, each of which is enough for `node` to reach its network's end."""
    match node:
        case Final():
            return ((),)
        case Read(next=following) | Skip(following) | Emit(next=following):
            return ((following,),)
        case Fork(branches) | Choice(branches):
            return tuple((branch,) for branch in branches)
        case Call(rule, following):
            return ((rules[rule].start, following),)
        case Loop(minimum=0):
            return ((),)
        case Loop(body=body):
            return ((rules[body].start,),)
        case _:
            return ()


def _needs_to_end_unheard(node: Node, rules: list[RuleInfo]) -> tuple[tuple[int, ...], ...]:
    """As `_needs_to_end`, without reading a word."""
    return () if isinstance(node, Read) else _needs_to_end(node, rules)


def _least(nodes: list[Node], rules: list[RuleInfo], needs: _Needs) -> dict[int, None]:
    """The nodes of which `needs` holds, each after those it needs; in time linear in the table."""
    found: dict[int, None] = {}
    waiting: dict[int, list[list[int]]] = {}
    for number, node in enumerate(nodes):
        for needed in needs(node, rules):
            clause = [number, len(needed)]
            for other in needed:
                waiting.setdefault(other, []).append(clause)
            if not needed:
                found[number] = None
    todo = list(found)
    for known in todo:
        for clause in waiting.get(known, ()):
            clause[1] -= 1
            if clause[1] == 0 and clause[0] not in found:
                found[clause[0]] = None
                todo.append(clause[0])
    return found


def _prune(nodes: list[Node], rules: list[RuleInfo], productive: Mapping[int, None]) -> None:
    """Cuts off what cannot lead to a match."""
    for number, node in enumerate(nodes):
        if number not in productive:
            nodes[number] = Void()
        elif isinstance(node, Fork):
            nodes[number] = Fork(tuple(b for b in node.branches if b in productive))
        elif isinstance(node, Loop) and rules[node.body].start not in productive:
            nodes[number] = Final(node.rule)


def _components(nodes: list[Node], rules: list[RuleInfo]) -> list[int]:
    """For each rule the number of its strongly connected component (Tarjan, without recursion)."""
    calls = [_called(nodes, rule.start) for rule in rules]
    component = [-1] * len(rules)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    open_rules: list[int] = []
    for first in range(len(rules)):
        path = [] if first in index else [(first, iter(calls[first]))]
        if path:
            index[first] = low[first] = len(index)
            open_rules.append(first)
        while path:
            rule, rest = path[-1]
            for called in rest:
                if called not in index:
                    index[called] = low[called] = len(index)
                    open_rules.append(called)
                    path.append((called, iter(calls[called])))
                    break
                if component[called] < 0:
                    low[rule] = min(low[rule], index[called])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[rule])
                if low[rule] == index[rule]:
                    while component[rule] < 0:
                        component[open_rules.pop()] = rule
    return component


def _calls_itself(nodes: list[Node], rules: list[RuleInfo]) -> bool:
    return any(number in _called(nodes, rule.start) for number, rule in enumerate(rules))


def _called(nodes: list[Node], start: int) -> list[int]:
    """The networks that the network beginning at `start` calls."""
    called: dict[int, None] = {}
    seen = {start}
    todo = [start]
    while todo:
        node = nodes[todo.pop()]
        if isinstance(node, Call):
            called[node.rule] = None
        elif isinstance(node, Loop):
            called[node.body] = None
        steps = next_nodes(node)
        todo.extend(step for step in steps if step not in seen)
        seen.update(steps)
    return list(called)


def next_nodes(node: Node) -> tuple[int, ...]:
    """The nodes after this one in its own network."""
    match node:
        case Read(next=following) | Skip(following) | Emit(next=following) | Call(next=following):
            return (following,)
        case Fork(branches) | Choice(branches):
            return branches
        case _:
            return ()


def completion_order(network: Network) -> dict[int, int]:
    """The nodes from which the end of their network can be reached, with their rank: each needs
    only nodes of a lower rank to get there."""
    found = _least(list(network.nodes), list(network.rules), _needs_to_end)
    return {node: rank for rank, node in enumerate(found)}


# Look-ahead --------------------------------------------------------------------------------------

SMALL_FORK = 4
"""Forks of fewer branches are not worth a table."""


def _look_ahead(nodes: list[Node], rules: list[RuleInfo], nullable: Mapping[int, int]) -> None:
    """Makes `Choice`s of the forks with many branches, while the budget lasts."""
    budget = 8 * len(nodes) + 1000
    for number, node in enumerate(nodes):  # grows as branches are gathered
        if not isinstance(node, Fork) or len(node.branches) < SMALL_FORK:
            continue
        by_word: dict[str, list[int]] = {}
        always = []
        for index, branch in enumerate(node.branches):
            found = None if branch in nullable else _first(nodes, rules, branch, budget)
            if found is None:
                always.append(index)
                continue
            first, cost = found
            budget -= cost
            for word in first:
                by_word.setdefault(word, []).append(index)
        branches = node.branches if always else _gather(nodes, node.branches, by_word)
        tables = {word: tuple(indexes) for word, indexes in by_word.items()}
        nodes[number] = Choice(branches, tables, tuple(always))


def _gather(
    nodes: list[Node], branches: tuple[int, ...], by_word: dict[str, list[int]]
) -> tuple[int, ...]:
    """Makes one branch of those that begin with the same word, so that ten thousand alternatives
    are a tree of words. Their order is kept: once the word is known, no other branch is possible.
    """
    made = list(branches)
    for word, indexes in by_word.items():
        first = [nodes[branches[index]] for index in indexes]
        reads = [node for node in first if isinstance(node, Read)]
        if len(reads) < 2 or len(reads) < len(first) or len({read.token for read in reads}) > 1:
            continue
        nodes.append(Fork(tuple(read.next for read in reads)))
        nodes.append(Read(word, reads[0].token, len(nodes) - 1))
        by_word[word] = [len(made)]
        made.append(len(nodes) - 1)
    return tuple(made)


def _first(
    nodes: list[Node], rules: list[RuleInfo], start: int, budget: int
) -> tuple[set[str], int] | None:
    """The words with which a branch can begin, and the nodes looked at; None: not known."""
    first: set[str] = set()
    seen = {start}
    todo = [start]
    cost = 0
    while todo:
        cost += 1
        if cost > budget:
            return None
        match nodes[todo.pop()]:
            case Read(word):
                first.add(word)
                continue
            case Skip():
                return None
            case Emit(next=following):
                steps: tuple[int, ...] = (following,)
            case Fork(branches):
                steps = branches
            case Choice(branches, by_word, always):
                cost += len(by_word)
                first.update(by_word)
                steps = tuple(branches[index] for index in always)
            case Call(rule, following):
                inner = rules[rule]
                steps = (inner.start, following) if inner.nullable else (inner.start,)
            case Loop(body=body):
                steps = (rules[body].start,)
            case _:
                steps = ()
        todo.extend(step for step in steps if step not in seen)
        seen.update(steps)
    return first, cost
