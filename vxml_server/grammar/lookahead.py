"""Which branches of a fork the next word allows, found out once and not at every word.

The rules that must hold: a fork's branches keep their order of preference; what cannot be found out
within the budget stays as it was, so that a grammar cannot make its compilation long.
"""

from __future__ import annotations

from collections.abc import Mapping

from vxml_server.grammar.network import (
    Call,
    Choice,
    Emit,
    Fork,
    Loop,
    Node,
    Read,
    RuleInfo,
    Skip,
)

SMALL_FORK = 4
"""Forks of fewer branches are not worth a table."""


def look_ahead(nodes: list[Node], rules: list[RuleInfo], nullable: Mapping[int, int]) -> None:
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
