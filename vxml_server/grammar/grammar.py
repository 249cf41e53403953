"""A grammar ready for use, and what comes of matching with it.

`Grammar` is immutable and shared by all calls; a `Matcher` is one listener's progress through it.
The two must agree: what `Grammar.match` makes of a text is what a matcher fed the same words or
keys ends with, since both go the same way. That is the automaton for a regular grammar, the chart
for any other, and nobody outside this module knows which.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from vxml_server.grammar.ambiguity import parses
from vxml_server.grammar.automaton import Automaton, Run, automaton_of
from vxml_server.grammar.chart import Chart, RuleMatch
from vxml_server.grammar.compiler import compile_network
from vxml_server.grammar.export import (
    accepting,
    is_endless,
    random_tokens,
    to_jsgf,
    vocabulary,
)
from vxml_server.grammar.network import Network
from vxml_server.grammar.rules import Document, JsonValue, Mode, Said
from vxml_server.grammar.semantics import interpret
from vxml_server.grammar.status import Status
from vxml_server.grammar.tokens import words
from vxml_server.grammar.tree import notation, tokens_of


class Match:
    """The winning parse of a whole input.

    `tokens` are the words or keys as the grammar writes them (what GARBAGE took, as heard);
    `utterance` is their text: words joined by a space, keys joined by nothing. `parse` is asked for
    when it is needed, and may then turn out to be too much work (None); it is not needed for what
    `is_spelled` (see `spelling`).
    """

    def __init__(
        self,
        network: Network,
        mode: Mode,
        tokens: tuple[str, ...],
        parse: Callable[[], RuleMatch | None],
        *,
        is_spelled: bool = False,
    ) -> None:
        self._network = network
        self._parse = parse
        self._is_spelled = is_spelled
        self.tokens = tokens
        self.utterance = ("" if mode == "dtmf" else " ").join(tokens)

    @classmethod
    def parsed(cls, network: Network, mode: Mode, parse: RuleMatch) -> Match:
        return cls(network, mode, tuple(tokens_of(parse)), lambda: parse)

    def __repr__(self) -> str:
        return f"<Match {self.tree}>"

    @cached_property
    def tree(self) -> str:
        """The logical parse structure (SRGS appendix H) in the notation of the W3C implementation
        report: `$main["call",$name["Ann"],{!{a tag}!}]`."""
        parse = self._parse()
        return "" if parse is None else notation(parse)

    @cached_property
    def interpretation(self) -> JsonValue:
        """The semantic result (SISR 1.0); the utterance where the grammar has no tag.

        Evaluated when first asked for, so that a match that is not chosen costs no script.
        Raises `VoiceXmlEvent("error.semantic")` when a tag fails or runs too long.
        """
        if self._is_spelled:
            make = self._network.rules[0].value
            return self.utterance if make is None else make(Said(self.utterance))
        parse = self._parse()
        assert parse is not None, "there is no match without a parse"
        return interpret(self._network, parse)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a recogniser heard: words, and how sure it is of them, from 0 to 1."""

    text: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a hypothesis means in a grammar."""

    match: Match
    interpretation: JsonValue
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class Grammar:
    """A compiled grammar; made by `load`, `load_async`, `builtin` and `phrase`.

    `mode` and `lang` are the grammar's own; `uri` is where it came from (with the base URI for an
    inline one); `root` is the name of the rule that is matched ("" in a grammar without rules,
    which matches nothing); `scope` is the `scope` attribute of an inline VoiceXML `<grammar>`
    element ("dialog", "document" or ""), which is the interpreter's to use. `network` and
    `automaton` are for this room alone.
    """

    mode: Mode
    lang: str
    uri: str
    root: str
    scope: str
    network: Network = field(repr=False)
    automaton: Automaton | None = field(repr=False, default=None)

    def match(self, tokens: Sequence[str] | str) -> Match | None:
        """The match of the whole input, or None.

        `tokens` is a text (for keys `"12#"`, or with spaces) or the words or keys one by one.
        Case, white space and punctuation around a word do not count.
        """
        matcher = self.start()
        for token in [tokens] if isinstance(tokens, str) else tokens:
            if matcher.feed(token) is Status.DEAD:
                return None
        return matcher.match()

    def start(self) -> Matcher:
        """A matcher that has been fed nothing."""
        return Matcher(self)

    def matches(self, tokens: Sequence[str] | str, limit: int = 5) -> tuple[Match, ...]:
        """Up to `limit` matches of an ambiguous input, no two with the same tree.

        They are in the order of preference: alternatives by weight and then as they are written,
        one more turn of a repeat before none (after it where repeat-prob is under a half), longer
        rule references first. The first is what `match` gives.
        """
        chart = Chart(self.network)
        for token in [tokens] if isinstance(tokens, str) else tokens:
            for word, written in words(token, self.mode):
                chart.feed(word, written)
        found = parses(chart, f"${self.root}", limit)
        return tuple(Match.parsed(self.network, self.mode, parse) for parse in found)

    def matched(self, heard: Sequence[str], written: Sequence[str]) -> Match | None:
        """The match of words that the automaton has accepted; None if it is too much work."""
        automaton = self.automaton
        assert automaton is not None, "only an automaton knows that words match before the parse"
        parse = partial(automaton.parse, tuple(heard), tuple(written), f"${self.root}")
        if (spelling := automaton.spelling) is not None:
            tokens = tuple([spelling[word] for word in heard])
            return Match(self.network, self.mode, tokens, parse, is_spelled=True)
        found = parse()
        return None if found is None else Match.parsed(self.network, self.mode, found)

    # For recognisers ---------------------------------------------------------------------------

    def interpret(
        self, hypotheses: Iterable[Hypothesis | str], limit: int = 5
    ) -> tuple[Recognised, ...]:
        """The interpretations of what a recogniser heard, its n-best list, the best first.

        A hypothesis that is not in the grammar is passed over, and an interpretation that came up
        before. Raises `error.semantic` when a tag fails.
        """
        found: list[Recognised] = []
        for hypothesis in hypotheses:
            heard = Hypothesis(hypothesis) if isinstance(hypothesis, str) else hypothesis
            for match in self.matches(heard.text, limit):
                known = any(
                    same_value(match.interpretation, other.interpretation) for other in found
                )
                if not known:
                    found.append(Recognised(match, match.interpretation, heard.confidence))
                if len(found) >= limit:
                    return tuple(found)
        return tuple(found)

    def sentences(self, limit: int = 10_000) -> tuple[str, ...] | None:
        """Every sentence of the grammar, each once; None when there are more than `limit`, or no
        end of them (GARBAGE, recursion, a repeat without maximum)."""
        if is_endless(self.network):
            return None
        start = Chart(self.network) if self.automaton is None else Run(self.automaton)
        found: list[str] = []
        for progress in accepting(start):
            parse = progress.parse(f"${self.root}")
            if parse is None or len(found) >= limit:
                return None
            found.append(Match.parsed(self.network, self.mode, parse).utterance)
        return tuple(found)

    def vocabulary(self) -> tuple[tuple[str, str], ...]:
        """The tokens that can be said, as the grammar writes them, each with its language."""
        return vocabulary(self.network)

    def random_sentence(self, source: random.Random) -> str | None:
        """A sentence of the grammar, a short one where there is no end of them; None if there is
        none that could be said."""
        tokens = random_tokens(self.network, source)
        return None if tokens is None else ("" if self.mode == "dtmf" else " ").join(tokens)

    def to_jsgf(self) -> str:
        """The grammar in the Java Speech Grammar Format, its references included."""
        return to_jsgf(self.network, self.root)


def same_value(one: JsonValue, other: JsonValue) -> bool:
    """Whether two interpretations are the same JSON: true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def compile_grammar(main: Document, documents: Mapping[str, Document], root: str) -> Grammar:
    """The grammar of the rule `root` of `main`; `documents` are all that it refers to."""
    network = compile_network({**documents, "": main}, root) if root else Network.empty(main)
    return Grammar(
        *(main.mode, main.lang, main.uri, root, main.scope, network), automaton_of(network)
    )


class Matcher:
    """One listener's progress: feed tokens as they come, ask for the match at any time."""

    __slots__ = ("_grammar", "_progress", "status")

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._progress: Chart | Run = (
            Chart(grammar.network) if grammar.automaton is None else Run(grammar.automaton)
        )
        self.status = self._progress.status

    def feed(self, token: str) -> Status:
        """Takes one key or one word, or several; once DEAD it stays so."""
        pairs: Iterable[tuple[str, str]] = words(token, self._grammar.mode)
        for word, written in pairs:
            if self.status is Status.DEAD:
                break
            self._progress.feed(word, written)
            self.status = self._progress.status
        return self.status

    def match(self) -> Match | None:
        """The match of what was fed so far, or None."""
        grammar, progress = self._grammar, self._progress
        if not self.status.matches:
            return None
        if isinstance(progress, Run):
            return grammar.matched(progress.words, progress.written)
        parse = progress.parse(f"${grammar.root}")
        return None if parse is None else Match.parsed(grammar.network, grammar.mode, parse)
