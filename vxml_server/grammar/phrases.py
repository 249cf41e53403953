"""Grammars made from the text of a VoiceXML `<choice>` or `<option>` (section 2.2)."""

from __future__ import annotations

from vxml_server.grammar.grammar import Grammar
from vxml_server.grammar.rules import Mode


def phrase(
    text: str, lang: str = "", *, mode: Mode = "voice", approximate: bool = False
) -> Grammar:
    """A grammar of exactly `text`; with `approximate`, of any words of it in their order.

    For `mode="dtmf"` the text is a key sequence: "1", "1 2", "12#". The interpretation of a match
    is its utterance; the value of a choice is the caller's to give. Raises `error.badfetch` for a
    text without a word, or with something that is no key.
    """
    raise NotImplementedError
