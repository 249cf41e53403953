"""From bytes to a `Document`.

Refused is what no interpreter could run: XML that is not well-formed, entity declarations, and what
`vocabulary` and `constraints` forbid. All of that is `error.badfetch` with a line. What can only be
known at run time is left to run time.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from lxml import etree

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import resolve_uri, split_fragment
from vxml_server.interpreter import constraints, vocabulary
from vxml_server.interpreter.document import DIALOGS, Document, Element, Node

XML = "{http://www.w3.org/XML/1998/namespace}"


def compile_document(body: bytes, uri: str) -> Document:
    """The document in `body`, which came from `uri`; raises `error.badfetch`."""
    root = _parse(body, uri)
    if etree.QName(root).localname != "vxml":
        raise _bad(f"the root element is <{etree.QName(root).localname}>, not <vxml>", uri, root)
    tree = _convert(root, uri, "", uri, etree.QName(root).namespace)
    if (found := constraints.first_problem(tree)) is not None:
        element, problem = found
        raise VoiceXmlEvent("error.badfetch", problem, uri=uri, line=element.line)
    dialogs = tuple(tree.named(*DIALOGS))
    application = tree.get("application")
    return Document(
        uri=uri,
        root=tree,
        application=split_fragment(resolve_uri(tree.base, application))[0] if application else "",
        dialogs=dialogs,
        by_id=MappingProxyType({dialog.get("id"): dialog for dialog in dialogs}),
    )


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
    subset = root.getroottree().docinfo.internalDTD
    if subset is not None and any(True for _ in subset.iterentities()):
        raise _bad("a document may not declare entities", uri, root)
    return root


def _convert(
    node: etree._Element, uri: str, lang: str, base: str, namespace: str | None
) -> Element:
    """The tree below `node`; `namespace` is the root's, which need not be the right one."""
    name = etree.QName(node).localname
    line = node.sourceline or 0
    lang = node.get(f"{XML}lang", lang)
    if (own_base := node.get(f"{XML}base")) is not None:
        base = resolve_uri(base, own_base)
    # Attributes of other namespaces are somebody else's, as elements are.
    attributes = {
        str(key).removeprefix(XML): str(value)
        for key, value in node.attrib.items()
        if not str(key).startswith("{") or str(key).startswith(XML)
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
            if vocabulary.is_ours(etree.QName(child).namespace, namespace):
                children.append(_convert(child, uri, lang, base, namespace))
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
