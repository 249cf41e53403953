"""What repairing a document takes: remarks on what was done, and changes to lxml's tree.

What must hold: text that stood in or behind an element that goes away stays where it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lxml import etree

from vxml_server.interpreter.schema import VXML

XML = "{http://www.w3.org/XML/1998/namespace}"


@dataclass(frozen=True, slots=True, eq=False)
class Remark:
    """Something that was passed over or repaired; `node` is None where it is about the bytes."""

    code: str
    message: str
    node: etree._Element | None = None
    attribute: str = ""
    line: int = 1


@dataclass(slots=True)
class Remarks:
    """Collects remarks in the order in which they are made."""

    found: list[Remark] = field(default_factory=list)

    def add(
        self, code: str, message: str, node: etree._Element | None = None, attribute: str = ""
    ) -> None:
        line = 1 if node is None else node.sourceline or 0
        self.found.append(Remark(code, message, node, attribute, line))


def name_of(node: etree._Element) -> str:
    return etree.QName(node).localname


def rename(node: etree._Element, name: str) -> None:
    node.tag = f"{{{VXML}}}{name}"


def new_element(name: str, like: etree._Element) -> etree._Element:
    """An element that stands where `like` does."""
    made = like.makeelement(f"{{{VXML}}}{name}", nsmap={None: VXML})
    # Beyond this libxml2 has no lines.
    made.sourceline = min(like.sourceline or 1, 65535)  # type: ignore[misc]  # its stubs know no setter
    return made


def key_of(attribute: str) -> str:
    return attribute.replace("xml:", XML) if attribute.startswith("xml:") else attribute


def unwrap(node: etree._Element, parent: etree._Element) -> None:
    at = parent.index(node)
    children = list(node)
    append_text(parent, at, node.text or "")
    for offset, child in enumerate(children):
        parent.insert(at + offset, child)
    after = node.tail or ""
    node.tail = None
    parent.remove(node)
    append_text(parent, at + len(children), after)


def append_text(parent: etree._Element, at: int, text: str) -> None:
    """Adds text before the child at a position."""
    if not text:
        return
    if at == 0:
        parent.text = (parent.text or "") + text
    else:
        parent[at - 1].tail = (parent[at - 1].tail or "") + text


def remove(child: etree._Element, parent: etree._Element) -> None:
    """Takes an element away, but not the text after it."""
    at = parent.index(child)
    text, child.tail = child.tail or "", None
    parent.remove(child)
    append_text(parent, at, text)
