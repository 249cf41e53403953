"""The logical parse structure of a match (SRGS 1.0 appendix H), and walks over it.

The networks that stand for the turns of a repeat have no name and do not show: `events` passes
through them. No walk here recurses, since a recursive rule nests as deep as the input is long.
"""

from __future__ import annotations

from collections.abc import Iterator

from vxml_server.grammar.chart import Heard, RuleMatch
from vxml_server.grammar.rules import Tag, Token


class Leave:
    """The end of a rule, in a walk over a parse."""


LEAVE = Leave()

Event = RuleMatch | Token | Tag | Heard | Leave


def events(parse: RuleMatch) -> Iterator[Event]:
    """The named rules (each followed in time by LEAVE), tokens and tags of a parse, in order."""
    todo: list[Event] = [parse]
    while todo:
        event = todo.pop()
        if not isinstance(event, RuleMatch):
            yield event
            continue
        if event.label:
            yield event
            todo.append(LEAVE)
        todo.extend(reversed(event.parts))


def tokens_of(parse: RuleMatch) -> Iterator[str]:
    """The tokens of a parse, with what GARBAGE took."""
    for event in events(parse):
        if isinstance(event, Token | Heard) and event.text:
            yield event.text


def notation(parse: RuleMatch) -> str:
    """The parse as the W3C implementation report writes it."""
    written: list[str] = []
    for event in events(parse):
        if isinstance(event, Leave):
            written.append("]")
            continue
        if isinstance(event, Heard):
            continue
        if written and not written[-1].endswith("["):
            written.append(",")
        match event:
            case RuleMatch(label=label):
                written.append(f"{label}[")
            case Token(text):
                written.append(f'"{text}"')
            case Tag(text):
                written.append(f"{{!{{{text}}}!}}")
    return "".join(written)
