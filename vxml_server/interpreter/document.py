"""A VoiceXML document as an immutable tree, compiled once and shared by every call.

`compile_document` turns bytes into a `Document` and refuses what no interpreter could run: XML
that is not well-formed, entity declarations, elements that do not exist, attributes that exclude
each other. All of that is `error.badfetch` with a line. What can only be known at run time is left
to run time. Nothing in the tree changes after compilation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from lxml import etree

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import resolve_uri
from vxml_server.interpreter import vocabulary

XML = "{http://www.w3.org/XML/1998/namespace}"
FORM_ITEMS = frozenset({"field", "record", "transfer", "subdialog", "object", "initial", "block"})
HANDLERS = frozenset({"catch", "error", "help", "noinput", "nomatch"})
DIALOGS = frozenset({"form", "menu"})


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """An element without its namespace; text between elements stands as `str` among `children`.

    `lang` is the xml:lang that holds here ("" where none does), `base` the absolute base URI,
    `line` counts from 1. `source` is the element as XML, kept for `<grammar>` only.
    """

    name: str
    attributes: Mapping[str, str]
    children: tuple[Node, ...]
    line: int
    lang: str
    base: str
    source: bytes = field(default=b"", repr=False)

    def get(self, attribute: str, default: str = "") -> str:
        return self.attributes.get(attribute, default)

    @property
    def elements(self) -> Iterator[Element]:
        return (child for child in self.children if isinstance(child, Element))

    def named(self, *names: str) -> Iterator[Element]:
        """The child elements with one of these names."""
        return (child for child in self.elements if child.name in names)

    @property
    def text(self) -> str:
        """The element's own text, without that of its children."""
        return "".join(child for child in self.children if isinstance(child, str))

    def descendants(self) -> Iterator[Element]:
        for child in self.elements:
            yield child
            yield from child.descendants()


Node: TypeAlias = Element | str


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A compiled document. `application` is the root document's absolute URI, or ""."""

    uri: str
    root: Element
    application: str
    dialogs: tuple[Element, ...]
    by_id: Mapping[str, Element]

    @property
    def lang(self) -> str:
        return self.root.lang

    def dialog(self, identifier: str) -> Element | None:
        """The dialog a URI fragment names; the first one for no fragment."""
        if identifier:
            return self.by_id.get(identifier)
        return self.dialogs[0] if self.dialogs else None


def compile_document(body: bytes, uri: str) -> Document:
    """The document in `body`, which came from `uri`; raises `error.badfetch`."""
    root = _parse(body, uri)
    if etree.QName(root).localname != "vxml":
        raise _bad(f"the root element is <{etree.QName(root).localname}>, not <vxml>", uri, root)
    tree = _convert(root, uri, lang="", base=uri)
    for element in (tree, *tree.descendants()):
        problem = vocabulary.problem(element.name, element.attributes)
        if problem := problem or _problem_of_source(element):
            raise VoiceXmlEvent("error.badfetch", problem, uri=uri, line=element.line)
    if tree.get("version") not in vocabulary.VERSIONS:
        message = f"the version is {tree.get('version')!r}, not 2.0 or 2.1"
        raise VoiceXmlEvent("error.badfetch", message, uri=uri, line=tree.line)
    dialogs = tuple(tree.named(*DIALOGS))
    by_id: dict[str, Element] = {}
    for dialog in dialogs:
        if not (identifier := dialog.get("id")):
            continue
        if identifier in by_id:
            message = f"two dialogs have the id {identifier!r}"
            raise VoiceXmlEvent("error.badfetch", message, uri=uri, line=dialog.line)
        by_id[identifier] = dialog
    application = tree.get("application")
    return Document(
        uri=uri,
        root=tree,
        application=resolve_uri(tree.base, application) if application else "",
        dialogs=dialogs,
        by_id=MappingProxyType(by_id),
    )


def _problem_of_source(element: Element) -> str:
    """A grammar has one source (section 3.1.1.4), a script at most one (5.3.12)."""
    if element.name not in {"grammar", "script"}:
        return ""
    has_content = bool(element.text.strip()) or b"<rule" in element.source
    sources = has_content + ("src" in element.attributes) + ("srcexpr" in element.attributes)
    if element.name == "grammar" and sources != 1:
        return "<grammar> needs exactly one of src, srcexpr and content"
    if sources > 1:
        return "<script> takes at most one of src, srcexpr and content"
    return ""


def _bad(message: str, uri: str, node: etree._Element) -> VoiceXmlEvent:
    return VoiceXmlEvent("error.badfetch", message, uri=uri, line=node.sourceline or 0)


def _parse(body: bytes, uri: str) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise VoiceXmlEvent(
            "error.badfetch", f"not well-formed: {error.msg}", uri=uri, line=error.lineno or 0
        ) from None
    except ValueError as error:
        raise VoiceXmlEvent("error.badfetch", f"not XML: {error}", uri=uri) from None
    subset = root.getroottree().docinfo.internalDTD
    if subset is not None and any(True for _ in subset.iterentities()):
        raise _bad("a document may not declare entities", uri, root)
    return root


def _convert(node: etree._Element, uri: str, lang: str, base: str) -> Element:
    """The tree below `node`, without recursion over siblings and with attributes made plain."""
    name = etree.QName(node).localname
    line = node.sourceline or 0
    lang = node.get(f"{XML}lang", lang)
    if (own_base := node.get(f"{XML}base")) is not None:
        base = resolve_uri(base, own_base)
    attributes = {
        etree.QName(key).localname if key.startswith(XML) else str(key): str(value)
        for key, value in node.attrib.items()
    }
    source = b""
    children: list[Node] = []
    if name == "grammar":
        # Its content is the grammar room's; lines in it count from the document's first.
        source = etree.tostring(node, with_tail=False, encoding="utf-8")
        children.append("".join(node.itertext()))
    else:
        if node.text:
            children.append(node.text)
        for child in node:
            if not isinstance(child.tag, str):
                raise _bad(f"the entity {child.text} is not known", uri, node)
            if vocabulary.is_ours(etree.QName(child).namespace):
                children.append(_convert(child, uri, lang, base))
            if child.tail:
                children.append(child.tail)
    return Element(
        name=name,
        attributes=MappingProxyType(attributes),
        children=tuple(_joined(children)),
        line=line,
        lang=lang,
        base=base,
        source=source,
    )


def _joined(children: list[Node]) -> Iterator[Node]:
    """Neighbouring texts as one."""
    text = ""
    for child in children:
        if isinstance(child, str):
            text += child
            continue
        if text:
            yield text
        text = ""
        yield child
    if text:
        yield text
