"""Which sentences of a grammar were said: a search through the tokens of all their spellings.

The sentences' spellings are one tree of tokens. Whisper gives the odds of each token after those
before it, and of the end; a sentence is as likely as its spellings together. Beginnings that are
far behind the best are not followed, so that a grammar of ten thousand sentences costs little more
than one of twenty.

A model likes common words even when it hears nothing. What it makes of silence is therefore taken
off, by a part: that corrects odds which the same model would give to "two" for any noise at all.
These priors are worked out once for each place in a tree and kept there.

The rule that must hold: a search ends after a fixed number of looks into the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from vxml_server.asr.whisper_model import Logits, Tokens, log_probabilities

PRIOR_PART = 0.6
"""How much of what silence makes likely is taken off."""
BEAM = 7.0
"""Beginnings whose odds are e to this power behind the best sentence's are given up."""
LOOKS = 24
"""How often a search may look into the model."""
WIDTH = 8
"""How many beginnings it looks at each time."""


class Reader(Protocol):
    """What a search asks of a model: see `Hearing.read`."""

    def read(self, texts: Sequence[Tokens]) -> list[list[Logits]]: ...


class Node:
    """A place in the tree of tokens; `prior` is the log-probability of its token in silence."""

    __slots__ = ("children", "known", "prior", "sentence", "token")

    def __init__(self, token: int = -1) -> None:
        self.token = token
        self.children: dict[int, Node] = {}
        self.sentence = -1
        self.prior = 0.0
        self.known = False
        """Whether the priors of the children are."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Sentences, and the tree of the tokens of their spellings."""

    sentences: tuple[str, ...]
    root: Node = field(repr=False)


def tree_of(sentences: Sequence[str], spelled: Sequence[Sequence[Tokens]]) -> Tree:
    """The tree of sentences, each of which is spelled in one or more ways."""
    root = Node()
    for number, ways in enumerate(spelled):
        for tokens in ways:
            node = root
            for token in tokens:
                if token not in node.children:
                    node.children[token] = Node(token)
                node = node.children[token]
            # Two sentences that are written alike sound alike: the first one is meant.
            if tokens and node.sentence < 0:
                node.sentence = number
    return Tree(tuple(sentences), root)


@dataclass(frozen=True, slots=True)
class Scored:
    """A sentence and its best spelling.

    `score` is corrected by the prior; `probability` is the logarithm of the model's own, `gap` how
    far that is from what the model would have written in each place, at most 0; `tokens` counts.
    """

    text: str
    score: float
    probability: float
    gap: float
    tokens: int


@dataclass(frozen=True, slots=True)
class _Place:
    """A beginning that is to be looked at."""

    node: Node
    path: Tokens
    score: float
    probability: float
    gap: float


def search(tree: Tree, heard: Reader, silence: Reader, ends: npt.NDArray[np.intp]) -> list[Scored]:
    """The likeliest sentences, the best first. `ends` are the tokens that end a sentence."""
    found = _Found()
    waiting = [_Place(tree.root, (), 0.0, 0.0, 0.0)]
    for _ in range(LOOKS):
        least = found.best - BEAM
        waiting = sorted((p for p in waiting if p.score > least), key=lambda p: -p.score)
        looked_at, waiting = waiting[:WIDTH], waiting[WIDTH:]
        if not looked_at:
            break
        waiting += _look(looked_at, heard, silence, ends, found)
    return found.sentences(tree.sentences)


def _look(
    places: Sequence[_Place],
    heard: Reader,
    silence: Reader,
    ends: npt.NDArray[np.intp],
    found: _Found,
) -> list[_Place]:
    """Goes on from places, each as far as there is one way only; gives the places after them."""
    ways = [_way(place.node) for place in places]
    paths = [
        (*place.path, *(node.token for node in way[1:]))
        for place, way in zip(places, ways, strict=True)
    ]
    _learn_priors([(way, path) for way, path in zip(ways, paths, strict=True)], silence)
    reached: list[_Place] = []
    for place, way, path, rows in zip(places, ways, paths, heard.read(paths), strict=True):
        score, probability, gap = place.score, place.probability, place.gap
        length = len(place.path)
        for step, node in enumerate(way):
            children = list(node.children.values())
            asked = np.array([*(child.token for child in children), *ends], np.intp)
            row, most = log_probabilities(rows[length + step], asked)
            if node.sentence >= 0:
                end = float(np.logaddexp.reduce(row[len(children) :]))
                found.add(
                    node.sentence,
                    (score + end, probability + end, gap + min(0.0, end - most), length + step),
                )
            after = [
                _Place(
                    child,
                    (*path[: length + step], child.token),
                    score + float(value) - PRIOR_PART * child.prior,
                    probability + float(value),
                    gap + float(value) - most,
                )
                for child, value in zip(children, row, strict=False)
            ]
            if step + 1 == len(way):
                reached += after
            else:
                score, probability, gap = after[0].score, after[0].probability, after[0].gap
    return reached


def _way(node: Node) -> list[Node]:
    """The nodes from this one to the next that has not just one child."""
    way = [node]
    while len(node.children) == 1:
        node = next(iter(node.children.values()))
        way.append(node)
    return way


def learn_priors(tree: Tree, silence: Reader, most: int) -> None:
    """Works out the priors of a tree beforehand, if there are not more than `most` ways in it."""
    found: list[tuple[list[Node], Tokens]] = []
    todo: list[tuple[Node, Tokens]] = [(tree.root, ())]
    while todo:
        node, path = todo.pop()
        way = _way(node)
        whole = (*path, *(one.token for one in way[1:]))
        found.append((way, whole))
        if len(found) > most:
            return
        todo.extend((child, (*whole, token)) for token, child in way[-1].children.items())
    _learn_priors(found, silence)


def _learn_priors(ways: Iterable[tuple[list[Node], Tokens]], silence: Reader) -> None:
    unknown = [
        (way, path) for way, path in ways if any(node.children and not node.known for node in way)
    ]
    if not unknown:
        return
    for (way, path), rows in zip(unknown, silence.read([p for _, p in unknown]), strict=True):
        for node, row in zip(way, rows[len(path) + 1 - len(way) :], strict=True):
            children = list(node.children.values())
            if children and not node.known:
                asked = np.array([child.token for child in children], np.intp)
                for child, prior in zip(children, log_probabilities(row, asked)[0], strict=True):
                    child.prior = float(prior)
                node.known = True


_Scores: TypeAlias = tuple[float, float, float, int]
"""As in `Scored`: score, probability, gap, tokens."""


class _Found:
    """Sentences that were reached, their spellings added up."""

    def __init__(self) -> None:
        self._found: dict[int, _Scores] = {}
        self.best = -np.inf

    def add(self, sentence: int, scores: _Scores) -> None:
        known = self._found.get(sentence)
        if known is not None:
            better = scores if scores[0] > known[0] else known
            score = float(np.logaddexp(scores[0], known[0]))
            scores = score, float(np.logaddexp(scores[1], known[1])), *better[2:]
        self._found[sentence] = scores
        self.best = max(self.best, scores[0])

    def sentences(self, texts: Sequence[str]) -> list[Scored]:
        order = sorted(self._found.items(), key=lambda item: -item[1][0])
        return [Scored(texts[number], *scores) for number, scores in order]
