"""ECMAScript under check: syntax, and names that nothing declares.

There is no parser of ours. Syntax is what the engine compiles. For names, an expression is
evaluated in a scope that has every name and notes each that is asked for; what it gets is a value
that can be called, read and compared for ever. So a name is complained of only when it is really
looked up, and what stands in a function or behind a condition that does not hold is left alone.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import lru_cache

from lxml import etree

from vxml_server.checking.documents import (
    CheckedDocument,
    ancestors,
    elements,
    local_path,
    name_of,
)
from vxml_server.checking.source import Place
from vxml_server.ecmascript import Engine, Object, declared_names
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.schema import model

# What the interpreter itself declares.
PREDEFINED = frozenset(
    [
        "session",
        "application",
        "document",
        "dialog",
        "_event",
        "_message",
        "_prompt",
        "_dtmf",
        "lastresult$",
    ]
)
_RECORDER = """(() => {
  const names = [], thing = new Proxy(function () {}, {
    get: (o, k) => k === Symbol.toPrimitive ? () => 1
      : k === Symbol.iterator ? function* () {}
      : k === 'then' || k === 'toJSON' ? undefined : thing,
    apply: () => thing, construct: () => thing, has: () => true, set: () => true,
    ownKeys: () => ['prototype'], deleteProperty: () => true,
  });
  const scope = new Proxy({}, {
    has: (o, k) => { if (k in globalThis || typeof k !== 'string') return false;
      names.push(k); return true },
    get: (o, k) => k === Symbol.unscopables ? undefined : k in o ? o[k] : thing,
    set: (o, k, v) => { o[k] = v; return true },
  });
  return { scope, names };
})()"""
_SECONDS = 0.05
_TYPEOF = re.compile(r"\btypeof\b")
_ASSIGNED = re.compile(r"(?<![\w$.])([A-Za-z_$][\w$]*)\s*(?:[-+*/%&|^]|<<|>>>?)?=(?!=)")
# The namelists that name variables; those of <clear> and <filled> are checked elsewhere.
_NAMELISTS = frozenset({"clear", "data", "disconnect", "exit", "return", "submit", "subdialog"})


def check(document: CheckedDocument) -> None:
    """Adds what is wrong with the scripts and expressions of a document."""
    known = _known(document)
    for node in elements(document.root):
        if name_of(node) == "script":
            _check_script(document, node)
        for attribute in _expressions(node):
            _check_expression(document, node, attribute, known)
        if known is not None and _is_certain(document, node):
            for attribute, name in _named(node):
                _complain_of(document, node, attribute, {name} - known)


def _expressions(node: etree._Element) -> Iterator[str]:
    """The attributes that hold an expression."""
    known = model().elements.get(name_of(node))
    for attribute in node.attrib if known else ():
        kind = known.attributes.get(str(attribute)) if known else None
        if kind is not None and kind.name == "Script":
            yield str(attribute)


def _named(node: etree._Element) -> Iterator[tuple[str, str]]:
    """The variables that an element names without an expression: attribute and name."""
    name = name_of(node)
    if name in _NAMELISTS:
        for path in node.get("namelist", "").split():
            yield "namelist", re.split(r"[.\[]", path)[0]
    elif name == "assign":
        yield "name", re.split(r"[.\[]", node.get("name", "").strip())[0]


# Syntax ------------------------------------------------------------------------------------------


def _check_script(document: CheckedDocument, node: etree._Element) -> None:
    text = node.text or ""
    try:
        declared_names(text)
    except VoiceXmlEvent as event:
        place = document.source.place(node)
        line = (node.sourceline or 1) + event.line - 1 if event.line > 1 else place.line
        column = 1 if event.line > 1 else place.column
        document.source.add("bad-script", event.message, Place(line, column))


def _check_expression(
    document: CheckedDocument, node: etree._Element, attribute: str, known: frozenset[str] | None
) -> None:
    text = node.get(attribute, "")
    if not text.strip():
        if attribute != "cond":
            place = document.source.place(node, attribute)
            document.source.add("bad-script", f"{attribute} of <{name_of(node)}> is empty", place)
        return
    error = _syntax_error(text)
    if error:
        place = document.source.place(node, attribute)
        document.source.add("bad-script", f"{attribute}: {error}", place)
    elif known is not None and _is_certain(document, node) and not _TYPEOF.search(text):
        _complain_of(document, node, attribute, set(_looked_up(text)) - known)


@lru_cache(maxsize=4096)
def _syntax_error(expression: str) -> str:
    try:
        declared_names(f"({expression}\n)")
    except VoiceXmlEvent as event:
        return event.message
    return ""


# Names -------------------------------------------------------------------------------------------


def _complain_of(
    document: CheckedDocument, node: etree._Element, attribute: str, names: set[str]
) -> None:
    place = document.source.place(node, attribute)
    for name in sorted(filter(None, names)):
        document.source.add("undefined-variable", f"{name} is nowhere declared", place)


@lru_cache(maxsize=4096)
def _looked_up(expression: str) -> tuple[str, ...]:
    """The names that are looked up when the expression is evaluated."""
    engine = Engine(time_limit=_SECONDS)
    recorder: Object = engine.evaluate(_RECORDER)
    # Where it gets stuck on a value that is none, what it asked for up to there counts.
    with contextlib.suppress(VoiceXmlEvent):
        engine.evaluate(expression, [engine.get(recorder, "scope")])
    names = engine.to_json(engine.get(recorder, "names"))
    return tuple(dict.fromkeys(str(name) for name in names))


def _is_certain(document: CheckedDocument, node: etree._Element) -> bool:
    """Whether it is known in which scopes an element is executed.

    The handlers of a root document are executed in any document of the application.
    """
    if not document.is_root_of_others:
        return True
    return not any(
        name_of(around) in {"catch", "error", "help", "noinput", "nomatch", "link"}
        and around.getparent() is document.root
        for around in ancestors(node)
    )


def _known(document: CheckedDocument) -> frozenset[str] | None:
    """All names that a document of the application declares anywhere; None where some are unknown.

    Where in the document a name is declared is not looked at: that it is declared later, or in
    another dialog, shows only when it runs.
    """
    if document.root.get("application") and document.application is None:
        return None
    names = set(PREDEFINED)
    for relative in document.family:
        for node in elements(relative.root):
            name = name_of(node)
            if name == "script":
                declared = _script_names(relative, node)
                if declared is None:
                    return None
                names |= declared
            elif name == "foreach":
                names.add(node.get("item", ""))
            elif name in {"var", "data"} or node.getparent() is not None:
                names |= _declared_by(node, name)
            for attribute in _expressions(node):
                names.update(_ASSIGNED.findall(node.get(attribute, "")))
    return frozenset(names)


def _declared_by(node: etree._Element, name: str) -> set[str]:
    given = node.get("name", "")
    if not given:
        return set()
    parent = node.getparent()
    if name in {"var", "data"}:
        return {given}
    if parent is not None and name_of(parent) == "form":
        return {given, f"{given}$"}
    return set()


def _script_names(document: CheckedDocument, node: etree._Element) -> set[str] | None:
    """What a script declares or assigns; None for one that cannot be read here."""
    text = node.text or ""
    if node.get("srcexpr") is not None:
        return None
    if (reference := node.get("src")) is not None:
        path = local_path(document.resolve(node, reference))
        try:
            text = path.read_text("utf-8", "replace") if path is not None else ""
        except (OSError, ValueError):
            return None
        if path is None:
            return None
    try:
        variables, functions = declared_names(text)
    except VoiceXmlEvent:
        return None
    return {*variables, *functions, *_ASSIGNED.findall(text), *_lexical(text)}


_LEXICAL = re.compile(r"\b(?:let|const|class)\s+([A-Za-z_$][\w$]*)")


def _lexical(text: str) -> list[str]:
    return _LEXICAL.findall(text)
