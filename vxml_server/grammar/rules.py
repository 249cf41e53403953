"""The rule tree of SRGS 1.0 section 2, which every form of grammar is read into.

The XML form, the ABNF form and the built-in types all become these dataclasses; the network is
compiled from them and knows nothing of where they came from. A tree is immutable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
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
    """One token as the grammar writes it, white space folded; it may hold several words.

    `lang` is the language attached to it (section 2.7), "" for that of its grammar.
    """

    text: str
    lang: str = ""


@dataclass(frozen=True, slots=True)
class Tag:
    """Semantic content, uninterpreted (section 2.6)."""

    text: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Expansion, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """Alternatives in document order; `weights` (section 2.4.1) one each, or none at all."""

    alternatives: tuple[Expansion, ...]
    weights: tuple[float, ...] = ()

    @classmethod
    def weighted(cls, alternatives: Iterable[Expansion], weights: Iterable[float]) -> OneOf:
        """Of alternatives with a weight each; weights that are all alike say nothing."""
        each = tuple(weights)
        return cls(tuple(alternatives), each if len(set(each)) > 1 else ())

    def preferred(self) -> list[int]:
        """The indexes of the alternatives, the likeliest first; of two alike the earlier."""
        order = range(len(self.alternatives))
        return sorted(order, key=lambda i: -self.weights[i]) if self.weights else list(order)


@dataclass(frozen=True, slots=True)
class Repeat:
    """`expansion` from `minimum` to `maximum` times; None is without limit.

    `probability` is that of one more turn (section 2.5.1), None where it is not said.
    """

    expansion: Expansion
    minimum: int
    maximum: int | None
    probability: float | None = None

    @property
    def lazy(self) -> bool:
        """Whether ending is likelier than one more turn."""
        return self.probability is not None and self.probability < 0.5


@dataclass(frozen=True, slots=True)
class RuleRef:
    """A reference to `rule` ("" is the root) of the grammar at `uri` ("" is this one).

    `uri` is absolute and without fragment; `written` is the reference as the logical parse
    structure shows it; `lang` is the language attached to it, which a grammar that has none of its
    own takes; `media_type` is that declared for what is there.
    """

    uri: str
    rule: str
    written: str
    line: int = 0
    column: int = 0
    lang: str = ""
    media_type: str = ""

    @property
    def document(self) -> str:
        """What names the document referred to: a built-in one is another in each language."""
        return f"{self.uri} {self.lang}" if self.uri.startswith("builtin:") else self.uri


Expansion = Token | Tag | Sequence | OneOf | Repeat | RuleRef | Special


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule of a built-in grammar matched: its text, what its tags made (None: it has none),
    and what the rules that it refers to came to, in their order."""

    text: str
    out: JsonValue = None
    parts: tuple[JsonValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule. `value`, in built-in grammars, makes its interpretation."""

    name: str
    expansion: Expansion
    public: bool = False
    line: int = 0
    column: int = 0
    value: Callable[[Said], JsonValue] | None = None


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
    column: int = 0


RESERVED_NAMES = frozenset(special.value for special in Special)
_NAME = re.compile(r"[^\W\d]\w*")


def is_rule_name(name: str) -> bool:
    """Whether `name` may name a rule: an XML name without `.`, `:` and `-` (section 3.1)."""
    return _NAME.fullmatch(name) is not None


def split_reference(reference: str) -> tuple[str, str]:
    """The grammar and the rule that a URI reference names; either may be ""."""
    place, _, fragment = reference.strip().partition("#")
    return place, unquote(fragment)


def leaves(
    expansion: Expansion, *, possible: bool = False
) -> Iterator[Token | Tag | RuleRef | Special]:
    """What an expansion is made of in the end, in document order; if `possible`, without what is
    repeated no times."""
    todo = [expansion]
    while todo:
        match todo.pop():
            case Sequence(parts) | OneOf(parts):
                todo.extend(reversed(parts))
            case Repeat(body, _, most):
                todo.extend([] if possible and most == 0 else [body])
            case leaf:
                yield leaf


def rule_refs(expansion: Expansion) -> Iterator[RuleRef]:
    """The references of an expansion, in document order."""
    return (leaf for leaf in leaves(expansion) if isinstance(leaf, RuleRef))


def attach(expansion: Expansion, lang: str) -> Expansion:
    """`expansion` with `lang` attached to what has no language attached (section 2.7)."""
    match expansion:
        case Token(lang="") | RuleRef(lang=""):
            return replace(expansion, lang=lang)
        case Sequence(parts):
            return Sequence(tuple(attach(part, lang) for part in parts))
        case OneOf(parts, weights):
            return OneOf(tuple(attach(part, lang) for part in parts), weights)
        case Repeat():
            return replace(expansion, expansion=attach(expansion.expansion, lang))
        case _:
            return expansion


def bad_grammar(message: str, uri: str, line: int = 0, column: int = 0) -> VoiceXmlEvent:
    """The event for a grammar that is wrong: `error.badfetch`, as VoiceXML 2.0 5.2.6 has it."""
    return VoiceXmlEvent("error.badfetch", message, uri=uri, line=line, column=column)


def finished(document: Document, *, any_name: bool = False) -> Document:
    """`document`, when its names are legal and every name it uses of its own is defined.

    A built-in grammar that it refers to without a language is one of the document's language.
    `any_name`: the names are those of a format that is not of the recommendation.
    """
    rules = dict(document.rules)
    for rule in document.rules.values():
        place = (document.uri, rule.line, rule.column)
        if rule.name in RESERVED_NAMES:
            raise bad_grammar(f"a rule may not be named {rule.name}", *place)
        if not (any_name or is_rule_name(rule.name)):
            raise bad_grammar(f"{rule.name!r} is not a rule name", *place)
        for reference in rule_refs(rule.expansion):
            if not reference.uri and reference.rule not in document.rules:
                message = f"the rule {reference.rule!r} is not defined"
                raise bad_grammar(message, document.uri, reference.line, reference.column)
            if reference.uri.startswith("builtin:") and not reference.lang:
                body = attach(rules[rule.name].expansion, document.lang)
                rules[rule.name] = replace(rule, expansion=body)
    if document.root and document.root not in document.rules:
        message = f"the root rule {document.root!r} is not defined"
        raise bad_grammar(message, document.uri, document.line, document.column)
    return replace(document, rules=rules)
