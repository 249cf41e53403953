"""What is known of a network before any input: what can end, and what calls what.

The rule that must hold: no recursion and no search; each question is answered in time linear in
the table, whatever the grammar.
"""

from __future__ import annotations

from collections.abc import Callable

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
    RuleInfo,
    Skip,
    next_nodes,
)

_Needs = Callable[[Node, "list[RuleInfo]"], "tuple[tuple[int, ...], ...]"]


def needs_to_end(node: Node, rules: list[RuleInfo]) -> tuple[tuple[int, ...], ...]:
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


def needs_to_end_unheard(node: Node, rules: list[RuleInfo]) -> tuple[tuple[int, ...], ...]:
    """As `needs_to_end`, without reading a word."""
    return () if isinstance(node, Read) else needs_to_end(node, rules)


def least(nodes: list[Node], rules: list[RuleInfo], needs: _Needs) -> dict[int, None]:
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


def components(nodes: list[Node], rules: list[RuleInfo]) -> list[int]:
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


def calls_itself(nodes: list[Node], rules: list[RuleInfo]) -> bool:
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


def completion_order(network: Network) -> dict[int, int]:
    """The nodes from which the end of their network can be reached, with their rank: each needs
    only nodes of a lower rank to get there."""
    found = least(list(network.nodes), list(network.rules), needs_to_end)
    return {node: rank for rank, node in enumerate(found)}
