"""Grammars made from the text of a VoiceXML `<choice>` or `<option>` (section 2.2)."""

from __future__ import annotations

from functools import lru_cache

from vxml_server.grammar.grammar import Grammar, compile_grammar
from vxml_server.grammar.rules import (
    Document,
    Expansion,
    Mode,
    OneOf,
    Repeat,
    Rule,
    Sequence,
    Token,
    bad_grammar,
)
from vxml_server.grammar.tokens import are_keys, words

MAX_WORDS = 100
"""The most words that a phrase may have."""


@lru_cache(maxsize=1024)
def phrase(
    text: str, lang: str = "", *, mode: Mode = "voice", approximate: bool = False
) -> Grammar:
    """A grammar of exactly `text`; with `approximate`, of any words of it in their order.

    For `mode="dtmf"` the text is a key sequence: "1", "1 2", "12#". The interpretation of a match
    is its utterance; the value of a choice is the caller's to give. Raises `error.badfetch` for a
    text without a word, or with something that is no key.
    """
    said = [written for _, written in words(text, mode) if written]
    if not said or len(said) > MAX_WORDS:
        raise bad_grammar(f"{text[:80]!r} cannot be matched: it has {len(said)} words", "")
    if mode == "dtmf" and not are_keys(text):
        raise bad_grammar(f"{text!r} is not a sequence of keys", "")
    tokens = [Token(word) for word in said]
    body = _any_of(tokens) if approximate and mode == "voice" else Sequence(tuple(tokens))
    document = Document("", mode, lang, "phrase", {"phrase": Rule("phrase", body, public=True)})
    return compile_grammar(document, {}, "phrase")


def _any_of(tokens: list[Token]) -> Expansion:
    """One or more of the tokens, in their order: which one is said first decides the rest."""
    optional = [Repeat(token, 0, 1) for token in tokens]
    return OneOf(
        tuple(Sequence((token, *optional[index + 1 :])) for index, token in enumerate(tokens))
    )
