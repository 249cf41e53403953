"""What several grammars make of what a recogniser heard: VoiceXML 2.0 sections 3.1.4 and 5.1.5.

The rule that must hold: likelier hypotheses come first; of those equally likely, and of the
grammars that match the same words, the one with precedence; and no two elements are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vxml_server.grammar.grammar import Grammar, Hypothesis, Match, same_value


@dataclass(frozen=True, slots=True)
class Heard:
    """A hypothesis that a grammar, by its index, takes for a sentence."""

    match: Match
    confidence: float
    grammar: int


def nbest(
    hypotheses: Sequence[Hypothesis], grammars: Sequence[Grammar], limit: int
) -> tuple[Heard, ...]:
    """Up to `limit` elements of an n-best list; `grammars` are in order of precedence.

    With a limit above one, an ambiguous sentence has all its interpretations. Raises
    `VoiceXmlEvent` `error.semantic` when a tag fails.
    """
    found: list[Heard] = []
    for heard in _matches(hypotheses, grammars, limit):
        if not any(_same(heard.match, other.match) for other in found):
            found.append(heard)
        if len(found) >= limit:
            break
    return tuple(found)


def _matches(
    hypotheses: Sequence[Hypothesis], grammars: Sequence[Grammar], limit: int
) -> Iterator[Heard]:
    for hypothesis in sorted(hypotheses, key=lambda hypothesis: -hypothesis.confidence):
        for index, grammar in enumerate(grammars):
            first = grammar.match(hypothesis.text)
            if first is None:
                continue
            yield Heard(first, hypothesis.confidence, index)
            if limit > 1:
                for match in grammar.matches(hypothesis.text, limit)[1:]:
                    yield Heard(match, hypothesis.confidence, index)


def _same(one: Match, other: Match) -> bool:
    return one.utterance == other.utterance and same_value(one.interpretation, other.interpretation)
