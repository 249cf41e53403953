"""The compiled form of a grammar: one transition network a rule, in one table of nodes.

A rule is a network that begins at its start node and ends at a `Final`; a reference is a `Call` of
another network. What must hold once it is compiled (`compiler`):

- Every node can still lead to a match: what VOID, or recursion without end, makes unproductive is
  cut off. So a parser that has anything left to do is at a viable prefix.
- The order of a fork's branches is the order of preference.
- The table's size is proportional to the grammar's: a repeat with counts is one network and a
  `Loop`, whatever the counts; look-ahead over alternatives is bounded by a budget.

The table is immutable, and shared by all calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from vxml_server.grammar.rules import Document, JsonValue, Said, Tag, Token


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


def next_nodes(node: Node) -> tuple[int, ...]:
    """The nodes after this one in its own network."""
    match node:
        case Read(next=following) | Skip(following) | Emit(next=following) | Call(next=following):
            return (following,)
        case Fork(branches) | Choice(branches):
            return branches
        case _:
            return ()
