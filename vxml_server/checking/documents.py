"""The documents under check, and what they know of each other.

A document belongs to an application: its root's variables, links and handlers hold in it, and other
documents may lead to its dialogs. Only files are looked at; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

from lxml import etree

from vxml_server.checking.source import XML, Source

DIALOGS = ("form", "menu")
ITEMS = ("block", "field", "initial", "object", "record", "subdialog", "transfer")
# The attributes that lead to a dialog, by element.
_LEADING = {
    "choice": ("next",),
    "goto": ("next",),
    "link": ("next",),
    "subdialog": ("src",),
    "submit": ("next",),
}
_COMPUTED = {"choice": "expr", "goto": "expr", "link": "expr", "subdialog": "srcexpr"}


def name_of(node: etree._Element) -> str:
    return etree.QName(node).localname


def elements(node: etree._Element, *names: str) -> Iterator[etree._Element]:
    """The elements below (and with) `node` that have one of these names, all for none."""
    for found in node.iter("*"):
        if not names or name_of(found) in names:
            yield found


def children(node: etree._Element, *names: str) -> Iterator[etree._Element]:
    for found in node:
        if isinstance(found.tag, str) and (not names or name_of(found) in names):
            yield found


def ancestors(node: etree._Element) -> Iterator[etree._Element]:
    """The element itself and what is around it, nearest first."""
    near: etree._Element | None = node
    while near is not None:
        yield near
        near = near.getparent()


def inherited(node: etree._Element, attribute: str) -> str:
    """The value of xml:lang or xml:base that holds at an element, "" for none."""
    for around in ancestors(node):
        if (value := around.get(XML + attribute)) is not None:
            return value
    return ""


def local_path(uri: str) -> Path | None:
    """The file that a URI names; None where it is not for a file system to say."""
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or parts.query:
        return None
    try:
        return Path(url2pathname(unquote(parts.path) if "%" in parts.path else parts.path))
    except (OSError, ValueError):
        return None


def is_file(path: Path) -> bool:
    """Whether there is such a file; there is none of a name that cannot be."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


@dataclass(eq=False)
class CheckedDocument:
    """A document as the interpreter reads it; `root` is the tree after repairs."""

    source: Source
    root: etree._Element
    application: CheckedDocument | None = None
    """Its application root document, where that is a file that can be read."""
    is_root_of_others: bool = False
    entered_from_elsewhere: frozenset[str] = frozenset()
    """Ids of dialogs that other documents under check lead to."""
    is_entered_by_computation: bool = False
    """Whether a document under check computes where it goes."""

    @cached_property
    def dialogs(self) -> Mapping[str, etree._Element]:
        """Ids of dialogs -> the dialogs."""
        return {d.get("id", ""): d for d in children(self.root, *DIALOGS) if d.get("id")}

    @property
    def family(self) -> list[CheckedDocument]:
        """The document and its root."""
        return [self] if self.application is None else [self, self.application]

    def resolve(self, node: etree._Element, reference: str) -> str:
        """The absolute URI of a reference at an element."""
        base = self.source.uri
        for around in reversed(list(ancestors(node))):
            if (own := around.get(f"{XML}base")) is not None:
                base = _joined(base, own)
        return _joined(base, reference)

    def references(self) -> Iterator[tuple[etree._Element, str, str]]:
        """What leads to a dialog: element, attribute, and reference as written."""
        for node in elements(self.root, *_LEADING):
            for attribute in _LEADING[name_of(node)]:
                if (reference := node.get(attribute)) is not None:
                    yield node, attribute, reference.strip()

    @cached_property
    def computes_where_it_goes(self) -> bool:
        return any(
            _COMPUTED[name_of(node)] in node.attrib for node in elements(self.root, *_COMPUTED)
        )

    @cached_property
    def reachable(self) -> frozenset[etree._Element]:
        """The dialogs that something leads to, from the first on or from outside."""
        dialogs = list(children(self.root, *DIALOGS))
        leads: dict[etree._Element | None, set[str]] = {}
        for node, _, reference in self.references():
            if reference.startswith("#"):
                dialog = next((a for a in ancestors(node) if a in dialogs), None)
                leads.setdefault(dialog, set()).add(reference[1:])
        pending = dialogs[:1]
        pending += [self.dialogs[i] for i in leads.get(None, ()) if i in self.dialogs]
        pending += [self.dialogs[i] for i in self.entered_from_elsewhere if i in self.dialogs]
        pending += [dialog for dialog in dialogs if _listens_to_document(dialog)]
        found: set[etree._Element] = set()
        while pending:
            dialog = pending.pop()
            if dialog not in found:
                found.add(dialog)
                pending += [self.dialogs[i] for i in leads.get(dialog, ()) if i in self.dialogs]
        return frozenset(found)


def _joined(base: str, reference: str) -> str:
    try:
        return urljoin(base, reference)
    except ValueError:
        return ""


def _listens_to_document(dialog: etree._Element) -> bool:
    """Whether its grammars are active in other dialogs too (section 3.1.3)."""
    return dialog.get("scope") == "document" or any(
        grammar.get("scope") == "document" for grammar in children(dialog, "grammar")
    )
