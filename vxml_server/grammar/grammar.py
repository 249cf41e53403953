"""A grammar ready for use, and what comes of matching with it.

`Grammar` is immutable and shared by all calls; a `Matcher` is one listener's progress through it.
The two must agree: what `Grammar.match` makes of a text is what a matcher fed the same words or
keys ends with, since both go the same way. That is the automaton for a regular grammar, the chart
for any other, and nobody outside this module knows which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from vxml_server.grammar.automaton import Automaton, Run, automaton_of
from vxml_server.grammar.chart import Chart, RuleMatch
from vxml_server.grammar.network import Network, compile_network
from vxml_server.grammar.rules import Document, JsonValue, Mode
from vxml_server.grammar.semantics import interpret
from vxml_server.grammar.tokens import words
from vxml_server.grammar.tree import notation, tokens_of


class Status(Enum):
    """What a grammar says of the tokens fed so far."""

    DEAD = "dead"
    """Nothing that begins so can match any more."""
    PARTIAL = "partial"
    """No match yet; more is needed."""
    MATCH_OPEN = "match open"
    """A match, which further tokens could continue."""
    COMPLETE = "complete"
    """A match that nothing can continue."""

    @property
    def matches(self) -> bool:
        return self in {Status.MATCH_OPEN, Status.COMPLETE}


class Match:
    """The winning parse of a whole input.

    `tokens` are the words or keys as the grammar writes them (what GARBAGE took, as heard);
    `utterance` is their text: words joined by a space, keys joined by nothing.
    """

    def __init__(self, network: Network, mode: Mode, parse: RuleMatch) -> None:
        self._network = network
        self._parse = parse
        self.tokens = tuple(tokens_of(parse))
        self.utterance = ("" if mode == "dtmf" else " ").join(self.tokens)

    def __repr__(self) -> str:
        return f"<Match {self.tree}>"

    @cached_property
    def tree(self) -> str:
        """The logical parse structure (SRGS appendix H) in the notation of the W3C implementation
        report: `$main["call",$name["Ann"],{!{a tag}!}]`."""
        return notation(self._parse)

    @cached_property
    def interpretation(self) -> JsonValue:
        """The semantic result (SISR 1.0); the utterance where the grammar has no tag.

        Evaluated when first asked for, so that a match that is not chosen costs no script.
        Raises `VoiceXmlEvent("error.semantic")` when a tag fails or runs too long.
        """
        return interpret(self._network, self._parse)


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


def compile_grammar(main: Document, documents: Mapping[str, Document], root: str) -> Grammar:
    """The grammar of the rule `root` of `main`; `documents` are all that it refers to."""
    network = compile_network({**documents, "": main}, root) if root else Network.empty(main)
    return Grammar(
        *(main.mode, main.lang, main.uri, root, main.scope, network), automaton_of(network)
    )


class Matcher:
    """One listener's progress: feed tokens as they come, ask for the match at any time."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._progress: Chart | Run = (
            Chart(grammar.network) if grammar.automaton is None else Run(grammar.automaton)
        )

    @property
    def status(self) -> Status:
        progress = self._progress
        if progress.accepted:
            return Status.MATCH_OPEN if progress.extensible else Status.COMPLETE
        return Status.PARTIAL if progress.alive else Status.DEAD

    def feed(self, token: str) -> Status:
        """Takes one key or one word, or several; once DEAD it stays so."""
        pairs: Iterable[tuple[str, str]] = words(token, self._grammar.mode)
        for word, written in pairs:
            if not self._progress.alive:
                break
            self._progress.feed(word, written)
        return self.status

    def match(self) -> Match | None:
        """The match of what was fed so far, or None."""
        grammar = self._grammar
        parse = self._progress.parse(f"${grammar.root}")
        return None if parse is None else Match(grammar.network, grammar.mode, parse)
