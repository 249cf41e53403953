"""From bytes to a `Document`.

Refused is what no interpreter could run: XML that is not well-formed, entity declarations, and what
`schema` and `constraints` forbid. All of that is `error.badfetch` with a line. What can only be
known at run time is left to run time. Unless it is to be strict, a document is repaired first (see
`lenient`), and of the schema's complaints only the fatal ones count; the rest is told in
`Document.tolerated`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import cast

from lxml import etree

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import split_fragment
from vxml_server.interpreter import constraints, lenient, schema
from vxml_server.interpreter.document import DIALOGS, Document, Element, Node, Tolerated
from vxml_server.interpreter.references import resolved
from vxml_server.interpreter.repairs import Remark, Remarks
from vxml_server.markup import xml_parser

XML = "{http://www.w3.org/XML/1998/namespace}"
# Attributes of ours, which other platforms pass over, and what stands before their names here.
OWN = "{urn:vxml-server}"
OWN_PREFIX = "vxml-server:"
_LANG, _BASE = f"{XML}lang", f"{XML}base"

# Levels of elements in a document; those of its grammars count.
MAX_DEPTH = 100
_OURS = frozenset({schema.VXML, schema.SRGS})
# As many remarks as anyone reads.
_MOST_REMARKS = 100


def compile_document(body: bytes, uri: str, *, strict: bool = False) -> Document:
    """The document in `body`, which came from `uri`; raises `error.badfetch`."""
    root, remarks = read_document(body, uri, strict=strict)
    tree = _convert(root, uri, "", uri)
    if (found := constraints.first_problem(tree)) is not None:
        element, problem = found
        raise VoiceXmlEvent("error.badfetch", problem, uri=uri, line=element.line)
    dialogs = tuple(tree.named(*DIALOGS))
    application = tree.get("application")
    return Document(
        uri=uri,
        root=tree,
        application=split_fragment(resolved(tree.base, application))[0] if application else "",
        dialogs=dialogs,
        by_id=MappingProxyType({dialog.get("id"): dialog for dialog in dialogs}),
        tolerated=tuple(
            Tolerated(remark.code, remark.message, remark.line)
            for remark in remarks[:_MOST_REMARKS]
        ),
    )


@dataclass(frozen=True, slots=True)
class Examination:
    """A document's tree as it is compiled, what was repaired in it, and what is still wrong."""

    root: etree._Element
    repaired: list[Remark]
    problems: list[schema.Problem]


def examine(
    body: bytes,
    uri: str,
    *,
    strict: bool = False,
    on_parsed: Callable[[etree._Element, bytes], None] = lambda root, body: None,
) -> Examination:
    """Reads a document as it is read to be compiled, and does not stop at what is wrong.

    `on_parsed` is given the tree as it was written, and the bytes that it was made of. Raises
    `error.badfetch` for what is no well-formed XML with the root `<vxml>`, and for too many levels.
    """
    remarks = Remarks()
    read = body if strict else lenient.readable(body, remarks)
    root = _parse(read, uri)
    if etree.QName(root).localname != "vxml":
        raise _bad(f"the root element is <{etree.QName(root).localname}>, not <vxml>", uri, root)
    _refuse_depth(root, uri)
    on_parsed(root, read)
    is_valid = schema.is_valid(root)
    if not strict:
        if not is_valid:
            lenient.repair(root, remarks)
            is_valid = schema.is_valid(root)
        lenient.rename_events(root, body, remarks)
    problems = [] if is_valid else schema.problems(root)
    return Examination(root, remarks.found, problems)


def read_document(
    body: bytes, uri: str, *, strict: bool = False
) -> tuple[etree._Element, list[Remark]]:
    """The tree of a document as it is compiled, and what was tolerated on the way.

    Raises `error.badfetch`.
    """
    found = examine(body, uri, strict=strict)
    for problem in found.problems:
        if strict or problem.is_fatal:
            raise _bad(problem.message, uri, problem.node)
    passed_over = [
        Remark(problem.kind, problem.message, problem.node, problem.attribute, problem.line)
        for problem in found.problems
    ]
    return found.root, found.repaired + passed_over


def _bad(message: str, uri: str, node: etree._Element) -> VoiceXmlEvent:
    return VoiceXmlEvent("error.badfetch", message, uri=uri, line=node.sourceline or 0)


def _parse(body: bytes, uri: str) -> etree._Element:
    """The XML in `body`, without entities, comments and processing instructions."""
    parser = xml_parser(remove_comments=True, remove_pis=True)
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


_TOO_DEEP = etree.XPath("/*" * (MAX_DEPTH + 1))


def _refuse_depth(root: etree._Element, uri: str) -> None:
    """What is done with a tree is recursive; no document needs so many levels."""
    if too_deep := cast(list[etree._Element], _TOO_DEEP(root)):
        raise _bad("the elements are nested too deeply", uri, too_deep[0])


def _convert(node: etree._Element, uri: str, lang: str, base: str) -> Element:
    """The tree below `node`; elements of other namespaces are somebody else's."""
    name, _ = _named(str(node.tag))
    attributes = dict(node.items())
    if "{" in "".join(attributes):
        # Attributes of other namespaces are somebody else's, as elements are.
        attributes = {
            key.removeprefix(XML).replace(OWN, OWN_PREFIX): value
            for key, value in attributes.items()
            if key[0] != "{" or key.startswith((XML, OWN))
        }
        lang = node.get(_LANG, lang)
        if (own_base := node.get(_BASE)) is not None:
            base = resolved(base, own_base)
    line = node.sourceline or 0
    if name == "grammar":
        # Its content is the grammar room's; lines in it count from the document's first.
        source = etree.tostring(node, with_tail=False, encoding="utf-8")
        text = "".join(node.itertext())
        return Element(name, attributes, (text,) if text else (), line, lang, base, source)
    children: list[Node] = []
    # Texts between which only somebody else's element stands are one.
    text = node.text or ""
    for child in node:
        tag = child.tag
        if not isinstance(tag, str):
            raise _bad(f"the entity {child.text} is not known", uri, node)
        if _named(tag)[1]:
            if text:
                children.append(text)
            children.append(_convert(child, uri, lang, base))
            text = child.tail or ""
        elif child.tail:
            text += child.tail
    if text:
        children.append(text)
    return Element(name, attributes, tuple(children), line, lang, base)


@lru_cache(maxsize=200)
def _named(tag: str) -> tuple[str, bool]:
    """The name of an element without its namespace, and whether the namespace is ours."""
    name = etree.QName(tag)
    return name.localname, name.namespace in _OURS
