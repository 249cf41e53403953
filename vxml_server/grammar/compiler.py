"""From rule trees to a transition network: what a grammar says, made ready to be parsed.

The rule that must hold: it takes time and room in proportion to the grammar's size, whatever the
grammar; the look-ahead, which could take more, has a budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vxml_server.grammar.lookahead import look_ahead
from vxml_server.grammar.network import (
    Call,
    Emit,
    Final,
    Fork,
    Loop,
    Network,
    Node,
    Read,
    RuleInfo,
    Skip,
    Void,
)
from vxml_server.grammar.reachability import (
    calls_itself,
    components,
    least,
    needs_to_end,
    needs_to_end_unheard,
)
from vxml_server.grammar.rules import (
    Document,
    Expansion,
    OneOf,
    Repeat,
    RuleRef,
    Sequence,
    Special,
    Tag,
    Token,
)
from vxml_server.grammar.tokens import words


def compile_network(documents: Mapping[str, Document], root: str) -> Network:
    """The network of the rule `root` of the document "" and of all it refers to.

    `documents` holds every document referred to under its URI. The root has the number 0.
    """
    builder = _Builder(documents)
    builder.number("", root)
    builder.build()
    nodes, rules = builder.nodes, builder.rules
    component = components(nodes, rules)
    recursive = len(set(component)) < len(rules) or calls_itself(nodes, rules)
    # What has no VOID and no recursion in it ends anyway.
    if recursive or any(isinstance(node, Void) for node in nodes):
        _prune(nodes, rules, least(nodes, rules, needs_to_end))
        component = components(nodes, rules)
    nullable = least(nodes, rules, needs_to_end_unheard)
    order = {node: position for position, node in enumerate(nullable)}
    rules = [
        replace(
            rule,
            nullable=rule.start in order,
            null_order=order.get(rule.start, 0),
            component=component[number],
        )
        for number, rule in enumerate(rules)
    ]
    look_ahead(nodes, rules, order)
    return Network(tuple(nodes), tuple(rules), tuple(builder.documents))


def _prune(nodes: list[Node], rules: list[RuleInfo], productive: Mapping[int, None]) -> None:
    """Cuts off what cannot lead to a match."""
    for number, node in enumerate(nodes):
        if number not in productive:
            nodes[number] = Void()
        elif isinstance(node, Fork):
            nodes[number] = Fork(tuple(b for b in node.branches if b in productive))
        elif isinstance(node, Loop) and rules[node.body].start not in productive:
            nodes[number] = Final(node.rule)


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
