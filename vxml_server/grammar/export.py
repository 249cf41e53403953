"""What recognisers ask of a grammar: its words, its sentences, and the grammar as JSGF.

Only what the root rule can reach is told. `to_jsgf` writes all that JSGF can say: GARBAGE becomes
`<NULL>`, a repeat of more turns than are worth writing out becomes one without limit, and what a
built-in type makes of its words is left out. So a recogniser may hear a little more than the
grammar allows, which the grammar itself then refuses.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from vxml_server.grammar.automaton import Run
from vxml_server.grammar.chart import Chart
from vxml_server.grammar.network import (
    Call,
    Choice,
    Emit,
    Fork,
    Loop,
    Network,
    Read,
    Skip,
    next_nodes,
)
from vxml_server.grammar.reachability import completion_order
from vxml_server.grammar.rules import (
    Expansion,
    OneOf,
    Repeat,
    RuleRef,
    Special,
    Tag,
    Token,
    leaves,
)
from vxml_server.grammar.rules import Sequence as Sequence_

MAX_TURNS = 20
"""The turns of a repeat that are written out in JSGF."""
RANDOM_STEPS = 100
"""The nodes that a random sentence may wander through before it makes for the end."""
MAX_RANDOM_STEPS = 50_000
"""The nodes after which it is given up: the shortest way to the end is no sentence to say."""

_PLAIN = re.compile(r"[\w'.-]+")


def vocabulary(network: Network) -> tuple[tuple[str, str], ...]:
    """The tokens that can be said, each once with its language, in the order of the documents."""
    found: dict[tuple[str, str], None] = {}
    for number, name in _rules(network):
        document = network.documents[number]
        for leaf in leaves(document.rules[name].expansion, possible=True):
            if isinstance(leaf, Token):
                found[leaf.text, leaf.lang or document.lang] = None
    return tuple(found)


def _rules(network: Network) -> list[tuple[int, str]]:
    """The document and the name of each rule that the network has."""
    return [(rule.document, rule.name) for rule in network.rules if rule.name]


# Sentences ---------------------------------------------------------------------------------------


def is_endless(network: Network) -> bool:
    """Whether a grammar may have sentences without end: GARBAGE, recursion, an open repeat."""
    components = {rule.component for rule in network.rules}
    if len(components) < len(network.rules):
        return True
    for number, rule in enumerate(network.rules):
        open_nodes: set[int] = set()
        done: set[int] = set()
        path = [(rule.start, iter((rule.start,)))]
        while path:
            at, rest = path[-1]
            following = next(rest, None)
            if following is None:
                path.pop()
                open_nodes.discard(at)
                done.add(at)
                continue
            if following in open_nodes:
                return True
            if following in done:
                continue
            match network.nodes[following]:
                case Skip() | Loop(maximum=None):
                    return True
                case Call(rule=called) if called == number:
                    return True
            open_nodes.add(following)
            path.append((following, iter(next_nodes(network.nodes[following]))))
    return False


def accepting(start: Run | Chart) -> Iterator[Run | Chart]:
    """Each way of hearing a sentence of a grammar that is not endless, in the order of their words.
    `start` has been fed nothing."""
    todo: list[tuple[str, ...]] = [()]
    while todo:
        words = todo.pop()
        progress = _fed(start, words)
        if progress.accepted:
            yield progress
        todo.extend((*words, word) for word in reversed(progress.next_words()))


def _fed(start: Run | Chart, words: tuple[str, ...]) -> Run | Chart:
    progress = Run(start.automaton) if isinstance(start, Run) else Chart(start.network)
    for word in words:
        progress.feed(word, word)
    return progress


def random_tokens(network: Network, source: random.Random) -> list[str] | None:
    """The tokens of a random sentence; None for a grammar that has none, or only endless ones."""
    order = completion_order(network)
    number = network.rules[0].start
    if number not in order:
        return None
    tokens: list[str] = []
    calls: list[_Call] = []
    for step in range(MAX_RANDOM_STEPS):
        hurry = step > RANDOM_STEPS
        node = network.nodes[number]
        match node:
            case Read(token=token, next=following):
                tokens.extend([] if token is None else [token])
                number = following
            case Emit(item, following):
                tokens.extend([item.text] if isinstance(item, Token) else [])
                number = following
            case Skip(following):
                number = following
            case Fork(branches):
                number = _pick(branches, order, source, hurry=hurry)
            case Choice():
                number = _pick(_branches(node, source, hurry=hurry), order, source, hurry=hurry)
            case Call(rule, following):
                calls.append((following, 0, 0))
                number = network.rules[rule].start
            case Loop(body=body, minimum=minimum, maximum=maximum):
                most = minimum + 3 if maximum is None else min(maximum, minimum + 3)
                turns = minimum if hurry else source.randint(minimum, most)
                calls.append((-1, network.rules[body].start, turns))
                number = _leave(calls)
            case _:
                number = _leave(calls)
        if number < 0:
            return tokens
    return None


_Call: TypeAlias = tuple[int, int, int]
"""Where to go on after a network; or -1, where a turn of a loop begins, and how many are left."""


def _leave(calls: list[_Call]) -> int:
    """The node after the end of a network; -1 at the end of all."""
    while calls:
        following, body, turns = calls.pop()
        if following >= 0:
            return following
        if turns:
            calls.append((-1, body, turns - 1))
            return body
    return -1


def _pick(
    branches: Sequence[int], order: Mapping[int, int], source: random.Random, *, hurry: bool
) -> int:
    """A branch: any, or in a hurry the one from which the end is nearest."""
    return min(branches, key=order.__getitem__) if hurry else source.choice(branches)


def _branches(choice: Choice, source: random.Random, *, hurry: bool) -> Sequence[int]:
    """Branches of which each beginning, and not each alternative, is as likely as any other."""
    ways: list[str | int] = [*choice.by_word, *choice.always]
    if hurry or not ways:
        return choice.branches
    way = source.choice(ways)
    indexes = (way,) if isinstance(way, int) else choice.by_word[way]
    return [choice.branches[index] for index in indexes]


# JSGF --------------------------------------------------------------------------------------------


def to_jsgf(network: Network, root: str) -> str:
    """The grammar as JSGF, with its tags; the root is the only public rule."""
    names: dict[tuple[int, str], str] = {}
    taken = {"NULL", "VOID"}
    for number, rule in _rules(network):
        unique = rule
        while unique in taken:
            unique += "_"
        taken.add(unique)
        names[number, rule] = unique
    lines = ["#JSGF V1.0 UTF-8;", f"grammar {root or 'empty'};"]
    writer = _Writer(network, names)
    for count, ((number, rule), name) in enumerate(names.items()):
        expansion = network.documents[number].rules[rule].expansion
        public = "" if count else "public "
        lines.append(f"{public}<{name}> = {writer.alternatives(expansion, number)};")
    return "\n".join(lines) + "\n"


class _Writer:
    """Writes expansions; `names` are what rules are called in the one grammar that is made."""

    def __init__(self, network: Network, names: Mapping[tuple[int, str], str]) -> None:
        self.names = names
        self.documents = network.documents

    def alternatives(self, expansion: Expansion, document: int) -> str:
        if not isinstance(expansion, OneOf):
            return self.sequence(expansion, document)
        weights = [f"/{weight}/ " for weight in expansion.weights]
        written = [self.sequence(branch, document) for branch in expansion.alternatives]
        return (
            " | ".join(map("".join, zip(weights, written, strict=True)))
            if weights
            else (" | ".join(written))
        )

    def sequence(self, expansion: Expansion, document: int) -> str:
        if isinstance(expansion, Sequence_) and expansion.items:
            return " ".join(self.part(item, document) for item in expansion.items)
        return self.part(expansion, document)

    def part(self, expansion: Expansion, document: int) -> str:
        match expansion:
            case Token(text):
                return self.token(text)
            case Tag(text):
                escaped = re.sub(r"([\\{}])", r"\\\1", text)
                # A tag belongs to what stands before it.
                return f"<NULL> {{{escaped}}}"
            case RuleRef():
                return f"<{self.name(expansion, document)}>"
            case OneOf():
                return f"({self.alternatives(expansion, document)})"
            case Repeat(maximum=0):
                return "<NULL>"
            case Repeat(body, minimum, maximum):
                return self.repeat(self.part(body, document), minimum, maximum)
            case Special.VOID:
                return "<VOID>"
            case Sequence_(items) if items:
                return f"({self.sequence(expansion, document)})"
            case _:
                return "<NULL>"

    def token(self, text: str) -> str:
        if _PLAIN.fullmatch(text):
            return text
        escaped = re.sub(r'([\\"])', r"\\\1", text)
        return f'"{escaped}"'

    def name(self, reference: RuleRef, document: int) -> str:
        for number, other in enumerate(self.documents):
            there = other.uri == reference.uri if reference.uri else number == document
            lang = not reference.uri.startswith("builtin:") or other.lang == reference.lang
            name = self.names.get((number, reference.rule or other.root))
            if there and lang and name is not None:
                return name
        raise AssertionError("a reference that the network does not have")

    def repeat(self, body: str, minimum: int, maximum: int | None) -> str:
        least = min(minimum, MAX_TURNS)
        if maximum is None or maximum > MAX_TURNS:
            once = [body] * (least - 1)
            return f"({' '.join([*once, f'({body})+'])})" if least else f"({body})*"
        more = ""
        for _ in range(maximum - least):
            more = f"[{body} {more}]" if more else f"[{body}]"
        return f"({' '.join([body] * least + [more] * bool(more))})"
