"""What is wrong with a document, in words: each problem with its element and its attribute.

Two weights (`Problem.is_fatal`). What the recommendation demands by name, such as exactly one of
next and expr, or a value without which nothing can be done, makes a document useless for anyone
(`error.badfetch`). What could be passed over, such as an attribute that means nothing or an element
where it has no effect, is refused in strict mode only.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Literal

from lxml import etree

from vxml_server.interpreter.schema.model import ANYTHING, TEXT, ElementModel, model, source

VXML = "http://www.w3.org/2001/vxml"
SRGS = "http://www.w3.org/2001/06/grammar"
XML = "{http://www.w3.org/XML/1998/namespace}"

Kind = Literal[
    "unknown-element",
    "foreign-element",
    "misplaced-element",
    "misplaced-text",
    "unknown-attribute",
    "missing-attribute",
    "conflicting-attributes",
    "bad-value",
    "wrong-namespace",
    "wrong-order",
]
# A value of these types is a hint, or matters to the one prompt that holds it.
_HARMLESS_TYPES = frozenset({"FetchHint", "Language", "Keys", "Identifier", "ValueType"})
# What these hold is the business of speech synthesis and of grammars, which say so themselves.
_SPEECH = frozenset(
    [
        "break",
        "desc",
        "emphasis",
        "lexicon",
        "metadata",
        "p",
        "phoneme",
        "prosody",
        "s",
        "say-as",
        "sub",
        "voice",
    ]
)
_GRAMMAR = frozenset(["example", "item", "one-of", "rule", "ruleref", "tag", "token"])
# The grammar's own attributes; the others of <grammar> are VoiceXML's.
_GRAMMAR_TYPES = frozenset({"GrammarVersion", "Weight"})
_LIMIT = 100


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """`message` names the element and what was expected; `attribute` is "" where it is about none.

    `suggestion` is what was probably meant: the name of an element or of an attribute, or "".
    """

    kind: Kind
    message: str
    node: etree._Element
    attribute: str = ""
    suggestion: str = ""
    is_fatal: bool = False

    @property
    def line(self) -> int:
        return self.node.sourceline or 0


# The judgement -----------------------------------------------------------------------------------

_lock = Lock()


@lru_cache(maxsize=1)
def _validator() -> etree.RelaxNG:
    return etree.RelaxNG(etree.fromstring(source()))


def is_valid(root: etree._Element) -> bool:
    """Whether the document is what the schema says, without comments and processing instructions.

    About 3 us an element. Documents may be judged beside the event loop, the validator is shared.
    """
    with _lock:
        return bool(_validator().validate(root))


def problems(root: etree._Element) -> list[Problem]:
    """What is wrong with a document that `is_valid` refuses, in document order; 100 at most.

    Never empty for such a document: what the tables cannot put a finger on is said as libxml2 does.
    """
    found = [problem for problem, _ in zip(_explained(root), range(_LIMIT), strict=False)]
    return found or [_as_libxml2_says(root)]


def _as_libxml2_says(root: etree._Element) -> Problem:
    with _lock:
        validator = _validator()
        validator.validate(root)
        entries = [(entry.line, entry.message) for entry in validator.error_log]
    # The first complaint is about the innermost element; those after it are consequences.
    line, message = entries[0] if entries else (root.sourceline or 0, "it is not valid")
    node = next((node for node in root.iter() if (node.sourceline or 0) >= line), root)
    name = etree.QName(node).localname
    return Problem("wrong-order", f"<{name}>: {message}", node)


# Explanations ------------------------------------------------------------------------------------


def _explained(root: etree._Element) -> Iterator[Problem]:
    name = etree.QName(root).localname
    if name != "vxml":
        yield Problem("unknown-element", f"the root element is <{name}>, not <vxml>", root)
        return
    if (namespace := etree.QName(root).namespace) != VXML:
        stated = f"the namespace {namespace}" if namespace else "no namespace"
        message = f"<vxml> is in {stated}; VoiceXML's is {VXML}"
        yield Problem("wrong-namespace", message, root, "xmlns")
        return
    pending = [root]
    while pending:
        node = pending.pop()
        name = etree.QName(node).localname
        known = model().elements.get(name)
        if known is None or not _is_ours(node, known):
            continue
        yield from _of_element(node, name)
        if ANYTHING not in known.children:
            yield from _of_content(node, name, known)
            pending.extend(child for child in reversed(node) if isinstance(child.tag, str))


def _is_ours(node: etree._Element, known: ElementModel) -> bool:
    namespace = etree.QName(node).namespace
    return namespace == VXML or (known.in_grammar and namespace == SRGS)


def _of_element(node: etree._Element, name: str) -> Iterator[Problem]:
    attributes = {
        str(key).replace(XML, "xml:"): str(value)
        for key, value in node.attrib.items()
        if not str(key).startswith("{") or str(key).startswith(XML)
    }
    for kind, attribute, message, suggestion, is_fatal in attribute_problems(name, attributes):
        yield Problem(kind, message, node, attribute, suggestion, is_fatal)


def attribute_problems(
    name: str, attributes: Mapping[str, str]
) -> Iterator[tuple[Kind, str, str, str, bool]]:
    """What is wrong with the attributes of an element: kind, attribute, message, suggestion, and
    whether it is fatal."""
    known = model().elements[name]
    for attribute in attributes:
        if attribute not in known.attributes:
            near = nearest(attribute, known.attributes.keys() - attributes.keys())
            hint = f"; was {near} meant?" if near else ""
            message = f"<{name}> has no attribute {attribute}{hint}"
            yield "unknown-attribute", attribute, message, near, False
    for attribute in known.required:
        if attribute not in attributes:
            is_fatal = name not in _SPEECH | _GRAMMAR
            message = f"<{name}> needs the attribute {attribute}"
            yield "missing-attribute", "", message, attribute, is_fatal
    for group, must in known.groups:
        present = [attribute for attribute in group if attribute in attributes]
        if len(present) > 1 or (must and not present):
            count = "exactly" if must else "at most"
            message = f"<{name}> takes {count} one of {listed(group)}"
            message += f", not {' and '.join(present)}" if present else ""
            kind: Kind = "conflicting-attributes" if present else "missing-attribute"
            is_fatal = name not in _SPEECH | _GRAMMAR
            yield kind, present[-1] if present else "", message, "", is_fatal
    for attribute, text in attributes.items():
        wanted = known.attributes.get(attribute)
        if wanted is not None and not wanted.allows(text):
            shown = text if len(text) <= 40 else text[:37] + "..."
            message = f'{attribute}="{shown}" of <{name}>: expected {wanted.expected}'
            is_fatal = (
                name not in _SPEECH | _GRAMMAR
                and wanted.name not in _HARMLESS_TYPES
                and (name != "grammar" or wanted.name not in _GRAMMAR_TYPES)
            )
            yield "bad-value", attribute, message, "", is_fatal


def _of_content(node: etree._Element, name: str, known: ElementModel) -> Iterator[Problem]:
    if TEXT not in known.children:
        yield from _texts(node, name)
    seen_else = False
    for child in node:
        if not isinstance(child.tag, str):
            continue
        inner = etree.QName(child).localname
        namespace = etree.QName(child).namespace
        model_of_child = model().elements.get(inner)
        if namespace not in {VXML, SRGS} or (
            model_of_child and not _is_ours(child, model_of_child)
        ):
            place = f"the namespace {namespace}" if namespace else "no namespace"
            message = f"<{inner}> is in {place}: it is no element of VoiceXML"
            yield Problem("foreign-element", message, child)
        elif model_of_child is None:
            near = nearest(inner, model().elements)
            hint = f"; was <{near}> meant?" if near else ""
            message = f"<{inner}> is not an element of VoiceXML{hint}"
            yield Problem("unknown-element", message, child, "", near, is_fatal=True)
        elif inner not in known.children:
            places = [f"<{place}>" for place in model().parents[inner]]
            where = f": its place is in {listed(places)}" if 0 < len(places) <= 6 else ""
            message = f"<{inner}> may not stand in <{name}>{where}"
            yield Problem("misplaced-element", message, child)
        elif seen_else and inner in {"else", "elseif"}:
            yield Problem("wrong-order", f"<{inner}> after the <else> of its <if>", child)
        seen_else = seen_else or inner == "else"
    if name == "one-of" and len(node) == 0:
        yield Problem("wrong-order", "<one-of> needs at least one <item>", node)


def _texts(node: etree._Element, name: str) -> Iterator[Problem]:
    text = node.text or ""
    for child in node:
        text += child.tail or ""
    if text.strip():
        shown = " ".join(text.split())
        shown = shown if len(shown) <= 30 else shown[:27] + "..."
        where = " (text is spoken in a <block>, a <prompt> or a form item)"
        hint = where if name in {"vxml", "form"} else ""
        yield Problem("misplaced-text", f'"{shown}" may not stand as text in <{name}>{hint}', node)


def listed(names: Iterable[str]) -> str:
    """`a, b or c`."""
    *others, last = names
    return ", ".join(others) + f" or {last}" if others else last


def nearest(written: str, names: Iterable[str]) -> str:
    """The name that was probably meant, or ""."""
    plain = re.sub("[-_.:]", "", written).lower()
    by_plain = {re.sub("[-_.:]", "", name).lower(): name for name in sorted(names)}
    if plain in by_plain:
        return by_plain[plain]
    found = difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.8)
    return by_plain[found[0]] if found else ""
