"""Grammars under check: whether they load, and whether anything can match them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from lxml import etree

from vxml_server.checking.documents import (
    CheckedDocument,
    ancestors,
    children,
    elements,
    inherited,
    is_file,
    local_path,
    name_of,
)
from vxml_server.checking.source import Place, Source
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import split_fragment
from vxml_server.grammar import Grammar, Mode, Status, builtin, load
from vxml_server.interpreter.properties import DEFAULTS

# Where a voice grammar has no language of its own, the platform's is taken.
_LANGUAGE = "en"


def check(document: CheckedDocument) -> None:
    """Adds what is wrong with the grammars of a document."""
    for node in elements(document.root, "grammar"):
        if (found := _load(document, node)) is not None:
            _check_loaded(document, node, found)
    for node in elements(document.root, "field"):
        _check_type(document, node)


def check_file(source: Source) -> None:
    """Adds what is wrong with a grammar that is a file of its own."""
    try:
        grammar = load(source.path.read_bytes(), base_uri=source.uri)
    except OSError as error:
        source.add("unreadable", str(error.strerror or error), Place(1, 1))
    except VoiceXmlEvent as event:
        source.add("bad-grammar", event.message, Place(event.line or 1, event.column or 1))
    else:
        if _never_matches(grammar):
            source.add("grammar-never-matches", "nothing matches this grammar", Place(1, 1))


def _load(document: CheckedDocument, node: etree._Element) -> Grammar | None:
    """The grammar of an element; None where it cannot be had here or is in error."""
    mode = cast(Mode, node.get("mode")) if node.get("mode") in {"voice", "dtmf"} else None
    lang = inherited(node, "lang") or _LANGUAGE
    reference = node.get("src")
    try:
        if reference is None:
            if node.get("srcexpr") is not None or not _has_content(node):
                return None
            return load(
                etree.tostring(node, with_tail=False, encoding="utf-8"),
                base_uri=document.resolve(node, ""),
                media_type=node.get("type", ""),
                mode=mode,
                lang=lang,
                line_offset=(node.sourceline or 1) - 1,
            )
        if reference.startswith("builtin:"):
            return builtin(reference, lang)
        uri, rule = split_fragment(document.resolve(node, reference))
        path = local_path(uri)
        if path is None or not is_file(path):
            return None
        return load(
            path.read_bytes(),
            base_uri=uri,
            media_type=node.get("type", ""),
            mode=mode,
            lang=lang,
            rule=rule,
        )
    except VoiceXmlEvent as event:
        _complain(document, node, event)
    except OSError:
        # A missing file is the references' business.
        pass
    return None


def _complain(document: CheckedDocument, node: etree._Element, event: VoiceXmlEvent) -> None:
    own = document.source.place(node, "src")
    if node.get("src") is None and event.line and event.uri in {"", document.resolve(node, "")}:
        # Columns in the element's first line are those of a line without what stands before it.
        column = own.column if event.line == node.sourceline else event.column or 1
        document.source.add("bad-grammar", event.message, Place(event.line, column))
        return
    path = local_path(event.uri)
    where = f"{path.name}:{event.line}: " if path is not None and event.line else ""
    document.source.add("bad-grammar", where + event.message, own)


def _has_content(node: etree._Element) -> bool:
    return len(node) > 0 or bool((node.text or "").strip())


def _check_loaded(document: CheckedDocument, node: etree._Element, grammar: Grammar) -> None:
    place = document.source.place(node)
    if _never_matches(grammar):
        message = "nothing that a caller does matches this grammar"
        document.source.add("grammar-never-matches", message, place)
    elif grammar.mode not in _modes(document, node):
        said = {"dtmf": "keys are", "voice": "speech is"}[grammar.mode]
        message = f"inputmodes says that {said} not listened to here"
        document.source.add("grammar-not-listened-to", message, place)


def _never_matches(grammar: Grammar) -> bool:
    return not grammar.root or grammar.start().status is Status.DEAD


def _modes(document: CheckedDocument, node: etree._Element) -> set[str]:
    """The input modes that hold at an element."""
    for around in (*ancestors(node), *_roots(document)):
        for declared in children(around, "property"):
            if declared.get("name") == "inputmodes":
                return set(declared.get("value", "").split())
    return set(DEFAULTS["inputmodes"].split())


def _roots(document: CheckedDocument) -> Iterator[etree._Element]:
    if document.application is not None:
        yield document.application.root


def _check_type(document: CheckedDocument, node: etree._Element) -> None:
    """The built-in grammar of a field: an unknown one ends the call when it is reached."""
    kind = node.get("type", "").strip()
    if not kind or name_of(node) != "field":
        return
    try:
        builtin(kind, inherited(node, "lang") or _LANGUAGE, "dtmf")
    except VoiceXmlEvent as event:
        place = document.source.place(node, "type")
        document.source.add("bad-grammar", event.message, place)


def is_grammar_file(path: Path) -> bool:
    """Whether a file's name says that it is a grammar."""
    return path.suffix.lower() in {".grxml", ".gram", ".abnf", ".srgs"}
