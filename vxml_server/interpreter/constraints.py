"""What VoiceXML demands of elements together, beyond what a schema can say (see `schema`).

Each rule is a function that looks at one element and its parent and says what is wrong; `_RULES`
says which elements it is about. All of it is `error.badfetch` when the document is loaded, before
any of it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from vxml_server.interpreter.document import (
    CONTROL_ITEMS,
    DIALOGS,
    FORM_ITEMS,
    Element,
)

Rule: TypeAlias = Callable[[Element, Element | None], str]


def first_problem(element: Element, parent: Element | None = None) -> tuple[Element, str] | None:
    """The first element, in document order, that breaks a rule, and what is wrong with it."""
    for rule in _RULES.get(element.name, ()):
        if problem := rule(element, parent):
            return element, problem
    for child in element.elements:
        if found := first_problem(child, element):
            return found
    return None


def _dialog_names(element: Element, parent: Element | None) -> str:
    """Dialogs are told apart by their ids (section 1.5.1)."""
    twice = _repeated(dialog.get("id") for dialog in element.named(*DIALOGS))
    return f"two dialogs have the id {twice!r}" if twice else ""


def _item_names(element: Element, parent: Element | None) -> str:
    """The names of a form's items are unique (section 2.3.1)."""
    twice = _repeated(item.get("name") for item in element.named(*FORM_ITEMS))
    return f"two items of the form have the name {twice!r}" if twice else ""


def _repeated(names: Iterator[str]) -> str:
    seen: set[str] = set()
    for name in filter(None, names):
        if name in seen:
            return name
        seen.add(name)
    return ""


def _filled(element: Element, parent: Element | None) -> str:
    """Only a form's `<filled>` chooses its items, and only among input items (section 2.4)."""
    if parent is None:
        return ""
    if parent.name != "form":
        stated = [name for name in ("mode", "namelist") if name in element.attributes]
        return f"<filled> of a form item takes no {stated[0]}" if stated else ""
    inputs = {item.get("name") for item in parent.named(*(FORM_ITEMS - CONTROL_ITEMS))}
    for name in element.get("namelist").split():
        if name not in inputs:
            return f"<filled> names {name!r}, which is no input item of the form"
    return ""


def _source(element: Element, parent: Element | None) -> str:
    """A grammar and a script have one source (2.1, sections 2 and 3)."""
    has_content = bool(element.text.strip()) or b"<rule" in element.source
    sources = has_content + ("src" in element.attributes) + ("srcexpr" in element.attributes)
    if sources != 1:
        return f"<{element.name}> needs exactly one of src, srcexpr and content"
    return ""


def _grammar_scope(element: Element, parent: Element | None) -> str:
    """Only a form may give its grammars a scope (section 3.1.3)."""
    if "scope" not in element.attributes or parent is None:
        return ""
    return "" if parent.name == "form" else f"<grammar> in <{parent.name}> takes no scope"


def _menu_keys(element: Element, parent: Element | None) -> str:
    """A menu that numbers its choices leaves them 0, * and # at most (section 2.2.1)."""
    if element.get("dtmf") != "true":
        return ""
    own = [choice.get("dtmf").strip() for choice in element.named("choice")]
    if any(keys not in {"", "0", "*", "#"} for keys in own):
        return 'with dtmf="true" a <choice> may have only 0, * or # of its own'
    return ""


def _events(element: Element, parent: Element | None) -> str:
    """To catch everything is to name no event, and not an empty one (section 5.2.4)."""
    if "event" in element.attributes and not element.get("event").split():
        return "<catch> names no event"
    return ""


_RULES: Mapping[str, tuple[Rule, ...]] = {
    "catch": (_events,),
    "filled": (_filled,),
    "form": (_item_names,),
    "grammar": (_source, _grammar_scope),
    "menu": (_menu_keys,),
    "script": (_source,),
    "vxml": (_dialog_names,),
}
