"""The rule tree of SRGS 1.0 section 2, which every form of grammar is read into.

The XML form, the ABNF form and the built-in types all become these dataclasses; the network is
compiled from them and knows nothing of where they came from. A tree is immutable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal
from urllib.parse import unquote

from vxml_server.events import VoiceXmlEvent

Mode = Literal["voice", "dtmf"]

JsonValue = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None
"""What an interpretation can be: anything that JSON can say."""


class Special(Enum):
    """The rules that every grammar has (section 2.2.3)."""

    NULL = "NULL"
    VOID = "VOID"
    GARBAGE = "GARBAGE"


@dataclass(frozen=True, slots=True)
class Token:
    """One token as the grammar writes it, white space folded; it may hold several words."""

    text: str


@dataclass(frozen=True, slots=True)
class Tag:
    """Semantic content, uninterpreted (section 2.6)."""

    text: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Expansion, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """Alternatives in document order, which is their preference."""

    alternatives: tuple[Expansion, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`expansion` from `minimum` to `maximum` times; None is without limit."""

    expansion: Expansion
    minimum: int
    maximum: int | None


@dataclass(frozen=True, slots=True)
class RuleRef:
    """A reference to `rule` ("" is the root) of the grammar at `uri` ("" is this one).

    `uri` is absolute and without fragment; `written` is the reference as the logical parse
    structure shows it.
    """

    uri: str
    rule: str
    written: str
    line: int = 0


Expansion = Token | Tag | Sequence | OneOf | Repeat | RuleRef | Special


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule. `value`, in built-in grammars, makes the interpretation of its text."""

    name: str
    expansion: Expansion
    public: bool = False
    line: int = 0
    value: Callable[[str], JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """One grammar document. `root` is "" when it declares none; `tags` are its global tags."""

    uri: str
    mode: Mode
    lang: str
    root: str
    rules: Mapping[str, Rule]
    tag_format: str = ""
    tags: tuple[Tag, ...] = ()
    scope: str = ""
    line: int = 0


RESERVED_NAMES = frozenset(special.value for special in Special)
_NAME = re.compile(r"[^\W\d]\w*")


def is_rule_name(name: str) -> bool:
    """Whether `name` may name a rule: an XML name without `.`, `:` and `-` (section 3.1)."""
    return _NAME.fullmatch(name) is not None


def split_reference(reference: str) -> tuple[str, str]:
    """The grammar and the rule that a URI reference names; either may be ""."""
    place, _, fragment = reference.strip().partition("#")
    return place, unquote(fragment)


def rule_refs(expansion: Expansion) -> Iterator[RuleRef]:
    """The references of an expansion, in document order."""
    match expansion:
        case RuleRef():
            yield expansion
        case Sequence(parts) | OneOf(parts):
            for part in parts:
                yield from rule_refs(part)
        case Repeat(body):
            yield from rule_refs(body)
        case _:
            pass


def bad_grammar(message: str, uri: str, line: int = 0) -> VoiceXmlEvent:
    """The event for a grammar that is wrong: `error.badfetch`, as VoiceXML 2.0 5.2.6 has it."""
    return VoiceXmlEvent("error.badfetch", message, uri=uri, line=line)


def check_rules(document: Document) -> Document:
    """`document`, when its names are legal and every name it uses of its own is defined."""
    for rule in document.rules.values():
        if rule.name in RESERVED_NAMES:
            raise bad_grammar(f"a rule may not be named {rule.name}", document.uri, rule.line)
        if not is_rule_name(rule.name):
            raise bad_grammar(f"{rule.name!r} is not a rule name", document.uri, rule.line)
        for reference in rule_refs(rule.expansion):
            if not reference.uri and reference.rule not in document.rules:
                message = f"the rule {reference.rule!r} is not defined"
                raise bad_grammar(message, document.uri, reference.line)
    if document.root and document.root not in document.rules:
        message = f"the root rule {document.root!r} is not defined"
        raise bad_grammar(message, document.uri, document.line)
    return document
