"""A grammar ready for use, and what comes of matching with it.

`Grammar` is immutable and shared by all calls; a `Matcher` is one listener's progress through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import cached_property

from vxml_server.grammar.rules import JsonValue, Mode


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
    `utterance` is their text: words joined by a space, keys joined by nothing. `tree` is the
    logical parse structure (SRGS appendix H) in the notation of the W3C implementation report.
    """

    @property
    def tokens(self) -> tuple[str, ...]:
        raise NotImplementedError

    @property
    def utterance(self) -> str:
        raise NotImplementedError

    @property
    def tree(self) -> str:
        raise NotImplementedError

    @cached_property
    def interpretation(self) -> JsonValue:
        """The semantic result (SISR 1.0); the utterance where the grammar has no tag.

        Evaluated when first asked for, so that a match that is not chosen costs no script.
        Raises `VoiceXmlEvent("error.semantic")` when a tag fails or runs too long.
        """
        raise NotImplementedError


class Grammar:
    """A compiled grammar; made by `load`, `load_async`, `builtin` and `phrase`.

    `mode` and `lang` are the grammar's own; `uri` is where it came from (with the base URI for an
    inline one); `root` is the name of the rule that is matched ("" in a grammar without rules,
    which matches nothing); `scope` is the `scope` attribute of an inline VoiceXML `<grammar>`
    element ("dialog", "document" or ""), which is the interpreter's to use.
    """

    mode: Mode
    lang: str
    uri: str
    scope: str
    root: str

    def match(self, tokens: Sequence[str] | str) -> Match | None:
        """The match of the whole input, or None.

        `tokens` is a text (for keys `"12#"`, or with spaces) or the words or keys one by one.
        Case, white space and punctuation around a word do not count.
        """
        raise NotImplementedError

    def start(self) -> Matcher:
        """A matcher that has been fed nothing."""
        raise NotImplementedError


class Matcher:
    """One listener's progress: feed tokens as they come, ask for the match at any time."""

    @property
    def status(self) -> Status:
        raise NotImplementedError

    def feed(self, token: str) -> Status:
        """Takes one key or one word; once DEAD it stays so."""
        raise NotImplementedError

    def match(self) -> Match | None:
        """The match of what was fed so far, or None."""
        raise NotImplementedError
